/* SPDX-License-Identifier: MIT */
/* The moments that extensions can join: one list, from which come the type of each handler and a function
 * that fires it. A handler of the wrong type does not compile.
 *
 * Order is a phase, and within a phase the order of the list of extensions. A handler says HOOK_NEXT, or
 * HOOK_DONE: it took the thing (it has answered where an answer is due), and nobody else sees it. Handlers
 * run inside an event of the shard, and never wait; what they send is delivered when they have returned. */
#ifndef SERVER_HOOKS_H
#define SERVER_HOOKS_H

#include "server/component.h"
#include "server/shard.h"
#include "server/user/user.h"

/* A stanza at a user: sent by one of its sessions, or arrived for it. */
struct stanza_event {
    struct shard *shard;
    struct user *user;           /* NULL: it came to a host */
    struct session *session;     /* who sent it; NULL for what arrives */
    const struct stanza *stanza; /* a handler may put another one here, in the shard's arena; what comes to an
                                    crowd has no `to` of its own: see below */
    struct jid to; /* the address at which it arrived, or to which it goes (none: by a client to nobody) */
    uint64_t archived; /* message_from_user: its entry in the sender's archive (appends.h); 0: none yet */
    str archive_id;    /* that the user's archive has given it; str_none: it is not there */
};

/* A session that changes; `presence`: what did it, or NULL. */
struct session_event {
    struct user *user;
    struct session *session;
    const struct stanza *presence;
};

/* A session that survives a restart of the server (XEP-0198): on its way to the store, and back. */
struct session_state_event {
    struct session *session;
    struct buf *xml;              /* session_save: a handler adds elements of its own */
    const struct xml_node *saved; /* session_restore: has them as children */
};

/* A stanza on its way out to a session's client. */
struct sending_event {
    struct session *session;
    const struct stanza *stanza;
    const struct jid *to; /* as in stanza_write(); may be NULL */
};

/* A contact's subscription changed: flags of the roster item (roster.h) before and after. */
struct contact_event {
    struct user *user;
    struct jid contact; /* bare */
    uint8_t before, after;
};

/* Something that the account says by itself (presence to a contact, a probe, an event of a node) is about to
 * go to an address. HOOK_DONE: it must not. */
struct reach_event {
    struct user *user;
    struct jid to;
};

/* A stanza that was kept (an offline message, a subscription request) is about to be sent to a session.
 * HOOK_DONE: it is not. A message is forgotten then with those that were sent. */
struct kept_event {
    struct user *user;
    struct session *session;
    const struct stanza *stanza;
};

/* A user has blocked an address (XEP-0191); `item`: the element of the request. */
struct blocked_event {
    struct user *user;
    struct jid jid;
    const struct xml_node *item;
    const struct stanza *iq;
};

/* Somebody asks who we are (XEP-0030): handlers add elements to `xml`. */
struct disco_event {
    struct iq_event *request; /* request->user: for an account; else for the host */
    str node;                 /* "" for none */
    struct buf *xml;          /* inside of the <query/> */
    bool known;               /* to be set by whoever knows the node */
    enum stanza_error error;  /* to be set by whoever knows it and does not tell this one */
};

/* An item of a roster has changed, is new, or gone. */
struct roster_event {
    struct user *user;
    str item; /* as it is pushed */
};

/* A probe of another user's extension (DELIVER_INSIDE) for a user who sleeps. HOOK_DONE: no need to wake. */
struct sleeper_event {
    struct shard *shard;
    struct host *host;
    struct jid to;
    const struct stanza *probe;
};

/* An item of one of the account's nodes (XEP-0163) is new, or gone. */
struct node_event {
    struct user *user;
    str node, id;
    str payload;                /* stands alone; of what is gone: none */
    bool makes_room;            /* it is gone because another one follows at once */
    const struct stanza *cause; /* what the sender asked for, or NULL */
};

/* An external component of this host has connected; on the home shard of its domain. */
struct component_event {
    struct shard *shard;
    const struct component_domain *domain;
};

/* An account that was made, or is gone from the store (its user is about to be forgotten); at its home. */
struct account_event {
    struct shard *shard;
    struct jid jid;            /* bare */
    struct store_batch *batch; /* account_being_made: what is written with it */
};

