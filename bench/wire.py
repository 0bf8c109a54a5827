# SPDX-License-Identifier: MIT
"""A client that counts the bytes of its connection: plain TCP, SASL PLAIN, and, if it is told and the server offers it, stream
compression (XEP-0138). For works that ask what something costs on the way; jabiru-load is for those that ask how fast it goes.
"""
import base64
import pathlib
import socket
import time
import xml.etree.ElementTree as ET
import zlib

from peers.base import DOMAIN, PASSWORD, STREAM_OPEN, PeerError

PATIENCE_SECONDS = 20
CLIENT, COMPRESS = "{jabber:client}", "http://jabber.org/protocol/compress"


def cpu_seconds(peer):
    """CPU time of all threads of a server: finer than the clock ticks of stat."""
    total = 0
    for pid in peer.pids():
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


class Wire:
    def __init__(self, peer, user, compress=False):
        self.received, self.features, self.compressed = 0, None, False
        self._in = self._out = None
        self._elements, self._pings = [], 0
        self.socket = self._connect(peer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._log_in(user)
        if compress and self.offers("{http://jabber.org/features/compress}compression"):
            self._compress()
        self.ask("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>wire</resource></bind>", "set")

    def _connect(self, peer):
        return socket.create_connection(("127.0.0.1", peer.port), timeout=PATIENCE_SECONDS)

    def _open(self):
        self._parser, self._depth = ET.XMLPullParser(["start", "end"]), 0
        self.send(STREAM_OPEN.decode())
        self.features = self.next(lambda e: e.tag.endswith("}features"))

    def _log_in(self, user):
        self._open()
        token = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>")
        answer = self.next(lambda e: True)
        if not answer.tag.endswith("}success"):
            raise PeerError(f"{user} may not log in: {ET.tostring(answer).decode()}")
        self._open()

    def _compress(self):
        self.send(f"<compress xmlns='{COMPRESS}'><method>zlib</method></compress>")
        answer = self.next(lambda e: True)
        if not answer.tag.endswith("}compressed"):
            raise PeerError(f"no compression: {ET.tostring(answer).decode()}")
        self._in, self._out, self.compressed = zlib.decompressobj(), zlib.compressobj(), True
        self._open()

    def offers(self, tag):
        return self.features.find(tag) is not None

    def send(self, text):
        data = text.encode()
        if self._out:
            data = self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(data)

    def _read(self):
        data = self.socket.recv(65536)
        if not data:
            raise PeerError("the connection ended")
        self.received += len(data)
        self._parser.feed(self._in.decompress(data) if self._in else data)
        for event, element in self._parser.read_events():
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                self._elements.append(element)

    def next(self, wanted):
        """The next element that is wanted; those before it are dropped."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            while self._elements:
                element = self._elements.pop(0)
                if wanted(element):
                    return element
            self._read()
        raise PeerError("nothing came")

    def ask(self, payload, kind="get", to=""):
        self._pings += 1
        number = f"w{self._pings}"
        self.send(f"<iq type='{kind}' id='{number}'{to}>{payload}</iq>")
        return self.next(lambda e: e.tag == CLIENT + "iq" and e.get("id") == number)

    def ping(self):
        """An answer of the server: it has dealt with all that was sent before."""
        self.ask("<ping xmlns='urn:xmpp:ping'/>", to=f" to='{DOMAIN}'")

    def close(self):
        self.socket.close()
