# SPDX-License-Identifier: MIT
"""The work that every server is given, and the rows of the table that come from it.

A work is a function of a Bench (see run) and a peer; it returns one number for each of its rows. The list WORKS at the
end is the whole programme, in the order in which it runs.
"""
import statistics

import between
import load
import own
import web
from archives import first_page_ms
from peers.base import People, pause
from rig import Variant
from rows import Goal, Row
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

WIDE = Variant("wide", lambda bench: [People("user", WIDE_USERS, WIDE_USERS, WIDE_CONTACTS + 1)])
IM = Variant("im", lambda bench: [People("user", IM_SESSIONS, IM_SESSIONS, IM_CONTACTS + 1)], modern=True)
WEB = Variant("web", lambda bench: [People("user", web.SESSIONS[1])], web=True)
ARCHIVE = Variant("archive", lambda bench: [People("user", 2)])


class OwnWork:
    """A work that belongs to no peer; done once, at the end: see own.py."""
    own = True

    def __init__(self, name, do, rows):
        self.name, self.do, self.rows = name, do, rows


class Work:
    own = False

    def __init__(self, name, do, rows, fresh=False, for_relay=False, archived=False, variant=None, once=False, in_rooms=False,
                 apart=False):
        self.name, self.do, self.rows = name, do, rows
        self.once = once            # in the first round only: long, and the same in the others
        self.fresh = fresh          # wants a server that was just started
        self.for_relay = for_relay  # the relay can do it too
        self.in_rooms = in_rooms    # for servers that have rooms
        self.apart = apart          # on two servers that it starts itself, for those that federate
        self.archived = archived    # with the archive on: for servers that have one
        self.variant = variant      # on servers of their own, with other accounts or modules: see rig.Variant

    def suits(self, peer):
        """Whether the server can do it."""
        if not peer.speaks_xmpp:
            return self.for_relay
        modern, web_too = (self.variant.modern, self.variant.web) if self.variant else (False, False)
        if self.apart:
            return peer.federates
        return (peer.keeps_archives or not self.archived) and (peer.has_rooms or not self.in_rooms) and (peer.may_be_modern or not modern) \
            and (peer.serves_web or not web_too)


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


def idle_im(tls):
    """The same as clients of today are: everybody knows fifty others, who are all there, has published three nodes, and keeps
    stream management on. One thing at a time: ejabberd refuses publications that come together."""
    def do(bench, peer):
        sizes = []
        few, many = few_and_many(min(bench.idle_sessions, IM_SESSIONS))
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


WINDOWS = (1, 8, 64)
KINDS = (("none", "plain"), ("direct", "TLS"))
PAIRS_GOALS = {("none", 1): Goal(relay=0.85, peer=4), ("none", 8): Goal(relay=0.5, peer=12), ("none", 64): Goal(relay=0.2, peer=20),
               ("direct", 1): Goal(relay=0.85), ("direct", 8): Goal(relay=0.45, peer=11), ("direct", 64): Goal(relay=0.2, peer=17)}
LATENCY_GOALS = {"none": (Goal(relay=1.2), Goal(relay=1.5)), "direct": (Goal(relay=1.3), Goal(relay=1.6))}
PING_GOALS = {1: Goal(peer=5), 8: Goal(peer=15)}
ROOM_GOALS = {100: Goal(peer=6), 500: Goal(peer=8), 1000: Goal(peer=8)}
JOIN_GOALS = {1000: Goal(peer=10)}
IDLE_GOALS = {"none": Goal(most=2000, peer=13), "direct": Goal(most=18000)}

