/* SPDX-License-Identifier: MIT */
/* Remote domains: what waits for them, and what becomes of it.
 *
 * A stanza goes straight out if its pair has a stream that takes more; else it waits, within limits of count,
 * bytes and time, while a way is looked for (remote_reach.c). When there is none, all that waits is answered
 * with remote-server-not-found or remote-server-timeout (RFC 6120 §8.3.3.16, §8.3.3.17), and the domain is
 * left alone for a while that doubles with each failure. Nothing that waited is forgotten without a word, but
 * for presence that nobody asked about: broadcasts and unavailable presence. */
#include "server/s2s/remote.h"

#include "base/log.h"
#include "server/s2s/remote_many.h"
#include "server/s2s/remote_queue.h"
#include "server/s2s/remote_reach.h"
#include "server/s2s/s2s.h"
#include "server/s2s/s2s_sm.h"
#include "server/s2s/s2s_tail.h"

#include <stdlib.h>

enum { IDLE_MS = 60 * 1000, VERIFIES_MAX = 100 };

static const struct config_s2s *config_of(const struct remote *remote)
{
    return &remote->shard->server->config->s2s;
}

/* ---- Waiting, and leaving
 * ----------------------------------------------------------------------------------------- */

static bool wait(struct pair *pair, const struct delivery *delivery)
{
    const struct config_s2s *config = config_of(pair->remote);
    if (pair->queued >= config->queue_stanzas ||
        pair->queued_bytes + waiting_size(delivery) > config->queue_bytes)
        return false;
    queue_append(waiting_new(pair, delivery));
    return true;
}

/* It was written, and is kept until the other server is known to have it. */
static void keep(struct s2s *s2s, struct waiting *waiting)
{
    if (s2s->sm)
        s2s_sm_keep(s2s->sm, waiting);
    else
        s2s_tail_keep(s2s, waiting);
}

/* False: its stream takes no more now. */
static bool send_now(struct pair *pair, const struct delivery *delivery)
{
    struct s2s *s2s = pair->sending;
    enum s2s_sent sent = s2s_send(s2s, delivery->stanza, &delivery->to);
    if (sent == S2S_SENT && (s2s->sm || s2s_tail_wants(delivery)))
        keep(s2s, waiting_new(pair, delivery));
    return sent != S2S_FULL;
}

static bool is_to_keep(const struct s2s *s2s, const struct waiting *waiting)
{
    const struct delivery delivery = { .stanza = waiting->stanza, .how = waiting->how };
    return s2s->sm || s2s_tail_wants(&delivery);
}

void pair_drained(struct pair *pair)
{
    while (pair->queued && pair->sending) {
        const struct waiting *first = LIST_ITEM(pair->queue.next, struct waiting, link);
        enum s2s_sent sent = s2s_send(pair->sending, first->stanza, &first->to);
        if (sent == S2S_FULL)
            return;
        struct waiting *waiting = queue_shift(pair);
        if (sent == S2S_SENT && is_to_keep(pair->sending, waiting))
            keep(pair->sending, waiting);
        else
            waiting_done(pair->remote->shard, waiting);
    }
}

/* ---- Life
 * ------------------------------------------------------------------------------------------------------- */

str remote_key(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct remote, _node)->domain);
}

static void pair_free(struct pair *pair)
{
    many_pair_fini(pair);
    while (pair->queued)
        waiting_done(pair->remote->shard, queue_shift(pair));
    timer_stop(&pair->wait_timer);
    dns_cancel(&pair->lookup);
    dns_forget(&pair->lookup);
    dial_cancel(&pair->dial);
    if (pair->sending)
        list_remove(&pair->_sending);
    if (pair->asking)
        list_remove(&pair->_asking);
    if (pair->own)
        pair->own->pair = NULL;
    list_remove(&pair->link);
    free(pair->ours);
    free(pair);
}

