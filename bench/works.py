# SPDX-License-Identifier: MIT
"""The work that every server is given: functions of a Bench (see rig.py) and a peer, which return one number for each row of
the table. What runs, and in which order, is in programme.py."""
import statistics

import load
from archives import first_page_ms
from peers.base import People, pause
from wire import Wire, cpu_seconds

MIB = 1024 * 1024
LATENCY_RATE = 2000   # messages a second
PAIRS = 100
PING_USERS = 100
LOGIN_USERS = 500
PRESENCE_USERS = 210  # in blocks that know each other: see ROSTER_BLOCK
SETTLE_SECONDS = 2
FEW_MAX = 1000        # of the two numbers of idle sessions
THRIFT_CHANGERS = 5
THRIFT_CHANGES = 200       # of each, for each second of a run
ROOM_SIZES = (100, 500, 1000, 5000)
ROOM_SPEAKERS = 4
FLOOD_ROOM = 1000
FLOODERS = 50
FLOOD_PAIR_RATE = 200  # messages a second
FLOOD_NICE = 10
ROOM_PARALLEL = 16   # who enter at a time
WIDE_CONTACTS = 200
WIDE_USERS = WIDE_CONTACTS + 1
IM_CONTACTS = 50
IM_NODES = 3
IM_SESSIONS = 2000   # at most: the others take long to log in so many who know each other
PEP_USERS = 4 * (IM_CONTACTS + 1)
IM_PATIENCE = 900    # seconds until all sessions know of each other
OVERLOAD_PAIRS = 50
OVERLOAD_PINGERS = 10
OVERLOAD_PINGS = 100  # a second, of all
ARCHIVE_MESSAGES, ARCHIVE_QUICK = 1000000, 10000


def begin(bench, peer):
    """A restart, timed, and what the server takes before anybody is there."""
    peer.stop()
    seconds = peer.start(bench.server_cpu)["seconds"]
    pause(SETTLE_SECONDS)
    return {"restart": seconds, "bare": peer.memory_bytes() / MIB}


