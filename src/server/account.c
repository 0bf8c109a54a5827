/* SPDX-License-Identifier: MIT */
/* Jobs on accounts. Only salted keys are kept of a password; they are computed on the pool, then the job goes
 * to the account's home and blocks the user there (actor_block) until the disk has the change.
 *
 * The row `account`, key "", is the account: its value are the SCRAM keys, with a word before them while it
 * is switched off, so that a login finds no keys and no second row has to be read or can be forgotten.
 *
 * Removal says goodbye to the contacts (XEP-0077 §3.2: the subscriptions are cancelled) and deletes twice:
 * what the user's actor wrote between the first deletion and its end must not be found by a later owner of
 * the name. */
#include "server/account.h"

#include "base/rand.h"
#include "server/hooks.h"

#include <stdlib.h>

static void forget_secrets(struct account_job *job)
{
    if (job->_password)
        mem_wipe(job->_password, strlen(job->_password));
    free(job->_password);
    job->_password = NULL;
    mem_wipe(&job->_hashed, sizeof job->_hashed);
    if (job->_keys)
        mem_wipe(job->_keys, strlen(job->_keys));
    free(job->_keys);
    job->_keys = NULL;
}

/* ---- The end
 * -------------------------------------------------------------------------------------------------------- */

static void tell(struct shard *shard, struct shard_call *call)
{
    struct account_job *job = CONTAINER_OF(call, struct account_job, _call);
    char *bare = job->_bare;
    forget_secrets(job);
    free(job->_keep);
    if (job->rows)
        store_batch_free(job->rows);
    shard_commit_ended(shard);
    job->done(job);
    free(bare);
}

static void finish(struct account_job *job, enum err err)
{
    job->err = err;
    job->_call.run = tell;
    shard_post(job->shard, &job->_call);
}

/* ---- At home
 * -------------------------------------------------------------------------------------------------------- */

static void commit(struct account_job *job, struct store_batch *batch, void (*done)(struct store_commit *))
{
    struct shard *shard = job->_user->actor.shard;
    job->_commit.done = done;
    store_commit(shard->server->store, shard->loop, batch, &job->_commit);
}

static void end_other_sessions(struct account_job *job)
{
    list_each_safe (at, &job->_user->sessions) {
        struct session *session = SESSION_OF(at);
        bool stays = job->_keep && str_eq(session_resource(session), str_from(job->_keep));
        if (stays || session->closing)
            continue;
        if (session->link)
            session->link->ops->close(session->link, STREAM_ERROR_NOT_AUTHORIZED,
                                      "the account has another password");
        else
            session_close(session);
    }
}

/* Cancels the subscriptions in both directions, as the user itself would (RFC 6121 §3.2, §3.3). */
static void say_goodbye(struct user *user)
{
    struct shard *shard = user->actor.shard;
    struct jid own = user_jid(user), from = jid_copy(&own, &shard->arena);
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        struct jid contact;
        if (jid_parse(arena_str(&shard->arena, roster_item_jid(item)), &shard->arena, &contact) != OK)
            continue;
        for (unsigned out = 0; out < 2; out++) {
            if (!(item->flags & (out ? ROSTER_TO | ROSTER_ASK : ROSTER_FROM | ROSTER_PENDING_IN)))
                continue;
            struct stanza *stanza = ARENA_NEW(&shard->arena, struct stanza);
            *stanza = stanza_make(STANZA_PRESENCE, out ? TYPE_UNSUBSCRIBE : TYPE_UNSUBSCRIBED, str_none,
                                  str_none, &shard->arena);
            stanza->from = from;
            stanza->to = contact;
            route(shard, stanza);
        }
    }
}

/* The user is held no longer, unless what ended with its sessions has to be written first. */
static void let_go(struct user *user)
{
    actor_handled(&user->actor);
    if (user->actor.state == ACTOR_READY)
        actor_unblock(&user->actor);
}

