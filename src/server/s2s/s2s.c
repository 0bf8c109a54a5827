/* SPDX-License-Identifier: MIT */
/* What both ends of a stream between servers share: bytes in, elements to the end that takes them, stanzas
 * in after a look at their addresses, stanzas out in the other content namespace, and an orderly end.
 *
 * Every stanza that comes in must say who sends it and to whom: from a domain that the peer has proved, to
 * one that we serve (RFC 6120 §8.1.1.2, §8.1.2.2); else the stream ends with the error that says what was
 * wrong. After that it is routed like any other.
 *
 * Time: a stream that is not established within `negotiation-time` is closed; later, one on which no stanza
 * went either way for `idle-time` is ended in order, and a space is sent when nothing was heard for
 * `ping-time`, so that TCP notices when the peer is gone.
 *
 * The receiving end is s2s_in.c, the initiating one s2s_out.c, dialback s2s_dialback.c. */
#include "server/s2s/s2s.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/component.h"
#include "server/receipt.h"
#include "server/s2s/remote.h"
#include "server/s2s/remote_answers.h"
#include "server/s2s/s2s_sm.h"
#include "server/s2s/s2s_tail.h"
#include "xml/write.h"
#include "xmpp/ns.h"
#include "xmpp/rescope.h"

#include <stdlib.h>

enum {
    FINISH_MS = 5000,
    IN_MAX = 17 << 20,
    PATIENCE_MAX = 3,
    SHARE = 64, /* of the shard's work, that one stream may cause at once */
    RATE_BURST = 10,
    KEY_WEIGHT = 10,    /* what a dialback key counts: it makes us ask DNS, and another server */
    STRANGER_PART = 10, /* the part of a domain's rate that an address has for those who prove nothing */
};

static const struct link_ops link_ops;

const struct config *s2s_config(const struct s2s *s2s)
{
    return s2s->link.shard->server->config;
}

str s2s_key(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct s2s, _by_id)->id);
}

bool s2s_is_ours(const struct server *server, str domain)
{
    return server_domain(server, domain) || component_domain_named(server, domain);
}

struct host *s2s_tls_host(const struct server *server, str domain)
{
    struct host *host = server_domain(server, domain);
    for (str rest = domain; !host && rest.p;) {
        str_cut(&rest, '.');
        host = rest.p ? server_domain(server, rest) : server->host_list[0];
    }
    return host->parent ? host->parent : host;
}

/* ---- Beginning and end
 * -------------------------------------------------------------------------------------------- */

static void time_passed(struct timer *timer);
static void rate_passed(struct timer *timer);
static void turn_comes(struct task *task);
static void posh_known(struct posh_asker *asker);

struct s2s *s2s_new(struct shard *shard, struct socket *socket, bool outgoing, bool direct_tls)
{
    struct s2s *s2s = NEW(struct s2s);
    const struct config *config = shard->server->config;
    s2s->link = (struct link){ .ops = &link_ops, .shard = shard };
    list_append(&shard->s2s_links, &s2s->link._in_shard);
    atomic_fetch_add(&shard->server->s2s_connections, 1);
    buf_init(&s2s->in, IN_MAX);
    scanner_init(&s2s->scanner, &config->limits_before);
    conn_init(&s2s->conn, shard->loop, socket, &s2s_events, config->limits.output_bytes);
    list_init(&s2s->proofs);
    list_init(&s2s->senders);
    list_init(&s2s->asking);
    s2s->id = str_dup(STR(""));
    s2s->outgoing = outgoing;
    s2s->direct_tls = direct_tls;
    s2s->heard_us = s2s->used_us = loop_now_us(shard->loop);
    s2s->timer.fired = time_passed;
    s2s->rate_timer.fired = rate_passed;
    s2s->turn.run = turn_comes;
    s2s->posh.done = posh_known;
    s2s->since_us = s2s->heard_us;
    timer_start(shard->loop, &s2s->timer, config->s2s.negotiation_ms);
    return s2s;
}

static void forget_id(struct s2s *s2s)
{
    if (*s2s->id && !s2s->outgoing)
        map_remove(&s2s->link.shard->s2s_ids, &s2s->_by_id);
    free(s2s->id);
    s2s->id = str_dup(STR(""));
}

static void forget_proofs(struct s2s *s2s)
{
    struct list *link;
    while ((link = list_shift(&s2s->proofs))) {
        struct proof *proof = LIST_ITEM(link, struct proof, link);
        free(proof->theirs);
        free(proof->ours);
        free(proof);
    }
    s2s->proof_count = 0;
}

