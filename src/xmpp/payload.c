/* SPDX-License-Identifier: MIT */
/* One walk over the children of a message, one table of what they mean. Every extension that must know
 * whether a message is worth an archive entry, a copy or a wake-up asks the same questions of the same bytes;
 * here they are answered together, once for each stanza.
 *
 * The table is searched from top to bottom for each child; most messages have fewer than five, and lengths
 * differ before bytes do. An element of a known namespace with a name that is not listed counts as other:
 * new versions of an extension bring new names, and what is not known must not be thrown away. Prose of the
 * judgements: what a chat state is, XEP-0085 §5; encrypted content, XEP-0380 and the namespaces of the
 * ciphers themselves; an invitation, XEP-0045 §7.8 and XEP-0249.
 *
 * The answer is kept in the stanza with the place and length of the payload that it was had from: bytes of a
 * payload never change, so the same place means the same answer. */
#include "xmpp/payload.h"

#include "base/mem.h"
#include "xmpp/ns.h"

#define NS_MARKERS  "urn:xmpp:chat-markers:0"
#define NS_HINTS    "urn:xmpp:hints"
#define NS_CARBONS  "urn:xmpp:carbons:2"
#define NS_SID      "urn:xmpp:sid:0"
#define NS_MUC_USER "http://jabber.org/protocol/muc#user"

static const struct known {
    str name; /* none: any element of the namespace */
    str ns;
    uint32_t facts;
} known[] = {
    { STR_INIT("body"), STR_INIT(NS_CLIENT), PAYLOAD_BODY },
    { STR_INIT("subject"), STR_INIT(NS_CLIENT), PAYLOAD_SUBJECT },
    { STR_INIT("thread"), STR_INIT(NS_CLIENT), PAYLOAD_THREAD },
    { STR_INIT("error"), STR_INIT(NS_CLIENT), PAYLOAD_ERROR },
    { { NULL, 0 }, STR_INIT("http://jabber.org/protocol/chatstates"), PAYLOAD_CHAT_STATE },
    { STR_INIT("request"), STR_INIT("urn:xmpp:receipts"), PAYLOAD_RECEIPT_REQUEST },
    { STR_INIT("received"), STR_INIT("urn:xmpp:receipts"), PAYLOAD_RECEIPT },
    { STR_INIT("markable"), STR_INIT(NS_MARKERS), PAYLOAD_MARKABLE },
    { STR_INIT("received"), STR_INIT(NS_MARKERS), PAYLOAD_MARKER },
    { STR_INIT("displayed"), STR_INIT(NS_MARKERS), PAYLOAD_MARKER },
    { STR_INIT("acknowledged"), STR_INIT(NS_MARKERS), PAYLOAD_MARKER },
    { STR_INIT("origin-id"), STR_INIT(NS_SID), PAYLOAD_ORIGIN_ID },
    { STR_INIT("stanza-id"), STR_INIT(NS_SID), PAYLOAD_STANZA_ID },
    { STR_INIT("no-store"), STR_INIT(NS_HINTS), PAYLOAD_NO_STORE },
    { STR_INIT("no-permanent-store"), STR_INIT(NS_HINTS), PAYLOAD_NO_PERMANENT_STORE },
    { STR_INIT("no-copy"), STR_INIT(NS_HINTS), PAYLOAD_NO_COPY },
    { STR_INIT("store"), STR_INIT(NS_HINTS), PAYLOAD_STORE },
    { STR_INIT("encrypted"), STR_INIT("eu.siacs.conversations.axolotl"), PAYLOAD_ENCRYPTED },
    { STR_INIT("encrypted"), STR_INIT("urn:xmpp:omemo:1"), PAYLOAD_ENCRYPTED },
    { STR_INIT("encrypted"), STR_INIT("urn:xmpp:omemo:2"), PAYLOAD_ENCRYPTED },
    { STR_INIT("encryption"), STR_INIT("urn:xmpp:eme:0"), PAYLOAD_ENCRYPTED },
    { STR_INIT("openpgp"), STR_INIT("urn:xmpp:openpgp:0"), PAYLOAD_ENCRYPTED },
    { STR_INIT("x"), STR_INIT("jabber:x:encrypted"), PAYLOAD_ENCRYPTED },
    { STR_INIT("delay"), STR_INIT(NS_DELAY), PAYLOAD_DELAY },
    { STR_INIT("replace"), STR_INIT("urn:xmpp:message-correct:0"), PAYLOAD_CORRECTION },
    { STR_INIT("reactions"), STR_INIT("urn:xmpp:reactions:0"), PAYLOAD_REACTIONS },
    { STR_INIT("retract"), STR_INIT("urn:xmpp:message-retract:0"), PAYLOAD_RETRACTION },
    { STR_INIT("retract"), STR_INIT("urn:xmpp:message-retract:1"), PAYLOAD_RETRACTION },
    { STR_INIT("x"), STR_INIT(NS_MUC_USER), PAYLOAD_ROOM },
    { STR_INIT("x"), STR_INIT("jabber:x:conference"), PAYLOAD_ROOM_INVITE },
    { STR_INIT("sent"), STR_INIT(NS_CARBONS), PAYLOAD_CARBON },
    { STR_INIT("received"), STR_INIT(NS_CARBONS), PAYLOAD_CARBON },
    { STR_INIT("private"), STR_INIT(NS_CARBONS), PAYLOAD_PRIVATE },
    { { NULL, 0 }, STR_INIT("urn:xmpp:jingle-message:0"), PAYLOAD_CALL },
    { STR_INIT("event"), STR_INIT("http://jabber.org/protocol/pubsub#event"), PAYLOAD_EVENT },
    { STR_INIT("result"), STR_INIT("urn:xmpp:mam:2"), PAYLOAD_ARCHIVED },
    { STR_INIT("attention"), STR_INIT("urn:xmpp:attention:0"), PAYLOAD_ATTENTION },
    { STR_INIT("x"), STR_INIT("jabber:x:data"), PAYLOAD_FORM },
};

