/* SPDX-License-Identifier: MIT */
/* The bytes of a stream are looked at where they were read; only an element that is not complete yet, or that
 * came while the stream has to wait, is kept in `in`. While it waits nothing more is read, so what a peer can
 * make us keep is bounded by the limits of an element and one read buffer.
 *
 * A stream ends by one way: what belongs to it is let go of (`ending`), the end tag and the queue are sent,
 * and the connection's end, which comes in any case, frees it (`gone`). RFC 6120 §4.4, §4.9.
 *
 * What not: TLS, features, and what an element means. Clients' streams (c2s.c) have those woven in and have
 * their own reading; they were there first. */
#include "server/stream_link.h"

#include "xmpp/ns.h"

#include <stdlib.h>

enum { FINISH_MS = 5000, IN_MAX = 17 << 20 };

static const struct conn_events conn_events;

static void begin(struct stream_link *stream, struct shard *shard, const struct link_ops *ops,
                  const struct stream_link_events *events)
{
    stream->link = (struct link){ .ops = ops, .shard = shard };
    stream->events = events;
    stream->heard_us = loop_now_us(shard->loop);
    list_append(&shard->links, &stream->link._in_shard);
    buf_init(&stream->in, IN_MAX);
}

void stream_link_open(struct stream_link *stream, struct shard *shard, struct socket *socket,
                      const struct link_ops *ops, const struct stream_link_events *events,
                      const struct scan_limits *limits)
{
    begin(stream, shard, ops, events);
    scanner_init(&stream->scanner, limits);
    conn_init(&stream->conn, shard->loop, socket, &conn_events, shard->server->config->limits.output_bytes);
}

void stream_link_fini(struct stream_link *stream)
{
    scanner_fini(&stream->scanner);
    buf_fini(&stream->in);
    conn_fini(&stream->conn);
    list_remove(&stream->link._in_shard);
}

void stream_link_write(struct stream_link *stream, str bytes)
{
    conn_write(&stream->conn, bytes);
}

bool stream_link_is_ending(const struct stream_link *stream)
{
    return stream->_closing;
}

void stream_link_end(struct stream_link *stream)
{
    if (stream->_closing)
        return;
    stream->_closing = true;
    if (stream->header_sent)
        stream_link_write(stream, STR(STREAM_CLOSE_TAG));
    stream->events->ending(stream);
    conn_finish(&stream->conn, FINISH_MS);
}

void stream_link_fail(struct stream_link *stream, enum stream_error error, const char *text)
{
    if (stream->_closing)
        return;
    stream->link.shard->counters.stream_errors++;
    if (!stream->header_sent)
        stream->events->write_header(stream);
    stream_error_write(conn_out(&stream->conn), error, text);
    conn_wrote(&stream->conn);
    stream->header_sent = false; /* its end tag is written already */
    stream_link_end(stream);
}

/* ---- Bytes
 * ------------------------------------------------------------------------------------------------------ */

static bool may_read(const struct stream_link *stream)
{
    return !stream->waiting && !stream->leaving && !stream->_closing;
}

/* Handles what is complete in `input`; returns how many bytes are done with. */
static size_t consume(struct stream_link *stream, str input)
{
    size_t done = 0;
    while (may_read(stream)) {
        struct xml_node node;
        size_t used = 0;
        enum scan_event event = scanner_next(&stream->scanner, str_sub(input, done, input.len), &used, &node);
        done += used;
        if (event == SCAN_OPEN)
            stream->events->opened(stream, &node);
        else if (event == SCAN_ELEMENT)
            stream->events->element(stream, &node);
        else if (event == SCAN_CLOSE)
            stream_link_end(stream);
        else if (event == SCAN_ERROR)
            stream_link_fail(stream, stream_error_of_scan(scanner_error(&stream->scanner)), NULL);
        else if (event == SCAN_MORE)
            return done;
    }
    return done;
}

/* The bytes that wait are taken away meanwhile, since a callback may end or move the stream; and they live as
 * long as the event, since what they say may be delivered only then. If nothing could be done yet they are
 * put back as they are: a stanza that comes byte by byte must not be copied byte by byte. */
static void work_off(struct stream_link *stream)
{
    struct buf in = stream->in;
    buf_init(&stream->in, IN_MAX);
    size_t done = consume(stream, buf_str(&in));
    if (!done && !stream->_closing) {
        stream->in = in;
        return;
    }
    if (!stream->_closing && done < in.len)
        buf_add(&stream->in, str_sub(buf_str(&in), done, in.len));
    shard_free_later(stream->link.shard, in.p);
}

static void take(struct stream_link *stream, str bytes)
{
    if (!stream->in.len && may_read(stream)) {
        size_t done = consume(stream, bytes);
        if (done < bytes.len && !stream->_closing)
            buf_add(&stream->in, str_sub(bytes, done, bytes.len));
        return;
    }
    buf_add(&stream->in, bytes);
    if (buf_failed(&stream->in))
        stream_link_fail(stream, STREAM_ERROR_RESOURCE_CONSTRAINT, NULL);
    else if (may_read(stream))
        work_off(stream);
}

/* After callbacks: goes away, or reads on as it may. */
static void settle(struct stream_link *stream)
{
    if (stream->_closing)
        return;
    if (stream->leaving)
        stream->events->depart(stream);
    else
        conn_pause(&stream->conn, stream->waiting);
}

static void data(struct conn *conn, str bytes)
{
    struct stream_link *stream = CONTAINER_OF(conn, struct stream_link, conn);
    struct shard *shard = stream->link.shard;
    shard_enter(shard);
    stream->heard_us = loop_now_us(shard->loop);
    take(stream, bytes);
    settle(stream);
    shard_leave(shard);
}

void stream_link_go_on(struct stream_link *stream)
{
    stream->waiting = false;
    if (stream->in.len && may_read(stream))
        work_off(stream);
    settle(stream);
}

static void closed(struct conn *conn, enum err why)
{
    struct stream_link *stream = CONTAINER_OF(conn, struct stream_link, conn);
    struct shard *shard = stream->link.shard;
    (void)why;
    shard_enter(shard);
    if (!stream->_closing) {
        stream->_closing = true;
        stream->events->ending(stream);
    }
    stream->events->gone(stream);
    shard_leave(shard);
}

size_t stream_link_weight(struct link *link)
{
    struct stream_link *stream = STREAM_LINK_OF(link);
    return conn_pending(&stream->conn) + stream->in.len;
}

void stream_link_drop(struct link *link)
{
    closed(&STREAM_LINK_OF(link)->conn, ERR_LIMIT);
}

static const struct conn_events conn_events = { .data = data, .closed = closed };

/* ---- The move
 * --------------------------------------------------------------------------------------------------- */

void stream_link_pack(struct stream_link *stream, struct stream_parcel *ret)
{
    *ret = (struct stream_parcel){ .scanner = stream->scanner,
                                   .in = stream->in,
                                   .header_sent = stream->header_sent };
    ret->conn = conn_detach(&stream->conn);
    list_remove(&stream->link._in_shard);
}

void stream_link_unpack(struct stream_link *stream, struct shard *shard, struct stream_parcel *parcel,
                        const struct link_ops *ops, const struct stream_link_events *events)
{
    begin(stream, shard, ops, events);
    stream->scanner = parcel->scanner;
    stream->in = parcel->in;
    stream->header_sent = parcel->header_sent;
    stream->waiting = true;
    conn_attach(&stream->conn, shard->loop, parcel->conn, &conn_events);
    conn_pause(&stream->conn, true);
}
