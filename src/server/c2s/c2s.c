/* SPDX-License-Identifier: MIT */
/* The stream of a client: bytes in, elements to the part that may take them in this state, and an orderly end
 * (RFC 6120 §4).
 *
 * The client's bytes are looked at where they were read; only an element that is not complete yet, or that
 * came while the client has to wait (`busy`: a login or a write is under way), is kept in `in`. While it
 * waits nothing more is read, so what it can send is bounded by one read buffer.
 *
 * What one client may cause in a turn of the loop is bounded (SHARE, counted in stanzas in and out), and what
 * it has said beyond that stands in line with others' (loop_queue()). A stanza for a room is delivered before
 * the next one is looked at: the room may ask that its sender be read more slowly, and that holds for the
 * next one. Who was slowed down is then heard one stanza a turn for a while: whoever asked for it may be far
 * away. All else is delivered together at the end, which is faster. Then what has come is paid for (pay()).
 *
 * States and what is allowed in them stand in element(). Features: c2s_features.c; SASL: c2s_auth.c; the move
 * to the user's home shard: c2s_home.c; there, resource binding: c2s_bind.c, or resumption: c2s_resume.c;
 * what a bound client says: session.c. */
#include "server/c2s/c2s_auth.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/receipt.h"
#include "server/slow.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum {
    FINISH_MS = 5000,
    IN_MAX = 17 << 20, /* the largest stanza that can be allowed, and a read behind it */
    SHARE = 256,       /* of the shard's work, that one client may cause at once */
    RATE_BURST = 10,   /* seconds of the rates that may come at once */
    BROADCASTS = 10,   /* so many of them count as a stanza of the client's */
};

size_t c2s_size(void)
{
    return sizeof(struct c2s);
}

const struct config *c2s_config(const struct c2s *c2s)
{
    return c2s->link.shard->server->config;
}

/* ---- Beginning and end
 * --------------------------------------------------------------------------------------------- */

static void timed_out(struct timer *timer);
static void turn_comes(struct task *task);

struct c2s *c2s_new(struct shard *shard)
{
    struct c2s *c2s = slab_alloc(&shard->c2s_slab);
    c2s->link = (struct link){ .ops = &c2s_ops, .shard = shard };
    list_append(&shard->links, &c2s->link._in_shard);
    buf_init(&c2s->in, IN_MAX);
    scanner_init(&c2s->scanner, &shard->server->config->limits_before);
    c2s->timer.fired = timed_out;
    c2s->turn.run = turn_comes;
    return c2s;
}

static void uncount(struct c2s *c2s)
{
    struct server *server = c2s->link.shard->server;
    if (c2s->counted)
        atomic_fetch_sub(&server->unauthenticated, 1);
    c2s->counted = false;
}

/* Lets go of all that is under way for the stream (XEP-0198 §7: a stream that was not closed in order is
 * unfinished, and its session may be resumed): what a login or a loading user answers later finds nobody,
 * and brings no closed stream back to life. */
static void leave_session(struct c2s *c2s, bool unfinished)
{
    struct session *session = c2s->session;
    c2s->session = NULL;
    if (session && unfinished)
        session_lost(session);
    else if (session)
        session_close(session);
    if (c2s->bind_wait)
        *c2s->bind_wait = NULL;
    c2s->bind_wait = NULL;
    c2s_auth_free(c2s);
    c2s_sasl2_free(c2s->sasl2);
    c2s->sasl2 = NULL;
    c2s_newcomer_free(c2s);
}

static void c2s_free(struct c2s *c2s)
{
    struct shard *shard = c2s->link.shard;
    leave_session(c2s, true);
    gate_leave(shard->server, conn_mark(&c2s->conn), c2s->counted);
    uncount(c2s);
    c2s_compress_uncount(c2s);
    atomic_fetch_sub(&shard->server->connections, 1);
    timer_stop(&c2s->timer);
    task_cancel(&c2s->turn);
    scanner_fini(&c2s->scanner);
    buf_fini(&c2s->in);
    conn_fini(&c2s->conn);
    list_remove(&c2s->link._in_shard);
    free(c2s->lang);
    free(c2s->local);
    free(c2s->wished);
    slab_free(&shard->c2s_slab, c2s);
}

