/* SPDX-License-Identifier: MIT */
/* Connecting to the first of several endpoints that answers (RFC 8305, "happy eyeballs"): they are tried in
 * order, and the next one is begun when the last one failed or did not answer within a quarter of a second;
 * whoever is first wins, the others are closed. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/dns.h"

struct dial_try {
    struct socket_owner _owner;
    struct dial *_dial;
    struct socket *_socket;
};

/* Stands in what wants to connect. Zeroed memory with `done` set is one that does nothing. */
struct dial {
    void (*done)(struct dial *dial); /* once, never inside a call */
    enum err err;          /* OK, or why the last endpoint failed: ERR_TIMEOUT, ERR_REFUSED, ERR_IO ... */
    struct socket *socket; /* with OK: connected; whoever takes it sets this to NULL */
    size_t index;          /* of its endpoint */
    struct loop *_loop;
    const struct dns_endpoint *_endpoints;
    size_t _count, _next, _open;
    struct timer _stagger, _deadline;
    struct task _told;
    struct dial_try _tries[DNS_ENDPOINTS_MAX];
};

/* Tries endpoints[first...count-1], which must stay where they are, for at most `timeout_ms`. */
void dial_start(struct dial *dial, struct loop *loop, const struct dns_endpoint *endpoints, size_t first,
                size_t count, unsigned timeout_ms);

/* Gives up; `done` will not be called. Nothing happens when nothing is under way. */
void dial_cancel(struct dial *dial);

#endif
