/* SPDX-License-Identifier: MIT */
/* Requests: to the room itself, by a table; to an occupant, passed on to his client (XEP-0045 §16.4).
 *
 * A request that is passed on gets an id that says which seat it comes from, so that the answer finds its way
 * back though both sides know each other by nick alone: the seat's number, a dot, and the id. What is asked
 * of the account and not of a client (a vCard) goes to the bare JID. Whether one is still in, the room
 * answers itself (XEP-0410 §4). */
#include "extensions/archive/mam.h"
#include "occupant.h"
#include "xmpp/ns.h"
#include "xmpp/vcard.h"

#define NS_DISCO_INFO  "http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS "http://jabber.org/protocol/disco#items"

static void pong(struct room_request *request)
{
    room_result(request, NULL);
}

static const struct {
    enum stanza_type type;
    const char *name, *ns;
    void (*handle)(struct room_request *request);
} requests[] = {
    { TYPE_GET, "query", NS_DISCO_INFO, room_info },
    { TYPE_GET, "query", NS_DISCO_ITEMS, room_items },
    { TYPE_GET, "query", NS_MUC_ADMIN, room_admin_get },
    { TYPE_SET, "query", NS_MUC_ADMIN, room_admin_set },
    { TYPE_GET, "query", NS_MUC_OWNER, room_owner_get },
    { TYPE_SET, "query", NS_MUC_OWNER, room_owner_set },
    { TYPE_GET, "query", "jabber:iq:register", room_register_get },
    { TYPE_SET, "query", "jabber:iq:register", room_register_set },
    { TYPE_SET, "command", NS_COMMANDS, room_command },
    { TYPE_GET, "vCard", NS_VCARD, room_vcard_get },
    { TYPE_SET, "vCard", NS_VCARD, room_vcard_set },
    { TYPE_SET, "query", NS_MAM, room_archive_query },
    { TYPE_GET, "query", NS_MAM, room_archive_form },
    { TYPE_GET, "metadata", NS_MAM, room_archive_metadata },
    { TYPE_SET, "moderate", NS_MODERATE, room_moderate },
    { TYPE_GET, "ping", "urn:xmpp:ping", pong },
};

void room_result(struct room_request *request, const struct buf *payload)
{
    struct shard *shard = room_shard(request->room);
    route_result(shard, request->iq, payload ? arena_str(&shard->arena, buf_str(payload)) : STR(""));
}

void room_error(struct room_request *request, enum stanza_error error, const char *text)
{
    room_refuse(request->room, request->iq, error, NULL, text);
}