/* The client goes to its user's home; what stays here is an empty shell. */
static void leave_home(struct c2s *c2s)
{
    struct shard *shard = c2s->link.shard;
    free(c2s->wished);
    c2s_depart(c2s);
    timer_stop(&c2s->timer);
    task_cancel(&c2s->turn);
    list_remove(&c2s->link._in_shard);
    slab_free(&shard->c2s_slab, c2s);
}

void c2s_write(struct c2s *c2s, str bytes)
{
    conn_write(&c2s->conn, bytes);
}

/* The language of our texts (§4.7.4): English, by the name that the client has for it. */
static str own_language(const struct c2s *c2s)
{
    str wished = str_from(c2s->lang);
    bool english = str_eq_nocase(str_sub(wished, 0, 2), STR("en")) && (wished.len == 2 || wished.p[2] == '-');
    return english ? wished : STR("en");
}

/* A stream that fails before our header was sent gets one first (§4.9.1.2). */
static void send_header(struct c2s *c2s, const struct stream_header *header)
{
    struct buf *out = conn_out(&c2s->conn);
    char id[25];
    rand_token(id, sizeof id);
    str to = header && !jid_is_none(&header->from) ? jid_bare(&header->from) : str_none;
    str from = c2s->host                             ? str_from(c2s->host->name)
               : header && !jid_is_none(&header->to) ? jid_domain(&header->to)
                                                     : str_from(c2s->link.shard->server->host_list[0]->name);
    stream_header_write(out, from, to, str_from(id), own_language(c2s));
    conn_wrote(&c2s->conn);
    c2s->header_sent = true;
}

static void end(struct c2s *c2s, bool unfinished)
{
    if (c2s->state == C2S_CLOSING)
        return;
    if (c2s->header_sent)
        c2s_write(c2s, STR(STREAM_CLOSE_TAG));
    c2s->state = C2S_CLOSING;
    timer_stop(&c2s->timer);
    leave_session(c2s, unfinished);
    conn_finish(&c2s->conn, FINISH_MS);
}

void c2s_end(struct c2s *c2s)
{
    end(c2s, false);
}

void c2s_fail(struct c2s *c2s, enum stream_error error, const char *text)
{
    c2s_fail_with(c2s, error, text, str_none);
}

/* The client may resume after it. */
static bool is_nobodys_fault(enum stream_error error)
{
    return error == STREAM_ERROR_CONNECTION_TIMEOUT || error == STREAM_ERROR_SYSTEM_SHUTDOWN ||
           error == STREAM_ERROR_INTERNAL_SERVER_ERROR;
}

void c2s_fail_with(struct c2s *c2s, enum stream_error error, const char *text, str detail)
{
    if (c2s->state == C2S_CLOSING)
        return;
    c2s->link.shard->counters.stream_errors++;
    log_debug(c2s, "stream error %s: %s", stream_error_name(error), text ? text : "");
    if (!c2s->header_sent)
        send_header(c2s, NULL);
    stream_error_write_with(conn_out(&c2s->conn), error, text, detail);
    conn_wrote(&c2s->conn);
    c2s->header_sent = false; /* its end tag is written already */
    end(c2s, is_nobodys_fault(error));
}

/* A sign of life is asked for with a ping (XEP-0199): what has gone without a word answers nothing. */
static void ask_for_life(struct c2s *c2s)
{
    struct shard *shard = c2s->link.shard;
    struct jid to = session_jid(c2s->session);
    char id[13];
    rand_token(id, sizeof id);
    struct stanza ping =
        stanza_make(STANZA_IQ, TYPE_GET, str_from(id), STR("<ping xmlns='urn:xmpp:ping'/>"), &shard->arena);
    ping.from = (struct jid){ str_from(c2s->host->name), 0, (uint16_t)strlen(c2s->host->name) };
    session_send(c2s->session, &ping, &to);
    c2s->pinged = true;
    timer_start(shard->loop, &c2s->timer, c2s_config(c2s)->c2s.ping_ms);
}

static void check_silence(struct c2s *c2s)
{
    struct loop *loop = c2s->link.shard->loop;
    uint64_t limit_ms = c2s_config(c2s)->c2s.idle_ms;
    uint64_t silent_ms = (loop_now_us(loop) - c2s->heard_us) / 1000;
    if (!limit_ms)
        return;
    if (silent_ms < limit_ms)
        timer_start(loop, &c2s->timer, limit_ms - silent_ms + 1);
    else if (c2s->pinged)
        c2s_fail(c2s, STREAM_ERROR_CONNECTION_TIMEOUT, "no sign of life");
    else
        ask_for_life(c2s);
}

