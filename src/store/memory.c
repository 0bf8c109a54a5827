/* SPDX-License-Identifier: MIT */
/* The store in memory, lost at the end: for tests, and the plainest statement of what a backend does.
 *
 * Maps and logs are two ordered lists of items. The place of an item is its owner, a NUL, its kind, a NUL,
 * and then the key, or the id with its most significant byte first; so the order of bytes is the order that
 * the interface asks for, and all of an owner, or of a kind, stand side by side.
 *
 * A transaction writes in place and notes for each change what it took out and what it put in; undoing walks
 * the notes backwards. Readers are kept out meanwhile by a lock that the writer holds from begin to the end,
 * which is short, as nothing waits for a disk. */
#include "store/driver.h"
#include "store/skip.h"
#include "store/words.h"

#include <pthread.h>
#include <stdlib.h>

enum { SCRATCH_BLOCK = 1024, ID_BYTES = 8 };

struct item {
    struct skip_node node;
    str owner, kind, key;     /* within the node's key */
    struct store_entry entry; /* of a map item only its value */
    char bytes[];
};

/* One step to undo. */
struct note {
    struct note *next;
    struct skip *in;
    struct item *taken, *put; /* either may be NULL */
};

struct memory {
    struct store_db db;
    pthread_rwlock_t lock;
    struct skip maps, logs;
};

struct memory_conn {
    struct store_conn conn;
    struct memory *memory;
    struct arena scratch; /* places to look for */
    struct note *notes;   /* newest first */
    bool writing;
};

/* ---- Places ---- */

static str join(struct arena *arena, str owner, str kind, str rest)
{
    size_t len = owner.len + 1 + kind.len + 1 + rest.len;
    char *place = arena_zalloc(arena, len + 1);
    memcpy(place, owner.p, owner.len);
    memcpy(place + owner.len + 1, kind.p, kind.len);
    if (rest.len)
        memcpy(place + owner.len + 1 + kind.len + 1, rest.p, rest.len);
    return str_of(place, len);
}

static str join_id(struct arena *arena, str owner, str kind, uint64_t id)
{
    char bytes[ID_BYTES];
    for (int i = 0; i < ID_BYTES; i++)
        bytes[i] = (char)(id >> (8 * (ID_BYTES - 1 - i)));
    return join(arena, owner, kind, str_of(bytes, ID_BYTES));
}

/* All items of an owner begin with this. */
static str owner_prefix(struct arena *arena, str owner)
{
    str place = join(arena, owner, STR(""), STR(""));
    return str_sub(place, 0, owner.len + 1);
}

/* What comes after all items of an owner, and before those of the next. */
static str past_owner(struct arena *arena, str owner)
{
    str prefix = owner_prefix(arena, owner);
    ((char *)prefix.p)[owner.len] = '\1';
    return prefix;
}

/* ---- Items ---- */

static struct item *item_at(struct skip_node *node)
{
    return (struct item *)node;
}

static str put_bytes(char **at, str text)
{
    str copy = str_of(*at, text.len);
    if (text.len)
        memcpy(*at, text.p, text.len);
    *at += text.len;
    return copy;
}

static struct item *item_new(str place, const struct store_change *change)
{
    struct item *item =
        xcalloc(1, sizeof *item + place.len + change->peer.len + change->value.len + change->text.len + 1);
    char *at = item->bytes;
    item->node.key = put_bytes(&at, place);
    item->entry.peer = put_bytes(&at, change->peer);
    item->entry.value = put_bytes(&at, change->value);
    item->entry.text = put_bytes(&at, change->text);
    item->entry.id = change->id;
    item->entry.time_ms = change->time_ms;
    size_t kind_at = change->owner.len + 1, key_at = kind_at + change->kind.len + 1;
    item->owner = str_sub(item->node.key, 0, change->owner.len);
    item->kind = str_sub(item->node.key, kind_at, key_at - 1);
    item->key = str_sub(item->node.key, key_at, place.len);
    return item;
}

static void free_items(struct skip *skip)
{
    for (struct skip_node *node = skip->head.next[0], *next; node; node = next) {
        next = node->next[0];
        free(item_at(node));
    }
}

/* ---- Writing ---- */

static void replace(struct memory_conn *mc, struct skip *in, struct item *taken, struct item *put)
{
    struct note *note = NEW(struct note);
    *note = (struct note){ .next = mc->notes, .in = in, .taken = taken, .put = put };
    mc->notes = note;
    if (taken)
        skip_remove(in, &taken->node);
    if (put)
        skip_insert(in, &put->node);
}

