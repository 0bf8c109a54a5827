# SPDX-License-Identifier: MIT
"""Another server that means harm: a small server-to-server end of our own, over real TLS. It says what it has no right to
say, and each thing is refused with the right error."""
import base64
import contextlib
import re
import socket
import ssl

import pytest

from jabiru import PATIENCE_S, Server, free_ports, wait_for

HEADER = ("<?xml version='1.0'?><stream:stream from='{0}' to='{1}' version='1.0' xmlns='jabber:server' "
          "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>")
MESSAGE = "<message from='x@{0}' to='alice@localhost' id='{1}'><body>{2}</body></message>"


class Evil:
    def __init__(self, server, domain, identity=None):
        self.domain, self.host, self.text = domain, server.domain, ""
        self.socket = socket.create_connection(("127.0.0.1", server.s2s_port), PATIENCE_S)
        self.send(HEADER.format(domain, server.domain))
        self.sees("</stream:features>")
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.sees("<proceed")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if identity:
            context.load_cert_chain(*identity)
        self.socket = context.wrap_socket(self.socket)
        self.text = ""
        self.send(HEADER.format(domain, server.domain))
        self.features = self.sees("</stream:features>")

    def send(self, text):
        self.socket.sendall(text.encode())

    def sees(self, pattern):
        """Reads until this is there; returns what came up to it."""
        while not (found := re.search(pattern, self.text)):
            data = self.socket.recv(65536)
            assert data, f"the end came before {pattern!r}: {self.text}"
            self.text += data.decode(errors="replace")
        before, self.text = self.text[:found.end()], self.text[found.end():]
        return before

    def is_ended_by(self, condition):
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self.text += data.decode(errors="replace")
        assert f"<{condition} " in self.text and "<stream:error>" in self.text, self.text

    def authenticate(self, identity=None):
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>"
                  f"{base64.b64encode((identity or self.domain).encode()).decode()}</auth>")

    def enter(self):
        self.authenticate()
        self.sees("<success")
        self.text = ""
        self.send(HEADER.format(self.domain, self.host))
        self.sees("</stream:features>")
        return self

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, ca, certificate):
    port, nobody = free_ports(2)
    lines = (f's2s {{\n  listen = {{"127.0.0.1"}}\n  port = {port}\n  ca = "{ca.certificate}"\n  dns-server = "127.0.0.1:{nobody}"\n'
             f'  dns-time = 300ms\n  rate-stanzas = 200\n  rate-exempt = {{"friend.example"}}\n  max-verifications = 15\n  max-domain-connections = 6\n  with-certificate = {{"bank.example"}}\n}}\n')
    made = Server(tmp_path_factory.mktemp("hostile"), {"localhost": certificate}, lines=lines)
    made.s2s_port, made.domain = port, "localhost"
    made.start()
    made.add_user("alice@localhost")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def identity(ca):
    return ca.issue("evil.example", "DNS:evil.example", "serverAuth,clientAuth")


@pytest.fixture
def evil(server, identity):
    made = []

    def make(domain="evil.example", identity=identity):
        made.append(Evil(server, domain, identity))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_a_stanza_before_anything_is_proved(evil):
    one = evil()
    one.send(MESSAGE.format("evil.example", "m1", "hello"))
    one.is_ended_by("not-authorized")


@pytest.mark.parametrize("sender", ["bank.example", "localhost", "sub.evil.example"])
def test_a_stanza_in_another_name(evil, sender):
    one = evil().enter()
    one.send(MESSAGE.format(sender, "m1", "send money"))
    one.is_ended_by("invalid-from")


def test_a_stanza_to_others(evil):
    one = evil().enter()
    one.send("<message from='x@evil.example' to='y@elsewhere.example'><body>relay this</body></message>")
    one.is_ended_by("host-unknown")


@pytest.mark.parametrize("domain", ["bank.example", "localhost"])
def test_the_certificate_of_another_domain(evil, domain):
    one = evil(domain)
    assert "EXTERNAL" not in one.features
    one.authenticate()
    one.sees("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>")


def test_another_authorization_identity(evil):
    one = evil()
    assert "EXTERNAL" in one.features
    one.authenticate("bank.example")
    one.sees("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-authzid/>")


def test_a_certificate_of_a_stranger(evil, other_ca):
    one = evil("evil.example", other_ca.issue("evil.example", "DNS:evil.example", "serverAuth,clientAuth"))
    assert "EXTERNAL" not in one.features
    one.authenticate()
    one.sees("<not-authorized/>")


def test_dialback_for_a_domain_that_must_have_a_certificate(evil):
    one = evil()
    one.send("<db:result from='bank.example' to='localhost'>0123</db:result>")
    assert "<not-authorized " in one.sees("type='error'.*?</db:result>")


def test_dialback_for_our_own_domain(evil):
    one = evil()
    one.send("<db:result from='localhost' to='localhost'>0123</db:result>")
    assert "<forbidden " in one.sees("type='error'.*?</db:result>")


