/* SPDX-License-Identifier: MIT */
/* Who did what to whom, when and why: a log that a persistent room keeps for its owners, and a command by
 * which they read it, page by page from its end.
 *
 * What changes rows of the room is logged in the same write; all else (a kick, a subject) is appended like
 * what is said. The log is bounded by number and age (`moderation-log`, `moderation-log-days`), which is
 * looked at when the first entry comes after the room woke, and then after each hundred. It ends with the
 * room. Occupants who are no moderators are in it only as those to whom something was done. */
#include "base/utf8.h"
#include "occupant.h"
#include "room_command.h"
#include "server/ext_op.h"
#include "xml/write.h"
#include "xmpp/form_table.h"

#include <stdlib.h>

#define KIND "moderation"

enum { TRIM_EVERY = 100, DAY_MS = 86400000, TEXT_MAX = 300, XML_MAX = 1 << 20, PAGE = 50, PAGE_MAX = 200 };

/* ---- Writing ---- */

static void trimmed(struct ext_op *op, struct iq_event *event)
{
    (void)op;
    (void)event;
}

/* What was read are as many as may stay. */
static void trim(struct ext_op *op, struct iq_event *event)
{
    const struct rooms_settings *settings = room_settings(ROOM_OF(event->actor));
    int64_t age_ms = (int64_t)settings->log_days * DAY_MS;
    struct store_batch *batch;
    if (op->read.err != OK)
        return;
    batch = store_batch_new();
    store_log_expire(batch, ext_op_owner(op), STR(KIND), loop_wall_ms(event->shard->loop) - age_ms);
    if (op->read.count >= settings->log_entries && op->read.entries[0].id > 1)
        store_log_del(batch, ext_op_owner(op), STR(KIND), 1, op->read.entries[0].id - 1);
    ext_op_write(op, batch, trimmed);
}

static void find_last(struct ext_op *op, struct iq_event *event)
{
    struct store_log_query query = { .peer = str_none,
                                     .text = str_none,
                                     .limit = room_settings(ROOM_OF(event->actor))->log_entries,
                                     .last = true };
    store_log_find(ext_op_store(op), op->shard->loop, ext_op_owner(op), STR(KIND), &query,
                   ext_op_read(op, trim));
}

static struct iq_event event_for(struct room *room, const struct stanza *stanza)
{
    return (struct iq_event){
        .shard = room_shard(room), .host = room->actor.host, .actor = &room->actor, .iq = stanza
    };
}

/* <entry action='' by='' nick=''>why</entry>; to whom is the entry's peer. */
static str entry_xml(struct room *room, const struct stanza *cause, const char *action, str nick, str why)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_addf(&xml, "<entry action='%s'", action);
    xml_write_attr(&xml, "by", jid_bare(&cause->from));
    if (nick.len)
        xml_write_attr(&xml, "nick", utf8_cut(nick, TEXT_MAX));
    buf_add_char(&xml, '>');
    if (why.len)
        xml_write_text(&xml, utf8_cut(why, TEXT_MAX));
    buf_lit(&xml, "</entry>");
    str text = arena_str(room_arena(room), buf_str(&xml));
    buf_fini(&xml);
    return text;
}

void room_log(struct room *room, const struct stanza *cause, const char *action, str whom, str nick, str why)
{
    struct shard *shard = room_shard(room);
    if (!room->is_stored || !room_settings(room)->log_entries)
        return;
    room->last_log_id = append_id(shard, room->last_log_id);
    struct store_entry entry = { .id = room->last_log_id,
                                 .time_ms = append_id_ms(room->last_log_id),
                                 .peer = whom.p ? whom : STR(""),
                                 .value = entry_xml(room, cause, action, nick, why),
                                 .text = str_none };
    if (actor_is_writing(&room->actor))
        store_append(actor_write(&room->actor, cause), actor_bare(&room->actor), STR(KIND), &entry);
    else
        appends_add(shard, actor_bare(&room->actor), STR(KIND), &entry, NULL);
    if (room->logged++ % TRIM_EVERY == 0) {
        struct iq_event event = event_for(room, cause);
        ext_op_start(ext_op_new(&event, sizeof(struct ext_op)), &event, find_last);
    }
}

/* ---- Reading ---- */

struct wish {
    uint64_t max, before;
    struct jid jid;
};

static const struct form_row wish_rows[] = {
    { "max", FIELD_TEXT_SINGLE, "Entries to show", FORM_NUMBER(struct wish, max), .min = 1, .max = PAGE_MAX },
    { "before", FIELD_TEXT_SINGLE, "Only those before the entry with this id (0: the last ones)",
      FORM_NUMBER(struct wish, before), .max = INT64_MAX },
    { "jid", FIELD_JID_SINGLE, "Only what was done to this address", FORM_JID(struct wish, jid) },
};