static void remote_free(struct remote *remote)
{
    struct list *link;
    s2s_sm_drop_all(remote);
    many_remote_fini(remote);
    while ((link = remote->pairs.next) != &remote->pairs)
        pair_free(LIST_ITEM(link, struct pair, link));
    while ((link = list_shift(&remote->verifies)))
        verify_free(LIST_ITEM(link, struct verify, link));
    timer_stop(&remote->idle);
    map_remove(&remote->shard->remotes, &remote->_node);
    free(remote->domain);
    free(remote->ascii);
    free(remote);
}

static bool is_idle(const struct remote *remote)
{
    list_each (at, &remote->pairs) {
        const struct pair *pair = LIST_ITEM(at, const struct pair, link);
        if (pair->queued || pair->sending || pair->asking || pair->own || pair->state != PAIR_IDLE)
            return false;
    }
    return list_empty(&remote->verifies) && list_empty(&remote->past) &&
           remote->dead_until_us <= loop_now_us(remote->shard->loop);
}

static void idle_fired(struct timer *timer)
{
    struct remote *remote = CONTAINER_OF(timer, struct remote, idle);
    struct shard *shard = remote->shard;
    shard_enter(shard);
    if (is_idle(remote))
        remote_free(remote);
    else
        timer_start(shard->loop, timer, IDLE_MS);
    shard_leave(shard);
}

struct remote *remote_named(struct shard *shard, str domain)
{
    struct map_node *node = map_get(&shard->remotes, domain);
    return MAP_ITEM(node, struct remote, _node);
}

static struct remote *remote_new(struct shard *shard, str domain)
{
    str ascii;
    if (shard->remotes.count >= shard->server->config->s2s.max_domains)
        return NULL;
    if (jid_domain_to_ascii(domain, &shard->arena, &ascii) != OK)
        return NULL;
    struct remote *remote = NEW(struct remote);
    remote->shard = shard;
    remote->domain = str_dup(domain);
    remote->ascii = str_dup(ascii);
    list_init(&remote->pairs);
    list_init(&remote->verifies);
    list_init(&remote->past);
    remote->idle.fired = idle_fired;
    timer_start(shard->loop, &remote->idle, IDLE_MS);
    map_put(&shard->remotes, &remote->_node);
    return remote;
}

struct pair *remote_pair(struct shard *shard, str ours, str domain)
{
    struct remote *remote = remote_named(shard, domain);
    if (!remote)
        remote = remote_new(shard, domain);
    if (!remote)
        return NULL;
    list_each (at, &remote->pairs)
        if (str_eq(str_from(LIST_ITEM(at, struct pair, link)->ours), ours))
            return LIST_ITEM(at, struct pair, link);
    struct pair *pair = NEW(struct pair);
    pair->remote = remote;
    pair->ours = str_dup(ours);
    pair->wait_timer.fired = queue_waited;
    list_init(&pair->queue);
    list_init(&pair->_sending);
    list_init(&pair->_asking);
    list_append(&remote->pairs, &pair->link);
    reach_init(pair);
    return pair;
}

/* Calls `act` for each remote of the shard; it may free it. */
static void for_each(struct shard *shard, void (*act)(struct remote *remote))
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    size_t count = 0;
    struct remote **all = xcalloc(shard->remotes.count + 1, sizeof(struct remote *));
    while ((node = map_next(&shard->remotes, &walk)))
        all[count++] = CONTAINER_OF(node, struct remote, _node);
    for (size_t i = 0; i < count; i++)
        act(all[i]);
    free(all);
}

void remotes_drop_all(struct shard *shard)
{
    for_each(shard, remote_free);
}

static void stop(struct remote *remote)
{
    list_each (at, &remote->pairs)
        reach_stop(LIST_ITEM(at, struct pair, link));
    s2s_sm_give_up(remote, NULL, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "this server is stopping");
    remote_answer_all(remote, NULL, STANZA_ERROR_REMOTE_SERVER_TIMEOUT);
}

void remotes_stop(struct shard *shard)
{
    for_each(shard, stop);
}

/* ---- For people
 * ------------------------------------------------------------------------------------------------ */

