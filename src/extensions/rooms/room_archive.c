/* SPDX-License-Identifier: MIT */
/* The archive of a room (XEP-0313 §5.1.2 of its business rules): what was said to all, once, as the room said
 * it, with who it was of: an <x/> with the occupant's real address, which only those are shown who may see
 * it now. The engine that answers queries is the one of the accounts' archives (archive/mam.h).
 *
 * Who may read: who might enter now. Where a password is needed that is who is in, or belongs to the room.
 * Who may not see addresses can't search by them either. A room that is not stored has no archive.
 *
 * What is taken back (XEP-0424), by its author or a moderator (room_retract.c), is replaced by a tombstone.
 */
#include "extensions/archive/mam_request.h"
#include "occupant.h"
#include "xml/write.h"
#include "xmpp/ns.h"

enum { STANZA_MAX = 1 << 22, PAGE = 50, PAGE_MAX = 250 };

bool room_is_archived(const struct room *room)
{
    return room->is_stored && room->config->is_archived;
}

void archive_add(struct room *room, const struct stanza *message, const struct occupant *by,
                 const struct jid *who, uint64_t id)
{
    struct shard *shard = room_shard(room);
    struct stanza *kept = stanza_copy_arena(message, &shard->arena);
    struct buf xml;
    buf_init(&xml, STANZA_MAX);
    buf_add(&xml, message->node.content);
    if (by) {
        buf_addf(&xml, "<x xmlns='" NS_MUC_USER "'><item affiliation='%s' role='%s'",
                 room_affiliation_name(by->affiliation), role_name(by->role));
        xml_write_attr(&xml, "jid", who->full);
        buf_lit(&xml, "/></x>");
    }
    kept->node.content = arena_str(&shard->arena, buf_str(&xml));
    buf_clear(&xml);
    stanza_write(&xml, kept, NULL);
    struct store_entry entry = {
        .id = id, .time_ms = append_id_ms(id), .peer = jid_bare(who), .value = buf_str(&xml)
    };
    room->archive_serial = appends_add(shard, actor_bare(&room->actor), STR(ROOM_ARCHIVE), &entry, NULL);
    buf_fini(&xml);
}

/* ---- Who may read ---- */

static bool may_read(const struct room *room, const struct jid *who)
{
    enum affiliation affiliation = affiliation_of(room, who);
    bool is_in = seat_find(room, who) != NULL;
    if (affiliation == AFFILIATION_OUTCAST)
        return false;
    if (room->config->is_members_only || room->config->has_password)
        return is_in || affiliation >= AFFILIATION_MEMBER;
    return true;
}

static bool may_see_addresses(const struct room *room, const struct jid *who)
{
    const struct seat *seat = seat_find(room, who);
    return room->config->whois == WHOIS_ANYONE || affiliation_of(room, who) >= AFFILIATION_ADMIN ||
           (seat && seat->occupant->role == ROLE_MODERATOR);
}

/* A client of another server may well ask for the archive before it enters: it is known by its address. */
static bool check(struct room_request *request)
{
    struct room *room = request->room;
    if (room->is_locked || !room_is_archived(room)) {
        room_error(request, STANZA_ERROR_SERVICE_UNAVAILABLE, "this room has no archive");
        return false;
    }
    if (!may_read(room, &request->iq->from)) {
        room_error(request, STANZA_ERROR_FORBIDDEN, "you may not read this room's archive");
        return false;
    }
    return true;
}

/* ---- Queries ---- */

/* §5.1.2: with addresses for who may see them. */
static str show(struct iq_event *event, const struct store_entry *entry)
{
    struct arena *arena = &event->shard->arena;
    struct xml_node node;
    struct stanza message;
    struct buf xml;
    if (may_see_addresses(ROOM_OF(event->actor), &event->iq->from) ||
        !xml_parse(entry->value, STR(NS_CLIENT), &node) ||
        stanza_read(&node, str_none, str_none, arena, &message) != STANZA_OK)
        return entry->value;
    message.node.content = archive_strip(&message, arena);
    buf_init(&xml, STANZA_MAX);
    stanza_write(&xml, &message, NULL);
    str text = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return text;
}

str archive_strip(const struct stanza *message, struct arena *arena)
{
    return payload_without_child(&message->node, STR("x"), STR(NS_MUC_USER), arena);
}

static struct iq_event event_of(const struct room_request *request)
{
    struct room *room = request->room;
    return (struct iq_event){ .shard = room_shard(room),
                              .host = room->actor.host,
                              .actor = &room->actor,
                              .iq = request->iq,
                              .child = request->child };
}

static struct mam_archive archive_of(const struct room *room, const struct jid *jid)
{
    return (struct mam_archive){ .owner = actor_bare(&room->actor),
                                 .kind = STR(ROOM_ARCHIVE),
                                 .jid = jid,
                                 .serial = room->archive_serial,
                                 .page = PAGE,
                                 .page_max = PAGE_MAX,
                                 .show = show };
}

/* Whether the query is by an address that the asker must not know. */
static bool asks_for_address(struct room_request *request, const struct mam_archive *archive)
{
    struct mam_request query;
    const char *why = NULL;
    return mam_request_read(&request->child, archive, room_arena(request->room), &query, &why) ==
               STANZA_ERROR_NONE &&
           query.with.full.len && !may_see_addresses(request->room, &request->iq->from);
}

void room_archive_query(struct room_request *request)
{
    struct jid jid = room_jid(request->room);
    struct mam_archive archive = archive_of(request->room, &jid);
    struct iq_event event = event_of(request);
    if (!check(request))
        return;
    if (asks_for_address(request, &archive))
        room_error(request, STANZA_ERROR_FORBIDDEN, "you may not search for addresses here");
    else
        mam_query(&event, &archive);
}

void room_archive_form(struct room_request *request)
{
    struct jid jid = room_jid(request->room);
    struct mam_archive archive = archive_of(request->room, &jid);
    struct iq_event event = event_of(request);
    if (check(request))
        mam_form(&event, &archive);
}

void room_archive_metadata(struct room_request *request)
{
    struct jid jid = room_jid(request->room);
    struct mam_archive archive = archive_of(request->room, &jid);
    struct iq_event event = event_of(request);
    if (check(request))
        mam_metadata(&event, &archive);
}
