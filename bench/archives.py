# SPDX-License-Identifier: MIT
"""Archives of any size: one message is archived by the server itself, and copied in its storage as often as it takes; then how
long the first page of it takes."""
import statistics
import time

from load import TookTooLong
from peers.base import DOMAIN, PeerError
from wire import CLIENT, PATIENCE_SECONDS, Wire

PAGE = 50
QUERIES = 20
QUERY = ("<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"
         f"<max>{PAGE}</max></set></query>")
BODY = "x" * 100


def archive_one(bench, peer):
    """user1 writes to user0, while both are there."""
    peer.start(bench.server_cpu)
    reader, writer = Wire(peer, "user0"), Wire(peer, "user1")
    reader.send("<presence/>")
    reader.ping()
    writer.send(f"<message to='user0@{DOMAIN}' type='chat'><body>{BODY}</body></message>")
    reader.next(lambda e: e.tag == CLIENT + "message")
    reader.close()
    writer.close()
    peer.stop()


def fill(bench, peer, size):
    """The archive of user0 has so many messages then; it only grows."""
    peer.stop()
    if not peer.archived_messages:
        peer.archive_for_filling()
        peer.hand_over()
        archive_one(bench, peer)
        peer.archived_messages = 1
    if size > peer.archived_messages:
        peer.fill_archive("user0", peer.archived_messages, size)
        peer.archived_messages = size
    peer.hand_over()
    peer.start(bench.server_cpu)


def page_seconds(wire, number):
    """From the request to the last byte of the answer."""
    start, text = time.monotonic(), b""
    wire.send(f"<iq type='set' id='page{number}'>{QUERY}</iq>")
    while b"</iq>" not in text:
        try:
            part = wire.socket.recv(65536)
        except TimeoutError:
            raise TookTooLong("no page came in time") from None
        if not part or time.monotonic() - start > PATIENCE_SECONDS:
            raise PeerError("no page came")
        text += part
    if text.count(b"</forwarded>") != PAGE or b"type='error'" in text:
        raise PeerError(f"no page of {PAGE}: {text[-500:].decode(errors='replace')}")
    return time.monotonic() - start


def first_page_ms(bench, peer, size):
    """The median of some queries, after one that warms up."""
    fill(bench, peer, size)
    wire = Wire(peer, "user0")
    try:
        page_seconds(wire, 0)
        return statistics.median(page_seconds(wire, n + 1) for n in range(QUERIES)) * 1000
    finally:
        wire.close()
