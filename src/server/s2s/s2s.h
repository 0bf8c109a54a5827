/* SPDX-License-Identifier: MIT */
/* A stream with another server (RFC 6120, jabber:server), either way: what the files s2s*.c share.
 *
 * An *outgoing* stream is one that we opened, for a pair of domains (remote.h); an *incoming* one is a
 * peer's. What may come in over a stream is what the peer has proved: its proofs. What goes out over it are
 * the pairs that send over it: on an outgoing stream, or, if both ends agreed (bidi, XEP-0288), on an
 * incoming one. */
#ifndef SERVER_S2S_H
#define SERVER_S2S_H

#include "base/bucket.h"
#include "net/conn.h"
#include "server/link.h"
#include "server/s2s/posh.h"
#include "server/shard.h"
#include "xml/scan.h"
#include "xmpp/dialback.h"
#include "xmpp/peer.h"

/* What a stream is doing; the names are for the log. */
#define S2S_STATES(X)                                                                                        \
    X(S2S_OPENING, "waiting for a stream header")                                                            \
    X(S2S_FEATURES, "outgoing: waiting for features")                                                        \
    X(S2S_STARTING_TLS, "outgoing: asked for TLS")                                                           \
    X(S2S_SECURING, "TLS handshake")                                                                         \
    X(S2S_AUTHENTICATING, "outgoing: SASL EXTERNAL")                                                         \
    X(S2S_OPEN, "open")                                                                                      \
    X(S2S_PARTING, "ended by us: the peer's last words are heard")                                           \
    X(S2S_CLOSING, "closing")

enum s2s_state {
#define X(id, text) id,
    S2S_STATES(X)
#undef X
};

struct pair;
struct s2s_sm;
struct s2s_tail;

/* The peer may speak for this domain. */
struct proof {
    struct list link;
    char *theirs;
    char *ours; /* to this domain alone (dialback proves pairs); NULL: to any */
};

struct s2s {
    struct link link;
    struct conn conn;
    struct scanner scanner;
    struct buf in; /* bytes of an element that is not complete */
    struct timer timer;
    uint64_t heard_us, used_us; /* the last byte, the last stanza, either way */
    struct map_node _by_id;     /* an incoming one, in shard->s2s_ids */
    char *id;                   /* the stream's, "" while it has none */
    char *ours;                 /* our domain, of the header; NULL: not said */
    char *domain;               /* theirs, of the header; NULL: not said */
    char *lang;
    struct list proofs;
    struct list senders; /* pairs that send over it (pair->_sending) */
    struct list asking;  /* pairs whose dialback key it carries, unanswered (pair->_asking) */
    unsigned proof_count, verifying;
    uint8_t state, patience;
    bool stranger; /* it has proved nothing yet, and is counted as such (gate.h) */
    bool outgoing, direct_tls, header_sent, authenticated, bidi, certified;
    bool vouched;                         /* we were asked about a key */
    struct bucket stanza_rate, byte_rate; /* of what comes in before anything is proved, from an address that
                                             is not counted */
    uint64_t domain_mark;                 /* hash of the first domain that was proved; 0: none yet */
    bool counted;                         /* among the connections of that domain */
    bool is_exempt;                       /* from the rates */
    struct timer rate_timer;              /* running: nothing is read until then */
    struct task turn;                     /* to go on with what waits in `in`, */
    bool in_line;                         /* when others have had theirs */
    struct posh_asker posh;               /* nothing is read while a web server is being asked */
    bool asks_posh;
    uint64_t since_us, stanzas_in, stanzas_out;
    uint64_t weight_in;     /* stanzas, those for many counted for each */
    bool bidi_due;          /* to be used in the other direction when the peer has begun (s2s_in_bidi) */
    bool bidi_late;         /* the same, when it is settled what an older stream has brought */
    bool parted;            /* the peer has ended it in order */
    struct s2s_sm *sm;      /* stream management, or NULL */
    struct s2s_tail *tail;  /* what was sent without it (s2s_tail.h), or NULL */
    enum stream_error told; /* the error with which the peer ended it */
    /* of an outgoing one */
    struct pair *pair; /* that opened it; NULL: it has gone */
    struct peer_features features;
    bool header_dialback, external_failed;
    char *target; /* with DANE: the name of the server that its TLSA records are about; else NULL */
    /* of an incoming one that is about to move */
    struct shard *moving;
    struct conn_parcel *parcel;
    struct mail mail;
};

#define S2S_OF(link_pointer) CONTAINER_OF(link_pointer, struct s2s, link)

/* ---- s2s.c: what both ends share */

struct s2s *s2s_new(struct shard *shard, struct socket *socket, bool outgoing, bool direct_tls);
const struct config *s2s_config(const struct s2s *s2s);
str s2s_key(const struct map_node *node); /* for shard->s2s_ids */

extern const struct conn_events s2s_events;

/* Works off what waits in `in`, or reads on, as it may. */
void s2s_go_on(struct s2s *s2s);

/* Nothing is read for so long (0: it goes on). */
void s2s_slow_down(struct s2s *s2s, uint64_t ms);

void s2s_stop_waiting(struct s2s *s2s); /* for time, for its turn, for a web server */

/* Ends the stream: with a stream error, or in order. What was under way over it fails. */
void s2s_fail(struct s2s *s2s, enum stream_error error, const char *text);
void s2s_end(struct s2s *s2s);

