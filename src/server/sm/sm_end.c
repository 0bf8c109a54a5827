/* SPDX-License-Identifier: MIT */
/* Stream management, the end of a session for good (XEP-0198 §4, RFC 6121 §8.5.3.2): its stream was closed
 * in order, nobody has resumed it in time, or too much waited for it.
 *
 * What the client has not acknowledged is treated like a stanza to an unavailable resource: a message is
 * delivered again by the rules for its address, so it goes to other devices, into the offline store, or back
 * with an error; a request is answered with an error; presence and answers are forgotten. Not a message that
 * another device of the user has had (sm_copies), nor a copy of one (XEP-0280).
 *
 * What is stored of it goes when all that is done, each message in the batch that puts it elsewhere: so a
 * crash in between neither loses nor doubles one.
 *
 * Of the last few sessions of a user it is remembered how much they had handled: a client that comes too late
 * learns what it must not send again. */
#include "server/sm/sm_impl.h"

#include "server/session.h"
#include "xmpp/payload.h"

#include <stdlib.h>

enum { PASTS = 4 };

struct sm_pasts {
    unsigned count;
    struct {
        char id[SM_ID_SIZE];
        uint32_t h;
    } items[PASTS];
};

static void remember(struct user *user, const struct sm *sm)
{
    if (!sm->resume_ms)
        return;
    if (!user->pasts)
        user->pasts = NEW(struct sm_pasts);
    unsigned at = user->pasts->count++ % PASTS;
    memcpy(user->pasts->items[at].id, sm->id, SM_ID_SIZE);
    user->pasts->items[at].h = (uint32_t)sm->safe;
}

bool sm_past(const struct user *user, str id, uint32_t *ret_h)
{
    for (unsigned i = 0; user->pasts && i < PASTS && i < user->pasts->count; i++) {
        if (!str_eq(str_from(user->pasts->items[i].id), id))
            continue;
        *ret_h = user->pasts->items[i].h;
        return true;
    }
    return false;
}

/* A message on its second way: in the batch that makes it safe elsewhere it is removed here. One that was
 * never stored here is still its sender's until then; that may turn out when it has set out already. */
struct again {
    struct receipt receipt;
    struct list link; /* sm->again */
    struct sm *sm;
    uint64_t number;
    struct receipt *first; /* of its first way; NULL: its sender was told */
};

static void again_done(struct receipt *receipt)
{
    struct again *again = CONTAINER_OF(receipt, struct again, receipt);
    list_remove(&again->link);
    receipt_release(again->sm->shard, again->first);
    sm_unref(again->sm);
    free(again);
}

bool sm_again_waits(struct sm *sm, uint64_t number, struct receipt *receipt)
{
    list_each (at, &sm->again) {
        struct again *again = LIST_ITEM(at, struct again, link);
        if (again->number != number)
            continue;
        again->first = receipt;
        return true;
    }
    return false;
}

static void again_mark(const struct receipt *receipt, struct store_batch *batch)
{
    const struct again *again = CONTAINER_OF(receipt, struct again, receipt);
    sm_store_forget_one(again->sm, again->number, batch);
}

static void deliver_again(struct sm *sm, const struct stanza *message, struct sm_entry *entry)
{
    struct shard *shard = sm->shard;
    struct again *again = NEW(struct again);
    again->sm = sm;
    again->number = entry->number;
    again->first = entry->receipt;
    entry->receipt = NULL;
    list_append(&sm->again, &again->link);
    sm_ref(sm);
    receipt_init(&again->receipt, shard, again_done, again_mark);
    struct receipt *before = receipt_enter(shard, &again->receipt);
    route_to(shard, message, &message->to, DELIVER_AGAIN);
    receipt_leave(shard, before);
    receipt_release(shard, &again->receipt);
}

static void give_back(struct sm *sm, const struct user *user, struct sm_entry *entry)
{
    const struct sm_body *body = entry->body;
    struct shard *shard = user->actor.shard;
    struct stanza *stanza = ARENA_NEW(&shard->arena, struct stanza);
    if (body->kind == STANZA_PRESENCE || body->safe || body->refs > 1)
        return; /* with more references another session of the user still waits for its acknowledgement */
    if (!sm_body_read(body, user, stanza))
        return;
    if (stanza->kind == STANZA_IQ) {
        if (stanza->type == TYPE_GET || stanza->type == TYPE_SET)
            route_error(shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (stanza->type != TYPE_ERROR && !(payload_facts(stanza) & PAYLOAD_CARBON))
        deliver_again(sm, stanza, entry);
}

static void stop(struct sm *sm)
{
    timer_stop(&sm->timer);
    timer_stop(&sm->late);
    task_cancel(&sm->end_task);
    task_cancel(&sm->resume_task);
    sm_items_fini(sm);
    sm->session->sm = NULL;
    sm->session = NULL;
}

void sm_end(struct sm *sm)
{
    struct user *user = sm->session->user;
    struct list *link;
    remember(user, sm);
    stop(sm);
    sm->ended = true;
    if (sm->owner)
        list_append(&sm->shard->_sm_ending, &sm->link);
    sm->next = &sm->queue;
    while ((link = list_shift(&sm->queue))) {
        struct sm_entry *entry = LIST_ITEM(link, struct sm_entry, link);
        give_back(sm, user, entry);
        sm_body_unref(entry->body);
        receipt_release(sm->shard, entry->receipt);
        free(entry);
    }
    sm_unref(sm);
}

void sm_drop(struct sm *sm)
{
    stop(sm);
    sm_out_fini(sm);
    sm_unref(sm);
}
