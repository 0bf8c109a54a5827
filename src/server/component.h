/* SPDX-License-Identifier: MIT */
/* External components (XEP-0114): domains that other programs serve over a stream with us. */
#ifndef SERVER_COMPONENT_H
#define SERVER_COMPONENT_H

#include "server/link.h"
#include "server/shard.h"

struct component;

/* A domain that a component may serve: made at the start or at a reload, and there until the end of the
 * server. It is an actor without state: all of it but the flag happens at its home shard. */
struct component_domain {
    struct component_domain *next;
    char *name;                                    /* in normal form */
    const struct config_component *_Atomic config; /* NULL: a reload has taken it out */
    struct component *component;                   /* home shard: who serves it now, or NULL */
    atomic_bool is_connected;                      /* the same, for all shards to see */
};

/* The domain of this name, whether or not anybody serves it now, or NULL. Any shard. */
struct component_domain *component_domain_named(const struct server *server, str name);

/* Makes the domains of this configuration, and takes those out that are not in it. One thread at a time.
 * ERR_EXISTS with a sentence in `why`, and nothing changed, if one of them is a service's. */
enum err component_domains_set(struct server *server, const struct config *config, char *why,
                               size_t why_room);

/* After that, when the server runs: ends the streams of domains that were taken out. Any thread. */
void component_domains_check(struct server *server);
void component_domains_free(struct server *server);

struct shard *component_home(const struct server *server, const struct component_domain *domain);

/* At the domain's home: hands a stanza to the component. When there is none, the sender is answered with
 * remote-server-timeout (RFC 6120 §8.3.3.17: known, but not to be reached now), when its queue is full with
 * resource-constraint. */
void component_deliver(struct shard *shard, struct component_domain *domain, const struct delivery *delivery);

/* Whether the domain is one of the host's: it lies below the host, or below none of ours. */
bool component_belongs(const struct host *host, const struct component_domain *domain);

/* The host's component that a stanza comes from, or NULL. */
const struct component_domain *component_sender(const struct host *host, const struct stanza *stanza);

/* Adds an <item/> (XEP-0030 §4) for each domain of the host's that is served now. */
void component_write_items(const struct host *host, struct buf *xml);

/* A connection as it comes from the listener for components. */
void component_accept(struct shard *shard, struct socket *socket);

/* At the domain's home: ends the stream of its component; false if there is none. */
bool component_close(struct component_domain *domain, enum stream_error error, const char *text);

/* ---- component.c and component_domain.c with each other */

/* Sends; false when the queue is full. */
bool component_send(struct component *component, const struct stanza *stanza, const struct jid *to);

/* A line for people, in the arena: address and age. */
str component_describe(struct component *component, struct arena *arena);

#endif
