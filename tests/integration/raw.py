# SPDX-License-Identifier: MIT
"""A client with no manners of its own: a blocking socket and a pull parser, for tests that care about single bytes and
moments. It logs in by PLAIN over direct TLS, checks the server's certificate, and answers the server's pings if told."""
import base64
import collections
import socket
import ssl
import struct
import time
import xml.etree.ElementTree as ET
import zlib

from jabiru import PATIENCE_S

CLIENT, STREAMS, PING = "{jabber:client}", "{http://etherx.jabber.org/streams}", "{urn:xmpp:ping}"
COMPRESS = "http://jabber.org/protocol/compress"
STREAM_ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"


class Ended(Exception):
    """The server closed the connection."""


class Raw:
    def __init__(self, server, ca, host="localhost", answers_pings=True):
        self.host, self.answers_pings = host, answers_pings
        self.elements, self.parser, self.stream_ended = collections.deque(), None, False
        context = ssl.create_default_context(cafile=str(ca.certificate))
        context.set_alpn_protocols(["xmpp-client"])
        plain = socket.create_connection(("127.0.0.1", server.tls_port), PATIENCE_S)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        self.serial = self.socket.getpeercert()["serialNumber"]
        self._count = 0
        self.deflater = self.inflater = None

    def send(self, text):
        data = text.encode()
        if self.deflater:
            data = self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(data)

    def compress(self):
        """XEP-0138, on a stream that has logged in; returns the features of the new one."""
        self.send(f"<compress xmlns='{COMPRESS}'><method>zlib</method></compress>")
        answer = self.next()
        assert answer.tag == f"{{{COMPRESS}}}compressed", ET.tostring(answer)
        self.deflater, self.inflater = zlib.compressobj(9), zlib.decompressobj()
        return self.open_stream()

    def open_stream(self):
        self.parser, self._depth = ET.XMLPullParser(["start", "end"]), 0
        self.elements.clear()
        self.send(f"<?xml version='1.0'?><stream:stream to='{self.host}' version='1.0' xml:lang='en' "
                  "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
        return self.next()

    def _feed(self, data):
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                self._arrived(element)
            elif event == "end" and self._depth == 0:
                self.stream_ended = True

    def _arrived(self, element):
        if self.answers_pings and element.tag == CLIENT + "iq" and element.find(PING + "ping") is not None:
            self.send(f"<iq type='result' id='{element.get('id')}'/>")
            return
        self.elements.append(element)

    def next(self, seconds=PATIENCE_S):
        """The next element at the first level of the stream, pings apart."""
        end = time.monotonic() + seconds
        while not self.elements:
            left = end - time.monotonic()
            assert left > 0, f"nothing came in {seconds} s"
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except (ssl.SSLEOFError, ConnectionError) as gone:
                raise Ended from gone
            if not data:
                raise Ended
            self._feed(self.inflater.decompress(data) if self.inflater else data)
        return self.elements.popleft()

    def until(self, wanted):
        """Elements until (and with) the first that is wanted, as a list."""
        passed = []
        while True:
            passed.append(self.next())
            if wanted(passed[-1]):
                return passed

    def login(self, user, resource, password="secret", presence=True, compress=False):
        self.open_stream()
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>")
        answer = self.next()
        assert answer.tag.endswith("}success"), ET.tostring(answer)
        self.features = self.open_stream()
        if compress:
            self.compress()
        bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind>"
        assert self.ask(bind, "set").get("type") == "result"
        if presence:
            self.send("<presence/>")
        return self

    def start_iq(self, payload, kind="get", to=None):
        """Asks, does not wait; returns the id."""
        self._count += 1
        where = f" to='{to}'" if to else ""
        self.send(f"<iq type='{kind}' id='r{self._count}'{where}>{payload}</iq>")
        return f"r{self._count}"

    def ask(self, payload, kind="get", to=None):
        """An IQ and its answer; other elements that come before it are dropped."""
        wanted = self.start_iq(payload, kind, to)
        return self.until(lambda e: e.tag == CLIENT + "iq" and e.get("id") == wanted and e.get("type") in ("result", "error"))[-1]

    def ping(self):
        return self.ask("<ping xmlns='urn:xmpp:ping'/>")

    def cut(self):
        """Goes without a word: TCP reset, no close_notify, no </stream>."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        try:
            self.send("</stream:stream>")
            while True:
                self.next()
        except (Ended, OSError):
            pass
        self.socket.close()
