/* SPDX-License-Identifier: MIT */
/* The bytestreams that the proxy relays: connections that come to its port, ask for a stream by its name, and
 * are joined two by two. bytestreams.c answers requests about them; relay.c is what they are. */
#ifndef EXTENSIONS_BYTESTREAMS_RELAY_H
#define EXTENSIONS_BYTESTREAMS_RELAY_H

#include "server/ext.h"
#include "server/ext_port.h"
#include "xmpp/socks5.h"

struct bytestreams_settings {
    struct config_list listen;
    unsigned port;
    const char *domain, *name, *address;
    enum { ALLOW_LOCAL, ALLOW_ANYONE } allow;
    unsigned connections, streams;
    uint32_t rate;
    uint64_t size, wait_ms, idle_ms;
};

/* What it keeps with each shard. */
struct bytestreams_shard {
    bool is_ready;
    struct map relays;       /* whose names are at home here */
    struct list ends;        /* all connections here */
    struct map customers;    /* accounts with permits, where the proxy's domain is at home */
    atomic_uint connections; /* all; that of shard 0 counts for the server */
};

/* bytestreams.c. A shard's is for its own thread, but for the count. */
struct bytestreams_shard *bytestreams_shard(struct shard *shard);
atomic_uint *bytestreams_connections(const struct server *server);
const struct bytestreams_settings *bytestreams_settings(const struct host *host);

/* Somebody's permission to have a stream relayed. It is given where the proxy's domain is at home, goes to
 * the home of the stream's name, where the request is answered, and comes back when the stream has ended. */
struct permit {
    struct shard_call call;
    struct host *host; /* the proxy's domain */
    struct customer *customer;
    struct stanza *iq;
    char name[SOCKS5_NAME_LEN + 1];
};

/* Sends a new permit to where the stream is at home. */
void relay_activate(struct permit *permit);

/* bytestreams.c: the stream has ended, or was not there; any shard. */
void permit_return(struct shard *shard, struct permit *permit);

/* A connection to the port, which belongs to this virtual host. */
void relay_accept(struct shard *shard, struct host *host, struct socket *socket);

/* Whether another connection would be let in. */
bool relay_has_room(const struct host *host);

/* The name of a relay, for the shard's map of them. */
str relay_key(const struct map_node *node);

/* All connections of a shard end. */
void relay_end_all(struct shard *shard);

#endif
