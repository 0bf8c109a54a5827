/* SPDX-License-Identifier: MIT */
/* The stream of an external component (XEP-0114 1.6, jabber:component:accept).
 *
 * The header names the domain that the component wants to serve; it proves by a hash of the stream's id and
 * the shared secret that it may. Then its connection goes to the home shard of that domain, where it is told
 * so and stanzas begin. Whether the domain is served already is looked at there, after the proof: a stranger
 * learns nothing of it, and can push nobody out.
 *
 * Each stanza needs both addresses, and `from` must be of the component's domain (XEP-0114 §3): a lack is
 * improper-addressing, a foreign one invalid-from, and both end the stream (RFC 6120 §4.9.3.7, §4.9.3.9),
 * since a component that is trusted with a domain and speaks for another one is broken, or somebody else.
 *
 * The content namespace is changed at this edge (rescope.h): inside there is but jabber:client. A stanza
 * that names jabber:client itself is taken as well; the peers' servers do, and components rely on it.
 *
 * What not: TLS and SASL (XEP-0225), and `jabber:component:connect`. */
#include "server/component.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/hooks.h"
#include "server/stream_link.h"
#include "xml/write.h"
#include "xmpp/handshake.h"
#include "xmpp/ns.h"
#include "xmpp/rescope.h"

#include <stdlib.h>

struct component {
    struct stream_link stream;
    struct component_domain *domain; /* after the header */
    struct timer timer;              /* for the handshake; then for silence */
    struct visa *visa;               /* proved, and on its way to its domain's home */
    char id[25];                     /* of the stream */
    bool is_serving, counted;
    uint64_t since_us;
};

/* A component on its way. */
struct visa {
    struct shard_call call;
    struct stream_parcel parcel;
    struct component_domain *domain;
};

static const struct link_ops component_ops;
static const struct stream_link_events component_events;

static struct component *of(struct stream_link *stream)
{
    return CONTAINER_OF(stream, struct component, stream);
}

static const struct config *config_of(const struct component *component)
{
    return component->stream.link.shard->server->config;
}

/* ---- Beginning and end
 * --------------------------------------------------------------------------------------------- */

static void uncount(struct component *component)
{
    struct server *server = component->stream.link.shard->server;
    if (component->counted) {
        atomic_fetch_sub(&server->strange_components, 1);
        gate_known(server, conn_mark(&component->stream.conn));
    }
    component->counted = false;
}

static void watch(struct component *component)
{
    uint64_t after_ms = config_of(component)->components.keepalive_ms;
    timer_stop(&component->timer);
    if (after_ms)
        timer_start(component->stream.link.shard->loop, &component->timer, after_ms);
}

static void timed_out(struct timer *timer)
{
    struct component *component = CONTAINER_OF(timer, struct component, timer);
    struct stream_link *stream = &component->stream;
    struct shard *shard = stream->link.shard;
    shard_enter(shard);
    if (!component->is_serving) {
        stream_link_fail(stream, STREAM_ERROR_CONNECTION_TIMEOUT, "the handshake took too long");
    } else {
        uint64_t silent_ms = (loop_now_us(shard->loop) - stream->heard_us) / 1000;
        if (silent_ms >= config_of(component)->components.keepalive_ms)
            stream_link_write(stream, STR(" "));
        watch(component);
    }
    shard_leave(shard);
}

static void write_header(struct stream_link *stream)
{
    struct component *component = of(stream);
    struct buf *out = conn_out(&stream->conn);
    const char *from =
        component->domain ? component->domain->name : stream->link.shard->server->host_list[0]->name;
    rand_token(component->id, sizeof component->id);
    buf_lit(out,
            "<?xml version='1.0'?><stream:stream xmlns='" NS_COMPONENT "' xmlns:stream='" NS_STREAMS "'");
    xml_write_attr(out, "from", str_from(from));
    xml_write_attr(out, "id", str_from(component->id));
    buf_add_char(out, '>');
    conn_wrote(&stream->conn);
    stream->header_sent = true;
}

