/* SPDX-License-Identifier: MIT */
/* One small document by HTTPS (RFC 9112): what a domain says of itself at a well-known place. Not a client
 * for the web: a single GET in HTTP/1.0, so that the answer is as long as the connection lasts; no
 * redirection, no compression, nothing kept. Everything but 200 is a failure.
 *
 * All calls and callbacks are on the loop's thread, on a simulated loop too. */
#ifndef NET_HTTPS_H
#define NET_HTTPS_H

#include "net/conn.h"
#include "net/dial.h"

enum { HTTPS_PATH_MAX = 1024, HTTPS_BODY_MAX = 16 * 1024 };

/* Where a document is: https://HOST[:PORT]/PATH. */
struct https_url {
    char host[DNS_NAME_MAX]; /* a name, in A-labels */
    uint16_t port;
    char path[HTTPS_PATH_MAX];
};

/* Reads a URL of the scheme https with a name (no address, no user) in it. False: it is none, or too long. */
bool https_url_read(str text, struct https_url *ret);

/* Stands in who asks. Zeroed memory with `done` set is one that does nothing. */
struct https_get {
    void (*done)(struct https_get *get); /* once, never inside a call */
    enum err err; /* OK: `body`; ERR_NOT_FOUND: DNS knows no such host, or another status than 200 came;
                     ERR_LIMIT: the answer is too long; ERR_SYNTAX: it is no answer; ERR_TLS: its certificate
                     is not trusted; ERR_TIMEOUT, ERR_CLOSED, ... */
    str body;     /* until https_fini() */
    struct https_url _url;
    struct loop *_loop;
    struct tls_context *_tls;
    struct dns_lookup _lookup;
    struct dial _dial;
    struct conn _conn;
    struct buf _in;
    struct timer _timer;
    struct task _told;
    bool _is_connected, _is_over;
};

/* Asks. `tls` is a context that verifies (tls_client_context()), referred to while it lasts. */
void https_start(struct https_get *get, struct loop *loop, struct dns *dns, struct tls_context *tls,
                 const struct https_url *url, unsigned timeout_ms);

/* Lets go of everything: `done` will not be called any more, and `body` is gone. */
void https_fini(struct https_get *get);

/* For who has an answer in hand: what stands in it (to be tested). OK, ERR_AGAIN (more must come), or why it
 * is no use. `ended`: nothing more will come. */
enum err https_answer_read(str answer, bool ended, str *ret_body);

#endif
