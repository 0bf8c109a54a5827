# SPDX-License-Identifier: MIT
"""kill -9 in the middle of roster changes and offline messages, again and again on the same data.

Of rosters, each change that was answered with a result must be there after the restart; of the changes that were
under way, any first part may be. Nobody answers a message, so for messages the store's own file is the witness: what
another process can read in it before the kill must come to the receiver after it. And what comes must be a first part
of what was sent, without a gap, in order; only what the receiver was getting at the moment of the kill may come again."""
import random
import sqlite3
import time

from raw import CLIENT, Ended, Raw

ROUNDS, CONTACTS, CHANGES_AT_A_TIME = 50, 12, 4
ROSTER = "{jabber:iq:roster}"


class Story:
    """What was asked of the server, what it has answered, and what may therefore be expected of it."""

    def __init__(self, server, ca, seed):
        self.server, self.ca, self.random = server, ca, random.Random(seed)
        self.roster = {}        # name by contact, as answered
        self.under_way = []     # (id, contact, name or None), in order, not answered yet
        self.sent = []          # bodies, in order, not known to have been received
        self.number = 0

    # -- before the kill --

    def change_roster(self, alice):
        contact = f"contact{self.random.randrange(CONTACTS)}@localhost"
        self.number += 1
        name = None if self.random.random() < 0.25 and contact in self.roster else f"name {self.number}"
        attribute = "subscription='remove'" if name is None else f"name='{name}'"
        query = f"<query xmlns='jabber:iq:roster'><item jid='{contact}' {attribute}/></query>"
        self.under_way.append((alice.start_iq(query, "set"), contact, name))

    def take_answer(self, alice):
        answer = alice.until(lambda e: e.tag == CLIENT + "iq" and e.get("type") in ("result", "error"))[-1]
        asked, contact, name = self.under_way.pop(0)
        assert answer.get("id") == asked
        if answer.get("type") == "result":
            self.apply(self.roster, contact, name)

    @staticmethod
    def apply(roster, contact, name):
        if name is None:
            roster.pop(contact, None)
        else:
            roster[contact] = name

    def send_message(self, alice):
        self.number += 1
        self.sent.append(f"message {self.number}")
        alice.send(f"<message to='bob@localhost' type='chat'><body>{self.sent[-1]}</body></message>")

    def seen_in_store(self):
        with sqlite3.connect(f"file:{self.server.database}?mode=ro", uri=True, timeout=10) as store:
            return store.execute("SELECT count(*) FROM log WHERE owner = 'bob@localhost' AND kind = 'offline'").fetchone()[0]

    def work_until_the_kill(self, moments):
        alice = Raw(self.server, self.ca).login("alice", "desk", presence=False)
        end = time.monotonic() + moments
        while time.monotonic() < end:
            self.send_message(alice)
            self.change_roster(alice)
            while len(self.under_way) >= CHANGES_AT_A_TIME:
                self.take_answer(alice)
        known = self.seen_in_store()
        self.server.kill()
        try:
            while self.under_way:
                self.take_answer(alice) # answers that were on the wire already count
        except (Ended, OSError):
            pass
        alice.socket.close()
        return known

    # -- after the restart --

    def check_roster(self):
        alice = Raw(self.server, self.ca).login("alice", "desk", presence=False)
        query = alice.ask("<query xmlns='jabber:iq:roster'/>").find(ROSTER + "query")
        alice.close()
        found = {item.get("jid"): item.get("name") for item in query if item.get("subscription") == "none"}
        possible, candidate = [dict(self.roster)], dict(self.roster)
        for _, contact, name in self.under_way:
            self.apply(candidate, contact, name)
            possible.append(dict(candidate))
        assert found in possible, f"answered: {self.roster}\nunder way: {self.under_way}\nfound: {found}"
        self.roster, self.under_way = found, []

    def check_messages(self, known):
        bob = Raw(self.server, self.ca).login("bob", "home")
        bob.send("<message to='bob@localhost' type='chat'><body>the end</body></message>")
        passed = bob.until(lambda e: e.findtext(CLIENT + "body") == "the end")
        bodies = [e.findtext(CLIENT + "body") for e in passed if e.tag == CLIENT + "message"][:-1]
        self.empty(bob)
        bob.close()
        assert bodies == self.sent[:len(bodies)], f"sent {self.sent}\ngot  {bodies}"
        assert len(bodies) >= known, f"{known} were in the store, {len(bodies)} came"
        self.sent = []

    def empty(self, bob):
        """Until the server has seen that Bob has all, and forgot them."""
        while self.seen_in_store():
            bob.ping()


def test_what_was_answered_survives_kill_9(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    story = Story(server, ca, seed)
    changes, messages = 0, 0
    for _ in range(ROUNDS):
        known = story.work_until_the_kill(story.random.uniform(0.0, 0.15))
        changes, messages = changes + len(story.roster), messages + known
        server.start()
        story.check_roster()
        story.check_messages(known)
    assert changes and messages


def test_messages_under_way_to_a_client_survive_kill_9(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")
    story = Story(server, ca, 1)
    alice = Raw(server, ca).login("alice", "desk", presence=False)
    for _ in range(100):
        story.send_message(alice)
    while story.seen_in_store() < 100:
        alice.ping()
    got, last = [], story.sent[-1]
    while last not in got:
        bob = Raw(server, ca).login("bob", "home")
        stop_after = story.random.choice(story.sent[len(got):])
        passed = bob.until(lambda e: e.findtext(CLIENT + "body") in (stop_after, last))
        passed += bob.elements # these were read too, and a ping behind them may have been answered
        here = [e.findtext(CLIENT + "body") for e in passed if e.tag == CLIENT + "message"]
        assert here == story.sent[story.sent.index(here[0]):][:len(here)], "a gap"
        assert story.sent.index(here[0]) <= len(got), "some were never delivered"
        got = story.sent[:max(len(got), story.sent.index(here[-1]) + 1)]
        server.kill()
        bob.socket.close()
        server.start()
    alice.socket.close()
