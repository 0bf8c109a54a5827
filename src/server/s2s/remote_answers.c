/* SPDX-License-Identifier: MIT */
/* Answers of a domain to questions that the server asks for itself: what it can do (remote_many.c), whether
 * it has read what was sent (s2s_tail.c); and errors in answer to what was sent to it for many. They come
 * over any stream that the domain has proved itself on, while what they are about is at the domain's home. */
#include "server/s2s/remote_answers.h"

#include "server/receipt.h"
#include "server/s2s/remote_many.h"
#include "server/s2s/s2s_tail.h"

#include <stdlib.h>

struct errand {
    struct shard_call call;
    struct stanza *stanza;
    struct receipt *receipt;
};

static bool is_taken(struct remote *remote, const struct stanza *stanza)
{
    if (stanza->kind == STANZA_IQ)
        return s2s_tail_answered(remote, stanza) || many_answered(remote, stanza);
    return many_refused(remote, stanza);
}

static void arrived(struct shard *shard, struct shard_call *call)
{
    struct errand *errand = CONTAINER_OF(call, struct errand, call);
    struct remote *remote = remote_named(shard, jid_domain(&errand->stanza->from));
    if (!remote || !is_taken(remote, errand->stanza)) {
        struct receipt *before = receipt_enter(shard, errand->receipt);
        route(shard, errand->stanza);
        receipt_leave(shard, before);
    }
    shard_free_later(shard, errand->stanza);
    receipt_release(shard, errand->receipt);
    free(errand);
}

bool remote_answers(struct shard *shard, const struct stanza *stanza)
{
    bool is_answer = stanza->type == TYPE_ERROR || stanza->type == TYPE_RESULT;
    if (!is_answer || stanza->from.local_len || !jid_is_bare(&stanza->from) ||
        (stanza->kind == STANZA_IQ && stanza->to.local_len))
        return false;
    struct errand *errand = NEW(struct errand);
    errand->call.run = arrived;
    errand->stanza = stanza_copy(stanza);
    errand->receipt = receipt_hold(shard);
    shard_post(server_home(shard->server, jid_domain(&stanza->from)), &errand->call);
    return true;
}
