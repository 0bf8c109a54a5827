/* SPDX-License-Identifier: MIT */
/* The life of a client: connecting, bytes to elements, the end. Logging in is client_login.c.
 *
 * In: the connection hands over bytes that are gone afterwards; the scanner looks at them in place, and only
 * what is left of an element at their end is kept, until the next bytes complete it. So an idle client holds
 * no memory but itself, its TLS state and its JID.
 *
 * The end has one way: the reason is noted, the stream closed, and the connection's own end (which always
 * comes, and never inside a call) releases everything and tells the owner. A client that has no connection
 * yet tells by a task. Callbacks of the owner may free the client; `_gone` tells that to the loop over
 * elements.
 *
 * Not here: DNS (the owner brings an address), what is acknowledged (the owner counts), reconnecting. */
#include "client/client.h"

#include "client/client_login.h"
#include "xmpp/ns.h"
#include "xmpp/stream.h"

#include <assert.h>
#include <stdlib.h>

enum { CLOSE_TIMEOUT_MS = 5000, INPUT_AT_ONCE_MAX = 128 * 1024, ALL_USED = -1 };

#define BARE_HEADER "<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAMS "' version='1.0'>"

void client_settings_init(struct client_settings *settings, struct loop *loop)
{
    *settings = (struct client_settings){
        .loop = loop,
        .address = "127.0.0.1",
        .port = 5222,
        .limits = { .element_bytes = 1024 * 1024, .depth = 64, .attributes = 64, .name_bytes = 256 },
        .out_max = 16 * 1024 * 1024,
        .login_timeout_ms = 60 * 1000,
    };
}

/* ---- The end */

static void release(struct client *client)
{
    if (client->_socket)
        socket_close(client->_socket);
    else if (client->_state > CLIENT_CONNECTING)
        conn_fini(&client->_conn);
    client->_socket = NULL;
    task_cancel(&client->_tell);
    timer_stop(&client->_deadline);
    scanner_fini(&client->_scanner);
    buf_fini(&client->_rest);
    client_login_free(client->_login);
    client->_login = NULL;
    free(client->_jid);
    client->_jid = NULL;
    client->_state = CLIENT_ENDED;
}

void client_fini(struct client *client)
{
    if (client->_gone)
        *client->_gone = true;
    client->_gone = NULL;
    if (client->_state != CLIENT_ENDED)
        release(client);
}

static void tell(struct task *task)
{
    struct client *client = CONTAINER_OF(task, struct client, _tell);
    release(client);
    client->_events->closed(client, client->_why);
}

static void note(struct client *client, enum err why, str reason)
{
    client->_why = (int8_t)why;
    str_copy(reason, client->_reason, sizeof client->_reason);
}

void client_end(struct client *client, enum err why, str reason)
{
    enum client_state before = client->_state;
    if (before == CLIENT_CLOSING || before == CLIENT_ENDED)
        return;
    note(client, why, reason);
    timer_stop(&client->_deadline);
    if (before == CLIENT_CONNECTING) {
        loop_defer(client->_settings->loop, &client->_tell);
        return;
    }
    client->_state = CLIENT_CLOSING;
    if (before != CLIENT_SECURING && !client->_settings->bare)
        conn_write(&client->_conn, STR(STREAM_CLOSE_TAG));
    conn_finish(&client->_conn, CLOSE_TIMEOUT_MS);
}

void client_close(struct client *client)
{
    client_end(client, OK, STR(""));
}

static void conn_closed(struct conn *conn, enum err why)
{
    struct client *client = CONTAINER_OF(conn, struct client, _conn);
    if (client->_state != CLIENT_CLOSING)
        note(client, why ? why : ERR_CLOSED, why == ERR_TLS ? STR("") : STR("connection-lost"));
    tell(&client->_tell);
}

static void too_late(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, _deadline);
    client_end(client, ERR_TIMEOUT, STR("login-timeout"));
}

/* ---- Bytes to elements */

static void stream_error(struct client *client, const struct xml_node *node)
{
    struct xml_node condition;
    str reason = xml_first(node, &condition) ? condition.name : STR("stream-error");
    client_end(client, ERR_REFUSED, reason);
}

static void element(struct client *client, const struct xml_node *node)
{
    if (client->_state == CLIENT_HEADER && client->_settings->component) {
        client_component_header(client, node);
        return;
    }
    if (client->_state == CLIENT_HEADER) {
        client->_state = CLIENT_FEATURES;
        return;
    }
    if (str_is(node->name, "error") && str_is(node->ns, NS_STREAMS)) {
        stream_error(client, node);
        return;
    }
    if (client->_state == CLIENT_READY)
        client->_events->stanza(client, node);
    else if (client->_state == CLIENT_HANDSHAKE)
        client_component_element(client, node);
    else
        client_login_element(client, node);
}

/* From here on all is compressed; a new stream begins. We trust the server's ratio of compression. */
static void squeeze(struct client *client, str behind)
{
    static const struct zip_settings settings = {
        .level = 6, .window_bits = 15, .memory_level = 8, .ratio = 1100, .burst = 1 << 20
    };
    conn_compress(&client->_conn, &settings, behind);
    client_login_open(client);
}

/* Handles what is whole in the input. Returns the bytes used, or ALL_USED when the client has ended or is
 * ending (then, if `*gone`, it must not be touched). */
