/* SPDX-License-Identifier: MIT */
/* Stream management between servers (XEP-0198), both ends: the two differ only in who begins and resumes.
 *
 * Numbers are of 64 bits here and of 32 on the wire. `out` counts what was written, and acked + 1 .. out are
 * kept in `flight`; what comes in is counted by s2s_arrivals.h, and acknowledged when it is done with
 * (XEP-0198 §4).
 *
 * A stream that breaks leaves its struct behind in remote->past, for `resume-time`. We resume one that we had
 * opened as soon as there is a new connection, and before anything else is sent, so that order holds. What
 * the peer says then (h) settles everything: it has the first ones, and the others go to the front of their
 * pairs' queues as if they had never been sent. If it knows nothing of that stream (it was restarted), the
 * senders of what was not acknowledged get an error, since a message may come twice to nobody. One that the
 * peer had opened is the peer's to resume; its stanzas, which there are only if the stream served both
 * directions, wait for it a little while.
 *
 * The sender of an error can't be told of another: an error that may not have come is sent once more. What
 * has brought about an error is done with when the peer has that, but does not wait for it for long.
 *
 * A peer that ends its stream in order acknowledges before; what it has not, it has not taken. What we have
 * written before we end a stream in order counts as delivered: TCP brings it, or the peer is gone.
 *
 * What not: redirection (`location`), and streams that are resumed elsewhere than at the home of the peer's
 * domain; incoming streams move there before they begin. */
#include "server/s2s/s2s_sm.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/s2s/remote_queue.h"
#include "server/s2s/remote_reach.h"
#include "server/s2s/s2s.h"
#include "server/s2s/s2s_arrivals.h"
#include "server/sm/sm.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { ASK_MS = 1000, ASK_COUNT = 100, LATE_MS = 5000, HOLD_MS = 10 * 1000, PAST_MAX = 4, ID_MAX = 4000 };

struct s2s_sm {
    struct list link; /* remote->past, when it has no stream */
    struct shard *shard;
    struct s2s *s2s;       /* NULL: broken; when `is_resuming`, the new one */
    struct remote *remote; /* in whose past it is */
    struct pair *pair;     /* past: that is to resume it; NULL: the peer is */
    char *id;              /* for a resumption; NULL: none */
    bool is_on;            /* the peer counts too */
    bool is_resuming;
    struct arrivals *arrivals;
    uint64_t owed;              /* an answer is due when so many of these are safe; 0: none */
    uint64_t out, acked, asked; /* asked: of so many, and not answered; 0: no question is open */
    uint64_t answered;          /* up to there the peer has answered, though not acknowledged all */
    struct list flight;
    size_t flight_bytes;
    struct timer timer; /* to ask, for the answer, or for the end of the past */
    struct timer late;  /* what is owed can't wait longer */
};

static const struct config_s2s *config_of(const struct s2s_sm *sm)
{
    return &sm->shard->server->config->s2s;
}

/* ---- Life
 * ---------------------------------------------------------------------------------------------------- */

static void timer_fired(struct timer *timer);
static void late_fired(struct timer *timer);
static void arrivals_moved(void *owner);

static struct s2s_sm *sm_make(struct s2s *s2s)
{
    struct s2s_sm *sm = NEW(struct s2s_sm);
    sm->shard = s2s->link.shard;
    sm->s2s = s2s;
    s2s->sm = sm;
    sm->arrivals = arrivals_new(sm->shard, arrivals_moved, sm);
    list_init(&sm->flight);
    sm->timer.fired = timer_fired;
    sm->late.fired = late_fired;
    return sm;
}

static void forget(struct s2s_sm *sm)
{
    struct list *link;
    if (sm->remote)
        list_remove(&sm->link);
    if (sm->s2s && sm->s2s->sm == sm)
        sm->s2s->sm = NULL;
    sm->remote = NULL;
    sm->s2s = NULL;
    timer_stop(&sm->timer);
    timer_stop(&sm->late);
    while ((link = list_shift(&sm->flight)))
        waiting_done(sm->shard, LIST_ITEM(link, struct waiting, link));
    arrivals_release(sm->arrivals);
    free(sm->id);
    free(sm);
}

/* ---- What goes out
 * ---------------------------------------------------------------------------------------------- */

static struct waiting *take_first(struct s2s_sm *sm)
{
    struct waiting *waiting = LIST_ITEM(list_shift(&sm->flight), struct waiting, link);
    sm->flight_bytes -= waiting->size;
    return waiting;
}

