# SPDX-License-Identifier: MIT
"""jabberd2: three processes (router, session manager, client connections) over one SQLite file.

Its storage keeps passwords in plain text, so that each SCRAM login derives the key again: it has no other way. SQLite
runs without syncing and with its journal in memory, which is the fastest it offers.
"""
import gzip
import sqlite3
import time

from .base import DOMAIN, PASSWORD, Peer, free_ports, listens, pause

MODULES = "/usr/lib/x86_64-linux-gnu/jabberd2"
SCHEMA = "/usr/share/doc/jabberd2/db-setup.sqlite.gz"
FILES_MAX = 30000
ROUTER_SECONDS = 10

ROUTER = """<router><id>router</id><pidfile>{folder}/router.pid</pidfile>
<log type='file'><file>{folder}/router.log</file></log>
<local><ip>127.0.0.1</ip><port>{router_port}</port><users>{folder}/router-users.xml</users></local>
<check><interval>0</interval><keepalive>0</keepalive></check>
<io><max_fds>1024</max_fds><limits><bytes>0</bytes><connects>0</connects></limits>
<access><order>allow,deny</order></access></io>
<aci><acl type='all'><user>jabberd</user></acl></aci></router>"""

USERS = "<users><user><name>jabberd</name><secret>secret</secret></user></users>"

TO_ROUTER = """<router><ip>127.0.0.1</ip><port>{router_port}</port><user>jabberd</user><pass>secret</pass>
<retry><init>100</init><lost>0</lost><sleep>1</sleep></retry></router>
<log type='file'><file>{folder}/{id}.log</file></log>"""

SQLITE = """<sqlite><dbname>{folder}/data.sqlite</dbname>
<sql>PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;</sql><busy-timeout>2000</busy-timeout>
<password_type><plaintext/></password_type></sqlite>"""

SM = """<sm><id>sm</id><pidfile>{folder}/sm.pid</pidfile>{to_router}
<local><id>{domain}</id></local>
<storage><path>{modules}</path><driver>sqlite</driver>{sqlite}</storage>
<aci/>
<modules><path>{modules}</path>
<chain id='in-sess'><module>validate</module><module>roster</module><module>iq-ping</module><module>disco</module>
<module>offline</module><module>presence</module><module>deliver</module></chain>
<chain id='in-router'><module>session</module><module>validate</module><module>presence</module></chain>
<chain id='pkt-sm'><module>iq-ping</module><module>disco</module><module>presence</module></chain>
<chain id='pkt-user'><module>roster</module><module>presence</module><module>disco</module><module>deliver</module>
<module>offline</module></chain>
<chain id='pkt-router'><module>session</module><module>disco</module></chain>
<chain id='user-load'><module>active</module><module>roster</module></chain>
<chain id='user-create'><module>active</module></chain>
<chain id='user-delete'><module>active</module><module>offline</module><module>roster</module></chain>
</modules>
<discovery><identity><category>server</category><type>im</type><name>bench</name></identity></discovery>
<user><template/></user></sm>"""

C2S = """<c2s><id>c2s</id><pidfile>{folder}/c2s.pid</pidfile>{to_router}
<local><id realm='{domain}' pemfile='{both}'>{domain}</id>
<ip>127.0.0.1</ip><port>{port}</port><ssl-port>{tls_port}</ssl-port><pemfile>{both}</pemfile></local>
<io><max_fds>{files}</max_fds><limits><bytes>0</bytes><stanzas>0</stanzas><connects>0</connects>
<stanzasize>0</stanzasize></limits><access><order>allow,deny</order></access>
<check><interval>0</interval><idle>0</idle><keepalive>0</keepalive></check></io>
<authreg><path>{modules}</path><module>sqlite</module>
<mechanisms><traditional/><sasl><plain/><digest-md5/><scram-sha-1/></sasl></mechanisms>
<ssl-mechanisms><traditional/><sasl><plain/><scram-sha-1/></sasl></ssl-mechanisms>{sqlite}</authreg></c2s>"""


class Jabberd2(Peer):
    name = "jabberd2"
    has_rooms = federates = False

    def configure(self):
        self.router_port = free_ports(1)[0]
        names = dict(folder=self.folder, port=self.port, tls_port=self.tls_port, router_port=self.router_port,
                     both=self.both, domain=DOMAIN, modules=MODULES, files=FILES_MAX)
        names["sqlite"] = SQLITE.format(**names)
        for part, text in (("router", ROUTER), ("sm", SM), ("c2s", C2S)):
            names["to_router"] = TO_ROUTER.format(id=part, **{k: v for k, v in names.items() if k != "to_router"})
            (self.folder / f"{part}.xml").write_text(text.format(**names))
        (self.folder / "router-users.xml").write_text(USERS)

    def accounts(self, groups):
        everybody = [(people, i) for people in groups for i in range(people.count)]
        with sqlite3.connect(self.folder / "data.sqlite") as data:
            data.executescript(gzip.open(SCHEMA, "rt").read())
            data.executemany("INSERT INTO authreg (username, realm, password) VALUES (?, ?, ?)",
                             ((people.name(i), DOMAIN, PASSWORD) for people, i in everybody))
            data.executemany('INSERT INTO active ("collection-owner", time) VALUES (?, 1)',
                             ((people.jid(i),) for people, i in everybody))
            data.executemany('INSERT INTO "roster-items" ("collection-owner", jid, "to", "from", ask) '
                             'VALUES (?, ?, 1, 1, 0)',
                             ((people.jid(i), people.jid(other)) for people, i in everybody for other in people.contacts(i)))
        data.close()

    def commands(self):
        """The router first: the others try again only after a whole second."""
        yield ["jabberd2-router", "-c", self.folder / "router.xml"]
        deadline = time.monotonic() + ROUTER_SECONDS
        while not listens(self.router_port) and time.monotonic() < deadline:
            pause(0.002)
        yield ["jabberd2-sm", "-c", self.folder / "sm.xml"]
        yield ["jabberd2-c2s", "-c", self.folder / "c2s.xml"]
