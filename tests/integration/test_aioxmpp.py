# SPDX-License-Identifier: MIT
"""Accounts with a device on aioxmpp and others on slixmpp: two libraries that share no code must see the same."""
import asyncio
import base64
import hashlib
from xml.etree import ElementTree

import aioxmpp
import aioxmpp.avatar
import aioxmpp.blocking
import aioxmpp.bookmarks
import OpenSSL.SSL
import pytest

from aio import AXOLOTL, Active, Device, IdentityKey, Inactive, OmemoBundle, OmemoDevice, OmemoDevices, run
from jabiru import PATIENCE_S
from slix import Client

CARBONS = "{urn:xmpp:carbons:2}"
EVENT = "{http://jabber.org/protocol/pubsub#event}"
METADATA = "urn:xmpp:avatar:metadata"
BOOKMARKS = "urn:xmpp:bookmarks:1"
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Other(Client):
    """The device on slixmpp."""

    def __init__(self, *args, interests=()):
        super().__init__(*args)
        for plugin in ("xep_0004", "xep_0060", "xep_0084", "xep_0115", "xep_0163", "xep_0191", "xep_0280", "xep_0313"):
            self.register_plugin(plugin)
        for node in interests:
            self["xep_0030"].add_feature(f"{node}+notify")

    async def online(self):
        await self.login(presence=False)
        await self.whole_roster()
        await self["xep_0115"].update_caps(broadcast=False)
        self.send_presence()
        await self.wait("presence", lambda p: p["from"] == self.boundjid)
        return self

    async def copy(self, direction, text):
        path = f"{CARBONS}{direction}/{{urn:xmpp:forward:0}}forwarded/{{jabber:client}}message/{{jabber:client}}body"
        return await self.wait("message", lambda m: any(body.text == text for body in m.xml.iterfind(path)))

    async def news(self, node):
        def items_of(message):
            return message.xml.find(f"{EVENT}event/{EVENT}items[@node='{node}']")
        message = await self.wait("message", lambda m: items_of(m) is not None)
        return message["from"], list(items_of(message))


async def befriend(device, other):
    """The slixmpp user asks, the aioxmpp user agrees and asks back."""
    client = device.client

    def say(kind):
        client.enqueue(aioxmpp.Presence(type_=kind, to=aioxmpp.JID.fromstr(other.boundjid.bare)))
    other.send_presence_subscription(pto=str(device.bare))
    say(aioxmpp.PresenceType.SUBSCRIBED)
    say(aioxmpp.PresenceType.SUBSCRIBE)
    await other.wait("presence", lambda p: p._get_attr("type") == "subscribe" and p["from"].bare == str(device.bare))
    other.send_presence(pto=str(device.bare), ptype="subscribed")
    await other.ping()
    say(aioxmpp.PresenceType.SUBSCRIBED)  # in whichever order the first two had come
    await device.ping()


def carbon(wrapper, text):
    return lambda m: getattr(m, wrapper) is not None and text in getattr(m, wrapper).stanza.body.values()


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
def test_a_certificate_of_another_ca_is_refused(server, ca, other_ca, accounts, direct):
    (alice,) = accounts("alice")

    async def story():
        with pytest.raises(OpenSSL.SSL.Error):
            await Device(server, other_ca, alice, "desk", direct=direct).login()
        await (await Device(server, ca, alice, "desk", direct=direct).login()).leave()
    run(story)


