/* SPDX-License-Identifier: MIT */
/* Receipts: counted, since what a stanza began may be under way in several places and on several threads. The
 * count is atomic; the end of it is told on the thread that asked, by mail if it came about elsewhere.
 *
 * Why not a message for each step: most stanzas are done when their event is over, on one shard, and then
 * this costs an increment and a decrement. */
#include "server/receipt.h"

static void came_home(struct shard *shard, struct shard_call *call)
{
    struct receipt *receipt = CONTAINER_OF(call, struct receipt, _call);
    (void)shard;
    receipt->_done(receipt);
}

void receipt_init(struct receipt *receipt, struct shard *home, void (*done)(struct receipt *receipt),
                  void (*mark)(const struct receipt *receipt, struct store_batch *batch))
{
    atomic_init(&receipt->_refs, 1);
    receipt->_home = home;
    receipt->_call.run = came_home;
    receipt->_done = done;
    receipt->_mark = mark;
    receipt->of_server = false;
    receipt->archived = 0;
    receipt->unarchived = false;
    atomic_init(&receipt->_stored, false);
}

void receipt_mark(struct shard *shard, struct store_batch *batch)
{
    const struct receipt *receipt = shard->_receipt;
    if (receipt && receipt->_mark)
        receipt->_mark(receipt, batch);
}

/* Seen by whoever completes it, since letting go of it comes after this. */
void receipt_stored(struct receipt *receipt)
{
    if (receipt)
        atomic_store_explicit(&receipt->_stored, true, memory_order_relaxed);
}

struct receipt *receipt_hold(struct shard *shard)
{
    struct receipt *receipt = shard->_receipt;
    if (receipt)
        atomic_fetch_add_explicit(&receipt->_refs, 1, memory_order_relaxed);
    return receipt;
}

void receipt_release(struct shard *shard, struct receipt *receipt)
{
    if (!receipt || atomic_fetch_sub_explicit(&receipt->_refs, 1, memory_order_acq_rel) > 1)
        return;
    if (receipt->_home == shard || shard->server->over)
        receipt->_done(receipt);
    else
        shard_post(receipt->_home, &receipt->_call);
}
