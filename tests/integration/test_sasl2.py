# SPDX-License-Identifier: MIT
"""Logins in one step (XEP-0388, XEP-0386, XEP-0484) over TLS, with tokens that are bound to its channel, and what a thief of the
store, of a token, or of a recorded login has of it."""
import base64
import hashlib
import hmac
import os
import sqlite3
import ssl
import stat

import pytest

from jabiru import PATIENCE_S
from raw import Ended, Raw

SASL2, FAST, BIND2 = "{urn:xmpp:sasl:2}", "{urn:xmpp:fast:0}", "{urn:xmpp:bind:0}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
CLIENT_ID = "d4565fa7-4d72-4749-b3d3-740edbf87770"


@pytest.fixture
def server(make_server):
    server = make_server()
    server.add_user("alice@localhost")
    return server


class Client(Raw):
    def request(self, mechanism, initial, inside=""):
        data = base64.b64encode(initial).decode()
        self.send(f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{data}</initial-response>"
                  f"<user-agent id='{CLIENT_ID}'/>{inside}</authenticate>")

    def authenticate(self, mechanism, initial, inside=""):
        self.request(mechanism, initial, inside)
        return self.next()

    def by_password(self, inside="", password="secret"):
        return self.authenticate("PLAIN", f"\0alice\0{password}".encode(), inside)

    def proof(self, token, binding=b""):
        return b"alice\0" + hmac.digest(token.encode(), b"Initiator" + binding, "sha256")

    def by_token(self, mechanism, token, binding=b"", attributes="", inside=""):
        return self.authenticate(mechanism, self.proof(token, binding), f"<fast xmlns='urn:xmpp:fast:0'{attributes}/>{inside}")

    def end_point(self):
        return hashlib.sha256(self.socket.getpeercert(True)).digest()


def connect(server, ca, *, old=False, opened=True):
    if not old:
        client = Client(server, ca)
    else:
        context = ssl.create_default_context
        def limited(**arguments):
            made = context(**arguments)
            made.maximum_version = ssl.TLSVersion.TLSv1_2
            return made
        ssl.create_default_context = limited
        try:
            client = Client(server, ca)
        finally:
            ssl.create_default_context = context
    if opened:
        client.offer = client.open_stream()
    return client


def give(server, ca, mechanism, old=False):
    client = connect(server, ca, old=old)
    answer = client.by_password(f"<request-token xmlns='urn:xmpp:fast:0' mechanism='{mechanism}'/>")
    assert answer.tag == SASL2 + "success"
    token = answer.find(FAST + "token").get("token")
    client.cut()
    return token


def failure(element):
    assert element.tag == SASL2 + "failure", element.tag
    return element[0].tag.removeprefix(SASL)


def test_offer(server, ca):
    client = connect(server, ca)
    names = [m.text for m in client.offer.iter(FAST + "fast") for m in m]
    assert names == ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"]
    assert "SCRAM-SHA-256-PLUS" in [m.text for m in client.offer.find(SASL2 + "authentication")]
    client.close()


def test_nothing_before_tls(server):
    import socket
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as plain:
        plain.settimeout(PATIENCE_S)
        plain.sendall(b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
                      b"xmlns:stream='http://etherx.jabber.org/streams'>")
        text = b""
        while b"</stream:features>" not in text:
            text += plain.recv(65536)
        assert b"urn:xmpp:sasl:2" not in text
        plain.sendall(b"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>AGFsaWNlAHNlY3JldA=="
                      b"</initial-response></authenticate>")
        while chunk := plain.recv(65536):
            text += chunk
        assert b"policy-violation" in text and b"success" not in text


