# SPDX-License-Identifier: MIT
"""All the work of a run, in its order, with the rows of the table that come from it, and their goals."""
import between
import own
import web
import works
from peers.base import People
from rig import Variant
from rows import Goal, Row

WIDE = Variant("wide", lambda bench: [People("user", works.WIDE_USERS, works.WIDE_USERS, works.WIDE_CONTACTS + 1)])
IM = Variant("im", works.im_people, modern=True)
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
        self.once = once            # in the first round only: what is long, or no goal hangs on
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
    Work("start", works.begin,
         [Row("bare", "memory of the bare server, MiB", False, 1, Goal(most=8)),
          Row("restart", "restart to serving, s", False, 3, Goal(most=0.05))]),
    *[Work(f"pairs-{word}-{window}".lower(), works.pairs(tls, window),
           [Row(f"pairs-{tls}-{window}", f"1:1 messages/s, {word}, W={window}", True, goal=PAIRS_GOALS[tls, window]),
            Row(f"pairs-cpu-{tls}-{window}", f"server CPU a message at that rate, {word}, W={window}, µs", False, 2)],
           for_relay=True)
      for tls, word in KINDS for window in WINDOWS],
    *[Work(f"latency-{word}".lower(), works.latency(tls),
           [Row(f"p50-{tls}", f"latency at 2,000 messages/s, {word}, p50, µs", False, goal=LATENCY_GOALS[tls][0]),
            Row(f"p99-{tls}", f"latency at 2,000 messages/s, {word}, p99, µs", False, goal=LATENCY_GOALS[tls][1]),
            Row(f"cpu-{tls}", f"server CPU a message at 2,000/s, {word}, µs", False, goal=Goal(relay=1.3))], for_relay=True)
      for tls, word in KINDS],
    *[Work(f"ping-{window}", works.ping(window),
           [Row(f"ping-{window}", f"ping answered by the server, /s, W={window}", True, goal=PING_GOALS[window])])
      for window in WINDOWS[:2]],
    Work("presence-20", works.presence(works.PRESENCE_USERS, 20),
         [Row("presence-20", "presence changes delivered/s, rosters of 20", True, goal=Goal(peer=8)),
          Row("presence-cpu-20", "server CPU a change, rosters of 20, µs", False)]),
    *[Work(f"presence-bytes-{name}", works.presence_bytes(inactive, compress),
           [Row(f"presence-bytes-{name}", f"bytes to a phone for each change of presence, {words}", False, 1),
            Row(f"presence-bytes-cpu-{name}", f"server CPU for each change and a ping, {words}, µs", False)], once=True)
      for name, words, inactive, compress in (("plain", "in use", False, False), ("csi", "not in use (XEP-0352)", True, False),
                                              ("zlib", "compressed", False, True),
                                              ("csi-zlib", "not in use, compressed", True, True))],
    Work("presence-200", works.presence(works.WIDE_USERS, works.WIDE_CONTACTS),
         [Row("presence-200", "presence changes delivered/s, rosters of 200", True),
          Row("presence-cpu-200", "server CPU a change, rosters of 200, µs", False)], variant=WIDE, once=True),
    Work("pep", works.pep, [Row("pep", "PEP notifications/s, rosters of 50", True),
                            Row("pep-cpu", "server CPU a notification, µs", False, 2)], variant=IM),
    *[Work(f"room-{size}", works.room(size),
           [Row(f"room-{size}", f"room of {size:,}, deliveries/s", True, goal=ROOM_GOALS.get(size)),
            Row(f"room-p99-{size}", f"room of {size:,}, message to the last occupant, p99, ms", False, 1),
            Row(f"room-cpu-{size}", f"room of {size:,}, server CPU a delivery, µs", False, 2),
            Row(f"room-join-{size}", f"room of {size:,}, until all have entered, s", False, 2, JOIN_GOALS.get(size))], fresh=True, in_rooms=True)
      for size in works.ROOM_SIZES],
    Work("flood", works.flood, [Row("flood-quiet", "a pair at 200 messages/s, p99, µs", False),
                                Row("flood-p99", "the same while 50 flood a room of 1,000, p99, µs", False)]),
    Work("logins", works.logins, [Row("logins", "login, TLS + SCRAM (relay: TLS alone), server CPU each, µs", False, goal=Goal(most=300, peer=5))],
         for_relay=True),
    Work("instant", works.instant, [Row("instant", "login by token where there are tokens, TLS, server CPU each, µs", False)]),
    *[Work(f"archived-{window}", works.archived(window),
           [Row(f"archived-{window}", f"1:1 messages/s archived on disk for both sides, W={window}", True, goal=Goal(peer=30)),
            Row(f"archived-cpu-{window}", f"server CPU a message at that rate, archived, W={window}, µs", False, 2)],
           archived=True)
      for window in WINDOWS[:2]],
    Work("archive-page", works.archive_page, [Row("archive-page", "first page of 50 of an archive of 1,000,000 (with --quick 10,000), ms", False, 2)],
         archived=True, variant=ARCHIVE, once=True),
    Work("overload", works.overload, [Row("overload-peak", "1:1 messages/s archived, the most", True),
                                      Row("overload-part", "goodput when twice that is offered, part of it", True, 2, Goal(least=0.9)),
                                      Row("overload-ping", "ping meanwhile, p99, ms", False, 1)], fresh=True, archived=True, once=True),
    Work("s2s", between.messages,
         [row for window in between.WINDOWS for row in (
             Row(f"s2s-{window}", f"messages/s from one server to another, TLS, W={window}", True),
             Row(f"s2s-cpu-{window}", f"CPU of both servers a message at that rate, W={window}, µs", False, 1))], apart=True),
    Work("web-idle", web.sessions, [Row("web-idle", "memory an idle session over WebSocket, plain, bytes", False)], variant=WEB, once=True),
    Work("web-messages", web.messages, [Row("web-messages", "messages/s over WebSocket, one pair, W=64", True),
                                        Row("web-cpu", "server CPU a message at that rate, over WebSocket, µs", False, 1)], variant=WEB, once=True),
    Work("upload", web.upload, [Row("put", "upload of 32 MB (with --quick 8 MB), MB/s", True),
                                Row("put-cpu", "server CPU a MB, upload, ms", False, 2),
                                Row("get", "download of the same, MB/s", True),
                                Row("get-cpu", "server CPU a MB, download, ms", False, 2)], variant=WEB, once=True),
    *[Work(f"idle-im-{word}".lower(), works.idle_im(tls),
           [Row(f"idle-im-{tls}", f"memory an idle session, {word}, roster of 50, three PEP nodes, stream management, bytes", False)],
           variant=IM, once=True) for tls, word in KINDS],
    *[Work(f"idle-{word}".lower(), works.idle(tls), [Row(f"idle-{tls}", f"memory an idle session, {word}, bytes", False, goal=IDLE_GOALS[tls])],
           fresh=True, once=True) for tls, word in KINDS],
    OwnWork("scanner", own.scanner,
            [Row("scan", "XML scanner, MB/s, median over kinds of stanzas", True),
             Row("scan-expat", "expat with namespaces on the same stanzas, MB/s", True),
             Row("scan-times", "the scanner's rate to expat's, the kind where it gains least", True, 1, Goal(least=5))]),
    OwnWork("restart-full", own.restart,
            [Row("restart-full", "restart to serving with 1,000,000 accounts and 100,000 rooms (with --quick a twentieth), s", False, 3,
                 Goal(most=0.05)),
             Row("restart-full-cpu", "server CPU until then, ms", False, 1)]),
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
        those = [work for work in WORKS if work.name == name] or [work for work in WORKS if work.name.startswith(name)]
        if not those:
            raise ValueError(f"no work begins with {name}; see --list")
        found += those
    return [work for work in WORKS if work in found]