void c2s_watch(struct c2s *c2s)
{
    c2s->heard_us = loop_now_us(c2s->link.shard->loop);
    timer_stop(&c2s->timer);
    if (c2s_config(c2s)->c2s.idle_ms)
        timer_start(c2s->link.shard->loop, &c2s->timer, c2s_config(c2s)->c2s.idle_ms);
}

static void timed_out(struct timer *timer)
{
    struct c2s *c2s = CONTAINER_OF(timer, struct c2s, timer);
    struct shard *shard = c2s->link.shard;
    shard_enter(shard);
    if (c2s->session)
        check_silence(c2s);
    else
        c2s_fail(c2s, STREAM_ERROR_CONNECTION_TIMEOUT, "negotiation took too long");
    shard_leave(shard);
}

void c2s_restart(struct c2s *c2s)
{
    scanner_restart(&c2s->scanner);
    c2s->header_sent = false;
    c2s->state = C2S_OPENING;
}

/* ---- Elements
 * ------------------------------------------------------------------------------------------------------ */

/* The domain is fixed by the first header, and after authentication for good. */
static enum stream_error choose_host(struct c2s *c2s, const struct stream_header *header)
{
    struct host *host;
    if (jid_is_none(&header->to))
        return STREAM_ERROR_HOST_UNKNOWN;
    host = header->to.local_len || !jid_is_bare(&header->to)
               ? NULL
               : server_host(c2s->link.shard->server, header->to.full);
    if (!host || (c2s->authenticated && host != c2s->host))
        return STREAM_ERROR_HOST_UNKNOWN;
    c2s->host = host;
    return STREAM_ERROR_NONE;
}

static enum stream_error check_from(const struct c2s *c2s, const struct stream_header *header)
{
    if (!c2s->authenticated || jid_is_none(&header->from))
        return STREAM_ERROR_NONE;
    bool same = str_eq(jid_local(&header->from), str_from(c2s->local)) &&
                str_eq(jid_domain(&header->from), str_from(c2s->host->name));
    return same ? STREAM_ERROR_NONE : STREAM_ERROR_INVALID_FROM;
}

static void opened(struct c2s *c2s, const struct xml_node *node)
{
    struct stream_header header;
    enum stream_error error = stream_header_read(node, &c2s->link.shard->arena, &header);
    free(c2s->lang);
    c2s->lang = stream_is_language(header.lang) ? str_dup(header.lang) : NULL;
    if (error == STREAM_ERROR_NONE)
        error = choose_host(c2s, &header);
    if (error == STREAM_ERROR_NONE)
        error = check_from(c2s, &header);
    if (error == STREAM_ERROR_NONE && !c2s->authenticated && c2s->link.shard->server->is_short_of_memory) {
        c2s->link.shard->counters.refused_memory++;
        error = STREAM_ERROR_RESOURCE_CONSTRAINT;
    }
    free(c2s->wished);
    c2s->wished = jid_is_none(&header.from) ? NULL : str_dup(jid_bare(&header.from));
    /* §4.7.2: `to` answers a `from`, which before TLS a client should not have shown */
    send_header(c2s, error == STREAM_ERROR_NONE ? &header : NULL);
    if (error != STREAM_ERROR_NONE) {
        c2s_fail(c2s, error, NULL);
        return;
    }
    c2s->state = c2s->authenticated ? C2S_AUTHENTICATED : C2S_NEGOTIATING;
    c2s_send_features(c2s);
}

static bool must_use_tls(const struct c2s *c2s)
{
    return c2s_config(c2s)->c2s.require_tls && !conn_is_secure(&c2s->conn);
}

static void start_tls(struct c2s *c2s)
{
    if (conn_is_secure(&c2s->conn) || !c2s->host->tls) {
        c2s_write(c2s, STR("<failure xmlns='" NS_TLS "'/>")); /* §5.4.2.2 */
        c2s_end(c2s);
        return;
    }
    c2s_write(c2s, STR("<proceed xmlns='" NS_TLS "'/>"));
    c2s_restart(c2s);
    c2s->state = C2S_SECURING;
    conn_start_tls(&c2s->conn, c2s->host->tls, NULL, NULL);
}

