# SPDX-License-Identifier: MIT
"""Two people with slixmpp, each checking the server's certificate against the CA: from logging in to offline messages."""
import asyncio
import datetime

import pytest
from slixmpp.exceptions import IqError

from raw import CLIENT, Ended, Raw
from slix import Client, LoginFailed, run

HASHES = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]


# ---- Logging in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
def test_login(server, ca, accounts, direct):
    alice, = accounts("alice")

    async def story():
        client = await Client(server, ca, alice, "desk", direct=direct).login()
        assert client.boundjid.full == f"{alice}@localhost/desk"
        assert client.socket.version() == "TLSv1.3"
        await client.ping()
        await client.leave()
    run(story)


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
def test_client_refuses_a_certificate_of_another_ca(server, other_ca, accounts, direct):
    alice, = accounts("alice")

    async def story():
        with pytest.raises(LoginFailed, match="(?i)certificate|ssl_invalid_chain"):
            await Client(server, other_ca, alice, direct=direct).login()
    run(story)


@pytest.mark.parametrize("mechanism", ["PLAIN", *HASHES])
def test_mechanism(server, ca, accounts, mechanism):
    alice, = accounts("alice")

    async def story():
        client = await Client(server, ca, alice, mechanism=mechanism).login()
        assert client["feature_mechanisms"].mech.name == mechanism.removesuffix("-PLUS") and not client.failures
        await client.leave()
    run(story)
    server.wait_log(f"{alice}@localhost logged in by {mechanism}")


@pytest.mark.parametrize("mechanism", [f"{name}-PLUS" for name in HASHES])
def test_mechanism_with_channel_binding(server, ca, accounts, mechanism):
    alice, = accounts("alice")

    async def story():
        client = await Client(server, ca, alice, mechanism=mechanism, binding=True).login()
        assert client.socket.version() == "TLSv1.2" and not client.failures
        await client.leave()
    run(story)
    server.wait_log(f"{alice}@localhost logged in by {mechanism}")


@pytest.mark.parametrize("mechanism", ["PLAIN", *HASHES])
def test_wrong_password_and_unknown_user_look_alike(server, ca, accounts, mechanism):
    alice, = accounts("alice")

    async def fails(user):
        client = Client(server, ca, user, password="wrong", mechanism=mechanism)
        with pytest.raises(LoginFailed):
            await client.login()
        await client.leave()
        return client.failures

    async def story():
        assert await fails(alice) == await fails("nobody") == ["not-authorized"]
    run(story)


def test_external_by_client_certificate(make_server, ca):
    server = make_server(host_lines=f'  client-ca = "{ca.certificate}"')
    server.add_user("alice@localhost")
    identity = ca.issue("alice", "otherName:1.3.6.1.5.5.7.8.5;UTF8:alice@localhost", usage="clientAuth")

    async def story():
        client = await Client(server, ca, "alice", mechanism="EXTERNAL", identity=identity).login()
        assert client.boundjid.bare == "alice@localhost"
        await client.leave()
    run(story)


def test_anonymous_when_switched_on(make_server, ca):
    server = make_server(host_lines="  anonymous = true")

    async def story():
        client = await Client(server, ca, "", mechanism="ANONYMOUS").login()
        assert client.boundjid.user and client.boundjid.domain == "localhost"
        await client.leave()
    run(story)


def test_slixmpp_as_it_is_logs_in(server, ca):
    """It claims tls-unique in TLS 1.3 and cannot be believed; its way to PLAIN is long, and no guessing (docs/security.md)."""
    server.add_user("alice@localhost")

    async def story():
        client = Client(server, ca, "alice", naive=True)
        await client.login()
        assert client["feature_mechanisms"].mech.name == "PLAIN" and client.failures == ["not-authorized"] * 6
        await client.leave()
    run(story)


def test_the_newer_of_two_sessions_with_one_resource_stays(server, ca, accounts):
    alice, = accounts("alice")

    async def story():
        old = await Client(server, ca, alice, "desk").login()
        gone = asyncio.ensure_future(old.wait_until("disconnected", 30))
        await asyncio.sleep(0)
        new = await Client(server, ca, alice, "desk").login()
        await gone
        assert old.stream_error == "conflict"
        await new.ping()
        await new.leave()
    run(story)


# ---- Rosters, presence, chat -------------------------------------------------------------------------------------------


async def befriend(alice, bob):
    """Both ways, as two people do it: a request, a yes, and the same back."""
    await alice.whole_roster()
    await bob.whole_roster()
    for one, other in ((alice, bob), (bob, alice)):
        one.send_presence_subscription(pto=other.boundjid.bare, ptype="subscribe")
        await other.subscription("subscribe", one)
        other.send_presence_subscription(pto=one.boundjid.bare, ptype="subscribed")
        await one.subscription("subscribed", other)


def test_two_people_add_each_other_and_see_each_other(server, ca, accounts):
    names = accounts("alice", "bob")

    async def story():
        alice, bob = [await Client(server, ca, name, "home").login() for name in names]
        await alice.update_roster(bob.boundjid.bare, name="Bob", groups=["Friends"])
        await befriend(alice, bob)
        item = (await alice.whole_roster())[bob.boundjid.bare]
        assert (item["subscription"], item["name"], item["groups"]) == ("both", "Bob", ["Friends"])
        assert (await bob.whole_roster())[alice.boundjid.bare]["subscription"] == "both"
        bob.send_presence(pshow="away", pstatus="at lunch")
        seen = await alice.wait("presence", lambda p: p["from"] == bob.boundjid and p["show"] == "away")
        assert seen["status"] == "at lunch"
        await bob.leave()
        await alice.wait("presence", lambda p: p["from"] == bob.boundjid and p["type"] == "unavailable")
        await alice.leave()
    run(story)


