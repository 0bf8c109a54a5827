# SPDX-License-Identifier: MIT
"""People at a terminal, each with a home folder of their own: with profanity, mcabber, and poezio."""
import os
import pathlib
import subprocess
import tempfile

from jabiru import PATIENCE_S, wait_for
from terminal import Terminal

SETTINGS = """[ui]
splash=false
wrap=false
[notifications]
message=off
[connection]
tls.certpath={trusted}
"""
ACCOUNT = """[{jid}]
enabled=true
jid={jid}
server=127.0.0.1
port={port}
tls.policy={policy}
password=secret
resource=profanity
presence.login=online
presence.last=online
"""


class Person:
    """A home folder of their own, and profanity in it."""

    def __init__(self, folder, server, trusted, user, policy):
        self.jid, self.folder = f"{user}@localhost", folder / user
        self.environment = {"HOME": self.folder, "LANG": "C.UTF-8", "TERM": "screen-256color",
                            "XDG_CONFIG_HOME": self.folder / "config", "XDG_DATA_HOME": self.folder / "data",
                            "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        port = server.tls_port if policy == "legacy" else server.port
        self._write("config/profanity/profrc", SETTINGS.format(trusted=trusted))
        self._write("data/profanity/accounts", ACCOUNT.format(jid=self.jid, port=port, policy=policy))
        self.terminal = None

    def _write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def open(self):
        self.terminal = Terminal(self.folder, ["profanity", "-a", self.jid], self.environment)
        return self

    def come(self):
        self.open().sees(f"{self.jid}/profanity logged in successfully")
        return self

    def types(self, line):
        self.terminal.type(line)

    def sees(self, *texts):
        return self.terminal.wait(*texts)

    def leave(self):
        if self.terminal:
            self.terminal.end()
            self.terminal = None


MCABBER = """set jid = {jid}
set password = secret
set server = 127.0.0.1
set port = {port}
set resource = mcabber
set tls = 1
set ssl_ca = {ca}
set ssl_fingerprint = {fingerprint}
"""


class Chatter:
    """The same with mcabber, whose messages go to whom the cursor stands on."""

    def __init__(self, folder, server, authority, certificate, user):
        self.jid = f"{user}@localhost"
        home = folder / user
        (home / ".mcabber").mkdir(parents=True, mode=0o700)
        self.settings = home / ".mcabber" / "mcabberrc"
        self.settings.write_text(MCABBER.format(jid=self.jid, port=server.port, ca=authority.certificate,
                                                fingerprint=certificate_hash(certificate)))
        self.settings.chmod(0o600)
        self.terminal = Terminal(home, ["mcabber", "-f", str(self.settings)], {
            "HOME": home, "LANG": "C.UTF-8", "TERM": "screen-256color"})
        self.sees("Your status has been set")

    def types(self, line):
        self.terminal.type(line)

    def sees(self, *texts):
        return self.terminal.wait(*texts)

    def enter(self, room, nick):
        self.types(f"/room join {room} {nick}")
        self.sees(f"You have joined {room} as", f"joined as \"{nick}\"")
        self.types(f"/roster search {room}")
        self.types("")  # opens the window of what the cursor is on

    def leave(self):
        self.terminal.end()


POEZIO = """[Poezio]
jid = {jid}/poezio
password = secret
custom_host = 127.0.0.1
custom_port = {port}
ca_cert_path = {ca}
muc_history_length = 0
use_bookmarks_method =
information_buffer_popup_on = error warning help info
"""
TLS_1_2 = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = it\n[it]\nMaxProtocol = TLSv1.2\n"


class Poet:
    """The same with poezio, which shows no history but that of the archive. It will not run as root, so then it is the user nobody,
    at home where that may go; and it believes in tls-unique, which TLS 1.3 does not have (slix.py)."""

    def __init__(self, folder, server, authority, user):
        self.jid, command = f"{user}@localhost", []
        home = folder / user
        if os.geteuid() == 0:
            self._elsewhere = tempfile.TemporaryDirectory(dir="/tmp")
            home = pathlib.Path(self._elsewhere.name)
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        home.mkdir(exist_ok=True)
        (home / "tls.conf").write_text(TLS_1_2)
        (home / "ca.pem").write_bytes(authority.certificate.read_bytes())
        (home / "poezio.cfg").write_text(POEZIO.format(jid=self.jid, port=server.port, ca=home / "ca.pem"))
        if command:
            subprocess.run(["chown", "-R", "nobody:nogroup", home], check=True, timeout=PATIENCE_S)
        self.terminal = Terminal(home, [*command, "poezio", "-f", str(home / "poezio.cfg")], {
            "HOME": home, "LANG": "C.UTF-8", "TERM": "screen-256color", "OPENSSL_CONF": home / "tls.conf",
            "XDG_CONFIG_HOME": home / "config", "XDG_DATA_HOME": home / "data", "XDG_CACHE_HOME": home / "cache"})
        self.sees("Authentication success")

    def types(self, line):
        """Keys that come all at once are a paste, in which Enter begins a line: so it waits for each to be taken."""
        self.terminal.put(line)
        typed = self.sees(f"│{line[:20]}", f"│/{line[:20]}")
        self.terminal.press("Enter")
        wait_for(lambda: typed not in self.terminal.screen(), f"{line!r} to be taken")

    def presses(self, *keys):
        for key in keys:
            self.terminal.press(key)

    def sees(self, *texts):
        return self.terminal.wait(*texts)

    def enter(self, room, nick):
        self.sees("Enter commands with")  # the list of contacts, where "/" opens the line of commands
        self.terminal.press("/")
        self.sees("│/")
        self.types(f"join {room}/{nick}")
        self.sees(f"You ({nick}) joined the room")

    def leave(self):
        self.terminal.end()


def certificate_hash(path):
    words = ["openssl", "x509", "-in", str(path), "-fingerprint", "-sha256", "-noout"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout
    return "SHA256:" + said.split("=")[1].strip().replace(":", "").lower()
