# SPDX-License-Identifier: MIT
"""A client with stream management (XEP-0198) that never gives up: it connects, resumes, sends again what was not
acknowledged, and writes down each message that it gets. And a proxy that cuts connections."""
import asyncio
import base64
import xml.etree.ElementTree as ET

from raw import CLIENT, STREAMS

SM, SASL, BIND = "{urn:xmpp:sm:3}", "{urn:ietf:params:xml:ns:xmpp-sasl}", "{urn:ietf:params:xml:ns:xmpp-bind}"
STANZAS = (CLIENT + "message", CLIENT + "presence", CLIENT + "iq")
HEADER = ("<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")


class Refused(Exception):
    """The server would not resume: the session is lost."""


class Stream:
    """One connection, as elements."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.elements = reader, writer, []
        self.open()

    def open(self):
        self.parser, self.depth = ET.XMLPullParser(["start", "end"]), 0
        self.elements.clear()

    def send(self, text):
        self.writer.write(text.encode())

    async def next(self):
        while not self.elements:
            data = await self.reader.read(65536)
            if not data:
                raise ConnectionResetError
            self.parser.feed(data)
            for event, element in self.parser.read_events():
                self.depth += 1 if event == "start" else -1
                if event == "end" and self.depth == 1:
                    self.elements.append(element)
                elif event == "end" and self.depth == 0:
                    raise ConnectionResetError
        return self.elements.pop(0)


class SmClient:
    def __init__(self, port, user, resource):
        self.port, self.user, self.resource = port, user, resource
        self.stream, self.id = None, None
        self.waiting = []        # sent and not acknowledged
        self.acked = self.h = 0  # of ours, of theirs
        self.bodies = []         # of messages, as they came
        self.resumed = 0
        self.ready = asyncio.Event()

    # -- what the test asks for --

    def send(self, stanza):
        """Sends a stanza, if not now, then after the next resumption."""
        self.waiting.append(stanza)
        if self.ready.is_set():
            self.stream.send(stanza)

    def ask(self):
        if self.ready.is_set():
            self.stream.send("<r xmlns='urn:xmpp:sm:3'/>")

    async def run(self):
        """Lives until it is cancelled; ends with Refused when its session is lost."""
        while True:
            try:
                await self._live()
            except (ConnectionError, OSError, ET.ParseError):
                await asyncio.sleep(0.005)
            finally:
                self.ready.clear()
                if self.stream:
                    self.stream.writer.transport.abort()
                self.stream = None

    def state(self):
        return (self.user, f"ready {self.ready.is_set()}, {self.acked} acknowledged, waiting {self.waiting[:2]}, got {self.h}, "
                f"{len(self.bodies)} messages, resumed {self.resumed} times, stream {self.stream and self.stream.elements}")

    # -- a connection --

    async def _live(self):
        self.stream = Stream(*await asyncio.open_connection("127.0.0.1", self.port))
        await self._log_in()
        if self.id:
            await self._resume()
        else:
            await self._begin()
        self.ready.set()
        while True:
            self._take(await self.stream.next())

    async def _log_in(self):
        self.stream.send(HEADER)
        await self._expect(STREAMS + "features")
        token = base64.b64encode(f"\0{self.user}\0secret".encode()).decode()
        self.stream.send(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'>{token}</auth>")
        await self._expect(SASL + "success")
        self.stream.open()
        self.stream.send(HEADER)
        await self._expect(STREAMS + "features")

    async def _expect(self, tag):
        element = await self.stream.next()
        if element.tag == STREAMS + "error":
            raise ConnectionResetError
        assert element.tag == tag, ET.tostring(element)
        return element

    async def _begin(self):
        self.stream.send(f"<iq type='set' id='b'><bind xmlns='{BIND[1:-1]}'><resource>{self.resource}</resource></bind></iq>"
                         "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        await self._expect(CLIENT + "iq")
        self.id = (await self._expect(SM + "enabled")).get("id")
        self.stream.send("".join(self.waiting))

    async def _resume(self):
        self.stream.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{self.id}' h='{self.h}'/>")
        answer = await self.stream.next()
        if answer.tag == STREAMS + "error":
            raise ConnectionResetError
        if answer.tag != SM + "resumed":
            raise Refused(ET.tostring(answer))
        self.resumed += 1
        self._acknowledged(int(answer.get("h")))
        self.stream.send("".join(self.waiting))

    def _acknowledged(self, h):
        assert self.acked <= h <= self.acked + len(self.waiting), f"{self.user}: h {h}, {self.acked} were acknowledged"
        del self.waiting[:h - self.acked]
        self.acked = h

    def _take(self, element):
        if element.tag in STANZAS:
            self.h += 1
        if element.tag == CLIENT + "message":
            self.bodies.append(element.findtext(CLIENT + "body"))
            assert element.get("type") != "error", ET.tostring(element)
        elif element.tag == CLIENT + "iq" and element.get("type") == "get":
            self.send(f"<iq type='result' id='{element.get('id')}' to='{element.get('from')}'/>")
        elif element.tag == SM + "r":
            self.stream.send(f"<a xmlns='urn:xmpp:sm:3' h='{self.h}'/>")
        elif element.tag == SM + "a":
            self._acknowledged(int(element.get("h")))
        elif element.tag == STREAMS + "error":
            raise ConnectionResetError


class Cutter:
    """Hands bytes on to a port, and resets each connection after some bytes, in whichever direction."""

    def __init__(self, port, random):
        self.target, self.random = port, random
        self.cuts, self.armed = 0, True

    async def start(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _connected(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        left = [self.random.randrange(600, 9000)]
        ways = [asyncio.ensure_future(self._hand_on(*way, left)) for way in ((reader, far_writer), (far_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        far_writer.transport.abort()
        writer.transport.abort()

    async def _hand_on(self, reader, writer, left):
        try:
            while data := await reader.read(4096):
                if self.armed and len(data) >= left[0]:
                    writer.write(data[:left[0]])
                    await asyncio.sleep(self.random.choice((0, 0, 0.002)))  # sometimes the first part arrives
                    self.cuts += 1
                    return
                left[0] -= len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
