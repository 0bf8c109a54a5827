# SPDX-License-Identifier: MIT
"""slixmpp, made strict and bounded: certificates are checked against the CA that is given, addresses are not looked up,
a login ends in success or in an exception, and all that arrives is kept in order to be waited for."""
import asyncio
import ssl

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from jabiru import PATIENCE_S


class LoginFailed(Exception):
    pass


class Client(ClientXMPP):
    """`binding`: TLS 1.2 with channel binding by tls-unique, the only kind that slixmpp knows. Without it TLS 1.3 is
    used, where tls-unique means nothing; slixmpp claims it all the same, so its claim is taken back here, unless `naive`."""

    def __init__(self, server, ca, user, resource=None, password="secret", direct=False, mechanism=None, binding=False,
                 host="localhost", identity=None, naive=False):
        jid = f"{user}@{host}" if user else host
        super().__init__(f"{jid}/{resource}" if resource else jid, password, sasl_mech=mechanism)
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ssl_context.minimum_version = ssl.TLSVersion.TLSv1_2 if binding else ssl.TLSVersion.TLSv1_3
        if binding:
            self.ssl_context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.ca_certs = ca.certificate
        if identity:
            self.certfile, self.keyfile = map(str, identity)
        self.jabirud, self.direct, self._binding = server, direct, binding or naive
        self.default_domain = host
        self["feature_mechanisms"].sasl_callback = self._credentials
        if not mechanism and not naive:
            self["feature_mechanisms"].use_mechs = {"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"}
        self.roster.auto_authorize, self.roster.auto_subscribe = None, False
        for plugin in ("xep_0030", "xep_0199", "xep_0092", "xep_0202", "xep_0012"):
            self.register_plugin(plugin)
        self.arrived = {"message": [], "presence": []}
        self._news = asyncio.Event()
        self.failures, self.stream_error = [], None
        for kind in self.arrived:
            self.register_handler(Callback("keep " + kind, MatchXPath("{jabber:client}" + kind), self._keep))
        self.add_event_handler("stream_error", self._keep_error)
        self.add_event_handler("failed_auth", lambda stanza: self.failures.append(stanza["condition"]))

    def _credentials(self, required, optional):
        found = self["feature_mechanisms"]._default_credentials(required, optional)
        if not self._binding and "channel_binding" in found:
            found["channel_binding"] = None
        return found

    async def get_dns_records(self, domain, port=None):
        return [(domain, "127.0.0.1", self.jabirud.tls_port if self.direct else self.jabirud.port)]

    def _keep(self, stanza):
        self.arrived[stanza.name].append(stanza)
        self._news.set()

    def _keep_error(self, error):
        self.stream_error = error["condition"]

    async def login(self, presence=True):
        done = asyncio.get_running_loop().create_future()

        def end(result):
            if not done.done():
                done.set_result(result)
        self.add_event_handler("session_start", lambda _: end(None), disposable=True)
        for bad in ("failed_all_auth", "ssl_invalid_chain", "connection_failed", "disconnected"):
            self.add_event_handler(bad, lambda data, bad=bad: end((bad, data)), disposable=True)
        port = self.jabirud.tls_port if self.direct else self.jabirud.port
        self.connect(("127.0.0.1", port), use_ssl=self.direct, force_starttls=not self.direct)
        failure = await asyncio.wait_for(done, PATIENCE_S)
        if failure:
            self.cancel_connection_attempt()
            raise LoginFailed(*failure)
        if presence:
            self.send_presence()
            await self.wait("presence", lambda p: p["from"] == self.boundjid)
        return self

    async def wait(self, kind, wanted):
        """Takes the first stanza of a kind that is wanted, once it is there; earlier ones stay."""
        async def look():
            while True:
                self._news.clear()
                for stanza in self.arrived[kind]:
                    if wanted(stanza):
                        self.arrived[kind].remove(stanza)
                        return stanza
                await self._news.wait()
        try:
            return await asyncio.wait_for(look(), PATIENCE_S)
        except asyncio.TimeoutError:
            raise AssertionError(f"no such {kind} came; there is {[str(s) for s in self.arrived[kind]]}") from None

    async def subscription(self, kind, peer):
        return await self.wait("presence", lambda p: p._get_attr("type") == kind and p["from"].bare == peer.boundjid.bare)

    async def body(self, text):
        return await self.wait("message", lambda m: m["body"] == text)

    async def whole_roster(self):
        """The whole roster, by bare JID. The request makes this an interested resource (RFC 6121 §2.2); it names no version,
        since an empty answer would say that nothing has changed."""
        answer = await self.make_iq_get(queryxmlns="jabber:iq:roster").send(timeout=PATIENCE_S)
        return {str(jid): item for jid, item in answer["roster"]["items"].items()}

    async def ping(self):
        """When this has its answer, the server has read, in order, all that was sent before."""
        return await self["xep_0199"].send_ping(self.boundjid.host, timeout=PATIENCE_S)

    async def leave(self):
        if self.transport:
            await self.disconnect()

    async def cut(self):
        """Ends the connection without a word."""
        gone = asyncio.ensure_future(self.wait_until("disconnected", PATIENCE_S))
        await asyncio.sleep(0)
        self.transport.abort()
        await gone


def run(story, *args):
    """Runs a coroutine function with a limit of its own."""
    asyncio.run(asyncio.wait_for(story(*args), 4 * PATIENCE_S))
