/* SPDX-License-Identifier: MIT */
/* Server dialback: keys (XEP-0185) and the elements that carry them (XEP-0220). Pure: who asks whom, and
 * when, is the server's matter. */
#ifndef XMPP_DIALBACK_H
#define XMPP_DIALBACK_H

#include "xmpp/error.h"

enum { DIALBACK_KEY_SIZE = 65 }; /* 64 hexadecimal digits and a NUL */

/* The key that `originating` shows to `receiving` on the stream with this id, as the one who knows `secret`
 * makes it. */
void dialback_key(str secret, str receiving, str originating, str stream_id, char ret[DIALBACK_KEY_SIZE]);

/* Whether `key` is that key; in constant time. */
bool dialback_key_is(str secret, str receiving, str originating, str stream_id, str key);

enum dialback_kind { DIALBACK_RESULT, DIALBACK_VERIFY };
enum dialback_type { DIALBACK_REQUEST, DIALBACK_VALID, DIALBACK_INVALID, DIALBACK_ERROR };

struct dialback {
    enum dialback_kind kind;
    enum dialback_type type;
    str from, to;            /* domains in normal form */
    str id;                  /* of a verify: the stream's */
    str key;                 /* of a request */
    enum stanza_error error; /* of an error */
};

enum dialback_fault {
    DIALBACK_OK,
    DIALBACK_OTHER,       /* not an element of dialback */
    DIALBACK_BAD_ADDRESS, /* from or to is missing or no domain: improper-addressing */
    DIALBACK_BAD_FORM,    /* an unknown type, or a verify without id */
};

/* Reads a first-level element; slices of the result point into its bytes or the arena. */
enum dialback_fault dialback_read(const struct xml_node *node, struct arena *arena, struct dialback *ret);

/* Writes one; the prefix `db` must be declared on the stream. */
void dialback_write(struct buf *out, const struct dialback *dialback);

/* The answer to a request: addresses swapped; `error` counts for DIALBACK_ERROR alone. */
struct dialback dialback_reply(const struct dialback *request, enum dialback_type type,
                               enum stanza_error error);

#endif
