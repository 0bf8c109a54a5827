# SPDX-License-Identifier: MIT
"""Rooms with slixmpp: who makes one, configures it and guards it; who visits it, talks and is thrown out."""
import sqlite3

import pytest
from slixmpp.exceptions import IqError, PresenceError
from slixmpp.xmlstream import ET

from jabiru import PATIENCE_S, wait_for
from slix import Client, run

MUC_USER = "{http://jabber.org/protocol/muc#user}"
CONFIG = "http://jabber.org/protocol/muc#roomconfig"


class Visitor(Client):
    def __init__(self, server, ca, user, **options):
        super().__init__(server, ca, user, "rooms", **options)
        for plugin in ("xep_0004", "xep_0045", "xep_0059", "xep_0249", "xep_0313"):
            self.register_plugin(plugin)
        self.rooms = self["xep_0045"]

    async def enter(self, room, nick, **options):
        return await self.rooms.join_muc_wait(room, nick, timeout=PATIENCE_S, **options)

    async def make(self, room, nick, **fields):
        """A reserved room (XEP-0045 §10.1.3): entered, configured by its form, and then open."""
        await self.enter(room, nick)
        await self.configure(room, **fields)
        return self

    async def configure(self, room, **fields):
        form = await self.rooms.get_room_config(room, timeout=PATIENCE_S)
        answer = self["xep_0004"].make_form(ftype="submit")
        values = form.get_values()
        for name, value in fields.items():
            assert f"muc#{name}" in values, sorted(values)
            answer.add_field(var=f"muc#{name}", value=value)
        answer.add_field(var="FORM_TYPE", ftype="hidden", value=CONFIG)
        await self.rooms.set_room_config(room, answer, timeout=PATIENCE_S)

    def say(self, room, text):
        self.send_message(mto=room, mbody=text, mtype="groupchat")

    async def hears(self, room, nick, text):
        return await self.wait("message", lambda m: m["from"] == f"{room}/{nick}" and m["body"] == text)

    async def code(self, kind, code):
        """The next stanza that has this status code."""
        return await self.wait(kind, lambda s: s.xml.find(f"{MUC_USER}x/{MUC_USER}status[@code='{code}']") is not None)

    async def away(self, room, nick):
        self.send_presence(pto=f"{room}/{nick}", ptype="unavailable")
        await self.wait("presence", lambda p: p["type"] == "unavailable" and p["from"] == f"{room}/{nick}")


async def visitors(server, ca, *users):
    return [await Visitor(server, ca, user).login() for user in users]


async def part(*clients):
    for client in clients:
        await client.leave()


def test_a_room_is_made_talked_in_and_destroyed(server, ca, accounts):
    names = accounts("alice", "bob", "carol")
    room = f"talk-{names[0]}@conference.localhost"

    async def story():
        alice, bob, carol = everybody = await visitors(server, ca, *names)
        await alice.make(room, "Alice", roomconfig_roomname="Talk", roomconfig_changesubject="0")
        info = await bob["xep_0030"].get_info(room, timeout=PATIENCE_S)
        assert ("conference", "text", None, "Talk") in info["disco_info"]["identities"]
        await bob.enter(room, "Bob")
        own, subject, others, said = await carol.enter(room, "Carol")
        assert {p["from"].resource for p in others} == {"Alice", "Bob", "Carol"} and not said and not subject["subject"]
        with pytest.raises(PresenceError) as error:
            await carol.enter(room, "Bob")
        assert error.value.condition == "conflict"
        for speaker, nick in ((alice, "Alice"), (bob, "Bob"), (carol, "Carol")):
            speaker.say(room, f"I am {nick}")
            for one in everybody:
                await one.hears(room, nick, f"I am {nick}")
        alice.rooms.set_subject(room, "What we talk of")
        for one in everybody:
            await one.wait("message", lambda m: m["subject"] == "What we talk of" and not m["body"])
        bob.rooms.set_subject(room, "My own")
        error = await bob.wait("message", lambda m: m["type"] == "error")
        assert error["error"]["condition"] == "forbidden"
        bob.send_message(f"{room}/Carol", "for you alone", mtype="chat")
        await carol.hears(room, "Bob", "for you alone")
        await alice.rooms.destroy(room, "enough", timeout=PATIENCE_S)
        for one in (bob, carol):
            gone = await one.wait("presence", lambda p: p.xml.find(f"{MUC_USER}x/{MUC_USER}destroy") is not None)
            assert gone["type"] == "unavailable"
        await part(*everybody)
    run(story)


