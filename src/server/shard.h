/* SPDX-License-Identifier: MIT */
/* A shard: one loop, the actors that are at home on it, and the links of clients that it serves.
 *
 * Everything a shard does happens inside an *event* (bytes of a client, a mail, a timer, an answer of the
 * store), between shard_enter() and shard_leave(). What a handler sends is put in a queue and delivered when
 * the handler has returned, so no handler is ever entered while another one runs; the arena and the bytes at
 * hand stay valid until the queue is empty. */
#ifndef SERVER_SHARD_H
#define SERVER_SHARD_H

#include "base/arena.h"
#include "base/slab.h"
#include "server/appends.h"
#include "server/crowd.h"
#include "server/pace.h"
#include "server/server.h"
#include "xmpp/error.h"
#include "xmpp/stanza.h"

/* Counters of a shard, for `jabiructl status` and the tests; only its own thread writes them. */
#define SHARD_COUNTERS(X)                                                                                    \
    X(stanzas_in, "stanzas received from clients")                                                           \
    X(stanzas_out, "stanzas sent to clients")                                                                \
    X(errors_out, "stanza errors sent")                                                                      \
    X(stream_errors, "streams ended by us with an error")                                                    \
    X(logins, "successful authentications")                                                                  \
    X(login_failures, "failed authentications")                                                              \
    X(offline_stored, "messages put into the offline store")                                                 \
    X(actor_wakes, "actors loaded from the store")                                                           \
    X(components_in, "stanzas received from components")                                                     \
    X(components_out, "stanzas sent to components")                                                          \
    X(csi_held, "stanzas that waited for inactive clients")                                                  \
    X(csi_saved, "stanzas that inactive clients were spared")                                                \
    X(csi_saved_bytes, "bytes that inactive clients were spared")                                            \
    X(csi_flushes, "times that what waited for an inactive client was sent")                                 \
    X(mails_out, "mails sent to other shards")                                                               \
    X(s2s_in, "stanzas received from other servers")                                                         \
    X(s2s_out, "stanzas sent to other servers")                                                              \
    X(s2s_resumed, "streams with other servers that were resumed")                                           \
    X(s2s_resent, "stanzas sent again to another server that had not got them")                              \
    X(s2s_given_up, "errors for another server's stanzas that were not waited for to the end")               \
    X(s2s_slowed, "times that another server sent too fast and was read more slowly")                        \
    X(s2s_refused, "other servers that could not prove who they are")                                        \
    X(many_in, "stanzas received for many addresses at once")                                                \
    X(many_out, "stanzas sent to another server for many addresses at once")                                 \
    X(bytestreams, "bytestreams that the proxy has relayed")                                                 \
    X(bytestream_bytes, "bytes that it has relayed")                                                         \
    X(archived, "messages put into archives")                                                                \
    X(slowed, "times that clients were read more slowly, since they sent too much or faster than was read")  \
    X(held_back, "times that clients were not read because the store had fallen behind")                     \
    X(ended_for_memory, "connections and sessions ended because memory was short")                           \
    X(refused_memory, "logins refused because memory was short")                                             \
    X(refused, "connections refused by a limit")                                                             \
    X(refused_address, "of these, because their address had too many")                                       \
    X(refused_stranger, "of these, because their address had too many that had not logged in")               \
    X(refused_rate, "of these, because their address came too often")

struct shard_counters {
#define X(name, text) uint64_t name;
    SHARD_COUNTERS(X)
#undef X
};

struct receipt;
struct shard_mail;

/* Where a stanza goes when it is not simply routed. */
enum deliver {
    DELIVER_ROUTE,      /* by the rules of RFC 6120 §10 and RFC 6121 §8 */
    DELIVER_BROADCAST,  /* the same, and a user who is not awake need not be woken for it */
    DELIVER_INSIDE,     /* from one user of this server to another, for extensions: the hook stanza_inside of
                           who is awake; a presence of type probe wakes */
    DELIVER_AGAIN,      /* a message that a session of the user had and did not acknowledge (sm.h) */
    DELIVER_SESSION,    /* to exactly the session of the full JID, unchanged */
    DELIVER_AVAILABLE,  /* to all available sessions of the bare JID */
    DELIVER_INTERESTED, /* to all sessions of the bare JID that asked for the roster */
    DELIVER_CROWD,      /* routed to each full JID of a crowd */
};

struct delivery {
    const struct stanza *stanza;
    struct jid to; /* none for a crowd */
    enum deliver how;
    struct receipt *receipt; /* of the stanza that it comes from, or NULL (receipt.h) */
    struct crowd *crowd;     /* a reference of the queue's */
    uint32_t except;         /* the group of the crowd that is left out */
};

