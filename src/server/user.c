/* SPDX-License-Identifier: MIT */
/* The life of a user's actor: wake, load, act, sleep; and the rule that nothing is said before it is written.
 *
 * There are three states. LOADING: the store was asked for account and roster; all that comes waits. READY:
 * handlers run. BUSY: a write (or another wait) is under way; what comes waits, and links of the user's own
 * sessions stop reading, so the order of RFC 6120 §10.1 holds.
 *
 * What is kept of a user: rows of kind `account` (key "": the SCRAM keys; key `roster-version`), `roster` (an
 * item a row) and `request` (a pending subscription request a row, whole). */
#include "server/user.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    IDLE_MS = 60 * 1000, /* awake without sessions after the last event */
    PARKED_MAX = 1000,   /* what may wait for a user */
};

struct user_load {
    struct store_read read;
    struct user *user;
};

struct user_commit {
    struct store_commit commit;
    struct user *user;
    struct store_batch *batch; /* NULL once it is on its way */
    struct hold hold;
    struct stanza *cause; /* whom to tell if it fails; or NULL */
};

size_t user_size(void)
{
    return sizeof(struct user);
}

str user_key(const struct map_node *node)
{
    const struct user *user = CONTAINER_OF(node, struct user, _node);
    return str_of(user->bare, user->bare_len);
}

struct jid user_jid(const struct user *user)
{
    return (struct jid){ str_of(user->bare, user->bare_len), user->local_len,
                         (uint16_t)(user->bare_len - user->local_len - 1) };
}

struct user *user_awake(struct shard *shard, str bare)
{
    struct map_node *node = map_get(&shard->users, bare);
    return node ? CONTAINER_OF(node, struct user, _node) : NULL;
}

/* ---- Sleeping
 * --------------------------------------------------------------------------------------------------- */

static void user_free(struct user *user)
{
    struct list *link;
    user->exists = false;
    while ((link = list_shift(&user->parked))) {
        struct parked *parked = LIST_ITEM(link, struct parked, link);
        parked->drop(user, parked);
    }
    timer_stop(&user->idle);
    map_remove(&user->shard->users, &user->_node);
    roster_fini(&user->roster);
    free(user->bare);
    slab_free(&user->shard->user_slab, user);
}

static bool may_sleep(const struct user *user)
{
    return user->state == USER_READY && list_empty(&user->sessions) && list_empty(&user->parked) &&
           !user->appends_pending && !user->catchup && !user->_commit;
}

static void idle_fired(struct timer *timer)
{
    struct user *user = CONTAINER_OF(timer, struct user, idle);
    struct shard *shard = user->shard;
    shard_enter(shard);
    if (may_sleep(user))
        user_free(user);
    shard_leave(shard);
}

void user_touch(struct user *user)
{
    if (!may_sleep(user))
        return;
    /* one without an account is dropped at once: who asks for many must not fill our memory */
    timer_start(user->shard->loop, &user->idle, user->exists ? IDLE_MS : 1);
}

void users_drop_all(struct shard *shard)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    struct user **all = xcalloc(shard->users.count + 1, sizeof(struct user *));
    while ((node = map_next(&shard->users, &walk)))
        all[count++] = CONTAINER_OF(node, struct user, _node);
    for (size_t i = 0; i < count; i++)
        user_free(all[i]);
    free(all);
}

/* ---- Waking
 * ----------------------------------------------------------------------------------------------------- */

static void run_parked(struct user *user)
{
    while (user->state == USER_READY && !list_empty(&user->parked)) {
        struct parked *parked = LIST_ITEM(list_shift(&user->parked), struct parked, link);
        user->parked_count--;
        if (user->exists || user->anonymous)
            parked->run(user, parked);
        else
            parked->drop(user, parked);
        user_handled(user);
    }
}

static void resume_links(struct user *user)
{
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (user->state != USER_READY)
            return;
        if (!session->link || !session->link->waiting)
            continue;
        session->link->waiting = false;
        session->link->ops->resume(session->link);
    }
}

void user_block(struct user *user)
{
    user->state = USER_BUSY;
}

void user_unblock(struct user *user)
{
    user->state = USER_READY;
    run_parked(user);
    if (user->state == USER_READY)
        resume_links(user);
    user_touch(user);
}

