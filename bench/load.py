# SPDX-License-Identifier: MIT
"""One run of the load generator against one server, with the server's CPU and memory sampled beside it.

jabiru-load prints "ready N" when all its sessions are there and it begins to count, and in the end one JSON object.
With --relay it speaks no XMPP, but sends the same stanzas: so it drives the relay.
"""
import contextlib
import json
import subprocess
import threading
import time

from peers.base import DOMAIN, PASSWORD, pause

MECHANISM = "SCRAM-SHA-1"  # what all of them have; ejabberd 23.01 refuses its own -PLUS form over TLS 1.3
SAMPLE_SECONDS = 0.25
LOGIN_SECONDS_EACH = 0.02   # allowed, so that a server that hangs does not hang the comparison
SLACK_SECONDS = 60
END_SECONDS = 5
EXIT_LOSSES = 3  # the run went through, and its report says what was lost


class LoadError(Exception):
    """The load generator failed."""


class TookTooLong(LoadError):
    """It was ended because its time was over."""


class Result:
    """What the load generator reported, and samples of the server: (time, CPU seconds, bytes or None)."""

    def __init__(self, report, samples, ready):
        self.report = report
        self.samples = samples
        self.ready = ready  # when counting began

    def window(self):
        """The samples of the measured time without its first and last tenth."""
        seconds = self.report["seconds"]
        first, last = self.ready + seconds * 0.1, self.ready + seconds * 0.9
        inside = [sample for sample in self.samples if first <= sample[0] <= last]
        if len(inside) < 2:
            raise LoadError("measured for too short a time to sample the server")
        return inside

    @property
    def rate(self):
        """What was done a second."""
        return self.report["rate_per_s"]

    def cpu_micros_each(self):
        """CPU time of the server for each thing done, in microseconds."""
        inside = self.window()
        if not self.rate:
            raise LoadError("nothing came back in the measured time")
        share = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
        return share * 1e6 / self.rate

    def memory_bytes(self):
        """The median of what the server had while measured."""
        sizes = sorted(size for _, _, size in self.window())
        return sizes[len(sizes) // 2]


def command(program, cpu, peer, mode, tls, options):
    port = peer.tls_port if tls == "direct" else peer.port
    line = ["taskset", "-c", cpu, program, mode, "--host", "127.0.0.1", "--port", port, "--domain", DOMAIN,
            "--tls", tls, "--mechanism", MECHANISM, "--user-prefix", "user", "--password", PASSWORD, "--json"]
    if not peer.speaks_xmpp:
        line.append("--relay")
    for name, value in options.items():
        word = f"--{name.replace('_', '-')}"
        line += [word] if value is True else [word, value]
    return [str(word) for word in line]


class Reader(threading.Thread):
    """Reads what the load generator prints, and notes when it was ready."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.ready, self.report = stream, None, None
        self.stretches = []  # with --every
        self.start()

    def run(self):
        for line in self.stream:
            if line.startswith(b"ready"):
                self.ready = time.monotonic()
            elif line.startswith(b'{"stretch"'):
                self.stretches.append(json.loads(line))
            elif line.startswith(b"{"):
                self.report = json.loads(line)


def run(program, cpu, peer, mode, tls="none", memory=False, patience=SLACK_SECONDS, **options):
    """Runs it once, bounded in time: `patience` seconds beside those of logins and measuring. The options are those of
    jabiru-load."""
    sessions = options.get("users") or 2 * options.get("pairs", 0)
    deadline = time.monotonic() + patience + options.get("seconds", 0) + LOGIN_SECONDS_EACH * sessions
    with open(peer.folder / "load.log", "w+b") as log:
        process = subprocess.Popen(command(program, cpu, peer, mode, tls, options), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=log)
        try:
            reader = Reader(process.stdout)
            samples = sample(process, peer, deadline, memory)
        finally:
            process.kill()
            process.wait(END_SECONDS)
        reader.join(END_SECONDS)
        if process.returncode not in (0, EXIT_LOSSES) or not reader.report or not reader.ready:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()[-3:]
            raise LoadError(f"load generator ended with {process.returncode}: {' / '.join(said)}")
    return Result(reader.report, samples, reader.ready)


@contextlib.contextmanager
def background(program, cpu, peer, mode, tls="none", nice=0, **options):
    """Runs it beside other work, from when it begins to count until the block ends; what it says meanwhile (--every) is
    in the Reader that the block gets. `nice`: how much it stands back for what else runs on its core."""
    line = ["nice", "-n", str(nice), *command(program, cpu, peer, mode, tls, options)]
    with open(peer.folder / "load-background.log", "w+b") as log:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=log)
        try:
            reader = Reader(process.stdout)
            deadline = time.monotonic() + SLACK_SECONDS
            while not reader.ready:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise LoadError("the load generator in the background did not begin")
                pause(SAMPLE_SECONDS)
            yield reader
        finally:
            process.kill()
            process.wait(END_SECONDS)


def sample(process, peer, deadline, memory):
    samples = []
    while True:
        samples.append((time.monotonic(), peer.cpu_seconds(), peer.memory_bytes() if memory else None))
        if process.poll() is not None:
            return samples
        if time.monotonic() > deadline:
            raise TookTooLong("load generator took too long")
        pause(SAMPLE_SECONDS)
