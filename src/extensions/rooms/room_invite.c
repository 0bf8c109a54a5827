/* SPDX-License-Identifier: MIT */
/* Messages to a room that are no talk: invitations that it passes on and their declines (XEP-0045 §7.8.2),
 * and requests for voice with their approvals (§7.13, §8.6).
 *
 * A decline goes only to somebody who is in the room or belongs to it, so that a room is no way to write to
 * strangers. An invitation to a room for members makes the invitee one (§9.5). */
#include "base/utf8.h"
#include "occupant.h"
#include "xml/write.h"
#include "xmpp/form_table.h"

#define NS_REQUEST NS_MUC "#request"

enum { XML_MAX = 64 * 1024, INVITES_MAX = 20, TEXT_BYTES_MAX = 4000 };

/* ---- Invitations ---- */

void room_send_invitation(struct room *room, const struct jid *to, const struct jid *from, str inside,
                          const struct stanza *cause)
{
    struct arena *arena = room_arena(room);
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<x xmlns='" NS_MUC_USER "'><invite");
    xml_write_attr(&xml, "from", from->full);
    buf_add_char(&xml, '>');
    buf_add(&xml, inside);
    buf_lit(&xml, "</invite>");
    if (room->config->has_password)
        xml_write_element(&xml, "password", str_none, room->config->password);
    buf_lit(&xml, "</x>");
    *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, cause->kind == STANZA_MESSAGE ? cause->id : str_none,
                           arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    message->from = room_jid(room);
    message->to = *to;
    route(room_shard(room), message);
}

/* The reason, and whether it goes on from a talk of two (§7.9). */
static str inside_of(const struct xml_node *node, struct arena *arena)
{
    str reason = xml_child_text(node, STR("reason"), STR(NS_MUC_USER), arena);
    struct xml_node more;
    struct buf xml;
    buf_init(&xml, XML_MAX);
    if (reason.p)
        xml_write_element(&xml, "reason", str_none, utf8_cut(reason, TEXT_BYTES_MAX));
    if (xml_child(node, STR("continue"), STR(NS_MUC_USER), &more)) {
        buf_lit(&xml, "<continue");
        xml_write_attr(&xml, "thread", xml_attr(&more, STR("thread"), arena));
        buf_lit(&xml, "/>");
    }
    str inside = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return inside.p ? inside : STR("");
}

/* Answers if he may not. */
static bool may_invite(struct room *room, const struct stanza *message)
{
    const struct seat *seat = seat_find(room, &message->from);
    enum affiliation own = affiliation_of(room, &message->from);
    bool member_may = room->config->may_invite && own >= AFFILIATION_MEMBER;
    if (!seat && own < AFFILIATION_ADMIN) {
        room_refuse(room, message, STANZA_ERROR_NOT_ACCEPTABLE, NULL, "you are not in this room");
        return false;
    }
    if (room->config->is_members_only && own < AFFILIATION_ADMIN && !member_may) { /* §9.5 */
        room_refuse(room, message, STANZA_ERROR_FORBIDDEN, NULL, "you may not invite others to this room");
        return false;
    }
    return true;
}

/* §9.5: only where it is needed to enter. */
static bool make_member(struct room *room, const struct jid *who, const struct stanza *message)
{
    if (!room->config->is_members_only || affiliation_of(room, who) != AFFILIATION_NONE)
        return true;
    if (room->affiliations.count >= room_settings(room)->max_affiliations) {
        room_refuse(room, message, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL, "the room has too many members");
        return false;
    }
    affiliation_set(room, jid_bare(who), AFFILIATION_MEMBER, STR(""), STR(""), message);
    room_log(room, message, "member", jid_bare(who), str_none, str_none);
    return true;
}

static void invite(struct room *room, const struct stanza *message, const struct xml_node *node)
{
    struct arena *arena = room_arena(room);
    struct jid from = jid_to_bare(&message->from), to;
    str text = xml_attr(node, STR("to"), arena);
    if (!text.p || jid_parse(text, arena, &to) != OK)
        room_refuse(room, message, STANZA_ERROR_JID_MALFORMED, NULL, "whom do you invite?");
    else if (make_member(room, &to, message))
        room_send_invitation(room, &to, &from, inside_of(node, arena), message);
}

static bool belongs(const struct room *room, const struct jid *who)
{
    if (affiliation_of(room, who) >= AFFILIATION_MEMBER)
        return true;
    list_each (at, &room->order)
        if (jid_eq_bare(&occupant_seat(OCCUPANT_OF(at))->jid, who))
            return true;
    return false;
}

