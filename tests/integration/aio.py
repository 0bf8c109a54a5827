# SPDX-License-Identifier: MIT
"""aioxmpp, a second client library: certificates are checked against the CA that is given, connections go through a relay that
the test can cut, and all messages are kept in order to be waited for. What it has no words for (XEP-0313, 0352, 0384) is
declared here in its own way."""
import asyncio
import datetime
import itertools

import aioxmpp
import OpenSSL.SSL
from aioxmpp import xso
from aioxmpp.connector import STARTTLSConnector, XMPPOverTLSConnector
from aioxmpp.misc import Forwarded
from aioxmpp.rsm.xso import ResultSetMetadata
from aioxmpp.security_layer import PasswordSASLProvider, PKIXCertificateVerifier, SecurityLayer

import slix
from jabiru import PATIENCE_S

MAM, CSI, AXOLOTL = "urn:xmpp:mam:2", "urn:xmpp:csi:0", "eu.siacs.conversations.axolotl"


class MamResult(xso.XSO):
    TAG = (MAM, "result")
    id_ = xso.Attr("id")
    queryid = xso.Attr("queryid", default=None)
    forwarded = xso.Child([Forwarded])


@aioxmpp.IQ.as_payload_class
class MamQuery(xso.XSO):
    TAG = (MAM, "query")
    queryid = xso.Attr("queryid", default=None)
    rsm = xso.Child([ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class MamFin(xso.XSO):
    TAG = (MAM, "fin")
    complete = xso.Attr("complete", type_=xso.Bool(), default=False)
    rsm = xso.Child([ResultSetMetadata])


class Active(xso.XSO):
    TAG = (CSI, "active")


class Inactive(xso.XSO):
    TAG = (CSI, "inactive")


class OmemoDevice(xso.XSO):
    TAG = (AXOLOTL, "device")
    id_ = xso.Attr("id", type_=xso.Integer())

    def __init__(self, id_=None):
        super().__init__()
        self.id_ = id_


@aioxmpp.pubsub.xso.as_payload_class
class OmemoDevices(xso.XSO):
    TAG = (AXOLOTL, "list")
    devices = xso.ChildList([OmemoDevice])


class IdentityKey(xso.XSO):
    TAG = (AXOLOTL, "identityKey")
    key = xso.Text(type_=xso.Base64Binary())


@aioxmpp.pubsub.xso.as_payload_class
class OmemoBundle(xso.XSO):
    TAG = (AXOLOTL, "bundle")
    identity = xso.Child([IdentityKey])


_numbers, _living = itertools.count(1), []
aioxmpp.Message.mam_result = xso.Child([MamResult])


class Relay:
    """Stands between a client and a port. After swallow() what is sent comes to nobody; cut() resets all that goes through, and
    shuts the door until open()."""

    def __init__(self, port):
        self.target, self._open, self._swallows, self._writers = port, True, False, set()

    async def start(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _connected(self, reader, writer):
        if not self._open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, far_writer}
        ways = [asyncio.ensure_future(self._hand_on(*way)) for way in ((reader, far_writer), (far_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, far_writer):
            end.transport.abort()
            self._writers.discard(end)

    async def _hand_on(self, reader, writer):
        try:
            while data := await reader.read(65536):
                if not self._swallows:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass

    def swallow(self):
        self._swallows = True

    def cut(self):
        self._open = self._swallows = False
        for writer in self._writers:
            writer.transport.abort()

    def open(self):
        self._open = True


class Device:
    """One client of an account. `services`: classes of aioxmpp's that it has from the beginning."""

    def __init__(self, server, ca, user, resource, services=(), direct=False, host="localhost"):
        self.server, self.ca, self.direct = server, ca, direct
        self.jid = aioxmpp.JID(user, host, resource)
        self.messages, self._news = [], asyncio.Event()
        self._services = services

    @property
    def bare(self):
        return self.jid.bare()

    def _context(self):
        context = OpenSSL.SSL.Context(OpenSSL.SSL.TLS_METHOD)
        context.set_min_proto_version(OpenSSL.SSL.TLS1_2_VERSION)
        context.set_verify(OpenSSL.SSL.VERIFY_PEER, lambda connection, certificate, errno, depth, fine: fine)
        context.load_verify_locations(str(self.ca.certificate))
        return context

    async def _password(self, jid, attempt):
        return "secret" if attempt == 0 else None

    async def login(self):
        self.relay = await Relay(self.server.tls_port if self.direct else self.server.port).start()
        _living.append(self)
        connector = XMPPOverTLSConnector() if self.direct else STARTTLSConnector()
        layer = SecurityLayer(self._context, PKIXCertificateVerifier, True, (PasswordSASLProvider(self._password),))
        self.client = aioxmpp.PresenceManagedClient(self.jid, layer, override_peer=[("127.0.0.1", self.relay.port, connector)],
                                                    max_initial_attempts=1)
        self.client.backoff_start = datetime.timedelta(milliseconds=50)
        self.client.backoff_cap = datetime.timedelta(milliseconds=200)
        self.services = {kind: self.client.summon(kind) for kind in self._services}
        self.client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher).register_callback(None, None, self._keep)
        there = self.moment(self.client.on_stream_established)
        self.client.presence = aioxmpp.PresenceState(True)
        await asyncio.wait_for(there, PATIENCE_S)
        await self.ping()
        return self

    def moment(self, signal):
        """A future for when the signal comes; or for the failure that comes instead."""
        future = asyncio.get_running_loop().create_future()

        def came(*_):
            if not future.done():
                future.set_result(None)
            return True

        def failed(exception):
            if not future.done():
                future.set_exception(exception)
            return True
        signal.connect(came)
        self.client.on_failure.connect(failed)
        return future

    async def lose_connection(self, what):
        """What `what()` sends before the connection ends is lost in the network, both ways. Then the client knows that it is."""
        unacked = len(self.client.stream.sm_unacked_list)
        self.relay.swallow()
        sent = await what()
        while len(self.client.stream.sm_unacked_list) < unacked + sent:
            await asyncio.sleep(0.01)
        gone = self.moment(self.client.on_stream_suspended)
        self.relay.cut()
        await asyncio.wait_for(gone, PATIENCE_S)

    async def find_connection(self):
        back = self.moment(self.client.on_stream_resumed)
        self.relay.open()
        await asyncio.wait_for(back, PATIENCE_S)

    async def leave(self):
        _living.remove(self)
        gone = self.moment(self.client.on_stopped)
        self.client.stop()
        await asyncio.wait_for(gone, PATIENCE_S)
        self.relay.server.close()

    def __getitem__(self, kind):
        return self.services[kind]

    def _keep(self, message):
        self.messages.append(message)
        self._news.set()

    async def have(self, count):
        """Waits until so many messages have come; what is missing in the end is for the caller to see."""
        async def look():
            while len(self.messages) < count:
                self._news.clear()
                await self._news.wait()
        try:
            await asyncio.wait_for(look(), PATIENCE_S)
        except asyncio.TimeoutError:
            pass

    async def wait(self, wanted):
        """Takes the first message that is wanted, once it is there; earlier ones stay."""
        async def look():
            while True:
                self._news.clear()
                for message in self.messages:
                    if wanted(message):
                        self.messages.remove(message)
                        return message
                await self._news.wait()
        try:
            return await asyncio.wait_for(look(), PATIENCE_S)
        except asyncio.TimeoutError:
            raise AssertionError(f"no such message came; there is {self.messages}") from None

    async def body(self, text):
        return await self.wait(lambda message: text in message.body.values())

    def say(self, to, text):
        """Sends a message; what is returned tells what became of it."""
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=to)
        message.body[None] = text
        return self.client.enqueue(message)

    async def ask(self, payload, kind=aioxmpp.IQType.GET, to=None):
        return await self.client.send(aioxmpp.IQ(type_=kind, to=to, payload=payload), timeout=PATIENCE_S)

    async def ping(self):
        await self.ask(aioxmpp.ping.Ping(), to=self.jid.replace(localpart=None, resource=None))

    async def state(self, element):
        """Client state (XEP-0352): no stanza, and so not a thing that the library queues."""
        self.client.stream._xmlstream.send_xso(element)
        await self.ping()

    async def page(self, rsm):
        """The ids and bodies of a page of the own archive, and its end."""
        query = MamQuery()
        query.queryid, query.rsm = str(next(_numbers)), rsm
        fin = await self.ask(query, aioxmpp.IQType.SET)
        results = [message.mam_result for message in self.messages if message.mam_result is not None]
        mine = [result for result in results if result.queryid == query.queryid]
        return [(result.id_, result.forwarded.stanza.body.any()) for result in mine], fin

    async def pages(self, size, backwards):
        found, rsm = [], ResultSetMetadata.last_page(size) if backwards else ResultSetMetadata.limit(size)
        while True:
            page, fin = await self.page(rsm)
            assert len(page) <= size
            found = page + found if backwards else found + page
            if fin.complete:
                return found
            rsm = fin.rsm.previous_page(size) if backwards else fin.rsm.next_page(size)


def run(story):
    """As slix.run(); and a client that a failed test leaves behind goes, since it would not bear to be canceled."""
    async def bounded():
        try:
            await story()
        finally:
            while _living:
                await _living[0].leave() if _living[0].client.running else _living.pop(0)
    slix.run(bounded)
