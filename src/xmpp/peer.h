/* SPDX-License-Identifier: MIT */
/* The initiating end of a server-to-server stream: what a peer's features offer, and what to do next. Pure.
 */
#ifndef XMPP_PEER_H
#define XMPP_PEER_H

#include "xml/node.h"

/* What the other server's <stream:features/> offer. */
struct peer_features {
    bool is_old; /* there are none: its version is below 1.0 */
    bool starttls;
    bool external;        /* SASL EXTERNAL (XEP-0178) */
    bool dialback;        /* as a feature; it may be there without being announced */
    bool dialback_errors; /* and reports errors without ending the stream (XEP-0220 §2.4.2) */
    bool bidi;            /* XEP-0288 */
    bool sm;              /* stream management (XEP-0198) */
    uint32_t max_bytes;   /* of a stanza (XEP-0478); 0: not said */
};

/* Reads <stream:features/>. */
struct peer_features peer_features_read(const struct xml_node *node, struct arena *arena);

/* Where the stream stands, and what our side can and wants. */
struct peer_standing {
    bool secure;        /* TLS is on */
    bool authenticated; /* by SASL, on this connection */
    bool can_tls;       /* we have what it takes */
    bool require_tls;
    bool may_external;    /* we have a certificate to show */
    bool may_dialback;    /* our policy lets us */
    bool header_dialback; /* the peer's stream header declared dialback's namespace */
};

/* The next move of the negotiation (RFC 6120 §4.3, XEP-0170's order). */
enum peer_move {
    PEER_STARTTLS,
    PEER_EXTERNAL, /* authenticate by SASL EXTERNAL; then a new stream */
    PEER_DIALBACK, /* what is left is to prove domains by dialback */
    PEER_READY,    /* authenticated: stanzas may be sent */
    PEER_NO_TLS,   /* TLS is required and can't be had: give up */
    PEER_NO_WAY,   /* the peer offers no way to authenticate that we can take: give up */
};

enum peer_move peer_next(const struct peer_features *features, const struct peer_standing *standing);

/* A word for each move, for the log. */
const char *peer_move_name(enum peer_move move);

#endif
