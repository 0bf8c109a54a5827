/* SPDX-License-Identifier: MIT */
/* Invitations, as registration sees them (invite.c makes and keeps them). */
#ifndef EXTENSIONS_INVITE_H
#define EXTENSIONS_INVITE_H

#include "server/ext_op.h"

struct invite {
    str token;
    struct jid inviter; /* bare, an account of the same host; none: the host itself */
    str name;           /* the localpart that it is for; "": any */
    bool contact;       /* who accepts it and the inviter are to see each other */
    bool account;       /* it lets somebody register */
};

/* Whether invitations let people register at this host. */
bool invite_registers(const struct host *host);

/* When the token says that it expires, in milliseconds since 1970; 0 for what is no token. */
int64_t invite_expiry(str token);

/* The row of an invitation (owner: the host, kind `invite`, key: the token); false if it can't be read, or
 * does not let anybody register. Texts are in the arena. */
bool invite_read(str token, str value, struct arena *arena, struct invite *ret);

/* Adds to a batch that the invitation is used; the batch fails with ERR_EXISTS if it was already. */
void invite_use(struct store_batch *batch, const struct host *host, const struct invite *invite);

/* Who accepted it, and the inviter, get subscriptions both ways, if that is what it is for. */
void invite_befriend(struct shard *shard, struct host *host, const struct jid *guest,
                     const struct invite *invite);

#endif
