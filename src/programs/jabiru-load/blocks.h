/* SPDX-License-Identifier: MIT */
/* Users stand in blocks of neighbours, one after the other; the last block may be smaller. */
#ifndef JABIRU_LOAD_BLOCKS_H
#define JABIRU_LOAD_BLOCKS_H

#include "programs/jabiru-load/load.h"

/* The first of the block of this user. */
static inline unsigned block_begin(unsigned index, unsigned size)
{
    return index - index % size;
}

/* The one behind the last. */
static inline unsigned block_end(const struct load *load, unsigned index, unsigned size)
{
    unsigned end = block_begin(index, size) + size;
    return end < load->options.users ? end : load->options.users;
}

static inline unsigned block_count(const struct load *load, unsigned index, unsigned size)
{
    return block_end(load, index, size) - block_begin(index, size);
}

/* The user of this name, with or without '@' and what follows; NULL if it is none of ours. */
struct user *block_user(struct load *load, str name);

#endif
