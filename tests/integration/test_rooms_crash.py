# SPDX-License-Identifier: MIT
"""kill -9 in the middle of a room's life, again and again on the same data.

Each change of the configuration, an affiliation or a hat that was answered must be there after the restart; of those that were
under way, any first part may be. A message counts as accepted when stream management has acknowledged it (XEP-0198): then it
is in the room's archive. What the archive has is a first part of what was sent, in order, nothing twice. And of each change of
an affiliation that is there the owners' log knows."""
import hashlib
import hmac
import random
import re
import sqlite3
import time

from raw import CLIENT, Ended, Raw

ROUNDS, PEOPLE, CHANGES_AT_A_TIME = 10, 8, 4
ROOM = "kept@conference.localhost"
ADMIN, OWNER, USER = (f"http://jabber.org/protocol/muc#{name}" for name in ("admin", "owner", "user"))
FORM, MAM, RSM, LOG, HATS = "jabber:x:data", "urn:xmpp:mam:2", "http://jabber.org/protocol/rsm", "x-jabiru:moderation-log", "urn:xmpp:hats:commands"
COMMANDS, SM = "http://jabber.org/protocol/commands", "urn:xmpp:sm:3"


def submit(form_type, **fields):
    inside = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    return f"<x xmlns='{FORM}' type='submit'><field var='FORM_TYPE'><value>{form_type}</value></field>{inside}</x>"


def configuration(**fields):
    named = {f"muc#roomconfig_{name}": value for name, value in fields.items()}
    return f"<query xmlns='{OWNER}'>{submit('http://jabber.org/protocol/muc#roomconfig', **named)}</query>"


def command(node, form):
    return f"<command xmlns='{COMMANDS}' node='{node}'>{form}</command>"


class Story:
    """What was asked of the room, what was answered, and what may therefore be expected of it."""

    def __init__(self, server, ca, seed):
        self.server, self.ca, self.random = server, ca, random.Random(seed)
        self.known = {}       # what was answered: "name", "hat", and an affiliation for each address
        self.under_way = []   # (id, key, value), in order, not answered yet
        self.sent = []        # bodies that may be in the archive, all rounds
        self.accepted = 0     # so many of them must be
        self.number = self.answered = 0

    # -- before the kill --

    def enter(self):
        alice = Raw(self.server, self.ca).login("alice", "desk")
        alice.send(f"<presence to='{ROOM}/Alice'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>")
        alice.until(lambda e: e.tag == CLIENT + "message" and e.find(CLIENT + "subject") is not None)
        return alice

    def make(self):
        alice = self.enter()
        assert alice.ask(configuration(persistentroom=1), "set", ROOM).get("type") == "result"
        alice.close()

    def change(self, alice):
        self.number += 1
        what = self.random.random()
        if what < 0.2:
            key, value, payload = "name", f"name {self.number}", configuration(roomname=f"name {self.number}")
        elif what < 0.4:
            key, value = "hat", f"title {self.number}"
            payload = command(f"{HATS}:create", submit(HATS, **{"hats#title": value, "hats#uri": "urn:x:hat"}))
        else:
            key, value = f"person{self.random.randrange(PEOPLE)}@localhost", self.random.choice(["member", "outcast", "admin", "none"])
            payload = f"<query xmlns='{ADMIN}'><item jid='{key}' affiliation='{value}'><reason>{self.number}</reason></item></query>"
        self.under_way.append((alice.start_iq(payload, "set", ROOM), key, value))
        self.stanzas += 1

    def say(self, alice):
        self.number += 1
        self.sent.append(f"message {self.number}")
        self.stanzas += 1
        self.places.append((self.stanzas, len(self.sent)))
        alice.send(f"<message to='{ROOM}' type='groupchat'><body>{self.sent[-1]}</body></message><r xmlns='{SM}'/>")

    def take(self, alice, until_answer):
        """What comes, to the next answer; what stream management acknowledges is accepted."""
        while True:
            element = alice.next()
            if element.tag == f"{{{SM}}}a":
                done = [count for stanzas, count in self.places if stanzas <= int(element.get("h"))]
                self.accepted = max([self.accepted, *done])
            elif element.tag == f"{{{SM}}}r":
                pass
            elif element.tag == CLIENT + "iq" and element.get("type") in ("result", "error"):
                asked, key, value = self.under_way.pop(0)
                assert element.get("id") == asked and element.get("type") == "result", f"{key} {value}"
                self.apply(self.known, key, value)
                self.answered += 1
                if until_answer:
                    return

    @staticmethod
    def apply(known, key, value):
        if value == "none":
            known.pop(key, None)
        else:
            known[key] = value

    def work_until_the_kill(self, moments):
        alice = self.enter()
        alice.send(f"<enable xmlns='{SM}'/>")
        alice.until(lambda e: e.tag == f"{{{SM}}}enabled")
        self.stanzas, self.places = 0, []
        end = time.monotonic() + moments
        while time.monotonic() < end:
            self.say(alice)
            self.change(alice)
            while len(self.under_way) >= CHANGES_AT_A_TIME:
                self.take(alice, until_answer=True)
        self.server.kill()
        try:
            self.take(alice, until_answer=False)  # what was on the wire already counts
        except (Ended, OSError):
            pass
        alice.socket.close()

    # -- after the restart --

    def found(self, alice):
        state = {}
        form = alice.ask(f"<query xmlns='{OWNER}'/>", "get", ROOM)
        state["name"] = form.findtext(f".//{{{FORM}}}field[@var='muc#roomconfig_roomname']/{{{FORM}}}value") or None
        hats = alice.ask(command(f"{HATS}:list", ""), "set", ROOM)
        state["hat"] = hats.findtext(f".//{{{FORM}}}item/{{{FORM}}}field[@var='hats#title']/{{{FORM}}}value")
        for affiliation in ("member", "outcast", "admin"):
            answer = alice.ask(f"<query xmlns='{ADMIN}'><item affiliation='{affiliation}'/></query>", "get", ROOM)
            state.update({item.get("jid"): affiliation for item in answer.iter(f"{{{ADMIN}}}item")})
        return {key: value for key, value in state.items() if value}

    def archived(self, alice):
        """All bodies, page by page."""
        bodies, after = [], ""
        while True:
            query = alice.start_iq(f"<query xmlns='{MAM}'><set xmlns='{RSM}'><max>200</max>{after}</set></query>", "set", ROOM)
            page = alice.until(lambda e: e.tag == CLIENT + "iq" and e.get("id") == query)
            bodies += [e.findtext(f".//{{{CLIENT[1:-1]}}}body") for e in page if e.find(f"{{{MAM}}}result") is not None]
            fin = page[-1].find(f"{{{MAM}}}fin")
            if fin.get("complete") == "true":
                return bodies
            after = f"<after>{fin.findtext(f'.//{{{RSM}}}last')}</after>"

    def logged(self, alice):
        answer = alice.ask(command(LOG, submit(LOG, max=200)), "set", ROOM)
        fields = [{field.get("var"): field.findtext(f"{{{FORM}}}value") for field in item} for item in answer.iter(f"{{{FORM}}}item")]
        return {line["jid"]: line["action"] for line in fields if line["jid"]}

    def check(self):
        alice = Raw(self.server, self.ca).login("alice", "desk")
        found, archived, logged = self.found(alice), self.archived(alice), self.logged(alice)
        alice.close()
        possible, candidate = [dict(self.known)], dict(self.known)
        for _, key, value in self.under_way:
            self.apply(candidate, key, value)
            possible.append(dict(candidate))
        assert found in possible, f"answered: {self.known}\nunder way: {self.under_way}\nfound: {found}"
        assert archived == self.sent[:len(archived)], f"sent {self.sent}\nfound {archived}"
        assert len(archived) >= self.accepted, f"{self.accepted} were accepted, {len(archived)} are there"
        for jid, affiliation in found.items():
            if "@" in jid:
                assert logged.get(jid) == affiliation, f"{jid} is {affiliation}, the log says {logged.get(jid)}"
        self.known, self.under_way = found, []
        self.sent, self.accepted = archived, len(archived)


