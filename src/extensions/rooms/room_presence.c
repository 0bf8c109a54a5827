/* SPDX-License-Identifier: MIT */
/* Presence that comes to a room: entering (room_enter.c), another nick (XEP-0045 §7.6), another availability
 * (§7.7), leaving (§7.14), and errors that show that a client is gone (§17.4).
 *
 * Presence without <x/> from somebody who is not in is no way in: it comes from a client that believes to be
 * in, and is told that it is not (§7.2.16). */
#include "occupant.h"

static void change_nick(struct seat *seat, const struct stanza *presence, str nick)
{
    struct occupant *occupant = seat->occupant;
    struct notice notice = {
        .type = TYPE_UNAVAILABLE, .role = occupant->role, .status = STATUS_303, .new_nick = nick
    };
    notice_to_others(occupant, &notice);
    notice_to_own(occupant, &notice);
    occupant_rename(occupant, nick);
    seat_show(seat, presence);
    occupant_refresh(occupant);
    occupant_announce(occupant, 0, str_none, str_none);
}

/* A client that leaves its fellows under the old nick: it goes there alone. */
static void move_seat(struct seat *seat, const struct stanza *presence, str nick)
{
    struct occupant *old = seat->occupant;
    struct room *room = old->room;
    struct jid jid = jid_copy(&seat->jid, room_arena(room));
    struct notice notice = {
        .type = TYPE_UNAVAILABLE, .role = old->role, .status = STATUS_303, .new_nick = nick
    };
    bool was_shown = occupant_seat(old) == seat, was_last = old->seats.next == old->seats.prev;
    enum affiliation affiliation = old->affiliation;
    enum role role = old->role;
    notice_to_seat(seat, &notice);
    if (was_last)
        notice_to_others(old, &notice);
    seat_leave(seat);
    if (!was_last && was_shown)
        occupant_announce(old, 0, str_none, str_none);
    seat = seat_take(room, nick, &jid, affiliation, role);
    seat_show(seat, presence);
    occupant_announce(seat->occupant, 0, str_none, str_none);
}

static bool may_be_named(struct seat *seat, const struct stanza *presence, str nick)
{
    struct room *room = seat->occupant->room;
    if (!nick_is_good(room, nick)) {
        room_refuse(room, presence, STANZA_ERROR_NOT_ACCEPTABLE, NULL, "this nickname can't be used");
        return false;
    }
    if (!nick_is_free(room, nick, &seat->jid)) {
        room_refuse(room, presence, STANZA_ERROR_CONFLICT, NULL, "this nickname is taken");
        return false;
    }
    return true;
}

static void rename_to(struct seat *seat, const struct stanza *presence, str nick)
{
    const struct occupant *occupant = seat->occupant;
    if (!may_be_named(seat, presence, nick))
        return;
    if (!guard_lets_show(seat, presence)) {
        room_refuse(seat->occupant->room, presence, STANZA_ERROR_POLICY_VIOLATION, "wait",
                    "you change your nickname too often");
        return;
    }
    if (occupant->seats.next == occupant->seats.prev && !occupant_find(occupant->room, nick))
        change_nick(seat, presence, nick);
    else
        move_seat(seat, presence, nick);
}

static void available(struct room *room, struct seat *seat, const struct stanza *presence)
{
    str nick = jid_resource(&presence->to);
    if (presence->attrs.len + stanza_payload(presence).len > room_settings(room)->presence_bytes) {
        room_refuse(room, presence, STANZA_ERROR_POLICY_VIOLATION, NULL,
                    "this presence is too large for a room");
        return;
    }
    if (!nick.len) {
        room_refuse(room, presence, STANZA_ERROR_JID_MALFORMED, NULL, "a nickname is needed");
        return;
    }
    if (!str_eq(nick, occupant_nick(seat->occupant))) {
        rename_to(seat, presence, nick);
        return;
    }
    seat_show(seat, presence);
    if (guard_lets_show(seat, presence)) /* else with his next one */
        occupant_announce(seat->occupant, 0, str_none, str_none);
}

static void leave(struct seat *seat, const struct stanza *presence)
{
    struct notice notice = { .attrs = presence->attrs,
                             .own = presence_filter(presence, room_arena(seat->occupant->room)) };
    seat_go(seat, &notice);
}

/* §7.2.16 */
static void not_in(struct room *room, const struct stanza *presence)
{
    struct arena *arena = room_arena(room);
    struct stanza *kick = ARENA_NEW(arena, struct stanza);
    *kick = stanza_make(STANZA_PRESENCE, TYPE_UNAVAILABLE, str_none,
                        STR("<x xmlns='" NS_MUC_USER "'><item affiliation='none' role='none'>"
                            "<reason>You are not in the room.</reason></item><status code='110'/>"
                            "<status code='307'/><status code='333'/></x>"),
                        arena);
    kick->from = presence->to;
    kick->to = presence->from;
    route(room_shard(room), kick);
}

/* §17.4, §9.1 of this text's service use cases: what cannot be delivered comes from one who is gone. */
static void lost(struct seat *seat)
{
    struct notice notice = { .status = STATUS_333 };
    seat_go(seat, &notice);
}

void room_presence(struct room *room, const struct delivery *delivery)
{
    const struct stanza *presence = delivery->stanza;
    struct seat *seat = seat_find(room, &presence->from);
    struct xml_node muc;
    switch (presence->type) {
    case TYPE_NONE:
        if (xml_child(&presence->node, STR("x"), STR(NS_MUC), &muc) &&
            (!seat || str_eq(jid_resource(&presence->to), occupant_nick(seat->occupant))))
            room_enter(room, presence, &muc);
        else if (seat)
            available(room, seat, presence);
        else
            not_in(room, presence);
        return;
    case TYPE_UNAVAILABLE: /* of one who is not in: silence (§16.3) */
        if (seat)
            leave(seat, presence);
        return;
    case TYPE_ERROR:
        if (seat)
            lost(seat);
        return;
    default: /* probes and subscriptions: a room has no presence of its own */
        return;
    }
}
