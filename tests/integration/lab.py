# SPDX-License-Identifier: MIT
"""A small internet on the loopback interface: a name server (dnsmasq) with SRV records, and other people's servers beside
ours, each with a domain and ports of its own. All of it is ended by process id."""
import os
import shutil
import signal
import socket
import subprocess

from jabiru import PATIENCE_S, Server, free_ports, wait_for

DNSMASQ = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"
UNBOUND = shutil.which("unbound") or "/usr/sbin/unbound"
PROSODY = shutil.which("prosody")
EJABBERD = os.path.isdir("/usr/lib/x86_64-linux-gnu") and shutil.which("ejabberdctl") and shutil.which("erl")


def listens(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


class Process:
    """Something that runs in a folder of its own, with its output in a file."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.process = None

    def run(self, command, **options):
        with open(self.folder / "output.log", "ab") as log:
            self.process = subprocess.Popen([str(word) for word in command], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, **options)

    def output(self):
        return (self.folder / "output.log").read_text(errors="replace")

    def wait_port(self, port):
        def check():
            assert self.process.poll() is None, f"{self.process.args[0]} ended:\n{self.output()}"
            return listens(port)
        wait_for(check, f"{self.process.args[0]} at port {port}", 2 * PATIENCE_S)

    def stop(self, how=signal.SIGTERM):
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE_S)


class Names(Process):
    """The name server. `hosts` is {domain: port}: each has an SRV record to localhost, the one name that ejabberd, which
    leaves addresses to the system's resolver, finds too."""

    def __init__(self, folder, hosts, more=()):
        super().__init__(folder)
        self.port = free_ports(1)[0]
        self.hosts, self.more = hosts, more

    def start(self):
        lines = ["host-record=localhost,127.0.0.1", "no-resolv", "no-hosts", f"port={self.port}", "listen-address=127.0.0.1", "bind-interfaces", "local=/#/",
                 "cache-size=0", "log-queries", "log-facility=-", *self.more]
        if os.getuid() == 0:
            lines += ["user=root"]
        for domain, port in self.hosts.items():
            lines.append(f"srv-host=_xmpp-server._tcp.{domain},localhost,{port},10,5")
        (self.folder / "dnsmasq.conf").write_text("\n".join(lines) + "\n")
        self.run([DNSMASQ, "--keep-in-foreground", f"--conf-file={self.folder}/dnsmasq.conf", f"--pid-file={self.folder}/pid"])
        self.wait_port(self.port)
        return self


class SignedNames(Process):
    """A name server that validates with DNSSEC (unbound), with two zones: `example.`, signed with a key that it trusts, and `plain.`,
    which is not signed. `records` are lines of the one, `plain` of the other. In `forged`, {old: new} changes the zone after it was signed."""

    HEAD = "$ORIGIN {0}.\n$TTL 60\n@ SOA ns.{0}. admin.{0}. 1 3600 600 86400 60\n@ NS ns.{0}.\nns A 127.0.0.1\n"

    def __init__(self, folder, records, plain=(), forged=None):
        super().__init__(folder)
        self.port = free_ports(1)[0]
        (folder / "example").write_text(self.HEAD.format("example") + "\n".join(records) + "\n")
        (folder / "plain").write_text(self.HEAD.format("plain") + "\n".join(plain) + "\n")
        key = self._tool("ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "example").strip()
        self._tool("ldns-signzone", "-f", "example.signed", "example", key)
        text = (folder / "example.signed").read_text()
        for old, new in (forged or {}).items():
            assert old in text
            text = text.replace(old, new)
        (folder / "example.signed").write_text(text)
        zones = "".join(f'auth-zone:\n  name: "{zone}."\n  zonefile: "{folder}/{file}"\n  for-downstream: no\n  for-upstream: yes\n'
                        f'  fallback-enabled: no\n' for zone, file in (("example", "example.signed"), ("plain", "plain")))
        (folder / "unbound.conf").write_text(f"""
server:
  interface: 127.0.0.1@{self.port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  logfile: ""
  module-config: "validator iterator"
  trust-anchor-file: "{folder}/{key}.key"
  do-ip6: no
{zones}remote-control:
  control-enable: no
""")

    def _tool(self, *words):
        return subprocess.run(words, cwd=self.folder, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout

    def start(self):
        self.run([UNBOUND, "-d", "-c", self.folder / "unbound.conf"])
        self.wait_port(self.port)
        return self


def jabiru(folder, names, domain, pair, s2s_port, lines="", more='log { areas = {"s2s=debug"} }', **sections):
    """A server of ours that federates; `pair` is (certificate, key). The sections are those of Server."""
    s2s = (f's2s {{\n  listen = {{"127.0.0.1"}}\n  port = {s2s_port}\n  dns-server = "127.0.0.1:{names.port}"\n  retry-time = 100ms\n'
           f'{lines}\n}}\n{more}')
    server = Server(folder, {domain: pair}, lines=s2s, **sections)
    server.domain = domain
    return server


class Prosody(Process):
    stop_signal = signal.SIGTERM

    def __init__(self, folder, names, domain, pair, ca, s2s_port, secure=False, bidi=True, users=("romeo", "paris"), debug=True):
        super().__init__(folder)
        self.domain, self.s2s_port = domain, s2s_port
        self.port, self.tls_port = free_ports(2)
        modules = ["roster", "saslauth", "tls", "dialback", "disco", "ping", "pep", "s2s", "s2s_auth_certs", "smacks"] + ["s2s_bidi"] * bidi
        certificate, key = (shutil.copy(path, folder / path.name) for path in pair)
        (folder / "prosody.cfg.lua").write_text(f"""
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = {{ {"debug" if debug else "error"} = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
s2s_ports = {{ {s2s_port} }}
http_ports = {{ }}
https_ports = {{ }}
authentication = "internal_plain"
storage = "internal"
s2s_require_encryption = true
s2s_secure_auth = {str(secure).lower()}
unbound = {{ resolvconf = false, forward = {{ "127.0.0.1@{names.port}" }}, options = {{ ["do-not-query-localhost:"] = "no" }} }}
modules_enabled = {{ {", ".join(f'"{name}"' for name in modules)} }}
modules_disabled = {{ "offline" }}
ssl = {{ key = "{key}", certificate = "{certificate}", cafile = "{ca.certificate}" }}
VirtualHost "{domain}"
Component "rooms.{domain}" "muc"
""")
        data = folder / "data" / domain.replace(".", "%2e") / "accounts"
        data.mkdir(parents=True)
        for user in users:
            (data / f"{user}.dat").write_text('return { ["password"] = "secret"; };\n')

    def start(self):
        self.run(["prosody", "--config", self.folder / "prosody.cfg.lua", "-F"])
        self.wait_port(self.s2s_port)
        self.wait_port(self.port)
        return self


class Ejabberd(Process):
    """ejabberd as a plain `erl`, without a node name: it needs no epmd, no host name and no cookie."""
    stop_signal = signal.SIGTERM

    def __init__(self, folder, names, domain, pair, ca, s2s_port, secure=False, users=("romeo", "paris"), debug=True):
        super().__init__(folder)
        self.users = users
        self.domain, self.s2s_port = domain, s2s_port
        self.port, self.tls_port = free_ports(2)
        both = folder / "both.pem"
        both.write_bytes(pair[0].read_bytes() + pair[1].read_bytes())
        # the name server after resolv_conf, which would forget it
        (folder / "inetrc").write_text('{resolv_conf, ""}.\n{hosts_file, ""}.\n'
                                       f'{{nameserver, {{127,0,0,1}}, {names.port}}}.\n{{lookup, [dns]}}.\n')
        (folder / "ejabberd.yml").write_text(f"""
hosts: ["{domain}"]
loglevel: {"debug" if debug else "error"}
certfiles: ["{both}"]
ca_file: "{ca.certificate}"
auth_method: internal
auth_password_format: plain
acme: {{ auto: false }}
s2s_use_starttls: required
s2s_dns_retries: 1
s2s_dns_timeout: 5
listen:
  - {{ port: {self.port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true }}
  - {{ port: {self.tls_port}, ip: "127.0.0.1", module: ejabberd_c2s, tls: true }}
  - {{ port: {s2s_port}, ip: "127.0.0.1", module: ejabberd_s2s_in }}
modules:
  mod_caps: {{}}
  mod_disco: {{}}
  mod_muc: {{ host: "rooms.{domain}" }}
  mod_ping: {{}}
  mod_pubsub: {{ plugins: [flat, pep] }}
  mod_roster: {{}}
{"" if secure else "  mod_s2s_dialback: {}"}
""")

    def start(self):
        add = "".join(f'ok = ejabberd_auth:try_register(<<"{user}">>, <<"{self.domain}">>, <<"secret">>), '
                      for user in self.users)
        self.run(["erl", "-noinput", "+S", "1:1", "+sbwt", "none", "-mnesia", "dir", f'"{self.folder}/mnesia"', "-s", "ejabberd",
                  "-eval", add + "ok."],
                 env={**os.environ, "HOME": str(self.folder), "ERL_LIBS": "/usr/lib/x86_64-linux-gnu",
                      "ERL_CRASH_DUMP": f"{self.folder}/erl_crash.dump", "ERL_INETRC": f"{self.folder}/inetrc",
                      "EJABBERD_CONFIG_PATH": f"{self.folder}/ejabberd.yml", "EJABBERD_LOG_PATH": f"{self.folder}/ejabberd.log"})
        self.wait_port(self.s2s_port)
        self.wait_port(self.port)
        return self