static enum stanza_error error_of_end(const struct s2s *s2s)
{
    return s2s->told == STREAM_ERROR_HOST_UNKNOWN ? STANZA_ERROR_REMOTE_SERVER_NOT_FOUND
                                                  : STANZA_ERROR_REMOTE_SERVER_TIMEOUT;
}

/* Lets go of all that goes over the stream or waits for it; what comes back later finds nobody. */
static void leave_pairs(struct s2s *s2s, enum s2s_end how, const char *why)
{
    struct pair *own = s2s->pair;
    struct list *link;
    bool was_open = s2s->state == S2S_OPEN;
    s2s->state = S2S_CLOSING;
    s2s_sm_leave(s2s, how);
    s2s_tail_leave(s2s, how);
    s2s->pair = NULL;
    while ((link = list_shift(&s2s->senders)))
        pair_lost(LIST_ITEM(link, struct pair, _sending));
    while ((link = list_shift(&s2s->asking)))
        pair_lost(LIST_ITEM(link, struct pair, _asking));
    if (own)
        pair_own_ended(own, s2s, error_of_end(s2s), why, was_open);
    forget_id(s2s);
}

void s2s_stop_waiting(struct s2s *s2s)
{
    timer_stop(&s2s->timer);
    timer_stop(&s2s->rate_timer);
    task_cancel(&s2s->turn);
    posh_leave(&s2s->posh);
    s2s->in_line = s2s->asks_posh = false;
}

static void s2s_free(struct s2s *s2s)
{
    struct shard *shard = s2s->link.shard;
    leave_pairs(s2s, S2S_BROKEN, "the connection was closed");
    forget_proofs(s2s);
    atomic_fetch_sub(&shard->server->s2s_connections, 1);
    if (s2s->counted)
        census_leave(&shard->server->s2s_domains, s2s->domain_mark);
    atomic_fetch_sub(&shard->server->s2s_strangers, s2s->stranger);
    gate_leave(shard->server, conn_mark(&s2s->conn), s2s->stranger);
    s2s_stop_waiting(s2s);
    scanner_fini(&s2s->scanner);
    buf_fini(&s2s->in);
    conn_fini(&s2s->conn);
    list_remove(&s2s->link._in_shard);
    free(s2s->id);
    free(s2s->domain);
    free(s2s->ours);
    free(s2s->lang);
    free(s2s->target);
    free(s2s);
}

void s2s_send_header(struct s2s *s2s)
{
    str from = str_from(s2s->ours ? s2s->ours : s2s->link.shard->server->host_list[0]->name);
    forget_id(s2s);
    if (!s2s->outgoing) {
        char id[25];
        rand_token(id, sizeof id);
        free(s2s->id);
        s2s->id = str_dup(str_from(id));
        map_put(&s2s->link.shard->s2s_ids, &s2s->_by_id);
    }
    stream_header_write_server(conn_out(&s2s->conn), from, str_from(s2s->domain),
                               s2s->outgoing ? str_none : str_from(s2s->id));
    conn_wrote(&s2s->conn);
    s2s->header_sent = true;
}

static void close_stream(struct s2s *s2s, enum s2s_end how, const char *why)
{
    leave_pairs(s2s, how, why);
    s2s_stop_waiting(s2s);
    conn_pause(&s2s->conn, false);
    conn_finish(&s2s->conn, FINISH_MS);
}

/* §4.4: what the peer has sent before it has seen our end is taken, for a while. With stream management it is
 * not: then the peer knows by our last word what has not come. */
static bool hears_out(const struct s2s *s2s)
{
    return s2s->state == S2S_OPEN && s2s->proof_count && !s2s->parted && !s2s->sm &&
           !s2s->link.shard->stopping;
}

void s2s_end(struct s2s *s2s)
{
    static const char why[] = "the stream was closed";
    if (s2s->state == S2S_PARTING)
        close_stream(s2s, S2S_ENDED_BY_US, why);
    if (s2s->state == S2S_CLOSING)
        return;
    s2s_sm_farewell(s2s);
    if (s2s->header_sent)
        conn_write(&s2s->conn, STR(STREAM_CLOSE_TAG));
    if (!hears_out(s2s)) {
        close_stream(s2s, s2s->parted ? S2S_ENDED_BY_PEER : S2S_ENDED_BY_US, why);
        return;
    }
    leave_pairs(s2s, S2S_ENDED_BY_US, why);
    s2s->state = S2S_PARTING;
    timer_start(s2s->link.shard->loop, &s2s->timer, FINISH_MS);
}

