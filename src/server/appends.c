/* SPDX-License-Identifier: MIT */
/* Why not a batch for each entry: a message of a pair of users is two entries, and a batch with its memory,
 * the store's lock, its wake-up and the mail back cost more than the entry itself. The store gathers batches
 * for one commit anyway; here the entries of a shard are gathered for one batch. An entry is not delayed by
 * that: it leaves at the end of the loop's turn when nothing is under way, and otherwise could not have been
 * committed sooner. What a client waits for, and a batch that has grown large, leaves when the turn ends: not
 * before, since a stanza is not to be torn in two.
 *
 * A batch fails as a whole: what makes an append fail is the disk, and it fails for all of them.
 *
 * The clock of ids is that of the machine, but never behind the newest entry of any log that the store had
 * when it was opened, nor behind an id of this shard. A log belongs to one shard, so its ids rise. */
#include "server/appends.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/link.h"
#include "server/receipt.h"

#include <stdlib.h>

enum { BATCH_BYTES = 256 * 1024, LOOK_AGAIN_MS = 5, STEP_BITS = 8 };

struct append_batch {
    struct store_commit commit;
    struct shard *shard;
    struct store_batch *batch;
    struct list waiting; /* struct append_waiter */
    size_t bytes;
    uint64_t serial;
};

/* Holds a receipt, for entries whose caller does not wait. */
static void only_receipt(struct shard *shard, struct append_waiter *append, enum err err)
{
    (void)shard;
    (void)err;
    free(append);
}

static void complete(struct append_batch *done)
{
    struct shard *shard = done->shard;
    for (struct list *link; (link = list_shift(&done->waiting)) != NULL;) {
        struct append_waiter *append = LIST_ITEM(link, struct append_waiter, _link);
        struct receipt *receipt = append->_receipt;
        struct receipt *before = receipt_enter(shard, receipt);
        append->done(shard, append, done->commit.err);
        receipt_leave(shard, before);
        receipt_release(shard, receipt);
    }
}

static void committed(struct store_commit *commit)
{
    struct append_batch *done = CONTAINER_OF(commit, struct append_batch, commit);
    struct shard *shard = done->shard;
    struct appends *appends = &shard->appends;
    shard_enter(shard);
    shard_commit_ended(shard);
    if (commit->err != OK)
        log_error(store, "messages were not stored: %s", err_text(commit->err));
    appends->_under_way--;
    appends->_done = done->serial;
    atomic_fetch_sub_explicit(&shard->server->append_bytes, done->bytes, memory_order_relaxed);
    complete(done);
    if (appends->_gathering && !appends->_under_way)
        appends_flush(shard);
    shard_leave(shard);
    free(done);
}

void appends_flush(struct shard *shard)
{
    struct appends *appends = &shard->appends;
    struct append_batch *full = appends->_gathering;
    if (!full)
        return;
    struct store_batch *batch = full->batch;
    appends->_gathering = NULL;
    appends->_under_way++;
    task_cancel(&appends->_task);
    store_commit(shard->server->store, shard->loop, batch, &full->commit);
}

static void turn_ends(struct task *task)
{
    appends_flush(CONTAINER_OF(task, struct shard, appends._task));
}

static struct append_batch *gathering(struct shard *shard)
{
    struct appends *appends = &shard->appends;
    if (appends->_gathering)
        return appends->_gathering;
    struct append_batch *new = NEW(struct append_batch);
    new->commit.done = committed;
    new->shard = shard;
    new->batch = store_batch_new();
    new->serial = ++appends->_serial;
    list_init(&new->waiting);
    appends->_gathering = new;
    shard_commit_began(shard);
    if (!appends->_under_way)
        loop_defer(shard->loop, &appends->_task);
    return new;
}

struct store_batch *appends_batch(struct shard *shard)
{
    return gathering(shard)->batch;
}

void appends_wait(struct shard *shard, struct append_waiter *append)
{
    append->_receipt = NULL;
    list_append(&gathering(shard)->waiting, &append->_link);
}

uint64_t appends_hurry(struct shard *shard)
{
    uint64_t serial = gathering(shard)->serial;
    loop_defer(shard->loop, &shard->appends._task);
    return serial;
}

/* The receipt of the stanza at hand needs somebody who holds it. */
static void hold(struct shard *shard, struct append_waiter *append)
{
    if (!append && shard->_receipt) {
        append = NEW(struct append_waiter);
        append->done = only_receipt;
    }
    if (!append)
        return;
    appends_wait(shard, append);
    append->_receipt = receipt_hold(shard);
}

