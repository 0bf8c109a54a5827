# SPDX-License-Identifier: MIT
"""One run of the load generator against one server, with the server's CPU and memory sampled beside it.

The load generator is started with --json. It prints {"ready": true} on a line of its own when all its sessions are
there and what it measures begins, and in the end one object:

    {"mode": "pairs", "sessions": 200, "seconds": 5.0, "count": 123456, "rate": 24691.2, "lost": 0, "errors": 0,
     "latency_us": {"p50": 144, "p99": 249}}

With --raw it speaks no XMPP: connections 2n and 2n+1 send "PAIR n\\n", and then the same stanzas as always. That is
how it drives the relay.
"""
import json
import subprocess
import threading
import time

from peers.base import DOMAIN, PASSWORD, pause

SAMPLE_SECONDS = 0.25
LOGIN_SECONDS_EACH = 0.02   # allowed, so that a server that hangs does not hang the comparison
SLACK_SECONDS = 60
SETTLE_SECONDS = 5


class LoadError(Exception):
    """The load generator failed or took too long."""


class Result:
    """What the load generator reported, and samples of the server: (time, CPU seconds, bytes or None)."""

    def __init__(self, report, samples, ready, cpu_seconds):
        self.report = report
        self.samples = samples
        self.ready = ready            # when the sessions were there
        self.cpu_seconds = cpu_seconds  # of the whole run, logins and leaving included

    def window(self):
        """The samples of the measured time without its first and last tenth."""
        seconds = self.report["seconds"]
        first, last = self.ready + seconds * 0.1, self.ready + seconds * 0.9
        inside = [sample for sample in self.samples if first <= sample[0] <= last]
        if len(inside) < 2:
            raise LoadError("measured for too short a time to sample the server")
        return inside

    def cpu_share(self):
        """CPU seconds of the server a second, while measured."""
        inside = self.window()
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])

    def memory_bytes(self):
        """The median of what the server had while measured."""
        sizes = sorted(size for _, _, size in self.window())
        return sizes[len(sizes) // 2]


def command(program, cpu, peer, mode, tls, options):
    port = peer.tls_port if tls == "direct" else peer.port
    line = ["taskset", "-c", cpu, program, mode, "--host", "127.0.0.1", "--port", port, "--domain", DOMAIN,
            "--tls", tls, "--user-prefix", "user", "--password", PASSWORD, "--json"]
    if not peer.speaks_xmpp:
        line.append("--raw")
    for name, value in options.items():
        line += [f"--{name.replace('_', '-')}", value]
    return [str(word) for word in line]


def settled_cpu(peer):
    """CPU seconds once the server has nothing left to do (or still has after SETTLE_SECONDS)."""
    before, deadline = peer.cpu_seconds(), time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        pause(SAMPLE_SECONDS)
        now = peer.cpu_seconds()
        if now - before < 0.02:
            return now
        before = now
    return before


class Reader(threading.Thread):
    """Reads the lines of JSON that the load generator prints, and notes when it was ready."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.ready, self.report = stream, None, None
        self.start()

    def run(self):
        for line in self.stream:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if said.get("ready"):
                self.ready = time.monotonic()
            else:
                self.report = said


def run(program, cpu, peer, mode, tls="none", memory=False, **options):
    """Runs it once, bounded in time. The options are those of jabiru-load."""
    sessions = options.get("users") or 2 * options.get("pairs", 0)
    deadline = time.monotonic() + SLACK_SECONDS + options.get("seconds", 0) + LOGIN_SECONDS_EACH * sessions
    before = peer.cpu_seconds()
    with open(peer.folder / "load.log", "w+b") as log:
        process = subprocess.Popen(command(program, cpu, peer, mode, tls, options), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=log)
        try:
            reader = Reader(process.stdout)
            samples = sample(process, peer, deadline, memory)
        finally:
            process.kill()
            process.wait(SETTLE_SECONDS)
        reader.join(SETTLE_SECONDS)
        if process.returncode != 0 or not reader.report or not reader.ready:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()[-3:]
            raise LoadError(f"load generator ended with {process.returncode}: {' / '.join(said)}")
    return Result(reader.report, samples, reader.ready, settled_cpu(peer) - before)


def sample(process, peer, deadline, memory):
    samples = []
    while True:
        samples.append((time.monotonic(), peer.cpu_seconds(), peer.memory_bytes() if memory else None))
        if process.poll() is not None:
            return samples
        if time.monotonic() > deadline:
            raise LoadError("load generator took too long")
        pause(SAMPLE_SECONDS)
