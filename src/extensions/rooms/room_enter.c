/* SPDX-License-Identifier: MIT */
/* Entering a room: XEP-0045 §7.2, and §10.1 where there is none yet.
 *
 * Whether somebody may enter is a list of questions, asked in an order in which an answer tells a stranger as
 * little as can be: a banned one does not learn whether he had the password. Then the events follow in the
 * order of §7.1: the others' presence, his own, what was said before, the subject.
 *
 * An occupant may have several clients under one nick if they are one user's (§7.2.8). One who enters again
 * from where he is in already has lost track and is told everything anew (§7.2.2). */
#include "occupant.h"

struct entrance {
    struct room *room;
    const struct stanza *presence;
    const struct xml_node *muc; /* its <x/> */
    str nick;
    enum affiliation affiliation;
    uint32_t status; /* to say to him */
};

/* ---- May he? ---- */

static bool refuse(struct entrance *entrance, enum stanza_error error, const char *type, const char *text)
{
    room_refuse(entrance->room, entrance->presence, error, type, text);
    return false;
}

static bool is_nick_good(struct entrance *entrance)
{
    if (!entrance->nick.len)
        return refuse(entrance, STANZA_ERROR_JID_MALFORMED, NULL, "a nickname is needed");
    if (!nick_is_good(entrance->room, entrance->nick))
        return refuse(entrance, STANZA_ERROR_NOT_ACCEPTABLE, NULL, "this nickname can't be used");
    return true;
}

static bool is_presence_small(struct entrance *entrance)
{
    const struct stanza *presence = entrance->presence;
    if (presence->attrs.len + stanza_payload(presence).len > room_settings(entrance->room)->presence_bytes)
        return refuse(entrance, STANZA_ERROR_POLICY_VIOLATION, NULL, "this presence is too large for a room");
    return true;
}

static bool may_pass(struct entrance *entrance)
{
    struct room *room = entrance->room;
    if (entrance->affiliation == AFFILIATION_OUTCAST) /* §7.2.7 */
        return refuse(entrance, STANZA_ERROR_FORBIDDEN, NULL, "you are banned from this room");
    if (room->is_locked && entrance->affiliation < AFFILIATION_OWNER) /* §7.2.10 */
        return refuse(entrance, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "this room is not open yet");
    if (room->config->is_members_only && entrance->affiliation < AFFILIATION_MEMBER) /* §7.2.6 */
        return refuse(entrance, STANZA_ERROR_REGISTRATION_REQUIRED, NULL, "this room is for members only");
    return true;
}

static bool has_password(struct entrance *entrance)
{
    const struct room_config *config = entrance->room->config;
    if (!config->has_password)
        return true;
    str given = xml_child_text(entrance->muc, STR("password"), STR(NS_MUC), room_arena(entrance->room));
    if (given.p && given.len == config->password.len &&
        mem_equal_secret(given.p, config->password.p, given.len))
        return true;
    return refuse(entrance, STANZA_ERROR_NOT_AUTHORIZED, NULL, "a password is needed"); /* §7.2.5 */
}

/* §7.2.8 */
static bool is_nick_free(struct entrance *entrance)
{
    if (!nick_is_free(entrance->room, entrance->nick, &entrance->presence->from))
        return refuse(entrance, STANZA_ERROR_CONFLICT, NULL, "this nickname is taken");
    return true;
}

/* §7.2.9: administrators find a way into a room that is full of others. */
static bool has_room(struct entrance *entrance)
{
    const struct room *room = entrance->room;
    const struct rooms_settings *settings = room_settings(room);
    uint64_t most = room->config->max_occupants;
    if (most > settings->max_occupants)
        most = settings->max_occupants;
    if (entrance->affiliation >= AFFILIATION_ADMIN)
        most += settings->max_extra;
    if (room->seats.count < most)
        return true;
    return refuse(entrance, STANZA_ERROR_SERVICE_UNAVAILABLE, "wait", "this room is full");
}

