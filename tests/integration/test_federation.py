# SPDX-License-Identifier: MIT
"""Federation with the servers that people run: Debian's Prosody and ejabberd, found by SRV records of a name server of our
own; by dialback with self-signed certificates, and by SASL EXTERNAL (XEP-0178) with a private CA. Each thing is done both ways."""
import asyncio
import re
import subprocess

import pytest
from slixmpp.xmlstream import ET

from jabiru import PATIENCE_S, free_ports, wait_for
from lab import Ejabberd, Names, Prosody, jabiru
from slix import Client, run

MUC = "http://jabber.org/protocol/muc"
KINDS = {"prosody": Prosody, "ejabberd": Ejabberd}


class SelfSigned:
    """Stands where a CA stands: the one certificate that it trusts is the server's own."""

    def __init__(self, folder, domain):
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = folder / f"{domain}.pem", folder / f"{domain}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain},DNS:*.{domain}", "-keyout", self.key,
                        "-out", self.certificate], check=True, capture_output=True, timeout=PATIENCE_S)
        self.pair = self.certificate, self.key


class World:
    """Ours is at ours.example with the user alice, theirs at theirs.example with the user romeo, both in `mode`."""

    def __init__(self, folder, kind, mode, ca):
        ours, theirs = "ours.example", "theirs.example"
        ports = free_ports(2)
        self.mode, external = mode, mode == "external"
        self.names = Names(folder / "names", {ours: ports[0], f"conference.{ours}": ports[0], theirs: ports[1],
                                               f"rooms.{theirs}": ports[1]}).start()
        if external:
            pairs = [ca.issue(f"{kind}-{name}", f"DNS:{name},DNS:*.{name}", "serverAuth,clientAuth") for name in (ours, theirs)]
            self.our_ca = self.their_ca = ca
            lines = f'ca = "{ca.certificate}"\nrequire-certificate = true'
        else:
            self.our_ca, self.their_ca = [SelfSigned(folder, name) for name in (ours, theirs)]
            pairs, lines = [self.our_ca.pair, self.their_ca.pair], ""
        self.ours = jabiru(folder / "ours", self.names, ours, pairs[0], ports[0], lines).start()
        self.ours.add_user(f"alice@{ours}")
        self.theirs = KINDS[kind](folder / kind, self.names, theirs, pairs[1], ca, ports[1], external).start()

    def alice(self):
        return Client(self.ours, self.our_ca, "alice", "a", host="ours.example")

    def romeo(self):
        return Client(self.theirs, self.their_ca, "romeo", "r", host="theirs.example")

    def stop(self):
        self.theirs.stop()
        self.names.stop()
        self.ours.stop()


@pytest.fixture(scope="module", params=[(kind, mode) for kind in KINDS for mode in ("dialback", "external")],
                ids=lambda param: "-".join(param))
def world(request, tmp_path_factory, ca):
    made = World(tmp_path_factory.mktemp("world"), *request.param, ca)
    yield made
    made.stop()


async def couple(world):
    alice, romeo = world.alice(), world.romeo()
    for one in (alice, romeo):
        for plugin in ("xep_0004", "xep_0060", "xep_0115", "xep_0163", "xep_0107"):
            one.register_plugin(plugin)
    await asyncio.gather(alice.login(), romeo.login())
    return alice, romeo


def test_messages(world):
    async def story():
        alice, romeo = await couple(world)
        message = alice.make_message(romeo.boundjid, "over the border <&>", mtype="chat")
        message.append(ET.Element("{urn:xmpp:sid:0}origin-id", {"id": "o1"}))
        message.send()
        got = await romeo.body("over the border <&>")
        assert got["from"] == alice.boundjid and got.xml.find("{urn:xmpp:sid:0}origin-id").get("id") == "o1"
        got.reply("and back").send()
        assert (await alice.body("and back"))["from"] == romeo.boundjid
        for one, to in ((alice, "nobody@theirs.example"), (romeo, "nobody@ours.example")):
            one.send_message(to, "hello?", mtype="chat")
            error = await one.wait("message", lambda m: m["type"] == "error")
            assert error["error"]["condition"] == "service-unavailable" and error["from"] == to
        await alice.leave()
        await romeo.leave()
    run(story)


def test_security(world):
    """What each side has proved itself by."""
    word = "by certificate" if world.mode == "external" else "by dialback"
    wait_for(lambda: any("theirs.example has proved itself" in line and word in line for line in world.ours.log), word)
    listed = world.ours.ctl("s2s", "list").stdout.splitlines()
    assert any(re.match("(in|out) ours.example theirs.example 127.0.0.1:.* TLSv1.* " + word.replace("by ", "by="), line)
               for line in listed), listed
    shown = world.ours.ctl("s2s", "show", "theirs.example").stdout
    assert "policy: allowed; TLS required" in shown and "may send" in shown and "stream: " in shown, shown
    assert "lately" in world.ours.ctl("s2s", "show", "unheard.example").stdout


async def befriend(alice, romeo):
    """Each gets the other's presence, unless an earlier test has done so; then each gets the other's presence now."""
    rosters = await alice.whole_roster(), await romeo.whole_roster()
    for one, other in ((alice, romeo), (romeo, alice)):
        if not all(rosters):
            one.send_presence_subscription(other.boundjid.bare)
            await other.subscription("subscribe", one)
            other.send_presence_subscription(one.boundjid.bare, ptype="subscribed")
            await one.subscription("subscribed", other)
        await one.wait("presence", lambda p: p["from"] == other.boundjid and p["type"] == "available")