void s2s_fail(struct s2s *s2s, enum stream_error error, const char *text)
{
    char peer[SOCKET_ADDRESS_MAX];
    if (s2s_is_over(s2s)) {
        s2s_end(s2s);
        return;
    }
    conn_peer(&s2s->conn, peer);
    s2s->link.shard->counters.stream_errors++;
    log_info(s2s, "stream with %s (%s) ended with %s%s%s", s2s->domain ? s2s->domain : "an unnamed server",
             peer, stream_error_name(error), text ? ": " : "", text ? text : "");
    if (!s2s->header_sent)
        s2s_send_header(s2s);
    s2s_sm_farewell(s2s);
    stream_error_write(conn_out(&s2s->conn), error, text);
    conn_wrote(&s2s->conn);
    close_stream(s2s, s2s->link.shard->stopping ? S2S_ENDED_BY_US : S2S_BROKEN,
                 text ? text : stream_error_name(error));
}

void s2s_restart(struct s2s *s2s)
{
    scanner_restart(&s2s->scanner);
    forget_id(s2s);
    s2s->header_sent = false;
    s2s->verifying = 0;
    s2s->state = S2S_OPENING;
}

void s2s_start_tls(struct s2s *s2s)
{
    struct host *host = s2s_tls_host(s2s->link.shard->server, str_from(s2s->ours));
    str name = s2s->pair ? str_from(s2s->pair->remote->ascii) : str_none;
    s2s_restart(s2s);
    s2s->state = S2S_SECURING;
    const struct dns_target *target =
        s2s->pair ? dns_target_of(&s2s->pair->lookup, s2s->pair->endpoint) : NULL;
    if (s2s->outgoing)
        conn_start_tls_expecting(&s2s->conn, host->s2s_out_tls, name.p,
                                 s2s->direct_tls ? "xmpp-server" : NULL, target ? target->expected : NULL,
                                 target ? target->expected_count : 0);
    else
        conn_start_tls(&s2s->conn, host->s2s_in_tls, NULL, NULL);
}

/* ---- Time
 * ---------------------------------------------------------------------------------------------------------
 */

static uint64_t since_ms(const struct s2s *s2s, uint64_t then_us)
{
    return (loop_now_us(s2s->link.shard->loop) - then_us) / 1000;
}

static void watch(struct s2s *s2s)
{
    const struct config_s2s *config = &s2s_config(s2s)->s2s;
    uint64_t idle_ms = since_ms(s2s, s2s->used_us), silent_ms = since_ms(s2s, s2s->heard_us);
    uint64_t idle_left_ms = idle_ms < config->idle_ms ? config->idle_ms - idle_ms : 0;
    uint64_t ping_left_ms = silent_ms < config->ping_ms ? config->ping_ms - silent_ms : config->ping_ms;
    timer_start(s2s->link.shard->loop, &s2s->timer,
                (idle_left_ms < ping_left_ms ? idle_left_ms : ping_left_ms) + 1);
}

void s2s_established(struct s2s *s2s)
{
    if (s2s->stranger) {
        atomic_fetch_sub(&s2s->link.shard->server->s2s_strangers, 1);
        gate_known(s2s->link.shard->server, conn_mark(&s2s->conn));
    }
    s2s->stranger = false;
    s2s->used_us = loop_now_us(s2s->link.shard->loop);
    s2s->scanner.limits = &s2s_config(s2s)->limits_after;
    watch(s2s);
}

static bool is_established(const struct s2s *s2s)
{
    return s2s->state == S2S_OPEN && (s2s->authenticated || s2s->proof_count || !list_empty(&s2s->senders) ||
                                      (s2s->pair && list_empty(&s2s->asking)));
}

/* Closed now it would leave what came over it to the peer, which sends that again: it would come twice. */
static bool is_in_use(const struct s2s *s2s)
{
    return s2s->verifying || !s2s_sm_is_done(s2s);
}

