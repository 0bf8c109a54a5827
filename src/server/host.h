/* SPDX-License-Identifier: MIT */
/* A virtual host as an addressee: what is sent to the domain itself, or to one of its resources. It keeps no
 * state, so it answers on whatever shard the question came up. */
#ifndef SERVER_HOST_H
#define SERVER_HOST_H

#include "server/shard.h"

void host_deliver(struct shard *shard, struct host *host, const struct delivery *delivery);

/* Whether the configuration names the bare JID of `who` among the host's administrators. */
bool host_is_admin(const struct host *host, const struct jid *who);

#endif