static void decline(struct room *room, const struct stanza *message, const struct xml_node *node)
{
    struct arena *arena = room_arena(room);
    str text = xml_attr(node, STR("to"), arena), inside = inside_of(node, arena);
    struct jid to, from = jid_to_bare(&message->from);
    struct buf xml;
    if (!text.p || jid_parse(text, arena, &to) != OK || !belongs(room, &to))
        return;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<x xmlns='" NS_MUC_USER "'><decline");
    xml_write_attr(&xml, "from", from.full);
    buf_add_char(&xml, '>');
    buf_add(&xml, inside);
    buf_lit(&xml, "</decline></x>");
    struct stanza *passed = ARENA_NEW(arena, struct stanza);
    *passed = stanza_make(STANZA_MESSAGE, TYPE_NONE, message->id, arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    passed->from = room_jid(room);
    passed->to = to;
    route(room_shard(room), passed);
}

bool room_invite(struct room *room, const struct stanza *message)
{
    struct xml_node x, child;
    unsigned count = 0;
    bool may = false;
    if (!xml_child(&message->node, STR("x"), STR(NS_MUC_USER), &x))
        return false;
    for (bool more = xml_first(&x, &child); more; more = xml_next(&child)) {
        if (xml_is(&child, STR("decline"), STR(NS_MUC_USER))) {
            decline(room, message, &child);
            return true;
        }
        if (!xml_is(&child, STR("invite"), STR(NS_MUC_USER)))
            continue;
        if (!may && !(may = may_invite(room, message)))
            return true;
        if (count++ < INVITES_MAX)
            invite(room, message, &child);
    }
    return count > 0;
}

/* ---- Voice ---- */

struct voice {
    str role, nick;
    struct jid jid;
    bool allow;
};

static const struct form_row rows[] = {
    { "muc#role", FIELD_LIST_SINGLE, "Requested role", FORM_TEXT(struct voice, role) },
    { "muc#jid", FIELD_JID_SINGLE, "User ID", FORM_JID(struct voice, jid) },
    { "muc#roomnick", FIELD_TEXT_SINGLE, "Room nickname", FORM_TEXT(struct voice, nick) },
    { "muc#request_allow", FIELD_BOOLEAN, "Grant voice to this person?", FORM_BOOL(struct voice, allow) },
};

static const struct form_table form = { NS_REQUEST, FORM_ROWS(rows), .title = "Voice request",
                                        .instructions =
                                            "To approve this request for voice, say yes and send the form." };

/* §8.6: to each moderator. */
static void ask_moderators(const struct seat *asker)
{
    struct room *room = asker->occupant->room;
    struct arena *arena = room_arena(room);
    struct voice voice = { STR("participant"), occupant_nick(asker->occupant), asker->jid, false };
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    struct buf xml;
    buf_init(&xml, XML_MAX);
    form_write(&xml, &form, FORM_ASKS, &voice);
    *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, str_none, arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    message->from = room_jid(room);
    room_say_to(room, message, CLASS_MODERATORS, NULL);
}

static void grant(struct room *room, const struct voice *voice, const struct stanza *message)
{
    struct occupant *occupant = occupant_find(room, voice->nick);
    if (!voice->allow || !occupant || occupant->role != ROLE_VISITOR ||
        (!jid_is_none(&voice->jid) && !seat_find(room, &voice->jid)))
        return;
    room_log(room, message, "participant", jid_bare(&occupant_seat(occupant)->jid), occupant_nick(occupant),
             str_none);
    occupant->role = ROLE_PARTICIPANT;
    role_remember(room, &occupant_seat(occupant)->jid, ROLE_PARTICIPANT);
    occupant_refresh(occupant);
    occupant_announce(occupant, 0, str_none, str_none);
}

bool room_voice(struct room *room, const struct stanza *message)
{
    struct seat *seat = seat_find(room, &message->from);
    struct voice voice = { .role = str_none };
    struct form submitted;
    if (form_read_child(&message->node, room_arena(room), &submitted) != OK ||
        !form_is(&submitted, NS_REQUEST))
        return false;
    if (!form_apply(&form, &submitted, &voice))
        return false;
    if (!seat)
        room_refuse(room, message, STANZA_ERROR_NOT_ACCEPTABLE, NULL, "you are not in this room");
    else if (submitted.type == FORM_CANCEL)
        return true;
    else if (seat->occupant->role == ROLE_MODERATOR)
        grant(room, &voice, message);
    else if (seat->occupant->role == ROLE_VISITOR)
        ask_moderators(seat);
    return true;
}
