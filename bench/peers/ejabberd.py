# SPDX-License-Identifier: MIT
"""ejabberd, on one scheduler, with only the modules that the rows need and its default storage (Mnesia).

It runs as a plain `erl` without a node name: so it needs no epmd, no host name and no cookie, and several can run side
by side. Accounts are written into Mnesia by a first short run: one is registered, the others are copies of its record,
so that the SCRAM key is derived once.
"""
import os
import subprocess

from .base import DOMAIN, PASSWORD, ROSTER_BLOCK, UNPRIVILEGED, Peer, PeerError

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
modules:
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
ARCHIVE = "  mod_mam: { default: always, db_type: mnesia }\n"

FILL = """
Host = <<"{domain}">>, Count = {count}, Rostered = {rostered}, Block = {block},
User = fun(I) -> <<"user", (integer_to_binary(I))/binary>> end,
ok = ejabberd_auth:try_register(User(0), Host, <<"{password}">>),
[First] = mnesia:dirty_read(passwd, {{User(0), Host}}),
[mnesia:dirty_write(setelement(2, First, {{User(I), Host}})) || I <- lists:seq(1, Count - 1)],
Both = fun(I, J) ->
    Jid = {{User(J), Host, <<>>}},
    mnesia:dirty_write(roster, {{roster, {{User(I), Host, Jid}}, {{User(I), Host}}, Jid, <<>>, both, none, [], <<>>, []}})
end,
[Both(I, J) || I <- lists:seq(0, Rostered - 1),
    J <- lists:seq(I - I rem Block, min(I - I rem Block + Block, Rostered) - 1), I =/= J],
dumped = mnesia:dump_log(),
init:stop().
"""


class Ejabberd(Peer):
    name = "ejabberd"
    keeps_archives = True

    def configure(self):
        (self.folder / "ejabberd.yml").write_text(CONFIGURATION.format(
            domain=DOMAIN, port=self.port, tls_port=self.tls_port, both=self.both)
            + (ARCHIVE if self.archiving else ""))

    def erl(self, *more):
        # No busy waiting: on a shared core it would be counted as work.
        return ["erl", "-noinput", "+S", "1:1", "+SDcpu", "1:1", "+K", "true", "+P", "250000", "+Q", "65536",
                "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
                "-mnesia", "dir", f'"{self.folder}/mnesia"', "-s", "ejabberd", *more]

    def environment(self):
        return {"ERL_LIBS": "/usr/lib/x86_64-linux-gnu", "ERL_CRASH_DUMP": f"{self.folder}/erl_crash.dump",
                "EJABBERD_CONFIG_PATH": f"{self.folder}/ejabberd.yml",
                "EJABBERD_LOG_PATH": f"{self.folder}/ejabberd.log"}

    def accounts(self, count, rostered=0):
        fill = FILL.format(domain=DOMAIN, password=PASSWORD, count=count, rostered=rostered,
                           block=ROSTER_BLOCK)
        done = subprocess.run(self.erl("-eval", fill), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "HOME": str(self.folder), **self.environment()},
                              timeout=FILL_SECONDS, **UNPRIVILEGED)
        if done.returncode != 0:
            raise PeerError(f"ejabberd took no accounts:\n{done.stdout.decode()}{done.stderr.decode()}")

    def commands(self):
        return [self.erl()]
