/* SPDX-License-Identifier: MIT */
/* A stanza for another domain, from the moment that it can't just be written: while it waits for a stream,
 * and, with stream management, until the other server has acknowledged it. Private to remote*.c and s2s*.c.
 *
 * It holds the receipt of the stanza: whoever sent it hears "safe" when the other server has it. */
#ifndef SERVER_REMOTE_QUEUE_H
#define SERVER_REMOTE_QUEUE_H

#include "server/s2s/remote.h"

struct waiting {
    struct list link; /* pair->queue, or the flight of a stream (s2s_sm.h) */
    struct pair *pair;
    struct stanza *stanza;
    struct jid to;
    enum deliver how;
    struct receipt *receipt;
    struct crowd *crowd; /* for whom it is meant, if for many (remote_many.h), or NULL */
    uint64_t since_us;
    uint32_t size;
    bool is_last_try; /* waiting_tries_again() */
    char text[];
};

/* How much a delivery takes in a queue. */
size_t waiting_size(const struct delivery *delivery);

/* Copies a delivery; in no list yet. */
struct waiting *waiting_new(struct pair *pair, const struct delivery *delivery);

/* It is in no list (any more), and done with: the other server has it. What it points to lives as long as
 * the event. */
void waiting_done(struct shard *shard, struct waiting *waiting);

/* The same, and its sender is told that it was not delivered; not of a presence that nobody asked about. */
void waiting_bounce(struct shard *shard, struct waiting *waiting, enum stanza_error error, const char *why);
void delivery_bounce(struct shard *shard, const struct delivery *delivery, enum stanza_error error,
                     const char *why);

/* Whether nobody can be told that it has not come: a message's error. It waits where the other server can't
 * be reached for now; and it is worth a second try when it could not be sent in time, or may not have come.
 * waiting_tries_again() is true once. */
bool is_last_word(const struct stanza *stanza);
bool waiting_tries_again(struct waiting *waiting);

/* Into the pair's queue: as the last, with no look at limits; or as the first, as if it had come just now. */
void queue_append(struct waiting *waiting);
void queue_prepend(struct waiting *waiting);

/* Takes the first out. There must be one. */
struct waiting *queue_shift(struct pair *pair);

/* When the first has waited for too long: for pair->wait_timer. */
void queue_waited(struct timer *timer);

/* No way was found: answers all that is not to wait for a second try. */
void queue_bounce_most(struct pair *pair, enum stanza_error error, const char *why);

void queue_bounce_all(struct pair *pair, enum stanza_error error, const char *why);

#endif
