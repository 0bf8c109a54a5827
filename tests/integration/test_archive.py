# SPDX-License-Identifier: MIT
"""The archive with slixmpp: two devices page through one account's messages, both ways."""
from xml.etree import ElementTree

import pytest
from slixmpp.exceptions import IqError

from jabiru import PATIENCE_S
from slix import Client, run

MAM, RSM = "{urn:xmpp:mam:2}", "{http://jabber.org/protocol/rsm}"
COUNT = 25


class Device(Client):
    async def page(self, **rsm):
        """The ids and bodies of one page of the own archive, whether nothing is left, the first and the last id."""
        query = ElementTree.Element(f"{MAM}query", queryid=self.new_id())
        page = ElementTree.SubElement(query, f"{RSM}set")
        for name, value in rsm.items():
            ElementTree.SubElement(page, RSM + name).text = None if value is None else str(value)
        iq = self.make_iq_set()
        iq.append(query)
        fin = (await iq.send(timeout=PATIENCE_S)).xml.find(f"{MAM}fin")
        results = [m.xml.find(f"{MAM}result") for m in self.arrived["message"]]
        mine = [r for r in results if r is not None and r.get("queryid") == query.get("queryid")]
        return ([(r.get("id"), next(r.iter("{jabber:client}body")).text) for r in mine], fin.get("complete") == "true",
                fin.findtext(f"{RSM}set/{RSM}first"), fin.findtext(f"{RSM}set/{RSM}last"))

    async def forward(self, size):
        found, more, complete = [], {}, False
        while not complete:
            page, complete, _, last = await self.page(max=size, **more)
            found, more = found + page, {"after": last}
        return found

    async def backward(self, size):
        found, before, complete = [], None, False
        while not complete:
            page, complete, before, _ = await self.page(max=size, before=before)
            found = page + found
        return found


def bodies(found):
    return [body for _, body in found]


def test_two_devices_page_through_the_archive_both_ways(server, ca, accounts):
    a, b = accounts("alice", "bob")

    async def story():
        alice = await Device(server, ca, a, "desk").login()
        desk, phone = [await Device(server, ca, b, name).login() for name in ("desk", "phone")]
        for i in range(COUNT):
            sender, other = (phone, alice) if i % 2 else (alice, phone)
            sender.send_message(mto=other.boundjid.bare, mbody=f"message {i}", mtype="chat")
            await other.wait("message", lambda m, i=i: m["body"] == f"message {i}")
        everything = [f"message {i}" for i in range(COUNT)]
        ahead = await phone.forward(10)
        assert bodies(ahead) == everything
        assert await desk.backward(7) == ahead
        assert bodies(await alice.forward(100)) == everything
        found, complete, _, _ = await desk.page(max=5, after=ahead[COUNT - 6][0])
        assert found == ahead[COUNT - 5:] and complete
        with pytest.raises(IqError) as caught:
            await alice.page(max=5, after=ahead[0][0])
        assert caught.value.condition == "item-not-found"
        for client in (alice, desk, phone):
            await client.leave()
    run(story)


def test_a_device_asks_at_once_for_what_it_has_just_sent(server, ca, accounts):
    a, b = accounts("alice", "bob")

    async def story():
        alice = await Device(server, ca, a, "desk").login()
        for i in range(COUNT):
            alice.send_message(mto=f"{b}@localhost", mbody=f"kept {i}", mtype="chat")
        assert bodies(await alice.forward(10)) == [f"kept {i}" for i in range(COUNT)]
        await alice.leave()
        bob = await Device(server, ca, b, "desk").login(presence=False)
        assert bodies(await bob.backward(9)) == [f"kept {i}" for i in range(COUNT)]
        await bob.leave()
    run(story)


def test_how_long_the_messages_of_an_account_stay_is_set_for_it(server, accounts):
    (alice,) = accounts("alice")
    jid = f"{alice}@localhost"

    def keep(*words, **options):
        return server.ctl("archive", "keep", *words, **options)
    assert keep(jid).stdout == "365d (as at the host)\n"
    for time, said in (("30d", "30d (of this user)\n"), ("36h", "36h (of this user)\n"), ("48h", "2d (of this user)\n"),
                       ("0", "for ever (of this user)\n"), ("default", "365d (as at the host)\n")):
        assert keep(jid, time).stdout == ""
        assert keep(jid).stdout == said
    for words in ((jid, "soon"), (jid, "0d"), (jid, "99999999d"), (jid, "d"), ("nobody@localhost",), ("alice@elsewhere.example", "1d"), ("x",)):
        failed = keep(*words, check=False)
        assert failed.returncode != 0 and failed.stderr, words
    keep(jid, "1d")
    server.ctl("user", "del", jid)
    server.add_user(jid)
    assert keep(jid).stdout == "365d (as at the host)\n"