bool s2s_sm_has_room(const struct s2s_sm *sm)
{
    return sm->out - sm->acked < config_of(sm)->queue_stanzas &&
           sm->flight_bytes < config_of(sm)->queue_bytes;
}

static void ask(struct s2s_sm *sm)
{
    sm->asked = sm->out + 1;
    conn_write(&sm->s2s->conn, STR("<r xmlns='" NS_SM "'/>"));
    timer_start(sm->shard->loop, &sm->timer, config_of(sm)->ack_ms);
}

bool s2s_sm_ask(struct s2s *s2s)
{
    if (!s2s->sm || !s2s->sm->is_on)
        return false;
    if (!s2s->sm->asked)
        ask(s2s->sm);
    return true;
}

bool s2s_sm_all_acked(struct shard *shard)
{
    bool all = true;
    list_each (at, &shard->s2s_links) {
        struct s2s *s2s = CONTAINER_OF(LIST_ITEM(at, struct link, _in_shard), struct s2s, link);
        if (!s2s->sm || list_empty(&s2s->sm->flight))
            continue;
        s2s_sm_ask(s2s);
        all = false;
    }
    return all;
}

void s2s_sm_keep(struct s2s_sm *sm, struct waiting *waiting)
{
    list_append(&sm->flight, &waiting->link);
    sm->flight_bytes += waiting->size;
    sm->out++;
    if (sm->asked || !sm->is_on)
        return;
    if (sm->out - sm->acked >= ASK_COUNT)
        ask(sm);
    else if (!timer_running(&sm->timer))
        timer_start(sm->shard->loop, &sm->timer, ASK_MS);
}

/* The number that `h` means: the next one from `acked` on with these low bits. */
static uint64_t number_of(const struct s2s_sm *sm, uint32_t h)
{
    return sm->acked + (uint32_t)(h - (uint32_t)sm->acked);
}

/* The peer has all up to this number. */
static void acked(struct s2s_sm *sm, uint64_t to)
{
    for (; sm->acked < to; sm->acked++)
        waiting_done(sm->shard, take_first(sm));
}

static void too_many(struct s2s *s2s)
{
    s2s_fail(s2s, STREAM_ERROR_UNDEFINED_CONDITION, "more was acknowledged than was sent"); /* §4 */
}

static void ack_came(struct s2s_sm *sm, uint32_t h)
{
    struct s2s *s2s = sm->s2s;
    uint64_t to = number_of(sm, h);
    if (to > sm->out) {
        too_many(s2s);
        return;
    }
    acked(sm, to);
    if (sm->asked)
        sm->answered = sm->asked - 1;
    sm->asked = 0;
    timer_stop(&sm->timer);
    if (sm->out > sm->acked)
        timer_start(sm->shard->loop, &sm->timer, ASK_MS);
    list_each_safe (at, &s2s->senders)
        pair_drained(LIST_ITEM(at, struct pair, _sending));
}

/* What is not acknowledged did not come to the peer: it waits again, in its order. */
static void put_back(struct s2s_sm *sm)
{
    while (!list_empty(&sm->flight)) {
        struct waiting *last = LIST_ITEM(sm->flight.prev, struct waiting, link);
        list_remove(&last->link);
        queue_prepend(last);
        sm->shard->counters.s2s_resent++;
    }
    sm->flight_bytes = 0;
    sm->out = sm->answered = sm->acked;
}

/* Nobody can be told that an error has not come; but it may come twice, so it is sent once more. */
static void put_back_errors(struct s2s_sm *sm)
{
    struct list *before;
    if (sm->shard->stopping)
        return;
    for (struct list *at = sm->flight.prev; at != &sm->flight; at = before) {
        struct waiting *waiting = LIST_ITEM(at, struct waiting, link);
        before = at->prev;
        if (!waiting_tries_again(waiting))
            continue;
        list_remove(at);
        sm->flight_bytes -= waiting->size;
        queue_prepend(waiting);
        sm->shard->counters.s2s_resent++;
    }
}

static void bounce_all(struct s2s_sm *sm, enum stanza_error error, const char *why)
{
    put_back_errors(sm);
    while (!list_empty(&sm->flight))
        waiting_bounce(sm->shard, take_first(sm), error, why);
    sm->acked = sm->out;
}

/* ---- What comes in
 * ---------------------------------------------------------------------------------------------- */

