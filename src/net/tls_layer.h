/* SPDX-License-Identifier: MIT */
/* TLS between a connection's plain bytes and its socket's: private to src/net. Bytes in, bytes out, no I/O:
 * the connection hands in what it read and sends what stands in the wire queue. */
#ifndef NET_TLS_LAYER_H
#define NET_TLS_LAYER_H

#include "base/buf.h"
#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

struct tls_context {
    SSL_CTX *ssl;
    atomic_uint refs;
    struct tls_context *(*choose)(void *arg, str name);
    void *choose_arg;
    bool verify; /* a client's: the server's certificate must be good */
    int days_left;
};

enum {
    TLS_INPUT_MAX = 64 * 1024, /* what one tls_layer_read() may be handed */
    /* A record that was begun in an earlier read may come on top of what this one holds. */
    TLS_PLAIN_MAX = TLS_INPUT_MAX + SSL3_RT_MAX_PLAIN_LENGTH,
};

struct tls_layer {
    SSL *ssl;
    struct tls_context *context;
    char *sni;
    char *alpn;      /* of a server: what is accepted; NULL: no matter */
    str _input;      /* what OpenSSL may read now */
    struct buf wire; /* what is to be sent */
    uint32_t wire_sent;
    int fault;         /* the first that OpenSSL found with the peer's certificate; X509_V_OK: none */
    bool expects;      /* a usable TLSA record was handed in */
    bool secured;      /* the handshake is over */
    bool finished;     /* close_notify was written */
    bool asked_anew;   /* the peer wants to negotiate again */
    bool *gone;        /* set when the layer is freed or leaves while a callback of its connection runs */
    str arrived;       /* plain bytes that wait for that callback to end */
    struct buf unread; /* plain bytes that came together with the end of the handshake, not handed on yet */
};

/* A layer that keeps a reference to `context` and begins as a client if `server_name` is not NULL. NULL when
 * OpenSSL refuses the names. `wire_max`: bytes that the wire queue may hold. */
struct tls_layer *tls_layer_new(struct tls_context *context, const char *server_name, const char *alpn,
                                size_t wire_max);
void tls_layer_free(struct tls_layer *layer);

/* Takes the layer into use on this thread, after it was made on another. */
void tls_layer_settle(struct tls_layer *layer);

/* Of a client, before it begins: the TLSA records of the server, which must be good if any is usable. */
void tls_layer_expect(struct tls_layer *layer, const char *server_name, const struct tls_tlsa *records,
                      size_t count);

/* A client's first move. */
enum err tls_layer_start(struct tls_layer *layer);

/* Digests at most TLS_INPUT_MAX bytes from the peer, all of them, and writes what they mean to `plain`, which
 * has room for TLS_PLAIN_MAX bytes. Returns OK, ERR_CLOSED (close_notify) or ERR_TLS; *ret_len is set in any
 * case. */
enum err tls_layer_read(struct tls_layer *layer, str input, char *plain, size_t *ret_len);

/* Encrypts bytes into the wire queue. ERR_TLS when that fails. */
enum err tls_layer_write(struct tls_layer *layer, str plain);

/* Writes close_notify, once. */
void tls_layer_finish(struct tls_layer *layer);

/* tls_facts.c: the names in a certificate. */
struct tls_name *tls_names_of(X509 *certificate, struct arena *arena, size_t *ret_count);

/* What a handshake says: see conn.h. */
str tls_layer_binding(struct tls_layer *layer, enum channel_binding kind, struct arena *arena);
bool tls_layer_has_binding(const struct tls_layer *layer, enum channel_binding kind);
struct tls_name *tls_layer_peer_names(struct tls_layer *layer, struct arena *arena, size_t *ret_count);
str tls_layer_peer_der(struct tls_layer *layer, struct arena *arena);
const struct tls_certificate *tls_layer_peer_certificate(struct tls_layer *layer, struct arena *arena);
enum tls_dane tls_layer_dane(struct tls_layer *layer);
const char *tls_layer_peer_fault(struct tls_layer *layer);
str *tls_layer_client_addresses(struct tls_layer *layer, struct arena *arena, size_t *ret_count);

#endif