static void removed_twice(struct store_commit *base)
{
    struct account_job *job = CONTAINER_OF(base, struct account_job, _commit);
    struct shard *shard = job->_user->actor.shard;
    shard_enter(shard);
    actor_unpin(&job->_user->actor);
    finish(job, base->err);
    shard_leave(shard);
}

/* It is gone from the disk: the world hears of it, and what is in memory goes. */
static void removed(struct store_commit *base)
{
    struct account_job *job = CONTAINER_OF(base, struct account_job, _commit);
    struct user *user = job->_user;
    struct shard *shard = user->actor.shard;
    shard_enter(shard);
    if (base->err != OK) {
        actor_unblock(&user->actor);
        finish(job, base->err);
        shard_leave(shard);
        return;
    }
    if (job->gone)
        job->gone(shard, job);
    shard_drain(shard);
    say_goodbye(user);
    actor_pin(&user->actor);
    user->actor.state = ACTOR_READY;
    user_removed(user);
    fire_account_removed(job->host, &(struct account_event){ .shard = shard, .jid = job->jid });
    struct store_batch *batch = store_batch_new();
    store_del_all(batch, job->jid.full, STR(""));
    actor_handled(&user->actor); /* what its sessions wrote at their end comes before */
    commit(job, batch, removed_twice);
    let_go(user);
    shard_leave(shard);
}

static void changed(struct store_commit *base)
{
    struct account_job *job = CONTAINER_OF(base, struct account_job, _commit);
    struct user *user = job->_user;
    struct shard *shard = user->actor.shard;
    shard_enter(shard);
    user->actor.state = ACTOR_READY;
    if (base->err == OK && job->_task == ACCOUNT_MAKE) {
        user->actor.exists = true; /* and nothing else is known of it: what is in memory is all */
        fire_account_made(job->host, &(struct account_event){ .shard = shard, .jid = job->jid });
    } else if (base->err == OK && job->_task == ACCOUNT_PASSWORD && job->end_sessions) {
        end_other_sessions(job);
    } else if (base->err == OK && job->_task != ACCOUNT_PASSWORD) {
        user->disabled = job->_task == ACCOUNT_DISABLE;
        if (user->disabled)
            user_kick(user, str_none, STREAM_ERROR_NOT_AUTHORIZED, "the account is disabled");
    }
    if (base->err == OK && job->rows_kept)
        actor_reload(&user->actor);
    else
        let_go(user);
    finish(job, base->err);
    shard_leave(shard);
}

static void put_keys(struct account_job *job, struct store_batch *batch, str keys, bool disabled)
{
    struct arena *arena = &job->_user->actor.shard->arena;
    str value = disabled ? arena_printf(arena, ACCOUNT_DISABLED "%.*s", STR_ARGS(keys)) : keys;
    if (job->_task == ACCOUNT_MAKE)
        store_put_new(batch, job->jid.full, STR("account"), STR(""), value);
    else
        store_put(batch, job->jid.full, STR("account"), STR(""), value);
    if (job->_task == ACCOUNT_MAKE && !job->rows_kept)
        fire_account_being_made(job->host,
                                &(struct account_event){ job->_user->actor.shard, job->jid, batch });
    commit(job, batch, changed);
}

/* To switch an account off or on, its keys are taken as they are. */
static void keys_read(struct store_read *read)
{
    struct account_job *job = CONTAINER_OF(read, struct account_job, _read);
    struct user *user = job->_user;
    struct shard *shard = user->actor.shard;
    shard_enter(shard);
    if (read->err == OK && read->count == 1) {
        str keys = arena_str(&shard->arena, read->rows[0].value);
        if (account_is_disabled(keys))
            keys = str_sub(keys, sizeof ACCOUNT_DISABLED - 1, keys.len);
        put_keys(job, store_batch_new(), keys, job->_task == ACCOUNT_DISABLE);
    } else {
        enum err err = read->err == OK ? ERR_NOT_FOUND : read->err;
        actor_unblock(&user->actor);
        finish(job, err);
    }
    store_read_fini(read);
    shard_leave(shard);
}

