/* SPDX-License-Identifier: MIT */
/* Building a batch: a chain of changes in an arena of the batch's own, so that the caller's texts may go at
 * once and the whole is freed in one step by whichever thread is done with it.
 *
 * What no backend could keep (a NUL byte, an empty kind, an id that does not fit a signed 64-bit integer)
 * marks the batch as invalid instead of tripping an assertion: a key may have come from a peer. The mark is
 * answered by the commit. */
#include "store/driver.h"

#include <stdlib.h>

enum { BATCH_BLOCK = 512 };

struct store_batch *store_batch_new(void)
{
    struct store_batch *batch = NEW(struct store_batch);
    list_init(&batch->link);
    arena_init(&batch->arena, BATCH_BLOCK);
    batch->end = &batch->first;
    return batch;
}

void store_batch_free(struct store_batch *batch)
{
    if (!batch)
        return;
    arena_fini(&batch->arena);
    free(batch);
}

/* Empty text is kept as "", never as no text: databases tell the two apart. */
static str keep(struct store_batch *batch, str text)
{
    if (!text.len)
        return STR("");
    if (memchr(text.p, '\0', text.len))
        batch->invalid = true;
    batch->bytes += text.len;
    return arena_str(&batch->arena, text);
}

static struct store_change *add(struct store_batch *batch, enum store_op op, str owner, str kind)
{
    struct store_change *change = ARENA_NEW(&batch->arena, struct store_change);
    change->op = op;
    change->owner = keep(batch, owner);
    change->kind = keep(batch, kind);
    change->key = change->value = change->peer = change->text = STR("");
    if (!kind.len && op != STORE_DEL_ALL)
        batch->invalid = true;
    *batch->end = change;
    batch->end = &change->next;
    return change;
}

static void add_put(struct store_batch *batch, enum store_op op, str owner, str kind, str key, str value)
{
    struct store_change *change = add(batch, op, owner, kind);
    change->key = keep(batch, key);
    change->value = keep(batch, value);
}

void store_put(struct store_batch *batch, str owner, str kind, str key, str value)
{
    add_put(batch, STORE_PUT, owner, kind, key, value);
}

void store_put_new(struct store_batch *batch, str owner, str kind, str key, str value)
{
    add_put(batch, STORE_PUT_NEW, owner, kind, key, value);
    batch->has_put_new = true;
}

void store_del(struct store_batch *batch, str owner, str kind, str key)
{
    add(batch, STORE_DEL, owner, kind)->key = keep(batch, key);
}

void store_del_prefix(struct store_batch *batch, str owner, str kind, str prefix)
{
    add(batch, STORE_DEL_PREFIX, owner, kind)->key = keep(batch, prefix);
}

void store_del_all(struct store_batch *batch, str owner, str kind)
{
    add(batch, STORE_DEL_ALL, owner, kind);
}

void store_append(struct store_batch *batch, str owner, str kind, const struct store_entry *entry)
{
    struct store_change *change = add(batch, STORE_APPEND, owner, kind);
    if (entry->id == 0 || entry->id > INT64_MAX)
        batch->invalid = true;
    change->id = entry->id;
    change->time_ms = entry->time_ms;
    change->peer = keep(batch, entry->peer);
    change->value = keep(batch, entry->value);
    change->text = keep(batch, entry->text);
}

void store_log_del(struct store_batch *batch, str owner, str kind, uint64_t first_id, uint64_t last_id)
{
    if (first_id > INT64_MAX) /* no such entries */
        return;
    struct store_change *change = add(batch, STORE_LOG_DEL, owner, kind);
    change->id = first_id;
    change->last_id = last_id < INT64_MAX ? last_id : INT64_MAX;
}

void store_log_expire(struct store_batch *batch, str owner, str kind, int64_t before_ms)
{
    add(batch, STORE_LOG_EXPIRE, owner, kind)->time_ms = before_ms;
}
