/* SPDX-License-Identifier: MIT */
/* What an occupant may say, and how fast: slow mode (XEP-0500).
 *
 * A user is one whatever nicks and clients he has, so what is counted is counted for his bare JID; who leaves
 * and comes back within the time is still known. */
#include "occupant.h"
#include "xml/write.h"

bool guard_lets_say(struct seat *seat, const struct stanza *message)
{
    struct occupant *occupant = seat->occupant;
    struct room *room = occupant->room;
    uint64_t now = loop_now_us(room_shard(room)->loop), pause = room->config->slow_mode_s * 1000000;
    if (!pause || message->type != TYPE_GROUPCHAT || !(payload_facts(message) & PAYLOAD_BODY) ||
        occupant->affiliation >= AFFILIATION_ADMIN)
        return true;
    if (occupant->wrote_us && now - occupant->wrote_us < pause) {
        room_refuse(room, message, STANZA_ERROR_POLICY_VIOLATION, "wait",
                    arena_printf(room_arena(room), "wait %llu seconds between two messages in this room",
                                 (unsigned long long)room->config->slow_mode_s)
                        .p);
        return false;
    }
    occupant->wrote_us = now;
    return true;
}
