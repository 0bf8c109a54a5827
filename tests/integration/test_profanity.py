# SPDX-License-Identifier: MIT
"""Two people with profanity, in two terminals: what they type, and what stands on their screens."""
import pytest

from people import Person


@pytest.fixture
def people(server, accounts, trusted, tmp_path):
    made = []

    def make(policy, trusts=trusted):
        names = accounts("alice", "bob")
        made.extend(Person(tmp_path, server, trusts, name, policy) for name in names)
        return made[-2:]
    yield make
    for person in made:
        person.leave()


@pytest.mark.parametrize("policy", ["force", "legacy"], ids=["starttls", "direct-tls"])
def test_two_people_meet_chat_and_leave_messages(people, policy):
    alice, bob = people(policy)
    alice.come()
    bob.come()
    for one, other in ((alice, bob), (bob, alice)):
        one.types(f"/sub request {other.jid}")
        other.sees(f"Received authorization request from {one.jid}", f"Authorization request from {one.jid}")
        other.types(f"/sub allow {one.jid}")
        one.sees("Subscription received from " + other.jid)
    alice.types(f"/msg {bob.jid} Good morning, Bob")
    bob.sees(f"{alice.jid}")
    bob.types(f"/msg {alice.jid} Good morning, Alice")
    alice.sees("Good morning, Alice")
    bob.sees("Good morning, Bob")
    assert f"{bob.jid} [offline]" not in alice.terminal.screen()
    bob.types("/quit")  # without it his session would wait for him (XEP-0198)
    alice.sees(f"{bob.jid} [offline]")
    bob.leave()
    for number in range(3):
        alice.types(f"left for you: {number}")
        alice.sees(f"left for you: {number}")
    alice.types("/ping")
    alice.types("/win 1")
    alice.sees("Ping response from server")
    bob.come()
    bob.sees("(win 2)")
    bob.types("/win 2")
    bob.sees("left for you: 2")
    screen = bob.terminal.screen()
    places = [screen.find(f"left for you: {number}") for number in range(3)]
    assert -1 not in places and places == sorted(places), screen
    assert all(screen.count(f"left for you: {number}") == 1 for number in range(3)), screen


def test_profanity_refuses_a_certificate_that_it_has_no_ca_for(people, other_ca, tmp_path):
    folder = tmp_path / "nothing"
    folder.mkdir()
    alice, _ = people("force", folder)
    alice.open().sees("TLS certificate verification failed")
    assert "logged in successfully" not in alice.terminal.screen()