static void write_ack(struct s2s_sm *sm)
{
    buf_addf(conn_out(&sm->s2s->conn), "<a xmlns='" NS_SM "' h='%u'/>", (uint32_t)arrivals_ack(sm->arrivals));
    conn_wrote(&sm->s2s->conn);
    sm->owed = 0;
    timer_stop(&sm->late);
}

static void write_resumed(struct s2s_sm *sm)
{
    buf_addf(conn_out(&sm->s2s->conn), "<resumed xmlns='" NS_SM "' previd='%s' h='%u'/>", sm->id,
             (uint32_t)sm->arrivals->safe);
    conn_wrote(&sm->s2s->conn);
}

static void arrivals_moved(void *owner)
{
    struct s2s_sm *sm = owner;
    if (sm->s2s && !sm->is_resuming && sm->owed && sm->arrivals->safe >= sm->owed)
        write_ack(sm);
}

bool s2s_sm_receive(struct s2s *s2s, const struct stanza *stanza, struct receipt **ret_receipt)
{
    struct s2s_sm *sm = s2s->sm;
    *ret_receipt = NULL;
    if (!sm || !sm->is_on)
        return true;
    *ret_receipt = arrivals_add(sm->arrivals, stanza);
    return *ret_receipt;
}

static bool is_all_safe(const struct s2s_sm *sm)
{
    return sm->arrivals->safe == sm->arrivals->in;
}

bool s2s_sm_is_done(const struct s2s *s2s)
{
    return !s2s->sm || is_all_safe(s2s->sm);
}

/* §4: at once if all is done with; else when it is, or with what is after a while. */
static void asked(struct s2s_sm *sm)
{
    if (is_all_safe(sm)) {
        write_ack(sm);
        return;
    }
    sm->owed = sm->arrivals->in;
    if (!timer_running(&sm->late))
        timer_start(sm->shard->loop, &sm->late, LATE_MS);
}

/* ---- The end of a stream
 * ---------------------------------------------------------------------------------------- */

void s2s_sm_farewell(struct s2s *s2s)
{
    if (s2s->sm && s2s->sm->is_on)
        write_ack(s2s->sm);
}

/* Those whose stanzas were put back, or held back, look for a way. */
static void reach_all(struct remote *remote)
{
    list_each_safe (at, &remote->pairs) {
        struct pair *pair = LIST_ITEM(at, struct pair, link);
        if (pair->queued)
            reach(pair);
    }
}

static bool is_at_home(const struct s2s *s2s)
{
    struct shard *shard = s2s->link.shard;
    return server_home(shard->server, str_from(s2s->domain)) == shard;
}

static struct remote *remote_of(struct s2s *s2s)
{
    struct pair *pair = s2s->pair;
    if (!pair && s2s->domain && s2s->ours && is_at_home(s2s))
        pair = remote_pair(s2s->link.shard, str_from(s2s->ours), str_from(s2s->domain));
    return pair ? pair->remote : NULL;
}

/* Messages that came about by what the peer has sent, errors above all, and are on their way to it. */
static void let_go(struct s2s_sm *sm)
{
    uint64_t number = sm->acked;
    list_each (at, &sm->flight) {
        struct waiting *waiting = LIST_ITEM(at, struct waiting, link);
        struct receipt *receipt = waiting->receipt;
        if (++number > sm->answered)
            return;
        if (!receipt || !receipt->of_server)
            continue;
        waiting->receipt = NULL;
        sm->shard->counters.s2s_given_up++;
        receipt_release(sm->shard, receipt);
    }
}

/* The peer may not acknowledge those before we acknowledge an error of its own, that came behind what brought
 * about ours: each would wait for the other, and then for nothing less than the end of the stream. One that
 * does not answer at all is not waiting: its stream will end. */
static void late_fired(struct timer *timer)
{
    struct s2s_sm *sm = CONTAINER_OF(timer, struct s2s_sm, late);
    struct remote *remote = remote_of(sm->s2s);
    shard_enter(sm->shard);
    if (remote)
        list_each (at, &remote->pairs) {
            const struct pair *pair = LIST_ITEM(at, const struct pair, link);
            if (pair->sending && pair->sending->sm)
                let_go(pair->sending->sm);
        }
    if (sm->owed)
        write_ack(sm);
    shard_leave(sm->shard);
}

static unsigned past_count(const struct remote *remote)
{
    unsigned count = 0;
    list_each (at, &remote->past)
        count++;
    return count;
}

