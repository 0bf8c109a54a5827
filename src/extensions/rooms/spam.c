/* SPDX-License-Identifier: MIT */
/* The same text in many rooms within a minute: what spam looks like from above, whoever sends it.
 *
 * Rooms live on all threads, and none of them is to wait for another. So this is one small table of numbers
 * for the server that all may change: a place for each text, by its hash, with a mark of the text, the
 * minute, and a bit for each room (by the room's hash). Two texts that want one place push each other out,
 * and two rooms may share a bit: both err on the side of letting a text pass. It never grows. */
#include "occupant.h"

#include <stdatomic.h>

enum { PLACES = 4096, MINUTE_MS = 60000, MARK_BITS = 16, MINUTE_BITS = 16, ROOM_BITS = 32 };

static _Atomic uint64_t places[PLACES];

/* FNV-1a, which is enough: who wants a collision gains that his text passes, as another one would. */
static uint64_t hash_of(str text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * 0x100000001b3;
    return hash ^ hash >> 29;
}

bool spam_is_everywhere(const struct room *room, str body)
{
    uint32_t most = room_settings(room)->same_text_rooms;
    uint64_t hash = hash_of(body);
    uint64_t minute = (uint64_t)loop_wall_ms(room_shard(room)->loop) / MINUTE_MS;
    uint64_t head = (hash >> (64 - MARK_BITS)) << MINUTE_BITS | (minute & ((1u << MINUTE_BITS) - 1));
    uint64_t bit = UINT64_C(1) << hash_of(actor_bare(&room->actor)) % ROOM_BITS;
    _Atomic uint64_t *place = &places[hash % PLACES];
    uint64_t before = atomic_load_explicit(place, memory_order_relaxed), after;
    if (!most)
        return false;
    do {
        after = (before >> ROOM_BITS == head ? before : head << ROOM_BITS) | bit;
    } while (!atomic_compare_exchange_weak_explicit(place, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return (unsigned)__builtin_popcountll(after & UINT32_MAX) > most;
}
