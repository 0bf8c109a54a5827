# SPDX-License-Identifier: MIT
"""Files through the proxy (XEP-0065): two slixmpp clients, one and two shards, more than the proxy holds; and sockets of our
own for what slixmpp does not do."""
import asyncio
import contextlib
import hashlib
import os
import socket
import struct
import threading

import pytest
from slixmpp.exceptions import IqError

from jabiru import PATIENCE_S, free_ports, wait_for
from raw import Raw
from slix import Client, run

NS = "http://jabber.org/protocol/bytestreams"
SIZE = 1 << 20
ALICE = "alice@localhost/desk"


def proxied(make_server, port, more="", lines=""):
    return make_server(lines=f'{lines}\nbytestreams {{\n  port = {port}\n  listen = {{"127.0.0.1"}}\n  address = "127.0.0.1"\n{more}\n}}')


class Peer(Client):
    """One end of a transfer: what came, and that it has ended."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.register_plugin("xep_0065", {"auto_accept": True})
        self.bytes, self.ended = bytearray(), asyncio.Event()
        self.enough, self.wanted = asyncio.Event(), SIZE
        self.stream = None
        self.add_event_handler("socks5_stream", self._begin)
        self.add_event_handler("socks5_data", self._take)
        self.add_event_handler("socks5_closed", lambda _: self.ended.set())

    def _begin(self, stream):
        self.stream = stream

    def _take(self, data):
        self.bytes += data
        if len(self.bytes) >= self.wanted:
            self.enough.set()

    def digest(self):
        return hashlib.sha256(self.bytes).digest()


@pytest.mark.parametrize("shards", (1, 2))
def test_a_megabyte_each_way(make_server, ca, shards):
    port, = free_ports(1)
    server = proxied(make_server, port, lines=f"shards = {shards}")
    server.add_user("alice@localhost", "bob@localhost")

    async def story():
        alice, bob = await Peer(server, ca, "alice", "desk").login(), await Peer(server, ca, "bob", "phone").login()
        there, back = os.urandom(SIZE), os.urandom(SIZE)
        stream = await alice["xep_0065"].handshake(bob.boundjid, timeout=PATIENCE_S)
        assert stream is not None
        stream.transport.write(there)
        await asyncio.wait_for(bob.enough.wait(), PATIENCE_S)
        assert bob.digest() == hashlib.sha256(there).digest()
        bob.stream.transport.write(back)
        await asyncio.wait_for(alice.enough.wait(), PATIENCE_S)
        assert alice.digest() == hashlib.sha256(back).digest()
        stream.transport.close()
        await asyncio.wait_for(bob.ended.wait(), PATIENCE_S)
        assert f"{2 * SIZE} (bytes that it has relayed)" in server.ctl("status").stdout
        await alice.leave()
        await bob.leave()

    run(story)


def exactly(one, count):
    """So many bytes, or what there is to the end."""
    data = b""
    while len(data) < count and (more := one.recv(count - len(data))):
        data += more
    return data


def name_of(sid, requester, target):
    return hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()


def connect(port, name):
    """A SOCKS5 connection that asks for a stream."""
    one = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    one.sendall(b"\x05\x01\x00")
    assert exactly(one, 2) == b"\x05\x00"
    one.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name.encode() + b"\x00\x00")
    answer = exactly(one, 47)
    assert answer[:2] == b"\x05\x00" and answer[5:45].decode() == name, answer
    return one


def send(one, data):
    """As much of it as the other end takes."""
    with contextlib.suppress(OSError):
        one.sendall(data)


def stream(client, port, sid="s", target="bob@localhost/phone"):
    """Both ends, activated by alice."""
    name = name_of(sid, ALICE, target)
    ends = connect(port, name), connect(port, name)
    client.ask(f"<query xmlns='{NS}' sid='{sid}'><activate>{target}</activate></query>", to="proxy.localhost", kind="set")
    return ends


def test_who_reads_slowly_costs_no_more_than_a_queue(make_server, ca):
    port, = free_ports(1)
    server = proxied(make_server, port, 'rate = "0"')
    server.add_user("alice@localhost")
    alice = Raw(server, ca).login("alice", "desk")
    sender, receiver = stream(alice, port)
    data = os.urandom(64 << 20)
    sending = threading.Thread(target=sender.sendall, args=(data,), daemon=True)
    sending.start()
    relayed, same = 0, 0
    while same < 5:  # until nothing moves any more: all queues are full
        now = int(next(line for line in server.ctl("status").stdout.splitlines() if line.startswith("bytestream_bytes")).split()[1])
        same = same + 1 if now and now == relayed else 0
        relayed = now
    assert sending.is_alive() and relayed < len(data) // 2
    got = hashlib.sha256()
    for _ in range(len(data) // 65536):
        got.update(exactly(receiver, 65536))
    assert got.digest() == hashlib.sha256(data).digest()
    sending.join(PATIENCE_S)
    sender.close()
    assert receiver.recv(1) == b""
    receiver.close()
    alice.close()


def test_many_at_once_on_several_shards(make_server, ca):
    """Streams are spread over the shards by their names; some are cut in the middle, some before they begin."""
    port, = free_ports(1)
    server = proxied(make_server, port, "streams = 100", lines="shards = 3")
    server.add_user("alice@localhost")
    alice, lock = Raw(server, ca).login("alice", "desk"), threading.Lock()
    failures = []

    def transfer(number):
        data = os.urandom(300000)
        name = name_of(f"s{number}", ALICE, "bob@localhost/phone")
        first, second = connect(port, name), connect(port, name)
        if number % 5 == 0:
            first.close()
            return
        with lock:
            done = alice.ask(f"<query xmlns='{NS}' sid='s{number}'><activate>bob@localhost/phone</activate></query>", to="proxy.localhost", kind="set")
        if done.get("type") != "result":
            failures.append(f"{number} was not activated")
        sending = threading.Thread(target=send, args=(first, data))
        sending.start()
        if number % 5 == 1:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif exactly(second, len(data)) != data:
            failures.append(f"{number} brought something else")
        second.close()
        sending.join(PATIENCE_S)
        first.close()

    threads = [threading.Thread(target=transfer, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not failures and not any(thread.is_alive() for thread in threads), failures
    assert alice.ping().get("type") == "result"
    for number in range(100, 103):  # the account's streams have all been given back
        for end in stream(alice, port, f"s{number}"):
            end.close()
    alice.close()


def test_what_is_refused(make_server, ca):
    port, = free_ports(1)
    server = proxied(make_server, port, 'size = "64K"\n  wait = 1s\n  idle = 1s')
    server.add_user("alice@localhost")
    alice = Raw(server, ca).login("alice", "desk")
    for wrong in (b"GET / HTTP/1.0\r\n\r\n", b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00"):
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as one:
            one.sendall(wrong)
            assert one.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as one:  # no way to another host
        one.sendall(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50")
        assert exactly(one, 12) == b"\x05\x00\x05\x08\x00\x01" + bytes(6) and one.recv(1) == b""
    waiting = connect(port, name_of("other", ALICE, "bob@localhost/phone"))
    assert waiting.recv(1) == b""  # in vain, for a second
    sender, receiver = stream(alice, port, "large")
    sender.sendall(bytes(100000))
    wait_for(lambda: not receiver.recv(65536), "the end of a stream that is too large")
    sender, receiver = stream(alice, port, "idle")
    assert receiver.recv(1) == b"" and sender.recv(1) == b""
    alice.close()


def test_connections_count_by_address(make_server, ca):
    """As strangers until their stream is activated."""
    port, = free_ports(1)
    server = proxied(make_server, port, lines="addresses {\n exempt = {}\n unauthenticated = 2\n}")
    server.add_user("alice@localhost")
    alice = Raw(server, ca).login("alice", "desk")
    name = name_of("s", ALICE, "bob@localhost/phone")
    ends = [connect(port, name), connect(port, name)]
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as third:
        assert third.recv(1) == b""
    assert alice.ask(f"<query xmlns='{NS}' sid='s'><activate>bob@localhost/phone</activate></query>", to="proxy.localhost", kind="set").get("type") == "result"
    ends.append(connect(port, name_of("other", ALICE, "bob@localhost/phone")))
    for end in ends:
        end.close()
    alice.close()


def test_strangers_may_not(make_server, certificate, ca):
    port, = free_ports(1)
    server = make_server(hosts={"localhost": certificate, "other.example": ca.issue("other", "DNS:other.example")},
                         lines=f'bytestreams {{\n  port = {port}\n  listen = {{"127.0.0.1"}}\n}}')
    server.add_user("carol@other.example")

    async def story():
        carol = await Client(server, ca, "carol", "desk", host="other.example").login()
        carol.register_plugin("xep_0065")
        with pytest.raises(IqError) as refused:
            await carol["xep_0065"].get_network_address("proxy.localhost", timeout=PATIENCE_S)
        assert refused.value.condition == "forbidden"
        found = await carol["xep_0065"].discover_proxies(timeout=PATIENCE_S)
        assert {str(jid): (host, int(number)) for jid, (host, number) in found.items()} == {"proxy.other.example": ("other.example", port)}
        await carol.leave()

    run(story)
