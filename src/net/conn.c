/* SPDX-License-Identifier: MIT */
/* Connections: readiness in, plain bytes out, and the way back.
 *
 * In: one read a turn into a buffer that all connections of the thread share, through TLS if there is any,
 * and to the owner in one piece; or, if it was compressed, in several, and what becomes of one read may take
 * several turns. A callback of the owner may end or move the connection, so nothing here touches it after
 * one; where two callbacks follow each other (`secured` and `data`, or pieces) the layer's `gone` tells.
 *
 * Out: what is written gathers in a queue, and a task at the end of the turn deflates, encrypts and sends it,
 * with one system call in the usual case. What the kernel does not take waits for SOCKET_WRITABLE.
 *
 * End: whatever ends a connection only notes why; the same task tells the owner, after a last attempt to send
 * what may still be wanted (an answer to the peer's last words, a TLS alert). So `closed` never comes inside
 * a call, and never twice. An orderly end (conn_finish) sends everything, then FIN, and waits for the peer's:
 * closing at once would let the kernel throw the last bytes away, should the peer have sent something that we
 * have not read.
 *
 * Not here: TLS itself (tls_layer.c), compression (zip_layer.c), sockets (src/loop). */
#include "net/conn.h"

#include "net/outbox.h"
#include "net/tls_layer.h"
#include "net/zip_layer.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PAUSED = 1,
    FINISHING = 2,
    SHUT = 4,    /* our FIN is out */
    BLOCKED = 8, /* the kernel takes no more for now */
    ENDED = 16,  /* for the reason in _why */
    HIGH = 32,   /* the queue was above the high mark */
    TOLD = 64,   /* `closed` was called */
    QUEUED = 128 /* the flush task waits for its turn */
};

enum { WIRE_BATCH = 64 * 1024, WIRE_SPARE = 256 * 1024, OUT_MAX_MAX = 1 << 30, QUEUED_MAX = 64 * 1024 };

static _Thread_local char input_room[TLS_INPUT_MAX];
static _Thread_local char plain_room[TLS_PLAIN_MAX];
static _Thread_local char inflated_room[ZIP_STEP];

struct conn_parcel {
    int socket;
    struct tls_layer *tls;
    struct zip_layer *zip;
    struct buf out;
    uint32_t sent, out_max;
    uint8_t flags;
    int8_t why;
    uint64_t mark;
};

/* Bytes that may wait: up to half of the queue's memory may be bytes that are gone already. */
static size_t out_max(const struct conn *conn)
{
    return conn->_out._max / 2;
}

/* Whether there are compressed bytes that the owner has not got yet. */
static bool has_unread(const struct conn *conn)
{
    return conn->_zip && (conn->_zip->unread.len || conn->_zip->more) && !(conn->_flags & FINISHING);
}

static void watch(struct conn *conn)
{
    unsigned events = conn->_flags & BLOCKED ? SOCKET_WRITABLE : 0;
    if (!(conn->_flags & PAUSED) && !has_unread(conn))
        events |= SOCKET_READABLE;
    if (conn->_flags & ENDED)
        events = 0;
    socket_want(conn->_socket, &conn->_owner, events);
}

/* At the end of the turn, even if it had been left for later. */
static void flush_soon(struct conn *conn)
{
    if (conn->_flags & QUEUED)
        task_cancel(&conn->_flush);
    conn->_flags &= (uint8_t)~QUEUED;
    loop_defer(conn->_loop, &conn->_flush);
}

/* Notes the end; the flush task tells it. */
static void end(struct conn *conn, enum err why)
{
    if (conn->_flags & ENDED)
        return;
    conn->_flags |= ENDED;
    conn->_why = (int8_t)why;
    watch(conn);
    flush_soon(conn);
}

/* Whether bytes may still reach the peer. */
static bool can_send(const struct conn *conn)
{
    if (conn->_flags & (SHUT | TOLD) || (conn->_tls && conn->_tls->finished))
        return false;
    return !(conn->_flags & ENDED) || conn->_why == ERR_CLOSED || conn->_why == ERR_TLS;
}

/* ---- Out */

/* Bytes that are not encrypted yet. */
static size_t pending_above_tls(const struct conn *conn)
{
    size_t waiting = conn->_out.len - conn->_sent;
    return conn->_zip ? waiting + conn->_zip->wire.len - conn->_zip->wire_sent : waiting;
}

