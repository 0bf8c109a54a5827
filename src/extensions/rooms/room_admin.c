/* SPDX-License-Identifier: MIT */
/* Roles and affiliations, asked for and changed (XEP-0045 §8 and §9, and §10.3-10.8 for owners).
 *
 * A request changes all that it names or nothing: first each item is read and judged, then all are carried
 * out. What the tables of §5.1.3 and §5.2.2 and the use cases allow is asked in two functions,
 * judge_role() and judge_affiliation(), rule by rule. The order of what is said is that of §8.2: those who
 * are removed are told, then who asked, then the others. */
#include "occupant.h"
#include "xml/write.h"

#include <stdlib.h>

enum { ITEMS_MAX = 500, LIST_BYTES_MAX = 4 << 20, REASON_MAX = 1000 };

struct change {
    bool is_role;
    enum role role;
    enum affiliation affiliation, before;
    struct occupant *occupant; /* of a role */
    struct jid jid;            /* of an affiliation, bare */
    str nick, reason;          /* str_none: not given */
};

struct edit {
    struct room *room;
    const struct stanza *iq;
    enum affiliation actor_affiliation;
    enum role actor_role;
    struct occupant *actor; /* NULL: he is not in the room */
    struct change *changes;
    size_t count;
    uint32_t owners; /* that would be left */
};

static void look_at_actor(struct edit *edit)
{
    const struct seat *seat = seat_find(edit->room, &edit->iq->from);
    edit->actor_affiliation = affiliation_of(edit->room, &edit->iq->from);
    edit->actor = seat ? seat->occupant : NULL;
    edit->actor_role = seat ? seat->occupant->role : ROLE_NONE;
}

/* ---- Judging ---- */

/* §5.1.3, §8.2-8.5, §9.6-9.8 */
static enum stanza_error judge_role(const struct edit *edit, const struct change *change)
{
    const struct occupant *target = change->occupant;
    enum affiliation own = edit->actor_affiliation, his = target->affiliation;
    if (edit->actor_role < ROLE_MODERATOR && own < AFFILIATION_ADMIN)
        return STANZA_ERROR_FORBIDDEN;
    if (change->role == target->role)
        return STANZA_ERROR_NONE;
    if (change->role == ROLE_MODERATOR)
        return own >= AFFILIATION_ADMIN ? STANZA_ERROR_NONE : STANZA_ERROR_FORBIDDEN;
    if (his > own)
        return STANZA_ERROR_NOT_ALLOWED;
    if (change->role == ROLE_NONE) /* a moderator goes by the hand of an admin or owner alone */
        return target->role < ROLE_MODERATOR || own >= AFFILIATION_ADMIN ? STANZA_ERROR_NONE
                                                                         : STANZA_ERROR_NOT_ALLOWED;
    if (his >= AFFILIATION_ADMIN) /* §8.4, §9.7: they are moderators by what they are */
        return STANZA_ERROR_NOT_ALLOWED;
    if (target->role == ROLE_MODERATOR)
        return own >= AFFILIATION_ADMIN ? STANZA_ERROR_NONE : STANZA_ERROR_FORBIDDEN;
    if (change->role == ROLE_VISITOR && his != AFFILIATION_NONE && his >= own) /* §8.4 */
        return STANZA_ERROR_NOT_ALLOWED;
    return STANZA_ERROR_NONE;
}

/* §5.2.2, §9.1-9.5, §10.3-10.8 */
static enum stanza_error judge_affiliation(struct edit *edit, const struct change *change)
{
    enum affiliation own = edit->actor_affiliation, before = change->before, after = change->affiliation;
    bool self = jid_eq_bare(&change->jid, &edit->iq->from);
    if (own < AFFILIATION_ADMIN)
        return STANZA_ERROR_FORBIDDEN;
    if (after == AFFILIATION_OUTCAST && self) /* §9.1 */
        return STANZA_ERROR_CONFLICT;
    if (own < AFFILIATION_OWNER && after == AFFILIATION_OUTCAST && before >= own)
        return STANZA_ERROR_NOT_ALLOWED;
    if (own < AFFILIATION_OWNER && (before >= AFFILIATION_ADMIN || after >= AFFILIATION_ADMIN))
        return STANZA_ERROR_FORBIDDEN;
    if (!change->jid.local_len && after > AFFILIATION_MEMBER) /* a whole domain */
        return STANZA_ERROR_NOT_ALLOWED;
    if (change->nick.len && affiliation_with_nick(edit->room, change->nick) &&
        !str_eq(affiliation_with_nick(edit->room, change->nick)->jid, change->jid.full))
        return STANZA_ERROR_CONFLICT;
    edit->owners += (after == AFFILIATION_OWNER) - (before == AFFILIATION_OWNER);
    return STANZA_ERROR_NONE;
}