def test_presence_ends_when_the_connection_is_cut(server, ca, accounts):
    names = accounts("alice", "bob")

    async def story():
        alice, bob = [await Client(server, ca, name, "home").login() for name in names]
        await befriend(alice, bob)
        await alice.wait("presence", lambda p: p["from"] == bob.boundjid and p["type"] == "available")
        await bob.cut()
        await alice.wait("presence", lambda p: p["from"] == bob.boundjid and p["type"] == "unavailable")
        await alice.leave()
    run(story)


def test_chat_both_ways_in_order(server, ca, accounts):
    names = accounts("alice", "bob")

    async def story():
        alice, bob = [await Client(server, ca, name, "home").login() for name in names]
        for number in range(50):
            alice.send_message(bob.boundjid.bare, f"from Alice {number} <&>")
            bob.send_message(alice.boundjid.full, f"from Bob {number} ✓")
        await alice.body("from Bob 49 ✓")
        last = await bob.body("from Alice 49 <&>")
        assert last["from"] == alice.boundjid
        assert [m["body"] for m in alice.arrived["message"]] == [f"from Bob {n} ✓" for n in range(49)]
        assert [m["body"] for m in bob.arrived["message"]] == [f"from Alice {n} <&>" for n in range(49)]
        await alice.leave()
        await bob.leave()
    run(story)


# ---- Offline messages ------------------------------------------------------------------------------------------------


def bodies(messages):
    return [m["body"] for m in messages]


async def send_offline(server, ca, sender, receiver, count):
    """To an account with nobody online; ends when the server has read them all, and its actor has had them."""
    alice = await Client(server, ca, sender).login()
    for number in range(count):
        alice.send_message(f"{receiver}@localhost", f"number {number}")
    await alice.ping()
    return alice


def test_offline_messages_come_once_and_in_order(server, ca, accounts):
    names = accounts("alice", "bob")
    expected = [f"number {n}" for n in range(100)]

    async def story():
        alice = await send_offline(server, ca, *names, 100)
        bob = Client(server, ca, names[1], "home")
        await bob.login()
        last = await bob.body(expected[-1])
        assert last["delay"]["stamp"] if "delay" in last.plugins else last.xml.find("{urn:xmpp:delay}delay") is not None
        assert bodies(bob.arrived["message"]) == expected[:-1]
        alice.send_message(bob.boundjid.bare, "live")
        await bob.body("live")
        await bob.leave()
        again = await Client(server, ca, names[1], "home").login()
        alice.send_message(bob.boundjid.bare, "live again")
        await again.body("live again")
        assert not again.arrived["message"]
        await again.leave()
        await alice.leave()
    run(story)


def test_messages_cut_off_in_delivery_come_again(server, ca, accounts):
    names = accounts("alice", "bob")
    expected = [f"number {n}" for n in range(100)]

    def takes_a_few_and_dies():
        client = Raw(server, ca, answers_pings=False).login(names[1], "home")
        got = [e for e in client.until(lambda e: e.findtext(CLIENT + "body") == "number 9") if e.tag == CLIENT + "message"]
        client.cut()
        return len(got)

    async def story():
        alice = await send_offline(server, ca, *names, 100)
        for _ in range(3):
            assert await asyncio.to_thread(takes_a_few_and_dies) == 10
        bob = await Client(server, ca, names[1], "home").login()
        await bob.body(expected[-1])
        assert bodies(bob.arrived["message"]) == expected[:-1]
        await bob.leave()
        await alice.leave()
    run(story)


def test_no_message_is_lost_by_a_restart_of_the_server(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")

    async def before():
        await (await send_offline(server, ca, "alice", "bob", 20)).leave()

    async def after():
        bob = await Client(server, ca, "bob", "home").login()
        await bob.body("number 19")
        assert bodies(bob.arrived["message"]) == [f"number {n}" for n in range(19)]
        await bob.leave()
    run(before)
    server.stop()
    server.start()
    run(after)


# ---- Small services --------------------------------------------------------------------------------------------------


def test_services_of_the_server(server, ca, accounts):
    alice, = accounts("alice")

    async def story():
        client = await Client(server, ca, alice).login()
        info = (await client["xep_0030"].get_info(jid="localhost", timeout=30))["disco_info"]
        assert ("server", "im") in {(one[0], one[1]) for one in info["identities"]}
        assert {"urn:xmpp:ping", "jabber:iq:version", "urn:xmpp:time", "jabber:iq:last",
                "http://jabber.org/protocol/disco#info"} <= set(info["features"])
        await client["xep_0030"].get_items(jid="localhost", timeout=30)
        assert (await client["xep_0092"].get_version("localhost"))["software_version"]["name"] == "Jabiru"
        time = await client["xep_0202"].get_entity_time("localhost")
        datetime.datetime.strptime(time.xml.findtext(".//{urn:xmpp:time}utc"), "%Y-%m-%dT%H:%M:%SZ")
        assert (await client["xep_0012"].get_last_activity("localhost"))["last_activity"]["seconds"] >= 0
        with pytest.raises(IqError) as unknown:
            iq = client.make_iq_get(queryxmlns="urn:example:unknown", ito="localhost")
            await iq.send(timeout=30)
        assert unknown.value.condition == "service-unavailable"
        await client.leave()
    run(story)


def test_kicked_by_the_administrator(server, ca, accounts):
    alice, = accounts("alice")
    client = Raw(server, ca).login(alice, "desk")
    client.ping()
    assert f"{alice}@localhost/desk" in server.ctl("sessions", "list").stdout
    server.ctl("sessions", "kick", f"{alice}@localhost/desk")
    with pytest.raises(Ended):
        client.until(lambda e: False)
    assert f"{alice}@localhost/desk" not in server.ctl("sessions", "list").stdout
