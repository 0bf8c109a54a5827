# SPDX-License-Identifier: MIT
"""What goes wrong beneath a server: the disk is full, another program holds the store, a certificate expires while people talk, the clock jumps,
the configuration is read again under load. docs/reliability.md says what users see of each; here it is seen."""
import contextlib
import os
import signal
import sqlite3
import ssl
import struct
import subprocess
import threading
import time

import pytest

from jabiru import PATIENCE_S, wait_for
from raw import CLIENT, Raw

HELD_S = 10
STOP_LIMIT_S = 10  # of the server


def note(text, to="bob@localhost", number=0):
    return f"<message to='{to}' type='chat' id='{number}'><body>{text}</body></message>"


def bodies(client, until):
    got = client.until(lambda e: e.findtext(CLIENT + "body") == until)
    return [e.findtext(CLIENT + "body") for e in got if e.tag == CLIENT + "message"]


# -- the disk is full --

@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], capture_output=True, timeout=PATIENCE_S)
    if made.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=PATIENCE_S)


def errors_before_an_answer(client):
    """The numbers of the messages that were refused until a ping was answered."""
    asked = client.start_iq("<ping xmlns='urn:xmpp:ping'/>")
    passed = client.until(lambda e: e.get("id") == asked)
    return [int(e.get("id")) for e in passed if e.tag == CLIENT + "message" and e.get("type") == "error"]


