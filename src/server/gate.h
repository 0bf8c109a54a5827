/* SPDX-License-Identifier: MIT */
/* Who may come in (RFC 6120 §13.12): how many connections one address may have, how many of them may be
 * strangers (not logged in, or not proved), and how often it may come. One count for all ports. An address is
 * an IPv4 address, or the first bits of an IPv6 address (`addresses.ipv6-bits`); the networks in
 * `addresses.exempt` are not counted.
 *
 * A connection carries the mark that it got here (conn_mark()) wherever it moves, and whoever ends it gives
 * it back. Any thread. */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include "server/limiter.h"

struct server;
struct shard;
struct socket;

struct gate {
    struct limiter rate, farewells;
    struct census present, strangers;
};

/* Lets a connection in, as a stranger, and gives it a mark (0: of a network that is not counted); or refuses
 * it: counts that, tells the peer why, unless it was told often in this minute (`ns`: the content namespace
 * of the stream that it expects; NULL: it expects TLS, so nothing can be said), and closes the socket. */
bool gate_enter(struct shard *shard, struct socket *socket, const char *ns, uint64_t *ret_mark);

/* It is a stranger no more. */
void gate_known(struct server *server, uint64_t mark);

/* It has gone. */
void gate_leave(struct server *server, uint64_t mark, bool stranger);

#endif
