/* SPDX-License-Identifier: MIT */
/* Building a read's request and gathering its results, both in the arena of the read: one allocation serves a
 * small read from end to end, and store_read_fini() frees all of it.
 *
 * The questions are brought into one normal form here (kinds sorted and each once, ranges closed at both
 * ends), so that no backend has to think about it. */
#include "store/front.h"
#include "store/words.h"

#include <stdlib.h>

enum { READ_BLOCK = 1024, ROOM_FIRST = 4, WORDS_MAX = 16 /* more are not looked at */ };

static struct store_request *request_new(struct store_read *read, enum store_ask ask)
{
    arena_init(&read->arena, READ_BLOCK);
    struct store_request *request = ARENA_NEW(&read->arena, struct store_request);
    list_init(&request->link);
    request->ask = ask;
    request->read = read;
    request->owner = request->kind = request->key = STR("");
    read->_request = request;
    read->err = OK;
    read->rows = NULL;
    read->entries = NULL;
    read->count = 0;
    read->total = 0;
    return request;
}

static str keep(struct store_read *read, str text)
{
    return text.len ? arena_str(&read->arena, text) : STR("");
}

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

static void split_kinds(struct store_request *request, str kinds)
{
    size_t room = 1;
    for (size_t i = 0; i < kinds.len; i++)
        room += kinds.p[i] == ',';
    request->kinds = arena_alloc(&request->read->arena, room * sizeof *request->kinds);
    size_t found = 0;
    while (kinds.p) {
        str kind = str_trim(str_cut(&kinds, ','));
        if (kind.len)
            request->kinds[found++] = kind;
    }
    qsort(request->kinds, found, sizeof *request->kinds, compare);
    for (size_t i = 0; i < found; i++)
        if (i == 0 || !str_eq(request->kinds[i], request->kinds[request->kind_count - 1]))
            request->kinds[request->kind_count++] = request->kinds[i];
}

void store_get_all(struct store *store, struct loop *loop, str owner, str kinds, struct store_read *read)
{
    struct store_request *request = request_new(read, STORE_GET_ALL);
    request->owner = keep(read, owner);
    split_kinds(request, keep(read, kinds));
    store_ask(store, loop, request);
}

void store_get(struct store *store, struct loop *loop, str owner, str kind, str key, struct store_read *read)
{
    struct store_request *request = request_new(read, STORE_GET);
    request->owner = keep(read, owner);
    request->kind = keep(read, kind);
    request->key = keep(read, key);
    store_ask(store, loop, request);
}

static size_t clamp(size_t limit)
{
    return limit < INT32_MAX ? limit : INT32_MAX;
}

void store_owners(struct store *store, struct loop *loop, str kind, str key, str after, size_t limit,
                  struct store_read *read)
{
    struct store_request *request = request_new(read, STORE_OWNERS);
    request->owner = keep(read, after);
    request->kind = keep(read, kind);
    request->key = keep(read, key);
    request->limit = clamp(limit);
    store_ask(store, loop, request);
}

/* What is greater than each text that begins with `prefix`: no byte of UTF-8 is as great. */
static str beyond(struct store_read *read, str prefix)
{
    return arena_printf(&read->arena, "%.*s\xff", STR_ARGS(prefix));
}

void store_get_range(struct store *store, struct loop *loop, str owner, str kind,
                     const struct store_map_query *query, struct store_read *read)
{
    struct store_request *request = request_new(read, STORE_GET_RANGE);
    str prefix = keep(read, query->prefix), after = keep(read, query->after);
    str before = keep(read, query->before), end = beyond(read, prefix);
    request->owner = keep(read, owner);
    request->kind = keep(read, kind);
    request->range = *query;
    request->limit = clamp(query->limit);
    request->first_key = str_cmp(after, prefix) > 0 ? after : prefix;
    request->not_key = after.len ? after : str_none;
    request->last_key = before.len && str_cmp(before, end) < 0 ? before : end;
    store_ask(store, loop, request);
}