/* ---- Reading ---- */

static enum stanza_error read_role(struct edit *edit, const struct xml_node *item, struct change *ret)
{
    struct arena *arena = room_arena(edit->room);
    str nick = xml_attr(item, STR("nick"), arena), prepared;
    if (!role_named(xml_attr(item, STR("role"), arena), &ret->role) || !nick.len)
        return STANZA_ERROR_BAD_REQUEST;
    if (jid_prepare_resource(nick, arena, &prepared) != OK)
        return STANZA_ERROR_ITEM_NOT_FOUND;
    ret->is_role = true;
    ret->occupant = occupant_find(edit->room, prepared);
    return ret->occupant ? judge_role(edit, ret) : STANZA_ERROR_ITEM_NOT_FOUND;
}

/* The bare JID; or that of an occupant who was named by his nick (§9.1: clients do). */
static bool read_who(struct edit *edit, const struct xml_node *item, struct change *ret)
{
    struct arena *arena = room_arena(edit->room);
    str jid = xml_attr(item, STR("jid"), arena), nick = xml_attr(item, STR("nick"), arena);
    if (jid.p) {
        bool ok = jid_parse(jid, arena, &ret->jid) == OK;
        ret->jid = jid_to_bare(&ret->jid);
        return ok;
    }
    const struct occupant *occupant = nick.p ? occupant_find(edit->room, nick) : NULL;
    if (occupant)
        ret->jid = jid_to_bare(&occupant_seat(occupant)->jid);
    return occupant != NULL;
}

static enum stanza_error read_affiliation(struct edit *edit, const struct xml_node *item, struct change *ret)
{
    struct arena *arena = room_arena(edit->room);
    str nick = xml_attr(item, STR("nick"), arena);
    if (!room_affiliation_named(xml_attr(item, STR("affiliation"), arena), &ret->affiliation))
        return STANZA_ERROR_BAD_REQUEST;
    if (!read_who(edit, item, ret))
        return xml_attr(item, STR("jid"), arena).p ? STANZA_ERROR_JID_MALFORMED : STANZA_ERROR_ITEM_NOT_FOUND;
    if (nick.len && (jid_prepare_resource(nick, arena, &nick) != OK || !nick_is_good(edit->room, nick)))
        return STANZA_ERROR_NOT_ACCEPTABLE;
    const struct affiliated *row = affiliation_find(edit->room, ret->jid.full);
    ret->nick = xml_attr(item, STR("jid"), arena).p ? nick : str_none;
    ret->before = row ? row->affiliation : AFFILIATION_NONE;
    return judge_affiliation(edit, ret);
}

static enum stanza_error read_item(struct edit *edit, const struct xml_node *item)
{
    struct arena *arena = room_arena(edit->room);
    struct change *change = &edit->changes[edit->count];
    bool role = xml_attr(item, STR("role"), arena).p,
         affiliation = xml_attr(item, STR("affiliation"), arena).p;
    *change = (struct change){ .reason = xml_child_text(item, STR("reason"), STR(NS_MUC_ADMIN), arena) };
    if (change->reason.len > REASON_MAX)
        return STANZA_ERROR_NOT_ACCEPTABLE;
    if (role == affiliation) /* §16.4: one of them */
        return STANZA_ERROR_BAD_REQUEST;
    enum stanza_error error = role ? read_role(edit, item, change) : read_affiliation(edit, item, change);
    edit->count++;
    return error;
}

static enum stanza_error read_items(struct edit *edit, const struct xml_node *query)
{
    struct xml_node item;
    edit->changes = arena_alloc(room_arena(edit->room), ITEMS_MAX * sizeof *edit->changes);
    edit->owners = edit->room->owners;
    for (bool more = xml_first(query, &item); more; more = xml_next(&item)) {
        if (!xml_is(&item, STR("item"), STR(NS_MUC_ADMIN)))
            continue;
        enum stanza_error error =
            edit->count < ITEMS_MAX ? read_item(edit, &item) : STANZA_ERROR_RESOURCE_CONSTRAINT;
        if (error != STANZA_ERROR_NONE)
            return error;
    }
    if (!edit->count)
        return STANZA_ERROR_BAD_REQUEST;
    if (!edit->owners && edit->room->owners) /* §10.4: somebody must stay */
        return STANZA_ERROR_CONFLICT;
    if (edit->room->affiliations.count + edit->count > room_settings(edit->room)->max_affiliations)
        return STANZA_ERROR_RESOURCE_CONSTRAINT;
    return STANZA_ERROR_NONE;
}

