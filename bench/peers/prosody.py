# SPDX-License-Identifier: MIT
"""Prosody, with only the modules that the rows need, epoll, and its default storage (one Lua file a user).

SCRAM keys are stored, so that a login costs the server no key derivation; all accounts share one password, and
therefore one derivation here.
"""
import base64
import hashlib
import hmac
import os

from .base import DOMAIN, PASSWORD, Peer, contacts

CONFIGURATION = """
run_as_root = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = {{ error = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {tls_port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
storage = "internal"
network_backend = "epoll"
network_settings = {{ tcp_backlog = 4096 }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "csi", "csi_simple"{archive} }}
modules_disabled = {{ "s2s" }}
ssl = {{ key = "{key}", certificate = "{cert}" }}
VirtualHost "{domain}"
Component "conference.{domain}" "muc"
"""
ARCHIVE = ', "mam"'  # on for everybody, on disk in the default storage
ITERATIONS = 4096


def scram_account():
    """What Prosody keeps of a password: the keys of SCRAM-SHA-1, as a Lua table."""
    salt = base64.b64encode(os.urandom(12)).decode()
    salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt.encode(), ITERATIONS)
    stored = hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1")).hexdigest()
    server = hmac.digest(salted, b"Server Key", "sha1").hex()
    return (f'return {{ ["iteration_count"] = {ITERATIONS}; ["salt"] = "{salt}"; '
            f'["stored_key"] = "{stored}"; ["server_key"] = "{server}"; }};\n')


def roster(others):
    items = " ".join(f'["user{other}@{DOMAIN}"] = {{ ["subscription"] = "both"; ["groups"] = {{}}; }};'
                     for other in others)
    return f'return {{ [false] = {{ ["version"] = 1; }}; {items} }};\n'


class Prosody(Peer):
    name = "prosody"
    keeps_archives = True

    def configure(self):
        (self.folder / "prosody.cfg.lua").write_text(CONFIGURATION.format(
            folder=self.folder, port=self.port, tls_port=self.tls_port, key=self.key, cert=self.cert, domain=DOMAIN,
            archive=ARCHIVE if self.archiving else ""))

    def accounts(self, count, rostered=0):
        account = scram_account()
        users, rosters = (self.folder / "data" / DOMAIN / store for store in ("accounts", "roster"))
        users.mkdir(parents=True)
        rosters.mkdir()
        for i in range(count):
            (users / f"user{i}.dat").write_text(account)
        for i in range(rostered):
            (rosters / f"user{i}.dat").write_text(roster(contacts(i, rostered)))

    def commands(self):
        return [["prosody", "--config", self.folder / "prosody.cfg.lua", "-F"]]
