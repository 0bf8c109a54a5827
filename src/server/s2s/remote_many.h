/* SPDX-License-Identifier: MIT */
/* One stanza for many addresses of another domain (XEP-0033), where its server takes that. */
#ifndef SERVER_REMOTE_MANY_H
#define SERVER_REMOTE_MANY_H

#include "server/s2s/remote.h"

/* A delivery that may go out together with others of the same event that say the same: true if it was taken;
 * it goes out before anything else of its pair does, and at the latest at the end of the event. */
bool many_gather(struct pair *pair, const struct delivery *delivery);

/* Sends what was gathered for a pair. */
void many_flush(struct pair *pair);

/* The same for all pairs of a shard; false if there was nothing. For the shard, when its queue is empty. */
bool many_flush_all(struct shard *shard);

/* A new stream may lead to another program than the one that was asked. */
void many_forget(struct remote *remote);

void many_pair_fini(struct pair *pair);
void many_remote_fini(struct remote *remote);

/* What the domain has answered (remote_answers.h): false if it is no answer to a question of ours, or no
 * refusal of a stanza for many. */
bool many_answered(struct remote *remote, const struct stanza *iq);
bool many_refused(struct remote *remote, const struct stanza *error);

#endif
