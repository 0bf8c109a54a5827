# SPDX-License-Identifier: MIT
"""Who wants to be somebody else: logins over real TLS that claim, leave out or repeat what they must not, and what is to be
learned from how they fail. The proofs here are good ones, so that only the lie can be what is refused."""
import base64
import hashlib
import hmac
import re
import secrets
import time

import pytest

from jabiru import PATIENCE_S
from raw import Ended, Raw

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
PASSWORD = "pass-to-be-hidden"


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers(lines="log {\n  level = debug\n}\n", c2s_lines="  login-tries = 20\n")


@pytest.fixture
def alice(server, accounts):
    (name,) = accounts("alice")
    server.ctl("user", "passwd", f"{name}@localhost", password=PASSWORD)
    return name


@pytest.fixture
def client(server, ca):
    made = Raw(server, ca)
    made.open_stream()
    yield made
    made.cut()


def encoded(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def auth(client, mechanism, payload):
    client.send(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{payload}</auth>")
    return client.next()


def outcome(element):
    name = element.tag.split("}")[1]
    return element[0].tag.split("}")[1] if name == "failure" else name


def scram(client, user, header="n,,", binding=b"n,,", password=PASSWORD, mechanism="SCRAM-SHA-256", authzid=None):
    """A whole exchange with a good proof; returns how it ended, and the first answer's salt and rounds."""
    bare = f"n={user},r={secrets.token_hex(12)}"
    if authzid:
        header = binding = f"n,a={authzid},"
        binding = binding.encode()
    challenge = auth(client, mechanism, encoded(header + bare))
    if not challenge.tag.endswith("}challenge"):
        return outcome(challenge), None
    first = base64.b64decode(challenge.text).decode()
    nonce, salt, rounds = re.match(r"r=([^,]+),s=([^,]+),i=(\d+)", first).groups()
    final = f"c={encoded(binding)},r={nonce}"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), ",".join((bare, first, final)).encode(), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    client.send(f"<response xmlns='{SASL}'>{encoded(f'{final},p={encoded(proof)}')}</response>")
    return outcome(client.next()), (salt, rounds)


def test_a_good_proof_lets_in(client, alice):
    assert scram(client, alice)[0] == "success"


def test_the_binding_must_be_what_the_first_message_said(client, alice):
    for lie in (b"y,,", b"p=tls-exporter,,", b"n,a=alice,", b"n,,x", b""):
        assert scram(client, alice, binding=lie)[0] in ("not-authorized", "malformed-request"), lie
    assert scram(client, alice)[0] == "success"


def test_an_offer_that_was_taken_away_is_noticed(client, alice):
    """The server offers -PLUS: who says that it did not has been deceived (RFC 5802 §6)."""
    assert scram(client, alice, header="y,,", binding=b"y,,")[0] == "not-authorized"
    assert scram(client, alice, header="p=tls-exporter,,", binding=b"p=tls-exporter,," + b"\0" * 32)[0] != "success"
    assert scram(client, alice, header="p=no-such-thing,,", binding=b"p=no-such-thing,,", mechanism="SCRAM-SHA-256-PLUS")[0] != "success"
    assert scram(client, alice, header="n,,", mechanism="SCRAM-SHA-256-PLUS")[0] != "success"


def test_a_binding_of_another_connection(client, alice):
    zeros = b"p=tls-exporter,," + b"\0" * 32
    assert scram(client, alice, "p=tls-exporter,,", zeros, mechanism="SCRAM-SHA-256-PLUS")[0] == "not-authorized"


@pytest.mark.parametrize("identity", ["bob@localhost", "alice", "{0}@elsewhere.example", "localhost", "{0}@localhost/r", "\u2028"])
def test_nobody_acts_for_another(client, server, alice, identity):
    identity = identity.format(alice)
    assert outcome(auth(client, "PLAIN", encoded(f"{identity}\0{alice}\0{PASSWORD}"))) in ("invalid-authzid", "malformed-request")
    assert scram(client, alice, authzid=identity)[0] in ("invalid-authzid", "malformed-request")


def test_oneself_may_be_named(client, alice):
    assert outcome(auth(client, "PLAIN", encoded(f"{alice}@localhost\0{alice}\0{PASSWORD}"))) == "success"


@pytest.mark.parametrize("shape", ["{0}\0{1}", "\0{0}\0{1}\0", "\0{0}\0{1}\0x", "\0\0{0}\0{1}", "\0{0}\0", "\0\0{1}", "\0{0}"])
def test_plain_has_two_nuls(client, alice, shape):
    assert outcome(auth(client, "PLAIN", encoded(shape.format(alice, PASSWORD)))) in ("malformed-request", "not-authorized")


@pytest.mark.parametrize("change", [
    lambda text: text + "=", lambda text: text.replace("=", ""), lambda text: "\n" + text, lambda text: text[:8] + " " + text[8:],
    lambda text: text + "AAAA", lambda text: text[:-4] + "====", lambda text: text[:4] + "-_" + text[6:], lambda text: text + "&#0x0;"],
    ids=["pad", "unpadded", "line", "space", "behind", "pads", "url", "nul"])
def test_base64_is_strict(client, alice, change):
    text = encoded(f"\0{alice}\0{PASSWORD}xy"[:-2] + "x" * ((-len(f"\0{alice}\0{PASSWORD}")) % 3 == 0))
    assert text.endswith("=")
    assert not auth(client, "PLAIN", change(text)).tag.endswith("}success")


def test_names_are_not_told(client, server, ca, alice):
    """A name that is nobody's gets the same questions, the same each time, and the same failure at the same step."""
    nobody = "nobody-at-all"
    failed, known = scram(client, alice, password="wrong")
    assert failed == "not-authorized"
    failed, unknown = scram(client, nobody)
    assert failed == "not-authorized"
    assert unknown[1] == known[1] and len(unknown[0]) == len(known[0])
    assert scram(client, nobody)[1] == unknown and scram(client, nobody + "2")[1] != unknown
    assert outcome(auth(client, "PLAIN", encoded(f"\0{nobody}\0x"))) == outcome(auth(client, "PLAIN", encoded(f"\0{alice}\0x")))


def test_salts_tell_nothing_either(make_server, ca, certificate):
    """Nobody's salt is as lasting as somebody's: it outlives the process; and it is another one at another host."""
    server = make_server(hosts={"localhost": certificate, "second.example": certificate})
    server.add_user("alice@localhost")

    def salt(user, host):
        client = Raw(server, ca)
        client.host = host
        client.open_stream()
        try:
            return scram(client, user, password="wrong")[1]
        finally:
            client.cut()
    before = [salt(user, host) for user in ("alice", "nobody") for host in ("localhost", "second.example")]
    assert len(set(before)) == 4
    server.stop()
    server.start()
    assert [salt(user, host) for user in ("alice", "nobody") for host in ("localhost", "second.example")] == before


def test_the_time_tells_no_names(make_server, ca):
    """A password is hashed for a name that nobody has, too: PLAIN takes about as long for it."""
    server = make_server(c2s_lines="  scram-iterations = 100000\n  login-tries = 20\n")
    server.add_user("alice@localhost")
    client = Raw(server, ca)
    client.open_stream()
    fastest = {}
    for user in ("alice", "nobody") * 4:
        began = time.monotonic()
        assert outcome(auth(client, "PLAIN", encoded(f"\0{user}\0wrong"))) == "not-authorized"
        fastest[user] = min(time.monotonic() - began, fastest.get(user, PATIENCE_S))
    client.cut()
    assert fastest["nobody"] > fastest["alice"] / 2, fastest


def test_tries_have_an_end(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost")
    client = Raw(server, ca)
    client.open_stream()
    for _ in range(5):
        assert outcome(auth(client, "PLAIN", encoded("\0alice\0wrong"))) == "not-authorized"
    assert client.next().find("{urn:ietf:params:xml:ns:xmpp-streams}policy-violation") is not None
    with pytest.raises(Ended):
        client.next()


def test_a_login_is_for_one_host(make_server, ca, certificate):
    """An account of one host is none of another's, and a stream that was authenticated at one can't go on at another."""
    server = make_server(hosts={"localhost": certificate, "second.example": certificate})
    server.add_user("alice@localhost")
    client = Raw(server, ca)
    client.open_stream()
    assert outcome(auth(client, "PLAIN", encoded("\0alice\0secret"))) == "success"
    client.host = "second.example"
    assert client.open_stream().find("{urn:ietf:params:xml:ns:xmpp-streams}host-unknown") is not None
    client = Raw(server, ca)
    client.host = "second.example"
    client.open_stream()
    assert outcome(auth(client, "PLAIN", encoded("\0alice\0secret"))) == "not-authorized"
    assert outcome(auth(client, "PLAIN", encoded("alice@localhost\0alice\0secret"))) != "success"


def test_the_log_has_no_secrets(server, ca, alice):
    client = Raw(server, ca).login(alice, "a", password=PASSWORD)
    change = f"<query xmlns='jabber:iq:register'><username>{alice}</username><password>{PASSWORD}2</password></query>"
    client.ask(change, "set", "localhost")
    client.close()
    log = server.text()
    assert "debug" in log.lower() and alice in log
    assert PASSWORD not in log and encoded(f"\0{alice}\0{PASSWORD}") not in log