static void store_past(struct s2s_sm *sm, struct s2s *s2s, struct remote *remote)
{
    uint64_t ms = config_of(sm)->resume_ms;
    if (past_count(remote) >= PAST_MAX) {
        struct s2s_sm *oldest = LIST_ITEM(remote->past.next, struct s2s_sm, link);
        bounce_all(oldest, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "the connection broke");
        forget(oldest);
    }
    sm->is_on = false;
    sm->remote = remote;
    sm->pair = s2s->outgoing ? s2s->pair : NULL;
    list_append(&remote->past, &sm->link);
    if (!s2s->outgoing && !list_empty(&sm->flight) && ms > HOLD_MS)
        ms = HOLD_MS;
    timer_start(sm->shard->loop, &sm->timer, ms);
}

static bool is_worth_resuming(const struct s2s_sm *sm, const struct s2s *s2s)
{
    if (!sm->id || sm->shard->stopping)
        return false;
    return s2s->outgoing ? s2s->pair && (!list_empty(&sm->flight) || s2s->bidi) : true;
}

void s2s_sm_leave(struct s2s *s2s, enum s2s_end how)
{
    struct s2s_sm *sm = s2s->sm;
    if (!sm)
        return;
    s2s->sm = NULL;
    sm->s2s = NULL;
    sm->asked = sm->owed = 0;
    timer_stop(&sm->timer);
    timer_stop(&sm->late);
    if (sm->remote) { /* it was to be resumed, and still may be */
        sm->is_resuming = false;
        timer_start(sm->shard->loop, &sm->timer, config_of(sm)->resume_ms);
        return;
    }
    struct remote *remote = remote_of(s2s);
    if (how == S2S_ENDED_BY_US || !remote) {
        bounce_all(sm, STANZA_ERROR_REMOTE_SERVER_TIMEOUT,
                   "the stream was closed, and nobody knows whether this has come");
        forget(sm);
    } else if (how == S2S_ENDED_BY_PEER) {
        put_back(sm);
        forget(sm);
    } else if (is_worth_resuming(sm, s2s)) {
        store_past(sm, s2s, remote);
    } else {
        bounce_all(sm, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "the connection broke");
        forget(sm);
    }
}

static void past_is_over(struct s2s_sm *sm, const char *why)
{
    struct remote *remote = sm->remote;
    struct s2s *s2s = sm->s2s;
    bounce_all(sm, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, why);
    forget(sm);
    if (s2s)
        s2s_fail(s2s, STREAM_ERROR_CONNECTION_TIMEOUT, "no answer to a resumption");
    reach_all(remote);
}

static void timer_fired(struct timer *timer)
{
    struct s2s_sm *sm = CONTAINER_OF(timer, struct s2s_sm, timer);
    struct shard *shard = sm->shard;
    shard_enter(shard);
    if (sm->remote)
        past_is_over(sm, "the connection broke, and was not resumed");
    else if (sm->asked)
        s2s_fail(sm->s2s, STREAM_ERROR_CONNECTION_TIMEOUT, "no acknowledgement came");
    else
        ask(sm);
    shard_leave(shard);
}

/* ---- The past
 * -------------------------------------------------------------------------------------------------- */

static struct s2s_sm *past_of(const struct pair *pair)
{
    list_each (at, &pair->remote->past) {
        struct s2s_sm *sm = LIST_ITEM(at, struct s2s_sm, link);
        if (sm->pair == pair)
            return sm;
    }
    return NULL;
}

bool s2s_sm_is_ours_to_resume(const struct pair *pair)
{
    return past_of(pair) != NULL;
}

bool s2s_sm_holds_back(const struct pair *pair)
{
    list_each (at, &pair->remote->past) {
        const struct s2s_sm *sm = LIST_ITEM(at, const struct s2s_sm, link);
        list_each (flying, &sm->flight)
            if (sm->pair != pair && LIST_ITEM(flying, const struct waiting, link)->pair == pair)
                return true;
    }
    return false;
}

void s2s_sm_give_up(struct remote *remote, const struct pair *pair, enum stanza_error error, const char *why)
{
    list_each_safe (at, &remote->past) {
        struct s2s_sm *sm = LIST_ITEM(at, struct s2s_sm, link);
        if (pair && sm->pair != pair)
            continue;
        bounce_all(sm, error, why);
        forget(sm);
    }
}

void s2s_sm_drop_all(struct remote *remote)
{
    while (!list_empty(&remote->past))
        forget(LIST_ITEM(remote->past.next, struct s2s_sm, link));
}

