/* SPDX-License-Identifier: MIT */
/* The test of one address: a connection, a stream, TLS, and what the server offers then. On the first stream
 * that gets there and where dialback may be used, our key is shown too, since only that tells whether the
 * other server finds the way to us. Every stream is ended in order.
 *
 * It follows the initiating end (s2s_out.c) as far as the features, and is apart from it, because there a
 * failure is the end and here it is the result. RFC 6120 §4.3, §5.4; XEP-0220 §2.1. */
#include "server/s2s/probe.h"

#include "xmpp/ns.h"

#include <stdlib.h>

enum { IN_MAX = 64 * 1024, HEARD_MAX = 2 * IN_MAX, LEAVE_MS = 2000 };

static const struct conn_events events;

static const struct config_s2s *config_of(const struct probe_stream *stream)
{
    return &stream->probe->shard->server->config->s2s;
}

static const struct dns_endpoint *endpoint_of(const struct probe_stream *stream)
{
    return &stream->probe->lookup.endpoints[stream->endpoint];
}

/* ---- The end */

void probe_stream_stop(struct probe_stream *stream)
{
    dial_cancel(&stream->dial);
    timer_stop(&stream->timer);
    posh_leave(&stream->posh);
    if (stream->connected) {
        scanner_fini(&stream->scanner);
        buf_fini(&stream->in);
        conn_fini(&stream->conn);
    }
    stream->connected = false;
}

static void over(struct probe_stream *stream)
{
    probe_stream_stop(stream);
    stream->over = true;
    probe_stream_over(stream);
}

/* What was to be learned is known, or never will be. */
static void leave(struct probe_stream *stream)
{
    if (stream->leaving)
        return;
    stream->leaving = true;
    timer_stop(&stream->timer);
    if (stream->stage != PROBE_SECURING)
        conn_write(&stream->conn, STR(STREAM_CLOSE_TAG));
    conn_finish(&stream->conn, LEAVE_MS);
}

static void closed(struct conn *conn, enum err why)
{
    struct probe_stream *stream = CONTAINER_OF(conn, struct probe_stream, conn);
    if (!stream->leaving)
        stream->err = why == OK ? ERR_CLOSED : why;
    over(stream);
}

static void too_late(struct timer *timer)
{
    struct probe_stream *stream = CONTAINER_OF(timer, struct probe_stream, timer);
    stream->late = true;
    leave(stream);
}

/* ---- What the server says */

static void send_header(struct probe_stream *stream)
{
    stream_header_write_server(conn_out(&stream->conn), stream->probe->ours, stream->probe->theirs, str_none);
    conn_wrote(&stream->conn);
    stream->stage = PROBE_OPENING;
}

static void start_tls(struct probe_stream *stream)
{
    struct probe *probe = stream->probe;
    struct host *host = s2s_tls_host(probe->shard->server, probe->ours);
    scanner_restart(&stream->scanner);
    stream->stage = PROBE_SECURING;
    const struct dns_target *target = dns_target_of(&probe->lookup, stream->endpoint);
    conn_start_tls_expecting(&stream->conn, host->s2s_out_tls,
                             arena_printf(&probe->arena, "%.*s", STR_ARGS(probe->ascii)).p,
                             endpoint_of(stream)->direct_tls ? "xmpp-server" : NULL,
                             target ? target->expected : NULL, target ? target->expected_count : 0);
}

/* Our key, as a stream for stanzas would show it; who is asked about it is our server at its usual address.
 */
static void show_key(struct probe_stream *stream)
{
    struct probe *probe = stream->probe;
    char key[DIALBACK_KEY_SIZE];
    struct dialback request = { .kind = DIALBACK_RESULT, .from = probe->ours, .to = probe->theirs };
    dialback_key(str_from(probe->shard->server->dialback_secret), request.to, request.from, stream->id, key);
    request.key = str_from(key);
    dialback_write(conn_out(&stream->conn), &request);
    conn_wrote(&stream->conn);
    mem_wipe(key, sizeof key);
    probe->dialback_taken = stream->tried_dialback = true;
    stream->stage = PROBE_DIALBACK;
    timer_start(probe->shard->loop, &stream->timer, config_of(stream)->negotiation_ms);
}

