/* SPDX-License-Identifier: MIT */
/* How often something has happened lately, by key (a network, an account): a table of fixed size that all
 * threads share without a lock. It errs on the side of refusing: two keys may share a count, seldom, and
 * nobody can make that happen on purpose (the hash is keyed). Windows are fixed: around the end of one, twice
 * the limit may pass. */
#ifndef SERVER_LIMITER_H
#define SERVER_LIMITER_H

#include "base/str.h"

#include <stdatomic.h>

enum { LIMITER_CELLS = 2048 };

/* Zeroed memory is an empty one. */
struct limiter {
    _Atomic uint64_t _cells[2][LIMITER_CELLS];
};

/* Counts one more for the key; false, and nothing is counted, if `limit` were there in this window already. A
 * limit of 0 lets nothing pass. Any thread. */
bool limiter_take(struct limiter *limiter, str key, uint64_t now_ms, uint64_t window_ms, uint32_t limit);

#endif
