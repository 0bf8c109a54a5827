# SPDX-License-Identifier: MIT
"""A room whose owner has poezio and whose visitor has profanity. With test_rooms.py and test_rooms_terminals.py this is what
others' clients do in our rooms:

              join  talk  subject  kick  ban  invite  configure  archive  moderation
  slixmpp      x     x      x       x     x     x         x         x     roles, affiliations, messages (XEP-0425)
  poezio       x     x      x       x     x     x         x         x     roles, affiliations
  profanity    x     x      x       x     x     x         x         -     roles, affiliations
  mcabber      x     x      x       x     x     x      unlocks      -     roles, affiliations

  -: the client has no command for it (profanity asks archives of people only). None of the three at a terminal can take back
  others' messages (XEP-0425)."""
import pytest

from people import Person, Poet


@pytest.fixture
def two(server, accounts, ca, trusted, tmp_path):
    """alice with poezio, and bob with profanity."""
    a, b = accounts("alice", "bob")
    alice, bob = Poet(tmp_path, server, ca, a), Person(tmp_path, server, trusted, b, "force")
    try:
        yield alice, bob.come()
    finally:
        alice.leave()
        bob.leave()


def test_poezio_makes_a_room_and_profanity_visits_it(two):
    alice, bob = two
    name = f"den-{bob.jid.split('@')[0]}"
    room = f"{name}@conference.localhost"
    alice.enter(room, "Alice")
    alice.sees("The room has been created")
    # Its name, and that it stays (the sixth field).
    alice.types("/configure")
    alice.sees("Name of the room")
    alice.presses(*"Den", *["Down"] * 5, "Right")
    alice.presses("C-y")
    alice.types("/configure")
    alice.sees(" Den ")
    alice.presses("C-g")
    bob.types(f"/join {room} nick Bob")
    bob.sees("You have joined the room as Bob")
    alice.sees("Bob")
    bob.types("Hello from profanity")
    alice.sees("Hello from profanity")
    alice.types("Hello from poezio")
    bob.sees("Hello from poezio")
    alice.types("/topic What we talk of")
    bob.sees("What we talk of")
    # Roles and affiliations.
    alice.types("/role Bob visitor")
    alice.sees("visitor")
    bob.types("may I?")
    bob.sees("you have no voice in this room", "orbidden", "rror")
    alice.types("/role Bob participant")
    alice.types(f"/affiliation {bob.jid} member")
    alice.sees("member")
    alice.types(f"/affiliation {bob.jid} none")
    alice.types("/kick Bob too loud")
    bob.sees(f"Kicked from {room} by Alice, reason: too loud")
    alice.types(f"/invite {bob.jid} mercy")
    bob.sees("mercy")
    bob.types(f"/join {room} nick Bob")
    bob.sees("You have joined the room as Bob")
    alice.types("/ban Bob enough")
    bob.sees(f"Banned from {room} by Alice")
    # Who comes back reads in the archive what was said.
    alice.types("/close")
    alice.enter(room, "Alice")
    alice.sees("Hello from profanity")
    alice.types("/destroy_room")
    alice.sees("destroyed")
