# SPDX-License-Identifier: MIT
"""Accounts that move between this server and Prosody, both ways, by files in the format of XEP-0227, which Prosody can use as its store."""
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from jabiru import PATIENCE_S, free_ports
from lab import PROSODY, Process
from raw import Raw
from test_transfer import archived

PIE, PUBSUB, NICK = "urn:xmpp:pie:0", "http://jabber.org/protocol/pubsub", "http://jabber.org/protocol/nick"
MIGRATOR = shutil.which("prosody-migrator")

pytestmark = pytest.mark.skipif(not (PROSODY and MIGRATOR), reason="Prosody is not installed")


class Other(Process):
    """Prosody, with a store of its own that can be read from, and written to, files of XEP-0227 while it does not run."""

    def __init__(self, folder, certificate, authentication):
        super().__init__(folder)
        self.data = folder / "data"  # of both kinds
        self.data.mkdir()
        self.port, self.tls_port = free_ports(2)
        certificate, key = (shutil.copy(path, folder / path.name) for path in certificate)
        (folder / "prosody.cfg.lua").write_text(f"""
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{self.data}"
log = {{ debug = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
authentication = "{authentication}"
storage = "internal"
archive_expires_after = "never"
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "pep", "private", "vcard", "mam" }}
modules_disabled = {{ "offline", "s2s" }}
ssl = {{ key = "{key}", certificate = "{certificate}" }}
VirtualHost "localhost"
""")
        stores = ", ".join(f'"{name}"' for name in ("accounts", "roster", "vcard", "private", "pep-pubsub", "archive-archive"))
        hosts = f'hosts = {{ ["localhost"] = {{ {stores} }} }}'
        (folder / "migrator.cfg.lua").write_text(f"""
files {{ type = "xep0227"; path = "{self.data}"; {hosts} }}
own {{ type = "internal"; path = "{self.data}"; {hosts} }}
""")

    def start(self):
        self.run([PROSODY, "--config", self.folder / "prosody.cfg.lua", "-F"])
        self.wait_port(self.tls_port)
        return self

    def put(self, user, element):
        self.file(user).write_text(f"<server-data xmlns='{PIE}'><host jid='localhost'>{element}</host></server-data>")

    def file(self, user):
        return self.data / f"{user}@localhost.xml"

    def migrate(self, *words):
        """Between the two kinds, by Prosody's own tool; the place of the data stands in its text."""
        tool = re.sub(r"CFG_DATADIR='[^']*'", f"CFG_DATADIR='{self.data}'", pathlib.Path(MIGRATOR).read_text())
        (self.folder / "migrator").write_text(tool)
        done = subprocess.run([tool.split("\n")[0].split()[-1], "migrator", "--root", "--keep-going", "--config", self.folder / "migrator.cfg.lua", *words],
                              cwd=self.folder, timeout=PATIENCE_S, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def prosody(tmp_path, certificate):
    made = []

    def make(authentication):
        made.append(Other(tmp_path / "prosody", certificate, authentication))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def fill(client):
    """What a user keeps on a server, whichever it is."""
    for payload in (
            "<query xmlns='jabber:iq:roster'><item jid='romeo@example.org' name='R &amp; J'><group>Friends</group><group>Capulets</group></item></query>",
            "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><defaultnick>Jule</defaultnick></exodus></query>",
            "<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN></vCard>",
            f"<pubsub xmlns='{PUBSUB}'><publish node='{NICK}'><item id='current'><nick xmlns='{NICK}'>Jule</nick></item></publish></pubsub>"):
        answer = client.ask(payload, "set")
        assert answer.get("type") == "result", ET.tostring(answer)
    for number in range(3):
        client.send(f"<message to='nurse@localhost' type='chat' id='m{number}'><body>note {number}</body></message>")
    client.ping()


def look(client):
    roster = client.ask("<query xmlns='jabber:iq:roster'/>")
    item, = roster[0].findall("{jabber:iq:roster}item")
    assert item.get("jid") == "romeo@example.org" and item.get("name") == "R & J" and item.get("subscription") == "none"
    assert sorted(group.text for group in item) == ["Capulets", "Friends"]
    private = client.ask("<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>")
    assert private[0][0].findtext("{exodus:prefs}defaultnick") == "Jule"
    assert client.ask("<vCard xmlns='vcard-temp'/>")[0].findtext("{vcard-temp}FN") == "Juliet Capulet"
    items = client.ask(f"<pubsub xmlns='{PUBSUB}'><items node='{NICK}'/></pubsub>")
    assert items.find(f".//{{{NICK}}}nick").text == "Jule", ET.tostring(items)


def test_from_here_to_there(make_server, prosody, ca, tmp_path):
    server = make_server()
    server.add_user("juliet@localhost", "nurse@localhost")
    juliet = Raw(server, ca).login("juliet", "desk")
    fill(juliet)
    juliet.close()
    kept = archived(server, ca, "juliet")
    server.ctl("user", "export", str(tmp_path / "all.xml"))
    user = re.search(r"<user name='juliet'>.*?</user>", (tmp_path / "all.xml").read_text(), re.S).group(0)
    there = prosody("internal_hashed")
    there.put("juliet", user)
    there.migrate("files", "own")
    there.start()
    juliet = Raw(there, ca).login("juliet", "desk")  # the same password, by its salted keys
    look(juliet)
    juliet.close()
    moved = [(name, stamp.rstrip("Z"), body) for name, stamp, body in archived(there, ca, "juliet")]  # its stamps have no fractions
    assert moved == [(name, stamp.split(".")[0], body) for name, stamp, body in kept]


def test_from_there_to_here(make_server, prosody, ca):
    there = prosody("internal_plain")
    accounts = there.data / "localhost" / "accounts"
    accounts.mkdir(parents=True)
    for name in "juliet", "nurse":
        (accounts / f"{name}.dat").write_text('return { ["password"] = "secret"; };\n')
    there.start()
    juliet = Raw(there, ca).login("juliet", "desk")
    fill(juliet)
    juliet.close()
    kept = archived(there, ca, "juliet")
    assert [body for _, _, body in kept] == ["note 0", "note 1", "note 2"]
    there.stop()
    there.migrate("own", "files")
    server = make_server()
    done = server.ctl("user", "import", str(there.file("juliet")), check=False)
    assert done.stdout == "1 accounts made, 0 not\n", done
    juliet = Raw(server, ca).login("juliet", "desk")
    look(juliet)
    juliet.close()
    assert [body for _, _, body in archived(server, ca, "juliet")] == [body for _, _, body in kept]
