/* SPDX-License-Identifier: MIT */
/* Queues of output and the pool under them.
 *
 * A server writes to hundreds of connections in a turn and to none of them a moment later, so the memory of a
 * queue is borrowed: from a stack of blocks of this thread, the last one used first, since it is still in the
 * cache. A block that grew keeps its size in the pool, so that a busy connection does not grow it again each
 * turn. The pool holds a limited number of bytes; what is more goes back to the heap, and so does in the end
 * what is not in use any more (conn_tidy()). Blocks are heap memory without an owner: one that moved along
 * with a connection ends in the pool of its new thread.
 *
 * Bytes that were sent are skipped by an offset and moved away only when they are the greater part, so a slow
 * reader costs no copy for each of its acknowledgements. */
#include "net/outbox.h"

#include "base/mem.h"

#include <stdlib.h>
#include <threads.h>

enum { BLOCK_SIZE = 4096, POOLED_BLOCK_MAX = 128 * 1024, POOLED_BYTES_MAX = 2 * 1024 * 1024 };

struct block {
    struct block *next;
    size_t room;
};

static _Thread_local struct {
    struct block *first;
    size_t bytes, least; /* least: since outbox_tidy() */
    bool known;          /* to the destructor */
} pool;

static tss_t pool_key;
static once_flag pool_once = ONCE_FLAG_INIT;

static void free_first(void)
{
    struct block *block = pool.first;
    pool.first = block->next;
    pool.bytes -= block->room;
    free(block);
}

static void pool_empty(void *unused)
{
    (void)unused;
    while (pool.first)
        free_first();
}

static void make_key(void)
{
    if (tss_create(&pool_key, pool_empty) != thrd_success)
        abort();
}

/* Lets the pool be emptied when the thread ends. */
static void make_known(void)
{
    call_once(&pool_once, make_key);
    tss_set(pool_key, &pool);
    pool.known = true;
}

void outbox_open(struct buf *queue)
{
    if (queue->p)
        return;
    struct block *block = pool.first;
    if (block && block->room <= queue->_max) {
        pool.first = block->next;
        pool.bytes -= block->room;
        if (pool.bytes < pool.least)
            pool.least = pool.bytes;
        queue->_room = block->room;
        queue->p = (char *)block;
        return;
    }
    queue->_room = queue->_max < BLOCK_SIZE ? queue->_max : BLOCK_SIZE;
    queue->p = xmalloc(queue->_room);
}

void outbox_drop(struct buf *queue, uint32_t *sent)
{
    *sent = 0;
    size_t room = queue->_room;
    if (!queue->p || room < BLOCK_SIZE || room > POOLED_BLOCK_MAX || pool.bytes + room > POOLED_BYTES_MAX) {
        buf_fini(queue);
        return;
    }
    if (!pool.known)
        make_known();
    struct block *block = (struct block *)queue->p;
    block->room = room;
    block->next = pool.first;
    pool.first = block;
    pool.bytes += room;
    buf_init(queue, queue->_max);
}

size_t outbox_tidy(void)
{
    size_t used = pool.bytes - pool.least;
    while (pool.bytes > used)
        free_first();
    pool.least = pool.bytes;
    return pool.bytes;
}

void outbox_take(struct buf *queue, uint32_t *sent, size_t count)
{
    *sent += (uint32_t)count;
    if (*sent == queue->len) {
        outbox_drop(queue, sent);
    } else if (*sent > queue->len / 2) {
        buf_consume(queue, *sent);
        *sent = 0;
    }
}