static ptrdiff_t consume(struct client *client, str input, const bool *gone)
{
    size_t at = 0;
    while (at < input.len) {
        struct xml_node node;
        size_t used = 0;
        enum scan_event event = scanner_next(&client->_scanner, str_sub(input, at, input.len), &used, &node);
        at += used;
        if (event == SCAN_MORE)
            break;
        if (event == SCAN_ERROR)
            client_end(client, ERR_SYNTAX, STR("not-well-formed"));
        else if (event == SCAN_CLOSE)
            client_end(client, ERR_CLOSED, STR("stream-closed"));
        else
            element(client, &node);
        if (*gone || client->_state == CLIENT_CLOSING || client->_state == CLIENT_ENDED)
            return ALL_USED;
        if (client->_state == CLIENT_SECURING) {
            /* RFC 6120 §5.4.3.3: what stands behind proceed in plain text may be anybody's. */
            if (at < input.len)
                client_end(client, ERR_SYNTAX, STR("data-before-tls"));
            return ALL_USED;
        }
        if (client->_state == CLIENT_SQUEEZING) {
            squeeze(client, str_sub(input, at, input.len));
            return ALL_USED;
        }
    }
    return (ptrdiff_t)at;
}

static void conn_data(struct conn *conn, str bytes)
{
    struct client *client = CONTAINER_OF(conn, struct client, _conn);
    bool gone = false, kept = client->_rest.len > 0;
    if (kept)
        buf_add(&client->_rest, bytes);
    str input = kept ? buf_str(&client->_rest) : bytes;
    client->_gone = &gone;
    ptrdiff_t used = consume(client, input, &gone);
    if (gone)
        return;
    client->_gone = NULL;
    if (used == ALL_USED || (size_t)used == input.len)
        buf_fini(&client->_rest);
    else if (kept)
        buf_consume(&client->_rest, (size_t)used);
    else
        buf_add(&client->_rest, str_sub(input, (size_t)used, input.len));
}

/* ---- The beginning */

static void begin_stream(struct client *client)
{
    if (client->_settings->component) {
        client_component_open(client);
        return;
    }
    if (!client->_settings->bare) {
        client_login_open(client);
        return;
    }
    struct xml_node node;
    size_t used;
    enum scan_event event = scanner_next(&client->_scanner, STR(BARE_HEADER), &used, &node);
    assert(event == SCAN_OPEN);
    (void)event;
    client_enter(client);
}

static void conn_secured(struct conn *conn)
{
    begin_stream(CONTAINER_OF(conn, struct client, _conn));
}

void client_secure(struct client *client)
{
    const struct client_settings *settings = client->_settings;
    client->_state = CLIENT_SECURING;
    conn_start_tls(&client->_conn, settings->tls_context, settings->domain, "xmpp-client");
}

void client_enter(struct client *client)
{
    client_login_free(client->_login);
    client->_login = NULL;
    timer_stop(&client->_deadline);
    client->_state = CLIENT_READY;
    client->_events->ready(client);
}

static const struct conn_events conn_events = {
    .data = conn_data,
    .secured = conn_secured,
    .closed = conn_closed,
};

static void connected(struct socket_owner *owner, unsigned events)
{
    struct client *client = CONTAINER_OF(owner, struct client, _connecting);
    enum err err = socket_error(client->_socket);
    (void)events;
    if (client->_why)
        return; /* it has ended already and is about to tell */
    if (err) {
        socket_want(client->_socket, owner, 0);
        client_end(client, err, STR("not-connected"));
        return;
    }
    struct socket *socket = client->_socket;
    client->_socket = NULL;
    conn_init(&client->_conn, client->_settings->loop, socket, &conn_events, client->_settings->out_max);
    client->_state = CLIENT_SECURING;
    if (client->_settings->tls == CLIENT_TLS_DIRECT)
        client_secure(client);
    else
        begin_stream(client);
}

void client_start(struct client *client, const struct client_settings *settings,
                  const struct client_events *events)
{
    *client = (struct client){
        .user = client->user,
        .password = client->password,
        .resource = client->resource,
        .cache = client->cache,
        .instant = client->instant,
        .resumption = client->resumption,
        ._settings = settings,
        ._events = events,
        ._connecting.ready = connected,
        ._deadline.fired = too_late,
        ._tell.run = tell,
        ._state = CLIENT_CONNECTING,
    };
    scanner_init(&client->_scanner, &settings->limits);
    buf_init(&client->_rest, settings->limits.element_bytes + (size_t)INPUT_AT_ONCE_MAX);
    enum err err = socket_connect(settings->loop, settings->address, settings->port, &client->_connecting,
                                  &client->_socket);
    if (err)
        client_end(client, err, STR("not-connected"));
    else if (settings->login_timeout_ms)
        timer_start(settings->loop, &client->_deadline, settings->login_timeout_ms);
}

/* ---- Sending and asking */

void client_send(struct client *client, str bytes)
{
    assert(client->_state >= CLIENT_READY);
    conn_write(&client->_conn, bytes);
}

struct buf *client_out(struct client *client)
{
    assert(client->_state >= CLIENT_READY);
    return conn_out(&client->_conn);
}

void client_wrote(struct client *client)
{
    conn_wrote(&client->_conn);
}

const char *client_jid(const struct client *client)
{
    return client->_jid ? client->_jid : "";
}

const char *client_reason(const struct client *client)
{
    return client->_reason;
}
