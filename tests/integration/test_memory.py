# SPDX-License-Identifier: MIT
"""One budget for the whole process: past it the greediest end first, who comes new is told to come later, and who holds little does not
notice. Memory is taken by clients that ask for much and read nothing."""
import re

import pytest

from jabiru import wait_for
from raw import CLIENT, Ended, Raw

CARD = "<vCard xmlns='vcard-temp'>{}</vCard>"
PICTURE_KIB = 50


@pytest.fixture
def server(make_server):
    made = make_server(lines="limits {\n  memory = 0\n  output = 64M\n}\n")
    made.add_user("alice@localhost", "bob@localhost", "greedy@localhost", "less@localhost")
    return made


def number(server, pattern):
    return int(re.search(rf"^{pattern}", server.ctl("status").stdout, re.M).group(1))


def limit(server, value):
    server.config.write_text(re.sub(r"memory = \w+", f"memory = {value}", server.config.read_text()))
    server.reload()


class Greedy(Raw):
    """Asks for its own large card, again and again, and reads nothing."""

    def come(self, user):
        self.login(user, "g", presence=False)
        assert self.ask(CARD.format(f"<NOTE>{'x' * (PICTURE_KIB << 10)}</NOTE>"), "set").get("type") == "result"
        return self

    def take(self, kib):
        self.wanted = kib // PICTURE_KIB
        for turn in range(self.wanted):
            self.send(f"<iq type='get' id='g{turn}'>{CARD.format('')}</iq>")

    def gets_all(self):
        missing = {f"g{turn}" for turn in range(self.wanted)}
        while missing:
            missing.discard(self.next().get("id"))


def test_the_greediest_ends_and_others_go_on(server, ca):
    alice, bob = Raw(server, ca).login("alice", "a"), Raw(server, ca).login("bob", "b")
    greedy, less = Greedy(server, ca).come("greedy"), Greedy(server, ca).come("less")
    bob.ping()
    limit(server, f"{number(server, 'allocated +([0-9]+) KiB') + (20 << 10)}K")
    less.take(6 << 10)
    greedy.take(30 << 10)
    for turn in range(1000):
        alice.send(f"<message to='bob@localhost' type='chat'><body>{turn}</body></message>")
        assert bob.until(lambda e: e.tag == CLIENT + "message")[-1].findtext(CLIENT + "body") == str(turn)
        if turn > 20 and number(server, "ended_for_memory +([0-9]+)"):
            break
    wait_for(lambda: number(server, "ended_for_memory +([0-9]+)") == 1, "the end of the greediest")
    with pytest.raises(Ended):
        greedy.gets_all()
    less.gets_all()
    assert less.ping().get("type") == "result"
    server.wait_log("memory is enough again")
    for one in (alice, bob, less):
        one.ping()
        one.close()


def test_who_comes_new_is_told_to_come_later(server, ca):
    alice = Raw(server, ca).login("alice", "a")
    limit(server, "1M")
    server.wait_log("memory is short")
    refused = Raw(server, ca).open_stream()
    assert refused.find("{urn:ietf:params:xml:ns:xmpp-streams}resource-constraint") is not None
    assert number(server, "refused_memory +([0-9]+)") == 1
    assert alice.ping().get("type") == "result"
    limit(server, "0")
    server.wait_log("memory is enough again")
    Raw(server, ca).login("bob", "b").close()
    assert number(server, "ended_for_memory +([0-9]+)") == 0
    alice.close()


def test_a_session_that_is_away_ends_without_loss(server, ca):
    """What waits for it in memory is in the offline store afterwards."""
    bob = Raw(server, ca).login("bob", "b")
    bob.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    bob.until(lambda e: e.tag.endswith("}enabled"))
    bob.cut()
    alice = Raw(server, ca).login("alice", "a")
    for turn in range(20):
        alice.send(f"<message to='bob@localhost' type='chat'><body>{turn} {'x' * 50000}</body></message>")
    alice.ping()
    limit(server, "1M")
    wait_for(lambda: number(server, "ended_for_memory +([0-9]+)") == 1, "its end")
    limit(server, "0")
    server.wait_log("memory is enough again")
    bob = Raw(server, ca).login("bob", "c")
    got = [bob.until(lambda e: e.tag == CLIENT + "message")[-1].findtext(CLIENT + "body").split()[0] for _ in range(20)]
    assert got == [str(turn) for turn in range(20)]
    bob.close()
    alice.close()