/* It is about to end, or has ended: nothing is sent over it any more. */
static inline bool s2s_is_over(const struct s2s *s2s)
{
    return s2s->state >= S2S_PARTING;
}

void s2s_restart(struct s2s *s2s); /* a new stream header must follow */
void s2s_send_header(struct s2s *s2s);
void s2s_start_tls(struct s2s *s2s);
void s2s_established(struct s2s *s2s); /* no more hurry: from now on it may be idle */
void s2s_certify(struct s2s *s2s);     /* looks whether the peer's certificate is good for s2s->domain */

/* Before the first proof of an incoming stream: false if that domain has too many connections already; then
 * the stream has ended. */
bool s2s_admit(struct s2s *s2s, str theirs);

/* The peer has proved to be `theirs` (to `ours`, or to any domain of ours if str_none). */
void s2s_prove(struct s2s *s2s, str theirs, str ours);
bool s2s_is_proven(const struct s2s *s2s, str theirs, str ours);

/* Queues a stanza on the connection. S2S_FULL: it has enough to send, or to be acknowledged; come again when
 * it is drained. S2S_NEVER: it can't be written, and was answered with an error. */
enum s2s_sent { S2S_SENT, S2S_FULL, S2S_NEVER };
enum s2s_sent s2s_send(struct s2s *s2s, const struct stanza *stanza, const struct jid *to);
enum s2s_sent s2s_write(struct s2s *s2s, const struct stanza *stanza, const struct jid *to); /* full or not */
void s2s_drain(struct s2s *s2s); /* it takes more: its pairs send what waits */
void s2s_write_dialback(struct s2s *s2s, const struct dialback *dialback);

/* A line about it for people: direction, domains, address, TLS, what was proved and how, and what is used. */
str s2s_describe(const struct s2s *s2s, struct arena *arena);

/* Whether a domain is served here: a virtual host, a service, or a component's. */
bool s2s_is_ours(const struct server *server, str domain);

/* The virtual host whose certificate serves a domain of ours: services and components have that of the host
 * that they are below. */
struct host *s2s_tls_host(const struct server *server, str domain);

/* ---- s2s_in.c: the receiving end */

void s2s_accept(struct shard *shard, struct socket *socket, bool direct_tls);
void s2s_in_opened(struct s2s *s2s, const struct stream_header *header);
void s2s_in_ready(struct s2s *s2s, bool is_old); /* it may be told what is offered */
void s2s_in_element(struct s2s *s2s, const struct xml_node *node);
void s2s_in_leave(struct s2s *s2s);

/* Lets the peer be served in the other direction over this stream too, if it asked for that: as soon as it
 * has said whether it wants stream management. Moves the stream to the home of the peer's domain. */
void s2s_in_bidi(struct s2s *s2s, str theirs, str ours);
void s2s_in_begun(struct s2s *s2s);   /* it has */
void s2s_in_offer(struct pair *pair); /* a stream that had to wait for an older one to be settled */

/* ---- s2s_out.c: the initiating end */

struct s2s *s2s_open(struct pair *pair, struct socket *socket, bool direct_tls);
void s2s_out_opened(struct s2s *s2s, const struct stream_header *header);
void s2s_out_element(struct s2s *s2s, const struct xml_node *node);

/* The peer takes stanzas of this domain of ours: if both ends agreed on it, the peer may answer over the same
 * stream.
 */
void s2s_out_proven(struct s2s *s2s, str ours);

/* Shows our dialback key for a pair; its answer calls pair_proven() or pair_refused(). */
void s2s_ask(struct s2s *s2s, struct pair *pair);

/* ---- s2s_dialback.c */

/* Whether an element can only be answered when a web server has been asked (s2s_must_ask()). */
bool s2s_dialback_must_ask(struct s2s *s2s, const struct xml_node *node);

/* An element of dialback on a stream. False: it is none. */
bool s2s_dialback(struct s2s *s2s, const struct xml_node *node);

/* ---- s2s_policy.c */

struct s2s_policy {
    bool refused; /* nothing is exchanged with this domain */
    bool require_tls, require_certificate, dialback;
};

struct s2s_policy s2s_policy_for(const struct config *config, str domain);

/* Whether a list of the configuration has this domain: by its name, as "*.example.org" or "*". */
bool s2s_listed(const struct config_list *list, str domain);

/* ---- s2s_cert.c */

/* Whether a name of a certificate is one of this domain (RFC 6120 §13.7.1.2, RFC 9525), for other servers or
 * for
 * "_xmpp-client." or "_xmpp-server.". */
bool s2s_name_covers_service(const struct tls_name *name, str service, str domain, struct arena *arena);
bool s2s_name_covers(const struct tls_name *name, str domain, struct arena *arena);

/* Whether the peer's certificate is trusted and good for this domain; else, what is wrong in `*ret_why`. Of a
 * connection that expected TLSA records only for the domain that it was made for; `target` (or NULL) is the
 * name of the server that DNSSEC vouches for, which counts as well then (RFC 7673 §4.2). */
bool s2s_conn_is_certified(struct conn *conn, str domain, const char *target, struct arena *arena,
                           const char **ret_why);
bool s2s_is_certified(struct s2s *s2s, str domain, const char **ret_why); /* also as POSH says, so far */

/* Whether it has to wait before anybody can say that the certificate is good for this domain: its web server
 * is being asked (posh.h). What has come goes on then: s2s_in_ready(), or the element that is scanned again.
 */
bool s2s_must_ask(struct s2s *s2s, str domain);

#endif
