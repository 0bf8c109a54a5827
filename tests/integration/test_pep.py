# SPDX-License-Identifier: MIT
"""Personal eventing with slixmpp: two people, several devices; avatars, keys for encryption, bookmarks."""
import base64
import hashlib
from xml.etree import ElementTree

import pytest
from slixmpp.exceptions import IqError

from jabiru import PATIENCE_S
from slix import Client, run

PUBSUB = "{http://jabber.org/protocol/pubsub}"
EVENT = "{http://jabber.org/protocol/pubsub#event}"
AVATAR_DATA, AVATAR = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"
DEVICES, BUNDLES = "urn:xmpp:omemo:2:devices", "urn:xmpp:omemo:2:bundles"
BOOKMARKS = "urn:xmpp:bookmarks:1"
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


class Device(Client):
    """A client that says in its capabilities (XEP-0115) which nodes it wants to hear of."""

    def __init__(self, *args, interests=(), **kwargs):
        super().__init__(*args, **kwargs)
        for plugin in ("xep_0004", "xep_0060", "xep_0115", "xep_0163", "xep_0084"):
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

    async def publish(self, node, payload, item="current", **options):
        form = None
        if options:
            form = self["xep_0004"].make_form(ftype="submit")
            form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
            for name, value in options.items():
                form.add_field(var=f"pubsub#{name}", value=value)
        return await self["xep_0060"].publish(None, node, id=item, payload=ElementTree.fromstring(payload), options=form,
                                              timeout=PATIENCE_S)

    async def news(self, node):
        """The items of the next notification from a node."""
        def items_of(message):
            return message.xml.find(f"{EVENT}event/{EVENT}items[@node='{node}']")
        message = await self.wait("message", lambda m: items_of(m) is not None)
        return message["from"], list(items_of(message))

    async def items(self, jid, node):
        answer = await self["xep_0060"].get_items(jid, node, timeout=PATIENCE_S)
        return {item.get("id"): item[0] for item in answer.xml.iter(f"{PUBSUB}item")}


async def befriend(alice, bob):
    """Both see each other's presence."""
    for one, other in ((alice, bob), (bob, alice)):
        one.send_presence_subscription(pto=other.boundjid.bare)
        await other.subscription("subscribe", one)
        other.send_presence(pto=one.boundjid.bare, ptype="subscribed")
        await one.subscription("subscribed", other)


def test_an_avatar_reaches_the_contact_now_and_later(server, ca, accounts):
    a, b = accounts("alice", "bob")

    async def story():
        alice = await Device(server, ca, a, "desk", interests=[AVATAR]).online()
        bob = await Device(server, ca, b, "desk", interests=[AVATAR]).online()
        await befriend(alice, bob)
        name = hashlib.sha1(IMAGE).hexdigest()
        await alice["xep_0084"].publish_avatar(IMAGE, timeout=PATIENCE_S)
        await alice["xep_0084"].publish_avatar_metadata(
            [{"id": name, "type": "image/png", "bytes": str(len(IMAGE)), "width": "1", "height": "1"}], timeout=PATIENCE_S)
        for device in (alice, bob):
            sender, items = await device.news(AVATAR)
            assert sender == alice.boundjid.bare and items[0].get("id") == name
        await alice.leave()
        # alice is away, and her avatar is there all the same for a device that comes
        phone = await Device(server, ca, b, "phone", interests=[AVATAR]).online()
        sender, items = await phone.news(AVATAR)
        assert sender == alice.boundjid.bare and items[0].get("id") == name
        data = await phone.items(alice.boundjid.bare, AVATAR_DATA)
        assert base64.b64decode("".join(data[name].text.split())) == IMAGE
        await bob.leave()
        await phone.leave()
    run(story)


def test_omemo_keys_of_two_devices(server, ca, accounts):
    """XEP-0384: a list of devices and a bundle for each, open to all; a stranger fetches them."""
    a, b = accounts("alice", "bob")

    def device_list(*ids):
        return "<devices xmlns='urn:xmpp:omemo:2'>" + "".join(f"<device id='{i}'/>" for i in ids) + "</devices>"

    def bundle(ident):
        keys = "".join(f"<pk id='{n}'>{'A' * 44}</pk>" for n in range(100))
        return f"<bundle xmlns='urn:xmpp:omemo:2'><ik>{ident}</ik><prekeys>{keys}</prekeys></bundle>"

    async def story():
        desk = await Device(server, ca, a, "desk", interests=[DEVICES]).online()
        phone = await Device(server, ca, a, "phone", interests=[DEVICES]).online()
        bob = await Device(server, ca, b, "desk").online()
        for device, ident, known in ((desk, 1, (1,)), (phone, 2, (1, 2))):
            await device.publish(BUNDLES, bundle(ident), str(ident), access_model="open", max_items="max")
            await device.publish(DEVICES, device_list(*known), access_model="open")
            for other in (desk, phone):
                _, items = await other.news(DEVICES)
                assert [d.get("id") for d in items[0][0]] == [str(n) for n in known]
        found = await bob.items(desk.boundjid.bare, DEVICES)
        assert [d.get("id") for d in found["current"]] == ["1", "2"]
        bundles = await bob.items(desk.boundjid.bare, BUNDLES)
        assert set(bundles) == {"1", "2"} and bundles["2"][0].text == "2" and len(bundles["1"][1]) == 100
        with pytest.raises(IqError) as error:
            await bob["xep_0060"].publish(desk.boundjid.bare, DEVICES, payload=ElementTree.fromstring(device_list(9)),
                                          timeout=PATIENCE_S)
        assert error.value.condition == "forbidden"
        for client in (desk, phone, bob):
            await client.leave()
    run(story)


def test_bookmarks_on_two_devices(server, ca, accounts):
    """XEP-0402: an item a room, for oneself alone, added and retracted on one device and seen on the other."""
    a, b = accounts("alice", "bob")

    def room(name):
        return f"<conference xmlns='urn:xmpp:bookmarks:1' name='{name}' autojoin='true'/>"

    async def story():
        desk = await Device(server, ca, a, "desk", interests=[BOOKMARKS]).online()
        phone = await Device(server, ca, a, "phone", interests=[BOOKMARKS]).online()
        bob = await Device(server, ca, b, "desk", interests=[BOOKMARKS]).online()
        await befriend(desk, bob)
        options = {"persist_items": "true", "max_items": "max", "send_last_published_item": "never", "access_model": "whitelist"}
        for number in range(5):
            await desk.publish(BOOKMARKS, room(f"Room {number}"), f"room{number}@rooms.example", **options)
            _, items = await phone.news(BOOKMARKS)
            assert items[0].get("id") == f"room{number}@rooms.example"
        assert len(await phone.items(None, BOOKMARKS)) == 5
        await phone["xep_0060"].retract(None, BOOKMARKS, "room2@rooms.example", notify=True, timeout=PATIENCE_S)
        while (gone := (await desk.news(BOOKMARKS))[1][0]).tag != f"{EVENT}retract":
            pass
        assert gone.get("id") == "room2@rooms.example"
        assert set(await desk.items(None, BOOKMARKS)) == {f"room{n}@rooms.example" for n in (0, 1, 3, 4)}
        with pytest.raises(IqError) as error:
            await bob.items(desk.boundjid.bare, BOOKMARKS)
        assert error.value.condition == "not-allowed"
        await bob.ping()
        assert not [m for m in bob.arrived["message"] if m.xml.find(f"{EVENT}event") is not None]
        for client in (desk, phone, bob):
            await client.leave()
    run(story)