struct shard {
    struct server *server;
    struct loop *loop;
    unsigned index;
    unsigned _depth;     /* of shard_enter */
    bool is_for_service; /* something is queued for a service (a room): what it says to it may hold its sender
                            back */
    bool to_many;        /* what is being delivered goes to many at once: it may leave later than the rest */
    uint64_t work; /* stanzas taken in and given out, ever: who counts it knows what a stanza has cost */
    uint64_t broadcasts; /* those of it that were given out by DELIVER_BROADCAST */
    struct arena arena;  /* of the event at hand */
    struct delivery *_queue;
    size_t _queue_head, _queue_len, _queue_room;
    struct shard_mail **_outgoing;          /* one for each other shard: the mail that this event fills */
    struct shard_mail *_spare;              /* mails that may be used again */
    _Atomic(struct shard_mail *) _returned; /* those that others gave back since */
    atomic_size_t _spare_bytes;             /* of both */
    struct hold *_hold;       /* where deliveries wait for a commit, while a handler that writes runs */
    struct receipt *_receipt; /* of the stanza at hand, or NULL */
    struct appends appends;
    struct pace pace;
    struct later *_later;    /* heap memory to free at the end of the event */
    struct map actors;       /* who is awake, by bare JID (actor.h) */
    struct map remotes;      /* other domains at home here (remote.h) */
    struct map s2s_ids;      /* streams of other servers by their id (s2s.h) */
    struct dns *dns;         /* NULL: no federation */
    struct posh_book *posh;  /* NULL: web servers are not asked about certificates (posh.h) */
    struct list s2s_links;   /* streams with other servers */
    unsigned probes;         /* tests of other domains that are under way (probe.h) */
    struct list gatherings;  /* of this event, for other servers (remote_many.h) */
    uint64_t _sm_serial;     /* of the last batch that had something of a session (sm_store.c) */
    struct list _sm_ending;  /* sessions that have ended, and what they had is still being delivered */
    struct list _sm_remains; /* sessions that have ended, and what the store has of them is to go */
    struct list _again;      /* messages whose users can't be had now (user_again.h) */
    unsigned again_count;    /* so many, and those that the disk refuses (user_handover.h) */
    struct list links;       /* all links of clients and components */
    struct slab user_slab, session_slab, c2s_slab;
    struct port **ports; /* that it listens on */
    size_t port_count;
    struct shard_counters counters;
    bool stopping;
    unsigned stop_ticks, farewell_ticks, quiet_ticks;
    struct timer stop_timer;
};

/* A write is on its way to the disk, or a read that something waits for, and has come back: an orderly stop
 * waits for all of them. */
static inline void shard_commit_began(struct shard *shard)
{
    atomic_fetch_add_explicit(&shard->server->commits, 1, memory_order_relaxed);
}

static inline void shard_commit_ended(struct shard *shard)
{
    atomic_fetch_sub_explicit(&shard->server->commits, 1, memory_order_relaxed);
}

struct shard *shard_new(struct server *server, struct loop *loop, unsigned index);
/* Its actors end, with no loop running any more (server->over); then, when those of all have, it is freed. */
void shard_end(struct shard *shard);
void shard_free(struct shard *shard);

/* Stops listening (server.c). */
void shard_close_ports(struct shard *shard);

/* Begins and ends an event. Nest freely: the outermost leave delivers what was queued and resets the arena.
 */
void shard_enter(struct shard *shard);
void shard_leave(struct shard *shard);

/* Frees heap memory when the event is over: what is queued may point into it. */
void shard_free_later(struct shard *shard, void *memory);

/* Delivers what is queued right now, in the middle of an event: only where no handler is running. */
void shard_drain(struct shard *shard);

/* Sends a stanza to its `to`, or to another address. The stanza must live as long as the event (put it in the
 * arena). A remote or unknown address is answered with the error that it deserves. */
void route(struct shard *shard, const struct stanza *stanza);
void route_to(struct shard *shard, const struct stanza *stanza, const struct jid *to, enum deliver how);

/* Sends a stanza to each of a crowd but those of the group `except`, by the rules for a full JID. The
 * stanza has no `to`: each gets his own. It must live as long as the event; the crowd is referred to. */
void route_crowd(struct shard *shard, const struct stanza *stanza, struct crowd *crowd, uint32_t except);

/* Answers a stanza with an error, unless it is one that must not be answered (RFC 6120 §8.3.1). */
void route_error(struct shard *shard, const struct stanza *stanza, enum stanza_error error, const char *text);

/* Sends an answer of one's own making to its `to`. It must live as long as the event. */
void route_answer(struct shard *shard, const struct stanza *answer);

/* Answers an iq. `payload` must live as long as the event. */
void route_result(struct shard *shard, const struct stanza *iq, str payload);

/* Runs a function on a shard, as an event; from any thread. `call` is the caller's memory until `run` is
 * called. */
struct shard_call {
    struct mail _mail;
    struct shard *_shard;
    void (*run)(struct shard *shard, struct shard_call *call);
};
void shard_post(struct shard *shard, struct shard_call *call);

/* ---- Held back until it is on disk
 * ------------------------------------------------------------------------------ */

/* What a handler says after it has begun to write waits here for the commit. */
struct hold {
    struct list _entries;
};

void hold_init(struct hold *hold);
/* Delivers what was held, in order, as part of the event at hand. */
void hold_release(struct shard *shard, struct hold *hold);
/* Forgets it. */
void hold_drop(struct shard *shard, struct hold *hold);

/* While set (not NULL), every route call goes to the hold instead of the queue. */
static inline void shard_hold(struct shard *shard, struct hold *hold)
{
    shard->_hold = hold;
}

#endif