def test_three_devices_of_two_libraries_have_both_sides(server, ca, accounts):
    a, b = accounts("alice", "bob")

    async def story():
        desk, phone = [await Device(server, ca, a, name, [aioxmpp.CarbonsClient]).login() for name in ("desk", "phone")]
        pad, bob = await Other(server, ca, a, "pad").login(), await Other(server, ca, b, "desk").login()
        for device in (desk, phone):
            await device[aioxmpp.CarbonsClient].enable()
        await pad["xep_0280"].enable()
        bob.send_message(str(desk.jid), "to the desk", mtype="chat")
        await desk.body("to the desk")
        await phone.wait(carbon("xep0280_received", "to the desk"))
        await pad.copy("received", "to the desk")
        for sender, text in ((desk, "from the desk"), (phone, "from the phone")):
            sender.say(aioxmpp.JID.fromstr(str(bob.boundjid)), text)
            await bob.body(text)
            await (phone if sender is desk else desk).wait(carbon("xep0280_sent", text))
            await pad.copy("sent", text)
        pad.send_message(str(bob.boundjid), "from the pad", mtype="chat")
        for device in (desk, phone):
            await device.wait(carbon("xep0280_sent", "from the pad"))
        await phone[aioxmpp.CarbonsClient].disable()
        bob.send_message(str(desk.jid), "for two", mtype="chat")
        await pad.copy("received", "for two")
        for device in (desk, phone):
            await device.ping()
        assert [m.body.any() for m in desk.messages] == ["for two"] and not phone.messages
        for device in (desk, phone, pad, bob):
            await device.leave()
    run(story)


def test_both_page_through_one_archive_both_ways(server, ca, accounts):
    a, b = accounts("alice", "bob")
    said = [f"message {number}" for number in range(23)]

    async def story():
        phone = await Device(server, ca, a, "phone").login()
        desk, bob = await Other(server, ca, a, "desk").login(), await Other(server, ca, b, "desk").login()
        for number, text in enumerate(said):
            if number % 2:
                phone.say(aioxmpp.JID(b, "localhost", None), text)
                await bob.body(text)
            else:
                bob.send_message(str(phone.jid), text, mtype="chat")
                await phone.body(text)
        ahead = await phone.pages(5, backwards=False)
        assert [text for _, text in ahead] == said
        for size in (1, 4, 23, 50):
            assert await phone.pages(size, backwards=True) == ahead
        seen = []
        async for page in desk["xep_0313"].retrieve(iterator=True, rsm={"max": 6}):
            seen += [(m["mam_result"]["id"], m["mam_result"]["forwarded"]["stanza"]["body"]) for m in page["mam"]["results"]]
        assert seen == ahead
        for device in (phone, desk, bob):
            await device.leave()
    run(story)


class Talk:
    """Two phones whose people write numbered lines to each other."""

    def __init__(self, *phones):
        self.phones, self.number, self.sent = phones, 0, []

    async def lines(self, count=3):
        for self.number in range(self.number + 1, self.number + count + 1):
            for one, other in (self.phones, self.phones[::-1]):
                self.sent.append((one, one.say(other.bare, f"{self.number}")))
        return count

    async def acknowledged(self, *phones):
        await asyncio.wait_for(asyncio.gather(*(token.future for phone, token in self.sent if phone in phones)), PATIENCE_S)

    async def judge(self):
        await self.acknowledged(*self.phones)
        for phone in self.phones:
            # after a restart a line may be acknowledged when it is in the offline store, a moment before it is delivered
            await phone.have(self.number)
            await phone.ping()
            got = [int(m.body.any()) for m in phone.messages]
            # aioxmpp sends again in reverse order what was not acknowledged
            assert sorted(got) == list(range(1, self.number + 1)), f"{phone.jid} got {got}"


@pytest.mark.parametrize("killed", [False, True], ids=["cut", "killed"])
def test_a_cut_loses_and_doubles_nothing(make_server, ca, killed):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")

    async def story():
        alice, bob = [await Device(server, ca, name, "phone").login() for name in ("alice", "bob")]
        assert alice.client.stream.sm_resumable
        talk = Talk(alice, bob)
        for _ in range(3):
            await talk.lines()
            await alice.lose_connection(talk.lines)
            await talk.lines()
            if killed:
                gone = bob.moment(bob.client.on_stream_suspended)
                server.kill()
                await asyncio.wait_for(gone, PATIENCE_S)
                back = bob.moment(bob.client.on_stream_resumed)
                server.start()
                await asyncio.wait_for(back, PATIENCE_S)
            await alice.find_connection()
        await talk.lines()
        await talk.judge()
        for device in (alice, bob):
            await device.leave()
    run(story)


