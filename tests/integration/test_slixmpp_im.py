# SPDX-License-Identifier: MIT
"""Two people with several devices each, in slixmpp: copies, client state, blocking."""
import asyncio

from slixmpp.xmlstream import ET

from slix import Client, run

CARBONS = "{urn:xmpp:carbons:2}"


async def device(server, ca, user, resource):
    client = Client(server, ca, user, resource)
    client.register_plugin("xep_0280")
    client.register_plugin("xep_0352")
    client.register_plugin("xep_0191")
    await client.login()
    await client["xep_0280"].enable()
    return client


def copied(direction, text):
    path = f"{CARBONS}{direction}/{{urn:xmpp:forward:0}}forwarded/{{jabber:client}}message/{{jabber:client}}body"
    return lambda message: any(body.text == text for body in message.xml.iterfind(path))


def test_three_devices_have_both_sides_of_a_conversation(server, ca, accounts):
    alice, bob = accounts("alice", "bob")

    async def story():
        desk, phone, pad = [await device(server, ca, alice, name) for name in ("desk", "phone", "pad")]
        peer = await device(server, ca, bob, "one")
        assert "urn:xmpp:carbons:rules:0" in (await desk["xep_0030"].get_info("localhost"))["disco_info"]["features"]
        peer.send_message(desk.boundjid, "to the desk")
        await desk.body("to the desk")
        for other in (phone, pad):
            await other.wait("message", copied("received", "to the desk"))
        phone.send_message(peer.boundjid, "from the phone")
        await peer.body("from the phone")
        for other in (desk, pad):
            await other.wait("message", copied("sent", "from the phone"))
        for client in (desk, phone, pad, peer):
            await client.ping()
            assert not client.arrived["message"]
            await client.leave()
    run(story)


def test_a_phone_in_the_pocket(server, ca, accounts):
    alice, bob = accounts("alice", "bob")

    async def story():
        phone = await device(server, ca, alice, "phone")
        peer = await device(server, ca, bob, "one")
        assert phone["xep_0352"].enabled
        phone["xep_0352"].send_inactive()
        await phone.ping()
        for status in ("one", "two", "three"):
            peer.send_presence(pto=phone.boundjid, pstatus=status)
        typing = peer.make_message(phone.boundjid, mtype="chat")
        typing.append(ET.Element("{http://jabber.org/protocol/chatstates}composing"))
        typing.send()
        await peer.ping()
        assert not [p for p in phone.arrived["presence"] if p["from"] == peer.boundjid]
        peer.send_message(phone.boundjid, "look")
        await phone.body("look")
        assert [p["status"] for p in phone.arrived["presence"] if p["from"] == peer.boundjid] == ["three"]
        await phone.wait("message", lambda m: m.xml.find("{http://jabber.org/protocol/chatstates}composing") is not None)
        await phone.leave()
        await peer.leave()
    run(story)


def test_a_block_counts_on_all_devices(server, ca, accounts):
    alice, bob = accounts("alice", "bob")

    async def story():
        desk, phone = [await device(server, ca, alice, name) for name in ("desk", "phone")]
        peer = await device(server, ca, bob, "one")
        pushed = asyncio.ensure_future(phone.wait_until("blocked", 30))
        await phone["xep_0191"].get_blocked()
        await desk["xep_0191"].block(peer.boundjid.bare)
        await pushed
        for to in (desk.boundjid, phone.boundjid, desk.boundjid.bare):
            peer.send_message(to, "let me in")
            error = await peer.wait("message", lambda m: m["type"] == "error")
            assert error["error"]["condition"] == "service-unavailable"
        phone.send_message(peer.boundjid, "no")
        error = await phone.wait("message", lambda m: m["type"] == "error")
        assert error["error"]["condition"] == "not-acceptable"
        assert error.xml.find(".//{urn:xmpp:blocking:errors}blocked") is not None
        await phone["xep_0191"].unblock(peer.boundjid.bare)
        items = (await desk["xep_0191"].get_blocked())["blocklist"]["items"]
        assert not items
        peer.send_message(desk.boundjid, "thanks")
        await desk.body("thanks")
        for client in (desk, phone, peer):
            await client.leave()
    run(story)
