# SPDX-License-Identifier: MIT
"""What the running server has given up: seen from outside, in all its threads, with clients coming and going meanwhile. That each
thing is really refused is tried by confine_test.c; every other test here runs confined as well."""
import os
import pathlib
import pwd
import subprocess
import tempfile

import pytest

from jabiru import JABIRUD, PATIENCE_S, Authority, Server
from raw import Raw


def facts(server):
    """The kernel's word on each thread, as dictionaries."""
    found = []
    for thread in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        lines = (thread / "status").read_text().splitlines()
        found.append(dict(line.split(":\t", 1) for line in lines if ":\t" in line))
    assert len(found) > 2
    return found


def test_all_threads_are_confined(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost")
    Raw(server, ca).login("alice", "a").close()
    threads = facts(server)
    for thread in threads:
        assert thread["Seccomp"].strip() == "2" and thread["NoNewPrivs"].strip() == "1", thread
    assert {"store-write", "store-read"} <= {thread["Name"] for thread in threads}  # for who looks at them with top
    assert "files are confined" in server.text() and "system calls are confined" in server.text()


def test_it_can_be_switched_off(make_server):
    server = make_server(lines="confine = false\n")
    for thread in facts(server):
        assert thread["Seccomp"].strip() == "0"
    assert "confined" not in server.text()


def test_files_elsewhere_are_out_of_reach(make_server, ca, tmp_path):
    """A reload that names a certificate in a folder which nobody named at the start is refused, and says so."""
    server = make_server()
    certificate, key = ca.issue("elsewhere", "DNS:localhost")
    (tmp_path / "new.pem").write_bytes(certificate.read_bytes())
    (tmp_path / "new.key").write_bytes(key.read_bytes())
    text = server.config.read_text()
    old = [line.split('"')[1] for line in text.splitlines() if "certificate =" in line or line.strip().startswith("key =")]
    server.config.write_text(text.replace(old[0], str(tmp_path / "new.pem")).replace(old[1], str(tmp_path / "new.key")))
    refused = server.ctl("reload", check=False)
    assert refused.returncode == 1 and "new.pem" in refused.stderr
    server.config.write_text(text)
    server.reload()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_a_user():
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # where other users may go
        folder = pathlib.Path(name)
        authority = Authority(folder / "ca")
        server = Server(folder, {"localhost": authority.issue("localhost", "DNS:localhost")}, lines='user = "nobody"\n')
        subprocess.run(["chown", "-R", "nobody:", folder], check=True, timeout=PATIENCE_S)
        server.start()
        server.add_user("alice@localhost")
        Raw(server, authority).login("alice", "a").close()
        for thread in facts(server):
            assert set(thread["Uid"].split()) == {str(nobody.pw_uid)} and set(thread["Gid"].split()) == {str(nobody.pw_gid)}
            assert int(thread["CapEff"], 16) == int(thread["CapPrm"], 16) == 0
        assert {file.stat().st_uid for file in (folder / "data").iterdir()} == {nobody.pw_uid}
        server.reload()
        server.stop()


def test_a_user_that_is_not_there(make_server):
    server = make_server(start=False, lines='user = "no-such-user"\n')
    shown = subprocess.run([JABIRUD, "--config", server.config], timeout=PATIENCE_S, capture_output=True, text=True)
    assert shown.returncode == 3 and "no-such-user" in shown.stderr
