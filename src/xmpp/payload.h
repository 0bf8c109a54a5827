/* SPDX-License-Identifier: MIT */
/* What a message is: one look at the children of a stanza, for all that must judge it (carbons, archive,
 * offline store, client state, push, rooms). And taking children out of a payload. */
#ifndef XMPP_PAYLOAD_H
#define XMPP_PAYLOAD_H

#include "xmpp/stanza.h"

/* One bit for each thing that a payload may have in it at first level; the table in payload.c says what
 * counts as what. */
enum {
    PAYLOAD_BODY = 1u << 0, /* <body/>, also an empty one */
    PAYLOAD_SUBJECT = 1u << 1,
    PAYLOAD_THREAD = 1u << 2,
    PAYLOAD_ERROR = 1u << 3,
    PAYLOAD_CHAT_STATE = 1u << 4,      /* XEP-0085 */
    PAYLOAD_RECEIPT_REQUEST = 1u << 5, /* XEP-0184 */
    PAYLOAD_RECEIPT = 1u << 6,
    PAYLOAD_MARKABLE = 1u << 7,  /* XEP-0333: asks for markers */
    PAYLOAD_MARKER = 1u << 8,    /* is one: received, displayed, acknowledged */
    PAYLOAD_ENCRYPTED = 1u << 9, /* XEP-0384 (all versions), XEP-0380, XEP-0373, XEP-0027 */
    PAYLOAD_NO_STORE = 1u << 10, /* XEP-0334; ask hint.h, which knows the rules */
    PAYLOAD_NO_PERMANENT_STORE = 1u << 11,
    PAYLOAD_NO_COPY = 1u << 12,
    PAYLOAD_STORE = 1u << 13,
    PAYLOAD_ROOM = 1u << 14,        /* XEP-0045: <x/> of muc#user, whatever is in it */
    PAYLOAD_ROOM_INVITE = 1u << 15, /* XEP-0045 §7.8.2 (mediated) or XEP-0249 (direct) */
    PAYLOAD_DELAY = 1u << 16,       /* XEP-0203 */
    PAYLOAD_CARBON = 1u << 17,      /* XEP-0280: is a copy (sent or received) */
    PAYLOAD_PRIVATE = 1u << 18,     /* XEP-0280: wants none */
    PAYLOAD_STANZA_ID = 1u << 19,   /* XEP-0359 */
    PAYLOAD_ORIGIN_ID = 1u << 20,
    PAYLOAD_CORRECTION = 1u << 21, /* XEP-0308 */
    PAYLOAD_RETRACTION = 1u << 22, /* XEP-0424, also as a moderator's (XEP-0425) */
    PAYLOAD_REACTIONS = 1u << 23,  /* XEP-0444 */
    PAYLOAD_CALL = 1u << 24,       /* XEP-0353: session offers and their answers */
    PAYLOAD_EVENT = 1u << 25,      /* XEP-0060: a pubsub notification */
    PAYLOAD_ARCHIVED = 1u << 26,   /* XEP-0313: is a result of a query */
    PAYLOAD_ATTENTION = 1u << 27,  /* XEP-0224 */
    PAYLOAD_FORM = 1u << 28,       /* XEP-0004 */
    PAYLOAD_OTHER = 1u << 29,      /* something that the table does not know */
};

/* The bits of a stanza's payload. Looks at the children when first asked for this payload and remembers the
 * answer in the stanza, so it is cheap to ask again; it is looked at afresh when the payload was replaced. A
 * stanza that two threads share must have been asked once before. */
uint32_t payload_facts(const struct stanza *stanza);

/* Whether nothing is in there but chat states and what goes along with them (a thread, ids, hints): of no use
 * later (XEP-0085 §5.5, XEP-0160 §3). */
bool payload_is_chat_state_only(const struct stanza *stanza);

/* Which children are to go. Embed it in a structure with what the test needs to know. */
struct payload_filter {
    bool (*drops)(const struct payload_filter *filter, const struct xml_node *child, struct arena *arena);
};

/* The content of `node` without the children that the filter drops: the content itself when that is none,
 * else a copy in the arena. To send it on: stanza.node.content = payload_without(...). */
str payload_without(const struct xml_node *node, const struct payload_filter *filter, struct arena *arena);

/* The same without the children of this name and namespace. */
str payload_without_child(const struct xml_node *node, str name, str ns, struct arena *arena);

#endif