static void time_passed(struct timer *timer)
{
    struct s2s *s2s = CONTAINER_OF(timer, struct s2s, timer);
    struct shard *shard = s2s->link.shard;
    shard_enter(shard);
    if (is_established(s2s) && is_in_use(s2s))
        s2s->used_us = loop_now_us(shard->loop);
    if (s2s->state == S2S_PARTING)
        s2s_end(s2s);
    else if (!is_established(s2s) && s2s->verifying && s2s->patience++ < PATIENCE_MAX)
        timer_start(shard->loop, timer, s2s_config(s2s)->s2s.negotiation_ms); /* it is we who take so long */
    else if (!is_established(s2s) && s2s->vouched)
        s2s_end(s2s); /* it came to ask about a key */
    else if (!is_established(s2s))
        s2s_fail(s2s, STREAM_ERROR_CONNECTION_TIMEOUT, "negotiation took too long");
    else if (since_ms(s2s, s2s->used_us) >= s2s_config(s2s)->s2s.idle_ms)
        s2s_end(s2s);
    else {
        if (since_ms(s2s, s2s->heard_us) >= s2s_config(s2s)->s2s.ping_ms && !s2s_sm_ask(s2s))
            conn_write(&s2s->conn, STR(" "));
        watch(s2s);
    }
    shard_leave(shard);
}

/* ---- What the peer has proved
 * --------------------------------------------------------------------------------------- */

bool s2s_is_proven(const struct s2s *s2s, str theirs, str ours)
{
    list_each (at, &s2s->proofs) {
        const struct proof *proof = LIST_ITEM(at, const struct proof, link);
        if ((!proof->ours || str_eq(str_from(proof->ours), ours)) && str_eq(str_from(proof->theirs), theirs))
            return true;
    }
    return false;
}

static uint64_t mark_of(str domain)
{
    uint64_t mark = hash_keyed(domain);
    return mark ? mark : 1;
}

static void is_first_of(struct s2s *s2s, str theirs)
{
    s2s->domain_mark = mark_of(theirs);
    s2s->is_exempt = s2s_listed(&s2s_config(s2s)->s2s.rate_exempt, theirs);
}

bool s2s_admit(struct s2s *s2s, str theirs)
{
    struct shard *shard = s2s->link.shard;
    if (s2s->counted || s2s->outgoing)
        return true;
    s2s->counted = census_enter(&shard->server->s2s_domains, mark_of(theirs),
                                s2s_config(s2s)->s2s.max_domain_connections);
    if (s2s->counted) {
        is_first_of(s2s, theirs);
        return true;
    }
    shard->counters.s2s_refused++;
    s2s_fail(s2s, STREAM_ERROR_POLICY_VIOLATION, "too many connections of this domain");
    return false;
}

void s2s_prove(struct s2s *s2s, str theirs, str ours)
{
    struct proof *proof = NEW(struct proof);
    if (!s2s->domain_mark)
        is_first_of(s2s, theirs);
    proof->theirs = str_dup(theirs);
    proof->ours = ours.p ? str_dup(ours) : NULL;
    list_append(&s2s->proofs, &proof->link);
    s2s->proof_count++;
    log_info(s2s, "%.*s has proved itself to %s by %s", STR_ARGS(theirs),
             proof->ours ? proof->ours : "all hosts", s2s->certified ? "certificate" : "dialback");
    s2s_established(s2s);
}

void s2s_certify(struct s2s *s2s)
{
    const char *why = NULL;
    s2s->certified = s2s->domain && s2s_is_certified(s2s, str_from(s2s->domain), &why);
    if (s2s->domain && !s2s->certified)
        log_debug(s2s, "the certificate of %s: %s", s2s->domain, why);
}

/* ---- Stanzas
 * ------------------------------------------------------------------------------------------------------ */

void s2s_write_dialback(struct s2s *s2s, const struct dialback *dialback)
{
    if (s2s_is_over(s2s))
        return;
    dialback_write(conn_out(&s2s->conn), dialback);
    conn_wrote(&s2s->conn);
}

enum s2s_sent s2s_send(struct s2s *s2s, const struct stanza *stanza, const struct jid *to)
{
    if (conn_pending(&s2s->conn) > s2s_config(s2s)->limits.output_bytes / 2 ||
        (s2s->sm && !s2s_sm_has_room(s2s->sm)) || !s2s_tail_has_room(s2s->tail))
        return S2S_FULL;
    return s2s_write(s2s, stanza, to);
}

enum s2s_sent s2s_write(struct s2s *s2s, const struct stanza *stanza, const struct jid *to)
{
    struct shard *shard = s2s->link.shard;
    s2s->used_us = loop_now_us(shard->loop);
    if (!rescope_write(conn_out(&s2s->conn), stanza, to, STR(NS_SERVER), &shard->arena)) {
        route_error(shard, stanza, STANZA_ERROR_NOT_ACCEPTABLE,
                    "its namespaces can't be sent to another server");
        return S2S_NEVER;
    }
    conn_wrote(&s2s->conn);
    shard->counters.s2s_out++;
    s2s->stanzas_out++;
    return S2S_SENT;
}