/* The stream goes on as this one's. */
static void revive(struct s2s_sm *sm, struct s2s *s2s)
{
    list_remove(&sm->link);
    sm->remote = NULL;
    sm->pair = NULL;
    sm->s2s = s2s;
    s2s->sm = sm;
    sm->is_resuming = false;
    sm->is_on = true;
    timer_stop(&sm->timer);
    sm->shard->counters.s2s_resumed++;
    log_info(s2s, "the stream with %s is resumed; %llu stanzas are sent again", s2s->domain,
             (unsigned long long)(sm->out - sm->acked));
    put_back(sm);
}

/* ---- The initiating end
 * ---------------------------------------------------------------------------------------- */

static void enable(struct s2s *s2s)
{
    sm_make(s2s);
    conn_write(&s2s->conn, STR("<enable xmlns='" NS_SM "' resume='true'/>"));
}

bool s2s_sm_begin(struct s2s *s2s)
{
    struct s2s_sm *past = s2s->pair ? past_of(s2s->pair) : NULL;
    bool wanted = s2s->features.sm && s2s_config(s2s)->s2s.sm;
    if (s2s->sm)
        return s2s->sm->is_resuming;
    if (past && !wanted) {
        bounce_all(past, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "the connection broke");
        forget(past);
        past = NULL;
    }
    if (past) {
        past->s2s = s2s;
        past->is_resuming = true;
        s2s->sm = past;
        timer_start(past->shard->loop, &past->timer, config_of(past)->ack_ms);
        arrivals_count_anew(past->arrivals);
        buf_addf(conn_out(&s2s->conn), "<resume xmlns='" NS_SM "' h='%u'", (uint32_t)past->arrivals->safe);
        xml_write_attr(conn_out(&s2s->conn), "previd", str_from(past->id));
        buf_lit(conn_out(&s2s->conn), "/>");
        conn_wrote(&s2s->conn);
    } else if (wanted) {
        enable(s2s);
    }
    return past != NULL;
}

static void enabled(struct s2s *s2s, const struct xml_node *node)
{
    struct arena *arena = &s2s->link.shard->arena;
    str id = xml_attr(node, STR("id"), arena), resume = xml_attr(node, STR("resume"), arena);
    struct s2s_sm *sm = s2s->sm;
    if (sm->is_on || sm->is_resuming)
        return;
    sm->is_on = true;
    if (id.len && id.len <= ID_MAX && (str_is(resume, "true") || str_is(resume, "1")))
        sm->id = str_dup(id);
    if (sm->out > sm->acked)
        timer_start(sm->shard->loop, &sm->timer, ASK_MS);
}

static void go_on(struct s2s *s2s)
{
    struct remote *remote = s2s->pair->remote;
    pair_may_send(s2s->pair, s2s);
    reach_all(remote);
}

static void resumed(struct s2s *s2s, const struct xml_node *node)
{
    struct s2s_sm *sm = s2s->sm;
    uint64_t h;
    if (!sm->is_resuming || !s2s->pair)
        return;
    bool good = str_to_u64(xml_attr(node, STR("h"), &s2s->link.shard->arena), UINT32_MAX, &h);
    if (!good || number_of(sm, (uint32_t)h) > sm->out) {
        bounce_all(sm, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "the connection broke");
        forget(sm);
        too_many(s2s);
        return;
    }
    acked(sm, number_of(sm, (uint32_t)h));
    revive(sm, s2s);
    go_on(s2s);
}

/* §5: h may tell how much of the old stream had come. */
static void failed(struct s2s *s2s, const struct xml_node *node)
{
    struct s2s_sm *sm = s2s->sm;
    bool was_resuming = sm->is_resuming;
    uint64_t h;
    if (sm->is_on)
        return;
    if (was_resuming && str_to_u64(xml_attr(node, STR("h"), &s2s->link.shard->arena), UINT32_MAX, &h) &&
        number_of(sm, (uint32_t)h) <= sm->out) {
        acked(sm, number_of(sm, (uint32_t)h));
        put_back(sm);
    }
    if (was_resuming)
        bounce_all(sm, STANZA_ERROR_REMOTE_SERVER_TIMEOUT,
                   "the connection broke, and the other server forgot it");
    forget(sm);
    if (!was_resuming || !s2s->pair)
        return;
    enable(s2s);
    go_on(s2s);
}

/* ---- The receiving end
 * ---------------------------------------------------------------------------------------- */