static void ending(struct stream_link *stream)
{
    struct component *component = of(stream);
    struct component_domain *domain = component->domain;
    timer_stop(&component->timer);
    uncount(component);
    if (!component->is_serving)
        return;
    component->is_serving = false;
    domain->component = NULL;
    domain->is_connected = false;
    log_info(component, "%s is not connected any more", domain->name);
}

static void gone(struct stream_link *stream)
{
    struct server *server = stream->link.shard->server;
    atomic_fetch_sub(&server->connections, 1);
    gate_leave(server, conn_mark(&stream->conn), false); /* uncount() came before */
    stream_link_fini(stream);
    free(of(stream));
}

void component_accept(struct shard *shard, struct socket *socket)
{
    struct server *server = shard->server;
    const struct config *config = server->config;
    uint64_t mark;
    if (shard->stopping ||
        atomic_load(&server->strange_components) >= config->components.max_unauthenticated) {
        shard->counters.refused++;
        socket_close(socket);
        return;
    }
    if (!gate_enter(shard, socket, NS_COMPONENT, &mark))
        return;
    struct component *component = NEW(struct component);
    stream_link_open(&component->stream, shard, socket, &component_ops, &component_events,
                     &config->limits_before);
    conn_set_mark(&component->stream.conn, mark);
    atomic_fetch_add(&server->connections, 1);
    atomic_fetch_add(&server->strange_components, 1);
    component->counted = true;
    component->timer.fired = timed_out;
    timer_start(shard->loop, &component->timer, config->components.handshake_ms);
}

/* ---- The handshake
 * ------------------------------------------------------------------------------------------------- */

static void opened(struct stream_link *stream, const struct xml_node *node)
{
    struct component *component = of(stream);
    struct shard *shard = stream->link.shard;
    struct stream_header header;
    enum stream_error error = stream_header_read_as(node, STR(NS_COMPONENT), &shard->arena, &header);
    if (error == STREAM_ERROR_NONE && !header.to.local_len && jid_is_bare(&header.to))
        component->domain = component_domain_named(shard->server, header.to.full);
    if (error == STREAM_ERROR_NONE && !component->domain)
        error = STREAM_ERROR_HOST_UNKNOWN;
    if (error == STREAM_ERROR_NONE)
        write_header(stream);
    else
        stream_link_fail(stream, error, NULL);
}

/* In time that tells nothing of the secret. */
static bool is_proof(const struct component *component, str text)
{
    const struct config_component *config = component->domain->config;
    char expected[HANDSHAKE_LEN + 1];
    if (text.len != HANDSHAKE_LEN || !config)
        return false;
    handshake_make(str_from(component->id), str_from(config->secret), expected);
    bool equal = mem_equal_secret(expected, text.p, HANDSHAKE_LEN);
    mem_wipe(expected, sizeof expected);
    return equal;
}

static void tell_hosts(struct shard *shard, const struct component_domain *domain)
{
    struct server *server = shard->server;
    struct component_event event = { shard, domain };
    for (size_t i = 0; i < server->host_count; i++)
        if (!server->host_list[i]->service && component_belongs(server->host_list[i], domain))
            fire_component_connected(server->host_list[i], &event);
}

static void serve(struct component *component)
{
    struct stream_link *stream = &component->stream;
    struct component_domain *domain = component->domain;
    component->is_serving = true;
    component->since_us = loop_now_us(stream->link.shard->loop);
    domain->component = component;
    domain->is_connected = true;
    stream->scanner.limits = &config_of(component)->limits_after;
    watch(component);
    stream_link_write(stream, STR("<handshake/>"));
    log_info(component, "%s is connected", domain->name);
    tell_hosts(stream->link.shard, domain);
}

