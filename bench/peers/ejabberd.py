# SPDX-License-Identifier: MIT
"""ejabberd, on one scheduler, with only the modules that the rows need and its default storage (Mnesia).

It runs as a plain `erl` without a node name: so it needs no epmd, no host name and no cookie, and several can run side
by side. Accounts are written into Mnesia by a first short run: one is registered, the others are copies of its record,
so that the SCRAM key is derived once.
"""
import os
import pathlib
import sqlite3
import subprocess

from .base import DOMAIN, PASSWORD, UNPRIVILEGED, Peer, PeerError

FILL_SECONDS = 180

CONFIGURATION = """
hosts: ["{domain}"]
loglevel: error
certfiles: ["{both}"]
auth_method: internal
auth_password_format: scram
acme: {{ auto: false }}
s2s_access: none
listen:
  - {{ port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 4096, starttls: true, zlib: true,
      shaper: none, max_stanza_size: infinity }}
  - {{ port: {tls_port}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 4096, tls: true,
      shaper: none, max_stanza_size: infinity }}
{web_listener}modules:
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_muc:
    host: "conference.@HOST@"
    max_users: 20000
    max_users_presence: 20000
    default_room_options: {{ max_users: 20000 }}
    min_message_interval: 0
    min_presence_interval: 0
  mod_offline: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
"""
ARCHIVE_SQL = """  mod_mam: {{ default: always, db_type: sql }}
sql_type: sqlite
sql_database: "{database}"
"""
SCHEMA = pathlib.Path("/usr/share/ejabberd/sql/lite.sql")
# By default a client whose acknowledgement ejabberd has not come to within a minute is cut off, as overloaded as it may be.
MODERN = """  mod_caps: {}
  mod_pubsub: { plugins: [pep] }
  mod_stream_mgmt: { ack_timeout: infinity, max_ack_queue: infinity }
"""
WEB_LISTENER = """  - {{ port: {web_port}, ip: "127.0.0.1", module: ejabberd_http,
      request_handlers: {{ /ws: ejabberd_http_ws, /upload: mod_http_upload }} }}
"""
WEB = """  mod_http_upload:
    host: "upload.@HOST@"
    docroot: "{folder}/uploads"
    put_url: "http://{domain}:{web_port}/upload"
    max_size: infinity
    access: all
"""
ARCHIVE = "  mod_mam: { default: always, db_type: mnesia }\n"

FILL = """
Host = <<"{domain}">>, Groups = [{groups}],
User = fun(Prefix, I) -> <<Prefix/binary, (integer_to_binary(I))/binary>> end,
[{{First, _, _, _}} | _] = Groups,
ok = ejabberd_auth:try_register(User(First, 0), Host, <<"{password}">>),
[Record] = mnesia:dirty_read(passwd, {{User(First, 0), Host}}),
[mnesia:dirty_write(setelement(2, Record, {{User(Prefix, I), Host}}))
    || {{Prefix, Count, _, _}} <- Groups, I <- lists:seq(0, Count - 1)],
Both = fun(Prefix, I, J) ->
    Jid = {{User(Prefix, J), Host, <<>>}},
    mnesia:dirty_write(roster, {{roster, {{User(Prefix, I), Host, Jid}}, {{User(Prefix, I), Host}}, Jid, <<>>, both, none, [],
                                <<>>, []}})
end,
[Both(Prefix, I, J) || {{Prefix, _, Rostered, Block}} <- Groups, I <- lists:seq(0, Rostered - 1),
    J <- lists:seq(I - I rem Block, min(I - I rem Block + Block, Rostered) - 1), I =/= J],
dumped = mnesia:dump_log(),
init:stop().
"""


class Ejabberd(Peer):
    name = "ejabberd"
    keeps_archives = may_be_modern = serves_web = True
    websocket_path = "/ws"
    database = None  # SQLite, for archives that are filled

    def configure(self):
        (self.folder / "ejabberd.yml").write_text(CONFIGURATION.format(
            domain=DOMAIN, port=self.port, tls_port=self.tls_port, both=self.both,
            web_listener=WEB_LISTENER.format(web_port=self.web_port) if self.web else "")
            + (MODERN if self.modern else "") + (WEB.format(domain=DOMAIN, folder=self.folder, web_port=self.web_port) if self.web else "")
            + self.archive_lines())

    def archive_lines(self):
        if self.archiving and self.database:
            return ARCHIVE_SQL.format(database=self.database)
        return ARCHIVE if self.archiving else ""

    def erl(self, *more):
        # No busy waiting: on a shared core it would be counted as work.
        return ["erl", "-noinput", "+S", "1:1", "+SDcpu", "1:1", "+K", "true", "+P", "250000", "+Q", "65536",
                "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
                "-mnesia", "dir", f'"{self.folder}/mnesia"', "-s", "ejabberd", *more]

    def environment(self):
        return {"ERL_LIBS": "/usr/lib/x86_64-linux-gnu", "ERL_CRASH_DUMP": f"{self.folder}/erl_crash.dump",
                "EJABBERD_CONFIG_PATH": f"{self.folder}/ejabberd.yml",
                "EJABBERD_LOG_PATH": f"{self.folder}/ejabberd.log"}

    def accounts(self, groups):
        listed = ", ".join(f'{{<<"{people.prefix}">>, {people.count}, {people.rostered}, {people.block}}}' for people in groups)
        fill = FILL.format(domain=DOMAIN, password=PASSWORD, groups=listed)
        done = subprocess.run(self.erl("-eval", fill), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "HOME": str(self.folder), **self.environment()},
                              timeout=FILL_SECONDS, **UNPRIVILEGED)
        if done.returncode != 0:
            raise PeerError(f"ejabberd took no accounts:\n{done.stdout.decode()}{done.stderr.decode()}")

    def archive_for_filling(self):
        """Mnesia's table of archives takes ever longer for each message of one user: here it is SQLite."""
        self.database = self.folder / "ejabberd.db"
        with sqlite3.connect(self.database) as data:
            data.executescript(SCHEMA.read_text())
        data.close()
        self.configure()

    def fill_archive(self, name, have, wanted):
        with sqlite3.connect(self.database) as data:
            data.execute(
                "INSERT INTO archive (username, timestamp, peer, bare_peer, xml, txt, kind, nick) "
                "WITH RECURSIVE n(k) AS (SELECT ?1 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < ?2), "
                "newest AS (SELECT * FROM archive WHERE username = ?3 ORDER BY timestamp DESC LIMIT 1) "
                "SELECT username, timestamp - k * 1000000, peer, bare_peer, xml, txt, kind, nick FROM n, newest ORDER BY k DESC",
                (have, wanted, name))
        data.close()

    def commands(self):
        return [self.erl()]