/* What is wrong with the addresses of a stanza; STREAM_ERROR_NONE if nothing. */
static enum stream_error check_addresses(const struct s2s *s2s, const struct stanza *stanza)
{
    if (jid_is_none(&stanza->from) || jid_is_none(&stanza->to))
        return STREAM_ERROR_IMPROPER_ADDRESSING;
    if (!s2s->proof_count)
        return STREAM_ERROR_NOT_AUTHORIZED;
    bool known = false;
    list_each (at, &s2s->proofs)
        known |= str_eq(str_from(LIST_ITEM(at, struct proof, link)->theirs), jid_domain(&stanza->from));
    if (!known)
        return STREAM_ERROR_INVALID_FROM;
    if (!s2s_is_ours(s2s->link.shard->server, jid_domain(&stanza->to)))
        return STREAM_ERROR_HOST_UNKNOWN;
    return s2s_is_proven(s2s, jid_domain(&stanza->from), jid_domain(&stanza->to))
               ? STREAM_ERROR_NONE
               : STREAM_ERROR_NOT_AUTHORIZED;
}

/* How much a stanza counts: what is sent to a host itself may be for many (XEP-0033). Each address takes an
 * element, however it is written. */
static uint64_t weight_of(const struct stanza *stanza)
{
    str payload = stanza_payload(stanza);
    uint64_t weight = 1;
    if (stanza->kind == STANZA_IQ || stanza->to.local_len)
        return weight;
    for (size_t i = 0; i < payload.len; i++)
        weight += payload.p[i] == '<';
    return weight;
}

static void stanza_in(struct s2s *s2s, const struct xml_node *node)
{
    struct shard *shard = s2s->link.shard;
    struct stanza *stanza = ARENA_NEW(&shard->arena, struct stanza);
    enum stanza_fault fault = rescope_read(node, STR(NS_SERVER), scanner_header_declarations(&s2s->scanner),
                                           str_from(s2s->lang), &shard->arena, stanza);
    enum stream_error error = STREAM_ERROR_NONE;
    if (fault == STANZA_UNKNOWN)
        error = STREAM_ERROR_UNSUPPORTED_STANZA_TYPE;
    else if (node->prefix.len) /* RFC 6120 §4.8.5 */
        error = STREAM_ERROR_BAD_NAMESPACE_PREFIX;
    else if (!s2s->proof_count)
        error = STREAM_ERROR_NOT_AUTHORIZED;
    else if (fault == STANZA_BAD_FROM || fault == STANZA_BAD_TO)
        error = STREAM_ERROR_IMPROPER_ADDRESSING;
    else
        error = check_addresses(s2s, stanza);
    if (error != STREAM_ERROR_NONE) {
        s2s_fail(s2s, error, NULL);
        return;
    }
    s2s->used_us = loop_now_us(shard->loop);
    shard->counters.s2s_in++;
    s2s->stanzas_in++;
    s2s->weight_in += weight_of(stanza);
    struct receipt *receipt;
    if (!s2s_sm_receive(s2s, stanza, &receipt))
        return;
    struct receipt *before = receipt_enter(shard, receipt);
    if (fault == STANZA_OK && !remote_answers(shard, stanza))
        route(shard, stanza);
    else if (fault != STANZA_OK)
        route_error(shard, stanza, STANZA_ERROR_BAD_REQUEST, NULL);
    receipt_leave(shard, before);
    receipt_release(shard, receipt);
}

/* ---- Elements
 * ----------------------------------------------------------------------------------------------------- */

static void opened(struct s2s *s2s, const struct xml_node *node)
{
    struct stream_header header;
    enum stream_error error = stream_header_read_server(node, &s2s->link.shard->arena, &header);
    free(s2s->lang);
    s2s->lang = stream_is_language(header.lang) ? str_dup(header.lang) : NULL;
    if (error != STREAM_ERROR_NONE) {
        if (!s2s->header_sent)
            s2s_send_header(s2s);
        s2s_fail(s2s, error, NULL);
    } else if (s2s->outgoing) {
        s2s_out_opened(s2s, &header);
    } else {
        s2s_in_opened(s2s, &header);
    }
}