/* At the domain's home. */
static void settle_in(struct component *component)
{
    struct component_domain *domain = component->domain;
    const struct config_component *config = domain->config;
    if (component->stream.link.shard->stopping)
        stream_link_fail(&component->stream, STREAM_ERROR_SYSTEM_SHUTDOWN, NULL);
    else if (!config) /* a reload came between */
        stream_link_fail(&component->stream, STREAM_ERROR_HOST_UNKNOWN, NULL);
    else if (domain->component && config->conflict == CONFLICT_REFUSE)
        stream_link_fail(&component->stream, STREAM_ERROR_CONFLICT, "another connection serves this domain");
    else {
        component_close(domain, STREAM_ERROR_CONFLICT, "a newer connection serves this domain");
        serve(component);
    }
}

static void arrive(struct shard *shard, struct shard_call *call)
{
    struct visa *visa = CONTAINER_OF(call, struct visa, call);
    struct component *component = NEW(struct component);
    component->domain = visa->domain;
    component->timer.fired = timed_out;
    stream_link_unpack(&component->stream, shard, &visa->parcel, &component_ops, &component_events);
    free(visa);
    settle_in(component);
    stream_link_go_on(&component->stream);
}

static void depart(struct stream_link *stream)
{
    struct component *component = of(stream);
    struct server *server = stream->link.shard->server;
    struct visa *visa = component->visa;
    timer_stop(&component->timer);
    stream_link_pack(stream, &visa->parcel);
    free(component);
    shard_post(component_home(server, visa->domain), &visa->call);
}

static void handshake(struct component *component, const struct xml_node *node)
{
    struct stream_link *stream = &component->stream;
    struct shard *shard = stream->link.shard;
    if (!is_proof(component, str_trim(xml_text(node, &shard->arena)))) {
        char address[SOCKET_ADDRESS_MAX];
        conn_peer(&stream->conn, address);
        shard->counters.login_failures++;
        log_warn(component, "wrong handshake for %s from %s", component->domain->name, address);
        stream_link_fail(stream, STREAM_ERROR_NOT_AUTHORIZED, NULL);
        return;
    }
    uncount(component);
    shard->counters.logins++;
    if (component_home(shard->server, component->domain) == shard) {
        settle_in(component);
        return;
    }
    component->visa = NEW(struct visa);
    component->visa->call.run = arrive;
    component->visa->domain = component->domain;
    stream->leaving = true;
}

/* ---- Stanzas from it
 * ------------------------------------------------------------------------------------------------ */

static enum stream_error check_addresses(const struct component *component, const struct stanza *stanza,
                                         enum stanza_fault fault)
{
    if (fault == STANZA_BAD_FROM)
        return STREAM_ERROR_INVALID_FROM;
    if (jid_is_none(&stanza->from))
        return STREAM_ERROR_IMPROPER_ADDRESSING;
    if (!str_eq(jid_domain(&stanza->from), str_from(component->domain->name)))
        return STREAM_ERROR_INVALID_FROM;
    if (jid_is_none(&stanza->to) && fault != STANZA_BAD_TO)
        return STREAM_ERROR_IMPROPER_ADDRESSING;
    return STREAM_ERROR_NONE;
}

/* What can't be handed on is answered here, as if it had been. */
static void bounce(struct component *component, const struct stanza *stanza, enum stanza_fault fault)
{
    struct shard *shard = component->stream.link.shard;
    if (!stanza_may_bounce(stanza))
        return;
    struct stanza answer = stanza_error_reply(
        stanza, fault == STANZA_BAD_TO ? STANZA_ERROR_JID_MALFORMED : STANZA_ERROR_BAD_REQUEST, NULL,
        &shard->arena);
    str host = str_from(shard->server->host_list[0]->name);
    if (jid_is_none(&answer.from))
        answer.from = (struct jid){ host, 0, (uint16_t)host.len };
    shard->counters.errors_out++;
    component_send(component, &answer, &stanza->from);
}

