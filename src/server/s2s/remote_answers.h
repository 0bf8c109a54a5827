/* SPDX-License-Identifier: MIT */
/* What another domain itself, and none of its users, answers. */
#ifndef SERVER_REMOTE_ANSWERS_H
#define SERVER_REMOTE_ANSWERS_H

#include "server/s2s/remote.h"

/* A stanza that has come, on any shard: true if it may be an answer to something that we have said to the
 * domain; it is looked into at the domain's home, and routed if it is none. */
bool remote_answers(struct shard *shard, const struct stanza *stanza);

#endif
