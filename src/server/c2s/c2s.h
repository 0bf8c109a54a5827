/* SPDX-License-Identifier: MIT */
/* A client's stream over TCP (RFC 6120): what the files c2s*.c share. */
#ifndef SERVER_C2S_H
#define SERVER_C2S_H

#include "base/bucket.h"
#include "net/conn.h"
#include "server/session.h"
#include "server/shard.h"
#include "server/user/user.h"
#include "xml/scan.h"
#include "xmpp/sasl.h"

/* What a client may do when; the names are for the log. */
#define C2S_STATES(X)                                                                                        \
    X(C2S_OPENING, "waiting for a stream header")                                                            \
    X(C2S_NEGOTIATING, "features offered, not authenticated")                                                \
    X(C2S_SECURING, "TLS handshake")                                                                         \
    X(C2S_AUTHENTICATING, "SASL exchange")                                                                   \
    X(C2S_AUTHENTICATED, "authenticated, no resource yet")                                                   \
    X(C2S_COMPRESSING, "compression begins behind this element")                                             \
    X(C2S_BINDING, "binding a resource")                                                                     \
    X(C2S_BOUND, "bound")                                                                                    \
    X(C2S_CLOSING, "closing")

enum c2s_state {
#define X(id, text) id,
    C2S_STATES(X)
#undef X
};

struct c2s_login;
struct sasl2;

/* Which profile of SASL the stream has used (RFC 6120, XEP-0388). */
enum c2s_profile { C2S_PROFILE_NONE, C2S_PROFILE_SASL, C2S_PROFILE_SASL2 };

/* A client on its way to its home, and what it wants there. */
struct passport {
    struct shard_call _call;
    struct parked _parked;
    struct c2s *c2s; /* at home; NULL while travelling */
    /* What is to be done when it is there and its user is ready. */
    void (*_arrived)(struct user *user, struct passport *passport);
    char *id, *resource; /* to bind */
    char *previd;        /* to resume */
    uint32_t h;
    /* the stream, while it travels */
    struct host *_host;
    struct conn_parcel *_parcel;
    struct scanner _scanner;
    struct buf _in;
    char *_lang, *_local;
    struct sasl2 *_sasl2;
    uint8_t _tries, _profile;
    bool _anonymous, _direct_tls, _stays;
};

struct c2s {
    struct link link;
    struct conn conn;
    struct scanner scanner;
    struct buf in;             /* bytes of an element that is not complete, or that must wait */
    struct host *host;         /* after the first stream header */
    char *lang;                /* the stream's xml:lang, raw, or NULL */
    char *local;               /* after authentication: the localpart */
    char *wished;              /* before it: the bare JID that the stream's header came from, or NULL */
    struct session *session;   /* when bound */
    struct newcomer *newcomer; /* once it has asked for something before a login, else NULL */
    struct c2s_login *login;   /* during and after failed SASL exchanges, until authenticated */
    struct sasl2 *sasl2;       /* during a login by SASL2, until its success (c2s_auth.h) */
    struct timer timer;        /* for negotiation; when bound, for silence */
    struct task turn;          /* goes on with what is in `in` */
    struct bucket stanza_rate, byte_rate;
    uint64_t heard_us; /* when the last bytes came */
    uint8_t state;
    uint8_t profile;           /* enum c2s_profile */
    struct passport *passport; /* about to move to its user's home shard */
    struct c2s **bind_wait;    /* what to clear when it ends while it waits for its user */
    uint8_t tries;             /* failed authentications or bindings */
    uint8_t slips;             /* failed exchanges in all, those without a guess at a password among them */
    bool pinged;               /* silent for long, and asked for a sign of life */
    bool authenticated, anonymous, direct_tls, header_sent, busy, counted;
    bool in_line; /* `turn` is queued: others are heard first */
};

#define C2S_OF(link_pointer) CONTAINER_OF(link_pointer, struct c2s, link)

/* c2s.c */
struct c2s *c2s_new(struct shard *shard);
void c2s_write(struct c2s *c2s, str bytes);
void c2s_fail(struct c2s *c2s, enum stream_error error, const char *text); /* stream error, then the end */
void c2s_fail_with(struct c2s *c2s, enum stream_error error, const char *text, str detail);
void c2s_end(struct c2s *c2s);     /* closes the stream from our side */
void c2s_restart(struct c2s *c2s); /* a new stream header must follow */
void c2s_watch(struct c2s *c2s);   /* bound: watches for silence from now on */
void c2s_go_on(struct c2s *c2s);   /* works off what waits in `in`, after `busy`: when its turn comes */
const struct config *c2s_config(const struct c2s *c2s);
extern const struct conn_events c2s_events;
extern const struct link_ops c2s_ops;

/* c2s_features.c */
void c2s_send_features(struct c2s *c2s);
void c2s_offer(struct c2s *c2s, struct arena *arena, const char **names, size_t *ret_count);
size_t c2s_binding_types(struct c2s *c2s, const char **names);

/* c2s_auth.c */
bool c2s_auth_element(struct c2s *c2s, const struct xml_node *node); /* false: not one of SASL's */
void c2s_auth_free(struct c2s *c2s);

/* c2s_compress.c: XEP-0138 */
void c2s_compress_offer(struct c2s *c2s, struct buf *out);
bool c2s_compress_element(struct c2s *c2s, const struct xml_node *node); /* false: not taken here */
void c2s_compress_begin(struct c2s *c2s, str behind); /* `behind`: what came behind the request already */
void c2s_compress_failed(struct c2s *c2s, enum err why);
void c2s_compress_uncount(struct c2s *c2s);

/* c2s_newcomer.c: requests before a login; false: not one that anybody takes */
bool c2s_newcomer_element(struct c2s *c2s, const struct xml_node *node);
void c2s_newcomer_free(struct c2s *c2s);

/* c2s_home.c */
struct passport *passport_new(void (*arrived)(struct user *user, struct passport *passport));
void c2s_go_home(struct c2s *c2s, struct passport *passport);
/* Called when it has arrived: what is to be done takes longer; passport_return() has it done again. */
void passport_stay(struct passport *passport);
void passport_return(struct user *user, struct passport *passport);
void c2s_depart(struct c2s *c2s); /* sends everything but the shell away */

/* c2s_bind.c */
void c2s_bind(struct c2s *c2s, const struct stanza *iq);
/* Frees the resource and a place for it; `own`: whoever has it is the same client. False: there is none. */
bool c2s_make_room(struct user *user, const struct c2s *c2s, str resource, bool own);

/* c2s_resume.c: what XEP-0198 says before there is a session; false: not one of its elements */
bool c2s_sm_element(struct c2s *c2s, const struct xml_node *node);
/* Resumes what <resume/> asks for, or ends the stream; false, with <failed/>, if there is no such session. */
bool c2s_resume(struct user *user, struct c2s *c2s, const struct xml_node *node, struct buf *ret_failed);

#endif
