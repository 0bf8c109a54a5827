/* SPDX-License-Identifier: MIT */
/* What was said last in a room, shown to who enters (XEP-0045 §7.2.13-15): a list in memory, of so many
 * messages as the configuration says. An archived room writes each message to its log as well
 * (room_archive.c), which nobody waits for: who is in has the message by then, and the log has it soon. When
 * such a room wakes, the end of its log is what was said last.
 *
 * Ids are those of the archive, which rise whatever the clock does (server/appends.h). Subjects are no
 * history (§7.2.13). */
#include "base/log.h"
#include "extensions/archive/mam.h"
#include "occupant.h"
#include "xmpp/delay.h"
#include "xmpp/hint.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

enum { BYTES_MAX = 1 << 20, STANZA_MAX = 1 << 22 };

struct said {
    struct list link;
    uint64_t id;
    int64_t ms;
    size_t size;
    struct stanza *stanza; /* from: who said it, by nick; to: none */
    struct jid who;        /* the user; on the heap */
};

struct history {
    struct list entries;
    uint64_t count;
    size_t bytes;
};

struct load {
    struct store_read read;
    struct room *room;
};

static struct history *of(struct room *room)
{
    if (!room->history) {
        room->history = NEW(struct history);
        list_init(&room->history->entries);
    }
    return room->history;
}

static void drop_first(struct history *history)
{
    struct said *said = LIST_ITEM(list_shift(&history->entries), struct said, link);
    history->count--;
    history->bytes -= said->size;
    free(said->stanza);
    free((char *)said->who.full.p);
    free(said);
}

void history_fini(struct room *room)
{
    while (room->history && room->history->count)
        drop_first(room->history);
    free(room->history);
    room->history = NULL;
}

static void trim(struct room *room)
{
    struct history *history = of(room);
    while (history->count > room->config->history || history->bytes > BYTES_MAX)
        drop_first(history);
}

static void remember(struct room *room, const struct stanza *message, const struct jid *who, uint64_t id,
                     int64_t ms)
{
    struct history *history = of(room);
    struct said *said = NEW(struct said);
    said->id = id;
    said->ms = ms;
    said->stanza = stanza_copy(message);
    said->who = jid_to_bare(who);
    said->who.full.p = str_dup(said->who.full);
    said->size = sizeof *said + sizeof *message + message->attrs.len + message->node.content.len;
    list_append(&history->entries, &said->link);
    history->count++;
    history->bytes += said->size;
    trim(room);
}

uint64_t room_next_id(struct room *room)
{
    return room->last_id = append_id(room_shard(room), room->last_id);
}

static struct said *find(const struct room *room, uint64_t id)
{
    if (!room->history)
        return NULL;
    list_each (at, &room->history->entries)
        if (LIST_ITEM(at, struct said, link)->id == id)
            return LIST_ITEM(at, struct said, link);
    return NULL;
}

bool history_is_by(const struct room *room, uint64_t id, const struct jid *who)
{
    const struct said *said = find(room, id);
    return said && jid_eq_bare(&said->who, who);
}

bool history_forget(struct room *room, uint64_t id)
{
    struct said *said = find(room, id);
    if (!said)
        return false;
    list_remove(&said->link);
    list_prepend(&room->history->entries, &said->link);
    drop_first(room->history);
    return true;
}

/* ---- The log ---- */

/* Words, in the clear or not, and what changes or answers words; but no notes on who is typing. */
static bool is_worth_archiving(const struct stanza *message)
{
    const uint32_t worth = PAYLOAD_BODY | PAYLOAD_SUBJECT | PAYLOAD_ENCRYPTED | PAYLOAD_CORRECTION |
                           PAYLOAD_RETRACTION | PAYLOAD_REACTIONS | PAYLOAD_MARKER | PAYLOAD_CALL;
    if (hint_forbids_archive(message))
        return false;
    return (payload_facts(message) & worth) || hint_wants_store(message);
}

void history_add(struct room *room, const struct stanza *message, const struct occupant *by,
                 const struct jid *who, uint64_t id)
{
    if (!is_worth_archiving(message))
        return;
    if (payload_facts(message) & (PAYLOAD_BODY | PAYLOAD_ENCRYPTED))
        remember(room, message, who, id, append_id_ms(id));
    if (room_is_archived(room))
        archive_add(room, message, by, who, id);
}

static void remember_entry(struct room *room, const struct store_entry *entry)
{
    struct xml_node node;
    struct stanza message;
    if (!xml_parse(entry->value, STR(NS_CLIENT), &node) ||
        stanza_read(&node, str_none, str_none, room_arena(room), &message) != STANZA_OK) {
        log_error(ext, "room %s: the archive's message %llu can't be read", room->actor.bare,
                  (unsigned long long)entry->id);
        return;
    }
    struct jid who;
    message.node.content = archive_strip(&message, room_arena(room));
    if (jid_parse(entry->peer, room_arena(room), &who) == OK &&
        (payload_facts(&message) & (PAYLOAD_BODY | PAYLOAD_ENCRYPTED)))
        remember(room, &message, &who, entry->id, entry->time_ms);
}