/* ---- Carrying out ---- */

static struct notice removal(const struct edit *edit, const struct change *change, uint32_t status)
{
    return (struct notice){ .type = TYPE_UNAVAILABLE,
                            .role = ROLE_NONE,
                            .status = status,
                            .actor = edit->actor ? occupant_nick(edit->actor) : str_none,
                            .reason = change->reason };
}

/* What an affiliation means for one who is in: 0, or the code with which he goes (§9.1, §9.4). */
static uint32_t removes(const struct room *room, const struct occupant *occupant)
{
    if (occupant->affiliation == AFFILIATION_OUTCAST)
        return STATUS_301;
    if (room->config->is_members_only && occupant->affiliation == AFFILIATION_NONE)
        return STATUS_321;
    return 0;
}

/* §5.1.3: what comes with an affiliation is gained; what goes with one is what a newcomer would have. */
static enum role role_after(const struct occupant *occupant, enum affiliation after)
{
    enum role role = role_by_default(occupant->room, after);
    bool lost = occupant->affiliation >= AFFILIATION_ADMIN && after < AFFILIATION_ADMIN;
    return lost || role > occupant->role ? role : occupant->role;
}

struct affected {
    struct occupant *occupant;
    const struct change *change;
    uint32_t status; /* 0: he stays */
    bool is_new_moderator;
};

struct affected_list {
    struct affected *list;
    size_t count, room;
};

static void add_affected(struct edit *edit, struct affected_list *all, struct affected one)
{
    if (all->count == all->room) {
        struct affected *old = all->list;
        all->room = all->room ? all->room * 2 : 16;
        all->list = arena_alloc(room_arena(edit->room), all->room * sizeof *all->list);
        if (all->count)
            memcpy(all->list, old, all->count * sizeof *old);
    }
    all->list[all->count++] = one;
}

/* Everybody in the room whose affiliation is another one now. */
static void find_affected(struct edit *edit, const struct change *change, struct affected_list *all)
{
    struct room *room = edit->room;
    list_each (at, &room->order) {
        struct occupant *occupant = OCCUPANT_OF(at);
        const struct jid *jid = &occupant_seat(occupant)->jid;
        enum affiliation before = occupant->affiliation;
        enum role role = occupant->role;
        if (change->jid.local_len ? !jid_eq_bare(jid, &change->jid)
                                  : !str_eq(jid_domain(jid), change->jid.full))
            continue;
        enum affiliation after = affiliation_of(room, jid);
        if (before == after)
            continue;
        occupant_become(occupant, after, role_after(occupant, after));
        add_affected(edit, all,
                     (struct affected){ occupant, change, removes(room, occupant),
                                        role < ROLE_MODERATOR && occupant->role == ROLE_MODERATOR });
    }
}

static void set_affiliation(struct edit *edit, const struct change *change)
{
    struct room *room = edit->room;
    const struct affiliated *row = affiliation_find(room, change->jid.full);
    str kept = row && change->affiliation > AFFILIATION_OUTCAST ? row->nick : STR("");
    str nick = change->nick.p ? change->nick : kept; /* §9.5: an empty one takes it away */
    str reason = change->reason.p ? change->reason : STR("");
    if (room_watch_known(&room->watch, &change->jid)) /* a member has voice (§5.1.2) */
        role_remember(room, &change->jid, ROLE_NONE);
    affiliation_set(room, change->jid.full, change->affiliation,
                    change->affiliation == AFFILIATION_OUTCAST ? STR("") : nick, reason, edit->iq);
}

/* §9.5: a new member of a room for members is invited. */
static void invite(struct edit *edit, const struct change *change)
{
    struct room *room = edit->room;
    struct jid from = jid_to_bare(&edit->iq->from);
    if (!room->config->is_members_only || change->affiliation != AFFILIATION_MEMBER ||
        change->before >= AFFILIATION_MEMBER || !change->jid.local_len)
        return;
    list_each (at, &room->order)
        if (jid_eq_bare(&occupant_seat(OCCUPANT_OF(at))->jid, &change->jid))
            return;
    room_send_invitation(room, &change->jid, &from, str_none, edit->iq);
}

