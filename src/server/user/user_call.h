/* SPDX-License-Identifier: MIT */
/* A call to a user at its home, from any shard: wakes it, waits until it is ready, and comes back. */
#ifndef SERVER_USER_CALL_H
#define SERVER_USER_CALL_H

#include "server/user/user.h"

struct user_call {
    struct shard *shard; /* who asks */
    struct host *host;   /* the user's virtual host */
    struct jid jid;      /* only for the call */
    /* At home, as a handler of the ready user; what it says through actor_write() is held as ever. NULL:
     * there is no such account, or (`err` ERR_LIMIT, ERR_IO) it can't be had now. */
    void (*run)(struct shard *shard, struct user *user, struct user_call *call);
    /* An event of `shard`; the memory is the caller's again. NULL: the call frees itself (it is a heap block
     * that begins with it). */
    void (*done)(struct user_call *call);
    enum err err; /* OK, or ERR_NOT_FOUND, ERR_LIMIT, ERR_IO: the user was not had */
    char *_bare;
    struct shard_call _call;
    struct parked _parked;
};

/* Begins; never completes inside. An orderly stop waits for it. */
void user_call_start(struct user_call *call);

#endif
