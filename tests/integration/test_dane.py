# SPDX-License-Identifier: MIT
"""DANE (RFC 6698, RFC 7671, RFC 7673) with a signed zone and a name server that validates it: a certificate that no CA has signed
is as good as DNS says, and one of a CA that we trust is not, if DNS says so. What is not signed, or forged, says nothing."""
import asyncio
import hashlib
import subprocess

import pytest

from jabiru import PATIENCE_S, free_ports, wait_for
from lab import Prosody, SignedNames, jabiru
from peer import VALID, Peer
from slix import Client, run
from test_federation import SelfSigned


def digest(certificate):
    """SHA-256 of its public key: what TLSA 3 1 1 wants."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True, timeout=PATIENCE_S)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key.stdout, check=True, capture_output=True,
                         timeout=PATIENCE_S).stdout
    return hashlib.sha256(der).hexdigest()


def service(name, port, tlsa=None):
    lines = [f"_xmpp-server._tcp.{name} SRV 10 5 {port} xmpp.{name}", f"xmpp.{name} A 127.0.0.1"]
    return lines + ([f"_{port}._tcp.xmpp.{name} TLSA {tlsa}"] if tlsa else [])


class World:
    def __init__(self, folder, ca, other_ca):
        ours, theirs, lax = free_ports(3)
        self.our_ca, self.their_ca = SelfSigned(folder, "ours.example"), SelfSigned(folder, "theirs.example")

        def good(domain):
            return ca.issue(domain, f"DNS:{domain}", "serverAuth,clientAuth")
        pairs = {name: good(f"{name}.example") for name in ("changed", "forged", "target")}
        pairs["plain"] = good("peer.plain")
        self.peers = {name: Peer("peer.plain" if name == "plain" else f"{name}.example", pair, VALID) for name, pair in pairs.items()}
        # of the server that DNS names instead of the domain
        target = ca.issue("xmpp.target.example", "DNS:xmpp.target.example", "serverAuth,clientAuth")
        self.peers["target"].context.load_cert_chain(*target)
        self.peers["target"].context.load_cert_chain(self._chain(folder, target[0], ca.certificate), target[1])
        nonsense, forged = "ab" * 32, digest(pairs["forged"][0])
        ca_digest = hashlib.sha256(subprocess.run(["openssl", "x509", "-in", ca.certificate, "-outform", "DER"], check=True,
                                                  capture_output=True, timeout=PATIENCE_S).stdout).hexdigest()
        records = service("ours", ours) + service("theirs", theirs, f"3 1 1 {digest(self.their_ca.certificate)}")
        records += service("changed", self.peers["changed"].port, f"3 1 1 {nonsense}")
        records += service("forged", self.peers["forged"].port, f"3 1 1 {forged}")
        records += service("target", self.peers["target"].port, f"2 0 1 {ca_digest}")
        # two that have no TLS, and one of them TLSA records
        self.bare = {name: Peer(f"bare.{name}", None, VALID.replace("ours", "lax")) for name in ("example", "plain")}
        records += service("bare", self.bare["example"].port, f"3 1 1 {nonsense}") + service("lax", lax)
        self.names = SignedNames(folder / "names", records, service("peer", self.peers["plain"].port, f"3 1 1 {nonsense}") +
                                 service("bare", self.bare["plain"].port),
                                 {forged: nonsense}).start()
        lines = f'ca = "{ca.certificate}"\nrequire-certificate = true\ndane = true\nnegotiation-time = 5s'
        self.ours = jabiru(folder / "ours", self.names, "ours.example", self.our_ca.pair, ours, lines).start()
        self.ours.add_user("alice@ours.example")
        self.lax_ca = SelfSigned(folder, "lax.example")
        self.lax = jabiru(folder / "lax", self.names, "lax.example", self.lax_ca.pair, lax,
                          "require-tls = false\ndane = true\nnegotiation-time = 5s").start()
        self.lax.add_user("alice@lax.example")
        self.theirs = Prosody(folder / "prosody", self.names, "theirs.example", self.their_ca.pair, other_ca, theirs).start()

    @staticmethod
    def _chain(folder, certificate, authority):
        path = folder / "chain.pem"
        path.write_bytes(certificate.read_bytes() + authority.read_bytes())
        return path

    def test(self, domain):
        done = self.ours.ctl("s2s", "test", domain, check=False, seconds=2 * PATIENCE_S)
        return done.returncode, done.stdout + done.stderr

    def alice(self):
        return Client(self.ours, self.our_ca, "alice", "a", host="ours.example")

    def stop(self):
        for server in self.theirs, self.names, self.ours, self.lax:
            server.stop()
        for peer in (*self.peers.values(), *self.bare.values()):
            peer.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, ca, other_ca):
    made = World(tmp_path_factory.mktemp("dane"), ca, other_ca)
    yield made
    made.stop()


def test_messages_with_a_server_that_no_ca_knows(world):
    """Both ways, although certificates are required: ours goes to whom DNS names, and theirs is asked about there."""
    async def story():
        alice, romeo = world.alice(), Client(world.theirs, world.their_ca, "romeo", "r", host="theirs.example")
        await asyncio.gather(alice.login(), romeo.login())
        romeo.send_message(alice.boundjid, "from a stranger", mtype="chat")
        await alice.body("from a stranger")
        alice.send_message(romeo.boundjid, "and back", mtype="chat")
        await romeo.body("and back")
        await alice.leave()
        await romeo.leave()
    run(story)
    shown = world.ours.ctl("s2s", "show", "theirs.example").stdout
    assert "certificate required" in shown and ", DANE" in shown, shown


@pytest.mark.parametrize("domain, works, parts", [
    ("theirs.example", True, ["found, and validated", "DANE: 1 TLSA records", "SELF-SIGNED", "it is the one that DNS names (DANE)"]),
    ("changed.example", False, ["DANE: 1 TLSA records", "NOT GOOD for changed.example", "not the one that DNS names (DANE)"]),
    ("forged.example", False, ["its TLSA records CAN'T BE HAD", "somebody tampers"]),
    ("target.example", True, ["certificate of xmpp.target.example", "it chains as DNS says (DANE)"]),
    ("peer.plain", True, ["found, not validated", "trusted, and made for peer.plain"]),
])
def test_what_dns_says(world, domain, works, parts):
    code, text = world.test(domain)
    assert code == (0 if works else 1), text
    for part in parts:
        assert part in text, text
    assert ("DANE" in text) != (domain == "peer.plain"), text


@pytest.mark.parametrize("domain", ["changed.example", "forged.example"])
def test_a_message_to_an_impostor(world, domain):
    async def story():
        alice = world.alice()
        await alice.login()
        alice.send_message(f"somebody@{domain}", "secret", mtype="chat")
        error = await alice.wait("message", lambda m: m["type"] == "error" and m["from"].bare == f"somebody@{domain}")
        assert error["error"]["condition"] == "remote-server-timeout"
        await alice.leave()
    run(story)


def test_tls_where_dns_names_a_certificate(world):
    """RFC 7673 §3.4: whatever `require-tls` says. Where it names none, what may go in plain text does."""
    async def story():
        alice = Client(world.lax, world.lax_ca, "alice", "a", host="lax.example")
        await alice.login()
        alice.send_message("somebody@bare.plain", "in plain text", mtype="chat")
        alice.send_message("somebody@bare.example", "secret", mtype="chat")
        error = await alice.wait("message", lambda m: m["type"] == "error" and m["from"].bare == "somebody@bare.example")
        assert error["error"]["condition"] == "remote-server-timeout"
        await alice.leave()
    run(story)
    wait_for(lambda: "in plain text" in world.bare["plain"].heard, "the message")
    assert "<db:result" not in world.bare["example"].heard and "secret" not in world.bare["example"].heard
    done = world.lax.ctl("s2s", "test", "bare.example", check=False, seconds=2 * PATIENCE_S)
    assert done.returncode == 1 and "it offers NO TLS" in done.stdout, done.stdout
