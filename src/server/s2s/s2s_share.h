/* SPDX-License-Identifier: MIT */
/* How much other domains have brought lately: what all connections of one domain, or of one address, share. A
 * table of fixed size that all threads use without a lock. It errs on the side of slowness: a domain is
 * slowed by others only if both of its cells are shared with such, which is rare and, as the hash is keyed,
 * nobody's choice. */
#ifndef SERVER_S2S_SHARE_H
#define SERVER_S2S_SHARE_H

#include <stdatomic.h>
#include <stdint.h>

enum { SHARE_CELLS = 4096 };

/* Zeroed memory is an empty one. */
struct share {
    _Atomic uint64_t _cells[2][SHARE_CELLS]; /* until when what was taken keeps it busy, in nanoseconds */
};

/* Takes `amount` for who has this (keyed) hash, whether or not there is enough. `rate`: units a
 * second (0: no limit); `burst`: as many as may be taken at once. Returns after how many milliseconds there
 * is enough again: 0 if there is now. Any thread. */
uint64_t share_take(struct share *share, uint64_t hash, uint64_t amount, uint32_t rate, uint64_t burst,
                    uint64_t now_us);

#endif
