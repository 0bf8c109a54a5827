# SPDX-License-Identifier: MIT
"""What one address may do (RFC 6120 §13.12): connections at once, of them strangers, and how often it comes; at all ports, IPv6 by
networks, and not for networks that are exempt. The kernel has many loopback addresses to come from."""
import re
import socket
import time

import pytest

from jabiru import PATIENCE_S, free_ports, wait_for
from raw import Raw
from test_federation_hostile import Evil
from test_hostile_bytes import NAMESPACES, Stranger

PORTS = list(NAMESPACES)
LINES = """addresses {{
  exempt = {{"127.0.0.9", "127.1.0.0/16"}}
  connections = {connections}
  unauthenticated = {strangers}
  rate = {rate}
}}
"""


@pytest.fixture
def guarded(make_server, ca):
    def make(connections=1000, strangers=1000, rate=1000, **options):
        s2s, components = free_ports(2)
        lines = LINES.format(connections=connections, strangers=strangers, rate=rate)
        lines += f's2s {{\n  listen = {{"127.0.0.1", "::1"}}\n  port = {s2s}\n  ca = "{ca.certificate}"\n}}\n'
        lines += f'components {{\n  port = {components}\n}}\ncomponent "bot.localhost" {{\n  secret = "secret"\n}}\n'
        server = make_server(lines=lines, **options)
        server.domain = "localhost"
        server.ports, server.s2s_port = {"client": server.port, "server": s2s, "component": components}, s2s
        return server
    return make


class Caller(Stranger):
    """A stranger with an address of its own."""

    def __init__(self, server, kind="client", source="127.0.0.1", target="127.0.0.1"):
        self.kind, self.got = kind, b""
        self.socket = socket.create_connection((target, server.ports[kind]), PATIENCE_S, source_address=(source, 0))

    def is_let_in(self):
        self.send(b"<?xml version='1.0'?>" + self.header())
        while b"<stream:stream" not in self.got:
            data = self.socket.recv(65536)
            assert data, self.got
            self.got += data
        assert b"<stream:error" not in self.got
        return self

    def is_refused(self, text):
        self.is_ended_by("policy-violation")
        assert text.encode() in self.got and f"xmlns='{NAMESPACES[self.kind]}'".encode() in self.got, self.got


def number(server, name):
    return int(re.search(rf"^{name} +(\d+)", server.ctl("status").stdout, re.M).group(1))


@pytest.mark.parametrize("kind", PORTS)
def test_connections_of_one_address(guarded, kind):
    server = guarded(connections=3)
    first = [Caller(server, each).is_let_in() for each in PORTS]  # one count for all ports
    Caller(server, kind).is_refused("from this address")
    Caller(server, kind, source="127.0.0.2").is_let_in()
    for _ in range(5):
        Caller(server, kind, source="127.0.0.9").is_let_in()
        Caller(server, kind, source="127.1.2.3").is_let_in()
    assert number(server, "refused_address") == 1
    first[0].cut()
    wait_for(lambda: not re.search(r"refused_address +1 ", server.ctl("status").stdout) or comes(server, kind), "room")
    for one in first[1:]:
        one.cut()


def comes(server, kind):
    one = Caller(server, kind)
    one.send(one.header())
    got = one.socket.recv(65536)
    return b"<stream:error" not in got and b"from" in got


def test_strangers_of_one_address(guarded, ca):
    """Who has logged in is no stranger, by whichever door."""
    server = guarded(strangers=3)
    server.add_user("alice@localhost", "bob@localhost")
    alice = [Raw(server, ca).login("alice", f"r{turn}") for turn in range(5)]
    identity = ca.issue("evil.example", "DNS:evil.example", "serverAuth,clientAuth")
    servers = [Evil(server, "evil.example", identity).enter() for _ in range(4)]
    strangers = [Caller(server, kind).is_let_in() for kind in PORTS]
    for kind in PORTS:
        Caller(server, kind).is_refused("have not logged in")
    assert number(server, "refused_stranger") == 3 and number(server, "strangers") == 3
    with socket.create_connection(("127.0.0.1", server.tls_port), PATIENCE_S) as silent:
        assert silent.recv(1) == b""  # it expects TLS: nothing can be said
    for one in alice:
        one.ping()
    for one in strangers:
        one.cut()
    wait_for(lambda: number(server, "strangers") == 0, "the end of them")
    Raw(server, ca).login("bob", "b").close()
    for one in alice:
        one.close()
    for one in servers:
        one.close()


def test_how_often_one_address_comes(guarded):
    server = guarded(rate=20)
    refused = 0
    for _ in range(25):
        one = Caller(server)
        one.send(one.header() + b"</stream:stream>")
        refused += b"in a short time" in one.rest()
    assert 1 <= refused <= 5  # a minute may have ended meanwhile
    assert number(server, "refused_rate") == refused
    Caller(server, source="127.0.0.2").is_let_in()


def test_who_is_refused_without_end(guarded):
    """It is told why some times, then no more; others come in meanwhile, and those who are there are heard."""
    server = guarded(rate=20)
    first = Caller(server, source="127.0.0.2").is_let_in()
    told = 0
    for _ in range(200):
        one = Caller(server)
        one.send(one.header() + b"</stream:stream>")
        told += b"in a short time" in one.rest()
    assert 10 <= told <= 2 * 60
    assert number(server, "refused_rate") >= 200 - 2 * 20
    Caller(server, source="127.0.0.3").is_let_in()
    first.send(b"</stream:stream>")
    assert b"</stream:stream>" in first.rest()


def test_servers_that_come_too_often_wait(guarded, ca):
    """Each costs a handshake: some are served at once, the others at the rate; those of other addresses do not wait."""
    server = guarded(rate=60)
    identity = ca.issue("evil.example", "DNS:evil.example", "serverAuth,clientAuth")
    begin = time.monotonic()
    for _ in range(12):
        Evil(server, "evil.example", identity).enter().close()
    assert number(server, "s2s_slowed") == 0
    for _ in range(3):
        Evil(server, "evil.example", identity).enter().close()
    assert time.monotonic() - begin >= 15 - 12 - 0.5 and number(server, "s2s_slowed") > 0
    tired = Caller(server, "server")
    Caller(server, "server", source="127.0.0.2").is_let_in()
    tired.cut()


def test_networks_of_ipv6(guarded):
    """All of ::1 is one network; an IPv4 address that is none of it has a count of its own."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    server = guarded(connections=2)
    kept = [Caller(server, "server", "::1", "::1").is_let_in() for _ in range(2)]
    Caller(server, "server", "::1", "::1").is_refused("from this address")
    Caller(server, "server").is_let_in()
    for one in kept:
        one.cut()


def test_limits_change_by_reload(guarded):
    server = guarded(connections=1)
    kept = Caller(server).is_let_in()
    Caller(server).is_refused("from this address")
    server.config.write_text(server.config.read_text().replace("connections = 1\n", "connections = 2\n"))
    server.reload()
    Caller(server).is_let_in()
    kept.cut()


@pytest.mark.parametrize("kind", PORTS)
def test_all_doors_are_shut_to_who_says_nothing(guarded, kind):
    server = guarded()
    config = server.config.read_text()
    server.stop()
    server.config.write_text(config.replace("s2s {\n", "s2s {\n  negotiation-time = 1s\n").replace(
        "components {\n", "components {\n  handshake-time = 1s\n").replace("c2s {\n", "c2s {\n  negotiation-time = 1s\n"))
    server.start()
    assert b"connection-timeout" in Caller(server, kind).rest()