struct newcomer_event; /* newcomer.h */

#define HOOKS(X)                                                                                             \
    X(stanza_from_user, struct stanza_event)    /* before anything is done with it */                        \
    X(stanza_to_user, struct stanza_event)      /* the same, for what arrives for a user who is ready */     \
    X(message_from_user, struct stanza_event)   /* about to be routed */                                     \
    X(message_unarchived, struct stanza_event)  /* was routed before a crash: it is to be archived alone */  \
    X(message_to_user, struct stanza_event)     /* about to be delivered or stored */                        \
    X(message_delivered, struct stanza_event)   /* sessions have it (session_got()), or the offline store */ \
    X(session_bound, struct session_event)      /* a new session */                                          \
    X(session_presence, struct session_event)   /* a broadcast: available, or not any more */                \
    X(session_available, struct session_event)  /* the first one that says available */                      \
    X(session_closed, struct session_event)     /* it is about to be freed */                                \
    X(session_detached, struct session_event)   /* its link is gone; it may come back (XEP-0198) */          \
    X(session_resumed, struct session_event)    /* another link has taken it over */                         \
    X(session_save, struct session_state_event) /* see session_changed() */                                  \
    X(session_restore, struct session_state_event) /* instead of session_bound */                            \
    X(stanza_to_session, struct sending_event)     /* only for sessions that are `tapped` */                 \
    X(stanza_inside, struct stanza_event)          /* what other users' extensions say (DELIVER_INSIDE) */   \
    X(probe_of_sleeper, struct sleeper_event)      /* see there */                                           \
    X(contact_presence, struct stanza_event)       /* a contact's presence has come */                       \
    X(contact_changed, struct contact_event)       /* subscriptions, at the moment of the change */          \
    X(roster_changed, struct roster_event)                                                                   \
    X(request, struct iq_event)            /* the server is about to answer it, for a host or an account */  \
    X(answer_to_host, struct stanza_event) /* an iq result or error; user NULL */                            \
    X(item_published, struct node_event)   /* a part of the same write; only of nodes that keep items */     \
    X(item_retracted, struct node_event)   /* the same */                                                    \
    X(component_connected, struct component_event)                                                           \
    X(may_reach, struct reach_event)            /* see there */                                              \
    X(kept_stanza, struct kept_event)           /* see there */                                              \
    X(contact_blocked, struct blocked_event)    /* a part of the same write as the block */                  \
    X(newcomer_request, struct newcomer_event)  /* before a login; DONE: it is or will be answered */        \
    X(account_being_made, struct account_event) /* not by an import, which brings all there is of it */      \
    X(account_made, struct account_event)                                                                    \
    X(account_removed, struct account_event)                                                                 \
    X(disco_info, struct disco_event)                                                                        \
    X(disco_items, struct disco_event)                                                                       \
    X(message_to_host, struct stanza_event)  /* user NULL */                                                 \
    X(presence_to_host, struct stanza_event) /* the same */

enum hook_phase { PHASE_GUARD, PHASE_STAMP, PHASE_ARCHIVE, PHASE_COPY, PHASE_DELIVER, PHASE_OBSERVE };

enum hook_ret { HOOK_NEXT, HOOK_DONE };

enum hook_id {
    HOOK_NONE,
#define X(name, event) HOOK_##name,
    HOOKS(X)
#undef X
        HOOK_COUNT
};

struct iq_event;

struct ext_hook {
    enum hook_id id; /* HOOK_NONE ends a list */
    enum hook_phase phase;
    union {
#define X(name, event) enum hook_ret (*name)(struct host * host, event * data);
        HOOKS(X)
#undef X
    } call;
};

/* A row of an extension's table. */
#define HOOK(name, phase, handler)                                                                           \
    {                                                                                                        \
        HOOK_##name, phase,                                                                                  \
        {                                                                                                    \
            .name = handler                                                                                  \
        }                                                                                                    \
    }

/* Calls the handlers of the extensions that are on at this host. */
#define X(name, event) enum hook_ret fire_##name(struct host *host, event *data);
HOOKS(X)
#undef X

#endif