static bool is_named_as_stanza(const struct xml_node *node)
{
    return str_is(node->name, "message") || str_is(node->name, "presence") || str_is(node->name, "iq");
}

static bool is_stanza(const struct xml_node *node)
{
    return str_is(node->ns, NS_CLIENT) && is_named_as_stanza(node);
}

static void before_authentication(struct c2s *c2s, const struct xml_node *node)
{
    if (c2s->state == C2S_NEGOTIATING && xml_is(node, STR("starttls"), STR(NS_TLS)))
        start_tls(c2s);
    else if (c2s->sasl2 && !xml_is(node, node->name, STR(NS_SASL2))) /* XEP-0388 §2.5 */
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "a login is under way");
    else if (c2s_sm_element(c2s, node))
        return;
    else if (must_use_tls(c2s))
        c2s_fail(c2s, is_stanza(node) ? STREAM_ERROR_NOT_AUTHORIZED : STREAM_ERROR_POLICY_VIOLATION,
                 "TLS is required");
    else if (!c2s_auth_element(c2s, node) &&
             !c2s_newcomer_element(c2s, node)) /* §4.3.5, §6.4: nothing else before authentication */
        c2s_fail(c2s, is_stanza(node) ? STREAM_ERROR_NOT_AUTHORIZED : STREAM_ERROR_UNSUPPORTED_STANZA_TYPE,
                 NULL);
}

static enum stream_error refused(const struct c2s *c2s, const struct xml_node *node, enum stanza_fault fault,
                                 const struct stanza *stanza)
{
    if (fault == STANZA_BAD_FROM)
        return STREAM_ERROR_INVALID_FROM;
    if (fault == STANZA_UNKNOWN) /* §4.8.3, §4.8.4 */
        return is_named_as_stanza(node) ? STREAM_ERROR_INVALID_NAMESPACE
                                        : STREAM_ERROR_UNSUPPORTED_STANZA_TYPE;
    if (node->prefix.len) /* §4.8.5 */
        return STREAM_ERROR_BAD_NAMESPACE_PREFIX;
    if (!c2s->session || jid_is_none(&stanza->from))
        return STREAM_ERROR_NONE;
    struct jid full = session_jid(c2s->session);
    bool own = jid_eq(&stanza->from, &full) || str_eq(stanza->from.full, jid_bare(&full));
    return own ? STREAM_ERROR_NONE : STREAM_ERROR_INVALID_FROM; /* §8.1.2.1 */
}

/* A stanza that can't be handed on is answered here (§8.2.3, §8.3.3.8); addresses are swapped as if it had
 * been. */
static void bounce(struct c2s *c2s, struct stanza *stanza, enum stanza_fault fault)
{
    struct jid self = session_jid(c2s->session);
    struct receipt *receipt = NULL;
    if (c2s->session->sm && sm_receive(c2s->session->sm, stanza, &receipt) != SM_NEW) {
        receipt_release(c2s->link.shard, receipt);
        return;
    }
    stanza->from = self;
    struct stanza answer = stanza_error_reply(
        stanza, fault == STANZA_BAD_TO ? STANZA_ERROR_JID_MALFORMED : STANZA_ERROR_BAD_REQUEST, NULL,
        &c2s->link.shard->arena);
    c2s->link.shard->counters.errors_out++;
    if (stanza_may_bounce(stanza))
        session_send(c2s->session, &answer, NULL);
    receipt_release(c2s->link.shard, receipt);
}

/* Returns false if the stanza must wait for the user to be ready. */
static bool stanza_in(struct c2s *c2s, const struct xml_node *node)
{
    struct shard *shard = c2s->link.shard;
    struct stanza stanza;
    enum stanza_fault fault = stanza_read(node, scanner_header_declarations(&c2s->scanner),
                                          str_from(c2s->lang), &shard->arena, &stanza);
    if (fault == STANZA_UNKNOWN && c2s->session && !str_is(node->ns, NS_CLIENT)) {
        bool known = false;
        if (!session_element(c2s->session, node, &known))
            return false;
        if (known)
            return true;
    }
    if (fault == STANZA_UNKNOWN && !c2s->session &&
        (c2s_sm_element(c2s, node) || c2s_compress_element(c2s, node)))
        return true;
    enum stream_error error = refused(c2s, node, fault, &stanza);
    if (error != STREAM_ERROR_NONE) {
        c2s_fail(c2s, error, NULL);
        return true;
    }
    if (c2s->state == C2S_AUTHENTICATED) {
        c2s_bind(c2s, &stanza);
        return true;
    }
    if (fault != STANZA_OK) {
        bounce(c2s, &stanza, fault);
        return true;
    }
    return session_stanza(c2s->session, &stanza);
}

