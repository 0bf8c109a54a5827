/* SPDX-License-Identifier: MIT */
/* The one header through which an extension sees the server, and the descriptor through which the server sees
 * an extension. An extension is data first: what disco, the documentation, the configuration and the dispatch
 * need stands in a const `struct ext`; nothing is registered by code. */
#ifndef SERVER_EXT_H
#define SERVER_EXT_H

#include "server/c2s/newcomer.h"
#include "server/config/config_table.h"
#include "server/hooks.h"
#include "server/host.h"
#include "server/receipt.h"
#include "server/session.h"
#include "server/shard.h"
#include "server/user/user.h"

enum ext_target {
    TO_HOST,    /* addressed to a domain that we serve */
    TO_ACCOUNT, /* addressed to a bare JID, or by a client to none: the server answers for the account */
};

/* A request at hand. Everything in it lives as long as the event. */
struct iq_event {
    struct shard *shard;
    struct host *host;
    struct user *user;       /* TO_ACCOUNT: whose account; the user is ready. TO_HOST: NULL */
    struct actor *actor;     /* whom an operation holds awake: the user's, or that of a service */
    struct session *session; /* TO_ACCOUNT: the asking session if it is one of the user's own, else NULL */
    const struct stanza *iq;
    struct xml_node child; /* the one child of the request */
};

struct ext_iq {
    enum stanza_type type; /* TYPE_GET or TYPE_SET */
    enum ext_target target;
    const char *name, *ns;                  /* of the child; a NULL name ends the list */
    void (*handle)(struct iq_event *event); /* answers, once, with ext_result() or ext_error(); or later, with
                                               an operation (ext_op.h) */
};

/* An element of a bound client's stream that is no stanza. */
struct ext_nonza {
    const char *name, *ns; /* a NULL name ends the list */
    void (*handle)(struct session *session, const struct xml_node *element);
};

/* What a binding by XEP-0386 waits for: what extensions read from the store first. Its user takes nothing
 * else meanwhile, and stays awake. */
struct bind2_wait {
    struct user *user;
    unsigned _pending;
    void (*_ready)(struct bind2_wait *wait);
};

/* A session is being bound by XEP-0386, and nothing was sent to it yet. */
struct bind2_event {
    struct session *session;
    const struct xml_node *element; /* what the client asks for; NULL: it does not */
    struct buf *bound;              /* inside of <bound/>: what there is to answer */
};

/* What can be had together with a binding (XEP-0386 §3.2). */
struct ext_bind2 {
    const char *feature;   /* advertised; NULL with a NULL handler ends the list */
    const char *name, *ns; /* of the child of <bind/>; NULL: none is looked for, the handler is called for
                              every binding of this kind */
    void (*handle)(struct bind2_event *event);
};

struct ext_identity {
    enum ext_target target;
    const char *category, *type, *name; /* name may be NULL; a NULL category ends the list */
};

/* A domain of an extension's own below each virtual host, such as conference.example.org. */
struct ext_service {
    const char *prefix; /* the default domain is this, a dot, and the host's name */
    /* Another domain by the configuration; NULL or "" for the default. May be NULL. */
    const char *(*domain)(const void *settings);
    /* Whether the settings of a host want it at all; NULL: always. Asked when the server starts. */
    bool (*is_wanted)(const void *settings);
    /* What is sent to the domain, or to any address at it; on the shard that is the home of the bare JID. */
    void (*deliver)(struct shard *shard, struct host *host, const struct delivery *delivery);
};

/* Where the server put what belongs to an extension: a static variable beside the descriptor, filled at the
 * start from the list of all (ext_set.c), the same for every server of the process. */
struct ext_slot {
    unsigned index;
    unsigned config;             /* in the order of ext_configs() */
    size_t user, session, shard; /* offsets behind struct user, struct session and struct shard */
};

/* A specification that is implemented, for the project's description (XEP-0453). */
struct ext_xep {
    unsigned number;     /* 0 ends a list */
    const char *version; /* that was read */
    bool partial;        /* some of what it demands is open: docs/conformance.md */
};

struct adhoc_command;
struct control_command;
struct ext_port;

