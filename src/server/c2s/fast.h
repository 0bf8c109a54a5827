/* SPDX-License-Identifier: MIT */
/* Tokens for quick logins (XEP-0484): which ones a client has, and what a login makes of them. Pure: the
 * clock and the salt of a new token come from the caller. */
#ifndef SERVER_FAST_H
#define SERVER_FAST_H

#include "base/err.h"
#include "xmpp/sasl.h"

#define NS_FAST "urn:xmpp:fast:0"

enum { FAST_SEAL_SIZE = 32, FAST_SALT_SIZE = 25, FAST_TOKEN_SIZE = 45, FAST_CLIENT_SIZE = 37 };

/* What is kept of a token: enough to make it again, for who has the server's key, and no token. */
struct fast_token {
    bool is_there;
    enum sasl_mechanism mechanism;
    int64_t issued_s, expires_s; /* since 1970 */
    uint64_t count;              /* of the last login with it that had one */
    char salt[FAST_SALT_SIZE];
};

/* The two that a client may have: one that it was given and has not used yet, and the one that it uses. */
struct fast_client {
    struct fast_token fresh, current;
};

/* A row of the store, kind `fast`, key: the client's id. False if it is none. */
bool fast_read(str row, struct fast_client *ret);
str fast_write(const struct fast_client *client, struct arena *arena);

/* What ties tokens to a password: it is another one when the password is set anew. */
void fast_seal(const struct scram_keys *keys, unsigned char *ret);

/* What a token is made of, besides itself. */
struct fast_origin {
    str secret; /* the server's key */
    str bare;   /* the account */
    str client;
    const unsigned char *seal; /* FAST_SEAL_SIZE */
};

/* The token's text, FAST_TOKEN_SIZE with its NUL. One that is not there has a text too, which nobody knows.
 */
void fast_text(const struct fast_origin *origin, const struct fast_token *token, char *ret);

/* What a client asks for when it logs in. */
struct fast_request {
    char client[FAST_CLIENT_SIZE]; /* "" for none: then there are no tokens */
    bool uses;                     /* logs in with the token of this salt: */
    char salt[FAST_SALT_SIZE];
    bool has_count, invalidate;
    uint64_t count;
    int wanted; /* enum sasl_mechanism of the token that it wants, or -1 */
};

struct fast_rules {
    int64_t now_s, lifetime_s, renewal_s;
    char salt[FAST_SALT_SIZE]; /* for a new token */
};

/* Whether the store has to know of this login: a token is used for the first time, counted, ended or given.
 */
bool fast_is_change(const struct fast_request *request, const struct fast_client *client,
                    const struct fast_rules *rules);

/* Does it. False: the token that was used is gone meanwhile, or its counter has passed. `*ret_given` is the
 * new token, in `client`, or NULL. */
bool fast_apply(const struct fast_request *request, const struct fast_rules *rules,
                struct fast_client *client, const struct fast_token **ret_given);

/* Whether it may be used at `now_s` with what the request says: OK, else ERR_TIMEOUT (expired) or
 * ERR_PERMISSION (another mechanism, not there, or counted already). */
enum err fast_judge(const struct fast_token *token, enum sasl_mechanism mechanism,
                    const struct fast_request *request, int64_t now_s);

#endif
