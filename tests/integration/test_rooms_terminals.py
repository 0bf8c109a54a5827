# SPDX-License-Identifier: MIT
"""A room of two people at terminals: one has profanity, the other mcabber, and each is host once."""
import pytest

from people import Chatter, Person


@pytest.fixture
def two(server, accounts, ca, certificate, trusted, tmp_path):
    """alice with profanity, and bob with mcabber."""
    a, b = accounts("alice", "bob")
    alice = Person(tmp_path, server, trusted, a, "force")
    bob = Chatter(tmp_path, server, ca, certificate[0], b)
    try:
        yield alice.come(), bob
    finally:
        alice.leave()
        bob.leave()


def test_profanity_makes_a_room_and_mcabber_visits_it(two):
    alice, bob = two
    name = f"cave-{bob.jid.split('@')[0]}"
    room = f"{name}@conference.localhost"
    alice.types(f"/join {room} nick Alice")
    alice.sees("Room locked, requires configuration")
    alice.types("/room config")
    alice.sees("to save changes")
    alice.types("/field1 Cave")
    alice.sees("Name of the room: Cave")
    alice.types("/form submit")
    alice.sees("Room configuration successful")
    bob.enter(room, "Bob")
    alice.sees("Bob")
    bob.types("Hello from mcabber")
    alice.sees("Hello from mcabber")
    alice.types("Hello from profanity")
    bob.sees("Hello from profanity")
    alice.types('/subject set "What we talk of"')
    bob.sees("What we talk of")
    alice.types("/role set visitor Bob")
    alice.sees("visitor")
    bob.types("may I?")
    bob.sees("you have no voice in this room", "orbidden")
    alice.types("/role set participant Bob")
    alice.sees("participant")
    bob.types("now I may")
    alice.sees("now I may")
    alice.types(f"/affiliation set member {bob.jid}")
    alice.sees("member")
    alice.types('/kick Bob "too loud"')
    bob.sees("too loud")
    alice.sees("Bob has been kicked from the room")
    alice.types(f"/invite send {bob.jid} mercy")
    bob.sees("Received an invitation to")  # its end may be broken over two lines
    bob.enter(room, "Bob")
    bob.types("here I am again")
    alice.sees("here I am again")
    alice.types(f"/ban {bob.jid} enough")
    alice.sees("Bob has been banned from the room")
    bob.sees("enough")
    bob.types(f"/room join {room} Bob")
    bob.sees("you are banned from this room")
    alice.types("/room destroy")
    alice.sees("Room destroyed")


def test_mcabber_makes_a_room_and_profanity_visits_it(two):
    alice, bob = two
    room = f"cellar-{bob.jid.split('@')[0]}@conference.localhost"
    bob.enter(room, "Bob")
    bob.types("/room unlock")
    bob.types("/room topic Down here")
    bob.sees(f"{room} -- Down here")
    bob.types(f"/room invite {alice.jid} dark_but_nice")
    alice.sees("dark_but_nice")
    alice.types(f"/join {room} nick Alice")
    alice.sees("You have joined the room as Alice")
    alice.sees("Down here")
    alice.types("a candle, please")
    bob.sees("a candle, please")
    bob.types("there is one")
    alice.sees("there is one")
    alice.types("/nick Alicia")
    bob.sees("Alicia")
    bob.types("/room role Alicia visitor")
    alice.sees("visitor")
    alice.types("may I?")
    alice.sees("you have no voice in this room", "orbidden")
    bob.types("/room role Alicia participant")
    alice.sees("participant")
    bob.types(f"/room affil {alice.jid} member")
    alice.sees("member")
    bob.types("/room kick Alicia out")
    alice.sees(f"Kicked from {room} by Bob, reason: out")
    alice.types(f"/join {room} nick Alicia")
    alice.sees("You have joined the room as Alicia")
    bob.types(f"/room ban {alice.jid} for_good")
    alice.sees(f"Banned from {room} by Bob")
