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
    void (*_mark)(const struct receipt *receipt, struct store_batch *batch);
    atomic_bool _stored;
    uint64_t archived; /* the entry of its sender's archive; 0: none. Set before anything is routed */
    bool unarchived;   /* the disk has refused that entry; of the home shard */
    bool of_server;    /* set behind receipt_init(): another server sent the stanza */
};

/* Makes one in the caller's memory, held once. `done` is called once, on the shard `home`, in an event; from
 * then on the memory is the caller's again. `mark`: see receipt_mark(); it is called on any thread; NULL:
 * nothing is to be noted. */
void receipt_init(struct receipt *receipt, struct shard *home, void (*done)(struct receipt *receipt),
                  void (*mark)(const struct receipt *receipt, struct store_batch *batch));

/* Notes in a batch that the stanza at hand was handled, if anybody wants to know after a crash. For the batch
 * that keeps the message for its receiver, and for no other: a note without the message loses it, and a
 * message without the note comes twice. receipt_stored() says that the batch is on disk. */
void receipt_mark(struct shard *shard, struct store_batch *batch);
void receipt_stored(struct receipt *receipt);

static inline bool receipt_is_stored(const struct receipt *receipt)
{
    return atomic_load_explicit(&receipt->_stored, memory_order_relaxed);
}

/* Holds the receipt of the stanza at hand; NULL if it has none. */
struct receipt *receipt_hold(struct shard *shard);

static inline struct receipt *receipt_at_hand(const struct shard *shard)
{
    return shard->_receipt;
}

/* The disk has refused receipt->archived of the stanza at hand; on the shard where it completes. */
static inline void receipt_unarchived(struct shard *shard)
{
    if (shard->_receipt)
        shard->_receipt->unarchived = true;
}

/* Whether it completes on this shard. */
static inline bool receipt_is_of(const struct receipt *receipt, const struct shard *shard)
{
    return receipt->_home == shard;
}

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
