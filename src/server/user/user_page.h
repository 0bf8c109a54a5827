/* SPDX-License-Identifier: MIT */
/* A page of offline messages, put in order: what was read from the log, and what the disk refused to take
 * into it.
 *
 * What a session handed over that ended (user_handover.h) is older than what the log took while that session
 * was catching up: it has the time at which it came first, and by that a page is put in order. Between two
 * pages it is not. */
#ifndef SERVER_USER_PAGE_H
#define SERVER_USER_PAGE_H

#include "server/user/user_handover.h"
#include "store/store.h"

enum { PAGE_ENTRIES = 50 };

/* One message: of the log, or one that the disk refused. */
struct page_piece {
    const struct store_entry *entry;
    struct handover_item *item;
    int64_t came_ms;
    bool handed_over;
};

struct page {
    struct page_piece *pieces;
    size_t count;
    size_t entries; /* how many of those that were read are among them: the first ones */
};

/* What is to be sent of what was read, which were at most PAGE_ENTRIES; in the shard's arena. */
struct page page_make(const struct user *user, const struct store_read *read);

#endif
