/* SPDX-License-Identifier: MIT */
/* TLS contexts: certificates, policy, and what a finished handshake says. The only room, with conn.c's tls
 * layer, that knows OpenSSL's SSL. Policy: TLS 1.2 with ECDHE and AEAD, or TLS 1.3; no compression, no
 * renegotiation (RFC 7590, RFC 9325). */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/arena.h"
#include "base/err.h"

struct tls_context; /* counted: connections keep the one that they began with, so a reload disturbs nobody */

struct tls_settings {
    const char *certificate; /* file: the chain in PEM, leaf first */
    const char *key;         /* file: the private key in PEM */
    const char *ca;          /* file: CAs that client certificates must chain to; NULL: none asked for */
    bool request_client_certificate; /* ask for one (SASL EXTERNAL); none is required by TLS itself */
    const char *crl; /* file: lists of revoked certificates, in PEM; NULL: none. A CA that has none there is
                        not asked */
    bool between_servers; /* the other end is a server: whatever its certificate is for, `ca` NULL means the
                             system's CAs, and nobody is sent a list of them */
};

/* A server's context. On failure returns ERR_NOT_FOUND, ERR_PERMISSION, ERR_INVALID (no PEM, key and
 * certificate differ) and writes a sentence for the administrator to `why` (of `why_room` bytes). */
enum err tls_server_context(const struct tls_settings *settings, char *why, size_t why_room,
                            struct tls_context **ret);

/* A client's context that verifies the server's certificate against `ca` (NULL: the system's), or, with
 * `verify` false, nothing. */
enum err tls_client_context(const char *ca, bool verify, char *why, size_t why_room,
                            struct tls_context **ret);

/* A context for the initiating end between servers: shows our certificate (none if `certificate` is NULL or
 * empty), and lets every handshake go on: conn_peer_fault() and conn_peer_names() tell what the other
 * server has shown. Errors as above. */
enum err tls_initiator_context(const struct tls_settings *settings, char *why, size_t why_room,
                               struct tls_context **ret);

struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is allowed */

/* Lets a server context of a listener choose the context of the virtual host that the client named (SNI).
 * `choose` gets the name in lower case and returns a counted reference or NULL for the listener's own. Called
 * on the connection's thread. */
void tls_context_on_sni(struct tls_context *context, struct tls_context *(*choose)(void *arg, str name),
                        void *arg);

/* A name in a certificate's subjectAltName. */
enum tls_name_kind {
    TLS_NAME_DNS,  /* dNSName */
    TLS_NAME_SRV,  /* SRVName (RFC 4985), "_xmpp-server.example.org" */
    TLS_NAME_XMPP, /* id-on-xmppAddr */
};

struct tls_name {
    enum tls_name_kind kind;
    str text; /* as it stands there; free of NUL */
};

/* The names in the leaf certificate of a server context, in the arena. */
struct tls_name *tls_context_names(const struct tls_context *context, struct arena *arena, size_t *ret_count);

/* Days until the leaf certificate of a server context ends (negative: it has). */
int tls_context_days_left(const struct tls_context *context);

/* A certificate, for people. */
struct tls_certificate {
    str issuer;    /* its common name, or else the whole name */
    char ends[11]; /* the day, as 2026-12-31 */
    int days_left; /* negative: it has ended */
    bool self_signed;
};

/* What a TLSA record (RFC 6698 §2.1) says of a server's certificate. */
struct tls_tlsa {
    uint8_t usage;    /* 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE */
    uint8_t selector; /* 0 the certificate, 1 its public key */
    uint8_t matching; /* 0 the thing itself, 1 its SHA-256, 2 its SHA-512 */
    str data;
};

enum tls_dane {
    TLS_DANE_NONE,   /* nothing usable was expected */
    TLS_DANE_FAILED, /* something was, and something else is there: it is not the right server */
    TLS_DANE_SERVER, /* the server's own key or certificate is the expected one (usage 3): names do not count
                      */
    TLS_DANE_CHAIN,  /* the certificate chains as expected (usages 0, 1, 2): the names in it count */
};

enum channel_binding { BINDING_NONE, BINDING_TLS_UNIQUE, BINDING_TLS_EXPORTER, BINDING_TLS_SERVER_END_POINT };

#endif
