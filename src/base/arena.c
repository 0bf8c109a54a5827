/* SPDX-License-Identifier: MIT */
/* A bump allocator over a chain of blocks. Blocks double in size, so a large stanza costs few of them; a
 * reset keeps the newest, which is the largest, unless it grew beyond KEEP_MAX: one giant must not stay for
 * ever. */
#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEEP_MAX = 256 * 1024, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(ALIGN) char bytes[];
};

void arena_init(struct arena *arena, size_t block_size)
{
    *arena = (struct arena){ ._block_size = block_size };
}

static void free_chain(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_fini(struct arena *arena)
{
    free_chain(arena->_first);
    arena_init(arena, arena->_block_size);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->_first;
    if (!kept)
        return;
    if (kept->size > KEEP_MAX) {
        arena_fini(arena);
        return;
    }
    free_chain(kept->next);
    kept->next = NULL;
    arena->_used = 0;
    arena->_total = kept->size;
}

static void grow(struct arena *arena, size_t size)
{
    size_t room = arena->_first ? arena->_first->size * 2 : arena->_block_size;
    if (room < size)
        room = size;
    struct arena_block *block = xmalloc(sizeof *block + room);
    block->next = arena->_first;
    block->size = room;
    arena->_first = block;
    arena->_used = 0;
    arena->_total += room;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!arena->_first || arena->_first->size - arena->_used < size)
        grow(arena, size);
    void *memory = arena->_first->bytes + arena->_used;
    arena->_used += size;
    return memory;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    return memset(arena_alloc(arena, size), 0, size);
}

str arena_str(struct arena *arena, str s)
{
    if (!s.p)
        return s;
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len)
        memcpy(copy, s.p, s.len);
    copy[s.len] = '\0';
    return str_of(copy, s.len);
}

str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return str_of(text, (size_t)length);
}
