/* SPDX-License-Identifier: MIT */
/* The one header through which an extension sees the server, and the descriptor through which the server sees
 * an extension. An extension is data first: what disco, the documentation and the dispatch need stands in a
 * const `struct ext`; nothing is registered by code. */
#ifndef SERVER_EXT_H
#define SERVER_EXT_H

#include "server/host.h"
#include "server/session.h"
#include "server/shard.h"
#include "server/user.h"

enum ext_target {
    TO_HOST,    /* addressed to a domain that we serve */
    TO_ACCOUNT, /* addressed to a bare JID, or by a client to none: the server answers for the account */
};

/* A request at hand. Everything in it lives as long as the event. */
struct iq_event {
    struct shard *shard;
    struct host *host;
    struct user *user;       /* TO_ACCOUNT: whose account; the user is ready. TO_HOST: NULL */
    struct session *session; /* TO_ACCOUNT: the asking session if it is one of the user's own, else NULL */
    const struct stanza *iq;
    struct xml_node child; /* the one child of the request */
};

struct ext_iq {
    enum stanza_type type; /* TYPE_GET or TYPE_SET */
    enum ext_target target;
    const char *name, *ns;                  /* of the child; a NULL name ends the list */
    void (*handle)(struct iq_event *event); /* answers, once, with ext_result() or ext_error() */
};

struct ext {
    const char *name;
    const char *title; /* what it is, for the documentation */
    struct {
        unsigned number;
        const char *version;
    } xep;
    const char *const *features;         /* advertised for hosts; NULL-terminated */
    const char *const *account_features; /* advertised for accounts */
    const struct ext_iq *iqs;
    void (*stream_features)(struct host *host,
                            struct buf *out); /* adds to the features of an authenticated stream */
};

/* Answers the request; the payload is copied. */
void ext_result(struct iq_event *event, const struct buf *payload);
void ext_error(struct iq_event *event, enum stanza_error error, const char *text);

/* Whether who asks may know of the account's presence: it is the account itself, or has a subscription from
 * it (RFC 6121 §4.3.2). */
bool ext_may_see(const struct iq_event *event);

/* Whether the host's configuration leaves the extension switched on. */
bool ext_is_on(const struct host *host, const struct ext *ext);

/* Runs the handler for this request; answers service-unavailable if there is none. */
void ext_dispatch(struct iq_event *event, enum ext_target target);

#endif
