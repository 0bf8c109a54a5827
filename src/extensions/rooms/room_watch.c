/* SPDX-License-Identifier: MIT */
/* What a room remembers of who comes and speaks, whatever nick and client he has: when he first came, when he
 * last wrote, and how much he has said lately. In memory alone, and bounded: the one who was quiet for the
 * longest time is forgotten first. So leaving and coming back resets nothing.
 *
 * Rates are kept as one number, the time at which all that was said would be paid for (a leaky bucket): what
 * is said moves it on by its price, and it may be ahead of the clock by so much and no more. */
#include "room_watch.h"

#include <stdlib.h>

enum { WATCHED_MAX = 20000 };

static str watched_key(const struct map_node *node)
{
    return CONTAINER_OF(node, struct watched, _in_room)->jid;
}

void room_watch_init(struct room_watch *watch)
{
    map_init(&watch->_all, watched_key);
    list_init(&watch->_by_use);
}

static void forget_oldest(struct room_watch *watch)
{
    struct watched *oldest = LIST_ITEM(list_shift(&watch->_by_use), struct watched, _by_use);
    map_remove(&watch->_all, &oldest->_in_room);
    free(oldest);
}

void room_watch_fini(struct room_watch *watch)
{
    while (!list_empty(&watch->_by_use))
        forget_oldest(watch);
    map_fini(&watch->_all);
}

struct watched *room_watch_user(struct room_watch *watch, const struct jid *who, uint64_t now_us)
{
    str jid = jid_bare(who);
    struct watched *user = MAP_ITEM(map_get(&watch->_all, jid), struct watched, _in_room);
    if (user) {
        list_remove(&user->_by_use);
    } else {
        if (watch->_all.count >= WATCHED_MAX)
            forget_oldest(watch);
        user = xcalloc(1, sizeof *user + jid.len);
        memcpy(user->text, jid.p, jid.len);
        user->jid = str_of(user->text, jid.len);
        user->came_us = now_us;
        map_put(&watch->_all, &user->_in_room);
    }
    list_append(&watch->_by_use, &user->_by_use);
    return user;
}

struct watched *room_watch_known(const struct room_watch *watch, const struct jid *who)
{
    return MAP_ITEM(map_get(&watch->_all, jid_bare(who)), struct watched, _in_room);
}

bool debt_add(struct debt *debt, uint64_t now_us, uint64_t price_us, uint64_t depth_us)
{
    uint64_t paid = debt->paid_us > now_us ? debt->paid_us : now_us;
    if (paid - now_us > depth_us)
        return false;
    debt->paid_us = paid + price_us;
    return true;
}
