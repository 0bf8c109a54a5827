/* SPDX-License-Identifier: MIT */
/* See user_call.h: a mail to the home shard, a place among what waits for the user, and a mail back. */
#include "server/user/user_call.h"

#include <stdlib.h>

static void come_back(struct shard *shard, struct shard_call *base)
{
    struct user_call *call = CONTAINER_OF(base, struct user_call, _call);
    shard_commit_ended(shard);
    free(call->_bare);
    if (call->done)
        call->done(call);
    else
        free(call);
}

static void go_back(struct user_call *call)
{
    call->_call.run = come_back;
    shard_post(call->shard, &call->_call);
}

static void there(struct actor *actor, struct parked *parked)
{
    struct user_call *call = CONTAINER_OF(parked, struct user_call, _parked);
    call->err = OK;
    call->run(actor->shard, USER_OF(actor), call);
    go_back(call);
}

static void not_there(struct actor *actor, struct parked *parked)
{
    struct user_call *call = CONTAINER_OF(parked, struct user_call, _parked);
    call->err = actor_is_missing(actor) ? ERR_NOT_FOUND : actor->unknown ? ERR_IO : ERR_LIMIT;
    call->run(actor->shard, NULL, call);
    go_back(call);
}

static void at_home(struct shard *shard, struct shard_call *base)
{
    struct user_call *call = CONTAINER_OF(base, struct user_call, _call);
    call->jid.full.p = call->_bare;
    call->_parked = (struct parked){ .run = there, .drop = not_there };
    actor_when_ready(&user_wake(shard, call->host, &call->jid)->actor, &call->_parked);
}

void user_call_start(struct user_call *call)
{
    struct jid bare = jid_to_bare(&call->jid);
    call->_bare = str_dup(bare.full);
    call->jid = bare;
    call->_call.run = at_home;
    shard_commit_began(call->shard);
    shard_post(server_home(call->shard->server, bare.full), &call->_call);
}
