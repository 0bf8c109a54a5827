/* SPDX-License-Identifier: MIT */
/* The lasting table of a room: who is owner, admin, member or outcast (XEP-0045 §5.2). A row of the store for
 * each, an <item/> as the protocol has it. A whole domain may be outcast or member (§9.2). The administrators
 * of the service own every room; they stand in no row. */
#include "room.h"
#include "xml/write.h"

#include <stdlib.h>

enum { ROW_MAX = 16 * 1024 };

static str affiliated_key(const struct map_node *node)
{
    return CONTAINER_OF(node, struct affiliated, _node)->jid;
}

void affiliations_init(struct room *room)
{
    map_init(&room->affiliations, affiliated_key);
    list_init(&room->asks_for_notice);
    room->owners = room->nicks = 0;
}

void affiliations_fini(struct room *room)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&room->affiliations, &walk)))
        free(CONTAINER_OF(node, struct affiliated, _node));
    map_fini(&room->affiliations);
}

struct affiliated *affiliation_find(const struct room *room, str jid)
{
    return MAP_ITEM(map_get(&room->affiliations, jid), struct affiliated, _node);
}

enum affiliation affiliation_of(const struct room *room, const struct jid *jid)
{
    const struct affiliated *row = affiliation_find(room, jid_bare(jid));
    if (service_is_admin(room, jid))
        return AFFILIATION_OWNER;
    if (!row && jid->local_len)
        row = affiliation_find(room, jid_domain(jid));
    if (!row && bans_hold(room, jid))
        return AFFILIATION_OUTCAST;
    return row ? row->affiliation : AFFILIATION_NONE;
}

const struct affiliated *affiliation_with_nick(const struct room *room, str nick)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while (room->nicks && (node = map_next(&room->affiliations, &walk))) {
        const struct affiliated *row = CONTAINER_OF(node, struct affiliated, _node);
        if (row->nick.len && str_eq(row->nick, nick))
            return row;
    }
    return NULL;
}

static str put(char **at, str s)
{
    str copy = { *at, s.len };
    if (s.len)
        memcpy(*at, s.p, s.len);
    *at += s.len;
    return copy;
}

static void remove_row(struct room *room, struct affiliated *row)
{
    if (!row)
        return;
    room->owners -= row->affiliation == AFFILIATION_OWNER;
    room->nicks -= row->nick.len > 0;
    map_remove(&room->affiliations, &row->_node);
    if (row->is_asking)
        list_remove(&row->asks);
    free(row);
}

static void set_asking(struct room *room, struct affiliated *row, bool is_asking)
{
    if (row->is_asking && !is_asking)
        list_remove(&row->asks);
    else if (!row->is_asking && is_asking)
        list_append(&room->asks_for_notice, &row->asks);
    row->is_asking = is_asking;
}

static struct affiliated *add_row(struct room *room, str jid, enum affiliation affiliation, str nick,
                                  str reason)
{
    struct affiliated *row = xcalloc(1, sizeof *row + jid.len + nick.len + reason.len);
    char *at = row->text;
    row->affiliation = affiliation;
    row->jid = put(&at, jid);
    row->nick = put(&at, nick);
    row->reason = put(&at, reason);
    map_put(&room->affiliations, &row->_node);
    room->owners += affiliation == AFFILIATION_OWNER;
    room->nicks += nick.len > 0;
    return row;
}

bool affiliation_load(struct room *room, const struct store_row *row)
{
    struct arena *arena = room_arena(room);
    struct xml_node item;
    enum affiliation affiliation;
    if (!xml_parse(row->value, str_none, &item) ||
        !room_affiliation_named(xml_attr(&item, STR("affiliation"), arena), &affiliation))
        return false;
    remove_row(room, affiliation_find(room, row->key));
    struct affiliated *added =
        add_row(room, row->key, affiliation, xml_attr(&item, STR("nick"), arena), xml_text(&item, arena));
    set_asking(room, added, xml_attr(&item, STR("asks"), arena).p);
    return true;
}

static void write_row(const struct room *room, const struct affiliated *row, struct store_batch *batch)
{
    struct buf xml;
    buf_init(&xml, ROW_MAX);
    buf_addf(&xml, "<item affiliation='%s'", room_affiliation_name(row->affiliation));
    if (row->nick.len)
        xml_write_attr(&xml, "nick", row->nick);
    if (row->is_asking)
        buf_lit(&xml, " asks='1'");
    buf_add_char(&xml, '>');
    xml_write_text(&xml, row->reason);
    buf_lit(&xml, "</item>");
    store_put(batch, actor_bare(&room->actor), STR("affiliation"), row->jid, buf_str(&xml));
    buf_fini(&xml);
}

void affiliations_save(const struct room *room, struct store_batch *batch)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&room->affiliations, &walk)))
        write_row(room, CONTAINER_OF(node, struct affiliated, _node), batch);
}

void affiliation_set(struct room *room, str jid, enum affiliation affiliation, str nick, str reason,
                     const struct stanza *cause)
{
    struct arena *arena = room_arena(room);
    struct store_batch *batch = room->is_stored ? actor_write(&room->actor, cause) : NULL;
    jid = arena_str(arena, jid); /* it may be the row's own */
    nick = arena_str(arena, nick);
    reason = arena_str(arena, reason);
    const struct affiliated *before = affiliation_find(room, jid);
    bool was_asking = before && before->is_asking && affiliation >= AFFILIATION_MEMBER;
    bool was_banned = before && before->affiliation == AFFILIATION_OUTCAST;
    if (batch && room->config->shares_bans && (was_banned || affiliation == AFFILIATION_OUTCAST))
        bans_changed(room, jid, affiliation == AFFILIATION_OUTCAST, reason);
    remove_row(room, affiliation_find(room, jid));
    if (affiliation != AFFILIATION_NONE) {
        struct affiliated *row = add_row(room, jid, affiliation, nick, reason);
        set_asking(room, row, was_asking);
        if (batch)
            write_row(room, row, batch);
    } else if (batch) {
        store_del(batch, actor_bare(&room->actor), STR("affiliation"), jid);
    }
}

void affiliation_ask(struct room *room, str jid, bool is_asking, const struct stanza *cause)
{
    struct affiliated *row = affiliation_find(room, jid);
    if (!row || row->is_asking == is_asking || row->affiliation < AFFILIATION_MEMBER)
        return;
    set_asking(room, row, is_asking);
    if (room->is_stored)
        write_row(room, row, actor_write(&room->actor, cause));
}
