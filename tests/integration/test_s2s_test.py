# SPDX-License-Identifier: MIT
"""`jabiructl s2s test`: against the servers that people run, and against a small server-to-server end of our own that is broken in
one way at a time. Each report names what is wrong."""
import asyncio
import socket
import subprocess
import threading

import pytest

from jabiru import PATIENCE_S, free_ports, wait_for
from lab import Ejabberd, Names, Prosody, jabiru
from peer import DIALBACK, VALID, Peer
from slix import Client, run

OURS = "ours.example"


def expired(ca, domain):
    """A certificate of the CA that ended yesterday."""
    certificate, key = ca.issue("expired", f"DNS:{domain}", "serverAuth,clientAuth")
    subprocess.run(["openssl", "x509", "-req", "-in", ca.folder / "expired.csr", "-CA", ca.certificate, "-CAkey", ca.key, "-CAcreateserial",
                    "-days", "-1", "-extfile", ca.folder / "expired.ext", "-out", certificate], check=True, capture_output=True,
                   timeout=PATIENCE_S)
    return certificate, key


class Lab:
    """Our server, a name server, and broken peers in domains that say how they are broken."""

    def __init__(self, folder, ca):
        self.authority = ca

        def good(domain):
            return ca.issue(domain, f"DNS:{domain}", "serverAuth,clientAuth")
        self.port, closed, prosody, ejabberd = free_ports(4)
        revoked = good("revoked.example")
        error = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
        self.peers = [
            Peer("plain.example", offer=DIALBACK),
            Peer("wrong.example", good("another.example"), VALID),
            Peer("expired.example", expired(ca, "expired.example"), VALID),
            Peer("strict.example", expired(ca, "strict.example"), VALID),
            Peer("stranger.example", good("stranger.example"), first=error),
            Peer("silent.example", good("silent.example"), first=" "),
            Peer("garbage.example", first="HTTP/1.1 400 Bad Request"),
            Peer("nobody.example", good("nobody.example"), offer=""),
            Peer("invalid.example", good("invalid.example"), "<db:result from='{0}' to='ours.example' type='invalid'/>"),
            Peer("lost.example", good("lost.example"),
                 "<db:result from='{0}' to='ours.example' type='error'><error type='cancel'><remote-server-not-found "
                 "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"),
            Peer("revoked.example", revoked, VALID),
            Peer("direct.example", good("direct.example"), VALID, direct=True),
        ]
        hosts = {peer.domain: peer.port for peer in self.peers if not peer.direct}
        hosts |= {OURS: self.port, "closed.example": closed, "prosody.example": prosody, "ejabberd.example": ejabberd}
        more = [f"srv-host=_xmpps-server._tcp.direct.example,localhost,{self.peers[-1].port},7,3",
                f"srv-host=_xmpp-server._tcp.direct.example,localhost,{closed},20,1", "srv-host=_xmpp-server._tcp.none.example,.,1",
                "srv-host=_xmpp-server._tcp.dangling.example,nowhere.example,5269,10,5"]
        self.names = Names(folder / "names", hosts, more).start()
        lines = f'ca = "{ca.certificate}"\ncrl = "{ca.revoke(revoked[0])}"\nwith-certificate = {{"strict.example"}}\nblock = {{"blocked.example"}}\nnegotiation-time = 3s'
        self.ours = jabiru(folder / "ours", self.names, OURS, good(OURS), self.port, lines).start()
        self.prosody = Prosody(folder / "prosody", self.names, "prosody.example", good("prosody.example"), ca, prosody, True).start()
        self.ejabberd = Ejabberd(folder / "ejabberd", self.names, "ejabberd.example", good("stranger"), ca, ejabberd).start()

    def test(self, *words, works=False):
        done = self.ours.ctl("s2s", "test", *words, check=False, seconds=2 * PATIENCE_S)
        assert done.returncode == (0 if works else 1), done.stdout + done.stderr
        return done.stdout if works else done.stdout + done.stderr

    def stop(self):
        for server in self.prosody, self.ejabberd, self.names, self.ours:
            server.stop()
        for peer in self.peers:
            peer.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory, ca):
    made = Lab(tmp_path_factory.mktemp("lab"), ca)
    yield made
    made.stop()


def test_prosody(lab):
    text = lab.test("prosody.example", works=True)
    for part in ("priority 10 weight 5: localhost port", "connected in", "TLSv1.3", "certificate of prosody.example", "by Test CA",
                 "trusted, and made for prosody.example", "EXTERNAL (our certificate is taken)", "bidi",
                 "dialback: our key was checked, and taken", "works our certificate is taken"):
        assert part in text, text


