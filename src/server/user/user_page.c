/* SPDX-License-Identifier: MIT */
#include "server/user/user_page.h"

#include "server/hooks.h"

enum { PIECES_MAX = 2 * PAGE_ENTRIES };

/* No more than a part of what may wait for the client: a queue that overflows would end the connection, at
 * each visit again. */
static size_t room_of(const struct user *user)
{
    return user->actor.shard->server->config->limits.output_bytes / 4;
}

static size_t entry_count(const struct user *user, const struct store_read *read)
{
    size_t room = room_of(user), count = 0;
    for (size_t bytes = 0; count < read->count; count++) {
        bytes += read->entries[count].value.len;
        if (count && bytes > room)
            break;
    }
    return count;
}

/* What was handed over has an id of a later millisecond than that in which it came (offline_append()), and
 * then it was there before what the log took. */
static bool comes_before(const struct page_piece *one, const struct page_piece *other)
{
    if (one->came_ms != other->came_ms)
        return one->came_ms < other->came_ms;
    return one->handed_over && !other->handed_over;
}

static void put_piece(struct page_piece *pieces, size_t count, struct page_piece piece)
{
    while (count && comes_before(&piece, &pieces[count - 1])) {
        pieces[count] = pieces[count - 1];
        count--;
    }
    pieces[count] = piece;
}

static struct page_piece of_log(const struct store_entry *entry)
{
    return (struct page_piece){ .entry = entry,
                                .came_ms = entry->time_ms,
                                .handed_over = entry->id / 1000 > (uint64_t)entry->time_ms };
}

static struct page_piece of_refused(struct handover_item *item)
{
    return (struct page_piece){ .item = item, .came_ms = item->came_ms, .handed_over = true };
}

static size_t put_entries(struct page_piece *pieces, const struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_piece(pieces, i, of_log(&entries[i]));
    return count;
}

/* The first so many of these, but for those that came behind the end of a page that is not the last one. */
static size_t put_refused(struct page_piece *pieces, size_t count, const struct list *items, size_t fit,
                          bool last)
{
    int64_t end_ms = last || !count ? INT64_MAX : pieces[count - 1].came_ms;
    const struct list *at = items->next;
    for (size_t i = 0; i < fit; i++, at = at->next) {
        struct handover_item *item = LIST_ITEM(at, struct handover_item, link);
        if (item->came_ms <= end_ms)
            put_piece(pieces, count++, of_refused(item));
    }
    return count;
}

/* How many of these are as much as a page; and the last of them, where others have to wait for the next one.
 */
static size_t refused_count(const struct user *user, const struct list *items,
                            struct handover_item **ret_last)
{
    size_t room = room_of(user), count = 0;
    const struct list *at = items->next;
    for (size_t bytes = 0; at != items && count < PAGE_ENTRIES; at = at->next, count++) {
        bytes += stanza_copy_size(LIST_ITEM(at, struct handover_item, link)->message);
        if (count && bytes > room)
            break;
    }
    *ret_last = at == items ? NULL : LIST_ITEM(at->prev, struct handover_item, link);
    return count;
}

/* The first so many of these that were there before the item. */
static size_t older_count(const struct store_entry *entries, size_t count, struct handover_item *item)
{
    struct page_piece end = of_refused(item);
    for (size_t i = 0; i < count; i++) {
        struct page_piece piece = of_log(&entries[i]);
        if (comes_before(&end, &piece))
            return i;
    }
    return count;
}

/* Where not all that were refused fit, what the log has goes with them only as far as it is older. */
struct page page_make(const struct user *user, const struct store_read *read)
{
    const struct list *items = handover_refused(user);
    struct handover_item *end = NULL;
    size_t fit = items ? refused_count(user, items, &end) : 0;
    size_t entries = entry_count(user, read);
    bool last = entries == read->count && read->count < PAGE_ENTRIES;
    size_t older = end ? older_count(read->entries, entries, end) : entries;
    struct page page = { arena_alloc(&user->actor.shard->arena, PIECES_MAX * sizeof *page.pieces),
                         .entries = older };
    page.count = put_entries(page.pieces, read->entries, older);
    if (fit)
        page.count = put_refused(page.pieces, page.count, items, fit, last || older < entries);
    return page;
}
