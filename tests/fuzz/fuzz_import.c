/* SPDX-License-Identifier: MIT */
/* Any document as an account to be imported (XEP-0227): whatever is in it, all rows are the account's own, of
 * kinds that an account has, and can be read by those who will read them; and what is left out is told in as
 * many lines. */
#include "extensions/archive/mam.h"
#include "extensions/portable/import.h"
#include "store/driver.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { ROSTER_MAX = 3, NOTES_MAX = 256, ANSWER_MAX = 1 << 20 };

static const int64_t now_ms = 1800000000000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct check {
    struct importing *importing;
    struct arena *arena;
    struct roster roster;
    struct nodes nodes;
    uint64_t last_offline, last_archive;
};

static void must(bool good)
{
    if (!good)
        abort();
}

static void must_be_jid(str text, struct arena *arena)
{
    struct jid jid;
    must(jid_parse(text, arena, &jid) == OK && str_eq(jid.full, text));
}

static struct stanza stanza_of(str row, enum stanza_kind kind, struct arena *arena)
{
    struct xml_node *node = ARENA_NEW(arena, struct xml_node);
    struct stanza stanza;
    must(xml_parse(row, STR(NS_CLIENT), node));
    must(stanza_read(node, str_none, str_none, arena, &stanza) == STANZA_OK);
    must(stanza.kind == kind && !jid_is_none(&stanza.from));
    return stanza;
}

/* ---- Rows ---- */

static void contact(struct check *check, const struct store_change *row)
{
    must_be_jid(row->key, check->arena);
    must(roster_item_read(&check->roster, row->key, row->value, check->arena));
    must(check->roster.count <= ROSTER_MAX);
}

static void blocked(struct check *check, const struct store_change *row)
{
    must_be_jid(row->key, check->arena);
}

static void asked(struct check *check, const struct store_change *row)
{
    struct stanza presence = stanza_of(row->value, STANZA_PRESENCE, check->arena);
    must(presence.type == TYPE_SUBSCRIBE && jid_is_bare(&presence.from));
    must(str_eq(presence.from.full, row->key) && jid_eq_bare(&presence.to, &check->importing->jid));
}

static void element(struct check *check, const struct store_change *row)
{
    struct xml_node node;
    (void)check;
    must(xml_parse(row->value, str_none, &node));
}

static void node_row(struct check *check, const struct store_change *change)
{
    struct store_row row = { change->owner, change->kind, change->key, change->value };
    nodes_load_row(&check->nodes, &row, check->arena);
}

static void offline(struct check *check, const struct store_change *row)
{
    must(row->id > check->last_offline && row->time_ms > 0);
    check->last_offline = row->id;
    must_be_jid(row->peer, check->arena);
    (void)stanza_of(row->value, STANZA_MESSAGE, check->arena);
}

static void archived(struct check *check, const struct store_change *row)
{
    must(row->id > check->last_archive && row->time_ms == append_id_ms(row->id) && row->time_ms < now_ms);
    check->last_archive = row->id;
    must_be_jid(row->peer, check->arena);
    (void)stanza_of(row->value, STANZA_MESSAGE, check->arena);
}

static const struct {
    const char *kind;
    enum store_op op;
    void (*look)(struct check *check, const struct store_change *row);
} kinds[] = {
    { "roster", STORE_PUT, contact },
    { "block", STORE_PUT, blocked },
    { "request", STORE_PUT, asked },
    { "vcard", STORE_PUT, element },
    { "private", STORE_PUT, element },
    { "pubsub", STORE_PUT, node_row },
    { "pubsub-affiliation", STORE_PUT, node_row },
    { "pubsub-affiliation", STORE_DEL, NULL },
    { "pubsub-order", STORE_PUT, node_row },
    { "pubsub-subscription", STORE_PUT, node_row },
    { "offline", STORE_APPEND, offline },
    { ARCHIVE_KIND, STORE_APPEND, archived },
};

static void check_row(struct check *check, const struct store_change *row)
{
    must(str_eq(row->owner, import_owner(check->importing)));
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (row->op == kinds[i].op && str_eq(row->kind, str_from(kinds[i].kind))) {
            if (kinds[i].look)
                kinds[i].look(check, row);
            return;
        }
    }
    must(row->op == STORE_PUT && str_starts(row->kind, STR("pubsub-item-")));
    if (row->value.len)
        element(check, row);
}

/* ---- The whole ---- */

static void check_node(const struct node *made, const struct node *loaded)
{
    must(loaded && loaded->number == made->number && loaded->items.count == made->items.count);
    must(loaded->subscribers.count == made->subscribers.count);
    for (uint32_t i = 0; i < made->items.count; i++)
        must(str_eq(item_id(node_item(made, i)), item_id(node_item(loaded, i))));
}

static void check_answer(const struct importing *importing)
{
    str answer = buf_str(importing->answer);
    unsigned lines = 0;
    must(!buf_failed(importing->answer));
    while (answer.len) {
        must(str_starts(str_cut(&answer, '\n'), import_owner(importing)));
        lines++;
    }
    must(lines == (importing->notes < NOTES_MAX ? importing->notes : NOTES_MAX));
}

static void check_keys(const struct importing *importing)
{
    struct scram_keys again;
    if (importing->has_keys)
        must(scram_keys_read(scram_keys_write(&importing->keys, importing->arena), &again) &&
             !memcmp(&again, &importing->keys, sizeof again));
}

static void check_all(struct importing *importing)
{
    struct check check = { .importing = importing, .arena = importing->arena };
    must(!importing->batch->invalid);
    for (const struct store_change *row = importing->batch->first; row; row = row->next)
        check_row(&check, row);
    must(check.nodes.count == importing->nodes.count);
    for (uint32_t i = 0; i < check.nodes.count; i++)
        check_node(importing->nodes.list[i], nodes_find(&check.nodes, node_name(importing->nodes.list[i])));
    check_answer(importing);
    check_keys(importing);
    roster_fini(&check.roster);
    nodes_fini(&check.nodes);
}

static void import(str text, struct arena *arena)
{
    struct import_document document;
    struct buf answer;
    str address;
    struct importing importing = {
        .arena = arena, .answer = &answer, .now_ms = now_ms, .roster_max = ROSTER_MAX, .has_search = true
    };
    if (import_document_read(text, arena, &document, &address) ||
        jid_parse(address, arena, &importing.jid) != OK || !importing.jid.local_len ||
        !jid_is_bare(&importing.jid))
        return;
    buf_init(&answer, ANSWER_MAX);
    importing.batch = store_batch_new();
    import_user(&importing, &document.user);
    check_all(&importing);
    nodes_fini(&importing.nodes);
    store_batch_free(importing.batch);
    buf_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 16 * 1024);
    import(str_of((const char *)data, size), &arena);
    arena_fini(&arena);
    return 0;
}
