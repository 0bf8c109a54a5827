/* SPDX-License-Identifier: MIT */
/* The whole server: its hosts, its store and its shards. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/map.h"
#include "loop/loop.h"
#include "server/config/config.h"
#include "server/gate.h"
#include "server/limiter.h"
#include "server/s2s/s2s_share.h"
#include "store/store.h"
#include "xmpp/jid.h"

#include <stdatomic.h>

struct component_domain;
struct ext;
struct ext_features;
struct hook_list;
struct shard;
struct tls_context;

/* A domain that we serve: a virtual host, or a service of an extension. Lives as long as the server; what a
 * reload may change hangs on the configuration and the TLS context. */
struct host {
    struct map_node _node;
    struct server *server;
    char *name; /* in normal form */
    const struct config_host *_Atomic config;
    struct tls_context *_Atomic tls;                              /* NULL: no certificate */
    struct tls_context *_Atomic s2s_in_tls, *_Atomic s2s_out_tls; /* with other servers: theirs, ours */
    struct ext_features *_Atomic _features;                       /* ext_features() */
    _Atomic uint64_t ext_off;  /* bit n: the extension with this index is off here */
    const struct ext *service; /* whose domain it is, below a virtual host; NULL: a virtual host */
    struct host *parent;       /* of a service: the virtual host */
};

struct server {
    const struct config *_Atomic config;
    const struct ext *const *extensions;        /* NULL-terminated */
    struct hook_list *hooks;                    /* by enum hook_id (hooks.h) */
    char *user_rows;                            /* kinds of the rows that a user loads when it wakes */
    size_t user_size, session_size, shard_size; /* with what extensions keep there */
    struct store *store;
    atomic_size_t append_bytes; /* appends.h: on their way to the disk, all shards */
    struct map hosts;
    struct host **host_list;
    size_t host_count;
    struct shard **shards;
    unsigned shard_count;
    unsigned char secret[32];    /* of this run: for what XEP-0355 marks */
    unsigned char token_key[32]; /* of tokens, and of nobody's salts; of this run until server_read_key() */
    atomic_uint connections;     /* links of clients, all shards */
    atomic_uint unauthenticated;
    atomic_bool is_short_of_memory;              /* budget.h */
    struct gate gate;                            /* who may come in, by address */
    atomic_uint compressed;                      /* streams of clients (XEP-0138) */
    struct component_domain *_Atomic components; /* component.h */
    atomic_uint strange_components;              /* connections that have not proved who they are */
    atomic_uint farewells;                       /* shards whose actors know that the server stops */
    atomic_uint commits;           /* writes on their way to the disk, and reads that something waits for; all
                                      shards */
    atomic_uint s2s_verifications; /* dialback keys that are being checked */
    atomic_uint s2s_strangers;     /* servers that have connected and proved nothing yet */
    atomic_uint s2s_connections;   /* with other servers, either way */
    struct census s2s_domains;     /* connections of other domains, by domain */
    struct share s2s_stanzas,
        s2s_bytes;             /* what these have brought, or who has proved no domain, by address */
    struct share s2s_arrivals; /* connections of other servers, by address */
    char *dialback_secret;
    struct tls_context *
        *_retired; /* contexts of before a reload: connections may be choosing one right now */
    size_t _retired_count;
    bool over;           /* the loops have stopped, and all is being freed */
    uint64_t started_us; /* on the loops' clock */
    void (*stop)(void);  /* begins an orderly stop of the program; NULL: the owner does not offer that */
};

/* Makes a server on these loops (one shard each), not listening yet. `config` must outlive it. Returns NULL
 * with a sentence in `why` when a certificate can't be read. */
struct server *server_new(const struct config *config, const struct ext *const *extensions,
                          struct store *store, struct loop **loops, unsigned loop_count, char *why,
                          size_t why_room);

/* Reads the key of tokens from its file, which is made if it is not there; before server_listen(). ERR_* with
 * a sentence in `why`. */
enum err server_read_key(struct server *server, char *why, size_t why_room);

/* Opens the listeners of every shard; to be called before the loops run. ERR_* with a sentence in `why`. */
enum err server_listen(struct server *server, char *why, size_t why_room);

/* Asks every shard to end its streams (system-shutdown), to finish its writes and to stop its loop. Any
 * thread; returns at once. */
void server_stop(struct server *server);

/* Applies a new configuration: certificates now, and what may change without a restart. Any thread; the old
 * configuration must live on. On failure nothing changes. */
enum err server_reload(struct server *server, const struct config *config, char *why, size_t why_room);

/* Frees a server whose loops have stopped. */
void server_free(struct server *server);

/* The virtual host of this name (normal form), or NULL. */
struct host *server_host(const struct server *server, str name);

/* The same, or a service's domain. */
struct host *server_domain(const struct server *server, str name);

/* How names of other servers are asked for. */
struct dns_settings server_dns_settings(const struct server *server);

/* The shard at which everything of a bare JID happens. */
struct shard *server_home(const struct server *server, str bare);

#endif
