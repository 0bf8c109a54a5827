# SPDX-License-Identifier: MIT
"""Three servers of ours, all talking to all, while wires are cut, stall and heal, a server is killed and comes back, and the
name server goes away: every message is delivered once, or its sender gets an error; none comes twice. The same from one of
ours to an ejabberd, which has no stream management between servers."""
import asyncio
import itertools

import pytest

from jabiru import free_ports
from lab import EJABBERD, Ejabberd, Names, jabiru
from slix import Client, run
from wire import Wire

NAMES = ("one.example", "two.example", "three.example")
IMPATIENT = ("ack-time = 2s\nnegotiation-time = 2s\nconnect-time = 2s\nwait-time = 20s\nretry-time-max = 500ms\ndns-time = 500ms\n"
             "bidi = {bidi}\nca = \"{ca}\"")
BATCH, SETTLE_S = 15, 60


class Ring:
    def __init__(self, folder, ca, bidi):
        ports = dict(zip(NAMES, free_ports(3)))
        self.ca = ca
        self.wires = {name: Wire(port) for name, port in ports.items()}
        self.names = Names(folder / "names", {name: wire.port for name, wire in self.wires.items()}).start()
        lines = IMPATIENT.format(bidi=str(bidi).lower(), ca=ca.certificate)
        self.servers = {name: jabiru(folder / name, self.names, name, ca.issue(name, f"DNS:{name}", "serverAuth,clientAuth"),
                                     ports[name], lines).start() for name in NAMES}
        for name in NAMES:
            self.servers[name].add_user(f"user@{name}")
        self.sent, self.numbers = {}, itertools.count(1)

    def stop(self):
        for server in self.servers.values():
            server.stop()
        for wire in self.wires.values():
            wire.close()
        self.names.stop()


@pytest.fixture(params=[False, True], ids=["oneway", "bidi"])
def ring(request, tmp_path, ca):
    made = Ring(tmp_path, ca, request.param)
    yield made
    made.stop()


