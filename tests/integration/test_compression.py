# SPDX-License-Identifier: MIT
"""Stream compression (XEP-0138) with Python's own zlib, over TLS: what goes through, and what ends the stream and nothing else."""
import base64
import time
import zlib

import pytest

from jabiru import wait_for
from raw import CLIENT, COMPRESS, STREAM_ERRORS, STREAMS, Ended, Raw

FAILED = f"{{{COMPRESS}}}failure/{{{COMPRESS}}}processing-failed"
BURST, RATIO = 256 << 10, 50


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers(lines=f"compression {{ enabled = true burst = 256K ratio = {RATIO} }}")


def error_of(client):
    """The stream error, which ends the stream."""
    error = client.until(lambda e: e.tag == STREAMS + "error")[-1]
    with pytest.raises(Ended):
        client.next()
    return error


def resident_kib(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def test_two_compressed_clients_talk(server, ca, accounts):
    alice, bob = accounts("alice", "bob")
    one, other = (Raw(server, ca).login(name, "c", compress=True) for name in (alice, bob))
    texts = [" ".join(str(n * n * (number + 1)) for n in range(6000)) for number in range(10)]
    for text in texts:
        one.send(f"<message to='{bob}@localhost/c'><body>{text}</body></message>")
    for text in texts:
        got = other.until(lambda e: e.tag == CLIENT + "message")[-1]
        assert got.findtext(CLIENT + "body") == text
    assert "zlib" in server.ctl("sessions", "list").stdout
    one.close()
    other.close()


def test_the_first_compressed_bytes_may_come_with_the_request(server, ca, accounts):
    (alice,) = accounts("alice")
    client = Raw(server, ca)
    client.login(alice, "x", presence=False)
    client.close()
    client = Raw(server, ca)
    client.open_stream()
    token = base64.b64encode(f"\0{alice}\0secret".encode()).decode()
    client.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>")
    client.next()
    client.open_stream()
    deflater = zlib.compressobj()
    header = (b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
              b"xmlns:stream='http://etherx.jabber.org/streams'>")
    client.socket.sendall(f"<compress xmlns='{COMPRESS}'><method>zlib</method></compress>".encode()
                          + deflater.compress(header) + deflater.flush(zlib.Z_SYNC_FLUSH))
    inflater, got = zlib.decompressobj(), b""
    answer = f"<compressed xmlns='{COMPRESS}'/>".encode()
    while b"</stream:features>" not in got:
        data = client.socket.recv(65536)
        assert data
        if answer in data:
            data = data.split(answer)[1]
        got += inflater.decompress(data)
    client.cut()


@pytest.mark.parametrize("kind", ["spaces", "stanzas", "one stanza"])
def test_a_bomb_ends_its_own_stream(server, ca, accounts, kind):
    plain = {"spaces": b" " * (32 << 20), "stanzas": b"<presence/>" * (1 << 21),
             "one stanza": b"<message><body>" + b"x" * (32 << 20)}[kind]
    alice, bob = accounts("alice", "bob")
    bystander = Raw(server, ca).login(bob, "b")
    bystander.ping()
    client = Raw(server, ca).login(alice, "a", presence=False, compress=True)
    before, bomb = resident_kib(server), client.deflater.compress(plain) + client.deflater.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < len(plain) / 150
    began = time.monotonic()
    try:
        client.socket.sendall(bomb)
    except OSError:
        pass  # the server may have ended already
    bystander.ping()
    assert time.monotonic() - began < 10
    error = error_of(client)
    assert error.find(STREAM_ERRORS + "policy-violation") is not None
    if kind != "stanzas":  # a sanitizer keeps what was freed, and each stanza that was within the limits was taken
        assert resident_kib(server) - before < 16 << 10
    bystander.close()


@pytest.mark.parametrize("garbage", [b"<presence/>", b"\xff" * 100, zlib.compress(b"<presence/>")[3:]],
                         ids=["plain", "no deflate", "middle"])
def test_garbage_ends_its_own_stream(server, ca, accounts, garbage):
    (alice,) = accounts("alice")
    client = Raw(server, ca).login(alice, "a", presence=False, compress=True)
    client.socket.sendall(garbage)
    error = error_of(client)
    assert error.find(STREAM_ERRORS + "undefined-condition") is not None
    assert error.find(FAILED) is not None


def test_what_is_compressed_comes_before_the_end(server, ca, accounts):
    """A client that says much and leaves at once, in order: all of it is delivered."""
    alice, bob = accounts("alice", "bob")
    other = Raw(server, ca).login(bob, "b")
    other.ping()
    client = Raw(server, ca).login(alice, "a", presence=False, compress=True)
    client.send("".join(f"<message to='{bob}@localhost/b'><body>{n:06} {n * 7919 % 10007} {n * n}</body></message>"
                        for n in range(4000)) + "</stream:stream>")
    client.socket.close()
    for n in range(4000):
        got = other.until(lambda e: e.tag == CLIENT + "message")[-1]
        assert got.findtext(CLIENT + "body").startswith(f"{n:06} ")
    other.close()
    wait_for(lambda: f"{alice}@localhost/a" not in server.ctl("sessions", "list").stdout, "the session's end")