static void explain_pair(const struct pair *pair, struct buf *out)
{
    static const char *const states[] = { "no connection is being made", "asking DNS", "connecting",
                                          "negotiating, or open" };
    buf_addf(out, "from %s: %s; %s; %u stanzas wait\n", pair->ours,
             pair->sending     ? "may send"
             : pair->held_back ? "waits for what a broken stream had taken"
             : pair->asking    ? "our dialback key is being checked"
                               : "may not send yet",
             states[pair->state], pair->queued);
    for (size_t i = 0; i < pair->lookup.count; i++) {
        const struct dns_endpoint *endpoint = &pair->lookup.endpoints[i];
        const struct dns_target *target = dns_target_of(&pair->lookup, i);
        buf_addf(out, "  DNS: %s port %u%s%s%s\n", endpoint->address, endpoint->port,
                 endpoint->direct_tls ? ", direct TLS" : "", target && target->expected_count ? ", DANE" : "",
                 i == pair->endpoint ? " (in use)" : "");
    }
    if (pair->own)
        buf_addf(out, "  features: %s%s%s%s%s\n", pair->own->features.starttls ? "starttls " : "",
                 pair->own->features.external ? "external " : "",
                 pair->own->features.dialback ? "dialback " : "", pair->own->features.bidi ? "bidi " : "",
                 pair->own->features.sm ? "sm" : "");
    if (pair->no_external)
        buf_lit(out, "  our certificate was not taken\n");
}

void remote_explain(struct shard *shard, str domain, struct buf *out)
{
    struct s2s_policy policy = s2s_policy_for(shard->server->config, domain);
    const struct remote *remote = remote_named(shard, domain);
    buf_addf(out, "policy: %s; TLS %s; certificate %s; dialback %s\n",
             policy.refused ? "nothing is exchanged" : "allowed",
             policy.require_tls ? "required" : "if it can be had",
             policy.require_certificate ? "required" : "not required", policy.dialback ? "taken" : "refused");
    if (!remote) {
        buf_lit(out, "nobody here has had to do with this domain lately\n");
        return;
    }
    if (remote->dead_until_us > loop_now_us(shard->loop))
        buf_addf(out, "left alone for %llu s after %u failures: %s\n",
                 (unsigned long long)(remote->dead_until_us - loop_now_us(shard->loop)) / 1000000 + 1,
                 remote->failures, remote->why);
    buf_addf(out, "keys being checked with it: %u\n", remote->verify_count);
    list_each (at, &remote->pairs)
        explain_pair(LIST_ITEM(at, const struct pair, link), out);
}

/* ---- Deliveries
 * ------------------------------------------------------------------------------------------------ */

void pair_deliver(struct pair *pair, const struct delivery *delivery)
{
    struct remote *remote = pair->remote;
    struct shard *shard = remote->shard;
    if (pair->sending && !pair->queued && send_now(pair, delivery))
        return;
    bool is_left_alone = !pair->sending && remote->dead_until_us > loop_now_us(shard->loop);
    if (is_left_alone && !is_last_word(delivery->stanza))
        delivery_bounce(shard, delivery, remote->error, remote->why);
    else if (!wait(pair, delivery))
        delivery_bounce(shard, delivery, STANZA_ERROR_RESOURCE_CONSTRAINT,
                        "too much waits for the other server");
    else if (!is_left_alone)
        reach(pair);
}

void remote_deliver(struct shard *shard, const struct delivery *delivery)
{
    str domain = jid_domain(&delivery->to);
    str ours = jid_domain(&delivery->stanza->from);
    if (!s2s_is_ours(shard->server, ours)) {
        log_error(s2s, "a stanza to %.*s is not ours to send", STR_ARGS(domain));
        return;
    }
    if (s2s_policy_for(shard->server->config, domain).refused) {
        delivery_bounce(shard, delivery, STANZA_ERROR_NOT_ALLOWED, "nothing is exchanged with this domain");
        return;
    }
    struct pair *pair = remote_pair(shard, ours, domain);
    if (!pair) {
        delivery_bounce(shard, delivery, STANZA_ERROR_RESOURCE_CONSTRAINT,
                        "too many other domains are in use");
        return;
    }
    if (many_gather(pair, delivery))
        return;
    many_flush(pair);
    pair_deliver(pair, delivery);
}

