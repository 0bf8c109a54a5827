/* SPDX-License-Identifier: MIT */
/* Clients that say too much are read more slowly. To refuse costs an answer for each stanza, and the next one
 * is there at once; what is not read costs nothing, and the client notices that it has to wait.
 *
 * Whoever counts (a room, for one) may be at home on another shard than the client: it asks, and the client
 * is left unread for that long from the moment when its own shard has heard of it: at once, if that is the
 * one at hand. */
#ifndef SERVER_SLOW_H
#define SERVER_SLOW_H

#include "server/shard.h"

struct session;
struct slow;

enum { SLOW_MS_MAX = 10000 };

/* Nothing is read from this client, a full JID of ours, for `ms` (at most SLOW_MS_MAX) from now. For others
 * nothing happens. */
void slow_down(struct shard *shard, const struct jid *who, uint32_t ms);

/* The same for a session at hand. */
void slow_session(struct session *session, uint32_t ms);

/* For session.c: whether it is to wait; and its end. */
bool slow_waits(const struct session *session);
void slow_free(struct session *session);

#endif