def test_ejabberd(lab):
    text = lab.test("ejabberd.example", works=True)
    assert "NOT GOOD for ejabberd.example: it is the certificate of another domain" in text, text
    assert "works" in text and "known from DNS alone" in text, text
    assert "wrong" not in text, text


@pytest.mark.parametrize("domain, parts", [
    ("unheard.example", ["so the domain itself is tried", "wrong DNS knows no server of this domain"]),
    ("none.example", ["no such service", "takes no streams"]),
    ("dangling.example", ["nowhere.example port 5269, STARTTLS: this name has NO ADDRESS", "DNS knows no server"]),
    ("closed.example", ["it can't be connected to: refused", "wrong none of its addresses", "firewall"]),
    ("plain.example", ["it offers NO TLS", "s2s.without-tls"]),
    ("strict.example", ["certificate required", "certificate has expired", "wrong certificate has expired", "s2s.with-certificate"]),
    ("stranger.example", ["it ended the stream: host-unknown", "does not know the domain"]),
    ("silent.example", ["no features came: no answer in time"]),
    ("garbage.example", ["what it sends is no XMPP", "corrects the port"]),
    ("nobody.example", ["NO WAY to prove", "neither our certificate nor dialback"]),
    ("invalid.example", ["our key was found INVALID", "somebody else answers", "s2s.dialback-secret"]),
    ("lost.example", ["NOT CHECKED: remote-server-not-found", "could not check who we are", "our SRV records"]),
    ("blocked.example", ["nothing is exchanged", "s2s.block"]),
    (OURS, ["that domain is served here"]),
    ("not..good", ["that is no domain"]),
])
def test_what_is_wrong(lab, domain, parts):
    text = lab.test(domain)
    for part in parts:
        assert part in text, text


@pytest.mark.parametrize("domain, parts", [
    ("wrong.example", ["certificate of another.example", "NOT GOOD for wrong.example: it is the certificate of another domain"]),
    ("expired.example", ["NOT GOOD for expired.example: certificate has expired", "known from DNS alone"]),
    ("revoked.example", ["NOT GOOD for revoked.example: certificate revoked"]),
    ("direct.example", ["priority 7 weight 3: localhost port", "direct TLS: connected in", "trusted, and made for direct.example",
                        "but   1 of 2 addresses can't be used"]),
])
def test_what_is_doubtful(lab, domain, parts):
    text = lab.test(domain, works=True)
    for part in parts + ["works by dialback"]:
        assert part in text, text


def test_another_domain_of_ours(lab):
    assert f"as conference.{OURS} sees it" in lab.test("closed.example", f"conference.{OURS}")
    assert "a domain of this server" in lab.test("closed.example", "elsewhere.example")


def test_a_message_by_direct_tls(lab):
    """SNI and ALPN (XEP-0368 §3), of a test and of a stream that is meant."""
    async def story():
        alice = Client(lab.ours, lab.authority, "alice", "a", host=OURS)
        await alice.login()
        alice.send_message("somebody@direct.example", "hello", mtype="chat")
        await asyncio.to_thread(wait_for, lambda: "hello" in lab.peers[-1].heard, "the message")
        await alice.leave()
    lab.ours.add_user(f"alice@{OURS}")
    lab.test("direct.example", works=True)
    run(story)
    assert len(lab.peers[-1].hellos) >= 2 and set(lab.peers[-1].hellos) == {("direct.example", "xmpp-server")}


def test_a_certificate_without_our_name(make_server, ca):
    pair = ca.issue("unnamed", "DNS:another.example", "serverAuth,clientAuth")
    lines = f's2s {{\n  listen = {{"127.0.0.1"}}\n  port = {free_ports(1)[0]}\n}}\n'
    server = make_server(hosts={"localhost": pair, "another.example": pair}, lines=lines)
    for whom in "clients", "other servers":
        assert any(f"the certificate of localhost does not name it: {whom} will not trust it" in line for line in server.log), server.text()
    assert "the certificate of another.example does not name it" not in server.text()


def test_many_at_once_and_a_stop(lab):
    """Four at a time; what is under way when the server stops is let go of."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(lab.test("silent.example"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE_S)
    assert sorted("too many tests" in result for result in results) == [False] * 4 + [True] * 2, results
    asker = socket.socket(socket.AF_UNIX)
    asker.connect(str(lab.ours.control))
    asker.sendall(b"s2s test silent.example\n\n")
    lab.ours.stop()
    asker.close()
    lab.ours.start()