static void to_room(struct room *room, const struct stanza *iq)
{
    struct room_request request = { .room = room, .iq = iq };
    if (iq->type != TYPE_GET && iq->type != TYPE_SET)
        return;
    if (!xml_first(&iq->node, &request.child)) {
        room_error(&request, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        if (requests[i].type != iq->type ||
            !xml_is(&request.child, str_from(requests[i].name), str_from(requests[i].ns)))
            continue;
        requests[i].handle(&request);
        return;
    }
    room_error(&request, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

/* ---- Passed on ---- */

/* All attributes but those that are written anew: what they declare is meant by the payload. */
static str other_attrs(const struct stanza *iq, struct arena *arena)
{
    char *text = arena_alloc(arena, iq->attrs.len + 1), *at = text;
    const struct xml_node node = { .attrs = iq->attrs };
    struct xml_attr attr;
    size_t walk = 0;
    while (xml_attr_next(&node, &walk, &attr)) {
        if (!attr.prefix.len && (str_is(attr.name, "id") || str_is(attr.name, "type")))
            continue;
        *at++ = ' ';
        memcpy(at, attr.bytes.p, attr.bytes.len);
        at += attr.bytes.len;
    }
    return str_of(text, (size_t)(at - text));
}

/* The stanza in an occupant's name, with another id. */
static void pass_on(const struct occupant *from, const struct stanza *iq, str id, const struct jid *to)
{
    struct shard *shard = room_shard(from->room);
    struct stanza *passed = ARENA_NEW(&shard->arena, struct stanza);
    str other = other_attrs(iq, &shard->arena);
    *passed = stanza_make(STANZA_IQ, iq->type, id, iq->node.content, &shard->arena);
    passed->node.inherited = iq->node.inherited;
    passed->attrs = passed->node.attrs =
        arena_printf(&shard->arena, "%.*s%.*s", STR_ARGS(passed->attrs), STR_ARGS(other));
    passed->from = from->jid;
    passed->to = *to;
    route(shard, passed);
}

static bool is_for_account(const struct stanza *iq)
{
    struct xml_node child;
    return xml_first(&iq->node, &child) &&
           (str_is(child.ns, "vcard-temp") || str_is(child.ns, "http://jabber.org/protocol/pubsub"));
}

static void ask(const struct seat *asker, const struct occupant *target, const struct stanza *iq)
{
    const struct seat *seat = occupant_seat(target);
    struct arena *arena = room_arena(target->room);
    struct jid to = is_for_account(iq) ? jid_to_bare(&seat->jid) : seat->jid;
    str id = arena_printf(arena, "%u.%.*s", asker->number, STR_ARGS(iq->id));
    pass_on(asker->occupant, iq, id, &to);
}

/* The seat of this number under the nick to which the answer goes. */
static const struct seat *seat_numbered(const struct occupant *occupant, str number)
{
    uint64_t wanted;
    if (!occupant || !str_to_u64(number, UINT32_MAX, &wanted))
        return NULL;
    list_each (at, &occupant->seats)
        if (SEAT_OF(at)->number == wanted)
            return SEAT_OF(at);
    return NULL;
}

static struct seat *seat_of_answerer(struct room *room, const struct jid *from)
{
    struct seat *seat = seat_find(room, from);
    if (seat || !jid_is_bare(from))
        return seat;
    list_each (at, &room->order) {
        seat = occupant_seat(OCCUPANT_OF(at));
        if (jid_eq_bare(&seat->jid, from))
            return seat;
    }
    return NULL;
}

static void answer(struct room *room, const struct stanza *iq)
{
    size_t dot = str_find(iq->id, '.');
    const struct occupant *target = occupant_find(room, jid_resource(&iq->to));
    const struct seat *to = seat_numbered(target, str_sub(iq->id, 0, dot));
    const struct seat *from = seat_of_answerer(room, &iq->from);
    if (to && from && dot < iq->id.len)
        pass_on(from->occupant, iq, str_sub(iq->id, dot + 1, iq->id.len), &to->jid);
}

static bool is_self_ping(const struct seat *seat, const struct stanza *iq)
{
    struct xml_node child;
    return iq->type == TYPE_GET && str_eq(jid_resource(&iq->to), occupant_nick(seat->occupant)) &&
           xml_first(&iq->node, &child) && xml_is(&child, STR("ping"), STR("urn:xmpp:ping"));
}

static bool is_disco(const struct stanza *iq)
{
    struct xml_node child;
    return xml_first(&iq->node, &child) &&
           (str_is(child.ns, NS_DISCO_INFO) || str_is(child.ns, NS_DISCO_ITEMS));
}

static void to_occupant(struct room *room, const struct stanza *iq)
{
    struct room_request request = { .room = room, .iq = iq };
    const struct seat *asker = seat_find(room, &iq->from);
    const struct occupant *target = occupant_find(room, jid_resource(&iq->to));
    if (iq->type != TYPE_GET && iq->type != TYPE_SET)
        answer(room, iq);
    else if (!asker) /* §6.6 for disco; XEP-0410 §3 */
        room_error(&request, is_disco(iq) ? STANZA_ERROR_BAD_REQUEST : STANZA_ERROR_NOT_ACCEPTABLE,
                   "you are not in this room");
    else if (is_self_ping(asker, iq))
        room_result(&request, NULL);
    else if (!target)
        room_error(&request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else
        ask(asker, target, iq);
}

void room_iq(struct room *room, const struct delivery *delivery)
{
    const struct stanza *iq = delivery->stanza;
    if (jid_is_bare(&iq->to))
        to_room(room, iq);
    else
        to_occupant(room, iq);
}
