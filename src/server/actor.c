/* SPDX-License-Identifier: MIT */
/* The life of an actor: wake, load, act, sleep; and the rule that nothing is said before it is written.
 *
 * There are three states. LOADING: the store was asked for its rows; all that comes waits. READY: handlers
 * run. BUSY: a write (or another wait) is under way; what comes waits. What a kind of actor is made of, and
 * what else it waits for, is in its own file: user.c for users. */
#include "server/actor.h"

#include "base/log.h"
#include "base/planted.h"
#include "server/receipt.h"
#include "server/slow.h"
#include "server/user/user_again.h"

#include <stdlib.h>

enum {
    IDLE_MS = 60 * 1000, /* awake with nothing to hold it, after the last event */
    PARKED_MAX = 1000,   /* what may wait for one actor */
    PARKED_BYTES_MAX = 4 << 20,
    PACED_MAX = 10000, /* the same for one that takes turns: as many may come into a room as it holds */
    PACED_BYTES_MAX = 16 << 20,
    PACED_MANY = 100, /* from here on who sends still more is read more slowly */
    PACED_SLOW_MS = 100,
};

struct actor_load {
    struct store_read read;
    struct actor *actor;
};

struct actor_commit {
    struct store_commit commit;
    struct actor *actor;
    struct store_batch *batch; /* NULL once it is on its way */
    struct hold hold;
    struct stanza *cause; /* whom to tell if it fails; or NULL */
    struct receipt *receipt;
};

str actor_key(const struct map_node *node)
{
    return actor_bare(CONTAINER_OF(node, struct actor, _node));
}

struct jid actor_jid(const struct actor *actor)
{
    uint16_t domain_at = actor->local_len ? actor->local_len + 1 : 0;
    return (struct jid){ actor_bare(actor), actor->local_len, (uint16_t)(actor->bare_len - domain_at) };
}

struct actor *actor_awake(struct shard *shard, str bare)
{
    struct map_node *node = map_get(&shard->actors, bare);
    return node ? CONTAINER_OF(node, struct actor, _node) : NULL;
}

/* ---- Sleeping
 * --------------------------------------------------------------------------------------------------- */

static void drop(struct actor *actor)
{
    struct list *link;
    actor->exists = false;
    while ((link = list_shift(&actor->parked))) {
        struct parked *parked = LIST_ITEM(link, struct parked, link);
        parked->drop(actor, parked);
    }
    timer_stop(&actor->_idle);
    map_remove(&actor->shard->actors, &actor->_node);
    actor->kind->forget(actor);
    free(actor->bare);
    actor->kind->free(actor);
}

static bool may_sleep(const struct actor *actor)
{
    return actor->state == ACTOR_READY && !actor->pins && !actor->_commit && list_empty(&actor->parked) &&
           actor->kind->may_sleep(actor);
}

static void idle_fired(struct timer *timer)
{
    struct actor *actor = CONTAINER_OF(timer, struct actor, _idle);
    struct shard *shard = actor->shard;
    shard_enter(shard);
    if (may_sleep(actor))
        drop(actor);
    shard_leave(shard);
}

void actor_touch(struct actor *actor)
{
    if (!may_sleep(actor)) {
        timer_stop(&actor->_idle);
        return;
    }
    /* one that does not exist is dropped at once: who asks for many must not fill our memory */
    timer_start(actor->shard->loop, &actor->_idle, actor->exists ? IDLE_MS : 1);
}

void actor_pin(struct actor *actor)
{
    actor->pins++;
}

void actor_unpin(struct actor *actor)
{
    actor->pins--;
    actor_touch(actor);
}

void actors_drop_all(struct shard *shard)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    struct actor **all = xcalloc(shard->actors.count + 1, sizeof(struct actor *));
    while ((node = map_next(&shard->actors, &walk)))
        all[count++] = CONTAINER_OF(node, struct actor, _node);
    for (size_t i = 0; i < count; i++)
        drop(all[i]);
    free(all);
}

void actors_stopping(struct shard *shard)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&shard->actors, &walk))) {
        struct actor *actor = CONTAINER_OF(node, struct actor, _node);
        if (actor->kind->stopping && actor->state != ACTOR_LOADING)
            actor->kind->stopping(actor);
    }
}

/* ---- Waking
 * ----------------------------------------------------------------------------------------------------- */

static struct parked *take_parked(struct actor *actor)
{
    struct parked *parked = LIST_ITEM(list_shift(&actor->parked), struct parked, link);
    actor->parked_count--;
    actor->parked_bytes -= (uint32_t)parked->bytes;
    return parked;
}

static bool must_wait(const struct actor *actor)
{
    return actor->kind->takes_turns && !pace_lets(actor->shard);
}