size_t conn_pending(const struct conn *conn)
{
    size_t waiting = pending_above_tls(conn);
    return conn->_tls ? waiting + conn->_tls->wire.len - conn->_tls->wire_sent : waiting;
}

size_t conn_tidy(void)
{
    return outbox_tidy();
}

bool conn_is_behind(const struct conn *conn)
{
    return conn->_flags & HIGH;
}

/* One write of what waits in a queue. Returns whether all of it went. */
static bool send_queue(struct conn *conn, struct buf *queue, uint32_t *sent)
{
    str waiting = outbox_waiting(queue, *sent);
    size_t taken = 0;
    if (!waiting.len) {
        outbox_drop(queue, sent); /* somebody may have opened it and written nothing */
        return true;
    }
    struct iovec piece = { (char *)waiting.p, waiting.len };
    enum err err = socket_write(conn->_socket, &piece, 1, &taken);
    if (err && err != ERR_AGAIN) {
        end(conn, err);
        outbox_drop(queue, sent);
        return false;
    }
    outbox_take(queue, sent, taken);
    if (taken == waiting.len)
        return true;
    conn->_flags |= BLOCKED;
    return false;
}

/* Deflates the next part of the queue; false when there is none or it failed. */
static bool deflate_part(struct conn *conn)
{
    str waiting = outbox_waiting(&conn->_out, conn->_sent);
    size_t all = waiting.len;
    if (!all) {
        outbox_drop(&conn->_out, &conn->_sent);
        return false;
    }
    if (waiting.len > WIRE_BATCH)
        waiting.len = WIRE_BATCH;
    if (zip_layer_write(conn->_zip, waiting, waiting.len == all)) {
        end(conn, ERR_LIMIT);
        return false;
    }
    outbox_take(&conn->_out, &conn->_sent, waiting.len);
    return true;
}

static void send_zip(struct conn *conn)
{
    struct zip_layer *zip = conn->_zip;
    bool more = true;
    while (more) {
        more = zip->wire.len - zip->wire_sent < WIRE_BATCH && deflate_part(conn);
        if (!send_queue(conn, &zip->wire, &zip->wire_sent))
            return;
    }
}

/* Encrypts the next part of a queue; false when there is none or it failed. */
static bool encrypt_part(struct conn *conn, struct buf *queue, uint32_t *sent)
{
    str waiting = outbox_waiting(queue, *sent);
    if (!waiting.len) {
        outbox_drop(queue, sent);
        return false;
    }
    if (waiting.len > WIRE_BATCH)
        waiting.len = WIRE_BATCH;
    if (tls_layer_write(conn->_tls, waiting)) {
        end(conn, buf_failed(&conn->_tls->wire) ? ERR_LIMIT : ERR_TLS);
        return false;
    }
    outbox_take(queue, sent, waiting.len);
    return true;
}

static bool encrypt(struct conn *conn)
{
    struct zip_layer *zip = conn->_zip;
    if (!conn->_tls->secured)
        return false;
    if (!zip)
        return encrypt_part(conn, &conn->_out, &conn->_sent);
    return encrypt_part(conn, &zip->wire, &zip->wire_sent) || deflate_part(conn);
}

static void send_tls(struct conn *conn)
{
    struct tls_layer *tls = conn->_tls;
    bool more = true;
    while (more) {
        more = tls->wire.len - tls->wire_sent < WIRE_BATCH && encrypt(conn);
        if (!more && conn->_flags & FINISHING && !pending_above_tls(conn))
            tls_layer_finish(tls);
        if (!send_queue(conn, &tls->wire, &tls->wire_sent))
            return;
    }
}

static void send_out(struct conn *conn)
{
    if (conn->_flags & (BLOCKED | SHUT | TOLD))
        return;
    if (conn->_flags & ENDED && conn->_why != ERR_CLOSED && conn->_why != ERR_TLS)
        return;
    if (conn->_tls)
        send_tls(conn);
    else if (conn->_zip)
        send_zip(conn);
    else
        send_queue(conn, &conn->_out, &conn->_sent);
}