static void ready(struct probe_stream *stream)
{
    bool dialback = stream->features.dialback || stream->header_dialback;
    stream->stage = PROBE_READY;
    if (dialback && config_of(stream)->dialback && !stream->probe->dialback_taken)
        show_key(stream);
    else
        leave(stream);
}

static void take_features(struct probe_stream *stream)
{
    bool can_tls = s2s_tls_host(stream->probe->shard->server, stream->probe->ours)->s2s_out_tls != NULL;
    if (!stream->secure && stream->features.starttls && can_tls) {
        conn_write(&stream->conn, STR("<starttls xmlns='" NS_TLS "'/>"));
        stream->stage = PROBE_STARTING_TLS;
        return;
    }
    stream->no_tls = !stream->secure;
    const struct dns_target *target = dns_target_of(&stream->probe->lookup, stream->endpoint);
    bool require_tls =
        stream->probe->policy.require_tls || (target && target->expected_count); /* RFC 7673 §3.4 */
    if (stream->no_tls && require_tls)
        leave(stream);
    else
        ready(stream);
}

static void opened(struct probe_stream *stream, const struct xml_node *node)
{
    struct stream_header header;
    struct arena *arena = &stream->probe->arena;
    if (stream_header_read_server(node, arena, &header) != STREAM_ERROR_NONE) {
        stream->garbage = true;
        leave(stream);
        return;
    }
    stream->id = arena_str(arena, header.id.p ? header.id : STR(""));
    stream->header_dialback = header.has_dialback;
    stream->stage = PROBE_FEATURES;
    if (header.is_old)
        take_features(stream);
}

static void take_answer(struct probe_stream *stream, const struct dialback *answer)
{
    if (answer->kind != DIALBACK_RESULT || answer->type == DIALBACK_REQUEST)
        return;
    stream->answered_dialback = true;
    stream->dialback = answer->type;
    stream->dialback_error = answer->error;
    leave(stream);
}

static void element(struct probe_stream *stream, const struct xml_node *node)
{
    struct arena *arena = &stream->probe->arena;
    struct dialback answer;
    if (xml_is(node, STR("error"), STR(NS_STREAMS))) {
        stream->told = stream_error_read(node);
        leave(stream);
    } else if (stream->stage == PROBE_FEATURES && xml_is(node, STR("features"), STR(NS_STREAMS))) {
        stream->features = peer_features_read(node, arena);
        take_features(stream);
    } else if (stream->stage == PROBE_STARTING_TLS && xml_is(node, STR("proceed"), STR(NS_TLS))) {
        start_tls(stream);
    } else if (stream->stage == PROBE_STARTING_TLS) {
        stream->no_tls = true;
        leave(stream);
    } else if (stream->stage == PROBE_DIALBACK && dialback_read(node, arena, &answer) == DIALBACK_OK) {
        take_answer(stream, &answer);
    }
}

/* ---- Bytes */

static size_t consume(struct probe_stream *stream, str input)
{
    size_t done = 0;
    while (!stream->leaving && stream->stage != PROBE_SECURING) {
        struct xml_node node;
        size_t used = 0;
        enum scan_event event = scanner_next(&stream->scanner, str_sub(input, done, input.len), &used, &node);
        done += used;
        if (event == SCAN_OPEN)
            opened(stream, &node);
        else if (event == SCAN_ELEMENT)
            element(stream, &node);
        else if (event == SCAN_MORE)
            return done;
        else {
            stream->garbage = event == SCAN_ERROR;
            stream->err = ERR_CLOSED;
            leave(stream);
        }
    }
    return input.len; /* what came behind is not for us (RFC 6120 §5.4.3.3) */
}