static bool element(struct c2s *c2s, const struct xml_node *node)
{
    if (xml_is(node, STR("error"), STR(NS_STREAMS))) { /* §4.9.1.1: whatever it is, the stream is over */
        c2s_end(c2s);
        return true;
    }
    switch ((enum c2s_state)c2s->state) {
    case C2S_NEGOTIATING:
    case C2S_AUTHENTICATING:
        before_authentication(c2s, node);
        return true;
    case C2S_AUTHENTICATED:
    case C2S_BOUND:
        return stanza_in(c2s, node);
    case C2S_OPENING:
    case C2S_SECURING:
    case C2S_COMPRESSING:
    case C2S_BINDING:
    case C2S_CLOSING:
        break;
    }
    return true;
}

/* ---- Bytes
 * ---------------------------------------------------------------------------------------------------------
 */

static bool may_read(const struct c2s *c2s)
{
    return !c2s->busy && !c2s->in_line && c2s->state != C2S_CLOSING && c2s->state != C2S_SECURING &&
           c2s->state != C2S_COMPRESSING && c2s->state != C2S_BINDING;
}

/* §4.4: what came before the end is answered before ours, also when all came at once. */
static void end_of_client(struct c2s *c2s)
{
    shard_drain(c2s->link.shard);
    c2s_end(c2s);
}

static void stand_in_line(struct c2s *c2s)
{
    c2s->in_line = true;
    loop_queue(c2s->link.shard->loop, &c2s->turn);
}

/* Handles what comes next in `input`, from `*done` on. False: it is not complete, or has to wait. */
static bool take_next(struct c2s *c2s, str input, size_t *done)
{
    struct xml_node node;
    size_t used = 0;
    enum scan_event event = scanner_next(&c2s->scanner, str_sub(input, *done, input.len), &used, &node);
    if (event == SCAN_ELEMENT && !element(c2s, &node)) {
        c2s->busy = true; /* the same element is scanned again when the user is ready */
        return false;
    }
    *done += used;
    c2s->link.shard->work += event != SCAN_MORE;
    if (c2s->link.shard->is_for_service)
        shard_drain(c2s->link.shard);
    if (event == SCAN_OPEN)
        opened(c2s, &node);
    else if (event == SCAN_CLOSE)
        end_of_client(c2s);
    else if (event == SCAN_ERROR)
        c2s_fail(c2s, stream_error_of_scan(scanner_error(&c2s->scanner)), NULL);
    return event != SCAN_MORE;
}

/* Who has sent too much is not read until that is paid for. */
static void pay(struct c2s *c2s, uint64_t stanzas, size_t bytes)
{
    const struct config_c2s *config = &c2s_config(c2s)->c2s;
    uint64_t now_us = loop_now_us(c2s->link.shard->loop);
    uint64_t wait_ms = bucket_take(&c2s->byte_rate, (uint32_t)bytes, config->rate_bytes,
                                   RATE_BURST * (uint64_t)config->rate_bytes, now_us);
    uint64_t other_ms = bucket_take(&c2s->stanza_rate, (uint32_t)stanzas, config->rate_stanzas,
                                    RATE_BURST * (uint64_t)config->rate_stanzas, now_us);
    if (other_ms > wait_ms)
        wait_ms = other_ms;
    if (wait_ms && c2s->session)
        slow_session(c2s->session, wait_ms < SLOW_MS_MAX ? (uint32_t)wait_ms : SLOW_MS_MAX);
}

/* Handles what is complete in `input`, or the client's share of it; returns how many bytes are done with. The
 * event has just begun: no handler is running. */
static size_t consume(struct c2s *c2s, str input)
{
    const struct shard *shard = c2s->link.shard;
    uint64_t enough = shard->work + (c2s->link.careful ? 1 : SHARE), broadcasts = shard->broadcasts,
             stanzas = 0;
    size_t done = 0;
    bool more = true;
    while (more && may_read(c2s) && shard->work < enough) {
        more = take_next(c2s, input, &done);
        stanzas += more;
    }
    if (more && may_read(c2s))
        stand_in_line(c2s);
    c2s->link.careful -= stanzas < c2s->link.careful ? (uint8_t)stanzas : c2s->link.careful;
    pay(c2s, stanzas + (shard->broadcasts - broadcasts) / BROADCASTS, done);
    return done;
}