def test_who_comes_later_reads_what_was_said(server, ca, accounts):
    names = accounts("alice", "bob")
    room = f"later-{names[0]}@conference.localhost"

    async def story():
        alice, bob = await visitors(server, ca, *names)
        await alice.make(room, "Alice")
        alice.rooms.set_subject(room, "The news")
        for number in range(5):
            alice.say(room, f"number {number}")
            await alice.hears(room, "Alice", f"number {number}")
        _, subject, _, said = await bob.enter(room, "Bob", maxstanzas=3)
        assert [m["body"] for m in said] == ["number 2", "number 3", "number 4"]
        assert subject["subject"] == "The news"
        await part(alice, bob)
    run(story)


def test_kick_ban_and_voice(server, ca, accounts):
    names = accounts("alice", "bob", "carol")
    room = f"guarded-{names[0]}@conference.localhost"

    async def story():
        alice, bob, carol = await visitors(server, ca, *names)
        await alice.make(room, "Alice", roomconfig_moderatedroom="1")
        await bob.enter(room, "Bob")
        await carol.enter(room, "Carol")
        bob.say(room, "may I?")
        error = await bob.wait("message", lambda m: m["type"] == "error")
        assert error["error"]["condition"] == "forbidden"
        bob.rooms.request_voice(room, "participant")
        asked = await alice.wait("message", lambda m: m.xml.find("{jabber:x:data}x") is not None)
        assert asked["form"].get_values()["muc#roomnick"] == "Bob"
        await alice.rooms.set_role(room, "Bob", "participant", timeout=PATIENCE_S)
        await bob.wait("presence", lambda p: p["from"] == f"{room}/Bob" and p["muc"]["role"] == "participant")
        bob.say(room, "now I may")
        await alice.hears(room, "Bob", "now I may")
        with pytest.raises(IqError) as denied:
            await bob.rooms.set_role(room, "Alice", "none", timeout=PATIENCE_S)
        assert denied.value.condition in ("not-allowed", "forbidden")
        await alice.rooms.set_role(room, "Bob", "none", reason="too loud", timeout=PATIENCE_S)
        gone = await bob.code("presence", 307)
        assert gone.xml.findtext(f"{MUC_USER}x/{MUC_USER}item/{MUC_USER}reason") == "too loud"
        await carol.code("presence", 307)
        await bob.enter(room, "Bob")  # a kick is not a ban
        await alice.rooms.set_affiliation(room, "outcast", jid=bob.boundjid.bare, timeout=PATIENCE_S)
        await bob.code("presence", 301)
        with pytest.raises(PresenceError) as error:
            await bob.enter(room, "Bob")
        assert error.value.condition == "forbidden"
        assert await alice.rooms.get_affiliation_list(room, "outcast", timeout=PATIENCE_S) == [bob.boundjid.bare]
        await alice.rooms.set_affiliation(room, "none", jid=bob.boundjid.bare, timeout=PATIENCE_S)
        await bob.enter(room, "Bob")
        await part(alice, bob, carol)
    run(story)


def test_members_are_invited(server, ca, accounts):
    names = accounts("alice", "bob", "carol")
    room = f"club-{names[0]}@conference.localhost"

    async def story():
        alice, bob, carol = await visitors(server, ca, *names)
        await alice.make(room, "Alice", roomconfig_membersonly="1")
        for stranger, nick in ((bob, "Bob"), (carol, "Carol")):
            with pytest.raises(PresenceError) as error:
                await stranger.enter(room, nick)
            assert error.value.condition == "registration-required"
        alice.rooms.invite(room, bob.boundjid.bare, "come in")
        invited = await bob.wait("message", lambda m: m.xml.find(f"{MUC_USER}x/{MUC_USER}invite") is not None)
        assert invited["from"] == room and invited["muc"]["invite"]["reason"] == "come in"
        await bob.enter(room, "Bob")
        alice.rooms.invite(room, carol.boundjid.bare)
        await carol.wait("message", lambda m: m.xml.find(f"{MUC_USER}x/{MUC_USER}invite") is not None)
        carol.rooms.decline(room, alice.boundjid.bare, "no time")
        declined = await alice.wait("message", lambda m: m.xml.find(f"{MUC_USER}x/{MUC_USER}decline") is not None)
        assert declined["muc"]["decline"]["reason"] == "no time"
        bob["xep_0249"].send_invitation(carol.boundjid.bare, room, reason="do")
        direct = await carol.wait("message", lambda m: m["groupchat_invite"]["jid"] == room)
        assert direct["from"] == bob.boundjid
        await alice.configure(room, roomconfig_whois="anyone")
        await bob.code("message", 172)
        await part(alice, bob, carol)
    run(story)


