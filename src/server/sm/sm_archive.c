/* SPDX-License-Identifier: MIT */
/* Stream management and the sender's archive, after a crash.
 *
 * The sender's entry in the archive is written where the sender is at home, and the note that a stanza was
 * handled with what keeps it for its receiver: often by another shard, or (for another server) never. So a
 * crash may leave one of them without the other. An entry without the note: the client sends the stanza
 * again, and would have it twice. A note without the entry: the client is told that it was handled, and would
 * not have it at all.
 *
 * Why not one write: an archive is written by its own shard alone, in order, so that who asks for it sees
 * what he has just sent. Why no note with the entry: it is a row more to write and to remove for each message
 * that leaves its shard, for what only a crash makes use of. Instead each note names the entry, and the count
 * of what was handled says from which id on the archive can have entries of stanzas that are not counted.
 * When a session is read from the store after a restart, so is that end of the archive. Of an entry that no
 * note names the stanza is not archived again when it comes. A note whose entry is missing does not count:
 * the client sends the stanza again, and it is archived, and nothing else.
 *
 * An entry is found by the stanza's digest (sm.c). One that is missing is believed to have got lost in the
 * crash only if it was of the ten minutes before this start: an older one may have been removed since, and
 * its stanza may have been acknowledged, which can't be taken back. */
#include "server/ext.h"
#include "server/sm/sm_impl.h"

#include "base/planted.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { CRASH_MS = 10 * 60 * 1000 };

/* An entry that no note names. */
struct sm_unnoted {
    struct list link; /* sm->unnoted */
    uint64_t id, digest;
};

static void drop(struct sm_unnoted *unnoted)
{
    list_remove(&unnoted->link);
    free(unnoted);
}

void sm_archive_fini(struct sm *sm)
{
    while (!list_empty(&sm->unnoted))
        drop(LIST_ITEM(sm->unnoted.next, struct sm_unnoted, link));
}

void sm_archive_counted(struct sm *sm, const struct sm_item *item)
{
    if (item->receipt.archived >= sm->archived_from)
        sm->archived_from = item->receipt.archived + 1;
}

static void lower(uint64_t *id, const struct list *items, uint64_t behind)
{
    list_each (at, items) {
        const struct sm_item *item = LIST_ITEM(at, const struct sm_item, link);
        if (item->number > behind && item->receipt.archived && item->receipt.archived < *id)
            *id = item->receipt.archived;
    }
}

uint64_t sm_archive_from(const struct sm *sm, uint64_t to)
{
    uint64_t from = sm->archived_from;
    list_each (at, &sm->received) {
        const struct sm_item *item = LIST_ITEM(at, const struct sm_item, link);
        if (item->number > to)
            break;
        if (item->receipt.archived >= from)
            from = item->receipt.archived + 1;
    }
    lower(&from, &sm->received, to);
    lower(&from, &sm->known, 0);
    list_each (at, &sm->unnoted)
        if (LIST_ITEM(at, const struct sm_unnoted, link)->id < from)
            from = LIST_ITEM(at, const struct sm_unnoted, link)->id;
    return from;
}

uint64_t sm_archive_take(struct sm *sm, uint64_t digest)
{
    list_each (at, &sm->unnoted) {
        struct sm_unnoted *unnoted = LIST_ITEM(at, struct sm_unnoted, link);
        uint64_t id = unnoted->id;
        if (unnoted->digest != digest || PLANTED(PLANTED_ARCHIVED_TWICE))
            continue;
        drop(unnoted);
        return id;
    }
    return 0;
}

/* ---- After a restart
 * ---------------------------------------------------------------------------------------------------- */

/* Of what this session has sent to others. */
static void take_entry(struct sm *sm, const struct store_entry *entry)
{
    struct session *session = sm->session;
    struct arena *arena = &sm->shard->arena;
    struct jid own = session_jid(session);
    struct xml_node node;
    struct stanza stanza;
    if (!xml_parse(entry->value, STR(NS_CLIENT), &node) ||
        stanza_read(&node, str_none, str_none, arena, &stanza) != STANZA_OK || !jid_eq(&stanza.from, &own) ||
        jid_eq_bare(&stanza.to, &own))
        return;
    struct sm_unnoted *unnoted = NEW(struct sm_unnoted);
    unnoted->id = entry->id;
    unnoted->digest = sm_digest(&stanza);
    list_prepend(&sm->unnoted, &unnoted->link);
}

static bool take_id(struct sm *sm, uint64_t id)
{
    list_each (at, &sm->unnoted) {
        struct sm_unnoted *unnoted = LIST_ITEM(at, struct sm_unnoted, link);
        if (unnoted->id != id)
            continue;
        drop(unnoted);
        return true;
    }
    return false;
}

/* The first id of which a crash can have been the end. */
static uint64_t not_old(const struct shard *shard)
{
    uint64_t run_ms = (loop_now_us(shard->loop) - shard->server->started_us) / 1000;
    return append_id_from(loop_wall_ms(shard->loop) - (int64_t)run_ms - CRASH_MS);
}

void sm_archive_page(struct sm *sm, const struct store_read *page)
{
    for (size_t i = page->count; i > 0; i--)
        take_entry(sm, &page->entries[i - 1]);
}

void sm_archive_restored(struct sm *sm, uint64_t first)
{
    uint64_t from = not_old(sm->shard);
    if (sm->archived_from > from)
        from = sm->archived_from;
    if (first > from)
        from = first;
    list_each (at, &sm->known) {
        struct sm_item *item = LIST_ITEM(at, struct sm_item, link);
        uint64_t id = item->receipt.archived;
        item->unarchived = id && !take_id(sm, id) && id >= from;
    }
}
