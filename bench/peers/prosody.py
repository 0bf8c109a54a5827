# SPDX-License-Identifier: MIT
"""Prosody, with only the modules that the rows need, epoll, and its default storage (one Lua file a user).

SCRAM keys are stored, so that a login costs the server no key derivation; all accounts share one password, and
therefore one derivation here.
"""
import base64
import hashlib
import hmac
import os
import re

from .base import DOMAIN, PASSWORD, Peer

CONFIGURATION = """
run_as_root = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = {{ error = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {tls_port} }}
s2s_ports = {{ }}
http_ports = {{ {web_port} }}
https_ports = {{ }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
storage = "internal"
network_backend = "epoll"
network_settings = {{ tcp_backlog = 4096 }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "csi", "csi_simple"{modern}{web}{archive} }}
modules_disabled = {{ "s2s" }}
storage_archive_item_limit = 10000000
ssl = {{ key = "{key}", certificate = "{cert}" }}
VirtualHost "{domain}"
Component "conference.{domain}" "muc"
{uploads}"""
MODERN = ', "pep", "smacks"'
WEB = ', "websocket"'
UPLOADS = """Component "upload.{domain}" "http_file_share"
http_host = "{domain}"
http_external_url = "http://{domain}:{web_port}/"
http_file_share_size_limit = 1000000000
http_file_share_daily_quota = 100000000000
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


def roster(contacts):
    items = " ".join(f'["{jid}"] = {{ ["subscription"] = "both"; ["groups"] = {{}}; }};'
                     for jid in contacts)
    return f'return {{ [false] = {{ ["version"] = 1; }}; {items} }};\n'


class Prosody(Peer):
    name = "prosody"
    keeps_archives = may_be_modern = serves_web = True
    websocket_path = "/xmpp-websocket"

    def configure(self):
        (self.folder / "prosody.cfg.lua").write_text(CONFIGURATION.format(
            folder=self.folder, port=self.port, tls_port=self.tls_port, key=self.key, cert=self.cert, domain=DOMAIN,
            web_port=self.web_port if self.web else "", web=WEB if self.web else "",
            uploads=UPLOADS.format(domain=DOMAIN, web_port=self.web_port) if self.web else "",
            modern=MODERN if self.modern else "", archive=ARCHIVE if self.archiving else ""))

    def accounts(self, groups):
        account = scram_account()
        users, rosters = (self.folder / "data" / DOMAIN / store for store in ("accounts", "roster"))
        users.mkdir(parents=True)
        rosters.mkdir()
        for people in groups:
            for i in range(people.count):
                (users / f"{people.name(i)}.dat").write_text(account)
            for i in range(people.rostered):
                (rosters / f"{people.name(i)}.dat").write_text(roster(map(people.jid, people.contacts(i))))

    def fill_archive(self, name, have, wanted):
        path = self.folder / "data" / DOMAIN / "archive" / f"{name}.list"
        text = path.read_text()
        item = text[text.rindex("item({"):]
        when = int(re.search(r'\["when"\] = ([0-9]+)', item).group(1))
        older = []
        for n in range(wanted - 1, have - 1, -1):
            copy = re.sub(r'\["when"\] = [0-9.]+', f'["when"] = {when - n}', item)
            older.append(re.sub(r'\["key"\] = "[^"]*"', f'["key"] = "copy-{n}"', copy))
        path.write_text("".join(older) + text)

    def commands(self):
        return [["prosody", "--config", self.folder / "prosody.cfg.lua", "-F"]]
