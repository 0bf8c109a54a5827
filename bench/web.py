# SPDX-License-Identifier: MIT
"""What servers do for clients in a browser, on plain HTTP: sessions over WebSocket (RFC 7395), and uploads (XEP-0363)."""
import http.client
import os
import time
import urllib.parse
import xml.etree.ElementTree as ET

from peers.base import DOMAIN, PeerError, pause
from websocket import CLIENT_NS, WebWire, frame
from wire import PATIENCE_SECONDS, Wire, cpu_seconds

UPLOAD = "urn:xmpp:http:upload:0"
WINDOW = 64
BODY = "x" * 100
SESSIONS = (100, 600)
SETTLE_SECONDS = 2
MEGABYTES, MEGABYTES_QUICK = 32, 8


def sessions(bench, peer):
    """Memory a session, as the slope between few and many who are online."""
    wires, sizes = [], []
    try:
        for count in SESSIONS:
            while len(wires) < count:
                wires.append(WebWire(peer, f"user{len(wires)}"))
                wires[-1].send("<presence/>")
                wires[-1].ping()
            pause(SETTLE_SECONDS)
            sizes.append(peer.memory_bytes())
    finally:
        for wire in wires:
            wire.close()
    return {"web-idle": (sizes[1] - sizes[0]) / (SESSIONS[1] - SESSIONS[0])}


def wait_for_messages(wire, count):
    found, tail = 0, b""
    while found < count:
        data = wire.socket.recv(262144)
        if not data:
            raise PeerError("the connection ended")
        text = tail + data
        found += text.count(b"</message>")
        tail = text[-len(b"/message>"):]  # less than the whole word, so that none is counted twice
    return found


def messages(bench, peer):
    """One pair, so many messages in flight: the frames are made before, and in what comes only ends of messages are counted, so that
    the server is the slower one."""
    reader, writer = WebWire(peer, "user0"), WebWire(peer, "user1")
    batch = b"".join(frame((f"<message xmlns='{CLIENT_NS}' to='user0@{DOMAIN}/wire' type='chat' id='m{n}'>"
                           f"<body>{BODY}</body></message>").encode()) for n in range(WINDOW))
    try:
        reader.send("<presence/>")
        reader.ping()
        count, start, cpu = 0, time.monotonic(), cpu_seconds(peer)
        while time.monotonic() - start < bench.seconds:
            writer.socket.sendall(batch)
            wait_for_messages(reader, WINDOW)
            count += WINDOW
        seconds, cpu = time.monotonic() - start, cpu_seconds(peer) - cpu
    finally:
        reader.close()
        writer.close()
    return {"web-messages": count / seconds, "web-cpu": cpu * 1e6 / count}


def slot(wire, size):
    """Where to put a file, with which headers, and where it will be got."""
    answer = wire.ask(f"<request xmlns='{UPLOAD}' filename='file.bin' size='{size}' content-type='application/octet-stream'/>",
                      to=f" to='upload.{DOMAIN}'")
    found = answer.find(f"{{{UPLOAD}}}slot")
    if found is None:
        raise PeerError(f"no slot: {ET.tostring(answer).decode()}")
    put, get = found.find(f"{{{UPLOAD}}}put"), found.find(f"{{{UPLOAD}}}get")
    return put.get("url"), {header.get("name"): header.text for header in put}, get.get("url")


def transfer(peer, method, url, body=None, headers=None):
    """(what came, seconds, CPU of the server)"""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", peer.web_port, timeout=3 * PATIENCE_SECONDS)
    start, cpu = time.monotonic(), cpu_seconds(peer)
    connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body,
                       {"Host": parts.netloc, "Content-Type": "application/octet-stream", **(headers or {})})
    answer = connection.getresponse()
    came = answer.read()
    seconds, cpu = time.monotonic() - start, cpu_seconds(peer) - cpu
    connection.close()
    if answer.status not in (200, 201):
        raise PeerError(f"{method} {url}: {answer.status} {came[:200]}")
    return came, seconds, cpu


def upload(bench, peer):
    """One big file, there and back."""
    megabytes = MEGABYTES_QUICK if bench.quick else MEGABYTES
    data, wire = os.urandom(megabytes * 1000000), Wire(peer, "user0")
    try:
        put, headers, get = slot(wire, len(data))
        _, put_seconds, put_cpu = transfer(peer, "PUT", put, data, headers)
        came, get_seconds, get_cpu = transfer(peer, "GET", get)
    finally:
        wire.close()
    if came != data:
        raise PeerError("another file came back")
    return {"put": megabytes / put_seconds, "put-cpu": put_cpu * 1e3 / megabytes,
            "get": megabytes / get_seconds, "get-cpu": get_cpu * 1e3 / megabytes}
