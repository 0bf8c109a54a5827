# SPDX-License-Identifier: MIT
"""Messages from one server to another of the same kind: two of Jabiru, of ejabberd or of Prosody, both on one core, with a
stream over TLS between them and a name server of their own. Users of the one write to users of the other, over TLS. The CPU
is that of both servers together. The servers are those of the integration tests (lab.py), and end with the work."""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import load
from peers.base import pause, stat_fields, with_descendants
from rig import ROOT

DOMAINS = ("one.example", "two.example")
PAIRS = 50
WINDOWS = (1, 8)
PASSWORD = "secret"
SAMPLE_SECONDS = 0.1
PATIENCE_SECONDS = 60
UNLIMITED = "rate-stanzas = 0 rate-bytes = 0"


def make_server(name, folder, names, domain, pair, ca, port):
    import lab
    users = [f"user{n}" for n in range(2 * PAIRS)]
    if name == "jabiru":
        return lab.jabiru(folder, names, domain, pair, port, more="", c2s_lines=UNLIMITED, lines=UNLIMITED,
                          host_lines='extensions-off = {"archive"}')
    return {"ejabberd": lab.Ejabberd, "prosody": lab.Prosody}[name](folder, names, domain, pair, ca, port, users=users, debug=False)


def start_servers(name, folder, running):
    """Both of a pair; `running` (an ExitStack) ends whatever has been started, also if another start fails."""
    import jabiru
    import lab
    ca, ports = jabiru.Authority(folder / "ca"), jabiru.free_ports(2)
    names, servers = lab.Names(folder / "names", dict(zip(DOMAINS, ports))), []
    running.callback(names.stop)
    names.start()
    for domain, port in zip(DOMAINS, ports):
        pair = ca.issue(domain, f"DNS:{domain}", "serverAuth,clientAuth")
        server = make_server(name, folder / domain, names, domain, pair, ca, port)
        servers.append(server)
        running.callback(server.stop)
        server.start()
        if name == "jabiru":
            server.add_user(*[f"user{n}@{domain}" for n in range(2 * PAIRS)])
    return servers


def cpu_seconds(servers):
    ticks = sum(int(n) for server in servers for pid in with_descendants([server.process.pid])
                for n in stat_fields(pid)[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def samples_of(process, reader, servers, seconds):
    """What the servers took while it was counted, until the load generator ends."""
    deadline, samples = time.monotonic() + PATIENCE_SECONDS + seconds, []
    while process.poll() is None:
        if reader.ready:
            samples.append((time.monotonic(), cpu_seconds(servers), None))
        if time.monotonic() > deadline:
            raise load.TookTooLong("the load generator took too long")
        pause(SAMPLE_SECONDS)
    return samples


def run_load(bench, servers, window, seconds):
    one, two = servers
    command = ["taskset", "-c", bench.load_cpu, bench.program, "pairs", "--tls", "direct", "--port", one.tls_port, "--domain", one.domain,
               "--far-port", two.tls_port, "--far-domain", two.domain, "--mechanism", load.MECHANISM, "--pairs", PAIRS,
               "--window", window, "--password", PASSWORD, "--seconds", seconds, "--json"]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        reader = load.Reader(process.stdout)
        samples = samples_of(process, reader, servers, seconds)
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)
    reader.join(PATIENCE_SECONDS)
    if process.returncode != 0 or not reader.report:
        raise load.LoadError(f"the load generator ended with {process.returncode}: {reader.report}")
    return load.Result(reader.report, samples, reader.ready)


@contextlib.contextmanager
def on_core(cpu):
    """What is started meanwhile runs on this core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def messages(bench, peer):
    """The rate and the CPU each, for both windows; after a second in which the two servers find each other."""
    os.environ["JABIRU_BUILD"] = str(pathlib.Path(bench.build).resolve())  # lab.py reads it when it is loaded
    if (tests := str(ROOT / "tests/integration")) not in sys.path:
        sys.path.append(tests)
    numbers = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as running:
        with on_core(bench.server_cpu):
            servers = start_servers(peer.name, pathlib.Path(folder), running)
        run_load(bench, servers, 1, 1)
        for window in WINDOWS:
            result = run_load(bench, servers, window, bench.seconds)
            numbers |= {f"s2s-{window}": result.rate, f"s2s-cpu-{window}": result.cpu_micros_each()}
    return numbers
