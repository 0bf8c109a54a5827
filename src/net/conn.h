/* SPDX-License-Identifier: MIT */
/* A connection: a socket with layers of bytes above it (TLS, compression), that holds no buffer while it is
 * idle. What is written in one turn of the loop leaves in one system call at its end.
 *
 * Thread affinity: the loop that it was started on, until it is moved. Callbacks never run inside a call of
 * ours. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"
#include "loop/socket.h"
#include "net/tls.h"

struct conn;

struct conn_events {
    /* Plain bytes came in; they are gone when the call returns. The handler may close or detach the
     * connection: then no further callback comes. */
    void (*data)(struct conn *conn, str bytes);
    /* The TLS handshake is over. May be NULL. */
    void (*secured)(struct conn *conn);
    /* What comes in can't be decompressed (ERR_SYNTAX), or becomes too much (ERR_LIMIT): the owner says so
     * and finishes the connection. NULL: it ends by itself, for that reason. */
    void (*garbled)(struct conn *conn, enum err why);
    /* The queue of output fell below the low mark (an eighth of its maximum) after having been above the high
     * one (half of it). May be NULL. */
    void (*drained)(struct conn *conn);
    /* The connection has ended, from outside: ERR_CLOSED by the peer, ERR_LIMIT when our queue passed its
     * maximum, ERR_TLS, ERR_TIMEOUT, ERR_IO. Comes once; the owner then calls conn_fini(). Not called after
     * conn_fini(). */
    void (*closed)(struct conn *conn, enum err why);
};

struct tls_layer;
struct zip_layer;

/* Compression of one connection. */
struct zip_settings {
    uint8_t level;        /* 1 (fast) to 9 (small) */
    uint8_t window_bits;  /* 9 to 15: the way out looks back by 2^n bytes, and costs 2^(n+2) of memory */
    uint8_t memory_level; /* 1 to 9: and 2^(n+9) for its tables */
    uint32_t ratio;       /* how many bytes one that comes in may become in the long run, */
    uint32_t burst;       /* and how many more all at once */
};

struct conn {
    struct socket_owner _owner;
    struct loop *_loop;
    struct socket *_socket;
    const struct conn_events *_events;
    struct tls_layer *_tls; /* NULL while plain */
    struct zip_layer *_zip; /* NULL while not compressed */
    struct buf _out;        /* plain bytes to send, empty and without memory when idle */
    struct task _flush;
    struct timer _deadline; /* of conn_finish() */
    uint32_t _sent;         /* bytes at the begin of _out that are gone already */
    uint8_t _flags;
    int8_t _why;
    uint64_t _mark;
};

/* Takes a socket over. `out_max`: bytes that may wait to be sent before the connection is ended (ERR_LIMIT);
 * at most 1 GiB. */
void conn_init(struct conn *conn, struct loop *loop, struct socket *socket, const struct conn_events *events,
               size_t out_max);

/* A number of the owner's (0 at first) that goes along when the connection moves. */
static inline void conn_set_mark(struct conn *conn, uint64_t mark)
{
    conn->_mark = mark;
}

static inline uint64_t conn_mark(const struct conn *conn)
{
    return conn->_mark;
}

/* Lets go of everything at once; what was not sent is lost. The socket is closed. */
void conn_fini(struct conn *conn);

/* Sends what is queued (and TLS's close_notify), ends our side, and calls `closed` with OK when all is sent
 * and the peer has closed, or ERR_TIMEOUT after `timeout_ms`. Incoming bytes are dropped meanwhile. */
void conn_finish(struct conn *conn, unsigned timeout_ms);

/* Queues bytes; they leave at the end of the turn. */
void conn_write(struct conn *conn, str bytes);

/* The queue itself, to build output in place: append to it and call conn_wrote(), both in one go. What is in
 * it already is not to be touched. */
struct buf *conn_out(struct conn *conn);
void conn_wrote(struct conn *conn);

/* The same as conn_wrote(), for what many connections are sent at once: it leaves when its turn comes
 * (loop_queue()), with all that was written meanwhile, or as soon as something is written that is not of this
 * kind. */
void conn_wrote_to_many(struct conn *conn);

