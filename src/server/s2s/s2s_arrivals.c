/* SPDX-License-Identifier: MIT */
#include "server/s2s/s2s_arrivals.h"

#include "base/map.h"
#include "server/sm/sm.h"

#include <stdlib.h>

enum { KNOWN_MAX = 1000 };

struct arrival {
    struct list link; /* _pending or _known */
    struct receipt receipt;
    struct arrivals *of;
    uint64_t number, digest;
    bool safe;
};

struct arrivals *arrivals_new(struct shard *shard, void (*moved)(void *owner), void *owner)
{
    struct arrivals *arrivals = NEW(struct arrivals);
    arrivals->_refs = 1;
    arrivals->_shard = shard;
    arrivals->_moved = moved;
    arrivals->_owner = owner;
    list_init(&arrivals->_pending);
    list_init(&arrivals->_known);
    return arrivals;
}

static void unref(struct arrivals *arrivals)
{
    if (!--arrivals->_refs)
        free(arrivals);
}

static void drop(struct arrival *arrival)
{
    list_remove(&arrival->link);
    arrival->of->_refs--;
    free(arrival);
}

static struct arrival *first_safe(const struct arrivals *arrivals)
{
    if (list_empty(&arrivals->_pending))
        return NULL;
    struct arrival *first = LIST_ITEM(arrivals->_pending.next, struct arrival, link);
    return first->safe ? first : NULL;
}

static void collect(struct arrivals *arrivals)
{
    struct arrival *first;
    uint64_t before = arrivals->safe;
    while ((first = first_safe(arrivals))) {
        drop(first);
        arrivals->safe++;
    }
    if (arrivals->_owner && arrivals->safe > before)
        arrivals->_moved(arrivals->_owner);
}

void arrivals_release(struct arrivals *arrivals)
{
    struct list *link;
    arrivals->_owner = NULL;
    while ((link = list_shift(&arrivals->_known)))
        list_append(&arrivals->_pending, link);
    collect(arrivals);
    unref(arrivals);
}

static void arrived_safely(struct receipt *receipt)
{
    struct arrival *arrival = CONTAINER_OF(receipt, struct arrival, receipt);
    struct arrivals *arrivals = arrival->of;
    arrival->safe = true;
    arrivals->_refs++;
    collect(arrivals);
    unref(arrivals);
}

static uint64_t digest_of(const struct stanza *stanza)
{
    return sm_digest(stanza) ^ hash_stable(stanza->from.full);
}

static struct arrival *take_known(struct arrivals *arrivals, uint64_t digest)
{
    list_each (at, &arrivals->_known) {
        struct arrival *arrival = LIST_ITEM(at, struct arrival, link);
        if (arrival->digest != digest)
            continue;
        list_remove(at);
        return arrival;
    }
    return NULL;
}

static struct arrival *arrival_new(struct arrivals *arrivals, uint64_t digest)
{
    struct arrival *arrival = NEW(struct arrival);
    arrival->of = arrivals;
    arrival->digest = digest;
    arrivals->_refs++;
    receipt_init(&arrival->receipt, arrivals->_shard, arrived_safely, NULL);
    arrival->receipt.of_server = true;
    return arrival;
}

struct receipt *arrivals_add(struct arrivals *arrivals, const struct stanza *stanza)
{
    uint64_t digest = digest_of(stanza);
    struct arrival *known = take_known(arrivals, digest);
    struct arrival *arrival = known ? known : arrival_new(arrivals, digest);
    arrival->number = ++arrivals->in;
    list_append(&arrivals->_pending, &arrival->link);
    if (!known)
        return &arrival->receipt;
    collect(arrivals);
    return NULL;
}

/* Of a peer that never sends again what it is asked for. */
static void trim_known(struct arrivals *arrivals)
{
    size_t count = 0;
    list_each (at, &arrivals->_known)
        count++;
    list_each_safe (at, &arrivals->_known) {
        struct arrival *arrival = LIST_ITEM(at, struct arrival, link);
        if (count <= KNOWN_MAX)
            return;
        if (!arrival->safe)
            continue;
        drop(arrival);
        count--;
    }
}

void arrivals_count_anew(struct arrivals *arrivals)
{
    struct list *link;
    while ((link = list_shift(&arrivals->_pending)))
        list_append(&arrivals->_known, link);
    trim_known(arrivals);
    arrivals->in = arrivals->safe;
}

void arrivals_not_taken(struct receipt *receipt)
{
    const struct arrival *arrival = CONTAINER_OF(receipt, struct arrival, receipt);
    struct arrivals *arrivals = arrival->of;
    if (!arrivals->_refused || arrival->number < arrivals->_refused)
        arrivals->_refused = arrival->number;
}

uint64_t arrivals_ack(const struct arrivals *arrivals)
{
    bool all_taken = !arrivals->_refused || arrivals->_refused > arrivals->safe;
    return all_taken ? arrivals->safe : arrivals->_refused - 1;
}
