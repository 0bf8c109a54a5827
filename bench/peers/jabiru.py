# SPDX-License-Identifier: MIT
"""Our own server, as the build made it: one shard, its default storage (SQLite), SCRAM without TLS allowed.

One account is made with jabiructl, on a short first run; the others are copies of its row, as for the other servers.
"""
import os
import pathlib
import shutil
import sqlite3
import subprocess

from .base import DOMAIN, PASSWORD, Peer, PeerError

CTL_SECONDS = 30
CACHE_KIB = 500000
ID_BITS = 21  # of an id in an archive, below its time: server/appends.h

CONFIGURATION = """
data = "{folder}/data"
control = "{folder}/control"
shards = {shards}
c2s {{
    listen = {{"127.0.0.1"}}
    port = {port}
    tls-port = {tls_port}
    require-tls = false
    insecure-login = true
    scram-iterations = 4096
    {rates}
}}
compression {{ enabled = true }}
log {{ level = {log_level} }}
host "{domain}" {{
    certificate = "{cert}"
    key = "{key}"
    {archive}
    {rooms}
}}
"""
NO_ARCHIVE = 'extensions-off = {"archive"}'
UNLIMITED = "rate-stanzas = 0 rate-bytes = 0"
UNGUARDED = "rooms { user-rate = 0 room-rate = 0 same-text-rooms = 0 }"  # nor do the others limit anything
ARCHIVE = "archive { search = false }"  # the others have no index of words either


class Jabiru(Peer):
    name = "jabiru"
    keeps_archives = may_be_modern = True
    shards = 1
    log_level = "error"

    def __init__(self, scratch, jabirud, jabiructl):
        super().__init__(scratch)
        self.guards = False
        self.jabirud, self.jabiructl = pathlib.Path(jabirud), pathlib.Path(jabiructl)

    def configure(self):
        shutil.copy(self.jabirud, self.folder / "jabirud")  # where an unprivileged user may read it
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "jabirud.conf").write_text(CONFIGURATION.format(
            folder=self.folder, shards=self.shards, log_level=self.log_level, port=self.port, tls_port=self.tls_port,
            domain=DOMAIN, cert=self.cert, key=self.key,
            archive=ARCHIVE if self.archiving else NO_ARCHIVE, rooms="" if self.guards else UNGUARDED,
            rates="" if self.guards else UNLIMITED))

    def reconfigure(self, guards):
        """Stops it; from the next start on rooms are guarded as they are by default, or not at all."""
        self.stop()
        self.guards = guards
        self.configure()
        self.hand_over()

    def accounts(self, groups):
        first = groups[0].jid(0)
        self.start(min(os.sched_getaffinity(0)))
        try:
            done = subprocess.run([self.jabiructl, "--socket", self.folder / "control", "user", "add",
                                   first], input=PASSWORD + "\n", text=True, capture_output=True,
                                  timeout=CTL_SECONDS)
        finally:
            self.stop()
        if done.returncode != 0:
            raise PeerError(f"jabiru took no account: {done.stdout}{done.stderr}")
        self.copy_accounts(groups, first)

    def database(self):
        """To be filled while the server is down: in memory as far as it fits, and without waiting for the disk."""
        data = sqlite3.connect(self.folder / "data" / "jabiru.db")
        data.executescript(f"PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};")
        return data

    def copy_accounts(self, groups, first):
        with self.database() as data:
            data.executemany("INSERT INTO map (owner, kind, key, value) SELECT ?, kind, key, value FROM map "
                             "WHERE owner = ? AND kind = 'account' AND key = ''",
                             ((jid, first) for jid in sorted(people.jid(i) for people in groups for i in range(people.count))
                              if jid != first))
            data.executemany("INSERT INTO map (owner, kind, key, value) VALUES (?, 'roster', ?, ?)",
                             ((people.jid(i), people.jid(other), f"<item jid='{people.jid(other)}' subscription='both'/>")
                              for people in groups for i in range(people.rostered) for other in people.contacts(i)))
        data.close()

    def copy_rooms(self, first, count):
        """Copies this room (room0@SERVICE), what it keeps and where it is listed, until there are so many: room1@SERVICE, …."""
        service = first.partition("@")[2]
        numbers = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < ?1) "
        with self.database() as data:
            for columns, where in (("'room' || k || '@' || ?2, kind, key, value", "owner = ?3"),
                                   ("owner, kind, 'room' || k || '@' || ?2, value", "owner = ?2 AND key = ?3")):
                data.execute(f"INSERT INTO map (owner, kind, key, value) {numbers} SELECT {columns} FROM n, map WHERE {where}",
                             (count, service, first))
        data.close()

    def fill_archive(self, name, have, wanted):
        with self.database() as data:
            data.execute(
                "INSERT INTO entries (log, id, time, peer, value) "
                "WITH RECURSIVE n(k) AS (SELECT ?1 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < ?2), "
                "newest AS (SELECT * FROM entries WHERE log = (SELECT id FROM logs WHERE kind = 'archive' AND owner = ?3) "
                "           ORDER BY id DESC LIMIT 1) "
                f"SELECT log, newest.id - k * 1000 * {1 << ID_BITS}, time - k * 1000, peer, value FROM n, newest ORDER BY k DESC",
                (have, wanted, f"{name}@{DOMAIN}"))
        data.close()

    def commands(self):
        return [[self.folder / "jabirud", "--config", self.folder / "jabirud.conf"]]

    def version(self):
        return "(this build)"