/* Bytes queued here and not yet taken by the kernel. */
size_t conn_pending(const struct conn *conn);

/* Now and then, on each thread that has connections: gives memory for output back that a burst has needed and
 * nobody since the last call. Returns the bytes that are kept for the next output. */
size_t conn_tidy(void);

/* Whether the queue was above the high mark (half of its maximum) and has not fallen below the low one since:
 * the peer reads too slowly. */
bool conn_is_behind(const struct conn *conn);

/* Reading stops (back-pressure) or goes on. */
void conn_pause(struct conn *conn, bool pause);

/* Begins TLS from here on; bytes already queued leave before it, in plain text. `server_name` (a client's:
 * SNI and the name to verify, NULL-terminated) is NULL on a server. `alpn`: the protocol to offer or to
 * accept, e.g. "xmpp-client", or NULL. `secured` or `closed` tells the end. */
void conn_start_tls(struct conn *conn, struct tls_context *context, const char *server_name,
                    const char *alpn);

/* The same for a client that knows the TLSA records of the server. It goes on with whatever server there is:
 * conn_peer_dane() and conn_peer_fault() tell. */
void conn_start_tls_expecting(struct conn *conn, struct tls_context *context, const char *server_name,
                              const char *alpn, const struct tls_tlsa *records, size_t count);

bool conn_is_secure(const struct conn *conn);

/* Compresses with zlib from here on, both ways; bytes already queued leave before it as they are. `behind`:
 * what came in behind the request already, and is compressed. Not during a TLS handshake. */
void conn_compress(struct conn *conn, const struct zip_settings *settings, str behind);

bool conn_is_compressed(const struct conn *conn);

/* Channel binding data (RFC 9266 tls-exporter; RFC 5929 tls-unique on TLS 1.2 only, tls-server-end-point) in
 * the arena, or str_none when this connection has none of that kind. */
str conn_channel_binding(struct conn *conn, enum channel_binding kind, struct arena *arena);
/* Whether there is any, without making it: an exporter costs as much as half a signature. */
bool conn_has_channel_binding(const struct conn *conn, enum channel_binding kind);

/* The name that the client asked for by SNI, "" if none; "TLSv1.3" and the cipher's name for the log; both
 * valid while it lives. */
const char *conn_tls_sni(const struct conn *conn);
const char *conn_tls_version(const struct conn *conn);
const char *conn_tls_cipher(const struct conn *conn);

/* The XMPP addresses (id-on-xmppAddr, RFC 6120 §13.7.1.4) of a client certificate that chains to the
 * context's CA; `*ret_count` is 0 when there is none. In the arena. */
str *conn_client_addresses(struct conn *conn, struct arena *arena, size_t *ret_count);

/* The names in the peer's certificate, whoever has signed it; in the arena. `*ret_count` is 0 without one. */
struct tls_name *conn_peer_names(struct conn *conn, struct arena *arena, size_t *ret_count);

/* The peer's certificate, whoever has signed it; in the arena. NULL without one. */
const struct tls_certificate *conn_peer_certificate(struct conn *conn, struct arena *arena);

/* The peer's certificate in DER, whoever has signed it; in the arena. str_none without one. */
str conn_peer_der(struct conn *conn, struct arena *arena);

/* Whether the server is the one that its TLSA records speak of. */
enum tls_dane conn_peer_dane(const struct conn *conn);

/* NULL when the peer has shown a certificate that chains to a CA of the context and is valid now, or, where
 * TLSA records were expected, is as they say; else what is wrong with it, in words. */
const char *conn_peer_fault(const struct conn *conn);

void conn_peer(const struct conn *conn, char address[SOCKET_ADDRESS_MAX]);

/* Moving to another loop: detach on the old one (flushes what it can; the rest and the layers' state
 * travel along), and attach to the memory of the new owner on the new loop's thread, where it is not paused.
 * An end that was not told yet is told to the new owner. Not while conn_finish() is under way. */
struct conn_parcel; /* heap */
struct conn_parcel *conn_detach(struct conn *conn);
void conn_attach(struct conn *conn, struct loop *loop, struct conn_parcel *parcel,
                 const struct conn_events *events);
void conn_parcel_free(struct conn_parcel *parcel); /* closes what nobody took */

#endif
