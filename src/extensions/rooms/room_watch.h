/* SPDX-License-Identifier: MIT */
/* Who has come to a room and how much he says, for its guards. */
#ifndef ROOMS_ROOM_WATCH_H
#define ROOMS_ROOM_WATCH_H

#include "base/list.h"
#include "base/map.h"
#include "xmpp/jid.h"

/* What somebody has used faster than the clock pays for it. */
struct debt {
    uint64_t paid_us; /* the time at which all is paid for */
};

struct watched {
    struct map_node _in_room;
    struct list _by_use;
    uint64_t came_us;    /* first known */
    uint64_t wrote_us;   /* the last message with a body; 0: none yet (XEP-0500) */
    uint64_t held_us;    /* until then his client is not read */
    bool is_told;        /* that he was mentioned, since he was in */
    uint64_t applied_us; /* for membership, the last time; 0: never */
    uint8_t role;        /* enum role that he was given by hand; 0: none */
    struct debt said;
    str jid; /* bare */
    char text[];
};

struct room_watch {
    struct map _all;
    struct list _by_use; /* who was quiet for the longest time is first */
};

void room_watch_init(struct room_watch *watch);
void room_watch_fini(struct room_watch *watch);

/* What is known of him; begins to know him. Valid until another one is asked for. */
struct watched *room_watch_user(struct room_watch *watch, const struct jid *who, uint64_t now_us);

/* The same; NULL if nothing is known. */
struct watched *room_watch_known(const struct room_watch *watch, const struct jid *who);

/* Adds something of this price; false if more than `depth_us` is unpaid already: then nothing is added. */
bool debt_add(struct debt *debt, uint64_t now_us, uint64_t price_us, uint64_t depth_us);

/* How far ahead of the clock it is. */
static inline uint64_t debt_unpaid_us(const struct debt *debt, uint64_t now_us)
{
    return debt->paid_us > now_us ? debt->paid_us - now_us : 0;
}

#endif
