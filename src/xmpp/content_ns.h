/* SPDX-License-Identifier: MIT */
/* Content namespaces (RFC 6120 §4.8.2). Within the house every stanza is in jabber:client; a stream of
 * another content namespace (jabber:component:accept, XEP-0114; jabber:server) is translated at its edge. */
#ifndef XMPP_CONTENT_NS_H
#define XMPP_CONTENT_NS_H

#include "xmpp/stanza.h"

/* A first-level element as it would stand on a stream of jabber:client, for stanza_read(). `ns` is the
 * content namespace of the stream that it came on; every declaration of it, on the element, on the stream
 * header and in the payload, becomes one of jabber:client. What needs no change is not copied; the rest is in
 * the arena. */
struct xml_node content_ns_in(const struct xml_node *node, str ns, struct arena *arena);

/* The same for the stream header's declarations (scanner_header_declarations). */
str content_ns_declarations(str declarations, str ns, struct arena *arena);

/* The stanza as it is to be written on a stream with the content namespace `ns`: itself, or a copy in the
 * arena where the stanza names jabber:client by itself. What lies in an element of an extension (a forwarded
 * stanza, XEP-0297) stays in jabber:client. */
const struct stanza *content_ns_out(const struct stanza *stanza, str ns, struct arena *arena);

#endif