struct ext {
    const char *name;
    const char *title;          /* what it is, for the documentation */
    struct ext_xep xep;         /* the one that it is about */
    const struct ext_xep *more; /* others that it implements on the way; may be NULL */
    struct ext_slot *slot;
    const char *const *features;         /* advertised for hosts; NULL-terminated */
    const char *const *account_features; /* advertised for accounts */
    const struct ext_identity *identities;
    const struct ext_iq *iqs;
    const struct ext_nonza *nonzas;
    const struct ext_bind2 *bind2;
    /* Begins to read what its handlers of bind2 need, and calls bind2_was_read() when it has it or can't have
     * it, not within this call. May be NULL. */
    void (*bind2_read)(struct bind2_wait *wait);
    const struct ext_hook *hooks;
    const struct ext_service *service;
    const struct ext_port *port;            /* that it listens on (ext_port.h) */
    const struct adhoc_command *adhoc;      /* commands for users and administrators (extensions/adhoc.h) */
    const struct control_command *commands; /* of jabiructl (control_request.h) */
    const struct config_extension *config;  /* its section; its name should be that of the extension */
    size_t user_size, session_size,
        shard_size;                          /* zeroed memory of its own with each (ext_user() and so on) */
    void (*shard_fini)(struct shard *shard); /* frees what hangs on the shard's; no actor is left by then */
    /* Rows of the user that it keeps in memory: their kinds with commas between, what to do with one that was
     * loaded, and what to free when all is to be forgotten. A kind belongs to one extension. */
    const char *user_rows;
    void (*load_row)(struct user *user, const struct store_row *row);
    void (*user_reset)(struct user *user);
    void (*early_features)(struct host *host, struct buf *out); /* adds to those before a login */
    /* Adds to the features of an authenticated stream; called once for each configuration of the host. */
    void (*stream_features)(struct host *host, struct buf *out);
};

enum { EXT_MAX = 64 };

/* Answers the request; the payload is copied. */
void ext_result(struct iq_event *event, const struct buf *payload);
void ext_error(struct iq_event *event, enum stanza_error error, const char *text);

/* What `bind2_read` began has ended; in an event of the user's shard. */
void bind2_was_read(struct bind2_wait *wait);

/* Whether who asks may know of the account's presence: it is the account itself, or has a subscription from
 * it (RFC 6121 §4.3.2). */
bool ext_may_see(const struct iq_event *event);

/* Whether the host's configuration leaves the extension switched on. */
static inline bool ext_is_on(const struct host *host, const struct ext *ext)
{
    return !(atomic_load_explicit(&host->ext_off, memory_order_relaxed) >> ext->slot->index & 1);
}

/* What it keeps with a user, with a session, with a shard; and its settings for a host. */
static inline void *ext_user(struct user *user, const struct ext_slot *slot)
{
    return (char *)user + slot->user;
}

static inline void *ext_session(struct session *session, const struct ext_slot *slot)
{
    return (char *)session + slot->session;
}

static inline void *ext_shard(struct shard *shard, const struct ext_slot *slot)
{
    return (char *)shard + slot->shard;
}

static inline const void *ext_settings(const struct host *host, const struct ext_slot *slot)
{
    return config_extension_settings(host->config, slot->config);
}

/* ---- For the server
 * -------------------------------------------------------------------------------------------------- */

/* Gives each extension of the list its place; before a configuration is read. Returns the sections of the
 * configuration, NULL-terminated, for config_load_*(). */
const struct config_extension *const *ext_configs(const struct ext *const *list);

/* Lays out users and sessions, and sorts the hooks. */
void ext_set_up(struct server *server);
void ext_set_fini(struct server *server);

/* Frees what extensions keep with a shard. */
void ext_shard_fini(struct shard *shard);

/* Reads from its configuration which extensions are off at the host, and writes down what the others add to
 * the features of its streams. */
void ext_switch(struct host *host);

/* What extensions add to the features of an authenticated stream; on any thread, and lives as long as the
 * host. */
str ext_features(const struct host *host);
void ext_host_fini(struct host *host);

/* Runs the handler for this request; answers service-unavailable if there is none. */
void ext_dispatch(struct iq_event *event, enum ext_target target);

/* Runs the handler for this element; false if there is none. */
bool ext_nonza(struct session *session, const struct xml_node *element);
/* Runs what there is for the children of <bind/> of XEP-0386, in the order of the extensions. */
void ext_bind2(struct session *session, const struct xml_node *bind, struct buf *bound);

/* Begins what extensions read before that; false: nothing. Else `ready` is called once, later. */
bool ext_bind2_read(struct bind2_wait *wait, struct user *user, void (*ready)(struct bind2_wait *wait));

/* Whether there is one at this host. */
bool ext_takes(const struct host *host, const struct xml_node *element);

/* A row that none of the server's own parts knows; false if no extension does either. */
bool ext_load_row(struct user *user, const struct store_row *row);
void ext_user_reset(struct user *user);

/* Frees what extensions keep with a shard. */
void ext_shard_fini(struct shard *shard);

#endif