def test_subscriptions_and_presence(world):
    async def story():
        alice, romeo = await couple(world)
        await befriend(alice, romeo)
        for one in (alice, romeo):
            assert [item["subscription"] for item in (await one.whole_roster()).values()] == ["both"]
        for one, other in ((alice, romeo), (romeo, alice)):
            one.send_presence(pshow="away", pstatus=f"I am {one.boundjid}")
            await other.wait("presence", lambda p: p["status"] == f"I am {one.boundjid}" and p["from"] == one.boundjid)
        await romeo.leave()
        await alice.wait("presence", lambda p: p["from"] == romeo.boundjid and p["type"] == "unavailable")
        await alice.leave()
    run(story)


def test_disco(world):
    async def story():
        alice, romeo = await couple(world)
        for one, domain in ((alice, "theirs.example"), (romeo, "ours.example")):
            info = await one["xep_0030"].get_info(domain, timeout=PATIENCE_S)
            assert any(identity[0] == "server" for identity in info["disco_info"]["identities"])
            await one["xep_0199"].send_ping(domain, timeout=PATIENCE_S)
        items = await alice["xep_0030"].get_items("theirs.example", timeout=PATIENCE_S)
        assert "rooms.theirs.example" in [item[0] for item in items["disco_items"]["items"]]
        await alice.leave()
        await romeo.leave()
    run(story)


def watch_mood(client, other, told):
    def came(message):
        if message["from"].bare == other.boundjid.bare and not told.done():
            told.set_result(None)
    client.add_event_handler("user_mood_publish", came)


def test_their_personal_events(world):
    """PEP (XEP-0163): romeo, to whom alice is subscribed, tells his mood; her interest is in her capabilities."""
    async def story():
        alice, romeo = await couple(world)
        told = asyncio.get_running_loop().create_future()
        watch_mood(alice, romeo, told)
        alice["xep_0163"].add_interest("http://jabber.org/protocol/mood")
        await alice["xep_0115"].update_caps()
        await befriend(alice, romeo)
        await romeo["xep_0107"].publish_mood("happy", timeout=PATIENCE_S)
        await asyncio.wait_for(told, PATIENCE_S)
        await alice.leave()
        await romeo.leave()
    run(story)


async def join(client, room, nick):
    presence = client.make_presence(pto=f"{room}/{nick}")
    presence.append(ET.Element(f"{{{MUC}}}x"))
    presence.send()
    await client.wait("presence", lambda p: p["from"] == f"{room}/{nick}" and p["type"] == "available")


async def open_room(client, room):
    """A new room is locked until its owner has accepted its form (XEP-0045 §10.1.2)."""
    iq = client.make_iq_set(ito=room)
    query = ET.SubElement(iq.xml, f"{{{MUC}#owner}}query")
    ET.SubElement(query, "{jabber:x:data}x", {"type": "submit"})
    await iq.send(timeout=PATIENCE_S)


def test_their_room(world):
    async def story():
        room = "court@rooms.theirs.example"
        alice, romeo = await couple(world)
        await join(romeo, room, "Romeo")
        await open_room(romeo, room)
        await join(alice, room, "Alice")
        await alice.wait("presence", lambda p: p["from"] == f"{room}/Romeo")
        await romeo.wait("presence", lambda p: p["from"] == f"{room}/Alice")
        alice.send_message(room, "hello from abroad", mtype="groupchat")
        assert (await romeo.body("hello from abroad"))["from"] == f"{room}/Alice"
        romeo.send_message(room, "welcome", mtype="groupchat")
        assert (await alice.body("welcome"))["from"] == f"{room}/Romeo"
        alice.send_presence(pto=f"{room}/Alice", ptype="unavailable")
        await romeo.wait("presence", lambda p: p["from"] == f"{room}/Alice" and p["type"] == "unavailable")
        await alice.leave()
        await romeo.leave()
    run(story)


def test_our_room(world):
    async def story():
        room = "court@conference.ours.example"
        alice, romeo = await couple(world)
        await join(alice, room, "Alice")
        await open_room(alice, room)
        await join(romeo, room, "Romeo")
        await alice.wait("presence", lambda p: p["from"] == f"{room}/Romeo")
        await romeo.wait("presence", lambda p: p["from"] == f"{room}/Alice")
        alice.send_message(room, "come in", mtype="groupchat")
        assert (await romeo.body("come in"))["from"] == f"{room}/Alice"
        romeo.send_message(room, "what a house", mtype="groupchat")
        got = await alice.body("what a house")
        assert got["from"] == f"{room}/Romeo" and got.xml.find("{urn:xmpp:sid:0}stanza-id").get("by") == room
        romeo.send_presence(pto=f"{room}/Romeo", ptype="unavailable")
        await alice.wait("presence", lambda p: p["from"] == f"{room}/Romeo" and p["type"] == "unavailable")
        await alice.leave()
        await romeo.leave()
    run(story)


def test_our_personal_events(world):
    """PEP (XEP-0163) the other way: alice tells her mood to romeo, who is subscribed to her and interested."""
    async def story():
        alice, romeo = await couple(world)
        told = asyncio.get_running_loop().create_future()
        watch_mood(romeo, alice, told)
        romeo["xep_0163"].add_interest("http://jabber.org/protocol/mood")
        await romeo["xep_0115"].update_caps()
        await befriend(alice, romeo)
        await alice["xep_0107"].publish_mood("happy", timeout=PATIENCE_S)
        await asyncio.wait_for(told, PATIENCE_S)
        await alice.leave()
        await romeo.leave()
    run(story)
