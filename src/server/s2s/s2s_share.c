/* SPDX-License-Identifier: MIT */
/* A bucket in one number: the moment at which all that was taken will have been paid for at the rate. Who is
 * ahead of the clock by more than a burst has to wait. One number can be changed by many without a lock. */
#include "server/s2s/s2s_share.h"

static const uint64_t SECOND_NS = 1000000000;

/* Returns how far it is ahead now. */
static uint64_t take(_Atomic uint64_t *cell, uint64_t cost_ns, uint64_t now_ns)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed), new;
    do
        new = (old > now_ns ? old : now_ns) + cost_ns;
    while (
        !atomic_compare_exchange_weak_explicit(cell, &old, new, memory_order_relaxed, memory_order_relaxed));
    return new - now_ns;
}

uint64_t share_take(struct share *share, uint64_t hash, uint64_t amount, uint32_t rate, uint64_t burst,
                    uint64_t now_us)
{
    if (!rate)
        return 0;
    uint64_t cost_ns = amount * SECOND_NS / rate, burst_ns = burst * SECOND_NS / rate;
    uint64_t a_ns = take(&share->_cells[0][hash % SHARE_CELLS], cost_ns, now_us * 1000);
    uint64_t b_ns = take(&share->_cells[1][(hash >> 32) % SHARE_CELLS], cost_ns, now_us * 1000);
    uint64_t ahead_ns = a_ns < b_ns ? a_ns : b_ns;
    return ahead_ns > burst_ns ? (ahead_ns - burst_ns) / 1000000 + 1 : 0;
}
