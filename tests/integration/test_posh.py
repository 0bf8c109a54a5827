# SPDX-License-Identifier: MIT
"""POSH (RFC 7711): a certificate that no CA has signed is good for a domain whose web server, by a certificate that a CA has signed,
says so; for servers that we connect to and for those that connect to us. A web server that says anything else proves nothing."""
import asyncio
import base64
import hashlib
import http.server
import json
import ssl
import subprocess
import threading
from collections import Counter

import pytest

from jabiru import PATIENCE_S, free_ports, wait_for
from lab import Names, jabiru
from peer import VALID, Peer
from slix import Client, run
from test_federation import SelfSigned
from test_federation_hostile import Evil

PATH = "/.well-known/posh/xmpp-server.json"


def fingerprint(certificate, hash_name="sha256"):
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, capture_output=True, timeout=PATIENCE_S)
    return base64.b64encode(hashlib.new(hash_name, der.stdout).digest()).decode()


def names(*certificates, expires=3600):
    return json.dumps({"fingerprints": [{"sha-256": fingerprint(one)} for one in certificates], "expires": expires})


class Web:
    """A web server of many names, each with a certificate of its own. `pages` is {host: {path: text}}; no page is a 404."""

    def __init__(self, pairs):
        self.pages, self.asked, web = {}, Counter(), self
        contexts = {name: self._context(pair) for name, pair in pairs.items()}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host = self.headers["Host"].split(":")[0]
                web.asked[host] += 1
                page = web.pages.get(host, {}).get(self.path)
                self.send_response(200 if page else 404)
                self.end_headers()
                self.wfile.write((page or "not here").encode())

            def log_message(self, *_):
                pass

        def choose(connection, name, _):
            if name in contexts:
                connection.context = contexts[name]

        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        outer.load_cert_chain(*next(iter(pairs.values())))
        outer.sni_callback = choose
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = outer.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def _context(pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        return context

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    PEERS = "named", "strong", "referred", "other", "circle", "far", "plain", "long", "garbled", "brief", "untrusted", "silent"
    NAMES = ("theirs", "second", "stranger", "hosting", *PEERS)

    def __init__(self, folder, ca, other_ca):
        ours, theirs = free_ports(2)
        web = {f"{name}.example": (other_ca if name == "untrusted" else ca).issue(f"web-{name}", f"DNS:{name}.example") for name in self.NAMES}
        self.web = Web(web)
        self.own = {name: SelfSigned(folder, f"{name}.example") for name in ("theirs", *self.PEERS)}
        self.peers = {name: Peer(f"{name}.example", self.own[name].pair, VALID) for name in self.PEERS}
        self.pages(self.web)
        ports = {f"{name}.example": peer.port for name, peer in self.peers.items()}
        self.names = Names(folder / "names", {**ports, "ours.example": ours, "theirs.example": theirs},
                           [f"host-record={name}.example,127.0.0.1" for name in self.NAMES]).start()
        lines = f'ca = "{ca.certificate}"\nrequire-certificate = true\nposh = true\nposh-port = {self.web.port}\nnegotiation-time = 10s'
        self.ca = ca
        self.ours = jabiru(folder / "ours", self.names, "ours.example", ca.issue("ours.example", "DNS:ours.example", "serverAuth,clientAuth"),
                           ours, lines).start()
        self.ours.s2s_port = ours
        self.ours.add_user("alice@ours.example")
        self.theirs = jabiru(folder / "theirs", self.names, "theirs.example", self.own["theirs"].pair, theirs, f'ca = "{ca.certificate}"').start()
        self.theirs.add_user("romeo@theirs.example")

    def pages(self, web):
        own = {name: one.certificate for name, one in self.own.items()}
        place = f"https://hosting.example:{web.port}"
        documents = {
            "theirs": names(own["theirs"]),
            "second": names(own["theirs"]),
            "named": names(own["other"], own["named"]),
            "strong": json.dumps({"fingerprints": [{"sha-512": fingerprint(own["strong"], "sha512")}], "expires": 10}),
            "referred": json.dumps({"url": f"{place}/referred.json", "expires": 3600}),
            "other": names(own["named"]),
            "circle": json.dumps({"url": f"{place}/circle.json", "expires": 3600}),
            "far": json.dumps({"url": "https://hosting.example/far.json", "expires": 3600}),
            "plain": json.dumps({"url": f"http://hosting.example:{web.port}/referred.json", "expires": 3600}),
            "long": names(own["long"]) + " " * 20000,
            "brief": names(own["brief"], expires=1),
            "garbled": names(own["garbled"])[:-1],
            "untrusted": names(own["untrusted"]),
        }
        for name, text in documents.items():
            web.pages[f"{name}.example"] = {PATH: text}
        web.pages["hosting.example"] = {"/referred.json": names(own["referred"]), "/circle.json": documents["circle"],
                                        "/far.json": names(own["far"])}

    def test(self, domain):
        done = self.ours.ctl("s2s", "test", domain, check=False, seconds=2 * PATIENCE_S)
        return done.returncode, done.stdout + done.stderr

    def stop(self):
        for server in self.ours, self.theirs, self.names:
            server.stop()
        for one in (self.web, *self.peers.values()):
            one.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, ca, other_ca):
    made = World(tmp_path_factory.mktemp("posh"), ca, other_ca)
    yield made
    made.stop()