struct buf *conn_out(struct conn *conn)
{
    outbox_open(&conn->_out);
    return &conn->_out;
}

/* Looks at what was written; returns whether it is to be sent. */
static bool takes_written(struct conn *conn)
{
    if (!can_send(conn)) {
        outbox_drop(&conn->_out, &conn->_sent);
        return false;
    }
    size_t waiting = conn_pending(conn);
    if (buf_failed(&conn->_out) || waiting > out_max(conn)) {
        outbox_drop(&conn->_out, &conn->_sent);
        end(conn, ERR_LIMIT);
        return false;
    }
    if (waiting > out_max(conn) / 2)
        conn->_flags |= HIGH;
    return !(conn->_flags & BLOCKED);
}

void conn_wrote(struct conn *conn)
{
    if (takes_written(conn))
        flush_soon(conn);
}

void conn_wrote_to_many(struct conn *conn)
{
    if (!takes_written(conn))
        return;
    if (conn_pending(conn) > QUEUED_MAX) {
        flush_soon(conn);
        return;
    }
    conn->_flags |= QUEUED;
    loop_queue(conn->_loop, &conn->_flush); /* unless it is deferred already */
}

void conn_write(struct conn *conn, str bytes)
{
    buf_add(conn_out(conn), bytes);
    conn_wrote(conn);
}

/* ---- The end of the turn */

static void tell_end(struct conn *conn)
{
    enum err why = conn->_why;
    timer_stop(&conn->_deadline);
    if (conn->_flags & FINISHING && why == ERR_CLOSED && !conn_pending(conn))
        why = OK;
    conn->_flags |= TOLD;
    conn->_events->closed(conn, why);
}

static void take_in(struct conn *conn, str bytes);

static void tell_unread(struct conn *conn)
{
    struct buf bytes = conn->_tls->unread;
    buf_init(&conn->_tls->unread, TLS_PLAIN_MAX);
    if (conn->_flags & ENDED)
        flush_soon(conn);
    take_in(conn, buf_str(&bytes));
    buf_fini(&bytes);
}

/* What is compressed and waits is not forgotten; `again` goes on with it. */
static bool must_read_first(const struct conn *conn)
{
    return conn->_flags & ENDED && has_unread(conn) && !(conn->_flags & PAUSED);
}

static void flush(struct task *task)
{
    struct conn *conn = CONTAINER_OF(task, struct conn, _flush);
    conn->_flags &= (uint8_t)~QUEUED;
    if (conn->_flags & TOLD)
        return;
    send_out(conn);
    if (conn->_flags & FINISHING && !(conn->_flags & SHUT) && !conn_pending(conn)) {
        socket_shutdown(conn->_socket);
        conn->_flags |= SHUT;
    }
    if (conn->_tls && conn->_tls->unread.len && !(conn->_flags & (PAUSED | FINISHING))) {
        watch(conn);
        tell_unread(conn);
        return;
    }
    if (must_read_first(conn))
        return;
    if (conn->_flags & ENDED) {
        tell_end(conn);
        return;
    }
    watch(conn);
    if (conn->_flags & HIGH && conn_pending(conn) <= out_max(conn) / 8) {
        conn->_flags &= (uint8_t)~HIGH;
        if (conn->_events->drained)
            conn->_events->drained(conn);
    }
}

/* ---- In */

/* The rest waits: for the others' turn, or for the owner. */
static void put_off(struct conn *conn, str deflated)
{
    struct zip_layer *zip = conn->_zip;
    buf_add(&zip->unread, deflated);
    watch(conn);
    if (buf_failed(&zip->unread))
        end(conn, ERR_LIMIT);
    else if (!(conn->_flags & PAUSED))
        loop_queue(conn->_loop, &zip->again);
}

/* Tells the owner of inflated bytes, or why there are none. False: the connection is gone. */
static bool tell_inflated(struct conn *conn, enum err err, str plain, str rest)
{
    struct zip_layer *zip = conn->_zip;
    bool gone = false;
    zip->gone = &gone;
    zip->arrived = rest;
    if (err && conn->_events->garbled)
        conn->_events->garbled(conn, err);
    else if (err)
        end(conn, err);
    else if (plain.len)
        conn->_events->data(conn, plain);
    if (gone)
        return false;
    zip->gone = NULL;
    zip->arrived = str_none;
    return true;
}

