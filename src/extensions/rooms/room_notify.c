/* SPDX-License-Identifier: MIT */
/* Members who are away hear that they were mentioned, if they have asked for it when they registered: a
 * message of the room to their account, which waits there and wakes their phone up (XEP-0357) like any other.
 * It is one for each absence, whatever is said: the talk itself is in the archive. Coming back in makes room
 * for the next one.
 *
 * A mention is the nickname that is kept for him, as a word of the text, or a <mention/> of his occupant id
 * (XEP-0513 §4.1) that does not ask for silence. Not here: mentions of groups, and texts that are encrypted.
 */
#include "base/rand.h"
#include "base/utf8.h"
#include "occupant.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#define NS_MENTIONS   "urn:xmpp:mentions:0"
#define NS_CONFERENCE "jabber:x:conference"

enum { QUOTE_MAX = 300, XML_MAX = 16 * 1024 };

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* As a word of its own, whatever its case as far as ASCII knows one. */
static bool names(str body, str nick)
{
    for (size_t i = 0; nick.len && i + nick.len <= body.len; i++) {
        if ((i && is_word_char(body.p[i - 1])) ||
            (i + nick.len < body.len && is_word_char(body.p[i + nick.len])))
            continue;
        if (str_eq_nocase(str_sub(body, i, i + nick.len), nick))
            return true;
    }
    return false;
}

static bool is_mention_of(const struct xml_node *mention, str id, struct arena *arena)
{
    struct xml_node modifier;
    return xml_is(mention, STR("mention"), STR(NS_MENTIONS)) &&
           str_eq(xml_attr(mention, STR("occupantid"), arena), id) &&
           !xml_child(mention, STR("noping"), STR(NS_MENTIONS), &modifier);
}

static bool points_at(const struct room *room, const struct stanza *message, const struct jid *who)
{
    char id[OCCUPANT_ID_SIZE];
    struct xml_node child;
    bool has_id = false;
    for (bool more = xml_first(&message->node, &child); more; more = xml_next(&child)) {
        if (!str_is(child.ns, NS_MENTIONS))
            continue;
        if (!has_id)
            occupant_id(room, who, id);
        has_id = true;
        if (is_mention_of(&child, str_from(id), room_arena(room)))
            return true;
    }
    return false;
}

static bool is_in(const struct room *room, const struct jid *who)
{
    list_each (at, &room->order)
        if (jid_eq_bare(&occupant_seat(OCCUPANT_OF(at))->jid, who))
            return true;
    return false;
}

static void tell(const struct occupant *by, const struct jid *to, str body)
{
    struct room *room = by->room;
    struct arena *arena = room_arena(room);
    struct jid own = room_jid(room);
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    char id[25];
    struct buf xml;
    rand_token(id, sizeof id);
    buf_init(&xml, XML_MAX);
    xml_write_element(&xml, "body", str_none,
                      arena_printf(arena, "%.*s mentioned you in %.*s: %.*s", STR_ARGS(occupant_nick(by)),
                                   STR_ARGS(own.full), STR_ARGS(utf8_cut(body, QUOTE_MAX))));
    buf_lit(&xml, "<x xmlns='" NS_CONFERENCE "'");
    xml_write_attr(&xml, "jid", own.full);
    buf_lit(&xml, "/>");
    *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, arena_str(arena, str_from(id)),
                           arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    message->from = own;
    message->to = *to;
    route(room_shard(room), message);
}

/* Rooms may have thousands who have asked: what costs more comes last. */
static void look_at(const struct occupant *by, const struct stanza *message, const struct affiliated *row,
                    str body, bool has_mentions)
{
    struct room *room = by->room;
    bool is_named = names(body, row->nick);
    struct jid who;
    if ((!is_named && !has_mentions) || jid_parse(row->jid, room_arena(room), &who) != OK)
        return;
    const struct watched *known = room_watch_known(&room->watch, &who);
    if ((known && known->is_told) || (!is_named && !points_at(room, message, &who)) || is_in(room, &who))
        return;
    room_watch_user(&room->watch, &who, loop_now_us(room_shard(room)->loop))->is_told = true;
    tell(by, &who, body);
}

void room_notify(const struct occupant *by, const struct stanza *message)
{
    struct room *room = by->room;
    struct xml_node mention;
    if (list_empty(&room->asks_for_notice) || !(payload_facts(message) & PAYLOAD_BODY) ||
        (payload_facts(message) & PAYLOAD_CORRECTION))
        return;
    str body = xml_child_text(&message->node, STR("body"), STR(NS_CLIENT), room_arena(room));
    bool has_mentions = xml_child(&message->node, STR("mention"), STR(NS_MENTIONS), &mention);
    list_each (at, &room->asks_for_notice)
        look_at(by, message, LIST_ITEM(at, struct affiliated, asks), body, has_mentions);
}