static uint32_t facts_of_child(const struct xml_node *child)
{
    struct xml_node invite;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        str name = known[i].name.p ? known[i].name : child->name;
        if (!xml_is(child, name, known[i].ns))
            continue;
        bool invites =
            known[i].facts == PAYLOAD_ROOM && xml_child(child, STR("invite"), STR(NS_MUC_USER), &invite);
        return known[i].facts | (invites ? PAYLOAD_ROOM_INVITE : 0u);
    }
    return PAYLOAD_OTHER;
}

static uint32_t look(const struct xml_node *node)
{
    struct xml_node child;
    uint32_t facts = 0;
    for (bool more = xml_first(node, &child); more; more = xml_next(&child))
        facts |= facts_of_child(&child);
    return facts;
}

uint32_t payload_facts(const struct stanza *stanza)
{
    struct stanza_facts *memo = (struct stanza_facts *)&stanza->_facts;
    str content = stanza->node.content;
    if (memo->content.p != content.p || memo->content.len != content.len || !content.p)
        *memo = (struct stanza_facts){ content, look(&stanza->node) };
    return memo->facts;
}

bool payload_is_chat_state_only(const struct stanza *stanza)
{
    const uint32_t company = PAYLOAD_THREAD | PAYLOAD_NO_STORE | PAYLOAD_NO_PERMANENT_STORE |
                             PAYLOAD_NO_COPY | PAYLOAD_ORIGIN_ID | PAYLOAD_STANZA_ID | PAYLOAD_PRIVATE |
                             PAYLOAD_ROOM;
    uint32_t facts = payload_facts(stanza);
    bool invites = facts & PAYLOAD_ROOM_INVITE;
    return (facts & PAYLOAD_CHAT_STATE) && !invites && !(facts & ~(company | PAYLOAD_CHAT_STATE));
}

/* ---- Taking out ---- */

/* Copies what stands before a dropped child. The copy is made when the first one is met. */
static void keep(char **copy, size_t *len, str content, const char *from, const char *to, struct arena *arena)
{
    if (!*copy)
        *copy = arena_alloc(arena, content.len);
    if (to > from)
        memcpy(*copy + *len, from, (size_t)(to - from));
    *len += (size_t)(to - from);
}

str payload_without(const struct xml_node *node, const struct payload_filter *filter, struct arena *arena)
{
    str content = node->content;
    const char *kept = content.p;
    char *copy = NULL;
    size_t len = 0;
    struct xml_node child;
    for (bool more = xml_first(node, &child); more; more = xml_next(&child)) {
        if (!filter->drops(filter, &child, arena))
            continue;
        keep(&copy, &len, content, kept, child.bytes.p, arena);
        kept = child.bytes.p + child.bytes.len;
    }
    if (!copy)
        return content;
    keep(&copy, &len, content, kept, content.p + content.len, arena);
    return str_of(copy, len);
}

struct by_name {
    struct payload_filter filter;
    str name, ns;
};

static bool has_name(const struct payload_filter *filter, const struct xml_node *child, struct arena *arena)
{
    const struct by_name *wanted = CONTAINER_OF(filter, struct by_name, filter);
    (void)arena;
    return xml_is(child, wanted->name, wanted->ns);
}

str payload_without_child(const struct xml_node *node, str name, str ns, struct arena *arena)
{
    struct by_name by_name = { { has_name }, name, ns };
    return payload_without(node, &by_name.filter, arena);
}
