/* SPDX-License-Identifier: MIT */
/* What only owners may do (XEP-0045 §10): see and change the configuration, open a new room, destroy one.
 *
 * The form is a table (room_config.c). A submission is applied to a copy, judged as a whole, written, and
 * then told: who is no member of a room that is for members now goes (322); who gained or lost by the lists
 * of admins and owners is shown so; and what changes anybody's privacy is said with its code (§10.2.1). */
#include "occupant.h"
#include "xml/write.h"

#include <stdlib.h>

enum { FORM_BYTES_MAX = 1 << 20, PEOPLE_MAX = 1000 };

/* Everybody with this affiliation, for the form. */
static struct form_jids people(const struct room *room, enum affiliation affiliation)
{
    struct arena *arena = room_arena(room);
    struct form_jids all = { arena_alloc(arena, (room->affiliations.count + 1) * sizeof(struct jid)), 0 };
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&room->affiliations, &walk))) {
        const struct affiliated *row = CONTAINER_OF(node, struct affiliated, _node);
        struct jid jid;
        if (row->affiliation == affiliation && jid_parse(row->jid, arena, &jid) == OK)
            all.list[all.count++] = jid;
    }
    return all;
}

void room_owner_get(struct room_request *request)
{
    struct room *room = request->room;
    struct buf xml;
    if (affiliation_of(room, &request->iq->from) < AFFILIATION_OWNER) {
        room_error(request, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    room->config->admins = people(room, AFFILIATION_ADMIN);
    room->config->owners = people(room, AFFILIATION_OWNER);
    buf_init(&xml, FORM_BYTES_MAX);
    buf_lit(&xml, "<query xmlns='" NS_MUC_OWNER "'>");
    form_write(&xml, &room_config_form, FORM_ASKS, room->config);
    buf_lit(&xml, "</query>");
    room->config->admins = room->config->owners = (struct form_jids){ 0 };
    if (buf_failed(&xml))
        room_error(request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        room_result(request, &xml);
    buf_fini(&xml);
}

/* ---- Destroying (§10.9) ---- */

static str destroy_xml(struct room *room, const struct xml_node *destroy)
{
    struct arena *arena = room_arena(room);
    str reason = destroy ? xml_child_text(destroy, STR("reason"), STR(NS_MUC_OWNER), arena) : str_none;
    str password = destroy ? xml_child_text(destroy, STR("password"), STR(NS_MUC_OWNER), arena) : str_none;
    struct buf xml;
    buf_init(&xml, FORM_BYTES_MAX);
    buf_lit(&xml, "<destroy");
    if (destroy)
        xml_write_attr(&xml, "jid", xml_attr(destroy, STR("jid"), arena));
    buf_add_char(&xml, '>');
    if (reason.p)
        xml_write_element(&xml, "reason", str_none, reason);
    if (password.p)
        xml_write_element(&xml, "password", str_none, password);
    buf_lit(&xml, "</destroy>");
    str text = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return text;
}

/* One presence to each, and none of the others' (§10.9). */
static void destroy_room(struct room *room, const struct xml_node *destroy, const struct stanza *cause)
{
    struct notice notice = { .type = TYPE_UNAVAILABLE,
                             .role = ROLE_NONE,
                             .inside = destroy_xml(room, destroy) };
    room_end(room, cause);
    list_each_safe (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        occupant->affiliation = AFFILIATION_NONE;
        notice_to_own(occupant, &notice);
        list_each_safe (seat, &occupant->seats)
            seat_leave(SEAT_OF(seat));
    }
    route_result(room_shard(room), cause, STR(""));
    actor_touch(&room->actor);
}

/* ---- Configuring ---- */

struct submission {
    struct room_request *request;
    struct room *room;
    struct room_config *old, *new;
    bool has_admins, has_owners;
};

static bool is_among(const struct form_jids *list, str jid)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(jid_bare(&list->list[i]), jid))
            return true;
    return false;
}

static void set_by_list(struct submission *submission, str jid, enum affiliation affiliation, str nick)
{
    const struct stanza *iq = submission->request->iq;
    affiliation_set(submission->room, jid, affiliation, nick, STR(""), iq);
    room_log(submission->room, iq, room_affiliation_name(affiliation), jid, str_none, str_none);
}

/* Who stands in the room's table as this and not in the list any more loses it. */
static void take_from(struct submission *submission, enum affiliation affiliation,
                      const struct form_jids *list)
{
    struct room *room = submission->room;
    struct form_jids now = people(room, affiliation);
    enum affiliation after = affiliation == AFFILIATION_OWNER   ? AFFILIATION_ADMIN
                             : submission->new->is_members_only ? AFFILIATION_MEMBER
                                                                : AFFILIATION_NONE;
    for (size_t i = 0; i < now.count; i++) {
        const struct affiliated *row = affiliation_find(room, now.list[i].full);
        if (row && !is_among(list, row->jid))
            set_by_list(submission, now.list[i].full, after, row->nick);
    }
}

static void give_to(struct submission *submission, enum affiliation affiliation, const struct form_jids *list)
{
    struct room *room = submission->room;
    for (size_t i = 0; i < list->count; i++) {
        str jid = jid_bare(&list->list[i]);
        const struct affiliated *row = affiliation_find(room, jid);
        if (!row || row->affiliation != affiliation)
            set_by_list(submission, jid, affiliation, row ? row->nick : STR(""));
    }
}

/* Only the fields that were submitted count; an owner who is in both lists is an owner. */
static void apply_people(struct submission *submission, const struct form_jids *admins,
                         const struct form_jids *owners)
{
    struct form_jids rest = {
        arena_alloc(room_arena(submission->room), (admins->count + 1) * sizeof(struct jid)), 0
    };
    if (submission->has_owners) {
        take_from(submission, AFFILIATION_OWNER, owners);
        give_to(submission, AFFILIATION_OWNER, owners);
    }
    if (!submission->has_admins)
        return;
    for (size_t i = 0; i < admins->count; i++) {
        const struct affiliated *row = affiliation_find(submission->room, jid_bare(&admins->list[i]));
        if (!row || row->affiliation != AFFILIATION_OWNER)
            rest.list[rest.count++] = admins->list[i];
    }
    take_from(submission, AFFILIATION_ADMIN, admins);
    give_to(submission, AFFILIATION_ADMIN, &rest);
}

/* §10.2.1 */
static uint32_t codes(const struct submission *submission)
{
    const struct room_config *old = submission->old, *new = submission->new;
    uint32_t status = 0;
    if (old->is_logged != new->is_logged)
        status |= new->is_logged ? STATUS_170 : STATUS_171;
    if (old->whois != new->whois)
        status |= new->whois == WHOIS_ANYONE ? STATUS_172 : STATUS_173;
    return status ? status : STATUS_104;
}

static bool has_lost_admin(enum affiliation before, enum affiliation after)
{
    return before >= AFFILIATION_ADMIN && after < AFFILIATION_ADMIN;
}

/* What one occupant is after the change; true if others are to be told. */
static bool apply_to(struct submission *submission, struct occupant *occupant)
{
    struct room *room = submission->room;
    enum affiliation before = occupant->affiliation, after;
    enum role role = occupant->role, by_default;
    after = affiliation_of(room, &occupant_seat(occupant)->jid);
    by_default = role_by_default(room, after);
    occupant_become(occupant, after, by_default > role || has_lost_admin(before, after) ? by_default : role);
    if (submission->old->whois != submission->new->whois || before != occupant->affiliation ||
        role != occupant->role)
        occupant_refresh(occupant);
    return before != occupant->affiliation || role != occupant->role;
}

static void apply_to_occupants(struct submission *submission)
{
    struct room *room = submission->room;
    struct notice removed = { .type = TYPE_UNAVAILABLE, .role = ROLE_NONE, .status = STATUS_322 };
    crowds_changed(room);
    list_each_safe (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        bool changed = apply_to(submission, occupant);
        if (submission->new->is_members_only && occupant->affiliation < AFFILIATION_MEMBER) {
            occupant_remove_own(occupant, &removed);
            occupant_remove_others(occupant, &removed);
        } else if (changed) {
            crowds_changed(room);
            occupant_announce(occupant, 0, str_none, str_none);
        }
    }
}

static void put_in_force(struct submission *submission)
{
    struct room *room = submission->room;
    struct form_jids admins = submission->new->admins, owners = submission->new->owners;
    bool was_locked = room->is_locked;
    room_config_own(submission->new);
    room_config_free(room->_config_before);
    room->_config_before = submission->old;
    room->config = submission->new;
    room->_was_locked = was_locked;
    room_unlock(room);
    apply_people(submission, &admins, &owners);
    room_save_config(room, submission->request->iq);
    if (actor_is_writing(&room->actor) &&
        (submission->old->shares_bans != room->config->shares_bans || !room->_was_stored))
        bans_changed(room, str_none, false, str_none);
    room_log(room, submission->request->iq, was_locked ? "made" : "configured", str_none, str_none, str_none);
    room_result(submission->request, NULL);
    apply_to_occupants(submission);
    if (!was_locked)
        room_say_status(room, codes(submission));
    service_list_room(room);
    bans_follow(room, false);
    room_emptied(room, submission->request->iq);
}

/* Whether all can be had; answers if not. */
static bool judge(struct submission *submission, const char *why)
{
    const struct room_config *new = submission->new;
    if (!why)
        why = room_config_fault(new);
    if (!why)
        why = bans_fault(submission->room, submission->new);
    if (new->admins.count > PEOPLE_MAX || new->owners.count > PEOPLE_MAX)
        why = "too many people in a list";
    for (size_t i = 0; i < new->admins.count + new->owners.count; i++) {
        const struct jid *jid =
            i < new->admins.count ? &new->admins.list[i] : &new->owners.list[i - new->admins.count];
        if (!jid->local_len)
            why = "admins and owners are users";
    }
    if (why) {
        room_error(submission->request, STANZA_ERROR_NOT_ACCEPTABLE, why);
        return false;
    }
    if (submission->has_owners && !new->owners.count) { /* §10.2 */
        room_error(submission->request, STANZA_ERROR_CONFLICT, "somebody must own the room");
        return false;
    }
    return true;
}

static void submit(struct room_request *request, struct form *form)
{
    struct room *room = request->room;
    struct submission submission = { .request = request,
                                     .room = room,
                                     .old = room->config,
                                     .new = room_config_copy(room->config),
                                     .has_admins = form_find(form, "muc#roomconfig_roomadmins"),
                                     .has_owners = form_find(form, "muc#roomconfig_roomowners") };
    bool ok = form_apply(&room_config_form, form, submission.new);
    if (judge(&submission, ok ? NULL : form->why ? form->why : "this is another form"))
        put_in_force(&submission);
    else
        room_config_free(submission.new);
}

static void configure(struct room_request *request)
{
    struct room *room = request->room;
    struct form form;
    struct xml_node x;
    if (!xml_child(&request->child, STR("x"), STR(NS_FORM), &x) ||
        form_read(&x, room_arena(room), &form) != OK)
        room_error(request, STANZA_ERROR_BAD_REQUEST, NULL);
    else if (form.type == FORM_SUBMIT)
        submit(request, &form);
    else if (form.type == FORM_CANCEL && room->is_locked) /* §10.1.3 */
        destroy_room(room, NULL, request->iq);
    else if (form.type == FORM_CANCEL)
        room_result(request, NULL);
    else
        room_error(request, STANZA_ERROR_BAD_REQUEST, NULL);
}

void room_owner_set(struct room_request *request)
{
    struct xml_node destroy;
    if (affiliation_of(request->room, &request->iq->from) < AFFILIATION_OWNER)
        room_error(request, STANZA_ERROR_FORBIDDEN, NULL);
    else if (xml_child(&request->child, STR("destroy"), STR(NS_MUC_OWNER), &destroy))
        destroy_room(request->room, &destroy, request->iq);
    else
        configure(request);
}
