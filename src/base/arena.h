/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: for what lives as long as one event, stanza or operation. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *_first; /* newest block, where allocation goes on */
    size_t _used;               /* bytes taken in it */
    size_t _total;              /* bytes of all blocks */
    size_t _block_size;
};

/* Prepares an empty arena; nothing is allocated before it is needed. `block_size`: bytes of its first block.
 */
void arena_init(struct arena *arena, size_t block_size);

/* Gives everything back. The arena can be used again as if just made. */
void arena_fini(struct arena *arena);

/* Forgets all that was allocated, and keeps one block for what comes next. */
void arena_reset(struct arena *arena);

/* `size` bytes, aligned for any object, not cleared; valid until reset or fini; never NULL. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same, zeroed. */
void *arena_zalloc(struct arena *arena, size_t size);

/* A copy of `s` in the arena, with a NUL behind it. str_none stays str_none. */
str arena_str(struct arena *arena, str s);

/* Text made as by printf, with a NUL behind it. */
str arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes of memory that it holds. */
static inline size_t arena_size(const struct arena *arena)
{
    return arena->_total;
}

#define ARENA_NEW(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))

#endif