def test_dialback_for_a_domain_that_can_not_be_asked(evil):
    one = evil()
    one.send("<db:result from='victim.example' to='localhost'>0123</db:result>")
    assert "<remote-server-" in one.sees("type='error'.*?</db:result>")


def test_answers_to_nothing(evil):
    """A `valid` that nobody asked for proves nothing (CVE-2012-3525)."""
    one = evil()
    one.send("<db:result from='bank.example' to='localhost' type='valid'/>"
             "<db:verify from='bank.example' to='localhost' id='1' type='valid'/>" + MESSAGE.format("bank.example", "m1", "x"))
    one.is_ended_by("not-authorized")


def test_endless_dialback(evil):
    """Of many keys, over many streams, only so many are checked at a time; the others are told at once."""
    several = [evil(f"d{number}.example") for number in range(3)]
    for number, one in enumerate(several):
        one.send("".join(f"<db:result from='n{number}x{turn}.example' to='localhost'>0123</db:result>" for turn in range(30)))
    answers = [one.sees("</db:result>") for one in several for _ in range(30)]
    refused = sum("<resource-constraint " in answer for answer in answers)
    assert 30 * 3 - 15 >= refused >= 30 * 3 - 3 * 15


def slowed(server):
    return int(re.search(r"s2s_slowed +(\d+) ", server.ctl("status").stdout).group(1))


def test_dialback_at_full_speed(evil, server):
    """Who shows keys without end is read as slowly as who sends stanzas without end, proved or not."""
    one, before = evil("hasty.example"), slowed(server)
    one.send("".join(f"<db:result from='h{number}.example' to='localhost'>0123</db:result>" for number in range(2200)))
    wait_for(lambda: slowed(server) > before, "the stream to be slowed")


def test_too_large(evil):
    one = evil().enter()
    with contextlib.suppress(OSError):
        one.send(MESSAGE.format("evil.example", "m1", "x" * (300 << 10)))
    one.is_ended_by("policy-violation")


def test_a_flood_is_read_slowly_and_others_are_not(evil, ca, server):
    """The stream that sends too much is paused, and loses nothing; another one is answered meanwhile."""
    flood, before = evil().enter(), slowed(server)
    other = evil("good.example", ca.issue("good.example", "DNS:good.example", "serverAuth,clientAuth")).enter()
    flood.send("".join(MESSAGE.format("evil.example", f"f{number}", "x") for number in range(2400)))
    for turn in range(20):
        other.send(MESSAGE.format("good.example", f"p{turn}", "x"))
    other.send("</stream:stream>")
    other.sees("</stream:stream>")
    wait_for(lambda: slowed(server) > before, "the flood to be slowed")
    flood.send("</stream:stream>")
    flood.sees("</stream:stream>")


def test_a_friend_is_not_held_to_the_rate(evil, ca, server):
    friend, before = evil("friend.example", ca.issue("friend.example", "DNS:friend.example", "serverAuth,clientAuth")).enter(), slowed(server)
    friend.send("".join(MESSAGE.format("friend.example", f"f{number}", "x") for number in range(2400)) + "</stream:stream>")
    friend.sees("</stream:stream>")
    assert slowed(server) == before


def test_streams_of_one_domain_share_its_rate(evil, ca, server):
    """Each of three brings less than one may, all together more: they are read slowly, and lose nothing."""
    identity = ca.issue("many.example", "DNS:many.example", "serverAuth,clientAuth")
    several = [evil("many.example", identity).enter() for _ in range(3)]
    before = slowed(server)
    several[0].send("".join(MESSAGE.format("many.example", f"a{number}", "x") for number in range(1000)))
    several[0].send("<iq type='get' id='p' from='many.example' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
    wait_for(lambda: re.search(r"in many.example.*in=1001 |many.example.* in=1001 ", server.ctl("s2s", "list").stdout), "all to come")
    assert slowed(server) == before
    for one in several[1:]:
        one.send("".join(MESSAGE.format("many.example", f"b{number}", "x") for number in range(1200)))
    for one in several:
        one.send("</stream:stream>")
        one.sees("</stream:stream>")
    assert slowed(server) > before


def test_connections_of_one_domain(evil, ca):
    """So many and no more; another domain's come in all the same, and one that goes makes room."""
    identity = ca.issue("crowd.example", "DNS:crowd.example", "serverAuth,clientAuth")
    several = [evil("crowd.example", identity).enter() for _ in range(6)]
    one_more = evil("crowd.example", identity)
    one_more.authenticate()
    one_more.is_ended_by("policy-violation")
    evil("good.example", ca.issue("good.example", "DNS:good.example", "serverAuth,clientAuth")).enter()
    several[0].send("</stream:stream>")
    several[0].sees("</stream:stream>")
    several[0].close()

    def comes_in():
        one = evil("crowd.example", identity)
        one.authenticate()
        return "<success" in one.sees("<success|<stream:error>")
    wait_for(comes_in, "a place that is free again")