@pytest.mark.parametrize("mechanism,old", [("HT-SHA-256-NONE", False), ("HT-SHA-256-ENDP", False), ("HT-SHA-256-UNIQ", True)])
def test_one_round_trip(server, ca, mechanism, old):
    """Header and request leave at once; the session is there with the first answer, and the server proves itself too."""
    token = give(server, ca, mechanism, old)
    client = connect(server, ca, old=old, opened=False)
    binding = {"NONE": b"", "ENDP": client.end_point(), "UNIQ": client.socket.get_channel_binding() if old else b""}[mechanism[-4:]]
    sent, client.send = [], lambda text: sent.append(text)
    client.next = lambda: None
    client.open_stream()
    client.by_token(mechanism, token, binding, inside="<bind xmlns='urn:xmpp:bind:0'><tag>test</tag></bind>")
    del client.send, client.next
    client.send("".join(sent))
    assert client.next().tag.endswith("features")
    success = client.next()
    assert success.tag == SASL2 + "success" and success.find(BIND2 + "bound") is not None
    proof = base64.b64decode(success.find(SASL2 + "additional-data").text)
    assert proof == hmac.digest(token.encode(), b"Responder" + binding, "sha256")
    client.next()  # features
    assert client.ping().get("type") == "result"
    client.close()


def test_a_token_is_good_for_its_mechanism_and_channel_alone(server, ca):
    token = give(server, ca, "HT-SHA-256-ENDP")
    client = connect(server, ca)
    assert failure(client.by_token("HT-SHA-256-NONE", token)) == "not-authorized"  # a downgrade
    assert failure(client.by_token("HT-SHA-256-ENDP", token, b"another server's certificate")) == "not-authorized"
    assert client.by_token("HT-SHA-256-ENDP", token, client.end_point()).tag == SASL2 + "success"
    client.cut()
    bound = give(server, ca, "HT-SHA-256-EXPR")
    client = connect(server, ca)
    assert failure(client.by_token("HT-SHA-256-EXPR", bound, b"")) == "not-authorized"
    client.close()


def test_a_recorded_login_with_a_count_is_not_taken_twice(server, ca):
    token = give(server, ca, "HT-SHA-256-NONE")
    answers = []
    clients = [connect(server, ca) for _ in range(4)]
    for client in clients:  # all at once, on whatever shards they are
        client.request("HT-SHA-256-NONE", client.proof(token), "<fast xmlns='urn:xmpp:fast:0' count='7'/>")
    for client in clients:
        answers.append(client.next().tag)
    assert sorted(answers) == [SASL2 + "failure"] * 3 + [SASL2 + "success"]


def test_what_is_stored_is_of_no_use_without_the_key(server, ca):
    token = give(server, ca, "HT-SHA-256-NONE")
    key = server.folder / "data" / "token.key"
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    secret = key.read_bytes()
    assert len(secret) == 32
    server.stop()
    with sqlite3.connect(server.database) as store:
        dump = "\n".join(store.iterdump())
    assert token not in dump and secret.hex() not in dump.lower() and hashlib.sha256(token.encode()).hexdigest() not in dump
    server.start()
    client = connect(server, ca)
    assert client.by_token("HT-SHA-256-NONE", token).tag == SASL2 + "success"
    client.cut()
    server.stop()
    key.unlink()  # ends all tokens
    server.start()
    client = connect(server, ca)
    assert failure(client.by_token("HT-SHA-256-NONE", token)) == "not-authorized"
    assert client.by_password().tag == SASL2 + "success"
    client.cut()
    assert token not in server.text()


def test_a_new_password_ends_tokens(server, ca):
    token = give(server, ca, "HT-SHA-256-NONE")
    server.ctl("user", "passwd", "alice@localhost", password="another")
    client = connect(server, ca)
    assert failure(client.by_token("HT-SHA-256-NONE", token)) == "not-authorized"
    assert client.by_password(password="another").tag == SASL2 + "success"
    client.cut()


def test_guessing_ends_the_stream(server, ca):
    give(server, ca, "HT-SHA-256-NONE")
    client = connect(server, ca)
    with pytest.raises(Ended):
        for _ in range(20):
            client.by_token("HT-SHA-256-NONE", "a guess")
    client.cut()
