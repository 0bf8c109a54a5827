/* SPDX-License-Identifier: MIT */
/* How a room tells its occupants something.
 *
 * A room keeps a crowd (server/crowd.h) for each shard and class: the clients of ours that are at home
 * there and see the same. What is said to all is one stanza, handed to each crowd. The crowds are made
 * anew when somebody has come or gone and something is to be said. Clients of other servers are told one by
 * one. Moderators are a class of their own since they see real addresses and everybody's presence.
 *
 * Presence that is said of an occupant comes in two forms: the view that is ready at hand (occupant.c), and a
 * *notice* that is written for the moment: with codes, reasons, other roles. */
#include "occupant.h"

#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { NOTICE_MAX = 1 << 20 };

/* ---- Crowds ---- */

void crowds_changed(struct room *room)
{
    unsigned count = room_shard(room)->server->shard_count * CLASSES;
    for (unsigned i = 0; room->_crowds && i < count; i++)
        crowd_unref(room->_crowds[i]);
    free(room->_crowds);
    free(room->_remote);
    room->_crowds = NULL;
    room->_remote = NULL;
    room->_remote_count = 0;
}

struct crowd_size {
    uint32_t count;
    size_t bytes;
};

static unsigned slot_of(const struct seat *seat)
{
    return seat->shard * CLASSES + class_of(seat->occupant);
}

static void count_seats(const struct room *room, struct crowd_size *sizes, uint32_t *remote)
{
    list_each (at, &room->order) {
        list_each (link, &OCCUPANT_OF(at)->seats) {
            const struct seat *seat = SEAT_OF(link);
            if (!seat->is_local) {
                ++*remote;
                continue;
            }
            sizes[slot_of(seat)].count++;
            sizes[slot_of(seat)].bytes += seat->jid.full.len;
        }
    }
}

static void make_crowds(struct room *room)
{
    unsigned slots = room_shard(room)->server->shard_count * CLASSES;
    struct crowd_size *sizes = xcalloc(slots, sizeof *sizes);
    uint32_t remote = 0;
    count_seats(room, sizes, &remote);
    room->_crowds = xcalloc(slots, sizeof(struct crowd *));
    room->_remote = xcalloc(remote + 1, sizeof(struct seat *));
    for (unsigned i = 0; i < slots; i++)
        if (sizes[i].count)
            room->_crowds[i] = crowd_new(i / CLASSES, sizes[i].count, sizes[i].bytes);
    list_each (at, &room->order) {
        list_each (link, &OCCUPANT_OF(at)->seats) {
            struct seat *seat = SEAT_OF(link);
            if (seat->is_local)
                crowd_add(room->_crowds[slot_of(seat)], &seat->jid, seat->occupant->number);
            else
                room->_remote[room->_remote_count++] = seat;
        }
    }
    free(sizes);
}

void seat_tell(const struct seat *seat, const struct stanza *stanza)
{
    struct shard *shard = room_shard(seat->occupant->room);
    struct stanza *own = arena_alloc(&shard->arena, sizeof *own);
    *own = *stanza;
    own->to = seat->jid;
    route_to(shard, own, &seat->jid, DELIVER_ROUTE);
}

void room_say_to(struct room *room, const struct stanza *stanza, enum room_class class,
                 const struct occupant *except)
{
    struct shard *shard = room_shard(room);
    uint32_t group = except ? except->number : 0;
    if (!room->_crowds)
        make_crowds(room);
    for (unsigned i = class; i < shard->server->shard_count * CLASSES; i += CLASSES)
        if (room->_crowds[i])
            route_crowd(shard, stanza, room->_crowds[i], group);
    for (uint32_t i = 0; i < room->_remote_count; i++) {
        const struct seat *seat = room->_remote[i];
        if (class_of(seat->occupant) == class && seat->occupant != except)
            seat_tell(seat, stanza);
    }
}

void room_say(struct room *room, const struct stanza *stanza)
{
    for (enum room_class class = 0; class < CLASSES; class ++)
        room_say_to(room, stanza, class, NULL);
}

/* ---- Notices ---- */

static void write_status(struct buf *to, uint32_t status)
{
    static const unsigned codes[] = {
#define X(code) code,
        STATUS_CODES(X)
#undef X
    };
    for (unsigned i = 0; i < COUNT_OF(codes); i++)
        if (status & 1u << i)
            buf_addf(to, "<status code='%u'/>", codes[i]);
}

void room_say_status(struct room *room, uint32_t status)
{
    struct arena *arena = room_arena(room);
    struct buf xml;
    buf_init(&xml, NOTICE_MAX);
    buf_lit(&xml, "<x xmlns='" NS_MUC_USER "'>");
    write_status(&xml, status);
    buf_lit(&xml, "</x>");
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    *message = stanza_make(STANZA_MESSAGE, TYPE_GROUPCHAT, str_none, arena_str(arena, buf_str(&xml)), arena);
    message->from = room_jid(room);
    buf_fini(&xml);
    room_say(room, message);
}

static void write_item(struct buf *to, const struct occupant *occupant, const struct notice *notice,
                       const struct jid *jid)
{
    buf_addf(to, "<item affiliation='%s' role='%s'", room_affiliation_name(occupant->affiliation),
             role_name(notice->role));
    if (jid)
        xml_write_attr(to, "jid", jid->full);
    xml_write_attr(to, "nick", notice->new_nick);
    if (!notice->actor.p && !notice->reason.p) {
        buf_lit(to, "/>");
        return;
    }
    buf_add_char(to, '>');
    if (notice->actor.p) {
        buf_lit(to, "<actor");
        xml_write_attr(to, "nick", notice->actor);
        buf_lit(to, "/>");
    }
    if (notice->reason.p)
        xml_write_element(to, "reason", str_none, notice->reason);
    buf_lit(to, "</item>");
}