static void load_row(struct user *user, const struct store_row *row, struct arena *arena)
{
    if (str_is(row->kind, "account")) {
        if (row->key.len == 0)
            user->exists = true;
        else if (str_is(row->key, "roster-version"))
            str_to_u64(row->value, UINT64_MAX, &user->roster.version);
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
    if (!roster_item_read(&user->roster, row->key, row->value, arena))
        log_error(user, "roster of %s: the item of %.*s can't be read", user->bare, STR_ARGS(row->key));
}

static void loaded(struct store_read *read)
{
    struct user_load *load = CONTAINER_OF(read, struct user_load, read);
    struct user *user = load->user;
    struct shard *shard = user->shard;
    bool failed = read->err != OK;
    shard_enter(shard);
    if (failed)
        log_error(user, "%s can't be loaded: %s", user->bare, err_text(read->err));
    for (size_t i = 0; !failed && i < read->count; i++)
        load_row(user, &read->rows[i], &shard->arena);
    store_read_fini(read);
    free(load);
    user->_load = NULL;
    if (failed) { /* with an empty roster nobody may go on: it would be written over the one on disk */
        user->exists = false;
        user_kick(user, str_none, STREAM_ERROR_INTERNAL_SERVER_ERROR, NULL);
    }
    user_unblock(user);
    shard_leave(shard);
}

static void start_load(struct user *user)
{
    struct user_load *load = NEW(struct user_load);
    load->user = user;
    load->read.done = loaded;
    user->_load = load;
    user->state = USER_LOADING;
    user->shard->counters.actor_wakes++;
    store_get_all(user->shard->server->store, user->shard->loop, str_of(user->bare, user->bare_len),
                  STR("account,request,roster"), &load->read);
}

static struct user *user_new(struct shard *shard, struct host *host, const struct jid *jid)
{
    struct user *user = slab_alloc(&shard->user_slab);
    user->shard = shard;
    user->host = host;
    user->bare = str_dup(jid_bare(jid));
    user->bare_len = (uint16_t)jid_bare_len(jid);
    user->local_len = jid->local_len;
    user->idle.fired = idle_fired;
    list_init(&user->parked);
    list_init(&user->sessions);
    map_put(&shard->users, &user->_node);
    return user;
}

struct user *user_make_anonymous(struct shard *shard, struct host *host, const struct jid *jid)
{
    struct user *user = user_new(shard, host, jid);
    user->anonymous = true;
    user->state = USER_READY;
    return user;
}

void user_when_ready(struct shard *shard, struct host *host, const struct jid *jid, struct parked *parked)
{
    struct user *user = user_awake(shard, jid_bare(jid));
    if (!user) {
        user = user_new(shard, host, jid);
        start_load(user);
    }
    if (user->parked_count >= PARKED_MAX) {
        parked->drop(user, parked);
        return;
    }
    list_append(&user->parked, &parked->link);
    user->parked_count++;
    if (user->state == USER_READY && user->parked_count == 1)
        run_parked(user);
}

/* ---- Writing
 * ---------------------------------------------------------------------------------------------------- */

static void commit_failed(struct user *user, struct user_commit *commit, enum err err)
{
    struct shard *shard = user->shard;
    log_error(store, "a change of %s was not stored: %s", user->bare, err_text(err));
    hold_drop(&commit->hold);
    if (commit->cause) {
        struct stanza *cause = ARENA_NEW(&shard->arena, struct stanza);
        *cause = *commit->cause;
        route_error(shard, cause, STANZA_ERROR_RESOURCE_CONSTRAINT,
                    "the change could not be stored; try again later");
    }
    roster_fini(&user->roster);
    start_load(user);
}

static void committed(struct store_commit *base)
{
    struct user_commit *commit = CONTAINER_OF(base, struct user_commit, commit);
    struct user *user = commit->user;
    struct shard *shard = user->shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    user->_commit = NULL;
    if (base->err == OK) {
        hold_release(shard, &commit->hold);
        shard_drain(shard); /* what was held comes before what waited */
        user_unblock(user);
    } else {
        commit_failed(user, commit, base->err);
    }
    shard_leave(shard);
    free(commit->cause);
    free(commit);
}

struct store_batch *user_write(struct user *user, const struct stanza *stanza)
{
    struct user_commit *commit = user->_commit;
    if (commit)
        return commit->batch;
    commit = NEW(struct user_commit);
    commit->user = user;
    commit->commit.done = committed;
    commit->batch = store_batch_new();
    commit->cause = stanza ? stanza_copy(stanza) : NULL;
    hold_init(&commit->hold);
    user->_commit = commit;
    shard_hold(user->shard, &commit->hold);
    return commit->batch;
}

void user_handled(struct user *user)
{
    struct user_commit *commit = user->_commit;
    if (!commit || !commit->batch)
        return;
    struct shard *shard = user->shard;
    struct store_batch *batch = commit->batch;
    commit->batch = NULL;
    shard_hold(shard, NULL);
    user->state = USER_BUSY;
    shard_commit_began(shard);
    store_commit(shard->server->store, shard->loop, batch, &commit->commit);
}

/* ---- The administrator
 * ------------------------------------------------------------------------------------------ */

size_t user_kick(struct user *user, str resource, enum stream_error error, const char *text)
{
    size_t count = 0;
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (!session->link || (resource.len && !str_eq(session_resource(session), resource)))
            continue;
        session->link->ops->close(session->link, error, text);
        count++;
    }
    return count;
}

void user_removed(struct user *user)
{
    user->exists = false;
    user_kick(user, str_none, STREAM_ERROR_NOT_AUTHORIZED, "the account was removed");
    roster_fini(&user->roster);
    user_touch(user);
}
