# SPDX-License-Identifier: MIT
"""A small server-to-server end of our own, for tests: it answers streams for a domain as it is told, well or badly."""
import contextlib
import socket
import ssl
import threading

from jabiru import PATIENCE_S, free_ports

HEADER = ("<?xml version='1.0'?><stream:stream from='{0}' to='ours.example' id='s1' version='1.0' xmlns='jabber:server' "
          "xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>")
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
DIALBACK = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
VALID = "<db:result from='{0}' to='ours.example' type='valid'/>"


class Peer:
    """Answers streams for a domain. `answer`: what it says to a dialback key, with {0} for its own domain."""

    def __init__(self, domain, pair=None, answer=None, first=None, offer=DIALBACK, direct=False):
        self.domain, self.answer, self.first, self.offer, self.direct = domain, answer, first, offer, direct
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if pair else None
        self.heard = ""
        self.hellos = []  # of direct TLS: (SNI, ALPN)
        if pair:
            self.context.load_cert_chain(*pair)
        if direct:
            self.context.set_alpn_protocols(["xmpp-server"])
            self.context.sni_callback = self._named
        self.port = free_ports(1)[0]
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    @staticmethod
    def _named(connection, name, context):
        connection.named = name

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError):
            connection.settimeout(PATIENCE_S)
            if self.direct:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.hellos.append((connection.named, connection.selected_alpn_protocol()))
            self._stream(connection, self.first or (STARTTLS if self.context and not self.direct else self.offer))
            connection.close()

    def _stream(self, connection, offer):
        header = HEADER.format(self.domain)
        if not self.offer:
            header = header.replace("xmlns:db='jabber:server:dialback' ", "")
        text = ""
        while data := connection.recv(65536).decode():
            text += data
            self.heard = (self.heard + data)[-65536:]
            if "<stream:stream" in text and header:
                is_feature = not offer or offer.startswith(("<starttls", "<dialback"))
                connection.sendall((header + (f"<stream:features>{offer}</stream:features>" if is_feature else offer)).encode())
                header, text = None, text.split("<stream:stream", 1)[1]
            if "<starttls" in text and not self.context:
                connection.sendall(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
                return
            if "<starttls" in text:
                connection.sendall(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                self._stream(self.context.wrap_socket(connection, server_side=True), self.offer)
                return
            if "</db:result>" in text and self.answer:
                connection.sendall(self.answer.format(self.domain).encode())
                text = ""
            if "</stream:stream>" in text:
                connection.sendall(b"</stream:stream>")
                return

    def close(self):
        self.listener.close()
