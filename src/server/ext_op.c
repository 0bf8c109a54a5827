/* SPDX-License-Identifier: MIT */
/* Operations: what carries a request over a wait. The actor may be busy with a write when the answer of the
 * store comes, so the step waits its turn as a stanza would. The account may be gone by then: nobody is left
 * who could be answered from, and the operation ends. */
#include "server/ext_op.h"

#include "server/receipt.h"

#include <stdlib.h>

void *ext_op_new(const struct iq_event *event, size_t size)
{
    struct ext_op *op = xcalloc(1, size);
    op->shard = event->shard;
    op->host = event->host;
    op->_actor = event->actor;
    op->_for_user = event->user != NULL;
    op->_iq = stanza_copy(event->iq);
    op->_receipt = receipt_hold(event->shard);
    if (event->session)
        op->_resource = str_dup(session_resource(event->session));
    if (op->_actor)
        actor_pin(op->_actor);
    return op;
}

void ext_op_free(struct ext_op *op)
{
    if (op->fini)
        op->fini(op);
    if (op->_reading)
        store_read_fini(&op->read);
    if (op->_actor)
        actor_unpin(op->_actor);
    receipt_release(op->shard, op->_receipt);
    free(op->_iq);
    free(op->_resource);
    free(op);
}

static void run(struct ext_op *op)
{
    struct shard *shard = op->shard;
    struct iq_event event = { .shard = shard, .host = op->host, .actor = op->_actor };
    struct stanza *iq = stanza_copy_arena(op->_iq, &shard->arena);
    event.iq = iq;
    xml_first(&iq->node, &event.child);
    if (op->_for_user)
        event.user = USER_OF(op->_actor);
    if (op->_resource && op->_for_user)
        event.session = session_find(event.user, str_from(op->_resource));
    op->_waiting = false;
    struct receipt *before = receipt_enter(shard, op->_receipt);
    op->_step(op, &event);
    receipt_leave(shard, before);
    if (!op->_waiting)
        ext_op_free(op);
}

static void parked_run(struct actor *actor, struct parked *parked)
{
    (void)actor;
    run(CONTAINER_OF(parked, struct ext_op, _parked));
}

static void parked_drop(struct actor *actor, struct parked *parked)
{
    struct ext_op *op = CONTAINER_OF(parked, struct ext_op, _parked);
    struct receipt *before = receipt_enter(op->shard, op->_receipt);
    route_error(op->shard, stanza_copy_arena(op->_iq, &op->shard->arena),
                actor_is_missing(actor) ? STANZA_ERROR_SERVICE_UNAVAILABLE : STANZA_ERROR_RESOURCE_CONSTRAINT,
                NULL);
    receipt_leave(op->shard, before);
    ext_op_free(op);
}

/* What the actor was blocked for has come: before anything that waits for it. */
static void run_held(struct ext_op *op)
{
    struct actor *actor = op->_actor;
    actor->state = ACTOR_READY;
    actor_pin(actor); /* the step may free the operation */
    if (actor->exists)
        run(op);
    else
        parked_drop(actor, &op->_parked);
    actor_handled(actor);
    if (actor->state == ACTOR_READY)
        actor_unblock(actor);
    actor_unpin(actor);
}

static void go_on(struct ext_op *op)
{
    struct shard *shard = op->shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    op->_parked = (struct parked){ .run = parked_run, .drop = parked_drop };
    if (op->_holds)
        run_held(op);
    else if (op->_actor)
        actor_when_ready(op->_actor, &op->_parked);
    else
        run(op);
    shard_leave(shard);
}

void ext_op_hold(struct ext_op *op)
{
    op->_holds = true;
}

static void read_done(struct store_read *read)
{
    go_on(CONTAINER_OF(read, struct ext_op, read));
}

static void commit_done(struct store_commit *commit)
{
    go_on(CONTAINER_OF(commit, struct ext_op, commit));
}

/* A stop waits for reads too: somebody is to be answered. */
static void wait_for(struct ext_op *op, ext_step *step)
{
    op->_waiting = true;
    op->_step = step;
    if (op->_holds)
        actor_block(op->_actor);
    shard_commit_began(op->shard);
}

struct store_read *ext_op_read(struct ext_op *op, ext_step *step)
{
    if (op->_reading)
        store_read_fini(&op->read);
    op->_reading = true;
    op->read.done = read_done;
    wait_for(op, step);
    return &op->read;
}

struct store_commit *ext_op_commit(struct ext_op *op, ext_step *step)
{
    op->commit.done = commit_done;
    wait_for(op, step);
    return &op->commit;
}

void ext_op_write(struct ext_op *op, struct store_batch *batch, ext_step *step)
{
    store_commit(ext_op_store(op), op->shard->loop, batch, ext_op_commit(op, step));
}

void ext_op_wait(struct ext_op *op, ext_step *step)
{
    wait_for(op, step);
}

void ext_op_resume(struct ext_op *op)
{
    go_on(op);
}

void ext_op_start(struct ext_op *op, struct iq_event *event, ext_step *step)
{
    step(op, event);
    if (!op->_waiting)
        ext_op_free(op);
}
