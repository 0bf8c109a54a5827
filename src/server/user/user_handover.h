/* SPDX-License-Identifier: MIT */
/* Messages that sessions of a user had and did not acknowledge before they ended (sm_end.c), on their way
 * into the offline log. They are older than what the log takes now, so whoever reads it waits for them, and
 * is given those that the disk refuses from here. */
#ifndef SERVER_USER_HANDOVER_H
#define SERVER_USER_HANDOVER_H

#include "base/list.h"
#include "server/shard.h"

struct handover;
struct user;

struct handover_item {
    struct list link;
    struct stanza *message;
    struct receipt *receipt;
    int64_t came_ms;
};

/* Takes the message (a copy) and the receipt of the stanza at hand. */
void handover_add(struct user *user, const struct stanza *message, int64_t came_ms);

/* A write of some is under way: what the log has now may not be in order. */
bool handover_is_writing(const struct user *user);

/* Those that the disk has refused, in order: struct handover_item. NULL: there are none. */
const struct list *handover_refused(const struct user *user);
/* One of them was given to a session. */
void handover_given(struct user *user, struct handover_item *item);

/* The user is freed. What sessions had in the store is there at the next start. */
void handover_drop(struct user *user);

#endif
