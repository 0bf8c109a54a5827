# SPDX-License-Identifier: MIT
"""What all servers under test have in common.

A Peer runs in a scratch folder of its own, with its own configuration and data, on free ports of 127.0.0.1, pinned to
one core. A subclass says how its files look (configure), how accounts get into its storage (accounts) and which
programs run (commands); here is the rest: start, readiness, CPU, memory and stop, all by process id and bounded in time.

Root does not run the servers: it hands the scratch folder to `nobody` and starts them as that user. Any other user runs
them as themselves.
"""
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import time

DOMAIN = "localhost"
PASSWORD = "benchmark"
ROSTER_BLOCK = 21  # so that each has 20 contacts
FILES_WANTED = 65536
START_SECONDS = 60
STOP_SECONDS = 20
REST_SECONDS = 60     # for what is left to do when the clients have gone
REST_SAMPLE = 0.5
REST_PART = 0.05      # of a core: who takes less has come to rest

UNPRIVILEGED = dict(user="nobody", group="nogroup", extra_groups=[]) if os.getuid() == 0 else {}
STREAM_OPEN = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
               "xmlns:stream='http://etherx.jabber.org/streams'>").encode()


class PeerError(Exception):
    """A server could not be started, used or stopped; the text says what to look at."""


stop_signals = []  # those that came; see stop_on


def stop_on(*signals):
    """Lets the run end at its next pause() when one of these signals comes. (An exception thrown from a signal handler
    may leave a lock of the subprocess module taken for ever.)"""
    for number in signals:
        signal.signal(number, lambda came, _: stop_signals.append(came))


def pause(seconds):
    """Sleeps, unless the run was asked to stop."""
    if not stop_signals:
        time.sleep(seconds)
    if stop_signals:
        raise SystemExit(f"stopped by signal {stop_signals[0]}")