uint64_t appends_add(struct shard *shard, str owner, str kind, const struct store_entry *entry,
                     struct append_waiter *append)
{
    struct append_batch *batch = gathering(shard);
    uint64_t serial = batch->serial;
    size_t bytes = owner.len + entry->peer.len + entry->value.len + entry->text.len;
    store_append(batch->batch, owner, kind, entry);
    hold(shard, append);
    batch->bytes += bytes;
    atomic_fetch_add_explicit(&shard->server->append_bytes, bytes, memory_order_relaxed);
    if (batch->bytes > BATCH_BYTES)
        appends_hurry(shard);
    return serial;
}

bool appends_are_done(const struct shard *shard, uint64_t serial)
{
    return serial <= shard->appends._done;
}

bool appends_is_gathering(const struct shard *shard, uint64_t serial)
{
    const struct append_batch *batch = shard->appends._gathering;
    return batch && batch->serial == serial;
}

/* ---- Holding clients back
 * ---------------------------------------------------------------------------------------- */

static size_t on_their_way(const struct shard *shard)
{
    return atomic_load_explicit(&shard->server->append_bytes, memory_order_relaxed);
}

static size_t limit(const struct shard *shard)
{
    return shard->server->config->limits.store_queue;
}

static void look_again(struct timer *timer)
{
    struct shard *shard = CONTAINER_OF(timer, struct shard, appends._timer);
    if (on_their_way(shard) > limit(shard) / 2) {
        timer_start(shard->loop, timer, LOOK_AGAIN_MS);
        return;
    }
    shard_enter(shard);
    list_each_safe (at, &shard->links) {
        struct link *link = LIST_ITEM(at, struct link, _in_shard);
        if (!link->waiting)
            continue;
        link->waiting = false;
        link->ops->resume(link);
    }
    shard_leave(shard);
}

bool appends_hold_back(struct shard *shard)
{
    struct timer *timer = &shard->appends._timer;
    if (!timer_running(timer)) {
        if (on_their_way(shard) <= limit(shard))
            return false;
        timer_start(shard->loop, timer, LOOK_AGAIN_MS);
        shard->counters.held_back++;
    }
    return true;
}

/* ---- Ids
 * ---------------------------------------------------------------------------------------------------------
 */

static uint32_t random_bits(struct appends *appends)
{
    if (!appends->_random_left) {
        rand_bytes(appends->_random, sizeof appends->_random);
        appends->_random_left = APPEND_RANDOM;
    }
    return appends->_random[--appends->_random_left];
}

uint64_t append_id(struct shard *shard, uint64_t last)
{
    struct appends *appends = &shard->appends;
    int64_t now = loop_wall_ms(shard->loop);
    uint32_t bits = random_bits(appends);
    if (!last && now <= appends->_newest_ms)
        now = appends->_newest_ms + 1; /* what it has to follow may be of that very moment */
    if (now > appends->_newest_ms)
        appends->_newest_ms = now;
    uint64_t id = append_id_from(appends->_newest_ms) | (bits & ((1u << APPEND_ID_BITS) - 1));
    if (id <= last)
        id = last + 1 + (bits & ((1u << STEP_BITS) - 1));
    if (append_id_ms(id) > appends->_newest_ms)
        appends->_newest_ms = append_id_ms(id);
    return id;
}

uint64_t append_id_from(int64_t ms)
{
    const int64_t most = INT64_MAX >> APPEND_ID_BITS;
    return ms < 0 ? 0 : (uint64_t)(ms > most ? most : ms) << APPEND_ID_BITS;
}

/* ---- Of the shard
 * ------------------------------------------------------------------------------------------------ */

/* What earlier runs have given is older by a millisecond at least. */
void appends_init(struct shard *shard)
{
    shard->appends._task.run = turn_ends;
    shard->appends._timer.fired = look_again;
    shard->appends._newest_ms = store_newest_ms(shard->server->store) + 1;
}

bool appends_drop(struct shard *shard)
{
    struct append_batch *batch = shard->appends._gathering;
    timer_stop(&shard->appends._timer);
    if (!batch)
        return false;
    task_cancel(&shard->appends._task);
    shard->appends._gathering = NULL;
    batch->commit.err = ERR_CANCELED;
    shard_enter(shard);
    complete(batch);
    shard_leave(shard);
    store_batch_free(batch->batch);
    free(batch);
    return true;
}