static void data(struct conn *conn, str bytes)
{
    struct probe_stream *stream = CONTAINER_OF(conn, struct probe_stream, conn);
    if (stream->leaving)
        return;
    stream->heard += bytes.len;
    buf_add(&stream->in, bytes);
    if (buf_failed(&stream->in) || stream->heard > HEARD_MAX) {
        stream->garbage = true;
        leave(stream);
        return;
    }
    buf_consume(&stream->in, consume(stream, buf_str(&stream->in)));
}

static str list_names(struct probe_stream *stream)
{
    enum { SHOWN_MAX = 8 };
    struct arena *arena = &stream->probe->arena;
    static const char *const kinds[] = { "", "SRV:", "XMPP:" };
    size_t count;
    const struct tls_name *names = conn_peer_names(&stream->conn, arena, &count);
    str text = STR("");
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++)
        text = arena_printf(arena, "%.*s%s%s%.*s", STR_ARGS(text), i ? ", " : "", kinds[names[i].kind],
                            STR_ARGS(names[i].text));
    if (count > SHOWN_MAX)
        text = arena_printf(arena, "%.*s and %zu more", STR_ARGS(text), count - SHOWN_MAX);
    return text.len ? text : STR("none");
}

static void posh_known(struct posh_asker *asker)
{
    struct probe_stream *stream = CONTAINER_OF(asker, struct probe_stream, posh);
    struct probe *probe = stream->probe;
    stream->by_posh = posh_vouches(probe->shard, &stream->conn, probe->theirs, &probe->arena);
    stream->certified |= stream->by_posh;
    if (!stream->leaving)
        send_header(stream);
}

static void secured(struct conn *conn)
{
    struct probe_stream *stream = CONTAINER_OF(conn, struct probe_stream, conn);
    struct probe *probe = stream->probe;
    stream->secure = true;
    stream->tls_version = arena_str(&probe->arena, str_from(conn_tls_version(conn))).p;
    stream->tls_cipher = arena_str(&probe->arena, str_from(conn_tls_cipher(conn))).p;
    stream->certificate = conn_peer_certificate(conn, &probe->arena);
    stream->names = list_names(stream);
    const struct dns_target *target = dns_target_of(&probe->lookup, stream->endpoint);
    stream->dane = conn_peer_dane(conn);
    stream->certified = s2s_conn_is_certified(conn, probe->theirs, target ? target->name : NULL,
                                              &probe->arena, &stream->fault);
    stream->asked_posh =
        probe->shard->posh && !stream->certified && stream->certificate && stream->dane != TLS_DANE_FAILED;
    if (!stream->asked_posh)
        send_header(stream);
    else if (!posh_ask(probe->shard, probe->theirs, &stream->posh))
        posh_known(&stream->posh);
}

static const struct conn_events events = { .data = data, .secured = secured, .closed = closed };

/* ---- The beginning */

static void dialled(struct dial *dial)
{
    struct probe_stream *stream = CONTAINER_OF(dial, struct probe_stream, dial);
    struct shard *shard = stream->probe->shard;
    struct socket *socket = dial->socket;
    dial->socket = NULL;
    stream->connect_ms = (unsigned)((loop_now_us(shard->loop) - stream->since_us) / 1000);
    if (dial->err != OK) {
        stream->err = dial->err;
        over(stream);
        return;
    }
    scanner_init(&stream->scanner, &shard->server->config->limits_before);
    buf_init(&stream->in, IN_MAX);
    conn_init(&stream->conn, shard->loop, socket, &events, IN_MAX);
    stream->connected = true;
    timer_start(shard->loop, &stream->timer, config_of(stream)->negotiation_ms);
    if (endpoint_of(stream)->direct_tls)
        start_tls(stream);
    else
        send_header(stream);
}

void probe_stream_start(struct probe_stream *stream, struct probe *probe, size_t endpoint)
{
    stream->probe = probe;
    stream->endpoint = endpoint;
    stream->timer.fired = too_late;
    stream->dial.done = dialled;
    stream->posh.done = posh_known;
    stream->since_us = loop_now_us(probe->shard->loop);
    dial_start(&stream->dial, probe->shard->loop, probe->lookup.endpoints, endpoint, endpoint + 1,
               (unsigned)config_of(stream)->connect_ms);
}