def test_a_phone_in_the_pocket(server, ca, accounts):
    a, b = accounts("alice", "bob")

    async def story():
        phone = await Device(server, ca, a, "phone").login()
        bob = await Other(server, ca, b, "desk").login()
        seen = []
        dispatcher = phone.client.summon(aioxmpp.dispatcher.SimplePresenceDispatcher)
        dispatcher.register_callback(None, aioxmpp.JID.fromstr(str(bob.boundjid)), lambda p: seen.append(p.status.any()))
        await phone.state(Inactive())
        for status in ("one", "two", "three"):
            bob.send_presence(pto=str(phone.jid), pstatus=status)
        await bob.ping()
        assert not seen
        bob.send_message(str(phone.jid), "look", mtype="chat")
        await phone.body("look")
        assert seen == ["three"]
        bob.send_presence(pto=str(phone.jid), pstatus="four")
        await bob.ping()
        await phone.state(Active())
        assert seen == ["three", "four"]
        for device in (phone, bob):
            await device.leave()
    run(story)


def test_avatars_go_both_ways(server, ca, accounts):
    a, b = accounts("alice", "bob")

    async def story():
        kinds = [aioxmpp.avatar.AvatarService, aioxmpp.EntityCapsService]
        alice = await Device(server, ca, a, "phone", kinds).login()
        bob = await Other(server, ca, b, "desk", interests=[METADATA]).online()
        await befriend(alice, bob)
        avatars = aioxmpp.avatar.AvatarSet()
        avatars.add_avatar_image("image/png", image_bytes=IMAGE)
        service = alice[aioxmpp.avatar.AvatarService]
        await service.publish_avatar_set(avatars)
        sender, items = await bob.news(METADATA)
        assert sender == str(alice.bare) and items[0].get("id") == avatars.png_id
        data = await bob["xep_0084"].retrieve_avatar(str(alice.bare), avatars.png_id, timeout=PATIENCE_S)
        assert data["pubsub"]["items"]["item"]["avatar_data"]["value"] == IMAGE

        changed = asyncio.get_running_loop().create_future()
        service.on_metadata_changed.connect(lambda jid, metadata: jid == bob_bare and not changed.done()
                                            and changed.set_result(metadata) and None)
        bob_bare, other = aioxmpp.JID(b, "localhost", None), IMAGE + b"of bob"
        name = hashlib.sha1(other).hexdigest()
        await bob["xep_0084"].publish_avatar(other, timeout=PATIENCE_S)
        await bob["xep_0084"].publish_avatar_metadata({"id": name, "type": "image/png", "bytes": len(other)}, timeout=PATIENCE_S)
        (found,) = await asyncio.wait_for(changed, PATIENCE_S)
        assert found.normalized_id == name and await found.get_image_bytes() == other
        for device in (alice, bob):
            await device.leave()
    run(story)


def test_omemo_bundles_go_both_ways(server, ca, accounts):
    a, b = accounts("alice", "bob")
    node = f"{AXOLOTL}.devicelist"

    async def story():
        kinds = [aioxmpp.PEPClient, aioxmpp.PubSubClient, aioxmpp.EntityCapsService]
        alice = await Device(server, ca, a, "phone", kinds).login()
        bob = await Other(server, ca, b, "desk", interests=[node]).online()
        await befriend(alice, bob)
        devices, bundle, pep = OmemoDevices(), OmemoBundle(), alice[aioxmpp.PEPClient]
        devices.devices.extend(OmemoDevice(number) for number in (11, 12))
        bundle.identity = IdentityKey()
        bundle.identity.key = b"the key of eleven"
        await pep.publish(f"{AXOLOTL}.bundles:11", bundle, id_="current", access_model="open")
        await pep.publish(node, devices, id_="current", access_model="open")
        sender, items = await bob.news(node)
        assert sender == str(alice.bare) and [d.get("id") for d in items[0][0]] == ["11", "12"]
        answer = await bob["xep_0060"].get_items(str(alice.bare), f"{AXOLOTL}.bundles:11", timeout=PATIENCE_S)
        key = answer.xml.find(f".//{{{AXOLOTL}}}identityKey").text
        assert base64.b64decode(key) == b"the key of eleven"

        payload = f"<list xmlns='{AXOLOTL}'><device id='21'/></list>"
        await bob["xep_0060"].publish(None, node, id="current", payload=ElementTree.fromstring(payload), timeout=PATIENCE_S)
        answer = await alice[aioxmpp.PubSubClient].get_items(aioxmpp.JID(b, "localhost", None), node)
        (item,) = answer.payload.items
        assert [device.id_ for device in item.registered_payload.devices] == [21]
        for device in (alice, bob):
            await device.leave()
    run(story)


