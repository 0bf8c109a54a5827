/* SPDX-License-Identifier: MIT */
/* Messages that were acknowledged to their senders, that a session which has ended did not acknowledge, and
 * whose user can't be had now, since the disk can't be read: they are delivered again in a while. What the
 * disk refuses to take over: user_handover.h. */
#ifndef SERVER_USER_AGAIN_H
#define SERVER_USER_AGAIN_H

#include "server/shard.h"

/* Takes the message (a copy) and the receipt of the stanza at hand. False: too many wait already, and its
 * sender has to be told. */
bool again_later(struct shard *shard, const struct stanza *message, const struct jid *to);

/* The server ends: what the store has of them is there at the next start. */
void again_fini(struct shard *shard);

#endif
