/* SPDX-License-Identifier: MIT */
/* The vCard of a room, which owners set and everybody who is not banned may read (XEP-0054 1.3.0), and the
 * avatar in it (XEP-0486 0.1.0): hashes of its photos stand in the room's disco form, and that they have
 * changed is told to who is in (104). Presence of the room itself is not sent (§3.5: clients took it for
 * somebody without a nick).
 *
 * The vCard is a row of its own kind (`room-vcard`), read when it is asked for; the hashes are a row of the
 * room and stay in memory. A temporary room keeps nothing, so it has none. */
#include "extensions/pubsub/write_payload.h"
#include "occupant.h"
#include "server/ext_op.h"
#include "xmpp/vcard.h"

enum { SIZE_MAX_BYTES = 128 * 1024 };

/* ---- Asking ---- */

static void got(struct ext_op *op, struct iq_event *event)
{
    if (op->read.err != OK)
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else if (op->read.count)
        route_result(event->shard, event->iq, arena_str(&event->shard->arena, op->read.rows[0].value));
    else
        route_result(event->shard, event->iq, STR("<vCard xmlns='" NS_VCARD "'/>"));
}

static void ask(struct ext_op *op, struct iq_event *event)
{
    store_get(ext_op_store(op), event->shard->loop, ext_op_owner(op), STR("room-vcard"), STR(""),
              ext_op_read(op, got));
}

void room_vcard_get(struct room_request *request)
{
    struct room *room = request->room;
    struct iq_event event = {
        .shard = room_shard(room), .host = room->actor.host, .actor = &room->actor, .iq = request->iq
    };
    if (room->is_locked && !seat_find(room, &request->iq->from))
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else if (affiliation_of(room, &request->iq->from) == AFFILIATION_OUTCAST)
        room_error(request, STANZA_ERROR_FORBIDDEN, NULL);
    else
        ext_op_start(ext_op_new(&event, sizeof(struct ext_op)), &event, ask);
}

/* ---- Setting ---- */

static void keep(struct room *room, const struct stanza *cause, str card, str hashes)
{
    struct store_batch *batch = actor_write(&room->actor, cause);
    str owner = actor_bare(&room->actor);
    if (card.len)
        store_put(batch, owner, STR("room-vcard"), STR(""), card);
    else
        store_del(batch, owner, STR("room-vcard"), STR(""));
    if (hashes.len)
        store_put(batch, owner, STR("room"), STR("avatar"), hashes);
    else
        store_del(batch, owner, STR("room"), STR("avatar"));
    room_set_avatar(room, hashes);
}

static void set(struct room_request *request)
{
    struct room *room = request->room;
    struct arena *arena = room_arena(room);
    struct xml_node first;
    struct buf card, hashes;
    buf_init(&card, 2 * SIZE_MAX_BYTES);
    buf_init(&hashes, VCARD_PHOTOS_MAX * (VCARD_HASH_LEN + 1));
    if (xml_first(&request->child, &first)) /* else it is taken away */
        pubsub_write_payload(&card, &request->child, arena);
    if (!vcard_hashes(&request->child, arena, &hashes) || buf_failed(&card) || buf_failed(&hashes)) {
        room_error(request, STANZA_ERROR_NOT_ACCEPTABLE, "a photo in this vCard can't be read");
    } else {
        keep(room, request->iq, buf_str(&card), buf_str(&hashes));
        room_log(room, request->iq, "vcard", str_none, str_none, str_none);
        room_result(request, NULL);
        room_say_status(room, STATUS_104);
    }
    buf_fini(&card);
    buf_fini(&hashes);
}

void room_vcard_set(struct room_request *request)
{
    struct room *room = request->room;
    if (affiliation_of(room, &request->iq->from) < AFFILIATION_OWNER)
        room_error(request, STANZA_ERROR_FORBIDDEN, "only owners set the avatar of a room");
    else if (!room->is_stored)
        room_error(request, STANZA_ERROR_SERVICE_UNAVAILABLE, "only a persistent room has a vCard");
    else if (request->child.bytes.len > SIZE_MAX_BYTES)
        room_error(request, STANZA_ERROR_NOT_ACCEPTABLE, "the vCard is too large");
    else
        set(request);
}