def test_what_a_room_has_answered_survives_kill_9(make_server, ca):
    server = make_server(host_lines="  rooms {\n    user-rate = 0\n    room-rate = 0\n  }")
    server.add_user("alice@localhost")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    story = Story(server, ca, seed)
    story.make()
    for _ in range(ROUNDS):
        story.work_until_the_kill(story.random.uniform(0.05, 0.3))
        server.start()
        story.check()
    assert story.answered > ROUNDS and story.accepted > ROUNDS


def test_an_occupant_id_tells_nothing_without_the_rooms_secret(make_server, ca):
    """XEP-0421 §6: an HMAC of the address with a secret of the room, and no digest of the address."""
    server = make_server()
    server.add_user("alice@localhost")
    alice, ids = Raw(server, ca).login("alice", "desk"), {}
    for room in ("one@conference.localhost", "two@conference.localhost"):
        alice.send(f"<presence to='{room}/A'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        came = alice.until(lambda e: e.tag == CLIENT + "presence" and e.find(f"{{{USER}}}x") is not None)[-1]
        ids[room] = came.find("{urn:xmpp:occupant-id:0}occupant-id").get("id")
        assert alice.ask(configuration(persistentroom=1), "set", room).get("type") == "result"
    alice.close()
    with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True, timeout=10) as store:
        secrets = dict(store.execute("SELECT owner, value FROM map WHERE kind = 'room' AND key = 'secret'"))
    secrets = {room: value if isinstance(value, bytes) else value.encode() for room, value in secrets.items()}
    assert len(set(ids.values())) == len(set(secrets.values())) == 2
    for room, found in ids.items():
        assert len(secrets[room]) >= 16 and re.fullmatch("[0-9a-f]{40}", found)
        assert hmac.new(secrets[room], b"alice@localhost", hashlib.sha256).hexdigest()[:40] == found
        for digest in ("md5", "sha1", "sha256", "sha512"):
            for text in ("alice@localhost", "alice@localhost/desk", f"{room}alice@localhost"):
                assert hashlib.new(digest, text.encode()).hexdigest()[:40] != found
