/* SPDX-License-Identifier: MIT */
/* Messages to a room: to all (XEP-0045 §7.4), to one (§7.5), the subject (§8.1), and what is no talk:
 * invitations, requests for voice (room_invite.c), and errors that come back from who is gone (§17.4).
 *
 * A message to all goes out as it came, but for what only the room may say: its id (XEP-0359), who it is of
 * (XEP-0421), and that it was delayed. Whoever has forged that finds it replaced. It is written once, for
 * all. The archive gets it at the same time (room_history.c): live delivery does not wait for the disk. */
#include "extensions/archive/mam.h"
#include "occupant.h"
#include "xmpp/delay.h"
#include "xmpp/ns.h"

#include <stdlib.h>

/* ---- Checks ---- */

/* §7.4, §16.2 */
static struct seat *speaker(struct room *room, const struct stanza *message)
{
    struct seat *seat = seat_find(room, &message->from);
    if (!seat)
        room_refuse(room, message, STANZA_ERROR_NOT_ACCEPTABLE, NULL, "you are not in this room");
    return seat;
}

/* What a room alone may say in a message. */
struct talk_filter {
    struct payload_filter filter;
    struct jid room;
};

static bool is_by_room(const struct talk_filter *filter, const struct xml_node *child, const char *attr,
                       struct arena *arena)
{
    struct jid by;
    str text = xml_attr(child, str_from(attr), arena);
    return text.p && jid_parse(text, arena, &by) == OK && jid_eq(&by, &filter->room);
}

static bool is_the_rooms_to_say(const struct payload_filter *base, const struct xml_node *child,
                                struct arena *arena)
{
    const struct talk_filter *filter = CONTAINER_OF(base, struct talk_filter, filter);
    if (xml_is(child, STR("stanza-id"), STR(NS_SID)))
        return is_by_room(filter, child, "by", arena);
    if (xml_is(child, STR("delay"), STR(NS_DELAY)))
        return is_by_room(filter, child, "from", arena);
    return str_is(child->ns, NS_OCCUPANT_ID) || str_is(child->ns, NS_MUC_USER) || str_is(child->ns, NS_MUC);
}

static str filter_talk(const struct room *room, const struct stanza *message)
{
    struct talk_filter filter = { { is_the_rooms_to_say }, room_jid(room) };
    return payload_without(&message->node, &filter.filter, room_arena(room));
}

/* The message as the room says it in the name of an occupant; `more` is added to the payload. */
static struct stanza *say_as(const struct occupant *occupant, const struct stanza *message, str more)
{
    const struct room *room = occupant->room;
    struct arena *arena = room_arena(room);
    str own = filter_talk(room, message);
    struct stanza *said = ARENA_NEW(arena, struct stanza);
    *said = *message;
    said->from = occupant->jid;
    said->to = (struct jid){ 0 };
    said->node.content = arena_printf(arena, "%.*s<occupant-id xmlns='" NS_OCCUPANT_ID "' id='%s'/>%.*s",
                                      STR_ARGS(own), occupant->id, STR_ARGS(more));
    return said;
}

/* ---- To all ---- */

void room_hand_out(struct room *room, const struct stanza *message, const struct occupant *by,
                   const struct jid *who)
{
    struct arena *arena = room_arena(room);
    struct jid room_itself = room_jid(room);
    uint64_t id = room_next_id(room);
    char text[MAM_ID_SIZE];
    struct stanza *said = ARENA_NEW(arena, struct stanza);
    struct buf xml;
    buf_init(&xml, message->node.content.len + 2 * JID_MAX * 6 + 200);
    buf_add(&xml, message->node.content);
    sid_write(&xml, &room_itself, mam_id_write(id, text));
    *said = *message;
    said->node.content = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    history_add(room, message, by, who, id);
    room_say(room, said);
}

static void say_to_all(struct occupant *occupant, const struct stanza *message)
{
    room_hand_out(occupant->room, say_as(occupant, message, STR("")), occupant, &message->from);
    activity_count(occupant->room, message);
    room_notify(occupant, message);
    if (payload_facts(message) & PAYLOAD_RETRACTION)
        room_retract(occupant, message);
}

/* ---- The subject (§8.1) ---- */

static bool is_subject(const struct stanza *message)
{
    uint32_t facts = payload_facts(message);
    return (facts & PAYLOAD_SUBJECT) && !(facts & (PAYLOAD_BODY | PAYLOAD_THREAD));
}

static str subject_of(const struct stanza *message, struct arena *arena)
{
    return xml_child_text(&message->node, STR("subject"), STR(NS_CLIENT), arena);
}

