# SPDX-License-Identifier: MIT
"""Works that belong to no peer: what we say of our own server and library alone, once in a run, however many rounds it has."""
import re
import statistics
import subprocess

from peers.base import DOMAIN, People, PeerError
from rig import find_built, make_peer
from wire import CLIENT, Wire, cpu_seconds

SCAN_ROUNDS, SCAN_SECONDS = 10, 120
MILLION, MILLION_QUICK, MILLION_SECONDS = 1000000, 20000, 900
ACCOUNTS, ROOMS, QUICK_PART = 1000000, 100000, 20
RESTARTS = 3
SERVICE = f"conference.{DOMAIN}"
MUC, INFO = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/disco#info"
PERSISTENT = (f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>"
              f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>"
              "<field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query>")


def output_of(bench, name, argument, seconds):
    """What a program of this folder says when it runs on the servers' core."""
    done = subprocess.run(["taskset", "-c", str(bench.server_cpu), str(find_built(bench.build, name)), str(argument)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise PeerError(f"{name} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def scanner_numbers(text):
    """From the table of scan_bench: medians over the kinds of stanzas, and the kind at which the scanner gains least."""
    lines = [[float(word) for word in line.split()[-3:]] for line in text.splitlines()[1:]]
    ours, expat, _ = map(statistics.median, zip(*lines))
    return {"scan": ours, "scan-expat": expat, "scan-times": min(line[0] / line[1] for line in lines)}


def scanner(bench):
    return scanner_numbers(output_of(bench, "scan_bench", 2 if bench.quick else SCAN_ROUNDS, SCAN_SECONDS))


def million_numbers(text):
    numbers = {f"million-{word}": float(found) for word, found in re.findall(r"^(\w+)[\w ]*: .* ([0-9]+) a second$", text, re.M)}
    return numbers | {"million-memory": float(re.search(r"^memory: ([0-9]+) bytes a session", text, re.M).group(1))}


def million(bench):
    return million_numbers(output_of(bench, "million", MILLION_QUICK if bench.quick else MILLION, MILLION_SECONDS))


def make_room(bench, peer):
    """room0, which stays when everybody has left."""
    peer.start(bench.server_cpu)
    owner = Wire(peer, "user0")
    owner.send(f"<presence to='room0@{SERVICE}/owner'><x xmlns='{MUC}'/></presence>")
    owner.next(lambda e: e.tag == CLIENT + "presence" and e.get("from") == f"room0@{SERVICE}/owner")
    if owner.ask(PERSISTENT, "set", f" to='room0@{SERVICE}'").get("type") != "result":
        raise PeerError("no room can be made")
    owner.close()
    peer.stop()


def check_last(peer, accounts, rooms):
    """All are really there: the last one logs in, and the last room answers."""
    wire = Wire(peer, f"user{accounts - 1}")
    answer = wire.ask(f"<query xmlns='{INFO}'/>", to=f" to='room{rooms - 1}@{SERVICE}'")
    wire.close()
    if answer.get("type") != "result":
        raise PeerError("a room has got lost")


def restart(bench):
    """From the start of the process until a client is offered a login, with many accounts and rooms on the disk."""
    part = QUICK_PART if bench.quick else 1
    accounts, rooms = ACCOUNTS // part, ROOMS // part
    peer = make_peer("jabiru", bench.build, bench.scratch / "full")
    try:
        peer.prepare(People("user", accounts))
        make_room(bench, peer)
        peer.copy_rooms(f"room0@{SERVICE}", rooms)
        peer.hand_over()
        peer.start(bench.server_cpu)
        check_last(peer, accounts, rooms)
        seconds, cpu = [], []
        for _ in range(RESTARTS):
            peer.stop()
            seconds.append(peer.start(bench.server_cpu)["seconds"])
            cpu.append(cpu_seconds(peer))
    finally:
        peer.stop()
    return {"restart-full": statistics.median(seconds), "restart-full-cpu": statistics.median(cpu) * 1000}
