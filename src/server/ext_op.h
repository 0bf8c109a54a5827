/* SPDX-License-Identifier: MIT */
/* A request that waits for the store. An operation keeps the request, holds its actor (a user, a service)
 * awake, and goes on in steps: each asks the store for one thing and names the step that comes with the
 * answer. A step runs when the user is ready, like any handler, with the request as it was. After a step that
 * asked for nothing the operation is freed; by then it has answered. */
#ifndef SERVER_EXT_OP_H
#define SERVER_EXT_OP_H

#include "server/ext.h"

struct ext_op;
typedef void ext_step(struct ext_op *op, struct iq_event *event);

struct ext_op {
    struct store_read read;          /* what a read brought: valid in the step that follows it */
    struct store_commit commit;      /* commit.err: how a write went */
    void (*fini)(struct ext_op *op); /* at the end: frees what the operation has beside itself; or NULL */
    struct shard *shard;
    struct host *host;
    struct actor *_actor;
    bool _for_user; /* the actor is a user */
    struct stanza *_iq;
    char *_resource; /* of the asking session, or NULL */
    struct parked _parked;
    ext_step *_step;
    struct receipt *_receipt; /* of the request */
    bool _waiting, _reading, _holds;
};

/* Begins one: zeroed memory of `size` bytes that begins with a struct ext_op. If the handler asks for nothing
 * after all it must be ended with ext_op_free(). */
void *ext_op_new(const struct iq_event *event, size_t size);
void ext_op_free(struct ext_op *op);

/* From now on nothing else happens at the actor while the operation waits: for steps that read what they are
 * about to change. */
void ext_op_hold(struct ext_op *op);

/* Runs the first step, with the request that is at hand, and frees the operation if that asked for nothing.
 */
void ext_op_start(struct ext_op *op, struct iq_event *event, ext_step *step);

/* The reader, or the commit, to give to one call of the store; `step` runs when it is done. */
struct store_read *ext_op_read(struct ext_op *op, ext_step *step);
struct store_commit *ext_op_commit(struct ext_op *op, ext_step *step);

/* Commits a batch and goes on with `step`. For what no actor keeps in memory; else see user_write(). */
void ext_op_write(struct ext_op *op, struct store_batch *batch, ext_step *step);

/* The bare JID of its actor: the owner of the rows. */
static inline str ext_op_owner(const struct ext_op *op)
{
    return actor_bare(op->_actor);
}

/* Waits for something else than the store: `step` runs after ext_op_resume(), which must come once, in an
 * event of the operation's shard. */
void ext_op_wait(struct ext_op *op, ext_step *step);
void ext_op_resume(struct ext_op *op);

static inline struct store *ext_op_store(const struct ext_op *op)
{
    return op->shard->server->store;
}

#endif
