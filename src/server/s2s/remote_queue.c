/* SPDX-License-Identifier: MIT */
/* What waits for other domains. Each stanza is a copy of its own, with its time: the first one in a queue is
 * the one that has waited for longest, and a timer watches it. What comes to the front again, because a
 * stream broke and the other server did not get it, begins its time anew. Nothing is forgotten without a word
 * but presence that nobody asked about: broadcasts and unavailable presence. When no way is found all is
 * answered at once but errors: those wait for a second try, and so long the other server waits for us to
 * acknowledge what has brought them about. */
#include "server/s2s/remote_queue.h"

#include "base/planted.h"
#include "server/receipt.h"
#include "server/s2s/remote_reach.h"
#include "server/s2s/s2s_arrivals.h"
#include "xmpp/ns.h"

#include <stdlib.h>

/* Behind the payload of what is meant for many (remote_many.c). */
#define ADDRESSES "<addresses xmlns='" NS_ADDRESS "'>"

static const struct config_s2s *config_of(const struct pair *pair)
{
    return &pair->remote->shard->server->config->s2s;
}

/* ---- One of them
 * ---------------------------------------------------------------------------------------------- */

size_t waiting_size(const struct delivery *delivery)
{
    return sizeof(struct waiting) + sizeof(struct stanza) + delivery->stanza->attrs.len +
           stanza_payload(delivery->stanza).len + 2 * delivery->to.full.len;
}

/* Held until the other server acknowledges. What a server has sent does not wait for presence or an answer
 * that it brought about: with the same at the other end both would wait for each other for ever, since
 * stanzas are acknowledged in their order. A message is worth it: an error may be all that is left of one. */
static struct receipt *hold(struct shard *shard, const struct stanza *stanza)
{
    const struct receipt *receipt = shard->_receipt;
    bool waits = !receipt || !receipt->of_server || stanza->kind == STANZA_MESSAGE;
    return waits ? receipt_hold(shard) : NULL;
}

struct waiting *waiting_new(struct pair *pair, const struct delivery *delivery)
{
    struct waiting *waiting = xmalloc(sizeof *waiting + delivery->to.full.len);
    waiting->pair = pair;
    waiting->stanza = stanza_copy(delivery->stanza);
    waiting->to = delivery->to;
    memcpy(waiting->text, delivery->to.full.p, delivery->to.full.len);
    waiting->to.full.p = waiting->text;
    waiting->how = delivery->how;
    waiting->receipt = hold(pair->remote->shard, delivery->stanza);
    waiting->crowd = delivery->crowd ? crowd_ref(delivery->crowd) : NULL;
    waiting->since_us = loop_now_us(pair->remote->shard->loop);
    waiting->size = (uint32_t)waiting_size(delivery);
    waiting->is_last_try = false;
    return waiting;
}

void waiting_done(struct shard *shard, struct waiting *waiting)
{
    struct receipt *receipt = waiting->receipt;
    crowd_unref(waiting->crowd);
    shard_free_later(shard, waiting->stanza);
    shard_free_later(shard, waiting);
    receipt_release(shard, receipt);
}

/* Each for whom it was meant has not got it. */
static void bounce_many(struct shard *shard, const struct delivery *delivery, enum stanza_error error,
                        const char *why)
{
    struct stanza *stanza = ARENA_NEW(&shard->arena, struct stanza);
    str payload = stanza_payload(delivery->stanza);
    const char *addresses = memmem(payload.p, payload.len, ADDRESSES, sizeof ADDRESSES - 1);
    *stanza = *delivery->stanza;
    stanza->node.content = str_of(payload.p, (size_t)(addresses - payload.p));
    for (uint32_t i = 0; i < delivery->crowd->count; i++) {
        const struct delivery one = { .stanza = stanza,
                                      .to = jid_copy(&delivery->crowd->members[i].to, &shard->arena),
                                      .how = delivery->how };
        delivery_bounce(shard, &one, error, why);
    }
}

void delivery_bounce(struct shard *shard, const struct delivery *delivery, enum stanza_error error,
                     const char *why)
{
    const struct stanza *stanza = delivery->stanza;
    if (delivery->crowd) {
        bounce_many(shard, delivery, error, why);
        return;
    }
    if (delivery->how == DELIVER_BROADCAST ||
        (stanza->kind == STANZA_PRESENCE && stanza->type == TYPE_UNAVAILABLE))
        return;
    struct stanza *copy = ARENA_NEW(&shard->arena, struct stanza);
    *copy = *stanza;
    copy->to = delivery->to;
    route_error(shard, copy, error, why);
}