/* `jid`: to be shown; or NULL. */
static const struct stanza *make_notice(const struct occupant *occupant, const struct notice *notice,
                                        const struct jid *jid, uint32_t status)
{
    struct arena *arena = room_arena(occupant->room);
    struct buf xml;
    buf_init(&xml, NOTICE_MAX);
    buf_add(&xml, notice->own);
    buf_lit(&xml, "<x xmlns='" NS_MUC_USER "'>");
    write_item(&xml, occupant, notice, jid);
    buf_add(&xml, notice->inside);
    write_status(&xml, status);
    buf_addf(&xml, "</x><occupant-id xmlns='" NS_OCCUPANT_ID "' id='%s'/>", occupant->id);
    if (notice->type == TYPE_NONE)
        hats_write(&xml, occupant);
    struct stanza *stanza = ARENA_NEW(arena, struct stanza);
    *stanza = stanza_make(STANZA_PRESENCE, notice->type, str_none, arena_str(arena, buf_str(&xml)), arena);
    if (notice->attrs.p)
        stanza->attrs = stanza->node.attrs = notice->attrs;
    stanza->from = occupant->jid;
    buf_fini(&xml);
    return stanza;
}

void notice_to_others(const struct occupant *occupant, const struct notice *notice)
{
    struct room *room = occupant->room;
    const struct jid *jid = &occupant_seat(occupant)->jid;
    bool all_see = room->config->whois == WHOIS_ANYONE;
    const struct stanza *full = make_notice(occupant, notice, jid, notice->status);
    if (occupant->is_shown)
        room_say_to(room, all_see ? full : make_notice(occupant, notice, NULL, notice->status), CLASS_PLAIN,
                    occupant);
    room_say_to(room, full, CLASS_MODERATORS, occupant);
}

void notice_to_seat(const struct seat *seat, const struct notice *notice)
{
    seat_tell(seat, make_notice(seat->occupant, notice, &seat->jid, notice->status | STATUS_110));
}

void notice_to_own(const struct occupant *occupant, const struct notice *notice)
{
    list_each (at, &occupant->seats)
        notice_to_seat(SEAT_OF(at), notice);
}

/* ---- An occupant's presence ---- */

/* One whom the others do not see any more by what has changed has left, for them. */
static void hide(struct occupant *occupant)
{
    struct notice gone = { .type = TYPE_UNAVAILABLE, .role = ROLE_NONE };
    const struct stanza *stanza = make_notice(occupant, &gone, NULL, 0);
    room_say_to(occupant->room, stanza, CLASS_PLAIN, occupant);
    occupant->is_shown = false;
}

static void view_to_others(struct occupant *occupant)
{
    struct room *room = occupant->room;
    if (occupant->is_shown)
        room_say_to(room, occupant_presence(occupant, CLASS_PLAIN), CLASS_PLAIN, occupant);
    room_say_to(room, occupant_presence(occupant, CLASS_MODERATORS), CLASS_MODERATORS, occupant);
}

void occupant_announce(struct occupant *occupant, uint32_t status, str actor, str reason)
{
    const struct view *view = occupant_seat(occupant)->view;
    struct notice notice = {
        .type = TYPE_NONE,
        .role = occupant->role,
        .attrs = str_of(view->text, view->attrs_len),
        .own = str_of(view->text + view->attrs_len, view->own_len),
        .actor = actor,
        .reason = reason,
    };
    if (occupant_may_be_shown(occupant))
        occupant->is_shown = true;
    else if (occupant->is_shown)
        hide(occupant);
    if (actor.p || reason.p)
        notice_to_others(occupant, &notice);
    else
        view_to_others(occupant);
    notice.status = status;
    notice_to_own(occupant, &notice);
}

/* ---- Going ---- */

void seat_go(struct seat *seat, struct notice *notice)
{
    struct occupant *occupant = seat->occupant;
    struct room *room = occupant->room;
    bool was_shown = occupant_seat(occupant) == seat;
    notice->type = TYPE_UNAVAILABLE;
    notice->role = ROLE_NONE;
    notice_to_seat(seat, notice);
    if (seat->_in_occupant.next != seat->_in_occupant.prev) { /* he has others */
        seat_leave(seat);
        if (was_shown)
            occupant_announce(occupant, 0, str_none, str_none);
        return;
    }
    notice_to_others(occupant, notice);
    seat_leave(seat);
    room_emptied(room, NULL);
}

void occupant_remove_own(struct occupant *occupant, const struct notice *notice)
{
    notice_to_own(occupant, notice);
}

void occupant_remove_others(struct occupant *occupant, const struct notice *notice)
{
    notice_to_others(occupant, notice);
    list_each_safe (at, &occupant->seats)
        seat_leave(SEAT_OF(at));
}

void room_emptied(struct room *room, const struct stanza *cause)
{
    if (room->occupants.count || room->has_ended)
        return;
    if (room->is_locked || !room->config->is_persistent)
        room_end(room, cause);
    else
        service_list_room(room);
    actor_touch(&room->actor);
}
