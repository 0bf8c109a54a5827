/* SPDX-License-Identifier: MIT */
/* Other domains. A remote domain is at home on the shard that its name is hashed to; there it has a *pair*
 * for each domain of ours that deals with it, with the stanzas that wait and the way that they take: a stream
 * that we opened, one that we opened for another pair (piggybacking), or one that the peer opened and lets us
 * use (bidi).
 *
 * A domain that could not be reached is left alone for a while; whoever writes to it then gets the same error
 * at once. */
#ifndef SERVER_REMOTE_H
#define SERVER_REMOTE_H

#include "net/dial.h"
#include "net/dns.h"
#include "server/shard.h"
#include "xmpp/dialback.h"

struct gathering;
struct many;
struct s2s;
struct remote;

/* A key that a server showed us, and that we have to ask the domain about that it is said to come from. */
struct verify {
    struct list link;               /* remote->verifies */
    struct shard_call call;         /* takes it to the domain's home, and back */
    struct shard *asker;            /* where the stream is that wants to know */
    char *ours, *theirs, *id, *key; /* the domains, the id of that stream, the key */
    struct s2s *over;               /* the stream that the question went over; NULL: not sent yet */
    enum dialback_type type;        /* the answer; DIALBACK_ERROR with `error` */
    enum stanza_error error;
};

/* How far the pair's own stream has come. */
enum pair_state { PAIR_IDLE, PAIR_RESOLVING, PAIR_CONNECTING, PAIR_NEGOTIATING };

struct pair {
    struct list link; /* remote->pairs */
    struct remote *remote;
    char *ours;        /* domain */
    struct list queue; /* what waits, the oldest first */
    uint32_t queued;
    size_t queued_bytes;
    struct timer wait_timer;
    struct list _sending, _asking; /* of a stream */
    struct s2s *sending;           /* stanzas go over it */
    struct s2s *asking;            /* it carries our dialback key, not answered yet, or is held back */
    struct s2s *own;               /* the stream that was opened for this pair */
    enum pair_state state;
    struct dns_lookup lookup;
    struct dial dial;
    size_t endpoint;             /* of the lookup: the one that is in use */
    bool was_proven;             /* over its own stream */
    bool held_back;              /* `asking` is not used before it is known what a broken stream brought */
    bool no_external;            /* SASL EXTERNAL failed: dialback from now on */
    bool try_again;              /* at the same endpoint */
    bool no_passengers;          /* another pair's stream did not take our key */
    struct gathering *gathering; /* what may go out together (remote_many.h), or NULL */
};

struct remote {
    struct map_node _node;
    struct shard *shard;
    char *domain;
    char *ascii; /* in A-labels, for DNS and TLS */
    struct list pairs;
    struct list verifies;
    struct list past; /* streams that broke and may be resumed (s2s_sm.h) */
    unsigned verify_count;
    bool proves;             /* it has answered a ping (s2s_tail.h) */
    unsigned failures;       /* in a row */
    uint64_t dead_until_us;  /* left alone until then */
    enum stanza_error error; /* why */
    const char *why;
    struct many *many; /* what is known of its way with many addresses (remote_many.h), or NULL */
    struct timer idle;
};

/* For the shard. */
str remote_key(const struct map_node *node);
void remotes_drop_all(struct shard *shard);
/* Answers all that waits with an error, and lets go of streams that are not there yet: before a stop. */
void remotes_stop(struct shard *shard);

/* A stanza for another domain, whose home this shard is. */
void remote_deliver(struct shard *shard, const struct delivery *delivery);

/* What is known of another domain, in lines for people: what is allowed, the addresses that DNS named, the
 * streams, what waits, and why it is left alone. Says so if nothing is known on this shard. */
void remote_explain(struct shard *shard, str domain, struct buf *out);

/* The pair of two domains; NULL when there are too many. */
struct pair *remote_pair(struct shard *shard, str ours, str theirs);

/* The domain, if it is known here, or NULL. */
struct remote *remote_named(struct shard *shard, str domain);

/* Sends a delivery over the pair's stream, or lets it wait for one. Its `crowd`, if any, are those for whom
 * it is meant (remote_many.c); it is referred to. */
void pair_deliver(struct pair *pair, const struct delivery *delivery);

/* Asks the domain verify->theirs about a key; from any shard. The answer comes to s2s_verified() on the
 * asker's. Takes `verify` over. */
void remote_verify(struct verify *verify);
void s2s_verified(struct shard *shard, struct verify *verify); /* s2s_dialback.c */
void verify_free(struct verify *verify);

/* ---- What streams tell a pair. Within an event. */

void pair_may_send(struct pair *pair, struct s2s *s2s); /* it is authenticated: send over this stream */
void pair_drained(struct pair *pair);                   /* its stream takes more */
void pair_open(struct pair *pair);                      /* its own stream is open */
void pair_refused(struct pair *pair, enum stanza_error error, const char *why); /* its key was not taken */
void pair_lost(struct pair *pair); /* the stream that it sends over, or that carries its key, has ended */

/* Its own stream has ended; `was_open`: after it was open. `why` is static text. */
void pair_own_ended(struct pair *pair, struct s2s *s2s, enum stanza_error error, const char *why,
                    bool was_open);

/* The domain's server has answered a question about a key. */
void remote_verified(struct remote *remote, const struct dialback *answer);

#endif