WORKS = [
    Work("start", begin, [Row("bare", "memory of the bare server, MiB", False, 1, Goal(most=8)),
                          Row("restart", "restart to serving, s", False, 3, Goal(most=0.05))]),
    *[Work(f"pairs-{word}-{window}".lower(), pairs(tls, window),
           [Row(f"pairs-{tls}-{window}", f"1:1 messages/s, {word}, W={window}", True, goal=PAIRS_GOALS[tls, window]),
            Row(f"pairs-cpu-{tls}-{window}", f"server CPU a message at that rate, {word}, W={window}, µs", False, 2)],
           for_relay=True)
      for tls, word in KINDS for window in WINDOWS],
    *[Work(f"latency-{word}".lower(), latency(tls),
           [Row(f"p50-{tls}", f"latency at 2,000 messages/s, {word}, p50, µs", False, goal=LATENCY_GOALS[tls][0]),
            Row(f"p99-{tls}", f"latency at 2,000 messages/s, {word}, p99, µs", False, goal=LATENCY_GOALS[tls][1]),
            Row(f"cpu-{tls}", f"server CPU a message at 2,000/s, {word}, µs", False, goal=Goal(relay=1.3))], for_relay=True)
      for tls, word in KINDS],
    *[Work(f"ping-{window}", ping(window),
           [Row(f"ping-{window}", f"ping answered by the server, /s, W={window}", True, goal=PING_GOALS[window])])
      for window in WINDOWS[:2]],
    Work("presence-20", presence(PRESENCE_USERS, 20),
         [Row("presence-20", "presence changes delivered/s, rosters of 20", True, goal=Goal(peer=8)),
          Row("presence-cpu-20", "server CPU a change, rosters of 20, µs", False)]),
    *[Work(f"presence-bytes-{name}", presence_bytes(inactive, compress),
           [Row(f"presence-bytes-{name}", f"bytes to a phone for each change of presence, {words}", False, 1),
            Row(f"presence-bytes-cpu-{name}", f"server CPU for each change and a ping, {words}, µs", False)])
      for name, words, inactive, compress in (("plain", "in use", False, False), ("csi", "not in use (XEP-0352)", True, False),
                                              ("zlib", "compressed", False, True),
                                              ("csi-zlib", "not in use, compressed", True, True))],
    Work("presence-200", presence(WIDE_USERS, WIDE_CONTACTS),
         [Row("presence-200", "presence changes delivered/s, rosters of 200", True),
          Row("presence-cpu-200", "server CPU a change, rosters of 200, µs", False)], variant=WIDE),
    Work("pep", pep, [Row("pep", "PEP notifications/s, rosters of 50", True),
                      Row("pep-cpu", "server CPU a notification, µs", False, 2)], variant=IM),
    *[Work(f"room-{size}", room(size),
           [Row(f"room-{size}", f"room of {size:,}, deliveries/s", True, goal=ROOM_GOALS.get(size)),
            Row(f"room-p99-{size}", f"room of {size:,}, message to the last occupant, p99, ms", False, 1),
            Row(f"room-cpu-{size}", f"room of {size:,}, server CPU a delivery, µs", False, 2),
            Row(f"room-join-{size}", f"room of {size:,}, until all have entered, s", False, 2, JOIN_GOALS.get(size))], fresh=True, in_rooms=True)
      for size in ROOM_SIZES],
    Work("flood", flood, [Row("flood-quiet", "a pair at 200 messages/s, p99, µs", False),
                          Row("flood-p99", "the same while 50 flood a room of 1,000, p99, µs", False)]),
    Work("logins", logins, [Row("logins", "login, TLS + SCRAM (relay: TLS alone), server CPU each, µs", False, goal=Goal(most=300, peer=5))],
         for_relay=True),
    Work("instant", instant, [Row("instant", "login by token where there are tokens, TLS, server CPU each, µs", False)]),
    *[Work(f"archived-{window}", archived(window),
           [Row(f"archived-{window}", f"1:1 messages/s archived on disk for both sides, W={window}", True, goal=Goal(peer=30)),
            Row(f"archived-cpu-{window}", f"server CPU a message at that rate, archived, W={window}, µs", False, 2)],
           archived=True)
      for window in WINDOWS[:2]],
    Work("archive-page", archive_page, [Row("archive-page", "first page of 50 of an archive of 1,000,000 (with --quick 10,000), ms", False, 2)],
         archived=True, variant=ARCHIVE),
    Work("overload", overload, [Row("overload-peak", "1:1 messages/s archived, the most", True),
                                Row("overload-part", "goodput when twice that is offered, part of it", True, 2),
                                Row("overload-ping", "ping meanwhile, p99, ms", False, 1)], fresh=True, archived=True),
    Work("s2s", between.messages,
         [row for window in between.WINDOWS for row in (
             Row(f"s2s-{window}", f"messages/s from one server to another, TLS, W={window}", True),
             Row(f"s2s-cpu-{window}", f"CPU of both servers a message at that rate, W={window}, µs", False, 1))], apart=True),
    Work("web-idle", web.sessions, [Row("web-idle", "memory an idle session over WebSocket, plain, bytes", False)], variant=WEB, once=True),
    Work("web-messages", web.messages, [Row("web-messages", "messages/s over WebSocket, one pair, W=64", True),
                                        Row("web-cpu", "server CPU a message at that rate, over WebSocket, µs", False, 1)], variant=WEB),
    Work("upload", web.upload, [Row("put", "upload of 32 MB (with --quick 8 MB), MB/s", True),
                                Row("put-cpu", "server CPU a MB, upload, ms", False, 2),
                                Row("get", "download of the same, MB/s", True),
                                Row("get-cpu", "server CPU a MB, download, ms", False, 2)], variant=WEB),
    *[Work(f"idle-im-{word}".lower(), idle_im(tls),
           [Row(f"idle-im-{tls}", f"memory an idle session, {word}, roster of 50, three PEP nodes, stream management, bytes", False)],
           variant=IM, once=True) for tls, word in KINDS],
    *[Work(f"idle-{word}".lower(), idle(tls), [Row(f"idle-{tls}", f"memory an idle session, {word}, bytes", False, goal=IDLE_GOALS[tls])],
           fresh=True, once=True) for tls, word in KINDS],
    OwnWork("scanner", own.scanner,
            [Row("scan", "XML scanner, MB/s, median over kinds of stanzas", True),
             Row("scan-expat", "expat with namespaces on the same stanzas, MB/s", True),
             Row("scan-times", "the scanner's rate to expat's, the kind where it gains least", True, 1, Goal(least=5))]),
    OwnWork("restart-full", own.restart,
            [Row("restart-full", "restart to serving with 1,000,000 accounts and 100,000 rooms (with --quick a twentieth), s", False, 3,
                 Goal(most=0.05))]),
    OwnWork("million", own.million,
            [Row("million-memory", "a million sessions in one process (with --quick 20,000), rosters of 18, bytes each", False,
                 goal=Goal(most=3000)),
             Row("million-logins", "logins there, a second of CPU", True),
             Row("million-messages", "messages there, a second of CPU of server and clients", True),
             Row("million-presences", "presences delivered there, a second of CPU", True)]),
]


def named(names):
    """The works that are asked for: one of just that name, or else all whose names begin so. ValueError for a name that none has."""
    found = []
    for name in names:
        works = [work for work in WORKS if work.name == name] or [work for work in WORKS if work.name.startswith(name)]
        if not works:
            raise ValueError(f"no work begins with {name}; see --list")
        found += works
    return [work for work in WORKS if work in found]

