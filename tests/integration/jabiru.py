# SPDX-License-Identifier: MIT
"""A server of our own for a test: certificates, a configuration, the process, and its admin tool. Everything waits
with a limit, listens on 127.0.0.1 on ports that were free, and ends by process id."""
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("JABIRU_BUILD", ROOT / "build" / "debug"))
JABIRUD = BUILD / "src/programs/jabirud/jabirud"
JABIRUCTL = BUILD / "src/programs/jabiructl/jabiructl"
PATIENCE_S = 30
SANITIZER = re.compile(r"(ERROR: (Address|Leak|Thread)Sanitizer|runtime error:).*")


def wait_for(check, what, seconds=PATIENCE_S):
    """Polls until check() gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def free_ports(count):
    """Ports that nobody has, below those that the kernel gives to outgoing connections: one of these could take a port
    between its choice and its use."""
    found = []
    while len(found) < count:
        port = random.randrange(10000, 32768)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


class Authority:
    """A private CA, and what it has signed, in one folder."""

    def __init__(self, folder, name="Test CA"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = folder / "ca.pem", folder / "ca.key"
        self._openssl("req", "-x509", *self._new_key(self.key), "-out", self.certificate, "-days", "2", "-subj", f"/CN={name}",
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    @staticmethod
    def _new_key(path):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path

    @staticmethod
    def _openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=PATIENCE_S)

    def issue(self, stem, names, usage="serverAuth"):
        """A new ECDSA certificate with these subjectAltNames; returns the files of certificate and key."""
        certificate, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        request, extensions = self.folder / f"{stem}.csr", self.folder / f"{stem}.ext"
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", *self._new_key(key), "-out", request, "-subj", f"/CN={stem}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                      "-days", "2", "-extfile", extensions, "-out", certificate)
        return certificate, key

    def revoke(self, *certificates):
        """Makes a list (CRL) of these; returns its file."""
        index, settings, crl = (self.folder / f"revoked.{end}" for end in ("txt", "cnf", "pem"))
        serials = [subprocess.run(["openssl", "x509", "-in", path, "-noout", "-serial"], check=True, capture_output=True, text=True,
                                  timeout=PATIENCE_S).stdout.strip().split("=")[1] for path in certificates]
        index.write_text("".join(f"R\t400101000000Z\t200101000000Z\t{serial}\tunknown\t/CN=revoked\n" for serial in serials))
        settings.write_text(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {index}\ndefault_md = sha256\ndefault_crl_days = 2\n")
        self._openssl("ca", "-config", settings, "-gencrl", "-cert", self.certificate, "-keyfile", self.key, "-out", crl)
        return crl


class Server:
    """One jabirud with its own data folder. `hosts` is {name: (certificate, key)}."""

    def __init__(self, folder, hosts, host_lines="", c2s_lines="", lines=""):
        self.folder = folder
        self.port, self.tls_port = free_ports(2)
        self.config, self.control = folder / "jabirud.conf", folder / "control"
        self.process, self.log, self._reader = None, [], None
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        text = f'data = "{data}"\ncontrol = "{self.control}"\n{lines}\n'
        text += f'c2s {{\n  listen = {{"127.0.0.1"}}\n  port = {self.port}\n  tls-port = {self.tls_port}\n{c2s_lines}\n}}\n'
        for name, (certificate, key) in hosts.items():
            text += f'host "{name}" {{\n  certificate = "{certificate}"\n  key = "{key}"\n{host_lines}\n}}\n'
        self.config.write_text(text)

    @property
    def database(self):
        return self.folder / "data" / "jabiru.db"

    def _read_log(self, pipe):
        for line in pipe:
            self.log.append(line.decode(errors="replace").rstrip("\n"))

    def text(self):
        return "\n".join(self.log)

    def start(self):
        self.log = []
        self.process = subprocess.Popen([JABIRUD, "--config", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read_log, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        self.wait_log("ready")
        return self

    def wait_log(self, word, seconds=PATIENCE_S):
        def check():
            if any(word in line for line in list(self.log)):
                return True
            assert self.process.poll() is None, f"jabirud ended with {self.process.returncode}:\n{self.text()}"
            return False
        wait_for(check, f"{word!r} in the log", seconds)

    def _ended(self):
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self.process.stdout.close()
        code, self.process = self.process.returncode, None
        found = SANITIZER.search(self.text())
        assert not found, f"{found.group(0)}\n{self.text()}"
        return code

    def stop(self):
        """Orderly; the server must agree that all was well."""
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self._ended()
            raise AssertionError(f"jabirud did not stop:\n{self.text()}") from None
        code = self._ended()
        assert code == 0, f"jabirud ended with {code}:\n{self.text()}"

    def ended_by_itself(self):
        """For tests that stop it in another way: waits for the end, and returns its exit code."""
        return self._ended()

    def kill(self):
        self.process.kill()
        self._ended()

    def reload(self, by_signal=False):
        if by_signal:
            self.process.send_signal(signal.SIGHUP)
        else:
            self.ctl("reload")

    def ctl(self, *words, password=None, check=True, seconds=PATIENCE_S):
        done = subprocess.run([JABIRUCTL, "--socket", self.control, *words], timeout=seconds, capture_output=True,
                              input=None if password is None else password + "\n", text=True,
                              stdin=subprocess.DEVNULL if password is None else None)
        if check:
            assert done.returncode == 0, f"jabiructl {words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def add_user(self, *jids, password="secret", seconds=PATIENCE_S):
        for jid in jids:
            self.ctl("user", "add", jid, password=password, seconds=seconds)