def few_and_many(sessions):
    return min(FEW_MAX, sessions // 10), sessions


def idle(tls):
    """Memory a session as the slope between few and many, which leaves out what a server takes once."""
    def do(bench, peer):
        few, many = few_and_many(bench.idle_sessions)
        sizes = [bench.load(peer, "idle", tls, memory=True, users=users, seconds=bench.seconds).memory_bytes()
                 for users in (few, many)]
        return {f"idle-{tls}": (sizes[1] - sizes[0]) / (many - few)}
    return do


def im_sessions(bench):
    return min(bench.idle_sessions, IM_SESSIONS)


def im_people(bench):
    count = max(im_sessions(bench), PEP_USERS)
    return [People("user", count, count, IM_CONTACTS + 1)]


def idle_im(tls):
    """The same as clients of today are: everybody knows fifty others, who are all there, has published three nodes, and keeps
    stream management on. One thing at a time: ejabberd refuses publications that come together."""
    def do(bench, peer):
        sizes = []
        few, many = few_and_many(im_sessions(bench))
        for users in (few, many):
            peer.stop()
            peer.start(bench.server_cpu)
            sizes.append(bench.load(peer, "idle", tls, may_lose=f"idle-im-{tls}", memory=True, users=users, sm=True, pep=IM_NODES, parallel=1,
                                    seconds=bench.seconds, patience=IM_PATIENCE).memory_bytes())
        return {f"idle-im-{tls}": (sizes[1] - sizes[0]) / (many - few)}
    return do


def pairs(tls, window):
    """The rate, and what a message costs: a fast server (the relay above all) may wait for the load generator's core, and
    then only the cost tells how fast it is."""
    def do(bench, peer):
        result = bench.load(peer, "pairs", tls, pairs=PAIRS, window=window, seconds=bench.seconds)
        return {f"pairs-{tls}-{window}": result.rate, f"pairs-cpu-{tls}-{window}": result.cpu_micros_each()}
    return do


def archived(window):
    """Every message is kept for its sender and for its receiver."""
    def do(bench, peer):
        result = bench.load(peer, "pairs", "none", pairs=PAIRS, window=window, seconds=2 * bench.seconds)
        return {f"archived-{window}": result.rate, f"archived-cpu-{window}": result.cpu_micros_each()}
    return do


def latency(tls):
    def do(bench, peer):
        result = bench.load(peer, "pairs", tls, pairs=PAIRS, rate=LATENCY_RATE, seconds=2 * bench.seconds)
        micros = result.report["latency_us"]
        return {f"p50-{tls}": micros["p50"], f"p99-{tls}": micros["p99"],
                f"cpu-{tls}": result.cpu_micros_each()}
    return do


def logins(bench, peer):
    # jabberd2 refuses some clients that come right after another one left: its losses only mark the number.
    result = bench.load(peer, "logins", "direct", may_lose="logins", users=LOGIN_USERS, seconds=bench.seconds)
    return {"logins": result.cpu_micros_each()}


def instant(bench, peer):
    """The same in one step, where the peer can: SASL2, Bind 2 and tokens."""
    result = bench.load(peer, "logins", "direct", may_lose="logins", users=LOGIN_USERS, seconds=bench.seconds, instant=True)
    return {"instant": result.cpu_micros_each()}


def ping(window):
    def do(bench, peer):
        result = bench.load(peer, "ping", "none", users=PING_USERS, window=window, seconds=bench.seconds)
        return {f"ping-{window}": result.rate}
    return do


def presence(users, contacts):
    def do(bench, peer):
        result = bench.load(peer, "presence", "none", users=users, roster=contacts, seconds=bench.seconds)
        return {f"presence-{contacts}": result.rate, f"presence-cpu-{contacts}": result.cpu_micros_each() * contacts}
    return do


def pep(bench, peer):
    # ejabberd refuses some publications that come at the same time: that marks its number
    result = bench.load(peer, "pep", "none", may_lose="pep", users=PEP_USERS, roster=IM_CONTACTS, seconds=bench.seconds)
    return {"pep": result.rate, "pep-cpu": result.cpu_micros_each()}


def archive_page(bench, peer):
    size = ARCHIVE_QUICK if bench.quick else ARCHIVE_MESSAGES
    return {"archive-page": first_page_ms(bench, peer, size)}


def overload(bench, peer):
    """The most messages a second that are found with a limited number in flight; then twice as many are offered, whatever
    comes back, and somebody pings. A sender whose connection is full holds back."""
    flooding = dict(pairs=OVERLOAD_PAIRS, first=OVERLOAD_PINGERS)
    peak = max(bench.load(peer, "pairs", "none", window=window, seconds=bench.seconds, **flooding).rate for window in (8, 64))
    if not peak:
        raise load.LoadError("nothing came back in the measured time")
    with load.background(bench.program, bench.load_cpu, peer, "pairs", rate=max(1, int(2 * peak)), every=1,
                         seconds=20 * bench.seconds, **flooding) as flood_reader:
        pings = bench.load(peer, "ping", "none", users=OVERLOAD_PINGERS, rate=OVERLOAD_PINGS, seconds=2 * bench.seconds)
        goodput = statistics.median(stretch["received"] / stretch["seconds"] for stretch in flood_reader.stretches)
    peer.stop()
    return {"overload-peak": peak, "overload-part": goodput / peak, "overload-ping": pings.report["latency_us"]["p99"] / 1000}


def room(size):
    """One room of so many: how long until all are in, and messages of a few speakers to all."""
    def do(bench, peer):
        if size > bench.accounts:
            return {}  # a short run has fewer accounts
        result = bench.load(peer, "rooms", "none", users=size, room=size, window=ROOM_SPEAKERS, parallel=ROOM_PARALLEL,
                            seconds=bench.seconds)
        report = result.report
        return {f"room-{size}": result.rate, f"room-p99-{size}": report["latency_us"]["p99"] / 1000,
                f"room-cpu-{size}": result.cpu_micros_each(), f"room-join-{size}": report["settled_s"]}
    return do


def flood(bench, peer):
    """Hostile occupants at full speed in one room, and a healthy pair outside: how much slower that gets. With the guards as
    they are by default, which the other works switch off as for the other servers; these are not asked. The generator
    of the flood has a thousand clients to read for on the core that the pair's has, too: it stands back for it, so that
    what is measured is the server."""
    if peer.name != "jabiru":
        return {}
    size = min(FLOOD_ROOM, bench.accounts - 2)
    pair = dict(pairs=1, rate=FLOOD_PAIR_RATE, seconds=bench.seconds, first=size + size % 2)
    peer.reconfigure(guards=True)
    peer.start(bench.server_cpu)
    try:
        quiet = bench.load(peer, "pairs", "none", **pair).report["latency_us"]
        with load.background(bench.program, bench.load_cpu, peer, "rooms", users=size, room=size, flood=FLOODERS,
                             parallel=ROOM_PARALLEL, seconds=10 * bench.seconds, nice=FLOOD_NICE):
            flooded = bench.load(peer, "pairs", "none", **pair).report["latency_us"]
    finally:
        peer.reconfigure(guards=False)
    return {"flood-quiet": quiet["p99"], "flood-p99": flooded["p99"]}


def presence_bytes(inactive, compress):
    """A phone whose contacts change their presence, one after the other: the bytes that its connection takes for each change,
    until all that waited for it is there; and the server's CPU. The phone is in use or not (XEP-0352), compressed or not."""
    name = "-".join(word for word, on in (("csi", inactive), ("zlib", compress)) if on) or "plain"

    def do(bench, peer):
        phone = Wire(peer, "user0", compress)
        if compress and not phone.compressed or inactive and not phone.offers("{urn:xmpp:csi:0}csi"):
            phone.close()
            return {}
        changers = [Wire(peer, f"user{n + 1}") for n in range(THRIFT_CHANGERS)]
        try:
            bytes_each, cpu_each = watch(phone, changers, inactive, peer, bench.seconds * THRIFT_CHANGES // 10)
        finally:
            for wire in [phone, *changers]:
                wire.close()
        return {f"presence-bytes-{name}": bytes_each, f"presence-bytes-cpu-{name}": cpu_each}
    return do


def watch(phone, changers, inactive, peer, changes):
    for wire in [phone, *changers]:
        wire.send("<presence/>")
        wire.ping()
    pause(SETTLE_SECONDS)
    phone.ping()
    before = phone.received
    phone.ping()
    ping = phone.received - before
    if inactive:
        phone.send("<inactive xmlns='urn:xmpp:csi:0'/>")
        phone.ping()
    start, cpu = phone.received, cpu_seconds(peer)
    for n in range(changes):
        for number, wire in enumerate(changers):
            show, status = (("away", "in a meeting"), ("dnd", "do not disturb me"), ("xa", "gone home"))[(n + number) % 3]
            wire.send(f"<presence><show>{show}</show><status>{status}</status><priority>5</priority>"
                      "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/client' "
                      f"ver='QgayPKawpkPSDYmwT/WM94uAlu{number}='/></presence>")
            wire.ping()
    cpu = cpu_seconds(peer) - cpu
    if inactive:
        phone.send("<active xmlns='urn:xmpp:csi:0'/>")
    phone.ping()
    count = changes * len(changers)
    return (phone.received - start - ping) / count, cpu * 1e6 / count
