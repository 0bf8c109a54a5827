/* SPDX-License-Identifier: MIT */
/* What kind of actor a user is.
 *
 * What is kept of a user: rows of kind `account` (key "": the SCRAM keys; key `roster-version`), `roster` (an
 * item a row) and `request` (a pending subscription request a row, whole); and those of extensions. While the
 * user is busy the links of its own sessions stop reading, so the order of RFC 6120 §10.1 holds. */
#include "server/user/user.h"

#include "base/log.h"
#include "base/planted.h"
#include "server/account.h"
#include "server/ext.h"
#include "server/user/user_handover.h"

#include <stdlib.h>

struct user *user_awake(struct shard *shard, str bare)
{
    struct actor *actor = actor_awake(shard, bare);
    return actor && !actor->host->service ? USER_OF(actor) : NULL;
}

/* ---- As an actor
 * ------------------------------------------------------------------------------------------------ */

static const char *rows(const struct actor *actor)
{
    return actor->shard->server->user_rows;
}

static void load_row(struct actor *actor, const struct store_row *row)
{
    struct user *user = USER_OF(actor);
    if (str_is(row->kind, "account")) {
        if (row->key.len == 0) {
            user->actor.exists = true;
            user->disabled = account_is_disabled(row->value);
        } else if (str_is(row->key, "roster-version")) {
            str_to_u64(row->value, UINT64_MAX, &user->roster.version);
        }
        return;
    }
    if (str_is(row->kind, "request")) {
        struct roster_item *item = roster_find(&user->roster, row->key);
        if (!item)
            item = roster_set(&user->roster, row->key, str_none, str_none, 0);
        roster_set_flags(&user->roster, item, item->flags | ROSTER_PENDING_IN);
        roster_set_request(item, row->value);
        return;
    }
    if (ext_load_row(user, row))
        return;
    if (!roster_item_read(&user->roster, row->key, row->value, &actor->shard->arena))
        log_error(user, "roster of %s: the item of %.*s can't be read", actor->bare, STR_ARGS(row->key));
}

static void loaded(struct actor *actor, bool ok)
{
    roster_pack(&USER_OF(actor)->roster);
    if (ok)
        sm_restore(USER_OF(actor));
    else
        user_unreadable(USER_OF(actor));
}

static void forget(struct actor *actor)
{
    struct user *user = USER_OF(actor);
    roster_fini(&user->roster);
    sm_forget_rows(user);
    ext_user_reset(user);
}

/* Links whose stanzas waited go on. */
static void ready(struct actor *actor)
{
    struct user *user = USER_OF(actor);
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (actor->state != ACTOR_READY)
            return;
        if (!session->link || !session->link->waiting)
            continue;
        session->link->waiting = false;
        session->link->ops->resume(session->link);
    }
}

static bool may_sleep(const struct actor *actor)
{
    const struct user *user = USER_OF(actor);
    if (PLANTED(PLANTED_LEAKED_ACTOR) && user->last_log_id)
        return false;
    return list_empty(&user->sessions) && !user->appends_pending && !user->catchup && !user->handover;
}

static void user_free(struct actor *actor)
{
    struct user *user = USER_OF(actor);
    list_each_safe (at, &user->sessions)
        session_drop(SESSION_OF(at)); /* at the server's end: one that waited for its resumption */
    offline_drop(user);
    handover_drop(user);
    free(user->pasts);
    slab_free(&actor->shard->user_slab, user);
}

static const struct actor_kind kind = {
    .rows = rows,
    .load_row = load_row,
    .loaded = loaded,
    .receive = user_receive,
    .refuse = user_refuse,
    .forget = forget,
    .ready = ready,
    .may_sleep = may_sleep,
    .free = user_free,
};

static struct user *user_new(struct shard *shard, struct host *host, const struct jid *jid, bool load)
{
    struct user *user = slab_alloc(&shard->user_slab);
    list_init(&user->sessions);
    actor_start(&user->actor, &kind, shard, host, jid, load);
    return user;
}

struct user *user_make_anonymous(struct shard *shard, struct host *host, const struct jid *jid)
{
    struct user *user = user_new(shard, host, jid, false);
    user->anonymous = true;
    user->actor.exists = true;
    return user;
}

struct user *user_wake(struct shard *shard, struct host *host, const struct jid *jid)
{
    struct user *user = user_awake(shard, jid_bare(jid));
    return user ? user : user_new(shard, host, jid, true);
}

/* ---- The administrator
 * ------------------------------------------------------------------------------------------ */

size_t user_kick(struct user *user, str resource, enum stream_error error, const char *text)
{
    size_t count = 0;
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (session->closing || (resource.len && !str_eq(session_resource(session), resource)))
            continue;
        if (session->link)
            session->link->ops->close(session->link, error, text);
        else
            session_close(session);
        count++;
    }
    return count;
}

void user_unreadable(struct user *user)
{
    user->actor.exists = false;
    user->actor.unknown = true;
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (session->link && !session->closing)
            session->link->ops->close(session->link, STREAM_ERROR_INTERNAL_SERVER_ERROR, NULL);
    }
}

void user_removed(struct user *user)
{
    user->actor.exists = false;
    user_kick(user, str_none, STREAM_ERROR_NOT_AUTHORIZED, "the account was removed");
    forget(&user->actor);
    actor_touch(&user->actor);
}
