/* SPDX-License-Identifier: MIT */
/* The way to another domain: DNS, a connection to the first address that answers, and the stream over it;
 * when the stream fails before it was open, the next address. A pair whose domain has an open stream for
 * another host of ours already shows its key there first (XEP-0220 §2.6.1, multiplexing sender domains), and
 * makes a connection of its own only if it is refused.
 *
 * Everything here happens on the home shard of the domain. */
#include "server/s2s/remote_reach.h"

#include "base/log.h"
#include "server/s2s/remote_many.h"
#include "server/s2s/remote_queue.h"
#include "server/s2s/s2s.h"
#include "server/s2s/s2s_sm.h"

static const struct config_s2s *config_of(const struct pair *pair)
{
    return &pair->remote->shard->server->config->s2s;
}

/* Whether the pair needs a stream. */
static bool wants(const struct pair *pair)
{
    return pair->queued || s2s_sm_is_ours_to_resume(pair);
}

/* ---- Failure and success
 * --------------------------------------------------------------------------------------- */

static void fail(struct pair *pair, enum stanza_error error, const char *why)
{
    struct remote *remote = pair->remote;
    const struct config_s2s *config = config_of(pair);
    unsigned doublings = remote->failures < 20 ? remote->failures : 20;
    uint64_t rest_ms = config->retry_ms << doublings;
    if (rest_ms > config->retry_max_ms)
        rest_ms = config->retry_max_ms;
    remote->failures++;
    remote->dead_until_us = loop_now_us(remote->shard->loop) + rest_ms * 1000;
    remote->error = error;
    remote->why = why;
    log_info(s2s, "%s can't be reached from %s: %s; left alone for %llu ms", remote->domain, pair->ours, why,
             (unsigned long long)rest_ms);
    pair->no_passengers = pair->no_external = false;
    s2s_sm_give_up(remote, pair, error, why);
    s2s_in_offer(pair); /* we can't reach it, but it may have reached us */
    if (!pair->sending)
        queue_bounce_most(pair, error, why);
    if (!pair->own)
        remote_answer_all(remote, NULL, error);
}

/* What the peer's broken stream has not brought must go before what is newer. */
static void hold_back(struct pair *pair, struct s2s *s2s)
{
    list_remove(&pair->_asking);
    list_append(&s2s->asking, &pair->_asking);
    pair->asking = s2s;
    pair->held_back = true;
}

static void let_on(struct pair *pair)
{
    struct s2s *s2s = pair->asking;
    if (!pair->held_back)
        return;
    list_remove(&pair->_asking);
    pair->asking = NULL;
    pair->held_back = false;
    pair_may_send(pair, s2s);
}

void pair_may_send(struct pair *pair, struct s2s *s2s)
{
    if (pair->sending || s2s_is_over(s2s) || (s2s->outgoing && s2s_sm_begin(s2s)))
        return;
    pair->was_proven |= s2s == pair->own;
    if (s2s_sm_holds_back(pair)) {
        hold_back(pair, s2s);
        return;
    }
    pair->sending = s2s;
    list_append(&s2s->senders, &pair->_sending);
    pair->remote->failures = 0;
    pair->remote->dead_until_us = 0;
    log_info(s2s, "%s sends to %s over %s stream", pair->ours, pair->remote->domain,
             !s2s->outgoing     ? "the other server's"
             : s2s == pair->own ? "its"
                                : "another host's");
    if (s2s->outgoing)
        s2s_out_proven(s2s, str_from(pair->ours));
    if (s2s == pair->own)
        many_forget(pair->remote);
    pair_drained(pair);
}

void pair_refused(struct pair *pair, enum stanza_error error, const char *why)
{
    if (pair->own && pair->own->state == S2S_OPEN) {
        fail(pair, error, why);
        return;
    }
    pair->no_passengers = true;
    reach(pair);
}

void pair_lost(struct pair *pair)
{
    bool was_sending = pair->sending != NULL;
    list_remove(&pair->_sending);
    list_remove(&pair->_asking);
    pair->sending = pair->asking = NULL;
    pair->held_back = false;
    if (!pair->own && pair->queued && pair->state == PAIR_IDLE) {
        pair->no_passengers |= !was_sending;
        reach(pair);
    }
}

/* ---- Step by step
 * ---------------------------------------------------------------------------------------------- */

static void connect_from(struct pair *pair, size_t first)
{
    pair->state = PAIR_CONNECTING;
    pair->endpoint = first;
    dial_start(&pair->dial, pair->remote->shard->loop, pair->lookup.endpoints, first, pair->lookup.count,
               (unsigned)config_of(pair)->connect_ms);
}

