/* SPDX-License-Identifier: MIT */
/* What was said is taken back: by who said it (XEP-0424 0.4.2), or by a moderator (XEP-0425 0.3.0). All who
 * are in hear of it; newcomers are not shown it; and in the archive a tombstone takes its place, so that
 * nothing of it is left, but that it was there.
 *
 * An author's retraction is a message like others, and goes out at once: clients compare occupant ids. The
 * tombstone is made when the archive has shown that he is the author. A moderator's is a request: it is
 * answered, and told to all, when the tombstone is on disk.
 *
 * A message is named by the id that this room gave it (XEP-0359). */
#include "extensions/archive/mam.h"
#include "occupant.h"
#include "xml/write.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

enum { STANZA_MAX = 1 << 22, REASON_MAX = 1000 };

struct retraction {
    struct ext_op op;
    uint64_t id;
    bool is_by_moderator;
    char *author; /* bare JID; NULL: not known */
};

/* ---- The tombstone ---- */

/* <retracted/>, as it will stand in the message. */
static str tombstone_xml(struct iq_event *event, const struct retraction *retraction, str moderated)
{
    struct arena *arena = &event->shard->arena;
    struct buf xml;
    buf_init(&xml, STANZA_MAX);
    xml_write_open(&xml, "retracted", STR(NS_RETRACT));
    xml_write_attr(&xml, "stamp", str_from(stamp_millis(loop_wall_ms(event->shard->loop), arena)));
    if (!retraction->is_by_moderator)
        xml_write_attr(&xml, "id", event->iq->id);
    buf_add_char(&xml, '>');
    buf_add(&xml, moderated);
    buf_lit(&xml, "</retracted>");
    str text = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return text;
}

/* Who it was of stays: the occupant's id, and the address for who may see it. */
static bool stays(const struct xml_node *child)
{
    return str_is(child->ns, NS_OCCUPANT_ID) || xml_is(child, STR("x"), STR(NS_MUC_USER));
}

static str rest_of(const struct stanza *message, struct arena *arena)
{
    struct buf xml;
    struct xml_node child;
    buf_init(&xml, STANZA_MAX);
    for (bool more = xml_first(&message->node, &child); more; more = xml_next(&child))
        if (stays(&child))
            buf_add(&xml, child.bytes);
    str text = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return text;
}

/* Replaces the entry in the batch; false if it can't be read. */
static bool bury(struct iq_event *event, const struct store_entry *entry, str retracted,
                 struct store_batch *batch)
{
    struct arena *arena = &event->shard->arena;
    struct store_entry grave = *entry;
    struct xml_node node;
    struct stanza message;
    struct buf xml;
    if (!xml_parse(entry->value, STR(NS_CLIENT), &node) ||
        stanza_read(&node, str_none, str_none, arena, &message) != STANZA_OK)
        return false;
    str rest = rest_of(&message, arena);
    message.node.content = arena_printf(arena, "%.*s%.*s", STR_ARGS(rest), STR_ARGS(retracted));
    buf_init(&xml, STANZA_MAX);
    stanza_write(&xml, &message, NULL);
    grave.value = buf_str(&xml);
    grave.text = str_none;
    store_log_del(batch, actor_bare(event->actor), STR(ROOM_ARCHIVE), entry->id, entry->id);
    store_append(batch, actor_bare(event->actor), STR(ROOM_ARCHIVE), &grave);
    buf_fini(&xml);
    return true;
}

/* ---- Reading what is to go ---- */

static void retraction_fini(struct ext_op *op)
{
    free(CONTAINER_OF(op, struct retraction, op)->author);
}

static struct retraction *begin(const struct iq_event *event, uint64_t id)
{
    struct retraction *retraction = ext_op_new(event, sizeof *retraction);
    retraction->id = id;
    retraction->op.fini = retraction_fini;
    return retraction;
}

static void read_entry(struct ext_op *op, ext_step *step)
{
    struct retraction *retraction = CONTAINER_OF(op, struct retraction, op);
    struct store_log_query query = {
        .peer = str_none, .ids = &retraction->id, .id_count = 1, .limit = 1, .text = str_none
    };
    store_log_find(ext_op_store(op), op->shard->loop, ext_op_owner(op), STR(ROOM_ARCHIVE), &query,
                   ext_op_read(op, step));
}

/* What was appended and is not on disk yet comes first. */
static void flushed(struct ext_op *op, ext_step *step)
{
    appends_flush(op->shard);
    ext_op_write(op, store_batch_new(), step);
}

static struct iq_event event_for(struct room *room, const struct stanza *stanza)
{
    return (struct iq_event){
        .shard = room_shard(room), .host = room->actor.host, .actor = &room->actor, .iq = stanza
    };
}

/* ---- By its author ---- */

static void author_buried(struct ext_op *op, struct iq_event *event)
{
    (void)op;
    (void)event;
}

static void author_read(struct ext_op *op, struct iq_event *event)
{
    const struct retraction *retraction = CONTAINER_OF(op, struct retraction, op);
    if (op->read.err || !op->read.count || !str_eq(op->read.entries[0].peer, jid_bare(&event->iq->from)))
        return;
    history_forget(ROOM_OF(event->actor), retraction->id);
    struct store_batch *batch = store_batch_new();
    if (bury(event, &op->read.entries[0], tombstone_xml(event, retraction, str_none), batch))
        ext_op_write(op, batch, author_buried);
    else
        store_batch_free(batch);
}

static void author_flushed(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    read_entry(op, author_read);
}

static void author_begins(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    flushed(op, author_flushed);
}

