/* SPDX-License-Identifier: MIT */
/* Registering with a room (XEP-0045 §7.10, XEP-0077): who is not affiliated with an open room becomes a
 * member, with a nick that is kept for him; a member may change his nick or give all up. By the room's
 * configuration that takes an admin's approval (§9.9), or is not to be had. A room for members takes no
 * applications that nobody looks at.
 *
 * An application is kept nowhere: it is a message to the admins who are in, or else to the accounts of all,
 * where it waits for them. Their answer says all that is needed, and is worth what they may do anyway.
 *
 * The nick is all that is asked for. */
#include "occupant.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#define NS_REGISTER     "jabber:iq:register"
#define NS_MUC_REGISTER NS_MUC "#register"

enum {
    XML_MAX = 16 * 1024,
    ASKED_MAX = 20,
    SECOND_US = 1000000,
    APPLY_PAUSE_US = 60 * SECOND_US, /* of one user */
    APPLY_PRICE_US = 60 * SECOND_US, /* of all: one a minute, ten at once */
    APPLY_DEPTH_US = 9 * APPLY_PRICE_US
};

struct registration {
    str nick;
    bool notify;
};

static const struct form_row rows[] = {
    { "muc#register_roomnick", FIELD_TEXT_SINGLE, "The nickname that you want",
      FORM_TEXT(struct registration, nick), .required = true },
    { "x-jabiru_notify", FIELD_BOOLEAN, "Tell you of mentions while you are away?",
      FORM_BOOL(struct registration, notify) },
};

static const struct form_table form = { NS_MUC_REGISTER, FORM_ROWS(rows),
                                        .title = "Registration with the room",
                                        .instructions =
                                            "Choose the nickname that is to be yours in this room." };

static bool is_open_to_applicants(const struct room *room)
{
    switch ((enum room_registration)room->config->registration) {
    case REGISTRATION_OPEN:
        return !room->config->is_members_only;
    case REGISTRATION_APPROVED:
        return true;
    case REGISTRATION_CLOSED:
        break;
    }
    return false;
}

/* Answers if he may not. */
static bool may_register(struct room_request *request)
{
    const struct room *room = request->room;
    enum affiliation own = affiliation_of(room, &request->iq->from);
    bool full = room->affiliations.count >= room_settings(room)->max_affiliations;
    if (room->is_locked || own == AFFILIATION_OUTCAST)
        room_error(request, room->is_locked ? STANZA_ERROR_ITEM_NOT_FOUND : STANZA_ERROR_FORBIDDEN, NULL);
    else if (own == AFFILIATION_NONE && !is_open_to_applicants(room))
        room_error(request,
                   room->config->registration == REGISTRATION_CLOSED && request->iq->type == TYPE_SET
                       ? STANZA_ERROR_SERVICE_UNAVAILABLE
                       : STANZA_ERROR_NOT_ALLOWED,
                   NULL);
    else if (own == AFFILIATION_NONE && full)
        room_error(request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        return true;
    return false;
}

void room_register_get(struct room_request *request)
{
    const struct affiliated *row = affiliation_find(request->room, jid_bare(&request->iq->from));
    struct registration now = { row && row->nick.len ? row->nick : str_none, row && row->is_asking };
    struct buf xml;
    if (!may_register(request))
        return;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_REGISTER "'>");
    if (now.nick.p) {
        buf_lit(&xml, "<registered/>");
        xml_write_element(&xml, "username", str_none, now.nick);
    }
    form_write(&xml, &form, FORM_ASKS, &now);
    buf_lit(&xml, "</query>");
    room_result(request, &xml);
    buf_fini(&xml);
}

/* Shows those of the user who are in as what they are now. */
static void refresh_user(struct room *room, const struct jid *who)
{
    list_each (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        enum affiliation before = occupant->affiliation, after = affiliation_of(room, who);
        enum role role = role_by_default(room, after);
        if (!jid_eq_bare(&occupant_seat(occupant)->jid, who))
            continue;
        if (before == after)
            continue;
        occupant_become(occupant, after, role > occupant->role ? role : occupant->role);
        crowds_changed(room);
        occupant_refresh(occupant);
        occupant_announce(occupant, 0, str_none, str_none);
    }
}

