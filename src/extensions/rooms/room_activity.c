/* SPDX-License-Identifier: MIT */
/* XEP-0502 0.1.0: how many messages an hour are sent in a room, on the average of the last day. A counter for
 * each hour; those that are whole count. It is not known of a room that has just woken, and is not kept in
 * the store: a room with people in it does not sleep. */
#include "occupant.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static int64_t hour_now(const struct room *room)
{
    return loop_wall_ms(room_shard(room)->loop) / HOUR_MS;
}

void activity_begin(struct room *room)
{
    room->activity = (struct activity){ .hour = hour_now(room) };
}

/* Moves on to the hour that it is. A clock that was set back begins anew. */
static void move_on(struct room *room)
{
    struct activity *activity = &room->activity;
    int64_t hours = hour_now(room) - activity->hour;
    if (hours < 0) {
        activity_begin(room);
        return;
    }
    if (hours > ACTIVITY_HOURS) { /* all that was known is too old */
        activity->hour += hours - ACTIVITY_HOURS;
        hours = ACTIVITY_HOURS;
    }
    for (; hours > 0; hours--) {
        memmove(&activity->said[1], &activity->said[0], sizeof activity->said - sizeof activity->said[0]);
        activity->said[0] = 0;
        activity->hour++;
        if (activity->full < ACTIVITY_HOURS)
            activity->full++; /* one more than are whole: the room woke within an hour */
    }
}

void activity_count(struct room *room, const struct stanza *message)
{
    uint32_t facts = payload_facts(message);
    if (!(facts & (PAYLOAD_BODY | PAYLOAD_ENCRYPTED)) || (facts & PAYLOAD_CORRECTION))
        return;
    move_on(room);
    room->activity.said[0]++;
}

double activity_rate(struct room *room)
{
    uint64_t all = 0;
    move_on(room);
    if (room->activity.full < 2)
        return -1;
    uint32_t whole = room->activity.full - 1;
    for (uint32_t i = 1; i <= whole; i++)
        all += room->activity.said[i];
    return (double)all / whole;
}
