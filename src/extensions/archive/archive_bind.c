/* SPDX-License-Identifier: MIT */
/* The archive's part in a binding by XEP-0386 (§3.2): its first and its last id, as they are at the very
 * moment at which the session is bound. What came before is in the archive, what comes later comes to the
 * session.
 *
 * The ids are read while the user takes nothing else, behind all that is on its way to the log; a message
 * that is handled between that and the binding moves the end (keep() in archive.c). If they can't be read,
 * nothing is said: the client asks as after any binding. */
#include "extensions/archive/archive.h"

#include "base/log.h"
#include "extensions/archive/mam.h"

#include <stdlib.h>

struct ends {
    struct store_read read;
    struct store_commit commit;
    struct bind2_wait *wait;
    uint64_t first;
};

static void finish(struct ends *ends)
{
    struct bind2_wait *wait = ends->wait;
    store_read_fini(&ends->read);
    free(ends);
    bind2_was_read(wait);
}

/* In an event; false: the store failed, and the binding goes on without. */
static bool enter(struct ends *ends, enum err err)
{
    struct user *user = ends->wait->user;
    shard_enter(user->actor.shard);
    shard_commit_ended(user->actor.shard);
    if (err == OK)
        return true;
    log_error(store, "the ends of the archive of %s were not read: %s", user->actor.bare, err_text(err));
    finish(ends);
    shard_leave(user->actor.shard);
    return false;
}

static void find(struct ends *ends, bool last, void (*done)(struct store_read *read))
{
    struct user *user = ends->wait->user;
    struct shard *shard = user->actor.shard;
    ends->read.done = done;
    shard_commit_began(shard);
    store_log_find(shard->server->store, shard->loop, user_bare(user), STR(ARCHIVE_KIND),
                   &(struct store_log_query){ .peer = str_none, .limit = 1, .last = last }, &ends->read);
}

static void last_read(struct store_read *read)
{
    struct ends *ends = CONTAINER_OF(read, struct ends, read);
    struct user *user = ends->wait->user;
    struct archive_user *archive = archive_user(user);
    if (!enter(ends, read->err))
        return;
    archive->ends_known = true;
    archive->first_id = ends->first;
    if (read->count && read->entries[0].id > archive->last_id)
        archive->last_id = read->entries[0].id;
    finish(ends);
    shard_leave(user->actor.shard);
}

static void first_read(struct store_read *read)
{
    struct ends *ends = CONTAINER_OF(read, struct ends, read);
    struct user *user = ends->wait->user;
    if (!enter(ends, read->err))
        return;
    ends->first = read->count ? read->entries[0].id : 0;
    store_read_fini(read);
    *read = (struct store_read){ 0 };
    find(ends, true, last_read);
    shard_leave(user->actor.shard);
}

static void flushed(struct store_commit *commit)
{
    struct ends *ends = CONTAINER_OF(commit, struct ends, commit);
    struct user *user = ends->wait->user;
    if (!enter(ends, commit->err))
        return;
    find(ends, false, first_read);
    shard_leave(user->actor.shard);
}

void archive_bind_read(struct bind2_wait *wait)
{
    struct shard *shard = wait->user->actor.shard;
    struct archive_user *archive = archive_user(wait->user);
    struct ends *ends = NEW(struct ends);
    ends->wait = wait;
    archive->ends_known = false;
    if (appends_are_done(shard, archive->serial)) {
        find(ends, false, first_read);
        return;
    }
    appends_flush(shard);
    ends->commit.done = flushed;
    shard_commit_began(shard);
    store_commit(shard->server->store, shard->loop, store_batch_new(), &ends->commit);
}

void archive_bind_tell(struct bind2_event *event)
{
    struct user *user = event->session->user;
    struct archive_user *archive = archive_user(user);
    if (!archive->ends_known)
        return;
    archive->ends_known = false;
    mam_metadata_write(event->bound, archive->first_id, archive->first_id ? archive->last_id : 0,
                       &user->actor.shard->arena);
}