static void refuse(struct s2s *s2s, enum stanza_error error)
{
    buf_addf(conn_out(&s2s->conn), "<failed xmlns='" NS_SM "'><%s xmlns='" NS_STANZA_ERRORS "'/></failed>",
             stanza_error_name(error));
    conn_wrote(&s2s->conn);
}

static void enable_asked(struct s2s *s2s, const struct xml_node *node)
{
    str resume = xml_attr(node, STR("resume"), &s2s->link.shard->arena);
    char id[25];
    if (s2s->outgoing || s2s->sm || !s2s->proof_count || !s2s_config(s2s)->s2s.sm) {
        refuse(s2s, STANZA_ERROR_UNEXPECTED_REQUEST);
        return;
    }
    struct s2s_sm *sm = sm_make(s2s);
    sm->is_on = true;
    if ((!str_is(resume, "true") && !str_is(resume, "1")) || !is_at_home(s2s)) {
        conn_write(&s2s->conn, STR("<enabled xmlns='" NS_SM "'/>"));
        s2s_in_begun(s2s);
        return;
    }
    rand_token(id, sizeof id);
    sm->id = str_dup(str_from(id));
    buf_addf(conn_out(&s2s->conn), "<enabled xmlns='" NS_SM "' id='%s' resume='true' max='%llu'/>", id,
             (unsigned long long)config_of(sm)->resume_ms / 1000);
    conn_wrote(&s2s->conn);
    s2s_in_begun(s2s);
}

static struct s2s_sm *past_named(struct s2s *s2s, str id)
{
    struct remote *remote = s2s->proof_count && s2s_is_proven(s2s, str_from(s2s->domain), str_from(s2s->ours))
                                ? remote_of(s2s)
                                : NULL;
    if (!remote)
        return NULL;
    list_each (at, &remote->past) {
        struct s2s_sm *sm = LIST_ITEM(at, struct s2s_sm, link);
        if (!sm->pair && !sm->s2s && strlen(sm->id) == id.len && mem_equal_secret(sm->id, id.p, id.len))
            return sm;
    }
    return NULL;
}

static void resumed_by_peer(struct s2s_sm *sm, struct s2s *s2s)
{
    struct remote *remote = sm->remote;
    arrivals_count_anew(sm->arrivals);
    revive(sm, s2s);
    write_resumed(sm);
    s2s_in_begun(s2s);
    list_each_safe (at, &s2s->senders)
        pair_drained(LIST_ITEM(at, struct pair, _sending));
    reach_all(remote);
}

static void resume_asked(struct s2s *s2s, const struct xml_node *node)
{
    struct arena *arena = &s2s->link.shard->arena;
    struct s2s_sm *sm =
        s2s->outgoing || s2s->sm ? NULL : past_named(s2s, xml_attr(node, STR("previd"), arena));
    uint64_t h;
    if (!sm) {
        refuse(s2s, s2s->sm ? STANZA_ERROR_UNEXPECTED_REQUEST : STANZA_ERROR_ITEM_NOT_FOUND);
        return; /* it may begin anew with <enable/> */
    }
    if (!str_to_u64(xml_attr(node, STR("h"), arena), UINT32_MAX, &h) ||
        number_of(sm, (uint32_t)h) > sm->out) {
        too_many(s2s);
        return;
    }
    acked(sm, number_of(sm, (uint32_t)h));
    resumed_by_peer(sm, s2s);
}

bool s2s_sm_element(struct s2s *s2s, const struct xml_node *node)
{
    struct s2s_sm *sm = s2s->sm;
    uint64_t h;
    if (!str_is(node->ns, NS_SM))
        return false;
    if (str_is(node->name, "enable"))
        enable_asked(s2s, node);
    else if (str_is(node->name, "resume"))
        resume_asked(s2s, node);
    else if (!sm)
        s2s_fail(s2s, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
    else if (str_is(node->name, "r") && sm->is_on)
        asked(sm);
    else if (str_is(node->name, "a") && sm->is_on &&
             str_to_u64(xml_attr(node, STR("h"), &s2s->link.shard->arena), UINT32_MAX, &h))
        ack_came(sm, (uint32_t)h);
    else if (str_is(node->name, "enabled") && s2s->outgoing)
        enabled(s2s, node);
    else if (str_is(node->name, "resumed") && s2s->outgoing)
        resumed(s2s, node);
    else if (str_is(node->name, "failed") && s2s->outgoing)
        failed(s2s, node);
    else
        s2s_fail(s2s, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
    return true;
}