static const struct form_table wish_form = { "x-jabiru:moderation-log", FORM_ROWS(wish_rows),
                                             .title = "Log of this room" };

struct line {
    uint64_t id;
    int64_t ms;
    str action, by, whom, nick, why;
};

static const struct form_row line_rows[] = {
    { "id", FIELD_TEXT_SINGLE, "Id", FORM_NUMBER(struct line, id) },
    { "time", FIELD_TEXT_SINGLE, "When", FORM_STAMP(struct line, ms) },
    { "action", FIELD_TEXT_SINGLE, "What", FORM_TEXT(struct line, action) },
    { "by", FIELD_JID_SINGLE, "By whom", FORM_TEXT(struct line, by) },
    { "jid", FIELD_JID_SINGLE, "To whom", FORM_TEXT(struct line, whom) },
    { "nick", FIELD_TEXT_SINGLE, "Nickname", FORM_TEXT(struct line, nick) },
    { "reason", FIELD_TEXT_SINGLE, "Why", FORM_TEXT(struct line, why) },
};

static const struct form_table line_form = { "x-jabiru:moderation-log", FORM_ROWS(line_rows) };

struct reading {
    struct ext_op op;
    struct wish wish;
    char *peer; /* or NULL */
};

static void reading_fini(struct ext_op *op)
{
    free(CONTAINER_OF(op, struct reading, op)->peer);
}

static void write_line(const struct store_entry *entry, struct arena *arena, struct buf *xml)
{
    struct xml_node node;
    if (!xml_parse(entry->value, str_none, &node))
        return;
    struct line line = { .id = entry->id,
                         .ms = entry->time_ms,
                         .action = xml_attr(&node, STR("action"), arena),
                         .by = xml_attr(&node, STR("by"), arena),
                         .whom = entry->peer.len ? entry->peer : str_none,
                         .nick = xml_attr(&node, STR("nick"), arena),
                         .why = xml_text(&node, arena) };
    if (!line.why.len)
        line.why = str_none;
    form_write_item(xml, &line_form, &line);
}

static void show(struct ext_op *op, struct iq_event *event)
{
    struct room_request request = { .room = ROOM_OF(event->actor), .iq = event->iq, .child = event->child };
    struct arena *arena = &event->shard->arena;
    struct buf xml;
    if (op->read.err != OK) {
        room_error(&request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    buf_init(&xml, XML_MAX);
    form_open(&xml, FORM_RESULT);
    form_ns(&xml, line_form.ns);
    form_write_reported(&xml, &line_form);
    for (size_t i = 0; i < op->read.count; i++)
        write_line(&op->read.entries[i], arena, &xml);
    form_close(&xml);
    if (buf_failed(&xml))
        room_error(&request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        room_command_done(&request, arena_str(arena, buf_str(&xml)));
    buf_fini(&xml);
}

static void flushed(struct ext_op *op, struct iq_event *event)
{
    const struct reading *reading = CONTAINER_OF(op, struct reading, op);
    struct store_log_query query = { .peer = str_from(reading->peer),
                                     .text = str_none,
                                     .before_id = reading->wish.before,
                                     .limit = reading->wish.max,
                                     .last = true };
    (void)event;
    store_log_find(ext_op_store(op), op->shard->loop, ext_op_owner(op), STR(KIND), &query,
                   ext_op_read(op, show));
}

/* What was appended and is not on disk yet comes first. */
static void begin(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    appends_flush(op->shard);
    ext_op_write(op, store_batch_new(), flushed);
}

static void ask(struct room_request *request, struct buf *xml)
{
    const struct wish wish = { .max = PAGE };
    (void)request;
    form_write(xml, &wish_form, FORM_ASKS, &wish);
}

static void read_log(struct room_request *request, struct form *form)
{
    struct iq_event event = event_for(request->room, request->iq);
    struct wish wish = { .max = PAGE };
    if (!form_apply(&wish_form, form, &wish)) {
        room_command_refuse(request, form->why ? form->why : "this is another form");
        return;
    }
    event.child = request->child;
    struct reading *reading = ext_op_new(&event, sizeof *reading);
    reading->op.fini = reading_fini;
    reading->wish = wish;
    reading->peer = wish.jid.full.len ? str_dup(jid_bare(&wish.jid)) : NULL;
    ext_op_start(&reading->op, &event, begin);
}

const struct room_command room_log_commands[] = {
    { "x-jabiru:moderation-log", "Read what was done to whom", AFFILIATION_OWNER, ask, read_log },
    { 0 },
};
