/* SPDX-License-Identifier: MIT */
/* What the owner of a device wants to hear of: the nodes NODE for which its capabilities (XEP-0115, XEP-0390)
 * have a feature "NODE+notify" (XEP-0060 §9.2). Each shard keeps the sets that its users need, each once. */
#ifndef EXTENSIONS_PUBSUB_INTEREST_H
#define EXTENSIONS_PUBSUB_INTEREST_H

#include "server/ext.h"

struct interest;

/* With each shard; zeroed. */
struct interest_cache {
    struct map _map;    /* by capability hash */
    struct list _idle;  /* known, and nobody has them now; the longest unused first */
    struct list _asked; /* whom a client is asked for */
    unsigned _idle_count;
    bool _made;
};
void interest_cache_fini(struct interest_cache *cache);

/* Where the extension keeps the cache, and the set of a session (pep.c). */
struct interest_cache *interest_cache_of(struct shard *shard);
struct interest **interest_of(struct session *session);

/* Called with what was sought, when the user is ready: at once or later. `interest` is the caller's to keep
 * with interest_ref(). */
typedef void interest_found(struct user *user, const struct jid *who, struct interest *interest);

/* Finds what the device at the full JID `who` wants: its presence names a hash. `known`: what it wanted until
 * now, or NULL; the same hash again is no news. A presence without capabilities changes nothing. */
void interest_seek(struct user *user, const struct jid *who, const struct stanza *presence,
                   const struct interest *known, interest_found *found);

/* Takes the answer to a question of ours; false if it is none. */
bool interest_answer(struct shard *shard, const struct stanza *iq);

/* The device is gone: it will not answer. */
void interest_lost(struct shard *shard, str full);

struct interest *interest_ref(struct interest *interest);
void interest_unref(struct shard *shard, struct interest *interest); /* NULL is allowed */

/* NULL: nothing is wanted. */
bool interest_has(const struct interest *interest, str node);
bool interest_wants(struct session *session, str node);
size_t interest_count(const struct interest *interest);
str interest_name(const struct interest *interest, size_t index);

#endif
