# SPDX-License-Identifier: MIT
"""Tests of relay.c: joining, copying both ways with a slow reader, leaving, TLS, and the end of the process.

usage: relay_test.py RELAY
"""
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peers.base import certificate  # noqa: E402

RELAY = sys.argv.pop(1) if len(sys.argv) > 1 else "build/debug/bench/relay"
SECONDS = 20
LOT = bytes(range(256)) * 32768  # 8 MiB: more than the sockets and the relay can hold


def receive(connection, size):
    got = bytearray()
    while len(got) < size:
        part = connection.recv(min(65536, size - len(got)))
        if not part:
            break
        got += part
    return bytes(got)


class RelayTest(unittest.TestCase):
    tls = False

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        key, cert, _ = certificate(pathlib.Path(folder.name))
        self.relay = subprocess.Popen([RELAY, "--tls-port", "0", "--cert", cert, "--key", key],
                                      stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_relay)
        self.port = int(self.relay.stdout.readline().removeprefix("port "))
        self.tls_port = int(self.relay.stdout.readline().removeprefix("tls-port "))
        self.context = ssl.create_default_context(cafile=cert)

    def end_relay(self):
        self.relay.kill()
        self.relay.wait()
        self.relay.stdout.close()

    def connect(self, hello):
        connection = socket.create_connection(("127.0.0.1", self.tls_port if self.tls else self.port), SECONDS)
        if self.tls:
            connection = self.context.wrap_socket(connection, server_hostname="localhost")
        self.addCleanup(connection.close)
        connection.sendall(hello)
        return connection

    def assert_closed(self, connection):
        try:
            self.assertEqual(connection.recv(1), b"")
        except (ConnectionResetError, ssl.SSLEOFError):
            pass

    def test_copies_both_ways(self):
        a, b = self.connect(b"PAIR 7\n"), self.connect(b"PAIR 7\n")
        a.sendall(b"there")
        b.sendall(b"back")
        self.assertEqual(receive(b, 5), b"there")
        self.assertEqual(receive(a, 4), b"back")

    def test_bytes_behind_the_hello_arrive_first(self):
        a = self.connect(b"PAIR 1\nfrom a,")
        a.sendall(b" more")
        b = self.connect(b"PAIR 1\nfrom b")
        self.assertEqual(receive(b, 12), b"from a, more")
        self.assertEqual(receive(a, 6), b"from b")

    def test_hello_in_pieces(self):
        a = self.connect(b"PA")
        b = self.connect(b"PAIR 5\n")
        a.sendall(b"IR 5")
        a.sendall(b"\nx")
        self.assertEqual(receive(b, 1), b"x")

    def test_pairs_are_apart(self):
        ends = [self.connect(b"PAIR %d\n" % (i // 2)) for i in range(20)]
        for i in range(0, 20, 2):
            ends[i].sendall(b"%02d" % i)
        for i in range(0, 20, 2):
            self.assertEqual(receive(ends[i + 1], 2), b"%02d" % i)

    def test_a_lot_both_ways_to_readers_that_start_late(self):
        a, b = self.connect(b"PAIR 0\n"), self.connect(b"PAIR 0\n")
        writers = [threading.Thread(target=end.sendall, args=(LOT,)) for end in (a, b)]
        if self.tls:  # Python cannot read and write one TLS connection in two threads
            writers.pop()
        for writer in writers:
            writer.start()
        writers[0].join(0.05)
        self.assertEqual(receive(b, len(LOT)), LOT)
        if not self.tls:
            self.assertEqual(receive(a, len(LOT)), LOT)
        for writer in writers:
            writer.join(SECONDS)

    def test_closing_one_closes_the_other_and_frees_the_number(self):
        a, b = self.connect(b"PAIR 3\n"), self.connect(b"PAIR 3\n")
        a.sendall(b"x")
        self.assertEqual(receive(b, 1), b"x")
        a.close()
        self.assert_closed(b)
        c, d = self.connect(b"PAIR 3\n"), self.connect(b"PAIR 3\n")
        c.sendall(b"y")
        self.assertEqual(receive(d, 1), b"y")

    def test_who_leaves_while_waiting_frees_the_number(self):
        gone = self.connect(b"PAIR 4\n")
        gone.shutdown(socket.SHUT_WR)
        self.assert_closed(gone)
        a, b = self.connect(b"PAIR 4\n"), self.connect(b"PAIR 4\n")
        a.sendall(b"x")
        self.assertEqual(receive(b, 1), b"x")

    def test_refuses_wrong_hellos_and_a_third(self):
        for hello in (b"PAIR x\n", b"PAIR \n", b"PAIR 65536\n", b"PAIR -1\n", b"HELLO\n", b"PAIR 1 \n", b"x" * 200):
            self.assert_closed(self.connect(hello))
        a, b = self.connect(b"PAIR 9\n"), self.connect(b"PAIR 9\n")
        a.sendall(b"x")
        self.assertEqual(receive(b, 1), b"x")
        self.assert_closed(self.connect(b"PAIR 9\n"))
        b.sendall(b"still here")
        self.assertEqual(receive(a, 10), b"still here")

    def test_ends_cleanly_when_asked(self):
        a, b = self.connect(b"PAIR 2\n"), self.connect(b"PAIR 2\n")
        a.sendall(b"x")
        self.assertEqual(receive(b, 1), b"x")
        self.relay.send_signal(signal.SIGTERM)
        self.assertEqual(self.relay.wait(SECONDS), 0)


class TlsRelayTest(RelayTest):
    tls = True


if __name__ == "__main__":
    unittest.main()