/* ---- Questions about keys
 * -------------------------------------------------------------------------------------- */

void verify_free(struct verify *verify)
{
    free(verify->ours);
    free(verify->theirs);
    free(verify->id);
    free(verify->key);
    free(verify);
}

static void bring_back(struct shard *shard, struct shard_call *call)
{
    s2s_verified(shard, CONTAINER_OF(call, struct verify, call));
}

static void answer(struct verify *verify, enum dialback_type type, enum stanza_error error)
{
    verify->type = type;
    verify->error = error;
    verify->call.run = bring_back;
    shard_post(verify->asker, &verify->call);
}

static void answer_listed(struct remote *remote, struct verify *verify, enum dialback_type type,
                          enum stanza_error error)
{
    list_remove(&verify->link);
    remote->verify_count--;
    answer(verify, type, error);
}

/* Whoever connects can name any domain. What strangers name takes half of the places at most: there is always
 * room for those whom our users write to. */
static bool may_ask(struct shard *shard, str theirs)
{
    return !shard->stopping && (remote_named(shard, theirs) ||
                                shard->remotes.count < shard->server->config->s2s.max_domains / 2 + 1);
}

static void ask_here(struct shard *shard, struct shard_call *call)
{
    struct verify *verify = CONTAINER_OF(call, struct verify, call);
    str theirs = str_from(verify->theirs);
    struct pair *pair = may_ask(shard, theirs) ? remote_pair(shard, str_from(verify->ours), theirs) : NULL;
    if (!pair || pair->remote->verify_count >= VERIFIES_MAX) {
        answer(verify, DIALBACK_ERROR, STANZA_ERROR_RESOURCE_CONSTRAINT);
        return;
    }
    if (pair->remote->dead_until_us > loop_now_us(shard->loop)) {
        answer(verify, DIALBACK_ERROR, pair->remote->error);
        return;
    }
    list_append(&pair->remote->verifies, &verify->link);
    pair->remote->verify_count++;
    reach(pair);
}

void remote_verify(struct verify *verify)
{
    verify->call.run = ask_here;
    shard_post(server_home(verify->asker->server, str_from(verify->theirs)), &verify->call);
}

void remote_ask_all(struct remote *remote, struct s2s *s2s)
{
    list_each (at, &remote->verifies) {
        struct verify *verify = LIST_ITEM(at, struct verify, link);
        const struct dialback question = { .kind = DIALBACK_VERIFY,
                                           .from = str_from(verify->ours),
                                           .to = str_from(verify->theirs),
                                           .id = str_from(verify->id),
                                           .key = str_from(verify->key) };
        if (verify->over)
            continue;
        verify->over = s2s;
        s2s_write_dialback(s2s, &question);
    }
}

void remote_answer_all(struct remote *remote, const struct s2s *over, enum stanza_error error)
{
    list_each_safe (at, &remote->verifies) {
        struct verify *verify = LIST_ITEM(at, struct verify, link);
        if (!over || verify->over == over)
            answer_listed(remote, verify, DIALBACK_ERROR, error);
    }
}

void remote_verified(struct remote *remote, const struct dialback *said)
{
    list_each_safe (at, &remote->verifies) {
        struct verify *verify = LIST_ITEM(at, struct verify, link);
        if (!verify->over || !str_eq(str_from(verify->id), said->id) ||
            !str_eq(str_from(verify->theirs), said->from) || !str_eq(str_from(verify->ours), said->to))
            continue;
        /* an error of this step is told as remote-server-not-found (XEP-0220 §2.4) */
        answer_listed(remote, verify, said->type, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND);
    }
}