/* False: the connection is gone. */
static bool inflate_and_tell(struct conn *conn, str bytes)
{
    size_t told = 0, len;
    while ((bytes.len || conn->_zip->more) && !(conn->_flags & FINISHING)) {
        if (told >= ZIP_TURN || conn->_flags & PAUSED) {
            put_off(conn, bytes);
            return true;
        }
        enum err err = zip_layer_read(conn->_zip, &bytes, inflated_room, &len);
        if (!tell_inflated(conn, err, str_of(inflated_room, len), bytes))
            return false;
        if (err)
            return true;
        told += len;
    }
    watch(conn);
    return true;
}

static void inflate_again(struct task *task)
{
    struct zip_layer *zip = CONTAINER_OF(task, struct zip_layer, again);
    struct conn *conn = zip->conn;
    if (conn->_flags & (PAUSED | TOLD))
        return;
    struct buf unread = zip->unread;
    buf_init(&zip->unread, unread._max);
    if (inflate_and_tell(conn, buf_str(&unread)) && conn->_flags & ENDED)
        flush_soon(conn);
    buf_fini(&unread);
}

/* Bytes that the socket, or TLS, has brought. */
static void take_in(struct conn *conn, str bytes)
{
    if (conn->_zip)
        inflate_and_tell(conn, bytes);
    else
        conn->_events->data(conn, bytes);
}

/* Tells the owner of the handshake's end and of the bytes behind it. */
static void tell_secured(struct conn *conn, str bytes)
{
    struct tls_layer *tls = conn->_tls;
    bool gone = false;
    if (conn->_events->secured) {
        tls->gone = &gone;
        tls->arrived = bytes;
        conn->_events->secured(conn);
        if (gone)
            return;
        tls->gone = NULL;
        tls->arrived = str_none;
    }
    if (bytes.len && conn->_flags & PAUSED)
        buf_add(&tls->unread, bytes);
    else if (bytes.len && !(conn->_flags & FINISHING))
        take_in(conn, bytes);
}

static void read_tls(struct conn *conn, str input)
{
    struct tls_layer *tls = conn->_tls;
    bool was_secured = tls->secured;
    size_t len;
    enum err err = tls_layer_read(tls, input, plain_room, &len);
    if (err)
        end(conn, buf_failed(&tls->wire) ? ERR_LIMIT : err);
    if (tls->wire.len || (tls->secured && !was_secured))
        flush_soon(conn);
    if (tls->secured && !was_secured)
        tell_secured(conn, str_of(plain_room, len));
    else if (len)
        take_in(conn, str_of(plain_room, len));
}

static void read_socket(struct conn *conn)
{
    size_t len;
    enum err err = socket_read(conn->_socket, input_room, sizeof input_room, &len);
    if (err == ERR_AGAIN)
        return;
    if (err) {
        end(conn, err);
        return;
    }
    if (conn->_flags & FINISHING)
        return; /* nobody listens any more; only the end of the stream is waited for */
    if (conn->_tls)
        read_tls(conn, str_of(input_room, len));
    else
        take_in(conn, str_of(input_room, len));
}

static void ready(struct socket_owner *owner, unsigned events)
{
    struct conn *conn = CONTAINER_OF(owner, struct conn, _owner);
    if (conn->_flags & ENDED)
        return;
    if (events & SOCKET_WRITABLE) {
        conn->_flags &= (uint8_t)~BLOCKED;
        flush_soon(conn);
    }
    if (!(events & SOCKET_READABLE))
        return;
    if (conn->_flags & PAUSED) {
        /* Nobody asked for this: it is the socket's way to tell of an error. */
        enum err err = socket_error(conn->_socket);
        if (err)
            end(conn, err);
        return;
    }
    read_socket(conn);
}

void conn_pause(struct conn *conn, bool pause)
{
    conn->_flags = (uint8_t)(pause ? conn->_flags | PAUSED : conn->_flags & ~PAUSED);
    watch(conn);
    if (!pause && conn->_tls && conn->_tls->unread.len)
        flush_soon(conn);
    if (!pause && has_unread(conn))
        loop_queue(conn->_loop, &conn->_zip->again);
}

/* ---- Life */