/* What is left over is kept until more comes, or until the wait is over. Bytes behind a <starttls/> are
 * thrown away (§5.4.3.3); those behind a <compress/> are compressed. */
static void keep(struct c2s *c2s, str rest)
{
    if (c2s->state == C2S_COMPRESSING) {
        c2s_compress_begin(c2s, rest);
        rest.len = 0;
    }
    if (c2s->state == C2S_CLOSING || c2s->state == C2S_SECURING)
        rest.len = 0;
    buf_clear(&c2s->in);
    if (rest.len)
        buf_add(&c2s->in, rest);
    else
        buf_fini(&c2s->in);
    if (c2s->state != C2S_CLOSING)
        conn_pause(&c2s->conn, c2s->busy || c2s->in_line);
}

/* The buffer is taken away meanwhile, since a part that moves or ends the link must find nothing half-read;
 * and it lives as long as the event, since what its bytes say may be delivered only then. If nothing could be
 * done yet it is put back as it is: a stanza that comes byte by byte must not be copied byte by byte. */
static void work_off(struct c2s *c2s)
{
    struct shard *shard = c2s->link.shard;
    shard_enter(shard);
    struct buf in = c2s->in;
    buf_init(&c2s->in, IN_MAX);
    size_t done = consume(c2s, buf_str(&in));
    if (!done && c2s->state != C2S_CLOSING && c2s->state != C2S_SECURING) {
        c2s->in = in;
        conn_pause(&c2s->conn, c2s->busy || c2s->in_line);
    } else {
        keep(c2s, str_sub(buf_str(&in), done, in.len));
        shard_free_later(shard, in.p);
    }
    if (c2s->passport)
        leave_home(c2s);
    shard_leave(shard);
}

static void data(struct conn *conn, str bytes)
{
    struct c2s *c2s = CONTAINER_OF(conn, struct c2s, conn);
    struct shard *shard = c2s->link.shard;
    c2s->heard_us = loop_now_us(shard->loop);
    c2s->pinged = false;
    if (c2s->in.len || c2s->busy || c2s->in_line) {
        buf_add(&c2s->in, bytes);
        if (buf_failed(&c2s->in))
            c2s_fail(c2s, STREAM_ERROR_RESOURCE_CONSTRAINT, NULL);
        else if (may_read(c2s))
            work_off(c2s);
        return;
    }
    shard_enter(shard);
    size_t done = consume(c2s, bytes);
    if (done < bytes.len || c2s->busy || c2s->in_line || c2s->state == C2S_COMPRESSING)
        keep(c2s, str_sub(bytes, done, bytes.len));
    if (c2s->passport)
        leave_home(c2s);
    shard_leave(shard);
}

void c2s_go_on(struct c2s *c2s)
{
    if (c2s->passport) {
        leave_home(c2s);
        return;
    }
    c2s->busy = false;
    if (c2s->in.len && may_read(c2s))
        stand_in_line(c2s);
    else if (may_read(c2s))
        conn_pause(&c2s->conn, false);
}

static void turn_comes(struct task *task)
{
    struct c2s *c2s = CONTAINER_OF(task, struct c2s, turn);
    c2s->in_line = false;
    if (may_read(c2s))
        work_off(c2s);
}

static void secured(struct conn *conn)
{
    struct c2s *c2s = CONTAINER_OF(conn, struct c2s, conn);
    c2s->state = C2S_OPENING;
}

static void closed(struct conn *conn, enum err why)
{
    struct c2s *c2s = CONTAINER_OF(conn, struct c2s, conn);
    struct shard *shard = c2s->link.shard;
    log_debug(c2s, "connection ended: %s", err_text(why));
    shard_enter(shard);
    c2s_free(c2s);
    shard_leave(shard);
}

static void garbled(struct conn *conn, enum err why)
{
    struct c2s *c2s = CONTAINER_OF(conn, struct c2s, conn);
    struct shard *shard = c2s->link.shard;
    shard_enter(shard);
    c2s_compress_failed(c2s, why);
    shard_leave(shard);
}