static void log_change(struct edit *edit, const struct change *change)
{
    const char *action = change->is_role && change->role == ROLE_NONE ? "kick"
                         : change->is_role                            ? role_name(change->role)
                                           : room_affiliation_name(change->affiliation);
    str whom = change->is_role ? jid_bare(&occupant_seat(change->occupant)->jid) : change->jid.full;
    room_log(edit->room, edit->iq, action, whom,
             change->is_role ? occupant_nick(change->occupant) : change->nick, change->reason);
}

static void carry_out(struct edit *edit, struct affected_list *all)
{
    for (size_t i = 0; i < edit->count; i++) {
        const struct change *change = &edit->changes[i];
        if (change->is_role && change->occupant->role != change->role) {
            bool kick = change->role == ROLE_NONE;
            if (!kick) {
                change->occupant->role = change->role;
                role_remember(edit->room, &occupant_seat(change->occupant)->jid, change->role);
            }
            add_affected(edit, all,
                         (struct affected){ change->occupant, change, kick ? STATUS_307 : 0,
                                            change->role == ROLE_MODERATOR });
        } else if (!change->is_role) {
            set_affiliation(edit, change);
            find_affected(edit, change, all);
        }
        log_change(edit, change);
    }
}

/* One who has become a moderator is shown what moderators see (§8). */
static void show_all_to(const struct occupant *moderator)
{
    list_each (at, &moderator->room->order) {
        const struct occupant *other = OCCUPANT_OF(at);
        list_each (seat, &moderator->seats)
            if (other != moderator)
                seat_tell(SEAT_OF(seat), occupant_presence(other, CLASS_MODERATORS));
    }
}

static bool is_later_again(const struct affected_list *all, size_t i)
{
    for (size_t k = i + 1; k < all->count; k++)
        if (all->list[k].occupant == all->list[i].occupant)
            return true;
    return false;
}

static void tell_of_change(struct affected *one)
{
    struct occupant *occupant = one->occupant;
    occupant_announce(occupant, 0, str_none, one->change->reason);
    if (one->is_new_moderator)
        show_all_to(occupant);
}

static void tell(struct edit *edit, struct affected_list *all)
{
    struct room *room = edit->room;
    crowds_changed(room); /* roles are other ones */
    for (size_t i = 0; i < all->count; i++) {
        struct notice notice = removal(edit, all->list[i].change, all->list[i].status);
        if (is_later_again(all, i))
            continue;
        if (all->list[i].status)
            occupant_remove_own(all->list[i].occupant, &notice);
        else
            occupant_refresh(all->list[i].occupant);
    }
    route_result(room_shard(room), edit->iq, STR(""));
    for (size_t i = 0; i < all->count; i++) {
        struct notice notice = removal(edit, all->list[i].change, all->list[i].status);
        if (is_later_again(all, i))
            continue;
        if (all->list[i].status)
            occupant_remove_others(all->list[i].occupant, &notice);
        else
            tell_of_change(&all->list[i]);
    }
}

void room_admin_set(struct room_request *request)
{
    struct edit edit = { .room = request->room, .iq = request->iq };
    struct affected_list all = { 0 };
    look_at_actor(&edit);
    enum stanza_error error = read_items(&edit, &request->child);
    if (error != STANZA_ERROR_NONE) {
        room_error(request, error, NULL);
        return;
    }
    carry_out(&edit, &all);
    tell(&edit, &all);
    for (size_t i = 0; i < edit.count; i++)
        if (!edit.changes[i].is_role)
            invite(&edit, &edit.changes[i]);
    room_emptied(edit.room, edit.iq);
}

/* ---- Lists ---- */

/* §8.5, §9.8: those of roles are for moderators; that of moderators for admins. */
static enum stanza_error may_list_role(const struct edit *edit, enum role role)
{
    if (edit->actor_affiliation >= AFFILIATION_ADMIN)
        return STANZA_ERROR_NONE;
    return edit->actor_role == ROLE_MODERATOR && role < ROLE_MODERATOR ? STANZA_ERROR_NONE
                                                                       : STANZA_ERROR_FORBIDDEN;
}

static bool role_may_ask(const struct edit *edit)
{
    static const uint32_t bits[] = { 0, ROLE_BIT_VISITOR, ROLE_BIT_PARTICIPANT, ROLE_BIT_MODERATOR };
    return (edit->room->config->member_list & bits[edit->actor_role]) != 0;
}

/* §9.2, §9.5, §10.5, §10.8; where addresses are open to all, so are the lists, to those whom the
 * configuration lets ask. */
