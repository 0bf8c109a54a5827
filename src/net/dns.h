/* SPDX-License-Identifier: MIT */
/* Where a domain's server is (RFC 6120 §3.2, XEP-0368): SRV records in the order of RFC 2782, or the domain's
 * own addresses, as a list of what to connect to, and, where DNSSEC vouches for that, which certificates are
 * to be found there (DANE, RFC 7673). Answers are kept as long as their TTL says, within limits.
 *
 * One resolver for a loop; all calls and callbacks are on its thread. On a simulated loop it asks the
 * simulation's records (loop_sim.h) instead of a name server. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/err.h"
#include "loop/socket.h"
#include "net/dns_message.h"
#include "net/tls.h"

struct dns;

enum { DNS_ENDPOINTS_MAX = 16, DNS_TARGETS_MAX = 8, DNS_SERVICES = 2 };

/* Something to connect to. */
struct dns_endpoint {
    char address[SOCKET_ADDRESS_MAX]; /* an IP literal */
    uint16_t port;
    bool direct_tls; /* TLS from the first byte on (XEP-0368) */
    uint8_t target;  /* in the targets of what was found, if there are any */
};

/* A server that DNS names for a domain. */
struct dns_target {
    char name[DNS_NAME_MAX];
    uint16_t priority, weight, port;
    bool direct_tls;
    bool secure;       /* DNSSEC vouches for its name and its addresses, says the name server */
    enum err err;      /* of the questions for its addresses */
    enum err dane_err; /* of the question for its TLSA records: but for ERR_NOT_FOUND it is left out */
    struct tls_tlsa *expected; /* of a secure one, if `dane` is set: its TLSA records; one block */
    size_t expected_count;
};

/* What a lookup found, besides where to connect to. */
struct dns_found {
    enum { DNS_FROM_SRV, DNS_FROM_DOMAIN, DNS_FROM_LITERAL, DNS_FROM_OVERRIDE } how;
    enum err services[DNS_SERVICES]; /* of the questions for _xmpp-server and _xmpps-server */
    bool services_secure[DNS_SERVICES];
    bool refused; /* a record says that there is no service */
    size_t target_count;
    struct dns_target targets[DNS_TARGETS_MAX];
};

struct dns_settings {
    const char *server;           /* "ADDRESS" or "ADDRESS:PORT" of a name server; "": the system's */
    const char *const *overrides; /* "DOMAIN=ADDRESS:PORT" or "DOMAIN=tls:ADDRESS:PORT": not asked for */
    size_t override_count;
    uint32_t timeout_ms; /* of one question, with all its retries */
    bool dane; /* `server` validates with DNSSEC, and the way to it is safe: its word is taken, and TLSA
                  records are asked for */
};

/* Makes a resolver. What `settings` points to must outlive it. NULL when the server's address can't be used.
 */
struct dns *dns_new(struct loop *loop, const struct dns_settings *settings);

/* Frees it; no lookup may be under way. NULL is allowed. */
void dns_free(struct dns *dns);

/* Whether a text has the form of an override. */
bool dns_override_is_valid(const char *text);

/* Whether a text has the form of a name server's address. */
bool dns_server_is_valid(const char *text);

/* A lookup, in the caller's memory. */
struct dns_lookup {
    void (*done)(struct dns_lookup *lookup); /* once, never inside dns_find_server() */
    enum err err; /* OK; ERR_NOT_FOUND: there is no such server; ERR_TIMEOUT, ERR_IO: nobody can say now */
    struct dns_endpoint endpoints[DNS_ENDPOINTS_MAX]; /* in the order in which to try them */
    size_t count;
    struct dns_found *found; /* set when it is done, until dns_forget() or the next lookup */
    struct dns_run *_run;
};

/* Finds the server for server-to-server streams of a domain, given in A-labels or as an IP literal (IPv6 in
 * brackets). Zeroed memory with `done` set is a lookup. */
void dns_find_server(struct dns *dns, str domain, struct dns_lookup *lookup);

/* Finds the addresses of a host, given in A-labels, for a port; no literal, no service, no DANE. */
void dns_find_host(struct dns *dns, const char *name, uint16_t port, struct dns_lookup *lookup);

/* `done` will not be called. Nothing happens when no lookup is under way. */
void dns_cancel(struct dns_lookup *lookup);

/* Frees what it found. */
void dns_forget(struct dns_lookup *lookup);

/* The target that an endpoint belongs to; NULL: DNS named none. */
const struct dns_target *dns_target_of(const struct dns_lookup *lookup, size_t endpoint);

/* Whether a text names a name server on this machine. */
bool dns_server_is_local(const char *text);

/* Answers that are kept at the moment: for tests. */
size_t dns_cached(const struct dns *dns);

#endif