const struct conn_events c2s_events = {
    .data = data, .secured = secured, .garbled = garbled, .closed = closed
};

/* ---- A new connection
 * ---------------------------------------------------------------------------------------------- */

static struct tls_context *context_for_direct_tls(struct server *server)
{
    for (size_t i = 0; i < server->host_count; i++)
        if (server->host_list[i]->tls)
            return server->host_list[i]->tls;
    return NULL;
}

void c2s_accept(struct shard *shard, struct socket *socket, bool direct_tls)
{
    struct server *server = shard->server;
    const struct config *config = server->config;
    struct tls_context *tls = direct_tls ? context_for_direct_tls(server) : NULL;
    uint64_t mark;
    if (atomic_load(&server->connections) >= config->c2s.max_connections || (direct_tls && !tls) ||
        atomic_load(&server->unauthenticated) >= config->c2s.max_unauthenticated || shard->stopping) {
        shard->counters.refused++;
        socket_close(socket);
        return;
    }
    if (!gate_enter(shard, socket, direct_tls ? NULL : NS_CLIENT, &mark))
        return;
    struct c2s *c2s = c2s_new(shard);
    conn_init(&c2s->conn, shard->loop, socket, &c2s_events, config->limits.output_bytes);
    conn_set_mark(&c2s->conn, mark);
    atomic_fetch_add(&server->connections, 1);
    atomic_fetch_add(&server->unauthenticated, 1);
    c2s->counted = true;
    timer_start(shard->loop, &c2s->timer, config->c2s.negotiation_ms);
    c2s->direct_tls = direct_tls;
    if (!direct_tls)
        return;
    c2s->state = C2S_SECURING;
    conn_start_tls(&c2s->conn, tls, NULL, "xmpp-client");
}

/* ---- As a link
 * ------------------------------------------------------------------------------------------------------ */

static void wrote(struct c2s *c2s)
{
    if (c2s->link.shard->to_many)
        conn_wrote_to_many(&c2s->conn);
    else
        conn_wrote(&c2s->conn);
    c2s->link.is_behind = conn_is_behind(&c2s->conn);
}

static void link_send(struct link *link, const struct stanza *stanza, const struct jid *to)
{
    struct c2s *c2s = C2S_OF(link);
    stanza_write(conn_out(&c2s->conn), stanza, to);
    wrote(c2s);
}

static void link_close(struct link *link, enum stream_error error, const char *text)
{
    struct c2s *c2s = C2S_OF(link);
    if (error == STREAM_ERROR_NONE)
        c2s_end(c2s);
    else
        c2s_fail(c2s, error, text);
}

static void link_part(struct link *link, enum stream_error error, const char *text)
{
    struct c2s *c2s = C2S_OF(link);
    c2s->session = NULL;
    c2s_fail(c2s, error, text);
}

static void link_write(struct link *link, str bytes)
{
    struct c2s *c2s = C2S_OF(link);
    buf_add(conn_out(&c2s->conn), bytes);
    wrote(c2s);
}

static void link_resumed(struct link *link, str element)
{
    struct c2s *c2s = C2S_OF(link);
    if (c2s->sasl2)
        c2s_sasl2_succeed(c2s, element);
    else
        c2s_write(c2s, element);
}

static void link_resume(struct link *link)
{
    c2s_go_on(C2S_OF(link));
}

static size_t link_weight(struct link *link)
{
    return conn_pending(&C2S_OF(link)->conn) + C2S_OF(link)->in.len;
}

static void link_drop(struct link *link)
{
    c2s_free(C2S_OF(link));
}

static str link_describe(struct link *link, struct arena *arena)
{
    struct c2s *c2s = C2S_OF(link);
    char address[SOCKET_ADDRESS_MAX];
    conn_peer(&c2s->conn, address);
    return arena_printf(arena, "%s %s %s%s", address,
                        conn_is_secure(&c2s->conn) ? conn_tls_version(&c2s->conn) : "plain",
                        conn_is_secure(&c2s->conn) ? conn_tls_cipher(&c2s->conn) : "",
                        conn_is_compressed(&c2s->conn) ? " zlib" : "");
}

const struct link_ops c2s_ops = {
    .send = link_send,
    .close = link_close,
    .weight = link_weight,
    .drop = link_drop,
    .part = link_part,
    .write = link_write,
    .resumed = link_resumed,
    .resume = link_resume,
    .describe = link_describe,
};