static enum stanza_error may_list_affiliation(const struct edit *edit, enum affiliation affiliation)
{
    enum affiliation own = edit->actor_affiliation;
    bool open = edit->room->config->whois == WHOIS_ANYONE;
    if (own == AFFILIATION_OWNER || (own == AFFILIATION_ADMIN && affiliation <= AFFILIATION_MEMBER))
        return STANZA_ERROR_NONE;
    if (open && affiliation != AFFILIATION_OUTCAST && (own >= AFFILIATION_MEMBER || role_may_ask(edit)))
        return STANZA_ERROR_NONE;
    return STANZA_ERROR_FORBIDDEN;
}

static void list_role(const struct edit *edit, enum role role, struct buf *xml)
{
    list_each (at, &edit->room->order) {
        const struct occupant *occupant = OCCUPANT_OF(at);
        if (occupant->role != role)
            continue;
        buf_addf(xml, "<item affiliation='%s' role='%s'", room_affiliation_name(occupant->affiliation),
                 role_name(role));
        xml_write_attr(xml, "jid", occupant_seat(occupant)->jid.full);
        xml_write_attr(xml, "nick", occupant_nick(occupant));
        buf_lit(xml, "/>");
    }
}

static int by_jid(const void *a, const void *b)
{
    return str_cmp((*(const struct affiliated *const *)a)->jid, (*(const struct affiliated *const *)b)->jid);
}

static void write_affiliated(const struct affiliated *row, struct buf *xml)
{
    buf_addf(xml, "<item affiliation='%s'", room_affiliation_name(row->affiliation));
    xml_write_attr(xml, "jid", row->jid);
    if (row->nick.len)
        xml_write_attr(xml, "nick", row->nick);
    if (!row->reason.len) {
        buf_lit(xml, "/>");
        return;
    }
    buf_add_char(xml, '>');
    xml_write_element(xml, "reason", str_none, row->reason);
    buf_lit(xml, "</item>");
}

static void list_affiliation(const struct edit *edit, enum affiliation affiliation, struct buf *xml)
{
    const struct map *map = &edit->room->affiliations;
    const struct affiliated **rows = arena_alloc(room_arena(edit->room), (map->count + 1) * sizeof *rows);
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    while ((node = map_next(map, &walk))) {
        const struct affiliated *row = CONTAINER_OF(node, struct affiliated, _node);
        if (row->affiliation == affiliation)
            rows[count++] = row;
    }
    qsort(rows, count, sizeof *rows, by_jid);
    for (size_t i = 0; i < count; i++)
        write_affiliated(rows[i], xml);
}

static enum stanza_error list_item(const struct edit *edit, const struct xml_node *item, struct buf *xml)
{
    struct arena *arena = room_arena(edit->room);
    str role_text = xml_attr(item, STR("role"), arena), text = xml_attr(item, STR("affiliation"), arena);
    enum affiliation affiliation;
    enum role role;
    enum stanza_error error;
    if (!!role_text.p == !!text.p)
        return STANZA_ERROR_BAD_REQUEST;
    if (role_text.p) {
        if (!role_named(role_text, &role) || role == ROLE_NONE)
            return STANZA_ERROR_BAD_REQUEST;
        error = may_list_role(edit, role);
        if (error == STANZA_ERROR_NONE)
            list_role(edit, role, xml);
        return error;
    }
    if (!room_affiliation_named(text, &affiliation) || affiliation == AFFILIATION_NONE)
        return STANZA_ERROR_BAD_REQUEST;
    error = may_list_affiliation(edit, affiliation);
    if (error == STANZA_ERROR_NONE)
        list_affiliation(edit, affiliation, xml);
    return error;
}

void room_admin_get(struct room_request *request)
{
    struct edit edit = { .room = request->room, .iq = request->iq };
    enum stanza_error error = STANZA_ERROR_BAD_REQUEST;
    struct xml_node item;
    struct buf xml;
    look_at_actor(&edit);
    buf_init(&xml, LIST_BYTES_MAX);
    buf_lit(&xml, "<query xmlns='" NS_MUC_ADMIN "'>");
    if (xml_child(&request->child, STR("item"), STR(NS_MUC_ADMIN), &item))
        error = list_item(&edit, &item, &xml);
    buf_lit(&xml, "</query>");
    if (error == STANZA_ERROR_NONE && buf_failed(&xml))
        error = STANZA_ERROR_RESOURCE_CONSTRAINT;
    if (error == STANZA_ERROR_NONE)
        room_result(request, &xml);
    else
        room_error(request, error, NULL);
    buf_fini(&xml);
}