def test_a_room_outlives_a_crash(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")
    room = "kept@conference.localhost"

    async def before():
        alice, bob = await visitors(server, ca, "alice", "bob")
        await alice.make(room, "Alice", roomconfig_persistentroom="1", roomconfig_roomname="Kept")
        await alice.rooms.set_affiliation(room, "member", jid=bob.boundjid.bare, timeout=PATIENCE_S)
        alice.rooms.set_subject(room, "It stays")
        alice.say(room, "remember this")
        await alice.hears(room, "Alice", "remember this")
        await part(alice, bob)

    async def after():
        alice, bob = await visitors(server, ca, "alice", "bob")
        own, subject, _, said = await bob.enter(room, "Bob")
        assert own["muc"]["affiliation"] == "member" and subject["subject"] == "It stays"
        assert [m["body"] for m in said] == ["remember this"]
        own, *_ = await alice.enter(room, "Alice")
        assert own["muc"]["affiliation"] == "owner"
        await part(alice, bob)

    def archived():
        with sqlite3.connect(server.database) as data:
            return data.execute("SELECT count(*) FROM log WHERE owner = ? AND kind = 'archive' AND value LIKE '%remember this%'", (room,)).fetchone()[0]

    run(before)
    wait_for(archived, "the message in the archive")  # live delivery does not wait for the disk
    server.kill()
    server.start()
    run(after)


def test_the_archive_and_what_a_moderator_takes_out_of_it(server, ca, accounts):
    names = accounts("alice", "bob", "carol")
    room = f"archived-{names[0]}@conference.localhost"
    retract, moderate = "{urn:xmpp:message-retract:1}", "{urn:xmpp:message-moderate:1}"

    async def bodies(client, **options):
        """What the archive says, and what became of it: {id: body or None}."""
        found = {}
        async for message in client["xep_0313"].iterate(room, **options):
            said = message["mam_result"]["forwarded"]["stanza"]
            assert said["from"].bare == room and not said["to"].full
            found[message["mam_result"]["id"]] = said["body"] or None
            assert said["body"] or said.xml.find(f"{retract}retracted") is not None or said.xml.find(f"{retract}retract") is not None
        return found

    async def story():
        alice, bob, carol = await visitors(server, ca, *names)
        await alice.make(room, "Alice", roomconfig_persistentroom="1")
        await bob.enter(room, "Bob")
        for number in range(25):
            bob.say(room, f"number {number}")
            last = await alice.hears(room, "Bob", f"number {number}")
        ids = await bodies(carol, rsm={"max": 10})
        assert list(ids.values()) == [f"number {number}" for number in range(25)]
        named = last.xml.find("{urn:xmpp:sid:0}stanza-id")
        assert named.get("by") == room and named.get("id") == list(ids)[-1]
        request = alice.make_iq_set(ito=room)
        wish = ET.SubElement(request.xml, f"{moderate}moderate", id=named.get("id"))
        ET.SubElement(wish, f"{retract}retract")
        ET.SubElement(wish, f"{moderate}reason").text = "numbers enough"
        await request.send(timeout=PATIENCE_S)
        told = await bob.wait("message", lambda m: m.xml.find(f"{retract}retract") is not None)
        assert told["from"] == room and told.xml.find(f"{retract}retract").get("id") == named.get("id")
        after = await bodies(carol, rsm={"max": 10})
        assert after.pop(list(after)[-1]) is None  # the announcement
        assert after == {**ids, named.get("id"): None}
        await alice.rooms.set_affiliation(room, "outcast", jid=carol.boundjid.bare, timeout=PATIENCE_S)
        with pytest.raises(IqError) as error:
            await carol["xep_0313"].retrieve(room, timeout=PATIENCE_S)
        assert error.value.condition == "forbidden"
        await part(alice, bob, carol)
    run(story)


def test_who_floods_a_room_is_held_back_and_others_are_heard(server, ca, accounts):
    names = accounts("alice", "bob", "carol")
    room = f"flooded-{names[0]}@conference.localhost"

    async def story():
        alice, bob, carol = await visitors(server, ca, *names)
        await alice.make(room, "Alice")
        await bob.enter(room, "Bob")
        await carol.enter(room, "Carol")
        for number in range(300):
            bob.say(room, f"flood {number}")
        await alice.hears(room, "Bob", "flood 10")
        carol.say(room, "may I?")
        await alice.hears(room, "Carol", "may I?")
        assert 10 <= sum(m["from"] == f"{room}/Bob" for m in alice.arrived["message"]) < 100
        await part(alice, carol, bob)
    run(story)