static void run_parked(struct actor *actor)
{
    while (actor->state == ACTOR_READY && !list_empty(&actor->parked)) {
        if (must_wait(actor)) {
            pace_wait(actor);
            return;
        }
        struct parked *parked = take_parked(actor);
        if (actor->exists)
            parked->run(actor, parked);
        else
            parked->drop(actor, parked);
        actor_handled(actor);
    }
}

void actor_block(struct actor *actor)
{
    actor->state = ACTOR_BUSY;
}

void actor_unblock(struct actor *actor)
{
    actor->state = ACTOR_READY;
    run_parked(actor);
    if (actor->state == ACTOR_READY && actor->kind->ready)
        actor->kind->ready(actor);
    actor_touch(actor);
}

static void loaded(struct store_read *read)
{
    struct actor_load *load = CONTAINER_OF(read, struct actor_load, read);
    struct actor *actor = load->actor;
    struct shard *shard = actor->shard;
    bool ok = read->err == OK;
    shard_enter(shard);
    shard_commit_ended(shard);
    if (!ok)
        log_error(user, "%s can't be loaded: %s", actor->bare, err_text(read->err));
    for (size_t i = 0; ok && i < read->count; i++)
        actor->kind->load_row(actor, &read->rows[i]);
    store_read_fini(read);
    free(load);
    actor->_load = NULL;
    actor->unknown = !ok;
    actor->kind->loaded(actor, ok);
    if (actor->state == ACTOR_LOADING)
        actor_unblock(actor);
    shard_leave(shard);
}

static void start_load(struct actor *actor)
{
    struct actor_load *load = NEW(struct actor_load);
    load->actor = actor;
    load->read.done = loaded;
    actor->_load = load;
    actor->state = ACTOR_LOADING;
    actor->shard->counters.actor_wakes++;
    shard_commit_began(actor->shard); /* a stop waits for it: something waits for the actor */
    store_get_all(actor->shard->server->store, actor->shard->loop, actor_bare(actor),
                  str_from(actor->kind->rows(actor)), &load->read);
}

void actor_reload(struct actor *actor)
{
    actor->kind->forget(actor);
    start_load(actor);
}

void actor_start(struct actor *actor, const struct actor_kind *kind, struct shard *shard, struct host *host,
                 const struct jid *jid, bool load)
{
    actor->kind = kind;
    actor->shard = shard;
    actor->host = host;
    actor->bare = str_dup(jid_bare(jid));
    actor->bare_len = (uint16_t)jid_bare_len(jid);
    actor->local_len = jid->local_len;
    actor->_idle.fired = idle_fired;
    list_init(&actor->parked);
    map_put(&shard->actors, &actor->_node);
    if (load)
        start_load(actor);
    else
        actor->state = ACTOR_READY;
}

void actor_when_ready(struct actor *actor, struct parked *parked)
{
    bool paced = actor->kind->takes_turns;
    uint32_t most = paced ? PACED_BYTES_MAX : PARKED_BYTES_MAX;
    bool too_much = parked->bytes && parked->bytes > most - actor->parked_bytes;
    if (actor->parked_count >= (paced ? PACED_MAX : PARKED_MAX) || too_much) {
        parked->drop(actor, parked);
        return;
    }
    if (PLANTED(PLANTED_REORDER))
        list_prepend(&actor->parked, &parked->link);
    else
        list_append(&actor->parked, &parked->link);
    actor->parked_count++;
    actor->parked_bytes += (uint32_t)parked->bytes;
    if (actor->state != ACTOR_READY || actor->parked_count > 1)
        return;
    if (actor->unknown)
        actor_reload(actor);
    else
        run_parked(actor);
}

/* ---- Deliveries
 * ------------------------------------------------------------------------------------------------- */

struct parked_stanza {
    struct parked parked;
    struct stanza *stanza;
    struct jid to;
    enum deliver how;
    struct receipt *receipt;
    char text[];
};

/* The receipt goes over to the delivery. */
static struct delivery unpark(struct shard *shard, struct parked *base)
{
    struct parked_stanza *parked = CONTAINER_OF(base, struct parked_stanza, parked);
    struct delivery delivery = { .to = jid_copy(&parked->to, &shard->arena),
                                 .how = parked->how,
                                 .receipt = parked->receipt };
    delivery.stanza = stanza_copy_arena(parked->stanza, &shard->arena);
    free(parked->stanza);
    free(parked);
    return delivery;
}

static void parked_run(struct actor *actor, struct parked *parked)
{
    struct delivery delivery = unpark(actor->shard, parked);
    struct receipt *before = receipt_enter(actor->shard, delivery.receipt);
    actor->kind->receive(actor, &delivery);
    receipt_leave(actor->shard, before);
    receipt_release(actor->shard, delivery.receipt);
}

