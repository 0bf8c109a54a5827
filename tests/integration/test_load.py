# SPDX-License-Identifier: MIT
"""The load generator, and by it libjabiru, against the real server: each mode and each kind of TLS, short and small."""
import json
import subprocess

import pytest

from jabiru import BUILD, SANITIZER

JABIRU_LOAD = BUILD / "src/programs/jabiru-load/jabiru-load"
USERS = 4
OPEN = "  require-tls = false\n  insecure-login = true"


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers(c2s_lines=OPEN, host_lines="rooms { user-rate = 0 room-rate = 0 same-text-rooms = 0 }")
    server.add_user(*[f"user{n}@localhost" for n in range(USERS)])
    return server


def load(server, mode, *options, tls="none", password="secret", code=0, stretches=None):
    """Runs it for three seconds; returns its report, or what it complained of when it is to fail. Stretches go into the list."""
    port = server.tls_port if tls == "direct" else server.port
    done = subprocess.run([str(word) for word in (
        JABIRU_LOAD, mode, "--port", port, "--tls", tls, "--users", USERS, "--password", password, "--seconds", 3, "--json",
        *options)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert not SANITIZER.search(done.stderr), done.stderr
    assert code is None or done.returncode == code, done.stdout + done.stderr
    if code:
        return done.stderr
    ready, *between, report = done.stdout.splitlines()
    assert ready.startswith("ready ") and (not between or stretches is not None)
    if stretches is not None:
        stretches += map(json.loads, between)
    return json.loads(report)


@pytest.mark.parametrize("mode", ["logins", "pairs", "presence", "ping", "rooms"])
def test_all_comes_back(server, mode):
    own = {"rooms": ["--room", 3]}
    if mode == "presence":  # rosters first: while they are being made, changes reach only those who have agreed
        load(server, mode, "--subscribe", code=None)
    report = load(server, mode, "--window", 2, *own.get(mode, []))
    assert report["mode"] == mode and report["users"] == USERS
    assert report["received"] > 0 and report["lost"] == 0 and report["errors"] == 0
    assert (report["settled_s"] > 0) == (mode == "rooms")
    assert 0 < report["latency_us"]["p50"] <= report["latency_us"]["p99"] <= report["latency_us"]["max"]
    assert report["rate_per_s"] == pytest.approx(report["received"] / report["seconds"], rel=0.01)


def test_a_mix_of_all_loses_nothing(module_servers):
    server = module_servers(c2s_lines=OPEN, host_lines="rooms { user-rate = 0 }")
    server.add_user(*[f"user{n}@localhost" for n in range(12)])
    stretches = []
    report = load(server, "mix", "--users", 12, "--room", 2, "--rate", 300, "--away", 1, "--every", 1, "--seconds", 6,
                  stretches=stretches)
    assert report["received"] > 500 and report["lost"] == 0 and report["doubled"] == 0 and report["errors"] == 0
    assert 0 < report["latency_us"]["p50"] <= report["latency_us"]["p99"]
    assert [stretch["stretch"] for stretch in stretches] == list(range(1, 1 + len(stretches))) and len(stretches) >= 5
    assert sum(stretch["received"] for stretch in stretches) <= report["received"]


def test_a_flood_is_no_error(module_servers):
    server = module_servers(c2s_lines=OPEN)
    server.add_user(*[f"user{n}@localhost" for n in range(USERS)])
    report = load(server, "rooms", "--room", USERS, "--flood", 2)
    assert 0 < report["received"] < 2000 and report["errors"] == 0


def test_sessions_are_held(server):
    report = load(server, "idle")
    assert report["seconds"] >= 1 and report["sent"] == 0 and report["errors"] == 0


def test_sessions_with_all_that_clients_keep(server):
    report = load(server, "idle", "--sm", "--pep", 3)
    assert report["errors"] == 0


def test_contacts_are_told_of_what_is_published(server):
    load(server, "presence", "--subscribe", code=None)
    report = load(server, "pep", "--window", 2)
    assert report["mode"] == "pep" and report["received"] > 0 and report["lost"] == 0 and report["errors"] == 0


def test_pings_at_a_rate(server):
    report = load(server, "ping", "--rate", 200)
    assert report["rate_per_s"] == pytest.approx(200, rel=0.2)
    assert report["lost"] == 0


def test_receivers_at_another_server(server):
    report = load(server, "pairs", "--far-port", server.port, "--far-domain", "localhost")
    assert report["received"] > 0 and report["lost"] == 0


def test_the_rate_of_an_open_loop_holds(server):
    report = load(server, "pairs", "--rate", 200)
    assert report["rate_per_s"] == pytest.approx(200, rel=0.2)
    assert report["lost"] == 0


def test_a_slow_open_loop_ends_in_order(server):
    assert load(server, "pairs", "--rate", 1)["lost"] == 0


@pytest.mark.parametrize("tls", ["starttls", "direct"])
def test_over_tls_with_a_checked_certificate(server, ca, tls):
    assert load(server, "ping", "--ca", ca.certificate, tls=tls)["received"] > 0


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS",
                                       "SCRAM-SHA-512-PLUS", "PLAIN"])
def test_each_mechanism(server, mechanism):
    assert load(server, "logins", "--mechanism", mechanism, tls="direct")["received"] > 0


@pytest.mark.parametrize("tls", ["none", "starttls", "direct"])
def test_logins_in_one_step(server, tls):
    report = load(server, "logins", "--instant", tls=tls)
    assert report["received"] > 2 * USERS and report["errors"] == 0
    kind = "NONE" if tls == "none" else "EXPR"
    assert f"logged in by HT-SHA-256-{kind}" in server.text()


def test_a_certificate_of_a_stranger_is_refused(server, other_ca):
    assert "TLS" in load(server, "ping", "--ca", other_ca.certificate, tls="direct", code=2)


def test_a_wrong_password_is_told(server):
    assert "not-authorized" in load(server, "ping", password="wrong", code=2)


@pytest.fixture
def relay(ca):
    certificate, key = ca.issue("relay", "DNS:localhost")
    process = subprocess.Popen([BUILD / "bench/relay", "--tls-port", "0", "--cert", certificate, "--key", key],
                               stdout=subprocess.PIPE, text=True)
    try:
        process.port, process.tls_port = (int(process.stdout.readline().split()[1]) for _ in range(2))
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize("mode", ["pairs", "logins"])
def test_a_relay_speaks_no_xmpp(relay, mode):
    report = load(relay, mode, "--relay", tls="direct")
    assert report["received"] > 0 and report["lost"] == 0 and report["errors"] == 0


def test_wrong_usage_is_told(server):
    assert "--relay" in load(server, "ping", "--relay", code=1)
    assert "no such mode" in load(server, "dance", code=1)
    assert "--window" in load(server, "ping", "--window", "none", code=1)


def test_compressed_streams(module_servers):
    server = module_servers(c2s_lines=OPEN, lines="compression { enabled = true }\narchive { default = \"never\" }")
    server.add_user(*[f"user{n}@localhost" for n in range(USERS)])
    for tls in ("none", "direct"):
        report = load(server, "pairs", "--compress", "--window", 8, tls=tls)
        assert report["received"] > 0 and report["lost"] == 0 and report["errors"] == 0


def test_compression_that_is_not_there_is_an_error(server):
    assert "no-compression" in load(server, "ping", "--compress", code=2)
