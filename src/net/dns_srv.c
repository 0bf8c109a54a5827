/* SPDX-License-Identifier: MIT */
/* The order of SRV records (RFC 2782). Pure: the randomness is handed in. Records for direct TLS are mixed
 * with the others, as one list (XEP-0368 §2). */
#include "net/dns_impl.h"

/* Weight of the ones among services[from..count) that have the priority of the first of them, after those
 * were moved to the front. */
static uint64_t gather_first(struct dns_service *services, size_t from, size_t count, size_t *ret_end)
{
    uint16_t least = UINT16_MAX;
    uint64_t weight = 0;
    size_t end = from;
    for (size_t i = from; i < count; i++)
        if (services[i].record.priority < least)
            least = services[i].record.priority;
    for (size_t i = from; i < count; i++) {
        if (services[i].record.priority != least)
            continue;
        struct dns_service moved = services[i];
        services[i] = services[end];
        services[end++] = moved;
        weight += moved.record.weight;
    }
    *ret_end = end;
    return weight;
}

/* Those of weight 0 stand first in the running sum, so that they have a small chance and not none. */
static size_t pick(const struct dns_service *services, size_t from, size_t end, uint64_t number)
{
    uint64_t sum = 0;
    if (number == 0)
        for (size_t i = from; i < end; i++)
            if (!services[i].record.weight)
                return i;
    for (size_t i = from; i < end; i++) {
        sum += services[i].record.weight;
        if (sum >= number && services[i].record.weight)
            return i;
    }
    return from;
}

void dns_srv_order(struct dns_service *services, size_t count, uint64_t (*draw)(void *arg, uint64_t below),
                   void *arg)
{
    for (size_t at = 0; at < count; at++) {
        size_t end;
        uint64_t weight = gather_first(services, at, count, &end);
        size_t chosen =
            weight ? pick(services, at, end, draw(arg, weight + 1)) : at + (size_t)draw(arg, end - at);
        struct dns_service next = services[chosen];
        services[chosen] = services[at];
        services[at] = next;
    }
}