static void element(struct s2s *s2s, const struct xml_node *node)
{
    if (xml_is(node, STR("error"), STR(NS_STREAMS))) {
        s2s->told = stream_error_read(node);
        log_info(s2s, "%s ended its stream with %s", s2s->domain ? s2s->domain : "a server",
                 stream_error_name(s2s->told));
        s2s->parted = true;
        s2s_end(s2s);
        return;
    }
    if (s2s->state == S2S_PARTING && !str_is(node->ns, NS_SERVER))
        return;
    if (s2s->state == S2S_OPEN && s2s_dialback(s2s, node)) {
        s2s->weight_in += s2s->outgoing ? 1 : KEY_WEIGHT;
        return;
    }
    if (s2s->state == S2S_OPEN && s2s_sm_element(s2s, node))
        return;
    s2s_in_begun(s2s);
    if ((s2s->state == S2S_OPEN || s2s->state == S2S_PARTING) && str_is(node->ns, NS_SERVER))
        stanza_in(s2s, node);
    else if (s2s->outgoing)
        s2s_out_element(s2s, node);
    else
        s2s_in_element(s2s, node);
}

/* ---- Bytes
 * -------------------------------------------------------------------------------------------------------- */

static bool is_slowed(const struct s2s *s2s)
{
    return timer_running(&s2s->rate_timer);
}

static bool may_read(const struct s2s *s2s)
{
    return s2s->state != S2S_CLOSING && s2s->state != S2S_SECURING && !s2s->moving && !s2s->in_line &&
           !s2s->asks_posh && !is_slowed(s2s);
}

static bool must_ask(struct s2s *s2s, const struct xml_node *node)
{
    if (!s2s->link.shard->posh)
        return false;
    if (s2s->outgoing)
        return s2s->state == S2S_FEATURES && xml_is(node, STR("features"), STR(NS_STREAMS)) &&
               s2s_must_ask(s2s, str_from(s2s->domain));
    return s2s->state == S2S_OPEN && s2s_dialback_must_ask(s2s, node);
}

/* Handles what comes next in `input`, from `*done` on. False: it is not complete, or has to wait; then the
 * same element is scanned again. */
static bool take_next(struct s2s *s2s, str input, size_t *done)
{
    struct shard *shard = s2s->link.shard;
    struct xml_node node;
    size_t used = 0;
    enum scan_event event = scanner_next(&s2s->scanner, str_sub(input, *done, input.len), &used, &node);
    if (event == SCAN_ELEMENT && must_ask(s2s, &node))
        return false;
    *done += used;
    shard->work += event != SCAN_MORE;
    if (event == SCAN_OPEN)
        opened(s2s, &node);
    else if (event == SCAN_ELEMENT)
        element(s2s, &node);
    else if (event == SCAN_CLOSE) {
        s2s->parted = true;
        s2s_end(s2s);
    } else if (event == SCAN_ERROR)
        s2s_fail(s2s, stream_error_of_scan(scanner_error(&s2s->scanner)), NULL);
    if (shard->is_for_service)
        shard_drain(shard);
    return event != SCAN_MORE;
}

void s2s_slow_down(struct s2s *s2s, uint64_t ms)
{
    if (!ms)
        return;
    s2s->link.shard->counters.s2s_slowed++;
    timer_start(s2s->link.shard->loop, &s2s->rate_timer, ms);
    conn_pause(&s2s->conn, true);
}

/* Of those who prove nothing, all from one address have one rate together, a part of a domain's; where
 * addresses are not counted, each stream has it for itself. */
static uint64_t owed_ms(struct s2s *s2s, struct share *share, struct bucket *own, uint64_t amount,
                        uint32_t rate)
{
    uint64_t now_us = loop_now_us(s2s->link.shard->loop);
    uint64_t mark = s2s->domain_mark ? s2s->domain_mark : conn_mark(&s2s->conn);
    if (!s2s->domain_mark)
        rate = (rate + STRANGER_PART - 1) / STRANGER_PART;
    if (mark)
        return share_take(share, mark, amount, rate, RATE_BURST * (uint64_t)rate, now_us);
    return bucket_take(own, (uint32_t)amount, rate, RATE_BURST * (uint64_t)rate, now_us);
}

/* A peer that has sent too much is not read until that is paid for: TCP makes it wait, and nothing is lost.
 * All streams of a domain have one rate together. */