static void set_subject(struct occupant *occupant, const struct stanza *message)
{
    struct room *room = occupant->room;
    struct stanza *said = say_as(occupant, message, STR(""));
    str nick = occupant_nick(occupant), xml = said->node.content;
    if (occupant->role < ROLE_MODERATOR && !room->config->may_change_subject) {
        room_refuse(room, message, STANZA_ERROR_FORBIDDEN, NULL, "you may not change the subject");
        return;
    }
    free((char *)room->subject.xml.p);
    free((char *)room->subject.nick.p);
    room->subject.xml = str_of(str_dup(xml), xml.len);
    room->subject.nick = str_of(str_dup(nick), nick.len);
    room->subject.set_ms = loop_wall_ms(room_shard(room)->loop);
    room_save_subject(room, message);
    room_log(room, message, "subject", str_none, nick, subject_of(message, room_arena(room)));
    room_hand_out(room, said, occupant, &message->from);
}

static void groupchat(struct room *room, const struct stanza *message)
{
    struct seat *seat = speaker(room, message);
    if (!seat)
        return;
    struct occupant *occupant = seat->occupant;
    if (occupant->role < ROLE_PARTICIPANT)
        room_refuse(room, message, STANZA_ERROR_FORBIDDEN, NULL, "you have no voice in this room");
    else if (!guard_lets_say(seat, message))
        return;
    else if (is_subject(message))
        set_subject(occupant, message);
    else
        say_to_all(occupant, message);
}

/* ---- To one (§7.5) ---- */

static bool may_whisper(const struct occupant *occupant)
{
    switch ((enum allow_pm)occupant->room->config->allow_pm) {
    case PM_ANYONE:
        return true;
    case PM_PARTICIPANTS:
        return occupant->role >= ROLE_PARTICIPANT;
    case PM_MODERATORS:
        return occupant->role == ROLE_MODERATOR;
    case PM_NOBODY:
        break;
    }
    return false;
}

static void whisper(struct room *room, const struct stanza *message)
{
    struct seat *seat = speaker(room, message);
    const struct occupant *target = occupant_find(room, jid_resource(&message->to));
    if (!seat)
        return;
    if (message->type == TYPE_GROUPCHAT) {
        room_refuse(room, message, STANZA_ERROR_BAD_REQUEST, NULL, "groupchat goes to the room, not to one");
        return;
    }
    if (!target) {
        room_refuse(room, message, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "nobody here has this nickname");
        return;
    }
    if (!may_whisper(seat->occupant)) {
        room_refuse(room, message, STANZA_ERROR_FORBIDDEN, NULL, "you may not send private messages here");
        return;
    }
    if (!guard_lets_say(seat, message))
        return;
    const struct stanza *said = say_as(seat->occupant, message, STR("<x xmlns='" NS_MUC_USER "'/>"));
    list_each (at, &target->seats)
        seat_tell(SEAT_OF(at), said);
}

/* ---- Errors ---- */

/* §17.4; and service-unavailable, which RFC 6121 §8.5.3.2.1 prescribes for a client that is gone. */
static bool means_gone(const struct stanza *error)
{
    struct xml_node node;
    if (!xml_child(&error->node, STR("error"), STR(NS_CLIENT), &node))
        return false;
    switch (stanza_error_read(&node)) {
    case STANZA_ERROR_GONE:
    case STANZA_ERROR_ITEM_NOT_FOUND:
    case STANZA_ERROR_RECIPIENT_UNAVAILABLE:
    case STANZA_ERROR_REDIRECT:
    case STANZA_ERROR_REMOTE_SERVER_NOT_FOUND:
    case STANZA_ERROR_REMOTE_SERVER_TIMEOUT:
    case STANZA_ERROR_SERVICE_UNAVAILABLE:
        return true;
    default:
        return false;
    }
}

static void error_of(struct seat *seat, const struct stanza *error)
{
    struct notice notice = { .status = STATUS_333 };
    if (means_gone(error))
        seat_go(seat, &notice);
}

void room_message(struct room *room, const struct delivery *delivery)
{
    const struct stanza *message = delivery->stanza;
    struct seat *seat = seat_find(room, &message->from);
    if (message->type == TYPE_ERROR) {
        if (seat)
            error_of(seat, message);
        return;
    }
    if (room->is_locked && !seat) {
        room_refuse(room, message, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
        return;
    }
    if (!jid_is_bare(&message->to))
        whisper(room, message);
    else if (message->type == TYPE_GROUPCHAT)
        groupchat(room, message);
    else if (!room_invite(room, message) && !room_voice(room, message) &&
             !room_register_answer(room, message))
        room_refuse(room, message, STANZA_ERROR_BAD_REQUEST, NULL, "a room takes messages of type groupchat");
}