/* One that can't be had now is no reason to say that it does not exist, nor to lose a request in silence. */
static void refuse_for_now(struct actor *actor, const struct stanza *stanza)
{
    bool subscription = stanza->type >= TYPE_SUBSCRIBE && stanza->type <= TYPE_UNSUBSCRIBED;
    if (stanza->kind != STANZA_PRESENCE || subscription || actor->kind->takes_turns)
        route_error(actor->shard, stanza, STANZA_ERROR_RESOURCE_CONSTRAINT, "try again later");
}

static void parked_drop(struct actor *actor, struct parked *parked)
{
    struct delivery delivery = unpark(actor->shard, parked);
    struct receipt *before = receipt_enter(actor->shard, delivery.receipt);
    if (actor_is_missing(actor))
        actor->kind->refuse(actor, &delivery);
    else if (delivery.how != DELIVER_AGAIN || !again_later(actor->shard, delivery.stanza, &delivery.to))
        refuse_for_now(actor, delivery.stanza);
    receipt_leave(actor->shard, before);
    receipt_release(actor->shard, delivery.receipt);
}

static void park(struct actor *actor, const struct delivery *delivery)
{
    struct parked_stanza *parked = xcalloc(1, sizeof *parked + delivery->to.full.len);
    parked->parked = (struct parked){ .run = parked_run,
                                      .drop = parked_drop,
                                      .bytes = sizeof *parked + stanza_copy_size(delivery->stanza) };
    parked->stanza = stanza_copy(delivery->stanza);
    parked->to = delivery->to;
    parked->how = delivery->how;
    parked->receipt = receipt_hold(actor->shard);
    memcpy(parked->text, delivery->to.full.p, delivery->to.full.len);
    parked->to.full.p = parked->text;
    if (actor->kind->takes_turns && actor->parked_count > PACED_MANY)
        slow_down(actor->shard, &delivery->stanza->from, PACED_SLOW_MS);
    actor_when_ready(actor, &parked->parked);
}

void actor_deliver(struct actor *actor, const struct delivery *delivery)
{
    if (actor->state == ACTOR_READY && actor->exists && must_wait(actor))
        pace_wait(actor);
    if (actor->state != ACTOR_READY || !actor->exists) {
        park(actor, delivery);
        return;
    }
    actor->kind->receive(actor, delivery);
    actor_handled(actor);
    actor_touch(actor);
}

/* ---- Writing
 * ---------------------------------------------------------------------------------------------------- */

static void commit_failed(struct actor *actor, struct actor_commit *commit, enum err err)
{
    struct shard *shard = actor->shard;
    log_error(store, "a change of %s was not stored: %s", actor->bare, err_text(err));
    hold_drop(shard, &commit->hold);
    if (commit->cause) {
        struct stanza *cause = ARENA_NEW(&shard->arena, struct stanza);
        *cause = *commit->cause;
        route_error(shard, cause, STANZA_ERROR_RESOURCE_CONSTRAINT,
                    "the change could not be stored; try again later");
    }
    actor_reload(actor);
}

static void committed(struct store_commit *base)
{
    struct actor_commit *commit = CONTAINER_OF(base, struct actor_commit, commit);
    struct actor *actor = commit->actor;
    struct shard *shard = actor->shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    actor->_commit = NULL;
    struct receipt *before = receipt_enter(shard, commit->receipt);
    if (base->err == OK) {
        if (actor->kind->written)
            actor->kind->written(actor);
        hold_release(shard, &commit->hold);
        receipt_leave(shard, before);
        shard_drain(shard); /* what was held comes before what waited */
        actor_unblock(actor);
    } else {
        commit_failed(actor, commit, base->err);
        receipt_leave(shard, before);
    }
    receipt_release(shard, commit->receipt);
    shard_leave(shard);
    free(commit->cause);
    free(commit);
}

struct store_batch *actor_write(struct actor *actor, const struct stanza *cause)
{
    struct actor_commit *commit = actor->_commit;
    if (commit)
        return commit->batch;
    commit = NEW(struct actor_commit);
    commit->actor = actor;
    commit->commit.done = committed;
    commit->batch = store_batch_new();
    commit->cause = cause ? stanza_copy(cause) : NULL;
    commit->receipt = receipt_hold(actor->shard);
    hold_init(&commit->hold);
    actor->_commit = commit;
    shard_hold(actor->shard, &commit->hold);
    return commit->batch;
}

void actor_handled(struct actor *actor)
{
    struct actor_commit *commit = actor->_commit;
    if (!commit || !commit->batch)
        return;
    struct shard *shard = actor->shard;
    struct store_batch *batch = commit->batch;
    commit->batch = NULL;
    shard_hold(shard, NULL);
    actor->state = ACTOR_BUSY;
    shard_commit_began(shard);
    store_commit(shard->server->store, shard->loop, batch, &commit->commit);
}