static void undo_to(struct memory_conn *mc, struct note *mark)
{
    while (mc->notes != mark) {
        struct note *note = mc->notes;
        mc->notes = note->next;
        if (note->put)
            skip_remove(note->in, &note->put->node);
        if (note->taken)
            skip_insert(note->in, &note->taken->node);
        free(note->put);
        free(note);
    }
}

static void forget_notes(struct memory_conn *mc)
{
    while (mc->notes) {
        struct note *note = mc->notes;
        mc->notes = note->next;
        free(note->taken);
        free(note);
    }
}

static void remove_prefix(struct memory_conn *mc, struct skip *in, str prefix)
{
    struct skip_node *node;
    while ((node = skip_seek(in, prefix)) != NULL && str_starts(node->key, prefix))
        replace(mc, in, item_at(node), NULL);
}

static void remove_all(struct memory_conn *mc, const struct store_change *change)
{
    str prefix = change->kind.len ? join(&mc->scratch, change->owner, change->kind, STR(""))
                                  : owner_prefix(&mc->scratch, change->owner);
    remove_prefix(mc, &mc->memory->maps, prefix);
    remove_prefix(mc, &mc->memory->logs, prefix);
}

static void remove_entries(struct memory_conn *mc, const struct store_change *change)
{
    struct skip *logs = &mc->memory->logs;
    str first = join_id(&mc->scratch, change->owner, change->kind, change->id);
    str last = join_id(&mc->scratch, change->owner, change->kind, change->last_id);
    struct skip_node *node;
    while ((node = skip_seek(logs, first)) != NULL && str_cmp(node->key, last) <= 0)
        replace(mc, logs, item_at(node), NULL);
}

static void expire(struct memory_conn *mc, const struct store_change *change)
{
    struct skip *logs = &mc->memory->logs;
    str prefix = join(&mc->scratch, change->owner, change->kind, STR(""));
    struct skip_node *next;
    for (struct skip_node *node = skip_seek(logs, prefix); node && str_starts(node->key, prefix);
         node = next) {
        next = node->next[0];
        if (item_at(node)->entry.time_ms < change->time_ms)
            replace(mc, logs, item_at(node), NULL);
    }
}

static enum err put(struct memory_conn *mc, const struct store_change *change)
{
    struct skip *maps = &mc->memory->maps;
    str place = join(&mc->scratch, change->owner, change->kind, change->key);
    struct skip_node *there = skip_get(maps, place);
    if (there && change->op == STORE_PUT_NEW)
        return ERR_EXISTS;
    replace(mc, maps, there ? item_at(there) : NULL, item_new(place, change));
    return OK;
}

static void del(struct memory_conn *mc, const struct store_change *change)
{
    struct skip *maps = &mc->memory->maps;
    struct skip_node *there = skip_get(maps, join(&mc->scratch, change->owner, change->kind, change->key));
    if (there)
        replace(mc, maps, item_at(there), NULL);
}

static void append(struct memory_conn *mc, const struct store_change *change)
{
    struct skip *logs = &mc->memory->logs;
    str place = join_id(&mc->scratch, change->owner, change->kind, change->id);
    if (!skip_get(logs, place))
        replace(mc, logs, NULL, item_new(place, change));
}

static enum err change_one(struct memory_conn *mc, const struct store_change *change)
{
    switch (change->op) {
    case STORE_PUT:
    case STORE_PUT_NEW:
        return put(mc, change);
    case STORE_DEL:
        del(mc, change);
        break;
    case STORE_DEL_PREFIX:
        remove_prefix(mc, &mc->memory->maps, join(&mc->scratch, change->owner, change->kind, change->key));
        break;
    case STORE_DEL_ALL:
        remove_all(mc, change);
        break;
    case STORE_APPEND:
        append(mc, change);
        break;
    case STORE_LOG_DEL:
        remove_entries(mc, change);
        break;
    case STORE_LOG_EXPIRE:
        expire(mc, change);
        break;
    }
    return OK;
}

static enum err memory_begin(struct store_conn *conn)
{
    struct memory_conn *mc = (struct memory_conn *)conn;
    pthread_rwlock_wrlock(&mc->memory->lock);
    mc->writing = true;
    return OK;
}