void store_log_owners(struct store *store, struct loop *loop, str kind, str after, size_t limit,
                      struct store_read *read)
{
    struct store_request *request = request_new(read, STORE_LOG_OWNERS);
    request->owner = keep(read, after);
    request->kind = keep(read, kind);
    request->limit = clamp(limit);
    store_ask(store, loop, request);
}

static int by_id(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* In order, each once, and none that no entry can have. */
static void keep_ids(struct store_request *request)
{
    struct store_log_query *query = &request->query;
    if (!query->ids)
        return;
    uint64_t *ids = arena_alloc(&request->read->arena, (query->id_count + 1) * sizeof *ids);
    size_t count = 0;
    if (query->id_count)
        memcpy(ids, query->ids, query->id_count * sizeof *ids);
    qsort(ids, query->id_count, sizeof *ids, by_id);
    for (size_t i = 0; i < query->id_count; i++)
        if (ids[i] && ids[i] <= INT64_MAX && (!count || ids[i] != ids[count - 1]))
            ids[count++] = ids[i];
    query->ids = ids;
    query->id_count = count;
}

static void split_words(struct store_request *request)
{
    str text = request->query.text, word;
    request->words = arena_alloc(&request->read->arena, WORDS_MAX * sizeof *request->words);
    while (request->word_count < WORDS_MAX && words_next(&text, &word))
        request->words[request->word_count++] = word;
}

/* Ids come from peers here (a page after this id): what no entry can have just finds nothing. */
static void close_ranges(struct store_request *request)
{
    const struct store_log_query *query = &request->query;
    request->first_id = query->after_id < INT64_MAX ? query->after_id + 1 : INT64_MAX;
    request->last_id = query->before_id ? query->before_id - 1 : INT64_MAX;
    if (request->last_id > INT64_MAX)
        request->last_id = INT64_MAX;
    if (query->after_id >= INT64_MAX)
        request->last_id = 0;
    request->first_ms = query->from_ms ? query->from_ms : INT64_MIN;
    request->last_ms = query->to_ms ? query->to_ms : INT64_MAX;
}

void store_log_find(struct store *store, struct loop *loop, str owner, str kind,
                    const struct store_log_query *query, struct store_read *read)
{
    struct store_request *request = request_new(read, STORE_LOG_FIND);
    request->owner = keep(read, owner);
    request->kind = keep(read, kind);
    request->query = *query;
    request->query.peer = query->peer.p ? keep(read, query->peer) : str_none;
    request->query.text = query->text.p ? keep(read, query->text) : str_none;
    keep_ids(request);
    split_words(request);
    request->limit = clamp(query->limit);
    close_ranges(request);
    store_ask(store, loop, request);
}

void store_read_fini(struct store_read *read)
{
    arena_fini(&read->arena);
    read->_request = NULL;
    read->rows = NULL;
    read->entries = NULL;
    read->count = 0;
}

/* The array with room for one more: doubled in the arena, so that n results cost at most n copies. */
static void *with_room(struct store_read *read, void *items, size_t size)
{
    struct store_request *request = read->_request;
    if (read->count < request->room)
        return items;
    request->room = request->room ? request->room * 2 : ROOM_FIRST;
    void *grown = arena_alloc(&read->arena, request->room * size);
    if (read->count)
        memcpy(grown, items, read->count * size);
    return grown;
}

void store_read_add_row(struct store_read *read, const struct store_row *row)
{
    read->rows = with_room(read, read->rows, sizeof *row);
    read->rows[read->count++] = (struct store_row){
        .owner = arena_str(&read->arena, row->owner),
        .kind = arena_str(&read->arena, row->kind),
        .key = arena_str(&read->arena, row->key),
        .value = arena_str(&read->arena, row->value),
    };
}

void store_read_add_entry(struct store_read *read, const struct store_entry *entry)
{
    read->entries = with_room(read, read->entries, sizeof *entry);
    read->entries[read->count++] = (struct store_entry){
        .id = entry->id,
        .time_ms = entry->time_ms,
        .peer = arena_str(&read->arena, entry->peer),
        .value = arena_str(&read->arena, entry->value),
    };
}