static void stanza_in(struct component *component, const struct xml_node *node)
{
    struct stream_link *stream = &component->stream;
    struct shard *shard = stream->link.shard;
    struct arena *arena = &shard->arena;
    struct stanza *stanza = arena_alloc(arena, sizeof *stanza);
    str ns = str_is(node->ns, NS_CLIENT) ? node->ns : STR(NS_COMPONENT); /* some write it on each stanza */
    enum stanza_fault fault =
        rescope_read(node, ns, scanner_header_declarations(&stream->scanner), str_none, arena, stanza);
    enum stream_error error = fault == STANZA_UNKNOWN ? STREAM_ERROR_UNSUPPORTED_STANZA_TYPE
                              : node->prefix.len      ? STREAM_ERROR_BAD_NAMESPACE_PREFIX /* §4.8.5 */
                                                      : check_addresses(component, stanza, fault);
    if (error != STREAM_ERROR_NONE) {
        log_warn(component, "%s: %s", component->domain->name, stream_error_name(error));
        stream_link_fail(stream, error, NULL);
        return;
    }
    shard->counters.components_in++;
    if (fault != STANZA_OK)
        bounce(component, stanza, fault);
    else
        route(shard, stanza);
}

static void element(struct stream_link *stream, const struct xml_node *node)
{
    struct component *component = of(stream);
    if (component->is_serving)
        stanza_in(component, node);
    else if (xml_is(node, STR("handshake"), STR(NS_COMPONENT)))
        handshake(component, node);
    else /* nothing else before it has proved who it is */
        stream_link_fail(stream, STREAM_ERROR_NOT_AUTHORIZED, NULL);
}

static const struct stream_link_events component_events = {
    .opened = opened,
    .element = element,
    .write_header = write_header,
    .ending = ending,
    .depart = depart,
    .gone = gone,
};

/* ---- Stanzas to it, and as a link
 * ----------------------------------------------------------------------------------- */

/* The connection would be ended when its queue passes the limit, and what waits in it lost without a word; so
 * senders are told from half of it on. */
bool component_send(struct component *component, const struct stanza *stanza, const struct jid *to)
{
    struct conn *conn = &component->stream.conn;
    struct shard *shard = component->stream.link.shard;
    size_t waits = conn_pending(conn);
    if (waits && waits + stanza->attrs.len + stanza_payload(stanza).len >
                     config_of(component)->limits.output_bytes / 2)
        return false;
    if (!rescope_write(conn_out(conn), stanza, to, STR(NS_COMPONENT), &shard->arena)) {
        route_error(shard, stanza, STANZA_ERROR_NOT_ACCEPTABLE,
                    "its namespaces can't be sent to a component");
        return true;
    }
    shard->counters.components_out++;
    conn_wrote(conn);
    return true;
}

bool component_close(struct component_domain *domain, enum stream_error error, const char *text)
{
    if (!domain->component)
        return false;
    stream_link_fail(&domain->component->stream, error, text);
    return true;
}

str component_describe(struct component *component, struct arena *arena)
{
    char address[SOCKET_ADDRESS_MAX];
    uint64_t age_us = loop_now_us(component->stream.link.shard->loop) - component->since_us;
    conn_peer(&component->stream.conn, address);
    return arena_printf(arena, "%s %llus", address, (unsigned long long)(age_us / 1000000));
}

static void link_send(struct link *link, const struct stanza *stanza, const struct jid *to)
{
    component_send(of(STREAM_LINK_OF(link)), stanza, to);
}

static void link_close(struct link *link, enum stream_error error, const char *text)
{
    if (error == STREAM_ERROR_NONE)
        stream_link_end(STREAM_LINK_OF(link));
    else
        stream_link_fail(STREAM_LINK_OF(link), error, text);
}

static void link_resume(struct link *link)
{
    stream_link_go_on(STREAM_LINK_OF(link));
}

static str link_describe(struct link *link, struct arena *arena)
{
    return component_describe(of(STREAM_LINK_OF(link)), arena);
}

static const struct link_ops component_ops = {
    .send = link_send,
    .close = link_close,
    .weight = stream_link_weight,
    .drop = stream_link_drop,
    .resume = link_resume,
    .describe = link_describe,
};
