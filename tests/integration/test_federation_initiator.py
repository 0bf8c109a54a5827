# SPDX-License-Identifier: MIT
"""What our server does when it is the one that calls: another server's end, written by hand, that watches the TLS."""
import re
import socket
import ssl

import pytest

from jabiru import PATIENCE_S, free_ports
from lab import Names, jabiru
from raw import Raw

HEADER = ("<?xml version='1.0'?><stream:stream from='{0}' to='ours.example' id='{1}' version='1.0' xmlns='jabber:server' "
          "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>")
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
DIALBACK = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
OTHERS = "<bidi xmlns='urn:xmpp:features:bidi'/><sm xmlns='urn:xmpp:sm:3'/>"
THEIRS = "theirs.example"


class Called:
    """Takes one connection and keeps what it is told; `direct`: TLS from the first byte."""

    def __init__(self, pair, direct):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE_S)
        self.port, self.direct, self.text, self.name = self.listener.getsockname()[1], direct, "", None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.context.set_alpn_protocols(["xmpp-client", "xmpp-server"])
        self.context.sni_callback = lambda _, name, __: setattr(self, "name", name)

    def accept(self):
        self.socket, _ = self.listener.accept()
        self.socket.settimeout(PATIENCE_S)
        if self.direct:
            self.secure()

    def secure(self):
        self.socket = self.context.wrap_socket(self.socket, server_side=True)
        self.text = ""

    def send(self, text):
        self.socket.sendall(text.encode())

    def sees(self, pattern):
        while not (found := re.search(pattern, self.text)):
            data = self.socket.recv(65536)
            assert data, f"the end came before {pattern!r}: {self.text}"
            self.text += data.decode(errors="replace")
        before, self.text = self.text[:found.end()], self.text[found.end():]
        return before

    def close(self):
        self.listener.close()
        self.socket.close()


@pytest.fixture
def call(tmp_path, ca):
    """Makes our server call, since alice writes to somebody there; returns the other end, with the connection."""
    closing = []

    def make(direct=False):
        them = Called(ca.issue(THEIRS, f"DNS:{THEIRS}", "serverAuth,clientAuth"), direct)
        port, = free_ports(1)
        more = [f"srv-host=_xmpps-server._tcp.{THEIRS},localhost,{them.port},5,5"] if direct else []
        names = Names(tmp_path / "names", {} if direct else {THEIRS: them.port}, more).start()
        ours = jabiru(tmp_path / "ours", names, "ours.example", ca.issue("ours.example", "DNS:ours.example", "serverAuth,clientAuth"),
                      port, f'ca = "{ca.certificate}"').start()
        closing.extend([them.close, ours.stop, names.stop])
        ours.add_user("alice@ours.example")
        them.alice = Raw(ours, ca, host="ours.example").login("alice", "a")
        them.alice.send(f"<message to='romeo@{THEIRS}' id='m1'><body>hello</body></message>")
        them.accept()
        return them
    yield make
    for close in closing:
        close()


def to_tls(them, features, behind=""):
    """`behind`: what stands in plain text behind <proceed/>."""
    them.sees("<stream:stream[^>]*>")
    them.send(HEADER.format(THEIRS, "before") + f"<stream:features>{features}</stream:features>")
    them.sees(f"<starttls xmlns='{TLS}'/>")
    them.send(f"<proceed xmlns='{TLS}'/>{behind}")
    them.secure()


def test_direct_tls_names_the_domain_and_the_protocol(call):
    """XEP-0368 §3: SNI and ALPN."""
    them = call(direct=True)
    assert them.name == THEIRS and them.socket.selected_alpn_protocol() == "xmpp-server"
    assert f"to='{THEIRS}'" in them.sees("<stream:stream[^>]*>")


def test_starttls_names_the_domain(call):
    """RFC 6120 §13.7: with STARTTLS there is SNI, and no ALPN."""
    them = call()
    to_tls(them, f"<starttls xmlns='{TLS}'/>")
    assert them.name == THEIRS and them.socket.selected_alpn_protocol() is None


def test_what_was_said_before_tls_is_forgotten(call):
    """RFC 6120 §5.4.3.3: features, and the stream's id."""
    them = call()
    to_tls(them, f"<starttls xmlns='{TLS}'/>{DIALBACK}{OTHERS}<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                 "<mechanism>EXTERNAL</mechanism></mechanisms>")
    them.sees("<stream:stream[^>]*>")
    them.send(HEADER.format(THEIRS, "after") + f"<stream:features>{DIALBACK}</stream:features>")
    said = them.sees("</db:result>")
    assert said.startswith("<db:result ") and "bidi" not in said and "auth" not in said
    them.send(f"<db:result from='{THEIRS}' to='ours.example' type='valid'/>")
    assert "<enable" not in them.sees("</message>")


def test_what_stands_behind_proceed_is_forgotten(call):
    """Whoever is in between could have put it there: it is no part of the stream within TLS (RFC 6120 §5.4.3.3)."""
    them = call()
    to_tls(them, f"<starttls xmlns='{TLS}'/>", behind=HEADER.format(THEIRS, "injected") + f"<stream:features>{DIALBACK}{OTHERS}</stream:features>")
    them.sees("<stream:stream[^>]*>")
    them.send(HEADER.format(THEIRS, "after") + f"<stream:features>{DIALBACK}</stream:features>")
    said = them.sees("</db:result>")
    assert said.startswith("<db:result ") and "bidi" not in said
    them.send(f"<db:result from='{THEIRS}' to='ours.example' type='valid'/>")
    assert "<enable" not in them.sees("</message>")


def test_tls_is_tried_though_nobody_offers_it(call):
    """RFC 7590 §3.1: who takes the feature away on the way gains nothing."""
    them = call()
    to_tls(them, DIALBACK)
    assert f"to='{THEIRS}'" in them.sees("<stream:stream[^>]*>")


def test_no_tls_no_stanzas(call):
    them = call()
    them.sees("<stream:stream[^>]*>")
    them.send(HEADER.format(THEIRS, "before") + f"<stream:features>{DIALBACK}</stream:features>")
    them.sees(f"<starttls xmlns='{TLS}'/>")
    them.send(f"<failure xmlns='{TLS}'/></stream:stream>")
    error = them.alice.until(lambda e: e.get("id") == "m1")[-1]
    assert error.get("type") == "error" and "romeo" not in them.text
