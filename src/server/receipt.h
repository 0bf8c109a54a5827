/* SPDX-License-Identifier: MIT */
/* A receipt: who must know when all that a stanza began is done. Stream management acknowledges a stanza only
 * then (XEP-0198 §4: "handled"; for us: delivered, or on disk).
 *
 * It is counted: the event that handles the stanza holds it, and so does whatever goes on after that event: a
 * delivery on its way (also to another shard), a stanza that is parked, a write. The last one to let go
 * completes it, at its home. Stanzas of sessions without stream management have none: then all these
 * functions take and give NULL and do nothing.
 *
 * An extension that handles a stanza with a write of its own (not actor_write(), ext_op or route(), which do
 * this by themselves) calls receipt_hold() when it begins, and receipt_release() when the write is done or
 * has failed for good. Before it sends something in the stanza's name later, it says so with receipt_enter().
 */
#ifndef SERVER_RECEIPT_H
#define SERVER_RECEIPT_H

#include "server/shard.h"

struct receipt {
    atomic_uint _refs;
    struct shard *_home;
    struct shard_call _call;
    void (*_done)(struct receipt *receipt);
};

/* Makes one in the caller's memory, held once. `done` is called once, on the shard `home`, in an event; from
 * then on the memory is the caller's again. */
void receipt_init(struct receipt *receipt, struct shard *home, void (*done)(struct receipt *receipt));

/* Holds the receipt of the stanza at hand; NULL if it has none. */
struct receipt *receipt_hold(struct shard *shard);

/* Lets go of it; `shard` is where the caller runs. NULL is allowed. */
void receipt_release(struct shard *shard, struct receipt *receipt);

/* Makes this the receipt of the stanza at hand (NULL: none), and returns which one was before; what is routed
 * from here on holds it. receipt_leave() takes that back. Does not count. */
static inline struct receipt *receipt_enter(struct shard *shard, struct receipt *receipt)
{
    struct receipt *before = shard->_receipt;
    shard->_receipt = receipt;
    return before;
}

static inline void receipt_leave(struct shard *shard, struct receipt *before)
{
    shard->_receipt = before;
}

#endif
