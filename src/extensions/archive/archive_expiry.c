/* SPDX-License-Identifier: MIT */
/* Messages that are older than the host's `keep` go. Each shard walks through the owners of archives once in
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

/* The host whose user this is, if messages do not stay for ever there; else NULL. */
static struct host *forgetful_host(struct shard *shard, str owner)
{
    struct jid jid;
    if (server_home(shard->server, owner) != shard || jid_parse(owner, &shard->arena, &jid) != OK)
        return NULL;
    struct host *host = server_host(shard->server, jid_domain(&jid));
    return host && archive_settings(host)->keep_ms ? host : NULL;
}

static void deleted(struct store_commit *commit)
{
    struct archive_expiry *expiry = CONTAINER_OF(commit, struct archive_expiry, commit);
    shard_commit_ended(expiry->shard);
    if (commit->err)
        log_error(store, "old messages were not removed: %s", err_text(commit->err));
    next_in(expiry, PAUSE_MS);
}

static void expire(struct archive_expiry *expiry)
{
    struct shard *shard = expiry->shard;
    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < expiry->read.count; i++) {
        str owner = expiry->read.rows[i].owner;
        const struct host *host = forgetful_host(shard, owner);
        if (!host)
            continue;
        int64_t oldest = loop_wall_ms(shard->loop) - (int64_t)archive_settings(host)->keep_ms;
        if (oldest > 0)
            store_log_del(batch, owner, STR(ARCHIVE_KIND), 1, append_id_from(oldest) - 1);
    }
    free(expiry->after);
    expiry->after = str_dup(expiry->read.rows[expiry->read.count - 1].owner);
    expiry->commit.done = deleted;
    shard_commit_began(shard);
    store_commit(shard->server->store, shard->loop, batch, &expiry->commit);
}

static void owners_read(struct store_read *read)
{
    struct archive_expiry *expiry = CONTAINER_OF(read, struct archive_expiry, read);
    shard_enter(expiry->shard);
    shard_commit_ended(expiry->shard);
    if (read->err == OK && read->count)
        expire(expiry);
    else
        round_ends(expiry);
    store_read_fini(read);
    shard_leave(expiry->shard);
}

static void timer_fired(struct timer *timer)
{
    struct archive_expiry *expiry = CONTAINER_OF(timer, struct archive_expiry, timer);
    struct shard *shard = expiry->shard;
    if (shard->stopping)
        return;
    expiry->busy = true;
    expiry->read.done = owners_read;
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