def test_messages_with_a_server_that_no_ca_knows(world):
    """Both ways, although certificates are required; its web server is asked once for both."""
    async def story():
        alice = Client(world.ours, world.ca, "alice", "a", host="ours.example")
        romeo = Client(world.theirs, world.own["theirs"], "romeo", "r", host="theirs.example")
        await asyncio.gather(alice.login(), romeo.login())
        romeo.send_message(alice.boundjid, "from a stranger", mtype="chat")
        await alice.body("from a stranger")
        alice.send_message(romeo.boundjid, "and back", mtype="chat")
        await romeo.body("and back")
        await alice.leave()
        await romeo.leave()
    run(story)
    shown = world.ours.ctl("s2s", "list").stdout
    assert "proved=theirs.example by=certificate" in shown, shown
    shards = 8
    assert 1 <= world.web.asked["theirs.example"] <= shards


@pytest.mark.parametrize("name, works", [("named", True), ("strong", True), ("referred", True), ("other", False), ("circle", False),
                                         ("far", False), ("plain", False), ("long", False), ("garbled", False), ("untrusted", False),
                                         ("silent", False)])
def test_what_a_web_server_says(world, name, works):
    code, text = world.test(f"{name}.example")
    assert code == (0 if works else 1), text
    assert (f"named by the web server of {name}.example (POSH)" in text) == works, text
    assert ("its web server does not name it either (POSH)" in text) != works, text


def test_a_message_to_an_impostor(world):
    async def story():
        alice = Client(world.ours, world.ca, "alice", "a", host="ours.example")
        await alice.login()
        alice.send_message("somebody@other.example", "secret", mtype="chat")
        error = await alice.wait("message", lambda m: m["type"] == "error" and m["from"].bare == "somebody@other.example")
        assert error["error"]["condition"] == "remote-server-timeout"
        await alice.leave()
    run(story)


def test_a_server_that_connects(world):
    """It is offered EXTERNAL, and may show further domains whose web servers name the same certificate."""
    one = Evil(world.ours, "theirs.example", world.own["theirs"].pair)
    assert "EXTERNAL" in one.features
    one.enter()
    one.send("<db:result from='second.example' to='ours.example'>no matter</db:result>")
    one.sees("<db:result [^>]*type='valid'")
    one.send("<db:result from='stranger.example' to='ours.example'>no matter</db:result>")
    assert "<not-authorized " in one.sees("type='error'.*?</db:result>")
    one.send("<message from='x@second.example' to='alice@ours.example'><body>x</body></message>"
             "<iq type='get' id='p' from='second.example' to='ours.example'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>")
    one.sees("</stream:stream>")
    one.close()


@pytest.mark.parametrize("domain", ["other.example", "silent.example", "nowhere.example"])
def test_a_server_that_is_not_vouched_for(world, domain):
    one = Evil(world.ours, domain, world.own["theirs"].pair)
    assert "EXTERNAL" not in one.features
    one.authenticate()
    one.sees("<not-authorized/>")
    one.close()


def test_it_is_not_asked_again_and_again(world):
    before = world.web.asked["silent.example"]
    for _ in range(20):
        Evil(world.ours, "silent.example", world.own["theirs"].pair).close()
    assert world.web.asked["silent.example"] <= max(before, 1) + 8


def test_what_is_known_ends_when_the_domain_says(world):
    assert world.test("brief.example")[0] == 0 and world.test("named.example")[0] == 0
    for name in "brief", "named":
        world.web.pages[f"{name}.example"][PATH] = names(world.own["other"].certificate)
    wait_for(lambda: world.test("brief.example")[0] == 1, "the end of what was known")
    assert world.test("named.example")[0] == 0
