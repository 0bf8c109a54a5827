/* SPDX-License-Identifier: MIT */
/* How often something has happened lately, or how many of it there are now, by key (a network, an account):
 * tables of fixed size that all threads share without a lock. It errs on the side of refusing: two keys may
 * share a count, seldom, and nobody can make that happen on purpose (the hash is keyed). Windows are fixed:
 * around the end of one, twice the limit may pass. */
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

enum { CENSUS_CELLS = 16384 };

/* How many there are now. Zeroed memory is an empty one. */
struct census {
    _Atomic uint32_t _cells[2][CENSUS_CELLS];
};

/* One more with this hash (keyed, not 0); false, and nothing is counted, if `limit` are there already. It
 * never lets more pass; it refuses too early, by a few, when there are many more others than CENSUS_CELLS.
 * Any thread. */
bool census_enter(struct census *census, uint64_t hash, uint32_t limit);

/* One less: of those that were let in. */
void census_leave(struct census *census, uint64_t hash);

#endif