bool is_last_word(const struct stanza *stanza)
{
    return stanza->kind == STANZA_MESSAGE && stanza->type == TYPE_ERROR;
}

void waiting_bounce(struct shard *shard, struct waiting *waiting, enum stanza_error error, const char *why)
{
    const struct delivery delivery = {
        .stanza = waiting->stanza, .to = waiting->to, .how = waiting->how, .crowd = waiting->crowd
    };
    struct receipt *receipt = waiting->receipt, *before = receipt_enter(shard, receipt);
    bool is_for_server = receipt && receipt->of_server && is_last_word(waiting->stanza);
    if (is_for_server && shard->stopping && receipt_is_of(receipt, shard))
        arrivals_not_taken(receipt);
    else if (is_for_server)
        shard->counters.s2s_given_up++;
    if (!PLANTED(PLANTED_SILENT_BOUNCE))
        delivery_bounce(shard, &delivery, error, why);
    receipt_leave(shard, before);
    waiting_done(shard, waiting);
}

static bool may_try_again(const struct waiting *waiting)
{
    return is_last_word(waiting->stanza) && !waiting->is_last_try;
}

bool waiting_tries_again(struct waiting *waiting)
{
    bool may = may_try_again(waiting);
    waiting->is_last_try |= may;
    return may;
}

/* ---- A pair's queue
 * ---------------------------------------------------------------------------------------------- */

static void added(struct waiting *waiting)
{
    struct pair *pair = waiting->pair;
    pair->queued_bytes += waiting->size;
    if (!pair->queued++)
        timer_start(pair->remote->shard->loop, &pair->wait_timer, config_of(pair)->wait_ms);
}

void queue_append(struct waiting *waiting)
{
    list_append(&waiting->pair->queue, &waiting->link);
    added(waiting);
}

void queue_prepend(struct waiting *waiting)
{
    waiting->since_us = loop_now_us(waiting->pair->remote->shard->loop);
    list_prepend(&waiting->pair->queue, &waiting->link);
    added(waiting);
}

static void take(struct waiting *waiting)
{
    struct pair *pair = waiting->pair;
    list_remove(&waiting->link);
    pair->queued_bytes -= waiting->size;
    if (!--pair->queued)
        timer_stop(&pair->wait_timer);
}

struct waiting *queue_shift(struct pair *pair)
{
    struct waiting *waiting = LIST_ITEM(pair->queue.next, struct waiting, link);
    take(waiting);
    return waiting;
}

void queue_waited(struct timer *timer)
{
    struct pair *pair = CONTAINER_OF(timer, struct pair, wait_timer);
    struct shard *shard = pair->remote->shard;
    uint64_t wait_us = config_of(pair)->wait_ms * 1000, now_us = loop_now_us(shard->loop);
    bool again = false;
    shard_enter(shard);
    while (pair->queued) {
        uint64_t end_us = LIST_ITEM(pair->queue.next, struct waiting, link)->since_us + wait_us;
        if (end_us > now_us) {
            timer_start(shard->loop, timer, (end_us - now_us) / 1000 + 1);
            break;
        }
        struct waiting *first = queue_shift(pair);
        if (waiting_tries_again(first)) {
            first->since_us = now_us;
            queue_append(first);
            again = true;
        } else {
            waiting_bounce(shard, first, STANZA_ERROR_REMOTE_SERVER_TIMEOUT,
                           "the other server could not be reached in time");
        }
    }
    if (again)
        reach(pair);
    shard_leave(shard);
}

void queue_bounce_most(struct pair *pair, enum stanza_error error, const char *why)
{
    list_each_safe (at, &pair->queue) {
        struct waiting *waiting = LIST_ITEM(at, struct waiting, link);
        if (may_try_again(waiting))
            continue;
        take(waiting);
        waiting_bounce(pair->remote->shard, waiting, error, why);
    }
}

void queue_bounce_all(struct pair *pair, enum stanza_error error, const char *why)
{
    while (pair->queued)
        waiting_bounce(pair->remote->shard, queue_shift(pair), error, why);
}
