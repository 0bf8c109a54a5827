/* SPDX-License-Identifier: MIT */
/* A TCP port of an extension's own, and the connections that come in there: all that an extension sees of the
 * network. The port is opened on every shard, at the start, where the settings of a host want it; connections
 * count in the limits by address (gate.h) and hold no buffer while idle (net/conn.h).
 *
 * Thread affinity: a connection is its shard's, until it is moved. Its callbacks are events of the shard, and
 * never run inside a call of ours. */
#ifndef SERVER_EXT_PORT_H
#define SERVER_EXT_PORT_H

#include "net/conn.h"
#include "server/shard.h"

/* In the descriptor of an extension. */
struct ext_port {
    /* Where the settings of a host want it: IP addresses ("": all of both families), and a number; 0:
     * nowhere. Hosts may share one; the first of them counts as the one that it belongs to. */
    void (*where)(const void *settings, const struct config_list **ret_addresses, unsigned *ret_number);
    /* A connection has come: to be taken with ext_conn_open(), or closed. */
    void (*accepted)(struct shard *shard, struct host *host, struct socket *socket);
};

struct ext_conn;

struct ext_conn_events {
    /* Bytes came in; they are gone when the call returns. The handler may end or move the connection. */
    void (*data)(struct ext_conn *conn, str bytes);
    /* What waited to be sent, and was so much that ext_conn_is_behind() said so, is little again. May be
     * NULL.
     */
    void (*drained)(struct ext_conn *conn);
    /* It has ended. Comes once, and not after ext_conn_fini(), which the owner calls then. */
    void (*closed)(struct ext_conn *conn);
};

/* Embedded in what the extension has for a connection. */
struct ext_conn {
    struct conn _conn;
    const struct ext_conn_events *_events;
    struct shard *shard;
    bool _is_stranger; /* nobody of ours is known to be at its end */
};

/* Takes a connection over, unless too many come from its address: then it is closed, and false returned.
 * `out_max`: bytes that may wait to be sent before it is ended; one turn brings up to 64 KiB of another one.
 */
bool ext_conn_open(struct ext_conn *conn, struct shard *shard, struct socket *socket,
                   const struct ext_conn_events *events, size_t out_max);

/* Lets go of it at once; what was not sent is lost. */
void ext_conn_fini(struct ext_conn *conn);

/* Sends what waits, drops what comes, and calls `closed` when the peer has closed, or after `timeout_ms`. */
void ext_conn_finish(struct ext_conn *conn, unsigned timeout_ms);

/* Queues bytes; they leave at the end of the turn. */
void ext_conn_write(struct ext_conn *conn, str bytes);

/* Whether half of what may wait to be sent does, or did and `drained` has not come yet. */
bool ext_conn_is_behind(const struct ext_conn *conn);

/* Reading stops (back-pressure) or goes on. */
void ext_conn_pause(struct ext_conn *conn, bool pause);

/* It is known who is at its end: it does not count among the strangers of its address any more. */
void ext_conn_known(struct ext_conn *conn);

/* Moving to another shard: pack it on its own, post the parcel, unpack it into the memory of the new owner on
 * the other one. Every parcel must be unpacked. Not after ext_conn_finish(). */
struct ext_conn_parcel {
    struct conn_parcel *_parcel;
    bool _is_stranger;
};
void ext_conn_pack(struct ext_conn *conn, struct ext_conn_parcel *ret);
void ext_conn_unpack(struct ext_conn *conn, struct shard *shard, const struct ext_conn_parcel *parcel,
                     const struct ext_conn_events *events);

#endif