def free_ports(count):
    """Ports that are free now. All are held until all are found, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def certificate(folder):
    """A self-signed ECDSA P-256 certificate: key.pem, cert.pem, and both in one file as some servers want."""
    key, cert, both = (folder / name for name in ("key.pem", "cert.pem", "both.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}",
                    "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=30)
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    return key, cert, both


class People:
    """Accounts: `count` users with the names PREFIX0, PREFIX1, …. The first `rostered` of them stand in blocks of `block`
    neighbours who know each other, subscribed both ways."""

    def __init__(self, prefix, count, rostered=0, block=ROSTER_BLOCK):
        self.prefix, self.count, self.rostered, self.block = prefix, count, rostered, block

    def name(self, i):
        return f"{self.prefix}{i}"

    def jid(self, i):
        return f"{self.prefix}{i}@{DOMAIN}"

    def contacts(self, i):
        """The numbers of those whom user i knows."""
        first = i - i % self.block
        return [n for n in range(first, min(first + self.block, self.rostered)) if n != i] if i < self.rostered else []


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def with_descendants(pids):
    """The given processes and everything below them."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def alive(pid, born):
    """Whether this very process still runs (a number may be given to another one, a zombie is gone)."""
    fields = stat_fields(pid)
    return bool(fields) and fields[0] != "Z" and fields[19] == born


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on, or nothing when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class Peer:
    name = "?"
    speaks_xmpp = True
    has_rooms = federates = True
    keeps_archives = False  # it has an archive of messages that can be switched on
    archiving = False       # it is on
    may_be_modern = False   # it has PEP and stream management
    modern = False          # they are on; to be set before prepare()
    serves_web = False      # it has WebSocket and uploads
    web = False             # they are on; to be set before prepare()
    websocket_path = "?"
    archived_messages = 0   # of user0: see archives.py
    stop_signal = signal.SIGTERM

    def __init__(self, scratch):
        self.folder = pathlib.Path(scratch) / self.name
        self.processes = []
        self.port = self.tls_port = self.web_port = None

    # What each server says for itself.

    def configure(self):
        """Writes configuration into self.folder, with self.port, self.tls_port and self.web_port, self.key, self.cert, self.both, and
        the archive on or off by self.archiving. Comes again when that changes."""
        raise NotImplementedError

    def accounts(self, groups):
        """Puts each People of `groups` into the storage, before the first start. The first is never empty."""
        raise NotImplementedError

    def commands(self):
        """The programs to run, in order, each a list of arguments that stays in the foreground. A generator may wait
        between two of them."""
        raise NotImplementedError

    def archive_for_filling(self):
        """Before the first message of an archive that is filled: chooses another storage, if that of archive() is none
        for many messages."""

    def fill_archive(self, name, have, wanted):
        """Copies a message of this user's archive, which has `have`, until it has `wanted`: each a second older than
        the one before."""
        raise NotImplementedError

    def environment(self):
        return {}

    def version(self):
        """Of the Debian package."""
        out = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", self.name], capture_output=True, text=True)
        return out.stdout or "not installed"

    # What all do alike.

    def prepare(self, *groups):
        """A fresh folder with configuration and the accounts of each People."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.key, self.cert, self.both = certificate(self.folder)
        self.port, self.tls_port, self.web_port = free_ports(3)
        self.configure()
        self.hand_over()
        self.accounts(groups)
        self.hand_over()

    def archive(self, on):
        """Switches the archive of all messages of both sides on or off, with a stop where that is a change."""
        if on != self.archiving:
            self.stop()
            self.archiving = on
            self.configure()
            self.hand_over()

    def hand_over(self):
        if UNPRIVILEGED:
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, UNPRIVILEGED["user"], UNPRIVILEGED["group"])

    def start(self, cpu):
        """Starts on the core `cpu` and waits until a client would be served: {port, tls_port, pids, seconds}."""
        self.started = time.monotonic()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
        log = open(self.folder / "output.log", "ab")
        for command in self.commands():
            self.processes.append(subprocess.Popen(
                ["taskset", "-c", str(cpu), *map(str, command)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, "HOME": str(self.folder), **self.environment()}, start_new_session=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard)), **UNPRIVILEGED))
        log.close()
        try:
            self.wait_until_served()
        except BaseException:
            self.stop()
            raise
        return {"port": self.port, "tls_port": self.tls_port, "pids": self.pids(),
                "seconds": time.monotonic() - self.started}

    def wait_until_served(self):
        deadline = self.started + START_SECONDS
        while not self.serves():
            ended = [p for p in self.processes if p.poll() is not None]
            if ended or time.monotonic() > deadline:
                said = (self.folder / "output.log").read_text(errors="replace").strip().splitlines()[-5:]
                raise PeerError("\n".join([f"{self.name} does not serve (exit codes {[p.returncode for p in ended]})",
                                           *said]))
            pause(0.002)

    def serves(self):
        """Whether a client that connects now is offered a login (for the relay: is accepted)."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return not self.speaks_xmpp or self.offers_login(connection)
        except OSError:
            return False

    @staticmethod
    def offers_login(connection):
        connection.sendall(STREAM_OPEN)
        answer = b""
        while b"features>" not in answer and b"</stream:stream>" not in answer and len(answer) < 65536:
            part = connection.recv(4096)
            if not part:
                return False
            answer += part
        return b"mechanism>" in answer

    def pids(self):
        return with_descendants([p.pid for p in self.processes])

    def cpu_seconds(self):
        """User and system time of all its processes, those that ended inside it included."""
        ticks = sum(int(n) for pid in self.pids() for n in stat_fields(pid)[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self):
        """Proportional set size of all its processes."""
        total = 0
        for pid in self.pids():
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        return total

    def rest(self):
        """Waits until it has worked off what its clients left behind, which would take time from the next server's work on
        the same core. One that is not done after REST_SECONDS is stopped."""
        deadline, busy = time.monotonic() + REST_SECONDS, True
        while self.processes and busy:
            before = self.cpu_seconds()
            pause(REST_SAMPLE)
            busy = self.cpu_seconds() - before > REST_PART * REST_SAMPLE
            if busy and time.monotonic() > deadline:
                self.stop()

    def stop(self):
        """Ends every process: by the server's own signal, then, after STOP_SECONDS, by SIGKILL."""
        everyone = [(pid, fields[19]) for pid in self.pids() if (fields := stat_fields(pid))]
        for process in reversed(self.processes):
            process.send_signal(self.stop_signal)
        deadline = time.monotonic() + STOP_SECONDS
        while any(alive(*one) for one in everyone) and time.monotonic() < deadline:
            for process in self.processes:
                process.poll()
            time.sleep(0.01)
        for pid, born in everyone:
            if alive(pid, born):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.wait(timeout=STOP_SECONDS)
        self.processes = []
