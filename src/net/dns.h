/* SPDX-License-Identifier: MIT */
/* Where a domain's server is (RFC 6120 §3.2, XEP-0368): SRV records in the order of RFC 2782, or the domain's
 * own addresses, as a list of what to connect to. Answers are kept as long as their TTL says, within limits.
 *
 * One resolver for a loop; all calls and callbacks are on its thread. On a simulated loop it asks the
 * simulation's records (loop_sim.h) instead of a name server. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/err.h"
#include "loop/socket.h"

struct dns;

enum { DNS_ENDPOINTS_MAX = 16 };

/* Something to connect to. */
struct dns_endpoint {
    char address[SOCKET_ADDRESS_MAX]; /* an IP literal */
    uint16_t port;
    bool direct_tls; /* TLS from the first byte on (XEP-0368) */
};

struct dns_settings {
    const char *server;           /* "ADDRESS" or "ADDRESS:PORT" of a name server; "": the system's */
    const char *const *overrides; /* "DOMAIN=ADDRESS:PORT" or "DOMAIN=tls:ADDRESS:PORT": not asked for */
    size_t override_count;
    uint32_t timeout_ms; /* of one question, with all its retries */
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
    struct dns_run *_run;
};

/* Finds the server for server-to-server streams of a domain, given in A-labels or as an IP literal (IPv6 in
 * brackets). Zeroed memory with `done` set is a lookup. */
void dns_find_server(struct dns *dns, str domain, struct dns_lookup *lookup);

/* `done` will not be called. Nothing happens when no lookup is under way. */
void dns_cancel(struct dns_lookup *lookup);

/* Answers that are kept at the moment: for tests. */
size_t dns_cached(const struct dns *dns);

#endif
