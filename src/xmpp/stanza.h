/* SPDX-License-Identifier: MIT */
/* Stanzas (RFC 6120 §8, RFC 6121): what routing needs to know of one, beside its untouched payload. */
#ifndef XMPP_STANZA_H
#define XMPP_STANZA_H

#include "base/buf.h"
#include "xml/node.h"
#include "xmpp/jid.h"

enum stanza_kind { STANZA_MESSAGE, STANZA_PRESENCE, STANZA_IQ };

enum stanza_type {
    TYPE_NONE, /* no type attribute: a normal message, an available presence */
    TYPE_ERROR,
    TYPE_NORMAL,
    TYPE_CHAT,
    TYPE_GROUPCHAT,
    TYPE_HEADLINE,
    TYPE_UNAVAILABLE,
    TYPE_SUBSCRIBE,
    TYPE_SUBSCRIBED,
    TYPE_UNSUBSCRIBE,
    TYPE_UNSUBSCRIBED,
    TYPE_PROBE,
    TYPE_GET,
    TYPE_SET,
    TYPE_RESULT,
    TYPE_UNKNOWN, /* a value that the RFCs do not know for this kind */
};

/* What payload.c has seen, and in which bytes. */
struct stanza_facts {
    str content;
    uint32_t facts;
};

/* All slices point into the bytes that it was read from, or into an arena. */
struct stanza {
    enum stanza_kind kind;
    enum stanza_type type;
    struct jid from, to; /* none (jid_is_none) if absent */
    str id;              /* raw value, as on the wire; str_none if absent */
    str attrs; /* all attributes but from, to and a default namespace, each with a space before it */
    struct xml_node node; /* for looking inside; its `content` is the payload. To change the payload, set that
                             to other bytes; never change the bytes */
    struct stanza_facts _facts;
};

enum stanza_fault {
    STANZA_OK,
    STANZA_UNKNOWN,     /* not a stanza: another name or namespace */
    STANZA_BAD_FROM,    /* `from` is no JID */
    STANZA_BAD_TO,      /* `to` is no JID: jid-malformed; all but `to` is filled */
    STANZA_BAD_REQUEST, /* an iq without id, of unknown type or with a wrong number of children, a presence of
                           unknown type */
};

/* Reads a first-level element of a jabber:client stream as a stanza (RFC 6120 §8.1, §8.2.3). `declarations`
 * (scanner_header_declarations) and `lang` (the stream's xml:lang, raw, or str_none; §8.1.5) are added to the
 * attributes where needed. The result lives as long as the node's bytes and the arena. */
enum stanza_fault stanza_read(const struct xml_node *node, str declarations, str lang, struct arena *arena,
                              struct stanza *ret);

/* Makes a stanza of our own in the arena; `payload` is XML in the namespace jabber:client by default and is
 * not copied. `id` is raw; str_none for none. */
struct stanza stanza_make(enum stanza_kind kind, enum stanza_type type, str id, str payload,
                          struct arena *arena);

/* Writes it as it goes to `to` (NULL: to its own `to`) on a stream whose default namespace is jabber:client.
 */
void stanza_write(struct buf *out, const struct stanza *stanza, const struct jid *to);

/* A copy in one heap block that refers to nothing else; the caller frees it with free(). */
struct stanza *stanza_copy(const struct stanza *stanza);

/* How many bytes that block has. */
size_t stanza_copy_size(const struct stanza *stanza);

/* A copy with all its bytes in the arena. */
struct stanza *stanza_copy_arena(const struct stanza *stanza, struct arena *arena);

/* The payload. */
static inline str stanza_payload(const struct stanza *stanza)
{
    return stanza->node.content;
}

/* "message", "presence", "iq"; the name of a type, NULL for TYPE_NONE and TYPE_UNKNOWN. */
const char *stanza_kind_name(enum stanza_kind kind);
const char *stanza_type_name(enum stanza_type type);

/* The priority of an available presence, -128..127; 0 if there is none; false if it is not a number in that
 * range (RFC 6121 §4.7.2.3). */
bool stanza_priority(const struct stanza *presence, struct arena *arena, int *ret);

#endif
