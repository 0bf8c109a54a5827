/* SPDX-License-Identifier: MIT */
/* A roster in memory (RFC 6121 §2.1): compact, sorted by JID. Pure: user_roster.c and user_subscription.c act
 * on it. */
#ifndef SERVER_ROSTER_H
#define SERVER_ROSTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "xml/node.h"

enum {
    ROSTER_TO = 1,          /* we get the contact's presence */
    ROSTER_FROM = 2,        /* the contact gets ours */
    ROSTER_ASK = 4,         /* we asked, and no answer yet ("pending out") */
    ROSTER_APPROVED = 8,    /* approved before being asked (§3.4) */
    ROSTER_PENDING_IN = 16, /* the contact asked, and we have not answered; `request` is the stanza */
    ROSTER_LISTED = 32,     /* it is shown in the roster; without, only a request is kept */
};

struct roster_item {
    uint8_t flags;
    uint16_t jid_len;
    uint16_t name_len;   /* of the attribute, ready for a start tag: " name='...'" or nothing */
    uint16_t groups_len; /* of the <group/> elements, ready to be sent */
    char *request;       /* the whole pending subscribe stanza (§3.1.3), or NULL */
    char text[];         /* jid, name, groups */
};

struct roster {
    struct roster_item **items; /* sorted by JID */
    uint32_t count, _room;
    uint32_t listed;
    uint32_t _packed_size;
    char *_packed;    /* items that stand in one block; one that was changed since does not */
    uint64_t version; /* of the roster as clients see it (§2.6) */
};

void roster_fini(struct roster *roster);

static inline str roster_item_jid(const struct roster_item *item)
{
    return str_of(item->text, item->jid_len);
}

/* It was loaded, and will hardly change: all items move to one block of memory. Pointers to them are invalid
 * afterwards. */
void roster_pack(struct roster *roster);

/* The item of a bare JID, or NULL. */
struct roster_item *roster_find(const struct roster *roster, str jid);

/* Sets name and groups (both ready for the wire) of an item, keeping its state; makes it with `flags` if it
 * is not there. Pointers to the old item are invalid afterwards. */
struct roster_item *roster_set(struct roster *roster, str jid, str name, str groups, uint8_t flags_if_new);

/* Changes the flags of an item in the roster. */
void roster_set_flags(struct roster *roster, struct roster_item *item, uint8_t flags);

/* Keeps a request's stanza (a copy), or forgets it (str_none). */
void roster_set_request(struct roster_item *item, str stanza);

void roster_remove(struct roster *roster, str jid);

/* Writes <item .../> as clients see it (§2.1.2), and as it is stored. */
void roster_item_write(struct buf *out, const struct roster_item *item);

/* Reads what roster_item_write() wrote, into the roster; false if it can't be read. */
bool roster_item_read(struct roster *roster, str jid, str value, struct arena *arena);

#endif