/* ---- With an admin's approval (§9.9) ---- */

struct application {
    str nick;
    struct jid jid;
    bool allow;
};

static const struct form_row application_rows[] = {
    { "muc#register_roomnick", FIELD_TEXT_SINGLE, "Desired nickname", FORM_TEXT(struct application, nick) },
    { "muc#jid", FIELD_JID_SINGLE, "User ID", FORM_JID(struct application, jid) },
    { "muc#register_allow", FIELD_BOOLEAN, "Allow this person to register with the room?",
      FORM_BOOL(struct application, allow) },
};

static const struct form_table application_form = {
    NS_MUC_REGISTER,
    FORM_ROWS(application_rows),
    .title = "Registration request",
    .instructions = "To let this person register with the room, say yes and send the form.",
};

static void ask_seats(struct room *room, const struct stanza *message, size_t *asked)
{
    list_each (at, &room->order) {
        const struct occupant *occupant = OCCUPANT_OF(at);
        if (occupant->affiliation < AFFILIATION_ADMIN)
            continue;
        list_each (seat, &occupant->seats)
            seat_tell(SEAT_OF(seat), message);
        ++*asked;
    }
}

/* None of them is in: it waits at their accounts. */
static void ask_accounts(struct room *room, const struct stanza *message)
{
    struct arena *arena = room_arena(room);
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t asked = 0;
    while (asked < ASKED_MAX && (node = map_next(&room->affiliations, &walk))) {
        const struct affiliated *row = CONTAINER_OF(node, struct affiliated, _node);
        struct stanza *own = ARENA_NEW(arena, struct stanza);
        *own = *message;
        if (row->affiliation < AFFILIATION_ADMIN || jid_parse(row->jid, arena, &own->to) != OK)
            continue;
        route(room_shard(room), own);
        asked++;
    }
}

static void ask_admins(struct room *room, const struct application *application)
{
    struct arena *arena = room_arena(room);
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    struct buf xml;
    size_t asked = 0;
    buf_init(&xml, XML_MAX);
    form_write(&xml, &application_form, FORM_ASKS, application);
    *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, str_none, arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    message->from = room_jid(room);
    ask_seats(room, message, &asked);
    if (!asked)
        ask_accounts(room, message);
}

static void apply(struct room_request *request, str nick)
{
    struct room *room = request->room;
    struct application application = { nick, jid_to_bare(&request->iq->from), false };
    uint64_t now = loop_now_us(room_shard(room)->loop);
    struct watched *user = room_watch_user(&room->watch, &request->iq->from, now);
    if (user->applied_us && now - user->applied_us < APPLY_PAUSE_US) {
        room_refuse(room, request->iq, STANZA_ERROR_RESOURCE_CONSTRAINT, "wait",
                    "your last application is still being looked at");
        return;
    }
    if (!debt_add(&room->applied, now, APPLY_PRICE_US, APPLY_DEPTH_US)) {
        room_refuse(room, request->iq, STANZA_ERROR_RESOURCE_CONSTRAINT, "wait",
                    "too many are applying at once");
        return;
    }
    user->applied_us = now;
    room_result(request, NULL);
    ask_admins(room, &application);
}

/* The nick is his if nobody has taken it meanwhile; a member he becomes in any case. */
static void approve(struct room *room, const struct application *application, const struct stanza *message)
{
    str bare = jid_bare(&application->jid), nick = STR("");
    struct jid from = jid_to_bare(&message->from), who = jid_to_bare(&application->jid);
    if (jid_prepare_resource(application->nick, room_arena(room), &nick) != OK || !nick_is_good(room, nick) ||
        !nick_is_free(room, nick, &who))
        nick = STR("");
    if (affiliation_of(room, &who) != AFFILIATION_NONE || !who.local_len)
        return;
    if (room->affiliations.count >= room_settings(room)->max_affiliations) {
        room_refuse(room, message, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL, "the room has too many members");
        return;
    }
    affiliation_set(room, bare, AFFILIATION_MEMBER, nick, STR(""), message);
    room_log(room, message, "member", bare, nick, str_none);
    refresh_user(room, &who);
    if (room->config->is_members_only) /* §9.5 */
        room_send_invitation(room, &who, &from, str_none, message);
}