void room_retract(struct occupant *occupant, const struct stanza *message)
{
    struct room *room = occupant->room;
    struct xml_node retract;
    uint64_t id;
    if (!xml_child(&message->node, STR("retract"), STR(NS_RETRACT), &retract) ||
        !mam_id_read(xml_attr(&retract, STR("id"), room_arena(room)), &id))
        return;
    if (!room_is_archived(room)) {
        if (history_is_by(room, id, &message->from))
            history_forget(room, id);
        return;
    }
    struct iq_event event = event_for(room, message);
    ext_op_start(&begin(&event, id)->op, &event, author_begins);
}

/* ---- By a moderator ---- */

static str moderated_xml(struct iq_event *event)
{
    const struct room *room = ROOM_OF(event->actor);
    const struct seat *seat = seat_find(room, &event->iq->from);
    struct arena *arena = &event->shard->arena;
    str reason = xml_child_text(&event->child, STR("reason"), STR(NS_MODERATE), arena);
    struct buf xml;
    buf_init(&xml, STANZA_MAX);
    xml_write_open(&xml, "moderated", STR(NS_MODERATE));
    if (seat) {
        xml_write_attr(&xml, "by", seat->occupant->jid.full);
        buf_addf(&xml, "><occupant-id xmlns='" NS_OCCUPANT_ID "' id='%s'/></moderated>", seat->occupant->id);
    } else {
        buf_lit(&xml, "/>");
    }
    if (reason.p)
        xml_write_element(&xml, "reason", str_none, reason);
    str text = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return text;
}

static void announce(struct iq_event *event, uint64_t id)
{
    struct room *room = ROOM_OF(event->actor);
    struct arena *arena = &event->shard->arena;
    char name[MAM_ID_SIZE], token[MAM_ID_SIZE];
    str moderated = moderated_xml(event);
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    str payload = arena_printf(arena, "<retract xmlns='" NS_RETRACT "' id='%s'>%.*s</retract>",
                               mam_id_write(id, name).p, STR_ARGS(moderated));
    mam_id_write(append_id(event->shard, room->last_id), token);
    *message = stanza_make(STANZA_MESSAGE, TYPE_GROUPCHAT, str_from(token), payload, arena);
    message->from = room_jid(room);
    room_hand_out(room, message, NULL, &event->iq->from);
}

static void told(struct iq_event *event, uint64_t id, const char *author)
{
    str reason = xml_child_text(&event->child, STR("reason"), STR(NS_MODERATE), &event->shard->arena);
    room_log(ROOM_OF(event->actor), event->iq, "retraction", str_from(author), str_none, reason);
    history_forget(ROOM_OF(event->actor), id);
    route_result(event->shard, event->iq, STR(""));
    announce(event, id);
}

static void refuse(struct iq_event *event, enum stanza_error error, const char *text)
{
    room_refuse(ROOM_OF(event->actor), event->iq, error, NULL, text);
}

static void moderator_buried(struct ext_op *op, struct iq_event *event)
{
    if (op->commit.err)
        refuse(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        told(event, CONTAINER_OF(op, struct retraction, op)->id,
             CONTAINER_OF(op, struct retraction, op)->author);
}

static void moderator_read(struct ext_op *op, struct iq_event *event)
{
    struct retraction *retraction = CONTAINER_OF(op, struct retraction, op);
    if (op->read.err) {
        refuse(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    if (!op->read.count) {
        refuse(event, STANZA_ERROR_ITEM_NOT_FOUND, "there is no such message");
        return;
    }
    struct store_batch *batch = store_batch_new();
    retraction->author = str_dup(op->read.entries[0].peer);
    if (bury(event, &op->read.entries[0], tombstone_xml(event, retraction, moderated_xml(event)), batch)) {
        ext_op_write(op, batch, moderator_buried);
        return;
    }
    store_batch_free(batch);
    refuse(event, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
}

static void moderator_flushed(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    read_entry(op, moderator_read);
}

static void moderator_begins(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    flushed(op, moderator_flushed);
}

static bool may_moderate(const struct room *room, const struct jid *who)
{
    const struct seat *seat = seat_find(room, who);
    return seat ? seat->occupant->role == ROLE_MODERATOR : affiliation_of(room, who) >= AFFILIATION_ADMIN;
}

void room_moderate(struct room_request *request)
{
    struct room *room = request->room;
    struct arena *arena = room_arena(room);
    struct iq_event event = event_for(room, request->iq);
    struct xml_node retract;
    uint64_t id;
    event.child = request->child;
    str reason = xml_child_text(&request->child, STR("reason"), STR(NS_MODERATE), arena);
    if (!may_moderate(room, &request->iq->from)) {
        room_error(request, STANZA_ERROR_FORBIDDEN, "only moderators may do this");
    } else if (!xml_child(&request->child, STR("retract"), STR(NS_RETRACT), &retract)) {
        room_error(request, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED, NULL);
    } else if (reason.len > REASON_MAX) {
        room_error(request, STANZA_ERROR_NOT_ACCEPTABLE, "the reason is too long");
    } else if (!mam_id_read(xml_attr(&request->child, STR("id"), arena), &id)) {
        room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, "there is no such message");
    } else if (!room_is_archived(room)) {
        if (history_forget(room, id))
            told(&event, id, NULL);
        else
            room_error(request, STANZA_ERROR_ITEM_NOT_FOUND, "there is no such message");
    } else {
        struct retraction *retraction = begin(&event, id);
        retraction->is_by_moderator = true;
        ext_op_start(&retraction->op, &event, moderator_begins);
    }
}
