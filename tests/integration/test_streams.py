# SPDX-License-Identifier: MIT
"""Streams byte by byte, as only a real socket shows them: STARTTLS, what comes before and after it, and the end (RFC 6120 §4-§6)."""
import base64
import re
import socket
import ssl

import pytest

from jabiru import PATIENCE_S
from raw import Ended, Raw

HEADER = ("<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
PROCEED = re.compile(rb"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
FEATURES = re.compile(rb"<stream:features>.*</stream:features>", re.S)
SUCCESS = re.compile(rb"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")


def auth(user, password="secret"):
    token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>"


class Bytes:
    """A client that sees bytes: on the plain port, without TLS at first."""

    def __init__(self, server, ca):
        self.ca, self.got = ca, b""
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def until(self, pattern):
        """What came since the last call up to the end of the pattern; nothing may stand behind it."""
        while not (match := pattern.search(self.got)):
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {self.got!r}"
            self.got += data
        assert match.end() == len(self.got), self.got
        got, self.got = self.got, b""
        return got

    def rest(self):
        """All that comes until the end of the connection."""
        while data := self.socket.recv(65536):
            self.got += data
        return self.got

    def secure(self):
        context = ssl.create_default_context(cafile=str(self.ca.certificate))
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost", suppress_ragged_eofs=False)

    def start_tls(self):
        self.send(HEADER)
        self.until(FEATURES)
        self.send(STARTTLS)
        assert PROCEED.fullmatch(self.until(PROCEED))
        self.secure()
        self.send(HEADER)
        return self.until(FEATURES)


@pytest.fixture
def client(server, ca):
    client = Bytes(server, ca)
    yield client
    client.socket.close()


def stream_id(header):
    return re.search(rb" id='([^']+)'", header).group(1)


def test_before_tls_only_tls_is_offered(client):
    client.send(HEADER)
    features = client.until(FEATURES)
    assert b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>" in features
    assert b"mechanism" not in features and b"bind" not in features
    client.send(auth("alice"))
    assert re.search(rb"<stream:error><policy-violation [^>]*/>.*</stream:stream>$", client.rest())


def test_mechanisms_come_with_tls_the_strongest_first(client):
    features = client.start_tls()
    listed = re.search(rb"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>(.*?)</mechanisms>", features).group(1)
    names = re.findall(rb"<mechanism>([^<]+)</mechanism>", listed)
    assert names == [b"SCRAM-SHA-512-PLUS", b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-1-PLUS", b"SCRAM-SHA-512", b"SCRAM-SHA-256", b"SCRAM-SHA-1",
                     b"PLAIN"]
    assert b"starttls" not in features and b"urn:ietf:params:xml:ns:xmpp-bind" not in features
    kinds = re.search(rb"<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>(.*?)</sasl-channel-binding>", features).group(1)  # XEP-0440
    assert re.findall(rb"<channel-binding type='([a-z-]+)'/>", kinds) == [b"tls-exporter", b"tls-server-end-point"]
    client.send(STARTTLS)
    assert client.until(re.compile(rb"</stream:stream>")).startswith(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")


def test_what_is_sent_behind_starttls_is_forgotten(client, accounts):
    (alice,) = accounts("alice")
    client.send(HEADER)
    client.until(FEATURES)
    client.send(STARTTLS + HEADER + auth(alice) + "<message/>")
    client.until(PROCEED)
    client.secure()
    client.send(HEADER)
    assert b"<mechanism>PLAIN</mechanism>" in client.until(FEATURES)
    client.send(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NONE'/>")  # had the rest been read, more would come before the answer
    answer = client.until(re.compile(rb"</failure>|<success[^>]*>|</stream:stream>"))
    assert answer == b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-mechanism/></failure>"


def test_a_handshake_that_fails_ends_the_connection_without_a_word(client):
    client.send(HEADER)
    client.until(FEATURES)
    client.send(STARTTLS)
    client.until(PROCEED)
    client.send(HEADER)  # this is no handshake
    rest = client.rest()
    assert b"<" not in rest, rest  # an alert is 7 bytes


def test_each_restart_is_a_new_stream_with_a_new_id(client, accounts):
    (alice,) = accounts("alice")
    client.send(HEADER)
    ids = [stream_id(client.until(FEATURES))]
    client.send(STARTTLS)
    client.until(PROCEED)
    client.secure()
    client.send(HEADER)
    ids.append(stream_id(client.until(FEATURES)))
    client.send(auth(alice))
    assert SUCCESS.fullmatch(client.until(SUCCESS))  # no end of the old stream, no white space (§4.3.3, §6.3.5)
    client.send(HEADER)
    features = client.until(FEATURES)
    ids.append(stream_id(features))
    assert len(set(ids)) == 3 and b"<bind " in features and b"mechanism" not in features


def test_stream_ids_do_not_repeat_and_have_no_pattern(server, ca):
    ids = set()
    for _ in range(100):
        client = Bytes(server, ca)
        client.send(HEADER)
        ids.add(stream_id(client.until(FEATURES)))
        client.socket.close()
    assert len(ids) == 100
    assert all(len(one) >= 22 for one in ids)  # 128 bits and more
    for place in range(22):
        assert len({one[place] for one in ids}) > 20, f"place {place} of the ids hardly changes"


def test_what_the_server_writes_is_plain_xml(client, accounts):
    alice, bob = accounts("alice", "bob")
    header = client.start_tls()
    assert header.startswith(b"<?xml version='1.0'?><stream:stream ")
    root = re.search(rb"<stream:stream [^>]*>", header).group(0)
    assert sorted(re.findall(rb"xmlns(?::\w+)?='[^']*'", root)) == [b"xmlns:stream='http://etherx.jabber.org/streams'", b"xmlns='jabber:client'"]
    assert b" xml:lang='en'" in root
    client.send(auth(alice))
    client.until(SUCCESS)
    client.send(HEADER)
    text = client.until(FEATURES)
    client.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/>"
                "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"
                f"<presence type='subscribe' to='{bob}@localhost'/><message to='{alice}@localhost'><x:x xmlns:x='urn:x'>&#228;</x:x></message>"
                "<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
    # In either order: the message comes by way of the offline store while that is being read.
    text += client.until(re.compile(rb"(?s)^(?=.*<iq [^>]*id='end')(?=.*</x:x>.*</message>).*>$"))
    text = text.removeprefix(b"<?xml version='1.0'?>")
    assert b"<?" not in text and b"<!" not in text  # no declaration, comment, instruction, DTD
    assert not re.search(rb"</?\w+:(iq|message|presence)\b", text)
    text.decode("utf-8")


def test_resources_that_the_server_makes_are_random(server, ca, accounts):
    (alice,) = accounts("alice")
    names = set()
    for _ in range(10):
        client = Raw(server, ca)
        client.open_stream()
        client.send(auth(alice))
        client.next()
        client.open_stream()
        names.add(client.ask("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", "set")[0][0].text.split("/")[1])
        client.close()
    assert len(names) == 10 and all(len(name) >= 16 for name in names)


def login(client, user):
    client.start_tls()
    client.send(auth(user))
    client.until(SUCCESS)
    client.send(HEADER)
    client.until(FEATURES)
    client.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>")
    client.until(re.compile(rb"</iq>"))


def test_an_end_of_the_clients_is_answered_with_all_ends(client, accounts):
    (alice,) = accounts("alice")
    login(client, alice)
    client.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>")
    assert re.fullmatch(rb"<iq [^>]*id='p'[^>]*/></stream:stream>", client.rest())  # rest() would raise without a close_notify


def test_an_end_of_the_servers_waits_for_the_client_but_not_for_ever(server, client, accounts):
    (alice,) = accounts("alice")
    login(client, alice)
    server.ctl("user", "del", f"{alice}@localhost")
    assert client.rest().endswith(b"</stream:stream>")  # with a close_notify
    plain = client.socket
    client.socket = plain.unwrap()  # our close_notify can still be sent: the server's side of TCP is there
    client.socket.settimeout(PATIENCE_S)
    assert client.rest().endswith(b"</stream:stream>")


def test_one_who_never_closes_is_let_go(server, client, accounts):
    (alice,) = accounts("alice")
    login(client, alice)
    server.ctl("user", "del", f"{alice}@localhost")
    client.rest()
    with pytest.raises((Ended, OSError)):
        while True:  # a byte now and then, and no end: after some seconds TCP is gone
            client.socket.send(b" ")
            client.socket.settimeout(0.2)
            try:
                client.socket.recv(1)
            except TimeoutError:
                pass
