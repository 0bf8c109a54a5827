/* SPDX-License-Identifier: MIT */
/* Whom a fan-out goes to on one shard: a list of addresses that is made once and then shared, by count, by
 * all that is sent to it, on whatever thread. It never changes: when somebody comes or goes its owner makes
 * another one.
 *
 * Room occupants are what it is for: a message to a thousand of them is one stanza, one mail to each shard,
 * and no copy of an address. */
#ifndef SERVER_CROWD_H
#define SERVER_CROWD_H

#include "xmpp/jid.h"

#include <stdatomic.h>

struct crowd_member {
    struct jid to;  /* a full JID whose home is the shard */
    uint32_t group; /* the owner's own: what is sent may leave one group out */
};

struct crowd {
    atomic_uint _refs;
    unsigned shard; /* index of the home shard of all of them */
    uint32_t count;
    char *_text;                   /* where the next one's text goes */
    struct crowd_member members[]; /* then their texts */
};

/* Makes one: room for `count` entries with `bytes` of text together. It is filled by crowd_add(), at most
 * so many, before it is sent to for the first time. The caller has the one reference. */
struct crowd *crowd_new(unsigned shard, uint32_t count, size_t bytes);
void crowd_add(struct crowd *crowd, const struct jid *to, uint32_t group);

struct crowd *crowd_ref(struct crowd *crowd);

/* Gives a reference back; the last one frees. NULL is allowed. Any thread. */
void crowd_unref(struct crowd *crowd);

#endif