bool room_register_answer(struct room *room, const struct stanza *message)
{
    struct application application = { .nick = str_none };
    struct form submitted;
    if (form_read_child(&message->node, room_arena(room), &submitted) != OK ||
        !form_is(&submitted, NS_MUC_REGISTER) ||
        (submitted.type != FORM_CANCEL && !form_apply(&application_form, &submitted, &application)))
        return false;
    if (affiliation_of(room, &message->from) < AFFILIATION_ADMIN)
        room_refuse(room, message, STANZA_ERROR_FORBIDDEN, NULL, NULL);
    else if (application.allow)
        approve(room, &application, message);
    return true;
}

static void take(struct room_request *request, str nick, bool notify)
{
    struct room *room = request->room;
    const struct jid *who = &request->iq->from;
    const struct affiliated *row = affiliation_find(room, jid_bare(who));
    enum affiliation affiliation = row ? row->affiliation : AFFILIATION_MEMBER;
    const struct affiliated *owner = affiliation_with_nick(room, nick);
    const struct occupant *user = occupant_find(room, nick);
    if ((owner && owner != row) || (user && !jid_eq_bare(&occupant_seat(user)->jid, who))) {
        room_error(request, STANZA_ERROR_CONFLICT, "this nickname is taken");
        return;
    }
    if (!row && room->config->registration == REGISTRATION_APPROVED) {
        apply(request, nick);
        return;
    }
    affiliation_set(room, jid_bare(who), affiliation, nick, row ? row->reason : STR(""), request->iq);
    affiliation_ask(room, jid_bare(who), notify, request->iq);
    room_result(request, NULL);
    refresh_user(room, who);
}

/* XEP-0077 §3.2: he gives it up. An owner or admin stays what he is, without the nick. */
static void give_up(struct room_request *request)
{
    struct room *room = request->room;
    const struct jid *who = &request->iq->from;
    const struct affiliated *row = affiliation_find(room, jid_bare(who));
    struct notice notice = { .type = TYPE_UNAVAILABLE, .role = ROLE_NONE, .status = STATUS_321 };
    if (!row) {
        room_error(request, STANZA_ERROR_REGISTRATION_REQUIRED, NULL);
        return;
    }
    enum affiliation affiliation =
        row->affiliation == AFFILIATION_MEMBER ? AFFILIATION_NONE : row->affiliation;
    affiliation_set(room, row->jid, affiliation, STR(""), row->reason, request->iq);
    room_result(request, NULL);
    refresh_user(room, who);
    list_each_safe (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        if (!room->config->is_members_only || affiliation != AFFILIATION_NONE ||
            !jid_eq_bare(&occupant_seat(occupant)->jid, who))
            continue;
        occupant_remove_own(occupant, &notice);
        occupant_remove_others(occupant, &notice);
    }
    room_emptied(room, request->iq);
}

void room_register_set(struct room_request *request)
{
    struct arena *arena = room_arena(request->room);
    const struct affiliated *row = affiliation_find(request->room, jid_bare(&request->iq->from));
    struct registration wish = { str_none, row && row->is_asking };
    struct form submitted;
    struct xml_node x;
    str nick;
    if (!may_register(request))
        return;
    if (xml_child(&request->child, STR("remove"), STR(NS_REGISTER), &x)) {
        give_up(request);
        return;
    }
    if (!xml_child(&request->child, STR("x"), STR(NS_FORM), &x) || form_read(&x, arena, &submitted) != OK ||
        submitted.type != FORM_SUBMIT || !form_apply(&form, &submitted, &wish)) {
        room_error(request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    if (!wish.nick.len || jid_prepare_resource(wish.nick, arena, &nick) != OK ||
        !nick_is_good(request->room, nick))
        room_error(request, STANZA_ERROR_NOT_ACCEPTABLE, "this nickname can't be used");
    else
        take(request, nick, wish.notify);
}
