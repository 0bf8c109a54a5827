/* SPDX-License-Identifier: MIT */
/* Namespaces of the core protocol. An extension names its own in its own file. */
#ifndef XMPP_NS_H
#define XMPP_NS_H

#define NS_CLIENT           "jabber:client"
#define NS_SERVER           "jabber:server"
#define NS_DIALBACK         "jabber:server:dialback"
#define NS_COMPONENT        "jabber:component:accept"
#define NS_STREAMS          "http://etherx.jabber.org/streams"
#define NS_STREAM_ERRORS    "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_STANZA_ERRORS    "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_TLS              "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL             "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_BIND             "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION          "urn:ietf:params:xml:ns:xmpp-session"
#define NS_ROSTER           "jabber:iq:roster"
#define NS_ROSTER_VERSION   "urn:xmpp:features:rosterver"
#define NS_PRE_APPROVAL     "urn:xmpp:features:pre-approval"
#define NS_CHANNEL_BINDING  "urn:xmpp:sasl-cb:0"
#define NS_STREAM_LIMITS    "urn:xmpp:stream-limits:0"
#define NS_DIALBACK_FEATURE "urn:xmpp:features:dialback"
#define NS_BIDI             "urn:xmpp:bidi"
#define NS_BIDI_FEATURE     "urn:xmpp:features:bidi"
#define NS_DELAY            "urn:xmpp:delay"
#define NS_ADDRESS          "http://jabber.org/protocol/address"
#define NS_COMPRESS         "http://jabber.org/protocol/compress"
#define NS_COMPRESS_FEATURE "http://jabber.org/features/compress"

#endif