static enum err memory_apply(struct store_conn *conn, const struct store_batch *batch)
{
    struct memory_conn *mc = (struct memory_conn *)conn;
    struct note *mark = mc->notes;
    enum err err = OK;
    for (struct store_change *change = batch->first; change && !err; change = change->next)
        err = change_one(mc, change);
    if (err)
        undo_to(mc, mark);
    arena_reset(&mc->scratch);
    return err;
}

static void end(struct memory_conn *mc)
{
    mc->writing = false;
    pthread_rwlock_unlock(&mc->memory->lock);
}

static enum err memory_commit(struct store_conn *conn)
{
    struct memory_conn *mc = (struct memory_conn *)conn;
    forget_notes(mc);
    end(mc);
    return OK;
}

static void memory_rollback(struct store_conn *conn)
{
    struct memory_conn *mc = (struct memory_conn *)conn;
    if (!mc->writing)
        return;
    undo_to(mc, NULL);
    end(mc);
}

/* ---- Reading ---- */

static void read_prefix(const struct skip *maps, str prefix, struct store_read *read)
{
    struct skip_node *node = skip_seek(maps, prefix);
    for (; node && str_starts(node->key, prefix); node = node->next[0]) {
        struct item *item = item_at(node);
        struct store_row row = { item->owner, item->kind, item->key, item->entry.value };
        store_read_add_row(read, &row);
    }
}

static void read_one(struct memory_conn *mc, const struct store_request *request, struct store_read *read)
{
    str place = join(&mc->scratch, request->owner, request->kind, request->key);
    struct skip_node *node = skip_get(&mc->memory->maps, place);
    if (!node)
        return;
    struct store_row row = { request->owner, request->kind, request->key, item_at(node)->entry.value };
    store_read_add_row(read, &row);
}

static void read_owners(struct memory_conn *mc, const struct store_request *request, struct store_read *read)
{
    const struct skip *maps = &mc->memory->maps;
    str owner = request->owner;
    struct skip_node *node;
    while (read->count < request->limit &&
           (node = skip_seek(maps, past_owner(&mc->scratch, owner))) != NULL) {
        owner = item_at(node)->owner;
        if (!skip_get(maps, join(&mc->scratch, owner, request->kind, request->key)))
            continue;
        struct store_row row = { owner, request->kind, request->key, str_none };
        store_read_add_row(read, &row);
    }
}

static bool in_range(const struct skip_node *node, str prefix, const struct store_request *request)
{
    return node && str_starts(node->key, prefix) &&
           str_cmp(item_at((struct skip_node *)node)->key, request->last_key) < 0;
}

static bool is_wanted(const struct skip_node *node, const struct store_request *request)
{
    return !request->not_key.p || !str_eq(item_at((struct skip_node *)node)->key, request->not_key);
}

/* Two walks, as in read_log(). */
static void read_range(struct memory_conn *mc, const struct store_request *request, struct store_read *read)
{
    str prefix = join(&mc->scratch, request->owner, request->kind, STR(""));
    str first = join(&mc->scratch, request->owner, request->kind, request->first_key);
    struct skip_node *from = skip_seek(&mc->memory->maps, first), *node;
    size_t total = 0, at = 0;
    for (node = from; in_range(node, prefix, request); node = node->next[0])
        total += is_wanted(node, request);
    size_t skip = request->range.last && total > request->limit ? total - request->limit : 0;
    for (node = from; in_range(node, prefix, request) && read->count < request->limit; node = node->next[0]) {
        struct item *item = item_at(node);
        struct store_row row = { item->owner, item->kind, item->key,
                                 request->range.keys_only ? str_none : item->entry.value };
        if (is_wanted(node, request) && at++ >= skip)
            store_read_add_row(read, &row);
    }
    if (request->range.count)
        read->total = total;
}

static void read_log_owners(struct memory_conn *mc, const struct store_request *request,
                            struct store_read *read)
{
    const struct skip *logs = &mc->memory->logs;
    str owner = request->owner;
    struct skip_node *node;
    while (read->count < request->limit &&
           (node = skip_seek(logs, past_owner(&mc->scratch, owner))) != NULL) {
        owner = item_at(node)->owner;
        str place = join(&mc->scratch, owner, request->kind, STR(""));
        struct skip_node *entry = skip_seek(logs, place);
        if (!entry || !str_starts(entry->key, place))
            continue;
        struct store_row row = { owner, request->kind, STR(""), str_none };
        store_read_add_row(read, &row);
    }
}

