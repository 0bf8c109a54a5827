# SPDX-License-Identifier: MIT
"""Clients that mean harm, or that leave at the worst moment: what they do must end with themselves."""
import base64

import pytest

from raw import CLIENT, Ended, Raw

HASHING_S = 120  # millions of rounds on a busy machine
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


def header(more=""):
    return (f"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' {more} "
            "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")


def auth(user, password="secret"):
    token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return f"<auth xmlns='{SASL}' mechanism='PLAIN'>{token}</auth>"


BIND = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"


def body_from(client):
    return client.until(lambda e: e.tag == CLIENT + "message")[-1].findtext(CLIENT + "body")


@pytest.mark.parametrize("more", ["xml:lang='&lt;&amp;'", "xml:lang='&#39;&gt;'", "xmlns:x='urn:x' xml:lang='de'"])
def test_a_stream_header_does_not_reach_into_the_streams_of_others(server, ca, accounts, more):
    alice, bob = accounts("alice", "bob")
    receiver = Raw(server, ca).login(bob, "b")
    receiver.ping()
    sender = Raw(server, ca)
    sender.send(header())
    sender.send(auth(alice))
    sender.send(header(more) + BIND)
    sender.send(f"<message to='{bob}@localhost'><body>one</body></message>")
    sender.send(f"<message to='{bob}@localhost' xmlns:x='urn:y'><body>two</body><x:y/></message>")
    assert body_from(receiver) == "one"
    assert body_from(receiver) == "two"
    sender.cut()
    receiver.close()


def test_everything_in_one_packet(server, ca, accounts):
    (alice,) = accounts("alice")
    client = Raw(server, ca)
    stanzas = "<presence/>" + f"<message to='{alice}@localhost'><body>note</body></message>" * 20
    client.send(header() + auth(alice) + header() + BIND + stanzas + "</stream:stream>")
    client.cut()


def test_a_login_that_ends_after_the_stream_revives_nothing(make_server, ca):
    server = make_server(c2s_lines='  negotiation-time = "1s"\n  scram-iterations = 3000000')
    server.add_user("alice@localhost", seconds=HASHING_S)
    client = Raw(server, ca)
    client.send(header() + auth("alice") + header() + BIND + "<presence/>")
    with pytest.raises(Ended):
        while True:
            client.socket.settimeout(20)
            if not client.socket.recv(65536):
                raise Ended
    # Computed behind the login, on the same threads; all the while the connection is there, half-closed.
    server.ctl("user", "passwd", "alice@localhost", password="other", seconds=HASHING_S)
    assert "logged in" not in server.text()
    client.cut()


def test_large_offline_messages_do_not_shut_their_receiver_out(server, ca, accounts):
    alice, bob = accounts("alice", "bob")
    sender = Raw(server, ca).login(alice, "a")
    filler = "x" * 200_000
    for number in range(60):
        sender.send(f"<message to='{bob}@localhost'><body>{number} {filler}</body></message>")
        sender.ping()
    receiver = Raw(server, ca).login(bob, "b")
    got = [body_from(receiver).split()[0] for _ in range(60)]
    assert got == [str(number) for number in range(60)]
    receiver.close()
    sender.close()


def test_who_comes_while_another_session_catches_up_is_not_forgotten(server, ca, accounts):
    alice, bob = accounts("alice", "bob")
    sender = Raw(server, ca).login(alice, "a")
    sender.send(f"<message to='{bob}@localhost'><body>one</body></message>")
    sender.ping()
    silent = Raw(server, ca, answers_pings=False).login(bob, "silent")
    assert body_from(silent) == "one"
    second = Raw(server, ca).login(bob, "second")
    second.ping()
    silent.cut()
    assert body_from(second) == "one"
    second.close()
    sender.close()


def test_nothing_is_kept_of_an_account_that_writes_while_it_is_removed(server, ca, accounts):
    (alice,) = accounts("alice")
    for _ in range(5):
        client = Raw(server, ca).login(alice, "a")
        item = "<iq type='set' id='i{0}'><query xmlns='jabber:iq:roster'><item jid='c{0}@localhost'/></query></iq>"
        client.send("".join(item.format(number) for number in range(400)))
        server.ctl("user", "del", f"{alice}@localhost")
        client.cut()
        server.add_user(f"{alice}@localhost")
        client = Raw(server, ca).login(alice, "a")
        assert len(client.ask("<query xmlns='jabber:iq:roster'/>")[0]) == 0
        client.cut()


def test_large_subscription_requests_do_not_shut_their_receiver_out(server, ca, accounts):
    alice, bob = accounts("alice", "bob")
    sender = Raw(server, ca).login(alice, "a")
    request = f"<presence type='subscribe' to='{bob}@localhost'><status>{{}}</status></presence>"
    sender.send(request.format("x" * 100_000))
    refused = sender.until(lambda e: e.tag == CLIENT + "presence" and e.get("type") == "error")[-1]
    assert refused.find(CLIENT + "error").get("type") == "wait"
    sender.send(request.format("x" * 1000))
    sender.ping()
    receiver = Raw(server, ca).login(bob, "b")
    asked = receiver.until(lambda e: e.get("type") == "subscribe")[-1]
    assert len(asked.findtext(CLIENT + "status")) == 1000
    receiver.close()
    sender.close()
