# SPDX-License-Identifier: MIT
"""What the commands of this folder share: the servers, what was built, a run's options and results, words about the machine."""
import datetime
import os
import pathlib
import platform
import sys
import time

import load
from peers.base import pause
from peers.ejabberd import Ejabberd
from peers.jabberd2 import Jabberd2
from peers.jabiru import Jabiru
from peers.prosody import Prosody
from peers.relay import Relay
from table import OURS, UNFINISHED

ROOT = pathlib.Path(__file__).resolve().parent.parent
ACCOUNTS_LEAST = 1000  # for the works that have no number of their own
SERVERS = ["jabiru", "ejabberd", "prosody", "jabberd2", "relay"]
PACKAGED = {"ejabberd": Ejabberd, "prosody": Prosody, "jabberd2": Jabberd2}
BUILT = {"jabiru": (Jabiru, "jabirud", "jabiructl"), "relay": (Relay, "relay")}


class Variant:
    """A second set of servers with other accounts, and with modules or without: `modern`, for PEP and stream management;
    `web`, for WebSocket and uploads. `groups` is a function of the bench that gives the People."""

    def __init__(self, name, groups, modern=False, web=False):
        self.name, self.groups, self.modern, self.web = name, groups, modern, web


class Bench:
    """The options of a run, as the works see them, and what was measured."""

    def __init__(self, options, scratch):
        self.server_cpu, self.load_cpu = options.server_cpu, options.load_cpu
        self.quick = options.quick
        self.seconds = 2 if options.quick else options.seconds
        self.idle_sessions = ACCOUNTS_LEAST if options.quick else options.sessions
        self.accounts = max(self.idle_sessions, ACCOUNTS_LEAST)
        self.build, self.scratch = options.build, scratch
        self.program = options.load or find_built(options.build, "jabiru-load")
        self.samples, self.failures = {}, {}
        self.took = {}  # seconds of each work, by its name
        self.variants = {}

    def load(self, peer, mode, tls, may_lose=None, **options):
        """Runs the load generator. Losses are a failure; only where `may_lose` names a row, they mark its number."""
        result = load.run(self.program, self.load_cpu, peer, mode, tls, **options)
        lost, errors = result.report["lost"], result.report["errors"]
        if lost or errors:
            text = f"{lost} lost, {errors} errors of {result.report['sent']}"
            if not may_lose:
                raise load.LoadError(text)
            self.note(may_lose, peer.name, text)
        return result

    def keep(self, name, numbers):
        """What a work has measured with the server of this name."""
        for key, value in numbers.items():
            self.samples.setdefault((key, name), []).append(value)
            say(f"  {key:16} {name:9} {value:>14,.3f}")

    def note(self, key, name, text):
        self.failures.setdefault((key, name), []).append(text)
        say(f"  {key:16} {name:9} (!) {text}")

    def gave_up(self, work, peer):
        """Whether it took too long for this server in an earlier round: it is not asked again."""
        return any(UNFINISHED in self.failures.get((row.key, peer.name), []) for row in work.rows)

    def variant(self, peer, variant):
        """The server like `peer` of this variant, prepared when it is first asked for."""
        place = (peer.name, variant.name)
        if place not in self.variants:
            other = make_peer(peer.name, self.build, self.scratch / variant.name)
            other.modern, other.web = variant.modern, variant.web
            say(f"preparing {peer.name} ({variant.name})")
            other.prepare(*variant.groups(self))
            self.variants[place] = other
        return self.variants[place]

    def do(self, work, peer):
        """One work on one server, and what comes of it on its core, so that the next one has the core for itself. A failure,
        whatever it is, is noted, and the run goes on with a restarted server."""
        start = time.monotonic()
        try:
            if work.variant:
                peer = self.variant(peer, work.variant)
            if work.apart:
                self.keep(peer.name, work.do(self, peer))
            else:
                self._do_on(work, peer)
        except Exception as error:
            text = UNFINISHED if isinstance(error, load.TookTooLong) else f"{type(error).__name__}: {error}"
            for row in work.rows:
                self.note(row.key, peer.name, text)
            peer.stop()
        finally:
            self.took[work.name] = self.took.get(work.name, 0) + time.monotonic() - start

    def _do_on(self, work, peer):
        peer.archive(work.archived)
        if work.fresh or not peer.processes:
            peer.stop()
            peer.start(self.server_cpu)
        self.keep(peer.name, work.do(self, peer))
        if work.variant:
            peer.stop()
        peer.rest()

    def do_own(self, work):
        """One of the works that belong to no peer: they run on what they have made themselves."""
        start = time.monotonic()
        try:
            self.keep(OURS, work.do(self))
        except Exception as error:
            for row in work.rows:
                self.note(row.key, OURS, f"{type(error).__name__}: {error}")
        finally:
            self.took[work.name] = time.monotonic() - start

    def stop(self):
        for peer in self.variants.values():
            peer.stop()


def say(text):
    print(text, file=sys.stderr, flush=True)


def find_built(build, name):
    """The program in the build folder, wherever its floor has put it."""
    found = [path for path in pathlib.Path(build).rglob(name) if path.is_file() and os.access(path, os.X_OK)]
    if not found:
        sys.exit(f"{sys.argv[0]}: no {name} in {build}: build first (make build), or name the folder with --build")
    return found[0]


def make_peer(name, build, scratch):
    if name in PACKAGED:
        return PACKAGED[name](scratch)
    kind, *programs = BUILT[name]
    return kind(scratch, *(find_built(build, program) for program in programs))


def make_peers(names, build, scratch):
    if unknown := set(names) - set(SERVERS):
        sys.exit(f"{sys.argv[0]}: unknown server {', '.join(unknown)}")
    peers = [make_peer(name, build, scratch) for name in names]
    absent = [peer.name for peer in peers if peer.version() == "not installed"]
    if absent:
        sys.exit(f"{sys.argv[0]}: not installed: {', '.join(absent)} (make deps-bench)")
    return peers


def prepare(peer, *groups):
    say(f"preparing {peer.name} {peer.version()}")
    peer.prepare(*groups)
    pause(0)


def check_cores(*cores):
    if missing := set(cores) - os.sched_getaffinity(0):
        sys.exit(f"{sys.argv[0]}: no core {missing} here; two are needed: --server-cpu, --load-cpu")


def about(command, peers):
    """What a reader must know of the machine and the run."""
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    versions = ", ".join(f"{peer.name} {peer.version()}" for peer in peers if peer.name != "relay")
    return (f"Measured on {datetime.date.today()} with `{' '.join([command, *sys.argv[1:]])}`: {versions}. "
            f"{model}, {os.cpu_count()} cores, Linux {platform.release()}. One core for the server, one for the load")
