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

static size_t put_entries(struct page_piece *pieces, const struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_piece(pieces, i,
                  (struct page_piece){ .entry = &entries[i],
                                       .came_ms = entries[i].time_ms,
                                       .handed_over = entries[i].id / 1000 > (uint64_t)entries[i].time_ms });
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
            put_piece(pieces, count++,
                      (struct page_piece){ .item = item, .came_ms = item->came_ms, .handed_over = true });
    }
    return count;
}

/* How many of these are as much as a page. */
static size_t refused_count(const struct user *user, const struct list *items, bool *ret_all)
{
    size_t room = room_of(user), count = 0;
    const struct list *at = items->next;
    for (size_t bytes = 0; at != items && count < PAGE_ENTRIES; at = at->next, count++) {
        bytes += stanza_copy_size(LIST_ITEM(at, struct handover_item, link)->message);
        if (count && bytes > room)
            break;
    }
    *ret_all = at == items;
    return count;
}

/* Where more of these wait they go alone, since they are the older ones. */
struct page page_make(const struct user *user, const struct store_read *read)
{
    const struct list *items = handover_refused(user);
    bool all = true;
    size_t fit = items ? refused_count(user, items, &all) : 0;
    size_t entries = entry_count(user, read);
    bool last = entries == read->count && read->count < PAGE_ENTRIES;
    struct page page = { arena_alloc(&user->actor.shard->arena, PIECES_MAX * sizeof *page.pieces),
                         .entries = all ? entries : 0 };
    page.count = put_entries(page.pieces, read->entries, page.entries);
    if (fit)
        page.count = put_refused(page.pieces, page.count, items, fit, last);
    return page;
}