static bool has_words(const struct store_entry *entry, const struct store_request *request)
{
    for (size_t i = 0; i < request->word_count; i++)
        if (!words_has(entry->text, request->words[i]))
            return false;
    return !request->query.text.p || request->word_count;
}

static bool has_id(const struct store_entry *entry, const struct store_request *request)
{
    const struct store_log_query *query = &request->query;
    for (size_t i = 0; i < query->id_count; i++)
        if (query->ids[i] == entry->id)
            return true;
    return !query->ids;
}

static bool matches(const struct store_entry *entry, const struct store_request *request)
{
    if (request->query.ids)
        return has_id(entry, request);
    if (!has_words(entry, request))
        return false;
    return entry->time_ms >= request->first_ms && entry->time_ms <= request->last_ms &&
           (!request->query.peer.p || str_eq(entry->peer, request->query.peer));
}

/* The first pass counts, which tells the second how many to skip when the last ones are wanted. */
static void read_log(struct memory_conn *mc, const struct store_request *request, struct store_read *read)
{
    str first = join_id(&mc->scratch, request->owner, request->kind, request->first_id);
    str last = join_id(&mc->scratch, request->owner, request->kind, request->last_id);
    struct skip_node *from = skip_seek(&mc->memory->logs, first), *node;
    size_t total = 0, skip;
    for (node = from; node && str_cmp(node->key, last) <= 0; node = node->next[0])
        total += matches(&item_at(node)->entry, request);
    skip = request->query.last && total > request->limit ? total - request->limit : 0;
    for (node = from; node && str_cmp(node->key, last) <= 0 && read->count < request->limit;
         node = node->next[0]) {
        if (!matches(&item_at(node)->entry, request))
            continue;
        if (skip)
            skip--;
        else
            store_read_add_entry(read, &item_at(node)->entry);
    }
    if (request->query.count)
        read->total = total;
}

static enum err memory_read(struct store_conn *conn, const struct store_request *request,
                            struct store_read *read)
{
    struct memory_conn *mc = (struct memory_conn *)conn;
    pthread_rwlock_rdlock(&mc->memory->lock);
    switch (request->ask) {
    case STORE_GET:
        read_one(mc, request, read);
        break;
    case STORE_GET_ALL:
        for (size_t i = 0; i < request->kind_count; i++)
            read_prefix(&mc->memory->maps, join(&mc->scratch, request->owner, request->kinds[i], STR("")),
                        read);
        break;
    case STORE_GET_RANGE:
        read_range(mc, request, read);
        break;
    case STORE_OWNERS:
        read_owners(mc, request, read);
        break;
    case STORE_LOG_OWNERS:
        read_log_owners(mc, request, read);
        break;
    case STORE_LOG_FIND:
        read_log(mc, request, read);
        break;
    }
    pthread_rwlock_unlock(&mc->memory->lock);
    arena_reset(&mc->scratch);
    return OK;
}

/* ---- Opening and closing ---- */

static enum err memory_open(const char *place, char *why, size_t why_room, struct store_db **ret_db)
{
    (void)place, (void)why, (void)why_room;
    struct memory *memory = NEW(struct memory);
    memory->db.driver = &store_memory;
    pthread_rwlock_init(&memory->lock, NULL);
    skip_init(&memory->maps);
    skip_init(&memory->logs);
    *ret_db = &memory->db;
    return OK;
}

static void memory_close(struct store_db *db)
{
    struct memory *memory = (struct memory *)db;
    free_items(&memory->maps);
    free_items(&memory->logs);
    pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

static enum err memory_connect(struct store_db *db, bool writes, struct store_conn **ret_conn)
{
    (void)writes;
    struct memory_conn *mc = NEW(struct memory_conn);
    mc->conn.db = db;
    mc->memory = (struct memory *)db;
    arena_init(&mc->scratch, SCRATCH_BLOCK);
    *ret_conn = &mc->conn;
    return OK;
}

static void memory_disconnect(struct store_conn *conn)
{
    struct memory_conn *mc = (struct memory_conn *)conn;
    arena_fini(&mc->scratch);
    free(mc);
}

const struct store_driver store_memory = {
    .scheme = "memory:",
    .open = memory_open,
    .close = memory_close,
    .connect = memory_connect,
    .disconnect = memory_disconnect,
    .begin = memory_begin,
    .apply = memory_apply,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .read = memory_read,
};