static void too_late(struct timer *timer)
{
    end(CONTAINER_OF(timer, struct conn, _deadline), ERR_TIMEOUT);
}

static void set_up(struct conn *conn, struct loop *loop, struct socket *socket,
                   const struct conn_events *events, size_t max)
{
    assert(max && max <= OUT_MAX_MAX);
    *conn = (struct conn){
        ._owner.ready = ready,
        ._loop = loop,
        ._socket = socket,
        ._events = events,
        ._flush.run = flush,
        ._deadline.fired = too_late,
    };
    buf_init(&conn->_out, 2 * max);
}

void conn_init(struct conn *conn, struct loop *loop, struct socket *socket, const struct conn_events *events,
               size_t max)
{
    set_up(conn, loop, socket, events, max);
    watch(conn);
}

void conn_fini(struct conn *conn)
{
    task_cancel(&conn->_flush);
    timer_stop(&conn->_deadline);
    tls_layer_free(conn->_tls);
    zip_layer_free(conn->_zip);
    conn->_tls = NULL;
    conn->_zip = NULL;
    outbox_drop(&conn->_out, &conn->_sent);
    socket_close(conn->_socket);
    conn->_socket = NULL;
}

void conn_finish(struct conn *conn, unsigned timeout_ms)
{
    if (conn->_flags & (FINISHING | TOLD))
        return;
    conn->_flags = (uint8_t)((conn->_flags | FINISHING) & ~PAUSED);
    if (conn->_tls && !conn->_tls->secured)
        outbox_drop(&conn->_out, &conn->_sent); /* there is no way to say it */
    timer_start(conn->_loop, &conn->_deadline, timeout_ms);
    send_out(conn); /* now: thousands may end in a turn, and there is nothing to wait for */
    flush_soon(conn);
}

void conn_peer(const struct conn *conn, char address[SOCKET_ADDRESS_MAX])
{
    socket_peer(conn->_socket, address);
}

/* ---- TLS */

void conn_start_tls(struct conn *conn, struct tls_context *context, const char *server_name, const char *alpn)
{
    conn_start_tls_expecting(conn, context, server_name, alpn, NULL, 0);
}

void conn_start_tls_expecting(struct conn *conn, struct tls_context *context, const char *server_name,
                              const char *alpn, const struct tls_tlsa *records, size_t count)
{
    assert(!conn->_tls);
    size_t plain_max = conn->_out._max, wire_max = plain_max + WIRE_SPARE;
    struct tls_layer *tls = tls_layer_new(context, server_name, alpn, wire_max);
    if (!tls) {
        end(conn, ERR_INVALID);
        return;
    }
    tls->wire = conn->_out;
    tls->wire._max = wire_max;
    tls->wire_sent = conn->_sent;
    buf_init(&conn->_out, plain_max);
    conn->_sent = 0;
    conn->_tls = tls;
    if (server_name)
        tls_layer_expect(tls, server_name, records, count);
    if (server_name && tls_layer_start(tls))
        end(conn, ERR_TLS);
    flush_soon(conn);
}

bool conn_is_secure(const struct conn *conn)
{
    return conn->_tls && conn->_tls->secured;
}

str conn_channel_binding(struct conn *conn, enum channel_binding kind, struct arena *arena)
{
    return conn->_tls ? tls_layer_binding(conn->_tls, kind, arena) : str_none;
}

bool conn_has_channel_binding(const struct conn *conn, enum channel_binding kind)
{
    return conn->_tls && tls_layer_has_binding(conn->_tls, kind);
}

const char *conn_tls_sni(const struct conn *conn)
{
    return conn->_tls && conn->_tls->sni ? conn->_tls->sni : "";
}

const char *conn_tls_version(const struct conn *conn)
{
    return conn_is_secure(conn) ? SSL_get_version(conn->_tls->ssl) : "";
}

const char *conn_tls_cipher(const struct conn *conn)
{
    return conn_is_secure(conn) ? SSL_get_cipher_name(conn->_tls->ssl) : "";
}

str *conn_client_addresses(struct conn *conn, struct arena *arena, size_t *ret_count)
{
    *ret_count = 0;
    return conn->_tls ? tls_layer_client_addresses(conn->_tls, arena, ret_count) : NULL;
}

