# SPDX-License-Identifier: MIT
"""Reload without a restart: new certificates for new connections, no harm to old ones, and no harm by a bad file."""
import shutil

import pytest

from jabiru import wait_for
from raw import Raw


@pytest.mark.parametrize("by_signal", [False, True], ids=["command", "signal"])
def test_a_new_certificate_after_reload(make_server, ca, tmp_path, by_signal):
    live = [tmp_path / name for name in ("live.pem", "live.key")]

    def install(stem):
        for source, target in zip(ca.issue(stem, "DNS:localhost"), live):
            shutil.copy(source, target)

    install("first")
    server = make_server(hosts={"localhost": live})
    server.add_user("alice@localhost")
    old = Raw(server, ca).login("alice", "old")
    install("second")
    assert Raw(server, ca).serial == old.serial
    server.reload(by_signal)
    server.wait_log("reloaded")
    new = Raw(server, ca).login("alice", "new")
    assert new.serial != old.serial
    assert old.ping().get("type") == new.ping().get("type") == "result"
    old.close()
    new.close()


def test_a_broken_configuration_is_refused_and_the_old_one_stays(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost")
    old = Raw(server, ca).login("alice", "old")
    text = server.config.read_text()
    server.config.write_text(text + "\nnonsense = 1\n")
    refused = server.ctl("reload", check=False)
    assert refused.returncode == 1
    assert f"jabirud.conf:{text.count(chr(10)) + 2}" in refused.stderr
    assert old.ping().get("type") == "result"
    Raw(server, ca).login("alice", "new").close()
    old.close()


def test_limits_change_by_reload(make_server, ca):
    server = make_server(lines="limits { stanza = 20000 }")
    server.add_user("alice@localhost")
    server.config.write_text(server.config.read_text().replace("stanza = 20000", "stanza = 40000"))
    server.reload()
    wait_for(lambda: "reloaded" in server.text(), "the reload")
    client = Raw(server, ca).login("alice", "desk")
    client.send(f"<message to='alice@localhost/desk'><body>{'x' * 30000}</body></message>")
    assert len(client.until(lambda e: e.tag.endswith("}message"))[-1][0].text) == 30000
    client.close()


def test_capabilities_change_by_reload(make_server, ca):
    """They are written once for each configuration, and those of the one before are not known any more."""
    def capabilities(client):
        told = [e for e in client.features if e.tag == "{http://jabber.org/protocol/caps}c"][0]
        asked = client.ask(f"<query xmlns='http://jabber.org/protocol/disco#info' node='{told.get('node')}#{told.get('ver')}'/>", to="localhost")
        return told.get("ver"), asked.get("type")

    server = make_server(host_lines="  contact-abuse = { \"mailto:abuse@localhost\" }")
    server.add_user("alice@localhost")
    old = Raw(server, ca).login("alice", "old")
    before, known = capabilities(old)
    assert known == "result"
    server.config.write_text(server.config.read_text().replace("abuse@localhost", "police@localhost"))
    server.reload()
    server.wait_log("reloaded")
    new = Raw(server, ca).login("alice", "new")
    after, known = capabilities(new)
    assert known == "result" and after != before
    assert capabilities(old) == (before, "error")
    old.close()
    new.close()
