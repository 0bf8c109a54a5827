/* SPDX-License-Identifier: MIT */
/* What has come over a stream between servers with stream management, until it is done with (XEP-0198 1.6.3
 * §4): receipts tell, in whatever order, and only what is done with, and all before it, may be acknowledged.
 *
 * At a resumption the peer is told what is done with, and not what has come, since a crash would take the
 * difference. What it was not told comes again, perhaps while the first one still waits for the disk; it is
 * known by its digest, as a client's is (sm.c), and only counted. */
#ifndef SERVER_S2S_ARRIVALS_H
#define SERVER_S2S_ARRIVALS_H

#include "server/receipt.h"
#include "xmpp/stanza.h"

/* Numbers are of 64 bits here and of 32 on the wire. */
struct arrivals {
    uint64_t in;   /* so many have come */
    uint64_t safe; /* so many of these are done with, and all before them */
    uint64_t _refused;
    unsigned _refs;
    struct shard *_shard;
    void (*_moved)(void *owner);
    void *_owner;
    struct list _pending; /* safe + 1 .. in */
    struct list _known;   /* those that had come before a resumption, and come again */
};

/* For a stream at its home `shard`. `moved` is called with the owner, in an event on it, when
 * `safe` has grown.
 */
struct arrivals *arrivals_new(struct shard *shard, void (*moved)(void *owner), void *owner);

/* The owner lets go of it, and hears no more; it is freed when all is done with. */
void arrivals_release(struct arrivals *arrivals);

/* A stanza has come: its receipt, held once; or NULL: it had come already, before the stream was resumed, and
 * is counted; there is nothing to do. */
struct receipt *arrivals_add(struct arrivals *arrivals, const struct stanza *stanza);

/* The stream is resumed, with `safe` told to the peer: it sends all behind that again. */
void arrivals_count_anew(struct arrivals *arrivals);

/* What another server has sent (receipt->of_server) brought about an error that can't leave any more, since
 * we are stopping: it is not acknowledged, so it is still that server's, which sends it again. On its home.
 */
void arrivals_not_taken(struct receipt *receipt);

/* How much may be acknowledged. */
uint64_t arrivals_ack(const struct arrivals *arrivals);

#endif