def test_bookmarks_of_an_older_kind_are_items(server, ca, accounts):
    """aioxmpp keeps them in private storage (XEP-0049), others as items of a node (XEP-0402): each sees what the other does."""
    (a,) = accounts("alice")

    async def story():
        phone = await Device(server, ca, a, "phone", [aioxmpp.BookmarkClient]).login()
        desk = await Other(server, ca, a, "desk", interests=[BOOKMARKS]).online()
        marks, room = phone[aioxmpp.BookmarkClient], aioxmpp.JID.fromstr("marula@rooms.example")
        await marks.add_bookmark(aioxmpp.bookmarks.Conference("Marula", room, autojoin=True, nick="al"))
        _, (item,) = await desk.news(BOOKMARKS)
        assert item.get("id") == str(room) and item[0].get("name") == "Marula" and item[0].get("autojoin") in ("1", "true")
        payload = "<conference xmlns='urn:xmpp:bookmarks:1' name='Baobab'><nick>al</nick></conference>"
        await desk["xep_0060"].publish(None, BOOKMARKS, id="baobab@rooms.example", payload=ElementTree.fromstring(payload),
                                       timeout=PATIENCE_S)
        found = {str(mark.jid): mark for mark in await marks.get_bookmarks()}
        assert set(found) == {str(room), "baobab@rooms.example"} and found["baobab@rooms.example"].nick == "al"
        await marks.discard_bookmark(found[str(room)])
        answer = await desk["xep_0060"].get_items(None, BOOKMARKS, timeout=PATIENCE_S)
        assert [item["id"] for item in answer["pubsub"]["items"]] == ["baobab@rooms.example"]
        for device in (phone, desk):
            await device.leave()
    run(story)


def test_a_block_counts_on_all_devices(server, ca, accounts):
    a, b = accounts("alice", "bob")

    async def story():
        phone, pad = [await Device(server, ca, a, name, [aioxmpp.BlockingClient]).login() for name in ("phone", "pad")]
        desk, bob = await Other(server, ca, a, "desk").login(), await Other(server, ca, b, "desk").login()
        bare = aioxmpp.JID(b, "localhost", None)
        pushed = asyncio.ensure_future(desk.wait_until("blocked", PATIENCE_S))
        await desk["xep_0191"].get_blocked()
        await phone[aioxmpp.BlockingClient].block_jids([bare])
        await pushed
        for device in (phone, pad):
            await device.ping()
            assert device[aioxmpp.BlockingClient].blocklist == {bare}
        for to in (phone.jid, pad.jid, phone.bare):
            bob.send_message(str(to), "let me in", mtype="chat")
            error = await bob.wait("message", lambda m: m["type"] == "error")
            assert error["error"]["condition"] == "service-unavailable"
        await desk["xep_0191"].unblock(str(bare))
        bob.send_message(str(pad.jid), "thanks", mtype="chat")
        await pad.body("thanks")
        for device in (phone, pad):
            assert not device[aioxmpp.BlockingClient].blocklist and not device.messages
        for device in (phone, pad, desk, bob):
            await device.leave()
    run(story)
