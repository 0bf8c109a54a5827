# SPDX-License-Identifier: MIT
"""Bytes that mean harm, at each port that takes XML from strangers: each is refused by its name, early, and nothing of it
stays behind. docs/security.md lists the classes, and where the others are tested."""
import contextlib
import re
import socket
import ssl
import struct

import pytest

from jabiru import PATIENCE_S, free_ports, wait_for
from raw import CLIENT, Raw

NAMESPACES = {"client": "jabber:client", "server": "jabber:server", "component": "jabber:component:accept"}
HOSTS = {"client": "localhost", "server": "localhost", "component": "bot.localhost"}
HIDDEN = "found-in-a-file-of-the-server"
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def server(module_servers, ca):
    s2s, components = free_ports(2)
    made = module_servers(lines=f's2s {{\n  listen = {{"127.0.0.1"}}\n  port = {s2s}\n  ca = "{ca.certificate}"\n}}\n'
                          f'components {{\n  port = {components}\n}}\ncomponent "bot.localhost" {{\n  secret = "secret"\n}}\n')
    made.ports = {"client": made.port, "server": s2s, "component": components}
    (made.folder / "hidden").write_text(HIDDEN)
    return made


class Stranger:
    """A plain connection to one of the ports."""

    def __init__(self, server, kind):
        self.kind, self.got = kind, b""
        self.socket = socket.create_connection(("127.0.0.1", server.ports[kind]), PATIENCE_S)

    def header(self, more=""):
        return (f"<stream:stream to='{HOSTS[self.kind]}' version='1.0' xmlns='{NAMESPACES[self.kind]}' {more}"
                "xmlns:stream='http://etherx.jabber.org/streams'>").encode()

    def send(self, data):
        with contextlib.suppress(ConnectionError):  # it may be refused before all is sent
            self.socket.sendall(data)
        return self

    def rest(self):
        """All that comes until the server ends it; it does not have to be asked."""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(65536):
                self.got += data
        self.socket.close()
        return self.got

    def is_ended_by(self, condition):
        got = self.rest()
        assert f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'".encode() in got, got
        assert got.startswith(b"<?xml") and got.endswith(b"</stream:stream>"), got

    def cut(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


@pytest.fixture(params=list(NAMESPACES))
def stranger(server, request):
    made = Stranger(server, request.param)
    yield made
    made.socket.close()


def resident_kib(server):
    return int(re.search(r"^memory +(\d+) KiB", server.ctl("status").stdout, re.M).group(1))


# -- what XML must not have (RFC 6120 §11.1) --

LAUGHS = b"<!DOCTYPE l [<!ENTITY a 'ha'>" + b"".join(
    b"<!ENTITY %c '%b'>" % (ord("a") + n, b"&%c;" % (ord("a") + n - 1) * 10) for n in range(1, 10)) + b"]><l>&j;</l>"


def test_entities_are_not_expanded(server, stranger):
    stranger.send(LAUGHS).is_ended_by("restricted-xml")


def test_a_doctype_ends_the_stream_before_it_has_ended_itself(stranger):
    stranger.send(b"<!D").is_ended_by("restricted-xml")


def test_no_file_is_read_for_an_entity(server, stranger):
    stranger.send(b"<!DOCTYPE l [<!ENTITY x SYSTEM 'file://%s'>]>" % str(server.folder / "hidden").encode() + stranger.header())
    assert HIDDEN.encode() not in stranger.rest() and b"<restricted-xml " in stranger.got


@pytest.mark.parametrize("text", [b"<!-- c -->", b"<?php ?>", b"<a>&undefined;</a>", b"<!ENTITY a 'b'>", b"<a><!-- c --></a>"])
def test_what_xmpp_leaves_out_of_xml(stranger, text):
    stranger.send(stranger.header() + text).is_ended_by("restricted-xml")


# -- bytes that are no characters --

@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32"])
def test_other_encodings(stranger, encoding):
    stranger.send(stranger.header().decode().encode(encoding))
    got = stranger.rest()
    assert b"<unsupported-encoding " in got or b"<not-well-formed " in got, got


@pytest.mark.parametrize("data", [
    b"\xc0\xbc", b"\xe2\x82<", b"\xf0\x9f\x98<", b"\xe2\x28\xa1", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\x00", b"\x0b",
    b"\xef\xbf\xbf", b"\x80"], ids=lambda data: data.hex())
def test_bytes_that_are_no_characters(stranger, data):
    stranger.send(stranger.header() + b"<a>" + data + b"/a><b/>").is_ended_by("not-well-formed")


@pytest.mark.parametrize("name", ["\x0c", "|", "\n"], ids=repr)
def test_separators_of_names_in_namespaces(stranger, name):
    """Nothing that stands in a namespace may be taken for the end of it."""
    stranger.send(stranger.header() + f"<p:message xmlns:p='{NAMESPACES[stranger.kind]}{name}message'/>".encode())
    got = stranger.rest()
    assert b"<stream:error>" in got and b"<message" not in got, got


# -- sizes before a login --

@pytest.mark.parametrize("head", [b"<stream:stream a='", b"<stream:", b"<stream:stream "], ids=["value", "name", "spaces"])
def test_a_header_without_end(server, stranger, head):
    """Refused as soon as it is too long; who goes on talking all the same is heard by nobody, and costs no memory."""
    before = resident_kib(server)
    filler = (b" " if head.endswith(b" ") else b"x") * 65536
    stranger.send(head + filler[:12000])
    while b"</stream:stream>" not in stranger.got:
        stranger.got += stranger.socket.recv(65536)
    for _ in range(256):
        stranger.send(filler)
    assert resident_kib(server) - before < 8 << 10
    stranger.socket.shutdown(socket.SHUT_WR)
    stranger.is_ended_by("policy-violation")


@pytest.mark.parametrize("text", [b"<a b='" + b"x" * 20000, b"<a>" * 5000, b"<a " + b"".join(b"b%d='' " % n for n in range(2000)),
                                  b"<a>" + b"<b/>" * 5000, b"<" + b"n" * 20000],
                         ids=["value", "depth", "attributes", "children", "name"])
def test_an_element_that_is_too_much(stranger, text):
    stranger.send(stranger.header() + text).is_ended_by("policy-violation")


def test_white_space_is_kept_by_nobody(server, stranger):
    stranger.send(stranger.header())
    before = resident_kib(server)
    for _ in range(96):  # a server's are read slowly
        stranger.send(b" \n" * 32768)
    assert resident_kib(server) - before < 3 << 10
    stranger.send(b"<!-- -->").is_ended_by("restricted-xml")


# -- connections --

def connections(server):
    return int(re.search(r"^connections +(\d+)", server.ctl("status").stdout, re.M).group(1))


@pytest.fixture
def frugal(make_server, monkeypatch):
    """A server whose memory says something: what it frees is not kept for AddressSanitizer, and it slows nobody."""
    monkeypatch.setenv("ASAN_OPTIONS", "quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
    made = make_server(c2s_lines="  rate-stanzas = 0\n  rate-bytes = 0\n")
    made.ports = {"client": made.port}
    return made


def come_and_go(server, count):
    for number in range(count):
        one = Stranger(server, "client")
        one.send([b"", b"<", one.header(), one.header() + b"<auth ", b"\x16\x03\x01", one.header() + b"<a b='" + b"x" * 9000][number % 6])
        one.cut() if number % 2 else one.socket.close()
    wait_for(lambda: connections(server) == 0, "the end of all")


def test_strangers_leave_nothing_behind(frugal):
    """3000 of them: no connection, and no memory that is still held and so no leak to LeakSanitizer."""
    come_and_go(frugal, 600)
    before = resident_kib(frugal)
    come_and_go(frugal, 2400)
    assert resident_kib(frugal) - before < 3600


@pytest.mark.parametrize("part", ["<a/>", "<a b=''/>", "<a b='&lt;'>&amp;</a>", "<n{0} xmlns='urn:{0}'/>", "<a b{0}=''/>"],
                         ids=["children", "attributes", "escapes", "names", "names of attributes"])
def test_many_small_parts_cost_no_more_than_their_bytes(frugal, ca, part):
    """A stanza is its bytes, however many things they say; and no name is kept, though each be a new one (twenty stanzas, about 5 MB)."""
    frugal.add_user("alice@localhost")
    one = Raw(frugal, ca).login("alice", "a")
    before = 0
    for turn in range(20):
        parts = "".join(part.format(turn * 100000 + number) for number in range(220000 // len(part.format(1000000))))
        one.send(f"<message to='alice@localhost/a' id='{turn}'><x xmlns='urn:x'>{parts}</x></message>")
        one.until(lambda e, turn=turn: e.get("id") == str(turn))
        before = before or resident_kib(frugal)
    assert resident_kib(frugal) - before < 4 << 10
    one.close()


@pytest.mark.parametrize("request_", [b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /%u002e%u002e/admin HTTP/1.0\r\n\r\n",
                                      b"POST /http-bind HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
                         ids=["file", "admin", "bosh", "http2"])
def test_there_is_no_web_server(server, stranger, request_):
    """Nothing of HTTP is served, so nothing can be fetched, uploaded or administered by it; a scanner ends its own connection."""
    got = stranger.send(request_).rest()
    assert b"HTTP/" not in got and (b"<stream:error>" in got or not got), got
    Stranger(server, stranger.kind).send(b"<!-- -->").is_ended_by("restricted-xml")


def test_resets_while_the_server_writes(server, ca, accounts):
    (alice,) = accounts("alice")
    one = Raw(server, ca).login(alice, "a")
    for number in range(50):
        one.send(f"<message to='{alice}@localhost/deaf'><body>{number}</body></message>")
    for _ in range(20):
        deaf = Raw(server, ca).login(alice, "deaf")
        deaf.send("<iq type='get' id='d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>" * 500)
        deaf.cut()
        one.ping()
    one.close()


@pytest.mark.parametrize("kind", ["client", "server"])
def test_tls_that_is_none(server, kind):
    """A handshake that stops, and one that is noise, in the middle of STARTTLS: the stream ends, others go on."""
    for noise in (b"\x16\x03\x01\xff\xff" + b"\x00" * 70000, b"\x80\x2e\x01\x00\x02", b"\x15\x03\x03\x00\x02\x02\x28", b""):
        one = Stranger(server, kind)
        one.send(one.header() + b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        while b"<proceed" not in one.got:
            one.got += one.socket.recv(65536)
        one.send(noise)
        with contextlib.suppress(OSError):
            one.socket.shutdown(socket.SHUT_WR)
        assert b"<stream:error" not in one.rest()
    Stranger(server, kind).send(b"<!-- -->").is_ended_by("restricted-xml")


# -- a stanza that is cut anywhere is answered without another byte --

def test_each_cut_of_a_stanza_is_answered(server, ca, accounts):
    (alice,) = accounts("alice")
    one = Raw(server, ca).login(alice, "a")
    one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    text = ("<iq type='get' id='{0}' to='localhost'><ping xmlns='urn:xmpp:ping'>"
            "<x xmlns='urn:x' a=\"&amp;&#x41;'>\"><![CDATA[]]]]>é€😀</x></ping></iq>")
    for cut in range(1, len(text.format("c000").encode())):
        data = text.format(f"c{cut:03}").encode()
        one.socket.sendall(data[:cut])
        one.socket.sendall(data[cut:])
        answer = one.until(lambda e, cut=cut: e.tag == CLIENT + "iq" and e.get("id") == f"c{cut:03}")[-1]
        assert answer.get("type") == "result"
    one.close()


def test_what_is_escaped_comes_through(server, ca, accounts):
    alice, bob = accounts("alice", "bob")
    sender, receiver = Raw(server, ca).login(alice, "a"), Raw(server, ca).login(bob, "b")
    receiver.ping()
    wanted = "<&>'\"]]>\r\t\n\U0001F600\U000F0000é"
    escaped = "&lt;&amp;&gt;&apos;&quot;]]&gt;&#13;&#9;&#10;\U0001F600&#xF0000;é"
    sender.send(f"<message to='{bob}@localhost'><body>{escaped}</body><x xmlns='urn:x' a='{escaped}'/></message>")
    got = receiver.until(lambda e: e.tag == CLIENT + "message")[-1]
    assert got.findtext(CLIENT + "body") == wanted and got.find("{urn:x}x").get("a") == wanted
    sender.close()
    receiver.close()


def test_slow_ones_end_in_time(make_server):
    """Half-open, byte by byte, a handshake that never goes on: the time from the connection to the session is one for all."""
    slow = make_server(c2s_lines='  negotiation-time = "1s"')
    slow.ports = {"client": slow.port}
    ones = [Stranger(slow, "client") for _ in range(30)]
    silent = socket.create_connection(("127.0.0.1", slow.tls_port), PATIENCE_S)
    for number, one in enumerate(ones):
        one.send(one.header()[:number * 3])
    while any(not one.got for one in ones):
        for one in ones:
            if not one.got:
                one.socket.settimeout(0.02)
                try:
                    one.got += one.socket.recv(65536) or b"!"
                except TimeoutError:
                    one.send(b" ")
                except (ConnectionError, ssl.SSLError):
                    one.got += b"!"
    assert b"connection-timeout" in ones[0].got
    with contextlib.suppress(ConnectionError):
        while silent.recv(65536):
            pass
    wait_for(lambda: connections(slow) == 0, "the end of all")


def test_sql_in_what_is_stored(server, ca, accounts):
    """Nodes, ids, search words and page marks that would be SQL, if any of it were ever read as such."""
    (alice,) = accounts("alice")
    one = Raw(server, ca).login(alice, "a")
    evil = "x'); DROP TABLE map; --\" OR ''='' * NEAR( %_"
    escaped = evil.replace("'", "&apos;")
    publish = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{0}'><item id='{0}'><a xmlns='urn:a'>{0}</a></item></publish></pubsub>"
    assert one.ask(publish.format(escaped), "set").get("type") == "result"
    one.send(f"<message to='{alice}@localhost' type='chat'><body>{escaped}</body></message>")
    form = ("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>"
            f"<field var='{{urn:xmpp:fulltext:0}}fulltext'><value>{escaped}</value></field></x>")
    assert one.ask(f"<query xmlns='urn:xmpp:mam:2'>{form}</query>", "set").get("type") == "result"
    page = f"<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><after>{escaped}</after></set>"
    assert one.ask(f"<query xmlns='urn:xmpp:mam:2'>{page}</query>", "set").get("type") == "error"
    items = f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{escaped}'/></pubsub>"
    assert evil in [element.get("id") for element in one.ask(items).iter()]
    one.close()
