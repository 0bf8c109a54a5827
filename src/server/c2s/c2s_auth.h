/* SPDX-License-Identifier: MIT */
/* What the files of logging in share: the exchange (c2s_auth.c), the profile of SASL2 around it
 * (c2s_sasl2.c, at home c2s_sasl2_home.c), and tokens (c2s_fast.c). */
#ifndef SERVER_C2S_AUTH_H
#define SERVER_C2S_AUTH_H

#include "server/c2s/c2s.h"
#include "server/c2s/fast.h"

#define NS_SASL2         "urn:xmpp:sasl:2"
#define NS_BIND2         "urn:xmpp:bind:0"
#define NS_UPGRADE       "urn:xmpp:sasl:upgrade:0"
#define NS_SCRAM_UPGRADE "urn:xmpp:scram-upgrade:0"

/* An exchange under way. */
struct c2s_login {
    struct c2s *c2s; /* NULL: the link went away while the store or the pool had the login */
    struct shard *shard;
    struct arena arena; /* of the exchange; wiped at its end */
    struct sasl_server sasl;
    struct store_read read;
    struct work work;
    struct fast_client tokens; /* of the client, when it logs in with one */
    bool guessed;              /* keys were looked up: a failure is one of the password's */
    bool away;                 /* the store or the pool has it */
    char nonce[33];
};

/* Where a login by SASL2 stands between the exchange and its success. */
enum sasl2_step { SASL2_EXCHANGE, SASL2_NEXT, SASL2_HASH, SASL2_DONE };

/* A login by SASL2: what the client wants with it, and what became of that. It travels home with its client.
 */
struct sasl2 {
    struct arena arena; /* wiped at the end */
    struct xml_node authenticate;
    struct fast_request fast;
    enum sasl2_step step;
    enum sasl_mechanism mechanism;
    str out; /* additional data, until it was sent */
    bool has_out;
    bool has_account; /* the next three are there */
    str account;      /* the row of the keys, as it was read */
    struct scram_keys keys;
    unsigned char seal[FAST_SEAL_SIZE];
    unsigned upgrades;           /* a bit for each digest whose key the client is yet to send (XEP-0480) */
    bool upgraded;               /* keys were added */
    bool must_settle;            /* the store has to know before there is success (c2s_sasl2_home.c) */
    char token[FAST_TOKEN_SIZE]; /* given; "" for none */
    int64_t token_expires_s;
    bool read;       /* what extensions need for a binding */
    str not_resumed; /* <failed/>, when a resumption was asked for in vain */
};

/* c2s_auth.c */
void c2s_auth_begin(struct c2s *c2s, str mechanism, bool has_initial, str initial);
void c2s_auth_respond(struct c2s *c2s, bool has, str bytes);
void c2s_auth_failed(struct c2s *c2s, enum sasl_failure failure);
void c2s_auth_advance(struct c2s *c2s, enum sasl_status status);
void c2s_login_free(struct c2s_login *login);
void c2s_authenticated(struct c2s *c2s); /* notes it; nothing is said */

/* c2s_sasl2.c */
void c2s_sasl2_element(struct c2s *c2s, const struct xml_node *node);
void c2s_sasl2_write_data(struct buf *out, const char *name, str bytes);
void c2s_sasl2_proved(struct c2s *c2s);     /* the exchange was a success */
void c2s_sasl2_free(struct sasl2 *request); /* NULL is allowed */

/* c2s_sasl2_home.c: all tasks are done. Binds, resumes and answers: here, or at home. */
void c2s_sasl2_finish(struct c2s *c2s);
void c2s_sasl2_succeed(struct c2s *c2s, str inside); /* <success/> with this in it, and features */

/* c2s_fast.c */
void c2s_want_tokens(struct c2s *c2s);
void c2s_note_account(struct sasl2 *request, str row);
struct fast_rules c2s_fast_rules(const struct c2s *c2s);
/* The mechanisms of tokens that this stream can have, by their names; returns how many (at most 4). */
size_t c2s_fast_offer(struct c2s *c2s, const char **names);
void c2s_token_text(const struct server *server, const struct jid *bare, const struct sasl2 *request,
                    const struct fast_token *token, char *ret);

#endif
