# SPDX-License-Identifier: MIT
"""Two people with profanity who write to each other with OMEMO (XEP-0384, in its older namespace): each screen has the plain
text, and the server never does."""
import re
import sqlite3

import pytest

from jabiru import wait_for
from people import Person

AXOLOTL = "eu.siacs.conversations.axolotl"
FINGERPRINT = re.compile(r"(?:[0-9a-f]{8}-){7}[0-9a-f]{8}")


@pytest.fixture
def people(make_server, trusted, tmp_path):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")
    made = [Person(tmp_path, server, trusted, name, "force") for name in ("alice", "bob")]
    yield server, *made
    for person in made:
        person.leave()


def befriend(one, other):
    for asker, asked in ((one, other), (other, one)):
        asker.types(f"/sub request {asked.jid}")
        asked.sees(f"Received authorization request from {asker.jid}", f"Authorization request from {asker.jid}")
        asked.types(f"/sub allow {asker.jid}")
        asker.sees("Subscription received from " + asked.jid)


def own_fingerprint(person):
    person.types("/win 1")
    person.types("/omemo fingerprint")
    person.sees("Your OMEMO fingerprint")
    return FINGERPRINT.search(re.sub(r"\s", "", person.terminal.screen().split("Your OMEMO fingerprint")[1])).group(0)


def trust(person, other, fingerprint):
    """As people do: the fingerprint that the program shows is the one that the other has read out."""
    person.types(f"/msg {other.jid}")
    person.sees(f"{other.jid} [online]")
    person.types("/omemo start")
    person.sees("[OMEMO]")
    shown = f"{other.jid}'s OMEMO fingerprint: {fingerprint}"

    def is_known():
        """The program fetches the other's key when it has seen him."""
        person.types("/omemo fingerprint")
        return person.sees(shown, "There is no known fingerprints") == shown
    wait_for(is_known, shown)
    person.types(f"/omemo trust {fingerprint}")
    wait_for(lambda: f"{fingerprint}(trusted)" in re.sub(r"\s", "", person.terminal.screen()), "(trusted)")


def kept(server):
    """All that the server has written into its folder, the words to be found by and the journal included."""
    return b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())


def archived(server, owner):
    with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True, timeout=10) as store:
        rows = store.execute("SELECT value FROM log WHERE owner = ? AND kind = 'archive' ORDER BY id", (owner,)).fetchall()
    return [bytes(value).decode() if isinstance(value, bytes) else value for value, in rows]


def test_two_people_write_to_each_other_with_omemo(people):
    server, alice, bob = people
    for person in (alice, bob):
        person.come()
        person.types("/omemo gen")
        person.sees("Going to publish own device ID")  # there is no list yet: the server must say so
    befriend(alice, bob)
    fingerprints = {person: own_fingerprint(person) for person in (alice, bob)}
    trust(alice, bob, fingerprints[bob])
    trust(bob, alice, fingerprints[alice])

    said = {alice: ["meet me under the marula tree", "bring the blue lantern"],
            bob: ["which of the four marula trees", "the lantern has no oil"]}
    for number in range(2):
        for one, other in ((alice, bob), (bob, alice)):
            one.types(said[one][number])
            other.sees(said[one][number])
    for person, other in ((alice, bob), (bob, alice)):
        screen = person.terminal.screen()
        assert all(screen.count(text) == 1 for texts in said.values() for text in texts), screen

    bob.types("/quit")  # what is kept for who is away is as secret
    alice.types("/win 1")
    alice.sees(f"{bob.jid} [offline]", f"-- {bob.jid}")
    bob.leave()
    alice.types(f"/win {bob.jid}")
    alice.types("the river is high tonight")
    alice.sees("the river is high tonight")
    alice.types("/ping")
    alice.types("/win 1")
    alice.sees("Ping response from server")
    bob.come()
    bob.sees("(win 2)")
    bob.types("/win 2")
    bob.sees("the river is high tonight")

    for owner in (alice, bob):
        messages = [text for text in archived(server, owner.jid) if "<body" in text or "<encrypted" in text]
        assert len(messages) == 5
        for text in messages:
            assert f"<encrypted xmlns='{AXOLOTL}'" in text.replace('"', "'") and "<payload>" in text
    everything = kept(server) + server.text().encode()
    for text in [text for texts in said.values() for text in texts] + ["the river is high tonight"]:
        for word in (text, text.split()[-1], "lantern", "marula"):
            assert word.encode() not in everything, word
    assert AXOLOTL.encode() in everything  # and so it would have been found
