/* SPDX-License-Identifier: MIT */
/* What other domains say of their certificates at their web servers (POSH: RFC 7711, RFC 7712 §4.3): asked
 * for when a certificate is not good by itself, and kept as long as they say. One for a shard; all calls are
 * on its thread. */
#ifndef SERVER_POSH_H
#define SERVER_POSH_H

#include "net/conn.h"
#include "server/shard.h"

/* Stands in who waits for an answer. Zeroed memory with `done` set waits for nothing. */
struct posh_asker {
    struct list _link;
    void (*done)(struct posh_asker *asker); /* once, as part of an event: what there is to know is known */
};

/* `tls` verifies web servers; it is referred to. */
struct posh_book *posh_book_new(struct shard *shard, struct tls_context *tls);
void posh_book_free(struct posh_book *book); /* nobody waits any more. NULL is allowed */

/* Whether the domain is known to name the certificate that the peer has shown. */
bool posh_vouches(struct shard *shard, struct conn *conn, str domain, struct arena *arena);

/* Asks the domain if it was not asked lately: true, and `asker->done` will be called; never inside this call.
 * False: more than posh_vouches() says is not to be had now. */
bool posh_ask(struct shard *shard, str domain, struct posh_asker *asker);

/* It does not wait any more. */
void posh_leave(struct posh_asker *asker);

#endif
