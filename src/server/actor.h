/* SPDX-License-Identifier: MIT */
/* An actor: the state of one bare JID (a user, a room, a service), owned by the thread of its home shard. It
 * wakes when it is addressed (loads its rows from the store, while what comes in waits in order), acts on
 * memory, and is dropped when nothing holds it and nothing has come for a while. What kind of actor it is,
 * its `struct actor_kind` says; the actor is embedded in that kind's own structure.
 *
 * A handler that changes what the store keeps calls actor_write(): from there on all that the event says is
 * held back, and the actor is *busy* (takes no further stanza) until the write is on disk. If the disk
 * refuses, what was held is forgotten, the sender gets an error, and memory is read again from the store:
 * memory is a cache of the disk, never ahead of it. */
#ifndef SERVER_ACTOR_H
#define SERVER_ACTOR_H

#include "server/shard.h"

struct actor;
struct actor_load;
struct actor_commit;

/* What waits for an actor. */
struct parked {
    struct list link;
    void (*run)(struct actor *actor, struct parked *parked); /* the actor is ready; frees `parked` */
    void (*drop)(struct actor *actor,
                 struct parked *parked); /* it does not exist, or can't be loaded; frees it too */
    size_t bytes; /* that it keeps in memory; 0 for what is small and always let in by this measure */
};

struct actor_kind {
    /* The kinds of its rows, with commas between, as for store_get_all(). */
    const char *(*rows)(const struct actor *actor);
    /* One of its rows, while it wakes. */
    void (*load_row)(struct actor *actor, const struct store_row *row);
    /* All rows were there (`ok`), or the store could not be read: with an empty memory nobody may go on, it
     * would be written over what is on disk. Sets actor->exists. May actor_block() it to wait for more. */
    void (*loaded)(struct actor *actor, bool ok);
    /* What came for it, when it is ready; and when it does not exist (and not only can't be had now). */
    void (*receive)(struct actor *actor, const struct delivery *delivery);
    void (*refuse)(struct actor *actor, const struct delivery *delivery);
    /* Forget what is in the store: it is going to be loaded again, or the actor freed. */
    void (*forget)(struct actor *actor);
    /* What its handlers wrote is on disk; before anything that was held is said. May be NULL. */
    void (*written)(struct actor *actor);
    /* Ready again, and nothing is parked any more. May be NULL. */
    void (*ready)(struct actor *actor);
    /* The server is about to stop: what is said now still reaches everybody. Ready or busy. May be NULL. */
    void (*stopping)(struct actor *actor);
    /* Whether nothing of the kind's own holds it awake. */
    bool (*may_sleep)(const struct actor *actor);
    /* Frees the structure around it. */
    void (*free)(struct actor *actor);
    /* One stanza may cost many: what comes takes turns (pace.h); and whoever sends it presence is told if
     * that can't be taken. */
    bool takes_turns;
};

enum actor_state { ACTOR_LOADING, ACTOR_READY, ACTOR_BUSY };

struct actor {
    struct map_node _node;
    const struct actor_kind *kind;
    struct shard *shard;
    struct host *host;
    char *bare; /* the bare JID's text */
    uint16_t bare_len, local_len;
    uint8_t state;
    bool exists;  /* there is such a thing in the store, or it is kept in memory alone */
    bool unknown; /* the store could not be read: nobody knows whether it exists */
    uint16_t parked_count;
    uint32_t parked_bytes;
    unsigned pins; /* operations under way that must find it again: it stays awake */
    struct list parked;
    struct actor_load *_load;
    struct actor_commit *_commit;
    struct timer _idle;
};

/* For the shard: the key of its map; and the end of all. */
str actor_key(const struct map_node *node);
void actors_drop_all(struct shard *shard);

/* Tells all that the server stops. */
void actors_stopping(struct shard *shard);

struct jid actor_jid(const struct actor *actor);
static inline str actor_bare(const struct actor *actor)
{
    return str_of(actor->bare, actor->bare_len);
}

/* For drop(): there is no such thing. Else it can't be had now: the store fails, or too much waits. */
static inline bool actor_is_missing(const struct actor *actor)
{
    return !actor->exists && !actor->unknown && actor->state != ACTOR_LOADING;
}

/* The actor who is awake, or NULL. */
struct actor *actor_awake(struct shard *shard, str bare);

/* Puts a new one (zeroed memory of the kind) on the shard's map: loading, if `load`, else ready. */
void actor_start(struct actor *actor, const struct actor_kind *kind, struct shard *shard, struct host *host,
                 const struct jid *jid, bool load);

/* Calls parked->run (or drop) when the actor is not busy: now, if it is so already, or later. One too many is
 * dropped. */
void actor_when_ready(struct actor *actor, struct parked *parked);

/* Hands a delivery to receive() or refuse(): now, or when it is ready, in order. */
void actor_deliver(struct actor *actor, const struct delivery *delivery);

/* The batch that this event fills; the first call makes the actor busy until it is on disk. `cause`: the
 * stanza whose sender is told if that fails, or NULL. */
struct store_batch *actor_write(struct actor *actor, const struct stanza *cause);

/* Whether this event has begun to write, or a write is under way. */
static inline bool actor_is_writing(const struct actor *actor)
{
    return actor->_commit != NULL;
}

/* Ends a handler: sends off the batch if there is one. Every caller of handlers does this. */
void actor_handled(struct actor *actor);

/* Forgets what is in memory of a busy actor, and loads it anew; it is ready then. */
void actor_reload(struct actor *actor);

/* Makes it busy, and ready again; for waits other than writes. */
void actor_block(struct actor *actor);
void actor_unblock(struct actor *actor);

/* Something happened: it stays awake a while longer; is dropped later if nothing holds it. */
void actor_touch(struct actor *actor);

/* Holds it awake, and lets it go. */
void actor_pin(struct actor *actor);
void actor_unpin(struct actor *actor);

#endif