struct tls_name *conn_peer_names(struct conn *conn, struct arena *arena, size_t *ret_count)
{
    *ret_count = 0;
    return conn->_tls ? tls_layer_peer_names(conn->_tls, arena, ret_count) : NULL;
}

const struct tls_certificate *conn_peer_certificate(struct conn *conn, struct arena *arena)
{
    return conn->_tls ? tls_layer_peer_certificate(conn->_tls, arena) : NULL;
}

str conn_peer_der(struct conn *conn, struct arena *arena)
{
    return conn->_tls ? tls_layer_peer_der(conn->_tls, arena) : str_none;
}

enum tls_dane conn_peer_dane(const struct conn *conn)
{
    return conn->_tls ? tls_layer_dane(conn->_tls) : TLS_DANE_NONE;
}

const char *conn_peer_fault(const struct conn *conn)
{
    return conn->_tls ? tls_layer_peer_fault(conn->_tls) : "no TLS";
}

/* ---- Compression */

static void settle_zip(struct conn *conn)
{
    conn->_zip->conn = conn;
    conn->_zip->again.run = inflate_again;
}

void conn_compress(struct conn *conn, const struct zip_settings *settings, str behind)
{
    assert(!conn->_zip && (!conn->_tls || conn->_tls->secured));
    size_t plain_max = conn->_out._max, wire_max = plain_max + WIRE_SPARE;
    struct zip_layer *zip = zip_layer_new(settings, wire_max);
    zip->wire = conn->_out;
    zip->wire._max = wire_max;
    zip->wire_sent = conn->_sent;
    buf_init(&conn->_out, plain_max);
    conn->_sent = 0;
    conn->_zip = zip;
    settle_zip(conn);
    if (behind.len)
        put_off(conn, behind);
    flush_soon(conn);
}

bool conn_is_compressed(const struct conn *conn)
{
    return conn->_zip;
}

/* ---- Moving */

struct conn_parcel *conn_detach(struct conn *conn)
{
    assert(!(conn->_flags & (FINISHING | TOLD)));
    send_out(conn);
    task_cancel(&conn->_flush);
    struct conn_parcel *parcel = NEW(struct conn_parcel);
    *parcel = (struct conn_parcel){
        .socket = socket_detach(conn->_socket),
        .tls = conn->_tls,
        .zip = conn->_zip,
        .out = conn->_out,
        .sent = conn->_sent,
        .out_max = (uint32_t)out_max(conn),
        .flags = conn->_flags & (ENDED | HIGH),
        .why = conn->_why,
        .mark = conn->_mark,
    };
    if (conn->_tls && conn->_tls->gone) {
        *conn->_tls->gone = true;
        conn->_tls->gone = NULL;
        buf_add(&conn->_tls->unread, conn->_tls->arrived);
        conn->_tls->arrived = str_none;
    }
    if (conn->_zip)
        zip_layer_leave(conn->_zip);
    conn->_socket = NULL;
    conn->_tls = NULL;
    conn->_zip = NULL;
    return parcel;
}

void conn_attach(struct conn *conn, struct loop *loop, struct conn_parcel *parcel,
                 const struct conn_events *events)
{
    set_up(conn, loop, socket_attach(loop, parcel->socket), events, parcel->out_max);
    conn->_tls = parcel->tls;
    conn->_zip = parcel->zip;
    conn->_out = parcel->out;
    conn->_sent = parcel->sent;
    conn->_flags = parcel->flags;
    conn->_why = parcel->why;
    conn->_mark = parcel->mark;
    free(parcel);
    if (conn->_tls)
        tls_layer_settle(conn->_tls);
    if (conn->_zip)
        settle_zip(conn);
    watch(conn);
    if (has_unread(conn))
        loop_queue(loop, &conn->_zip->again);
    if (conn_pending(conn) || conn->_flags & (ENDED | HIGH) || (conn->_tls && conn->_tls->unread.len))
        loop_defer(loop, &conn->_flush);
}

void conn_parcel_free(struct conn_parcel *parcel)
{
    if (!parcel)
        return;
    socket_discard(parcel->socket);
    tls_layer_free(parcel->tls);
    zip_layer_free(parcel->zip);
    outbox_drop(&parcel->out, &parcel->sent);
    free(parcel);
}
