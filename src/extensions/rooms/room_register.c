/* SPDX-License-Identifier: MIT */
/* Registering with a room (XEP-0045 §7.10, XEP-0077): who is not affiliated with an open room becomes a
 * member, with a nick that is kept for him; a member may change his nick or give all up. A room for members
 * takes no applications: its admins add people (§9.5).
 *
 * The nick is all that is asked for. */
#include "occupant.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#define NS_REGISTER     "jabber:iq:register"
#define NS_MUC_REGISTER NS_MUC "#register"

enum { XML_MAX = 16 * 1024 };

struct registration {
    str nick;
};

static const struct form_row rows[] = {
    { "muc#register_roomnick", FIELD_TEXT_SINGLE, "The nickname that you want",
      FORM_TEXT(struct registration, nick), .required = true },
};

static const struct form_table form = { NS_MUC_REGISTER, FORM_ROWS(rows),
                                        .title = "Registration with the room",
                                        .instructions =
                                            "Choose the nickname that is to be yours in this room." };

/* Answers if he may not. */
static bool may_register(struct room_request *request)
{
    const struct room *room = request->room;
    enum affiliation own = affiliation_of(room, &request->iq->from);
    bool full = room->affiliations.count >= room_settings(room)->max_affiliations;
    if (room->is_locked || own == AFFILIATION_OUTCAST)
        room_error(request, room->is_locked ? STANZA_ERROR_ITEM_NOT_FOUND : STANZA_ERROR_FORBIDDEN, NULL);
    else if (own == AFFILIATION_NONE && room->config->is_members_only)
        room_error(request, STANZA_ERROR_NOT_ALLOWED, NULL);
    else if (own == AFFILIATION_NONE && full)
        room_error(request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        return true;
    return false;
}

void room_register_get(struct room_request *request)
{
    const struct affiliated *row = affiliation_find(request->room, jid_bare(&request->iq->from));
    struct registration now = { .nick = row && row->nick.len ? row->nick : str_none };
    struct buf xml;
    if (!may_register(request))
        return;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_REGISTER "'>");
    if (now.nick.p) {
        buf_lit(&xml, "<registered/>");
        xml_write_element(&xml, "username", str_none, now.nick);
    } else {
        form_write(&xml, &form, FORM_ASKS, &now);
    }
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

static void take(struct room_request *request, str nick)
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
    affiliation_set(room, jid_bare(who), affiliation, nick, row ? row->reason : STR(""), request->iq);
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
    struct registration wish = { str_none };
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
        take(request, nick);
}