static void pay(struct s2s *s2s, size_t bytes, uint64_t stanzas)
{
    const struct config_s2s *config = &s2s_config(s2s)->s2s;
    struct shard *shard = s2s->link.shard;
    if (s2s->is_exempt)
        return;
    uint64_t byte_ms = owed_ms(s2s, &shard->server->s2s_bytes, &s2s->byte_rate, bytes, config->rate_bytes);
    uint64_t stanza_ms =
        owed_ms(s2s, &shard->server->s2s_stanzas, &s2s->stanza_rate, stanzas, config->rate_stanzas);
    if (may_read(s2s))
        s2s_slow_down(s2s, byte_ms > stanza_ms ? byte_ms : stanza_ms);
}

static void stand_in_line(struct s2s *s2s)
{
    s2s->in_line = true;
    loop_queue(s2s->link.shard->loop, &s2s->turn);
}

/* Handles what is complete in `input`, or the stream's share of it; returns how many bytes are done with. */
static size_t consume(struct s2s *s2s, str input)
{
    const struct shard *shard = s2s->link.shard;
    uint64_t enough = shard->work + SHARE, weight = s2s->weight_in;
    size_t done = 0;
    bool more = true;
    while (more && may_read(s2s) && shard->work < enough)
        more = take_next(s2s, input, &done);
    pay(s2s, done, s2s->weight_in - weight);
    if (more && may_read(s2s))
        stand_in_line(s2s);
    return done;
}

/* What is left over is kept until more comes, or until the wait is over; bytes behind a <starttls/> or
 * <proceed/> are thrown away (RFC 6120 §5.4.3.3). */
static void keep(struct s2s *s2s, str rest)
{
    if (rest.len && s2s->state != S2S_CLOSING && s2s->state != S2S_SECURING)
        buf_add(&s2s->in, rest);
}

/* The buffer is taken away meanwhile and lives as long as the event, since what its bytes say may be
 * delivered only then. If nothing could be done yet it is put back as it is: an element that comes byte by
 * byte must not be copied byte by byte. */
static void work_off(struct s2s *s2s)
{
    struct buf in = s2s->in;
    buf_init(&s2s->in, IN_MAX);
    size_t done = consume(s2s, buf_str(&in));
    if (!done && s2s->state != S2S_CLOSING && s2s->state != S2S_SECURING) {
        s2s->in = in;
        return;
    }
    keep(s2s, str_sub(buf_str(&in), done, in.len));
    shard_free_later(s2s->link.shard, in.p);
}

/* After all that: it goes away, or is read on as it may be. */
static void settle(struct s2s *s2s)
{
    if (s2s->moving)
        s2s_in_leave(s2s);
    else if (s2s->state != S2S_CLOSING)
        conn_pause(&s2s->conn, s2s->in_line || s2s->asks_posh || is_slowed(s2s));
}

void s2s_go_on(struct s2s *s2s)
{
    if (s2s->in.len && may_read(s2s))
        work_off(s2s);
    settle(s2s);
}

static void turn_comes(struct task *task)
{
    struct s2s *s2s = CONTAINER_OF(task, struct s2s, turn);
    struct shard *shard = s2s->link.shard;
    shard_enter(shard);
    s2s->in_line = false;
    s2s_go_on(s2s);
    shard_leave(shard);
}

/* What could not be answered is looked at again. */
static void posh_known(struct posh_asker *asker)
{
    struct s2s *s2s = CONTAINER_OF(asker, struct s2s, posh);
    s2s->asks_posh = false;
    if (!s2s->outgoing && s2s->state == S2S_OPENING)
        s2s_in_ready(s2s, false);
    s2s_go_on(s2s);
}

static void rate_passed(struct timer *timer)
{
    struct s2s *s2s = CONTAINER_OF(timer, struct s2s, rate_timer);
    shard_enter(s2s->link.shard);
    s2s_go_on(s2s);
    shard_leave(s2s->link.shard);
}

static void data(struct conn *conn, str bytes)
{
    struct s2s *s2s = CONTAINER_OF(conn, struct s2s, conn);
    struct shard *shard = s2s->link.shard;
    s2s->heard_us = loop_now_us(shard->loop);
    shard_enter(shard);
    if (!s2s->in.len && may_read(s2s)) {
        size_t done = consume(s2s, bytes);
        keep(s2s, str_sub(bytes, done, bytes.len));
    } else {
        buf_add(&s2s->in, bytes);
        if (buf_failed(&s2s->in))
            s2s_fail(s2s, STREAM_ERROR_RESOURCE_CONSTRAINT, NULL);
        else if (may_read(s2s))
            work_off(s2s);
    }
    settle(s2s);
    shard_leave(shard);
}

