/* SPDX-License-Identifier: MIT */
/* The client's end of an XMPP stream (RFC 6120): connects, secures, authenticates and binds by itself, and
 * then hands over stanzas as they come. Or the end of an external component (XEP-0114), which proves by a
 * handshake that it may serve its domain. What they mean is the owner's business.
 *
 * A client stands in the object that owns it and is small: once it is logged in it holds no buffer but those
 * of what is under way, so that a process can have many thousands.
 *
 * Thread affinity: everything on the loop of its settings. No callback runs inside a call of ours. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "net/conn.h"
#include "xml/scan.h"
#include "xmpp/sasl.h"

#define NS_SM "urn:xmpp:sm:3"

struct client;

enum client_tls { CLIENT_TLS_NONE, CLIENT_TLS_STARTTLS, CLIENT_TLS_DIRECT };

/* What clients of one server have in common. Must outlive them. */
struct client_settings {
    struct loop *loop;
    const char *address; /* an IP literal, or "/path" of a Unix socket */
    uint16_t port;
    const char
        *domain; /* to log in to; also the name for SNI and certificate checks. A component's: its own */
    enum client_tls tls;
    struct tls_context *tls_context; /* from tls_client_context(); NULL without TLS */
    unsigned mechanisms; /* a bit (1 << enum sasl_mechanism) for each that may be used; 0: any that we know */
    bool plain_in_clear; /* allow PLAIN without TLS: for tests */
    bool bare; /* no negotiation: ready as soon as the connection (and TLS) stands, the stream counts as open
                  and bound. For a peer that passes stanzas and speaks no XMPP */
    bool component; /* a component's stream: only the password is used, as the secret, and stanzas are in the
                       namespace jabber:component:accept both ways (xmpp/rescope.h reads and writes it) */
    bool compress;  /* streams are compressed (XEP-0138), or the login ends: not with `instant` */
    struct scan_limits limits;
    uint32_t out_max;          /* bytes that may wait to be sent */
    uint32_t login_timeout_ms; /* from client_start() to `ready`; 0: none */
};

/* Sensible limits for all that is not about the server itself: the owner sets the rest. */
void client_settings_init(struct client_settings *settings, struct loop *loop);

struct client_events {
    /* Authenticated and bound, or the handshake was taken. No presence was sent. */
    void (*ready)(struct client *client);
    /* A first-level element of the stream after `ready`: a stanza, or a nonza of an extension. It is gone
     * when the call returns. The handler may close or end the client. */
    void (*stanza)(struct client *client, const struct xml_node *node);
    /* The end, once: OK after client_close(); ERR_REFUSED (by the server, with its condition as the reason),
     * ERR_PERMISSION (not authenticated), ERR_TLS, ERR_TIMEOUT, ERR_CLOSED, ERR_SYNTAX (no XMPP),
     * ERR_UNSUPPORTED (nothing in common), ERR_LIMIT, ERR_IO. All is released: the handler may start it anew.
     */
    void (*closed)(struct client *client, enum err why);
};

struct client_login;

/* For logins in one step (SASL2, Bind 2, tokens: XEP-0388, XEP-0386, XEP-0484), where the server has them.
 * What is to be kept from one login to the next, as secret as a password. */
struct client_instant {
    char id[37];                   /* of this client, a UUID */
    const char *inside;            /* elements to put into <bind/>; NULL for none */
    char token[256];               /* set when the server gave one, "" when it was refused */
    enum sasl_mechanism mechanism; /* of the token */
};

/* To take up the session of a stream that broke, instead of binding a resource (stream management, XEP-0198
 * §5). The owner has enabled it, counts stanzas, and keeps what the server has not acknowledged. */
struct client_resumption {
    char id[128];     /* of the session, from <enabled/>; "": none, and emptied when the server refused */
    uint32_t handled; /* stanzas of it that came and were handled */
    uint32_t acknowledged; /* set when it was resumed: how many of ours the server has handled */
    bool resumed; /* set before `ready`: whether it was. The JID is the session's then, which the owner
                     knows and client_jid() does not */
};

struct client {
    /* Set by the owner before client_start(); the slices must live until `ready` or `closed`. */
    str user, password;               /* prepared: jid_prepare_local(), jid_prepare_password() */
    str resource;                     /* str_none: the server chooses */
    struct scram_client_cache *cache; /* saves hashing at the next login of this account, or of one that has
                                         the same password and salt; NULL: none */
    struct client_instant
        *instant; /* NULL: the way of RFC 6120. The resource is a part of it then (the tag) */
    struct client_resumption *resumption; /* NULL: always binds. Not with `instant` */
    /* Private: */
    struct conn _conn;
    struct scanner _scanner;
    struct buf _rest; /* an element that is not complete; empty and without memory when idle */
    const struct client_settings *_settings;
    const struct client_events *_events;
    struct client_login *_login; /* until `ready` */
    struct socket_owner _connecting;
    struct socket *_socket; /* until connected */
    struct timer _deadline;
    struct task _tell;
    bool *_gone; /* set by client_fini() while a callback runs */
    char *_jid;
    char _reason[32];
    uint8_t _state;
    int8_t _why;
};

/* Begins to connect and to log in; `ready` or `closed` follows. The fields above must be set; the rest of the
 * memory may hold anything, as long as the client does not run. Hashing the password takes milliseconds on
 * the loop, unless the cache has it. */
void client_start(struct client *client, const struct client_settings *settings,
                  const struct client_events *events);

/* Ends in order: what is queued leaves, the stream and the connection are closed, and `closed` comes with OK
 * (at the latest after some seconds). Does nothing when it is ending already. */
void client_close(struct client *client);

/* Lets go of everything at once; no callback comes any more. For a running client, and harmless for one that
 * has ended or is zeroed. */
void client_fini(struct client *client);

/* Queues bytes, which must be whole stanzas; they leave at the end of the turn. After `ready` only. */
void client_send(struct client *client, str bytes);

/* The queue itself, to build stanzas in place, as conn_out() and conn_wrote(). */
struct buf *client_out(struct client *client);
void client_wrote(struct client *client);

/* The full JID that was bound, of a component its domain; "" before `ready` and for a bare stream. */
const char *client_jid(const struct client *client);

/* Why it ended, in the server's word ("not-authorized", "conflict"), or ours; "" if there is none. */
const char *client_reason(const struct client *client);

#endif
