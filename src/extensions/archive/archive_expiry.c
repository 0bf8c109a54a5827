/* SPDX-License-Identifier: MIT */
/* Messages that are older than the host's `keep` go, or than what an administrator has set for a user
 * (archive_retention.c). Each shard walks through the owners of archives once in
 * EVERY_MS, a slice of them at a time and with a pause between two slices, and removes what is too old of
 * those whose home it is: so archives of users who never come are emptied too, and the store is never busy
 * with it for long. The first walk begins a while after the shard's first login.
 *
 * The time of a message is in its id, so what goes is a range of ids, the oldest ones (XEP-0313 §3.2). */
#include "extensions/archive/archive.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    FIRST_MS = 60 * 1000,
    EVERY_MS = 6 * 60 * 60 * 1000,
    PAUSE_MS = 200,
    SLICE = 50,
};

static struct archive_expiry *expiry_of(struct shard *shard)
{
    return ext_shard(shard, &archive_slot);
}

static void next_in(struct archive_expiry *expiry, uint64_t ms)
{
    expiry->busy = false;
    timer_start(expiry->shard->loop, &expiry->timer, ms);
}

static void round_ends(struct archive_expiry *expiry)
{
    free(expiry->after);
    expiry->after = NULL;
    next_in(expiry, EVERY_MS);
}

/* The host whose user this is, if the user's home is here; else NULL. */
static struct host *host_of(struct shard *shard, str owner)
{
    struct jid jid;
    if (server_home(shard->server, owner) != shard || jid_parse(owner, &shard->arena, &jid) != OK)
        return NULL;
    return server_host(shard->server, jid_domain(&jid));
}

static void deleted(struct store_commit *commit)
{
    struct archive_expiry *expiry = CONTAINER_OF(commit, struct archive_expiry, commit);
    shard_commit_ended(expiry->shard);
    if (commit->err)
        log_error(store, "old messages were not removed: %s", err_text(commit->err));
    next_in(expiry, PAUSE_MS);
}

static void end_slice(struct archive_expiry *expiry)
{
    struct shard *shard = expiry->shard;
    struct store_batch *batch = expiry->batch;
    free(expiry->after);
    expiry->after = str_dup(expiry->read.rows[expiry->read.count - 1].owner);
    expiry->batch = NULL;
    store_read_fini(&expiry->read);
    expiry->commit.done = deleted;
    shard_commit_began(shard);
    store_commit(shard->server->store, shard->loop, batch, &expiry->commit);
}

static void expire(struct archive_expiry *expiry, const struct host *host, str owner,
                   const struct store_read *row)
{
    uint64_t keep_ms = archive_settings(host)->keep_ms;
    if (row->count)
        archive_retention_read(row->rows[0].value, &keep_ms);
    int64_t oldest = loop_wall_ms(expiry->shard->loop) - (int64_t)keep_ms;
    if (keep_ms && oldest > 0)
        store_log_del(expiry->batch, owner, STR(ARCHIVE_KIND), 1, append_id_from(oldest) - 1);
}

static void next_owner(struct archive_expiry *expiry);

/* What can't be read now is not touched: it may be somebody's who is to be kept for ever. */
static void own_read(struct store_read *row)
{
    struct archive_expiry *expiry = CONTAINER_OF(row, struct archive_expiry, row);
    struct shard *shard = expiry->shard;
    str owner = expiry->read.rows[expiry->at].owner;
    shard_enter(shard);
    shard_commit_ended(shard);
    const struct host *host = host_of(shard, owner);
    if (row->err == OK && host)
        expire(expiry, host, owner, row);
    store_read_fini(row);
    expiry->at++;
    next_owner(expiry);
    shard_leave(shard);
}

static void next_owner(struct archive_expiry *expiry)
{
    struct shard *shard = expiry->shard;
    const struct store_read *read = &expiry->read;
    while (expiry->at < read->count && (shard->stopping || !host_of(shard, read->rows[expiry->at].owner)))
        expiry->at++; /* a stop does not wait for all of them */
    if (expiry->at == read->count) {
        end_slice(expiry);
        return;
    }
    expiry->row = (struct store_read){ .done = own_read };
    shard_commit_began(shard);
    store_get(shard->server->store, shard->loop, read->rows[expiry->at].owner, STR(ARCHIVE_RETENTION),
              STR(""), &expiry->row);
}

static void owners_read(struct store_read *read)
{
    struct archive_expiry *expiry = CONTAINER_OF(read, struct archive_expiry, read);
    shard_enter(expiry->shard);
    shard_commit_ended(expiry->shard);
    if (read->err == OK && read->count) {
        expiry->batch = store_batch_new();
        expiry->at = 0;
        next_owner(expiry);
    } else {
        store_read_fini(read);
        round_ends(expiry);
    }
    shard_leave(expiry->shard);
}

static void timer_fired(struct timer *timer)
{
    struct archive_expiry *expiry = CONTAINER_OF(timer, struct archive_expiry, timer);
    struct shard *shard = expiry->shard;
    if (shard->stopping)
        return;
    expiry->busy = true;
    expiry->read = (struct store_read){ .done = owners_read };
    shard_commit_began(shard);
    store_log_owners(shard->server->store, shard->loop, STR(ARCHIVE_KIND), str_from(expiry->after), SLICE,
                     &expiry->read);
}

void archive_expiry_start(struct shard *shard)
{
    struct archive_expiry *expiry = expiry_of(shard);
    if (expiry->shard)
        return;
    expiry->shard = shard;
    expiry->timer.fired = timer_fired;
    next_in(expiry, FIRST_MS);
}

void archive_expiry_fini(struct shard *shard)
{
    timer_stop(&expiry_of(shard)->timer);
    free(expiry_of(shard)->after);
}