/* §10.1.1 */
static bool make_room(struct entrance *entrance)
{
    struct room *room = entrance->room;
    const struct jid *from = &entrance->presence->from;
    if (room->actor.exists)
        return true;
    if (!service_may_create(room, from))
        return refuse(entrance, STANZA_ERROR_NOT_ALLOWED, NULL, "you may not make rooms here");
    room_create(room);
    affiliation_set(room, jid_bare(from), AFFILIATION_OWNER, STR(""), STR(""), entrance->presence);
    service_list_room(room);
    entrance->affiliation = AFFILIATION_OWNER;
    entrance->status |= STATUS_201;
    return true;
}

/* ---- What he is told ---- */

static bool sees(const struct occupant *who, const struct occupant *other)
{
    return other->is_shown || class_of(who) == CLASS_MODERATORS;
}

static void show_others(const struct seat *seat)
{
    const struct occupant *self = seat->occupant;
    list_each (at, &self->room->order) {
        const struct occupant *other = OCCUPANT_OF(at);
        if (other != self && sees(self, other))
            seat_tell(seat, occupant_presence(other, class_of(self)));
    }
}

/* His presence as it is shown now, to one of his seats. */
static void show_self(const struct seat *seat, uint32_t status)
{
    const struct view *view = occupant_seat(seat->occupant)->view;
    const struct room_config *config = seat->occupant->room->config;
    struct notice notice = {
        .role = seat->occupant->role,
        .status =
            status | (config->whois == WHOIS_ANYONE ? STATUS_100 : 0) | (config->is_logged ? STATUS_170 : 0),
        .attrs = str_of(view->text, view->attrs_len),
        .own = str_of(view->text + view->attrs_len, view->own_len),
    };
    notice_to_seat(seat, &notice);
}

static void show_to_others(struct occupant *occupant)
{
    struct room *room = occupant->room;
    occupant->is_shown = occupant_may_be_shown(occupant);
    if (occupant->is_shown)
        room_say_to(room, occupant_presence(occupant, CLASS_PLAIN), CLASS_PLAIN, occupant);
    room_say_to(room, occupant_presence(occupant, CLASS_MODERATORS), CLASS_MODERATORS, occupant);
}

/* His other clients see themselves in what the new one says. */
static void show_to_own(const struct seat *seat)
{
    list_each (at, &seat->occupant->seats)
        if (SEAT_OF(at) != seat)
            show_self(SEAT_OF(at), 0);
}

static void welcome(struct entrance *entrance, struct seat *seat)
{
    show_others(seat);
    show_to_others(seat->occupant);
    show_to_own(seat);
    show_self(seat, entrance->status);
    history_show(entrance->room, seat, entrance->muc);
    room_show_subject(entrance->room, seat);
}

/* ---- Again, from where he is in already ---- */

static void enter_again(struct entrance *entrance, struct seat *seat)
{
    seat_show(seat, entrance->presence);
    welcome(entrance, seat);
}

void room_enter(struct room *room, const struct stanza *presence, const struct xml_node *muc)
{
    struct entrance entrance = {
        room, presence, muc, jid_resource(&presence->to), affiliation_of(room, &presence->from), 0
    };
    struct seat *seat = seat_find(room, &presence->from);
    if (!is_nick_good(&entrance) || !is_presence_small(&entrance))
        return;
    if (seat) {
        enter_again(&entrance, seat);
        return;
    }
    if (!make_room(&entrance) || !may_pass(&entrance) || !has_password(&entrance) ||
        !is_nick_free(&entrance) || !has_room(&entrance) ||
        !guard_lets_in(room, presence, entrance.affiliation))
        return;
    seat = seat_take(room, entrance.nick, &presence->from, entrance.affiliation,
                     role_at_door(room, &presence->from, entrance.affiliation));
    seat_show(seat, presence);
    struct watched *known = room_watch_known(&room->watch, &presence->from);
    if (known)
        known->is_told = false;
    welcome(&entrance, seat);
}
