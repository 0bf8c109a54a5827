/* SPDX-License-Identifier: MIT */
/* Receipts from peers that have no stream management (ejabberd, and most others between servers). TCP does
 * not tell what of the bytes that were written has come when a connection breaks, so what was sent lately is
 * kept, and a ping (XEP-0199) follows it over the same stream: since a stream is in order, its answer, result
 * or error, proves that the peer has read all that stands before. When the stream ends, other than by us in
 * order, the senders of what is not proved get remote-server-timeout. Such a stanza may have come all the
 * same; sent again, it could come twice, and its sender alone can judge that.
 *
 * The answer comes by whatever way the peer has to us (remote_answers.c). A peer that has answered once and
 * does not any more is taken for gone. Of one that has never answered nothing is known; what is sent over the
 * stream counts as delivered then, as it did without all this.
 *
 * Presence that nobody asked about is not kept: nobody would be told. */
#include "server/s2s/s2s_tail.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/s2s/remote_queue.h"
#include "server/s2s/s2s.h"

#include <stdlib.h>

enum { ASK_MS = 1000, ASK_COUNT = 100 };

struct s2s_tail {
    struct s2s *s2s;
    struct list flight; /* sent, and not proved */
    size_t bytes;
    uint64_t out, proved, asked; /* numbers of stanzas; asked: 0 while no question is open */
    char id[25];                 /* of the question */
    bool is_mute;                /* no answers here */
    struct timer timer;          /* to ask, or for the answer */
};

static struct shard *shard_of(const struct s2s_tail *tail)
{
    return tail->s2s->link.shard;
}

static const struct config_s2s *config_of(const struct s2s_tail *tail)
{
    return &s2s_config(tail->s2s)->s2s;
}

bool s2s_tail_has_room(const struct s2s_tail *tail)
{
    return !tail || (tail->out - tail->proved < config_of(tail)->queue_stanzas &&
                     tail->bytes < config_of(tail)->queue_bytes);
}

bool s2s_tail_wants(const struct delivery *delivery)
{
    const struct stanza *stanza = delivery->stanza;
    return delivery->how != DELIVER_BROADCAST && stanza_may_bounce(stanza) &&
           !(stanza->kind == STANZA_PRESENCE && stanza->type == TYPE_UNAVAILABLE);
}

static struct waiting *take_first(struct s2s_tail *tail)
{
    struct waiting *waiting = LIST_ITEM(list_shift(&tail->flight), struct waiting, link);
    tail->bytes -= waiting->size;
    tail->proved++;
    return waiting;
}

static void prove(struct s2s_tail *tail, uint64_t to)
{
    while (tail->proved < to)
        waiting_done(shard_of(tail), take_first(tail));
}

/* ---- Asking ---- */

/* In the name of the domain that has sent the last one: the peer takes that here. */
static void ask(struct s2s_tail *tail)
{
    const struct pair *pair = LIST_ITEM(tail->flight.prev, const struct waiting, link)->pair;
    struct shard *shard = shard_of(tail);
    rand_token(tail->id, sizeof tail->id);
    struct stanza ping = stanza_make(STANZA_IQ, TYPE_GET, str_from(tail->id),
                                     STR("<ping xmlns='urn:xmpp:ping'/>"), &shard->arena);
    ping.from = jid_make(str_none, str_from(pair->ours), str_none, &shard->arena);
    ping.to = jid_make(str_none, str_from(pair->remote->domain), str_none, &shard->arena);
    tail->asked = tail->out;
    s2s_write(tail->s2s, &ping, &ping.to);
    timer_start(shard->loop, &tail->timer, config_of(tail)->ack_ms);
}

static void no_answer(struct s2s_tail *tail)
{
    const struct pair *pair = LIST_ITEM(tail->flight.next, const struct waiting, link)->pair;
    if (pair->remote->proves) {
        s2s_fail(tail->s2s, STREAM_ERROR_CONNECTION_TIMEOUT, "no answer to a ping came");
        return;
    }
    tail->is_mute = true;
    tail->asked = 0;
    prove(tail, tail->out);
    s2s_drain(tail->s2s);
}

static void timer_fired(struct timer *timer)
{
    struct s2s_tail *tail = CONTAINER_OF(timer, struct s2s_tail, timer);
    struct shard *shard = shard_of(tail);
    shard_enter(shard);
    if (tail->asked)
        no_answer(tail);
    else
        ask(tail);
    shard_leave(shard);
}

static void ask_soon(struct s2s_tail *tail)
{
    if (tail->asked || list_empty(&tail->flight))
        return;
    if (tail->out - tail->proved >= ASK_COUNT)
        ask(tail);
    else if (!timer_running(&tail->timer))
        timer_start(shard_of(tail)->loop, &tail->timer, ASK_MS);
}

void s2s_tail_keep(struct s2s *s2s, struct waiting *waiting)
{
    struct s2s_tail *tail = s2s->tail;
    if (!tail) {
        tail = s2s->tail = NEW(struct s2s_tail);
        tail->s2s = s2s;
        list_init(&tail->flight);
        tail->timer.fired = timer_fired;
    }
    if (tail->is_mute) {
        waiting_done(shard_of(tail), waiting);
        return;
    }
    list_append(&tail->flight, &waiting->link);
    tail->bytes += waiting->size;
    tail->out++;
    ask_soon(tail);
}

/* ---- Answers ---- */

static bool is_answer_to(const struct s2s_tail *tail, const struct stanza *iq)
{
    return tail && tail->asked && str_eq(iq->id, str_from(tail->id));
}

bool s2s_tail_answered(struct remote *remote, const struct stanza *iq)
{
    list_each (at, &remote->pairs) {
        struct s2s *s2s = LIST_ITEM(at, struct pair, link)->sending;
        if (!s2s || !is_answer_to(s2s->tail, iq))
            continue;
        remote->proves = true;
        log_debug(s2s, "%s has proved that it has %llu stanzas", remote->domain,
                  (unsigned long long)s2s->tail->asked);
        timer_stop(&s2s->tail->timer);
        prove(s2s->tail, s2s->tail->asked);
        s2s->tail->asked = 0;
        ask_soon(s2s->tail);
        s2s_drain(s2s);
        return true;
    }
    return false;
}

/* ---- The end ---- */

void s2s_tail_leave(struct s2s *s2s, enum s2s_end how)
{
    struct s2s_tail *tail = s2s->tail;
    if (!tail)
        return;
    timer_stop(&tail->timer);
    if (how == S2S_ENDED_BY_US)
        prove(tail, tail->out);
    while (!list_empty(&tail->flight))
        waiting_bounce(shard_of(tail), take_first(tail), STANZA_ERROR_REMOTE_SERVER_TIMEOUT,
                       "the connection broke, and nobody knows whether this has come");
    s2s->tail = NULL;
    free(tail);
}
