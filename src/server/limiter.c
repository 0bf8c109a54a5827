/* SPDX-License-Identifier: MIT */
/* Two rows of counters, and a key has one in each (a count-min sketch): its count is the smaller of them. A
 * counter holds the number of its window in the upper half, so that nothing ever has to be swept. */
#include "server/limiter.h"

#include "base/map.h"

static uint32_t count_of(uint64_t cell, uint32_t window)
{
    return cell >> 32 == window ? (uint32_t)cell : 0;
}

static void count(_Atomic uint64_t *cell, uint32_t window)
{
    uint64_t old = atomic_load(cell), new;
    do
        new = (uint64_t)window << 32 | (count_of(old, window) + 1);
    while (!atomic_compare_exchange_weak(cell, &old, new));
}

bool limiter_take(struct limiter *limiter, str key, uint64_t now_ms, uint64_t window_ms, uint32_t limit)
{
    uint64_t hash = hash_keyed(key);
    /* counted from 1: a zeroed cell is of no window */
    uint32_t window = (uint32_t)(now_ms / (window_ms ? window_ms : 1)) + 1;
    _Atomic uint64_t *a = &limiter->_cells[0][hash % LIMITER_CELLS];
    _Atomic uint64_t *b = &limiter->_cells[1][(hash >> 32) % LIMITER_CELLS];
    if (count_of(atomic_load(a), window) >= limit && count_of(atomic_load(b), window) >= limit)
        return false;
    count(a, window);
    count(b, window);
    return true;
}

/* ---- How many there are */

static _Atomic uint32_t *cell(struct census *census, unsigned row, uint64_t hash)
{
    return &census->_cells[row][(row ? hash >> 32 : hash) % CENSUS_CELLS];
}

/* Counted before it is compared, so that two at once can't both be the last. */
bool census_enter(struct census *census, uint64_t hash, uint32_t limit)
{
    uint32_t a = atomic_fetch_add(cell(census, 0, hash), 1);
    uint32_t b = atomic_fetch_add(cell(census, 1, hash), 1);
    if ((a < b ? a : b) < limit)
        return true;
    census_leave(census, hash);
    return false;
}

void census_leave(struct census *census, uint64_t hash)
{
    atomic_fetch_sub(cell(census, 0, hash), 1);
    atomic_fetch_sub(cell(census, 1, hash), 1);
}
