# SPDX-License-Identifier: MIT
"""The programs as an administrator meets them: help, exit codes, and errors that say where and what."""
import subprocess

import pytest

from jabiru import JABIRUCTL, JABIRUD, PATIENCE_S
from raw import Raw


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=PATIENCE_S,
                          stdin=subprocess.DEVNULL, **options)


@pytest.mark.parametrize("program", [JABIRUD, JABIRUCTL])
def test_help_and_version(program):
    shown = run(program, "--help")
    assert shown.returncode == 0 and shown.stdout.startswith(f"usage: {program.name}") and not shown.stderr
    version = run(program, "--version")
    assert version.returncode == 0 and version.stdout.startswith(program.name)


def test_exit_codes_of_wrong_usage():
    assert run(JABIRUD, "--no-such-option").returncode == 1
    assert run(JABIRUCTL, "--no-such-option").returncode == 2
    assert run(JABIRUCTL).returncode == 2


def test_the_default_configuration_names_every_key_of_the_reference():
    shown, reference = run(JABIRUD, "--print-default-config"), run(JABIRUD, "--print-config-reference")
    assert shown.returncode == reference.returncode == 0
    keys = [line.split("`")[1] for line in reference.stdout.splitlines() if line.startswith("| `")]
    assert len(keys) > 20
    for key in keys:
        assert f"{key} = " in shown.stdout


@pytest.mark.parametrize("line, place, word", [
    ("nonsense = 1", 2, "nonsense"),
    ("shards = many", 2, "many"),
    ("\nshards = 9999", 3, "shards"),
    ("c2s {\n port = 70000\n}", 3, "port"),
    ("c2s {\n conflict = sometimes\n}", 3, "conflict"),
    ("c2s {", 2, ""),
])
def test_check_config_says_file_line_and_key(tmp_path, line, place, word):
    path = tmp_path / "wrong.conf"
    path.write_text(f'data = "{tmp_path}"\n{line}\n')
    shown = run(JABIRUD, "--config", path, "--check-config")
    assert shown.returncode == 2
    assert any(text.startswith(f"{path}:{number}: ") and word in text
               for text in shown.stderr.splitlines() for number in (place, place + (word == ""))), shown.stderr


def test_check_config_of_a_good_file_and_of_none(make_server, tmp_path):
    server = make_server(start=False)
    assert run(JABIRUD, "--config", server.config, "--check-config").returncode == 0
    missing = run(JABIRUD, "--config", tmp_path / "none.conf", "--check-config")
    assert missing.returncode == 2 and "none.conf" in missing.stderr


def test_check_config_finds_a_certificate_that_is_not_there(make_server, tmp_path):
    server = make_server(start=False, hosts={"localhost": (tmp_path / "no.pem", tmp_path / "no.key")})
    shown = run(JABIRUD, "--config", server.config, "--check-config")
    assert shown.returncode == 2 and "no.pem" in shown.stderr


def test_a_taken_port_is_said(server, make_server):
    other = make_server(start=False)
    other.config.write_text(other.config.read_text().replace(f"port = {other.port}\n", f"port = {server.port}\n"))
    shown = run(JABIRUD, "--config", other.config)
    assert shown.returncode == 3 and str(server.port) in shown.stderr


def test_no_server_to_talk_to(tmp_path):
    shown = run(JABIRUCTL, "--socket", tmp_path / "control", "status")
    assert shown.returncode == 3 and str(tmp_path / "control") in shown.stderr


def test_accounts(server, ca):
    server.add_user("Zoë@localhost")
    assert "zoë@localhost" in server.ctl("user", "list").stdout.split()
    again = server.ctl("user", "add", "zoë@localhost", password="x", check=False)
    assert again.returncode == 1 and "exists" in again.stderr
    Raw(server, ca).login("zoë", "desk").close()
    server.ctl("user", "passwd", "zoë@localhost", password="another")
    with pytest.raises(AssertionError, match="not-authorized"):
        Raw(server, ca).login("zoë", "desk")
    session = Raw(server, ca).login("zoë", "desk", password="another")
    server.ctl("user", "del", "zoë@localhost")
    assert "zoë@localhost" not in server.ctl("user", "list").stdout
    session.socket.close()


@pytest.mark.parametrize("words, word", [
    (("user", "add", "alice@elsewhere.example"), "not served here"),
    (("user", "add", "not an address@localhost"), "address"),
    (("user", "del", "nobody@localhost"), "no"),
    (("sessions", "kick", "nobody@localhost"), "no such session"),
    (("make", "coffee"), "no such command"),
])
def test_what_is_refused_is_said(server, words, word):
    refused = server.ctl(*words, password="x", check=False)
    assert refused.returncode == 1 and word in refused.stderr, refused


def test_status(server):
    shown = server.ctl("status").stdout
    assert "version" in shown and "sessions" in shown and "uptime" in shown


def test_the_socket_and_the_data_are_the_owners_alone(server):
    for path in (server.control, server.database):
        assert path.stat().st_mode & 0o077 == 0, f"{path} {path.stat().st_mode:o}"


@pytest.mark.parametrize("first", ["passwd", "del"])
def test_commands_about_one_account_come_one_after_the_other(make_server, first):
    server = make_server(c2s_lines="  scram-iterations = 200000")  # so that hashing takes a while
    words = {"passwd": ["user", "passwd", "alice@localhost"], "del": ["user", "del", "alice@localhost"]}
    second = "del" if first == "passwd" else "passwd"
    for _ in range(3):
        server.add_user("alice@localhost")
        commands = [subprocess.Popen([JABIRUCTL, "--socket", server.control, *words[name]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE) for name in (first, second)]
        for command in commands:
            command.communicate(b"other\n", timeout=PATIENCE_S)
        assert "alice" not in server.ctl("user", "list").stdout  # whoever came first, removed is removed