static void looked_up(struct dns_lookup *lookup)
{
    struct pair *pair = CONTAINER_OF(lookup, struct pair, lookup);
    struct shard *shard = pair->remote->shard;
    shard_enter(shard);
    pair->state = PAIR_IDLE;
    if (lookup->err == OK)
        connect_from(pair, 0);
    else if (lookup->err == ERR_NOT_FOUND)
        fail(pair, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND, "DNS knows no server of this domain");
    else
        fail(pair, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "DNS does not answer");
    shard_leave(shard);
}

static void dialled(struct dial *dial)
{
    struct pair *pair = CONTAINER_OF(dial, struct pair, dial);
    struct shard *shard = pair->remote->shard;
    struct socket *socket = dial->socket;
    dial->socket = NULL;
    shard_enter(shard);
    pair->state = PAIR_IDLE;
    if (dial->err == OK) {
        pair->state = PAIR_NEGOTIATING;
        pair->endpoint = dial->index;
        s2s_open(pair, socket, pair->lookup.endpoints[dial->index].direct_tls);
    } else {
        fail(pair, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "the other server can't be connected to");
    }
    shard_leave(shard);
}

void reach_init(struct pair *pair)
{
    pair->lookup.done = looked_up;
    pair->dial.done = dialled;
}

void pair_own_ended(struct pair *pair, struct s2s *s2s, enum stanza_error error, const char *why,
                    bool was_open)
{
    size_t next = pair->try_again ? pair->endpoint : pair->endpoint + 1;
    bool was_proven = pair->was_proven, stopping = pair->remote->shard->stopping;
    pair->own = NULL;
    pair->state = PAIR_IDLE;
    pair->was_proven = false;
    if (stopping) {
        reach_stop(pair);
    } else if ((!was_open || pair->try_again) && next < pair->lookup.count) {
        connect_from(pair, next);
    } else if (!was_open) {
        fail(pair, error, why);
    } else {
        remote_answer_all(pair->remote, s2s, STANZA_ERROR_REMOTE_SERVER_TIMEOUT);
        if (wants(pair) && was_proven)
            reach(pair);
        else if (pair->queued && !pair->sending)
            fail(pair, error, why);
    }
    pair->try_again = false;
}

/* An open stream to the domain that was opened for another pair. */
static struct s2s *passenger_seat(const struct pair *pair)
{
    list_each (at, &pair->remote->pairs) {
        struct s2s *s2s = LIST_ITEM(at, struct pair, link)->own;
        if (s2s && s2s->state == S2S_OPEN && (s2s->features.dialback || s2s->header_dialback))
            return s2s;
    }
    return NULL;
}

/* Whether anything is to be said that is not being said yet. */
static bool has_questions(const struct remote *remote)
{
    list_each (at, &remote->verifies)
        if (!LIST_ITEM(at, struct verify, link)->over)
            return true;
    return false;
}

void pair_open(struct pair *pair)
{
    remote_ask_all(pair->remote, pair->own);
    if (wants(pair) && !pair->sending && !pair->asking)
        s2s_ask(pair->own, pair);
}

void reach(struct pair *pair)
{
    struct remote *remote = pair->remote;
    if (remote->shard->stopping) {
        reach_stop(pair);
        return;
    }
    let_on(pair);
    if (!pair->sending)
        s2s_in_offer(pair);
    bool may_dialback = s2s_policy_for(remote->shard->server->config, str_from(remote->domain)).dialback;
    struct s2s *seat = passenger_seat(pair);
    if (seat && has_questions(remote))
        remote_ask_all(remote, seat);
    if ((pair->sending || pair->asking || !wants(pair) || s2s_sm_holds_back(pair)) && !has_questions(remote))
        return;
    if (pair->own || pair->state != PAIR_IDLE) {
        if (pair->own && pair->own->state == S2S_OPEN)
            pair_open(pair);
        return;
    }
    if (seat && may_dialback && pair->queued && !pair->no_passengers && !s2s_sm_is_ours_to_resume(pair)) {
        s2s_ask(seat, pair);
        return;
    }
    pair->state = PAIR_RESOLVING;
    dns_find_server(remote->shard->dns, str_from(remote->ascii), &pair->lookup);
}

void reach_stop(struct pair *pair)
{
    dns_cancel(&pair->lookup);
    dial_cancel(&pair->dial);
    if (!pair->own)
        pair->state = PAIR_IDLE;
    queue_bounce_all(pair, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "this server is stopping");
}