static void secured(struct conn *conn)
{
    struct s2s *s2s = CONTAINER_OF(conn, struct s2s, conn);
    struct shard *shard = s2s->link.shard;
    if (s2s->state != S2S_SECURING)
        return;
    shard_enter(shard);
    s2s->state = S2S_OPENING;
    log_debug(s2s, "TLS with %s: %s %s", s2s->domain ? s2s->domain : "a server", conn_tls_version(conn),
              conn_tls_cipher(conn));
    if (s2s->outgoing)
        s2s_send_header(s2s);
    shard_leave(shard);
}

void s2s_drain(struct s2s *s2s)
{
    list_each_safe (at, &s2s->senders)
        pair_drained(LIST_ITEM(at, struct pair, _sending));
}

static void drained(struct conn *conn)
{
    struct s2s *s2s = CONTAINER_OF(conn, struct s2s, conn);
    struct shard *shard = s2s->link.shard;
    shard_enter(shard);
    s2s_drain(s2s);
    shard_leave(shard);
}

static void closed(struct conn *conn, enum err why)
{
    struct s2s *s2s = CONTAINER_OF(conn, struct s2s, conn);
    struct shard *shard = s2s->link.shard;
    log_debug(s2s, "connection with %s ended: %s", s2s->domain ? s2s->domain : "a server", err_text(why));
    shard_enter(shard);
    s2s_free(s2s);
    shard_leave(shard);
}

const struct conn_events s2s_events = {
    .data = data, .secured = secured, .drained = drained, .closed = closed
};

/* ---- As a link
 * ---------------------------------------------------------------------------------------------------- */

static void link_send(struct link *link, const struct stanza *stanza, const struct jid *to)
{
    (void)link, (void)stanza, (void)to; /* no session stands on it */
}

static void link_close(struct link *link, enum stream_error error, const char *text)
{
    if (error == STREAM_ERROR_NONE || !S2S_OF(link)->header_sent)
        s2s_end(S2S_OF(link));
    else
        s2s_fail(S2S_OF(link), error, text);
}

static size_t link_weight(struct link *link)
{
    return conn_pending(&S2S_OF(link)->conn) + S2S_OF(link)->in.len;
}

static void link_drop(struct link *link)
{
    s2s_free(S2S_OF(link));
}

static void link_resume(struct link *link)
{
    (void)link;
}

static str proofs_of(const struct s2s *s2s, struct arena *arena)
{
    str text = STR("");
    list_each (at, &s2s->proofs) {
        const struct proof *proof = LIST_ITEM(at, const struct proof, link);
        if (text.len < 200)
            text = arena_printf(arena, "%.*s%s%s", STR_ARGS(text), text.len ? "," : "", proof->theirs);
    }
    return text.len ? text : STR("-");
}

str s2s_describe(const struct s2s *s2s, struct arena *arena)
{
    static const char *const states[] = {
#define X(id, text) text,
        S2S_STATES(X)
#undef X
    };
    char address[SOCKET_ADDRESS_MAX];
    bool secure = conn_is_secure(&s2s->conn);
    bool dialback = s2s->proof_count || !list_empty(&s2s->senders);
    conn_peer(&s2s->conn, address);
    return arena_printf(arena, "%s %s %s %s %llus %s %s proved=%.*s by=%s%s%s in=%llu out=%llu%s%s",
                        s2s->outgoing ? "out" : "in", s2s->ours ? s2s->ours : "-",
                        s2s->domain ? s2s->domain : "-", address,
                        (unsigned long long)(since_ms(s2s, s2s->since_us) / 1000),
                        secure ? conn_tls_version(&s2s->conn) : "plain",
                        secure ? conn_tls_cipher(&s2s->conn) : "-", STR_ARGS(proofs_of(s2s, arena)),
                        s2s->certified || s2s->authenticated ? "certificate"
                        : dialback                           ? "dialback"
                                                             : "-",
                        s2s->bidi ? " bidi" : "", s2s->sm ? " sm" : "", (unsigned long long)s2s->stanzas_in,
                        (unsigned long long)s2s->stanzas_out, s2s->state == S2S_OPEN ? "" : " ",
                        s2s->state == S2S_OPEN ? "" : states[s2s->state]);
}

static str link_describe(struct link *link, struct arena *arena)
{
    return s2s_describe(S2S_OF(link), arena);
}

static const struct link_ops link_ops = {
    .send = link_send,
    .close = link_close,
    .weight = link_weight,
    .drop = link_drop,
    .resume = link_resume,
    .describe = link_describe,
};
