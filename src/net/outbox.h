/* SPDX-License-Identifier: MIT */
/* A queue of bytes to be sent, whose memory comes from a pool of the thread and goes back when it is empty:
 * private to src/net. It is a struct buf, so that output can be built in place, and an offset. */
#ifndef NET_OUTBOX_H
#define NET_OUTBOX_H

#include "base/buf.h"

/* Gives an empty queue memory, if it has none. */
void outbox_open(struct buf *queue);

/* Bytes that wait. `sent`: how many at the queue's begin are gone already. */
static inline str outbox_waiting(const struct buf *queue, uint32_t sent)
{
    return str_of(queue->p + sent, queue->len - sent);
}

/* Takes `count` bytes off the queue's begin; the memory goes back to the pool when nothing is left. */
void outbox_take(struct buf *queue, uint32_t *sent, size_t count);

/* Drops everything and gives the memory back. */
void outbox_drop(struct buf *queue, uint32_t *sent);

/* Frees those blocks of this thread's pool that nobody has needed since the last call. Returns the bytes that
 * it still holds. */
size_t outbox_tidy(void);

#endif
