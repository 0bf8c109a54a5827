/* SPDX-License-Identifier: MIT */
/* See ext_port.h. What this adds to a connection (net/conn.h) is what no extension should forget: that its
 * callbacks are events of a shard, and that it counts at the gate until it has gone. */
#include "server/ext_port.h"

#include "server/gate.h"

static struct ext_conn *of(struct conn *conn)
{
    return CONTAINER_OF(conn, struct ext_conn, _conn);
}

static void data(struct conn *base, str bytes)
{
    struct ext_conn *conn = of(base);
    struct shard *shard = conn->shard;
    shard_enter(shard);
    conn->_events->data(conn, bytes);
    shard_leave(shard);
}

static void drained(struct conn *base)
{
    struct ext_conn *conn = of(base);
    struct shard *shard = conn->shard;
    if (!conn->_events->drained)
        return;
    shard_enter(shard);
    conn->_events->drained(conn);
    shard_leave(shard);
}

static void closed(struct conn *base, enum err why)
{
    struct ext_conn *conn = of(base);
    struct shard *shard = conn->shard;
    (void)why;
    shard_enter(shard);
    conn->_events->closed(conn);
    shard_leave(shard);
}

static const struct conn_events conn_events = { .data = data, .drained = drained, .closed = closed };

bool ext_conn_open(struct ext_conn *conn, struct shard *shard, struct socket *socket,
                   const struct ext_conn_events *events, size_t out_max)
{
    uint64_t mark;
    if (!gate_enter(shard, socket, NULL, &mark))
        return false;
    conn->_events = events;
    conn->shard = shard;
    conn->_is_stranger = true;
    conn_init(&conn->_conn, shard->loop, socket, &conn_events, out_max);
    conn_set_mark(&conn->_conn, mark);
    return true;
}

void ext_conn_fini(struct ext_conn *conn)
{
    gate_leave(conn->shard->server, conn_mark(&conn->_conn), conn->_is_stranger);
    conn_fini(&conn->_conn);
}

void ext_conn_finish(struct ext_conn *conn, unsigned timeout_ms)
{
    conn_finish(&conn->_conn, timeout_ms);
}

void ext_conn_write(struct ext_conn *conn, str bytes)
{
    conn_write(&conn->_conn, bytes);
}

bool ext_conn_is_behind(const struct ext_conn *conn)
{
    return conn_is_behind(&conn->_conn);
}

void ext_conn_pause(struct ext_conn *conn, bool pause)
{
    conn_pause(&conn->_conn, pause);
}

void ext_conn_known(struct ext_conn *conn)
{
    if (conn->_is_stranger)
        gate_known(conn->shard->server, conn_mark(&conn->_conn));
    conn->_is_stranger = false;
}

void ext_conn_pack(struct ext_conn *conn, struct ext_conn_parcel *ret)
{
    *ret = (struct ext_conn_parcel){ conn_detach(&conn->_conn), conn->_is_stranger };
}

void ext_conn_unpack(struct ext_conn *conn, struct shard *shard, const struct ext_conn_parcel *parcel,
                     const struct ext_conn_events *events)
{
    conn->_events = events;
    conn->shard = shard;
    conn->_is_stranger = parcel->_is_stranger;
    conn_attach(&conn->_conn, shard->loop, parcel->_parcel, &conn_events);
}