static void loaded(struct store_read *read)
{
    struct load *load = CONTAINER_OF(read, struct load, read);
    struct room *room = load->room;
    struct shard *shard = room_shard(room);
    shard_enter(shard);
    shard_commit_ended(shard);
    if (read->err != OK)
        log_error(store, "what was said last in %s can't be read: %s", room->actor.bare, err_text(read->err));
    for (size_t i = 0; read->err == OK && i < read->count; i++) {
        remember_entry(room, &read->entries[i]);
        if (read->entries[i].id > room->last_id)
            room->last_id = read->entries[i].id;
    }
    store_read_fini(read);
    room->is_reading_history = false;
    room_let_go(room);
    shard_leave(shard);
    free(load);
}

void history_load(struct room *room)
{
    struct load *load = NEW(struct load);
    struct store_log_query query = { .peer = str_none,
                                     .limit = room->config->history ? room->config->history : 1,
                                     .last = true };
    of(room);
    load->room = room;
    load->read.done = loaded;
    room->is_reading_history = true; /* it must find the room again */
    room_hold(room);
    shard_commit_began(room_shard(room)); /* a stop waits for it */
    store_log_find(room_shard(room)->server->store, room_shard(room)->loop, actor_bare(&room->actor),
                   STR("archive"), &query, &load->read);
}

/* ---- Showing ---- */

struct wish {
    uint64_t stanzas, chars;
    int64_t since_ms;
};

static void read_number(const struct xml_node *node, const char *name, struct arena *arena, uint64_t *ret)
{
    uint64_t number;
    str text = xml_attr(node, str_from(name), arena);
    if (text.p && str_to_u64(text, UINT32_MAX, &number) && number < *ret)
        *ret = number;
}

/* §7.2.14: all that is named must hold. What can't be read is not there. */
static struct wish read_wish(struct room *room, const struct xml_node *muc)
{
    struct arena *arena = room_arena(room);
    struct wish wish = { UINT64_MAX, UINT64_MAX, INT64_MIN };
    int64_t now = loop_wall_ms(room_shard(room)->loop), since;
    uint64_t seconds = UINT64_MAX;
    struct xml_node node;
    if (!muc || !xml_child(muc, STR("history"), STR(NS_MUC), &node))
        return wish;
    read_number(&node, "maxstanzas", arena, &wish.stanzas);
    read_number(&node, "maxchars", arena, &wish.chars);
    read_number(&node, "seconds", arena, &seconds);
    if (seconds != UINT64_MAX)
        wish.since_ms = now - (int64_t)seconds * 1000;
    str text = xml_attr(&node, STR("since"), arena);
    if (text.p && stamp_read(text, &since) && since > wish.since_ms)
        wish.since_ms = since;
    return wish;
}

/* As it was, with its id and the time (§7.2.13). */
static struct stanza *replay(struct room *room, const struct said *said)
{
    struct arena *arena = room_arena(room);
    struct jid by = room_jid(room);
    struct stanza *stanza = stanza_copy_arena(said->stanza, arena);
    struct buf xml;
    buf_init(&xml, STANZA_MAX);
    buf_add(&xml, stanza->node.content);
    char id[MAM_ID_SIZE];
    sid_write(&xml, &by, mam_id_write(said->id, id));
    delay_write(&xml, by.full, said->ms);
    stanza->node.content = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return stanza;
}

/* The size on the wire, which is what `maxchars` counts. */
static size_t size_for(const struct seat *seat, const struct stanza *stanza)
{
    struct buf xml;
    buf_init(&xml, STANZA_MAX);
    stanza_write(&xml, stanza, &seat->jid);
    size_t size = xml.len;
    buf_fini(&xml);
    return size;
}

void history_show(struct room *room, struct seat *seat, const struct xml_node *muc)
{
    struct wish wish = read_wish(room, muc);
    struct history *history = of(room);
    struct stanza **chosen = arena_alloc(room_arena(room), (history->count + 1) * sizeof *chosen);
    size_t count = 0;
    for (struct list *at = history->entries.prev; at != &history->entries; at = at->prev) {
        const struct said *said = LIST_ITEM(at, struct said, link);
        if (count >= wish.stanzas || said->ms < wish.since_ms || !wish.chars)
            break;
        chosen[count] = replay(room, said);
        if (wish.chars != UINT64_MAX) {
            size_t size = size_for(seat, chosen[count]);
            if (size > wish.chars)
                break;
            wish.chars -= size;
        }
        count++;
    }
    while (count)
        seat_tell(seat, chosen[--count]);
}

/* §7.2.15 */
void room_show_subject(struct room *room, struct seat *seat)
{
    struct arena *arena = room_arena(room);
    const struct subject *subject = &room->subject;
    struct jid by = room_jid(room);
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    struct buf xml;
    buf_init(&xml, STANZA_MAX);
    buf_add(&xml, subject->xml.p ? subject->xml : STR("<subject/>"));
    if (subject->xml.p)
        delay_write(&xml, by.full, subject->set_ms);
    *message = stanza_make(STANZA_MESSAGE, TYPE_GROUPCHAT, str_none, arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    message->from = subject->xml.p ? jid_make(jid_local(&by), jid_domain(&by), subject->nick, arena) : by;
    seat_tell(seat, message);
}
