# SPDX-License-Identifier: MIT
"""A client over WebSocket (RFC 6455, RFC 7395), on plain TCP."""
import base64
import hashlib
import os
import re
import socket
import xml.etree.ElementTree as ET

from peers.base import DOMAIN, PeerError
from wire import PATIENCE_SECONDS, Wire

CLIENT_NS, FRAMING = "jabber:client", "urn:ietf:params:xml:ns:xmpp-framing"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(data, opcode=TEXT):
    """A frame of a client: its bytes are masked."""
    key, size = os.urandom(4), len(data)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 65536:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + size.to_bytes(8, "big")
    mask = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")
    return head + key + masked.to_bytes(size, "big")


def take_frame(data):
    """The first frame of a server: (opcode, whether it is the last part, payload, bytes taken), or None if it is not whole."""
    if len(data) < 2:
        return None
    size, at = data[1] & 0x7f, 2
    if size >= 126:
        at = 4 if size == 126 else 10
        size = int.from_bytes(data[2:at], "big")
    if len(data) < at + size:
        return None
    return data[0] & 0x0f, bool(data[0] & 0x80), bytes(data[at:at + size]), at + size


class WebWire(Wire):
    """A Wire over WebSocket: each stanza is a frame of its own."""

    def _connect(self, peer):
        connection = socket.create_connection(("127.0.0.1", peer.web_port), timeout=PATIENCE_SECONDS)
        key, self._waiting, self._parts = base64.b64encode(os.urandom(16)).decode(), bytearray(), b""
        connection.sendall(f"GET {peer.websocket_path} HTTP/1.1\r\nHost: {DOMAIN}:{peer.web_port}\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Protocol: xmpp\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = connection.recv(4096)
            if not part:
                raise PeerError(f"no WebSocket: {answer[:100]}")
            answer += part
        accepted = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest())
        if not answer.startswith(b"HTTP/1.1 101") or accepted not in answer:
            raise PeerError(f"no WebSocket: {answer[:100]}")
        return connection

    def _open(self):
        self.send(f"<open xmlns='{FRAMING}' to='{DOMAIN}' version='1.0'/>")
        self.features = self.next(lambda e: e.tag.endswith("}features"))

    def send(self, text):
        """Stanzas name their namespace: RFC 7395 §3.3.3."""
        self.socket.sendall(frame(re.sub(r"^<(iq|message|presence)\b", rf"<\1 xmlns='{CLIENT_NS}'", text).encode()))

    def _read(self):
        data = self.socket.recv(65536)
        if not data:
            raise PeerError("the connection ended")
        self.received += len(data)
        self._waiting += data
        while found := take_frame(self._waiting):
            opcode, last, payload, taken = found
            del self._waiting[:taken]
            self._take(opcode, last, payload)

    def _take(self, opcode, last, payload):
        if opcode == CLOSE:
            raise PeerError(f"closed: {payload}")
        if opcode == PING:
            self.socket.sendall(frame(payload, PONG))
        if opcode in (PING, PONG):
            return
        self._parts += payload
        if last:
            self._elements.append(ET.fromstring(self._parts))
            self._parts = b""