class Talk:
    """One client at each server; each hears what it is sent, and what comes back."""

    def __init__(self, ring):
        self.ring, self.clients = ring, {}
        self.heard, self.bounced = [], set()

    async def come(self, name):
        client = Client(self.ring.servers[name], self.ring.ca, "user", "r", host=name)
        client.add_event_handler("message", self._hear)
        client.add_event_handler("message_error", lambda message: self.bounced.add(message["id"]))
        self.clients[name] = await client.login()

    def _hear(self, message):
        if message["type"] == "chat":
            self.heard.append(message["body"])

    async def batch(self, fault=None, at=BATCH // 2, senders=NAMES):
        """Each writes to each; in the middle of it the fault happens. Returns the numbers."""
        numbers = []
        for turn in range(BATCH):
            if turn == at and fault:
                await asyncio.get_running_loop().run_in_executor(None, fault)
            for sender in senders:
                for to in NAMES:
                    if to == sender:
                        continue
                    message = self.clients[sender].make_message(f"user@{to}", mtype="chat")
                    message["id"] = message["body"] = f"m{next(self.ring.numbers)}"
                    message.send()
                    numbers.append(message["id"])
            await asyncio.sleep(0.01)
        return numbers

    async def settle(self, numbers):
        end = asyncio.get_running_loop().time() + SETTLE_S
        while True:
            open_ = [n for n in numbers if n not in self.bounced and n not in self.heard]
            if not open_:
                break
            assert asyncio.get_running_loop().time() < end, f"lost without a word: {open_}"
            await asyncio.sleep(0.05)
        assert len(set(self.heard)) == len(self.heard), "one came twice"
        return [n for n in numbers if n in self.bounced]


def test_three_servers(ring):
    async def story():
        talk = Talk(ring)
        for name in NAMES:
            await talk.come(name)
        assert not await talk.settle(await talk.batch())
        # a wire is cut in the middle of it; the next connection resumes, so nobody notices
        assert not await talk.settle(await talk.batch(ring.wires["two.example"].cut))
        assert not await talk.settle(await talk.batch(lambda: [wire.cut() for wire in ring.wires.values()]))
        # (not after the first: where streams go both ways, who connected first decides whose wires they take)
        assert any("is resumed" in line for server in ring.servers.values() for line in server.log)

        # a wire that stalls, for longer than acknowledgements may take
        numbers = await talk.batch(ring.wires["two.example"].stall)
        await asyncio.sleep(3)
        ring.wires["two.example"].heal()
        await talk.settle(numbers)

        # a server is killed, and comes back
        numbers = await talk.batch(ring.servers["two.example"].kill, senders=("one.example", "three.example"))
        ring.servers["two.example"].start()
        await talk.clients["two.example"].leave()
        await talk.come("two.example")
        await talk.settle(numbers)

        # the name server goes: who knows the way from before goes on, and one that has just been started tells its users
        ring.names.stop()
        for wire in ring.wires.values():
            wire.cut()
        await talk.settle(await talk.batch())
        ring.servers["three.example"].stop()
        ring.servers["three.example"].start()
        await talk.clients["three.example"].leave()
        await talk.come("three.example")
        assert await talk.settle(await talk.batch(senders=("three.example",)))
        ring.names.start()
        numbers = []

        async def works():
            numbers.extend(await talk.batch())
            return not await talk.settle(numbers[-BATCH * 6:])
        for _ in range(20):
            if await works():
                break
            await asyncio.sleep(0.2)
        else:
            raise AssertionError("they do not find each other again")
        for client in talk.clients.values():
            await client.leave()
    run(story)


@pytest.mark.skipif(not EJABBERD, reason="ejabberd is not installed")
def test_a_server_without_stream_management(tmp_path, ca):
    ours, theirs = "one.example", "theirs.example"
    ports = free_ports(2)
    wire = Wire(ports[1])
    names = Names(tmp_path / "names", {ours: ports[0], theirs: wire.port}).start()
    pairs = {name: ca.issue(name, f"DNS:{name}", "serverAuth,clientAuth") for name in (ours, theirs)}
    one = jabiru(tmp_path / "one", names, ours, pairs[ours], ports[0], IMPATIENT.format(bidi="false", ca=ca.certificate)).start()
    one.add_user(f"user@{ours}")
    two = Ejabberd(tmp_path / "ejabberd", names, theirs, pairs[theirs], ca, ports[1], True).start()
    heard, bounced, numbers = [], set(), []

    async def flood(sender, fault):
        for turn in range(60):
            if turn == 30:
                await asyncio.get_running_loop().run_in_executor(None, fault)
            message = sender.make_message(f"romeo@{theirs}", mtype="chat")
            message["id"] = message["body"] = f"m{len(numbers)}"
            message.send()
            numbers.append(message["id"])
            await asyncio.sleep(0.01)

    async def settle():
        end = asyncio.get_running_loop().time() + SETTLE_S
        while open_ := [n for n in numbers if n not in bounced and n not in heard]:
            assert asyncio.get_running_loop().time() < end, f"lost without a word: {open_}"
            await asyncio.sleep(0.05)
        assert len(set(heard)) == len(heard), "one came twice"

    async def story():
        sender, receiver = Client(one, ca, "user", "r", host=ours), Client(two, ca, "romeo", "r", host=theirs)
        receiver.add_event_handler("message", lambda message: heard.append(message["body"]))
        sender.add_event_handler("message_error", lambda message: bounced.add(message["id"]))
        await asyncio.gather(sender.login(), receiver.login())
        await flood(sender, lambda: None)
        await settle()
        await asyncio.get_running_loop().run_in_executor(None, one.wait_log, "has proved")
        assert not bounced
        for _ in range(3):
            await flood(sender, wire.cut)
            await settle()
        assert numbers[0] not in bounced
        # what goes into a wire that stalls is lost with it, and its senders are told
        before = set(bounced)
        await flood(sender, wire.stall)
        wire.heal()
        await settle()
        assert bounced - before - set(heard)
        await asyncio.gather(sender.leave(), receiver.leave())
    try:
        run(story)
    finally:
        one.stop()
        two.stop()
        wire.close()
        names.stop()