def is_kept(server, text):
    with contextlib.closing(sqlite3.connect(server.database, timeout=PATIENCE_S)) as store:
        return store.execute("SELECT count(*) FROM log WHERE kind = 'offline' AND value LIKE ?", (f"%{text}%",)).fetchone()[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk(make_server, ca):
    """Who sends what can't be kept is told so, message by message; who reads and who is online goes on; what was not refused is there, also
    after kill -9; and when there is room again all is as before."""
    server = make_server(start=False)
    data = server.folder / "data"
    with small_disk(data, "3m"):
        server.start()
        server.add_user("alice@localhost", "bob@localhost", "carol@localhost")
        alice, carol = Raw(server, ca).login("alice", "a"), Raw(server, ca).login("carol", "c")
        sent, refused = [], []
        while len(refused) < 5:
            assert len(sent) < 500
            sent.append(len(sent))
            alice.send(note(f"{sent[-1]} {'x' * 20000}", number=sent[-1]))
            refused += errors_before_an_answer(alice)
        while more := errors_before_an_answer(alice):
            refused += more
        assert len(refused) < len(sent), refused
        carol.send(note("are you there?", "carol@localhost/c"))
        assert "are you there?" in bodies(carol, "are you there?")
        subprocess.run(["mount", "-o", "remount,size=64m", data], check=True, timeout=PATIENCE_S)
        alice.send(note("room again", number=999))
        wait_for(lambda: is_kept(server, "room again"), "a message on the disk that has room")
        refused += errors_before_an_answer(alice)  # whoever was refused last hears of it before that, but maybe behind an answer
        kept = [number for number in sent if number not in refused]
        server.kill()
        for one in (alice, carol):
            one.cut()
        server.start()
        bob = Raw(server, ca).login("bob", "b")
        got = bodies(bob, "room again")
        numbers = [int(body.split()[0]) for body in got if body != "room again"]
        assert numbers == kept, (refused, numbers)
        bob.ping()
        bob.close()
        server.stop()


# -- the store hangs --

def test_a_store_that_hangs(make_server, ca):
    """Ten seconds in which nothing can be written: who needs no disk goes on, the others wait, and nobody loses anything."""
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")
    alice, bob = Raw(server, ca).login("alice", "a"), Raw(server, ca).login("bob", "b")
    alice.ping(), bob.ping()
    with sqlite3.connect(server.database, timeout=PATIENCE_S, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        asked = alice.start_iq("<query xmlns='jabber:iq:roster'><item jid='c@localhost'/></query>", "set")
        alice.send(note("while it hangs"))
        worst, got = 0, []
        while time.monotonic() - began < HELD_S:
            before = time.monotonic()
            bob.send("<presence/>")
            got += bob.until(lambda e: e.tag == CLIENT + "presence")
            worst = max(worst, time.monotonic() - before)
        other.execute("ROLLBACK")
    assert worst < HELD_S / 2
    answer = alice.until(lambda e: e.get("id") == asked)[-1]
    assert answer.get("type") in ("result", "error")
    alice.send(note("afterwards"))
    got = [e.findtext(CLIENT + "body") for e in got] + bodies(bob, "afterwards")
    refused = [e for e in alice.elements if e.get("type") == "error"]
    assert "while it hangs" in got or refused
    alice.close()
    bob.close()


# -- a certificate expires --

def test_a_certificate_that_expires(make_server, ca, tmp_path):
    """Who is connected goes on; who comes is warned off by their own client; a new certificate and a reload are all it takes."""
    names = "DNS:localhost"
    good = ca.issue("good", names)
    pair = [tmp_path / "served.pem", tmp_path / "served.key"]

    def serve(files):
        for target, source in zip(pair, files):
            target.write_bytes(source.read_bytes())
    serve(good)
    server = make_server(hosts={"localhost": tuple(pair)})
    server.add_user("alice@localhost", "bob@localhost")
    alice = Raw(server, ca).login("alice", "a")
    request, extensions = ca.folder / "good.csr", ca.folder / "good.ext"
    expired = tmp_path / "expired.pem"
    ca._openssl("x509", "-req", "-in", request, "-CA", ca.certificate, "-CAkey", ca.key, "-CAcreateserial", "-days", "0",
                "-extfile", extensions, "-out", expired)
    time.sleep(1.1)  # it ends with the second in which it was made
    serve((expired, good[1]))
    server.reload()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        Raw(server, ca)
    assert alice.ping().get("type") == "result"
    serve(ca.issue("new", names))
    server.reload()
    Raw(server, ca).login("bob", "b").close()
    assert alice.ping().get("type") == "result"
    alice.close()


# -- what lies beneath: the clock jumps, the disk hangs --

SHARED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
static volatile long *shared; /* what the test says; what it is told */
__attribute__((constructor)) static void start(void)
{
    int fd = open(getenv("SHARED_NUMBERS"), O_RDWR);
    shared = mmap(NULL, 2 * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}
"""

CLOCK = SHARED + r"""
int clock_gettime(clockid_t clock, struct timespec *to)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, to);
    if (clock == CLOCK_REALTIME && shared && shared != MAP_FAILED)
        to->tv_sec += *shared;
    return result;
}
"""

DISK = SHARED + r"""
int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    while (shared[0]) {
        shared[1] = 1;
        usleep(10000);
    }
    return real(fd);
}
"""


@pytest.fixture
def beneath(tmp_path, monkeypatch):
    """Puts functions under the servers of this test; gives what sets the number that they look at, and what reads what they say."""
    def put(text):
        source, library, numbers = tmp_path / "beneath.c", tmp_path / "beneath.so", tmp_path / "numbers"
        source.write_text(text)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, timeout=PATIENCE_S)
        numbers.write_bytes(struct.pack("2l", 0, 0))
        monkeypatch.setenv("SHARED_NUMBERS", str(numbers))
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("ASAN_OPTIONS", "verify_asan_link_order=0")

        def say(value):
            with open(numbers, "r+b") as file:
                file.write(struct.pack("l", value))
        return say, lambda: struct.unpack("2l", numbers.read_bytes())[1]
    return put


@pytest.fixture
def clock(beneath):
    """A wall clock that the servers of this test see, and that can be set."""
    return beneath(CLOCK)[0]


def rows_of(server, kind):
    with sqlite3.connect(server.database, timeout=PATIENCE_S) as kept:
        return kept.execute("SELECT count(*) FROM map WHERE kind = ?", (kind,)).fetchone()[0]


def test_a_disk_that_hangs_longer_than_a_stop(make_server, ca, beneath):
    """The stop gives up waiting, and the process ends in order when the disk is back; what it had been given is there."""
    hold, waits = beneath(DISK)
    server = make_server()
    server.add_user("alice@localhost")
    alice = Raw(server, ca).login("alice", "a")
    wait_for(lambda: rows_of(server, "login") and not rows_of(server, "notices"), "what the login writes and removes")
    hold(1)
    alice.start_iq("<query xmlns='jabber:iq:roster'><item jid='c@localhost'/></query>", "set")
    wait_for(waits, "a write that hangs")
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(STOP_LIMIT_S + 3)
    hold(0)
    server.stop()
    assert "stopped before everything was answered" in server.text()
    assert rows_of(server, "roster") == 1


def archived(client):
    page = "<set xmlns='http://jabber.org/protocol/rsm'><max>50</max></set>"
    asked = client.start_iq(f"<query xmlns='urn:xmpp:mam:2'>{page}</query>", "set")
    passed = client.until(lambda e: e.get("id") == asked)
    results = [e.find("{urn:xmpp:mam:2}result") for e in passed]
    return [(r.get("id"), next(r.iter(CLIENT + "body")).text, next(r.iter("{urn:xmpp:delay}delay")).get("stamp"))
            for r in results if r is not None]


def test_a_clock_that_jumps(make_server, ca, clock):
    """Back by a day, on by three: nobody is cut off, since time that passes is measured by another clock; archives and offline messages
    keep the order in which things happened, and no id comes twice."""
    server = make_server(c2s_lines='  idle-time = "1m"')
    server.add_user("alice@localhost", "bob@localhost")
    alice, bob = Raw(server, ca).login("alice", "a"), Raw(server, ca).login("bob", "b")
    bob.ping()
    days = [0, -1, -1, 3, 3, 0]
    for number, day in enumerate(days):
        clock(day * 86400)
        alice.send(note(f"live {number}"))
        assert bodies(bob, f"live {number}") == [f"live {number}"]
    found = archived(bob)
    assert [body for _, body, _ in found] == [f"live {number}" for number in range(len(days))]
    assert len({name for name, _, _ in found}) == len(days)
    assert found[3][2] > found[0][2]  # the clock that jumped is the one that was asked
    bob.close()
    for number, day in enumerate(days):
        clock(day * 86400)
        alice.send(note(f"kept {number}"))
        alice.ping()
    bob = Raw(server, ca).login("bob", "b")
    assert bodies(bob, f"kept {len(days) - 1}") == [f"kept {number}" for number in range(len(days))]
    for one in (alice, bob):
        one.ping()
        one.close()


# -- under load --

class Writer(threading.Thread):
    """Writes numbers to bob until it is told to stop."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.sent, self.over = client, 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.client.send(note(self.sent, "bob@localhost/b"))
            self.sent += 1
            if self.sent % 20 == 0:
                self.client.ping()


def test_reload_under_load(make_server, ca):
    server = make_server()
    server.add_user("alice@localhost", "bob@localhost")
    alice, bob = Raw(server, ca).login("alice", "a"), Raw(server, ca).login("bob", "b")
    bob.ping()
    writer = Writer(alice)
    writer.start()
    reading = threading.Thread(target=lambda: got.extend(bodies(bob, "the end")), daemon=True)
    got = []
    reading.start()
    for _ in range(20):
        server.reload()
    writer.over.set()
    writer.join(PATIENCE_S)
    alice.send(note("the end", "bob@localhost/b"))
    reading.join(PATIENCE_S)
    assert got == [*map(str, range(writer.sent)), "the end"]
    assert writer.sent > 20
    alice.close()
    bob.close()
