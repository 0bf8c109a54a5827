# SPDX-License-Identifier: MIT
"""Time-limited credentials for TURN (XEP-0215) against coturn: what we hand out lets a client relay, and nothing else does."""
import datetime
import shutil
import subprocess
import time

import pytest

from jabiru import PATIENCE_S, free_ports
from lab import Process
from raw import Raw

TURNSERVER, CLIENT = shutil.which("turnserver"), shutil.which("turnutils_uclient")
EXTDISCO = "urn:xmpp:extdisco:2"
SECRET = "a shared secret"

pytestmark = pytest.mark.skipif(not (TURNSERVER and CLIENT), reason="coturn is not installed")


@pytest.fixture(scope="module")
def coturn(tmp_path_factory):
    process = Process(tmp_path_factory.mktemp("coturn"))
    process.port = free_ports(1)[0]
    process.run([TURNSERVER, "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={process.port}", "--use-auth-secret",
                 f"--static-auth-secret={SECRET}", "--realm=localhost", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers",
                 "--min-port=40000", "--max-port=49000", f"--pidfile={process.folder}/pid", f"--userdb={process.folder}/db", "--log-file=stdout",
                 "--no-rfc5780"])
    process.wait_port(process.port)
    yield process
    process.stop()


def relays(port, username, password):
    """Two allocations, and a message from the one to the other."""
    done = subprocess.run([CLIENT, "-y", "-c", "-n", "1", "-m", "1", "-l", "100", "-u", username, "-w", password, "-p", str(port), "127.0.0.1"],
                          capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
    return done.returncode == 0 and "Total lost packets 0 " in done.stdout, done.stdout + done.stderr


def test_credentials_that_coturn_takes(make_server, ca, coturn):
    server = make_server(lines=f'external_services {{\n services = {{"turn:127.0.0.1:{coturn.port}:udp"}}\n secret = "{SECRET}"\n life = 10m\n}}')
    server.add_user("alice@localhost")
    alice = Raw(server, ca).login("alice", "phone")
    service, = alice.ask(f"<services xmlns='{EXTDISCO}' type='turn'/>", to="localhost")[0]
    username, password = service.get("username"), service.get("password")
    end = datetime.datetime.fromisoformat(service.get("expires").replace("Z", "+00:00")).timestamp()
    assert abs(end - int(username.split(":")[0])) < 1 and 0 < end - time.time() <= 601 and "alice" not in username
    good, output = relays(coturn.port, username, password)
    assert good, output
    assert not relays(coturn.port, username, password[::-1])[0]
    later = f"{int(end) + 3600}:{username.split(':')[1]}"  # nobody makes them last longer
    assert not relays(coturn.port, later, password)[0]
    alice.close()