static void write_new_keys(struct account_job *job)
{
    struct arena *arena = &job->_user->actor.shard->arena;
    struct store_batch *batch = job->rows ? job->rows : store_batch_new();
    bool given = job->_keys != NULL;
    str keys = given ? str_from(job->_keys) : scram_keys_write(&job->_hashed, arena);
    job->rows = NULL;
    put_keys(job, batch, keys, job->_task == ACCOUNT_PASSWORD && job->_user->disabled);
}

/* The user is ready (or known not to exist), and is held until the disk has the change. */
static void begin_at_home(struct account_job *job, struct user *user)
{
    struct shard *shard = user->actor.shard;
    job->_user = user;
    actor_block(&user->actor);
    if (job->_task == ACCOUNT_MAKE || job->_task == ACCOUNT_PASSWORD) {
        write_new_keys(job);
    } else if (job->_task == ACCOUNT_REMOVE) {
        struct store_batch *batch = store_batch_new();
        store_del_all(batch, job->jid.full, STR(""));
        commit(job, batch, removed);
    } else {
        job->_read = (struct store_read){ .done = keys_read };
        store_get(shard->server->store, shard->loop, job->jid.full, STR("account"), STR(""), &job->_read);
    }
}

static void there(struct actor *actor, struct parked *parked)
{
    struct account_job *job = CONTAINER_OF(parked, struct account_job, _parked);
    if (job->_task == ACCOUNT_MAKE)
        finish(job, ERR_EXISTS);
    else if (USER_OF(actor)->anonymous)
        finish(job, ERR_NOT_FOUND);
    else
        begin_at_home(job, USER_OF(actor));
}

static void not_there(struct actor *actor, struct parked *parked)
{
    struct account_job *job = CONTAINER_OF(parked, struct account_job, _parked);
    bool missing = actor_is_missing(actor);
    if (missing && job->_task != ACCOUNT_MAKE)
        finish(job, ERR_NOT_FOUND);
    else if (missing && actor->state == ACTOR_READY)
        begin_at_home(job, USER_OF(actor));
    else
        finish(job, actor->unknown ? ERR_IO : ERR_LIMIT);
}

static void at_home(struct shard *shard, struct shard_call *call)
{
    struct account_job *job = CONTAINER_OF(call, struct account_job, _call);
    job->_parked = (struct parked){ .run = there, .drop = not_there };
    actor_when_ready(&user_wake(shard, job->host, &job->jid)->actor, &job->_parked);
}

static void go_home(struct account_job *job)
{
    job->_call.run = at_home;
    shard_post(server_home(job->shard->server, job->jid.full), &job->_call);
}

/* ---- Where it was asked for
 * ------------------------------------------------------------------------------------------------ */

static void hash(struct work *work)
{
    struct account_job *job = CONTAINER_OF(work, struct account_job, _work);
    const struct config *config = job->shard->server->config;
    unsigned char salt[SCRAM_SALT_SIZE];
    rand_bytes(salt, sizeof salt);
    scram_keys_make(str_from(job->_password), str_of((char *)salt, sizeof salt), config->c2s.scram_iterations,
                    &job->_hashed);
}

static void hashed(struct work *work)
{
    go_home(CONTAINER_OF(work, struct account_job, _work));
}

void account_start(struct account_job *job, enum account_task task)
{
    job->_task = task;
    job->_bare = str_dup(job->jid.full);
    job->jid.full.p = job->_bare;
    job->_keep = job->keep.p ? str_dup(job->keep) : NULL;
    job->_keys = job->keys.p ? str_dup(job->keys) : NULL;
    shard_commit_began(job->shard); /* a stop waits for it */
    if ((task != ACCOUNT_MAKE && task != ACCOUNT_PASSWORD) || job->_keys) {
        go_home(job);
        return;
    }
    job->_password = str_dup(job->password);
    job->_work = (struct work){ .run = hash, .done = hashed };
    loop_work(job->shard->loop, &job->_work);
}
