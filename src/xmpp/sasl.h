/* SPDX-License-Identifier: MIT */
/* SASL for both ends (RFC 4422), pure: it reads no store, draws no random bytes and does not hash passwords
 * by itself: it says what it needs. Mechanisms: SCRAM-SHA-1, -256, -512 with their -PLUS forms (RFC 5802,
 * 7677, RFC 9266 and 5929 bindings; XEP-0474 downgrade protection), PLAIN (RFC 4616), EXTERNAL (RFC 4422
 * appendix A), ANONYMOUS (RFC 4505), and hashed tokens (draft-schmaus-kitten-sasl-ht-09), whose "password" is
 * a token that the server gave (XEP-0484). */
#ifndef XMPP_SASL_H
#define XMPP_SASL_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/str.h"

#define SASL_MECHANISMS(X)                                                                                   \
    X(SASL_SCRAM_SHA_512_PLUS, "SCRAM-SHA-512-PLUS")                                                         \
    X(SASL_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS")                                                         \
    X(SASL_SCRAM_SHA_1_PLUS, "SCRAM-SHA-1-PLUS")                                                             \
    X(SASL_SCRAM_SHA_512, "SCRAM-SHA-512")                                                                   \
    X(SASL_SCRAM_SHA_256, "SCRAM-SHA-256")                                                                   \
    X(SASL_SCRAM_SHA_1, "SCRAM-SHA-1")                                                                       \
    X(SASL_EXTERNAL, "EXTERNAL")                                                                             \
    X(SASL_PLAIN, "PLAIN")                                                                                   \
    X(SASL_ANONYMOUS, "ANONYMOUS")                                                                           \
    X(SASL_HT_SHA_256_EXPR, "HT-SHA-256-EXPR")                                                               \
    X(SASL_HT_SHA_256_ENDP, "HT-SHA-256-ENDP")                                                               \
    X(SASL_HT_SHA_256_UNIQ, "HT-SHA-256-UNIQ")                                                               \
    X(SASL_HT_SHA_256_NONE, "HT-SHA-256-NONE")

enum sasl_mechanism {
#define X(id, name) id,
    SASL_MECHANISMS(X)
#undef X
        SASL_MECHANISM_COUNT
};

const char *sasl_mechanism_name(enum sasl_mechanism mechanism);
/* -1 if there is none of that name. */
int sasl_mechanism_named(str name);

/* RFC 6120 §6.5; the names are the element names. */
#define SASL_FAILURES(X)                                                                                     \
    X(SASL_ABORTED, "aborted")                                                                               \
    X(SASL_ACCOUNT_DISABLED, "account-disabled")                                                             \
    X(SASL_CREDENTIALS_EXPIRED, "credentials-expired")                                                       \
    X(SASL_ENCRYPTION_REQUIRED, "encryption-required")                                                       \
    X(SASL_INCORRECT_ENCODING, "incorrect-encoding")                                                         \
    X(SASL_INVALID_AUTHZID, "invalid-authzid")                                                               \
    X(SASL_INVALID_MECHANISM, "invalid-mechanism")                                                           \
    X(SASL_MALFORMED_REQUEST, "malformed-request")                                                           \
    X(SASL_MECHANISM_TOO_WEAK, "mechanism-too-weak")                                                         \
    X(SASL_NOT_AUTHORIZED, "not-authorized")                                                                 \
    X(SASL_TEMPORARY_AUTH_FAILURE, "temporary-auth-failure")

enum sasl_failure {
#define X(id, name) id,
    SASL_FAILURES(X)
#undef X
};

const char *sasl_failure_name(enum sasl_failure failure);

/* Whether the mechanism proves a token and no password. */
static inline bool sasl_is_token(enum sasl_mechanism mechanism)
{
    return mechanism >= SASL_HT_SHA_256_EXPR;
}

/* The type of channel binding of a token's mechanism; "" for HT-SHA-256-NONE. */
str sasl_ht_binding(enum sasl_mechanism mechanism);

/* What is kept of a password for one hash (RFC 5802 §3): no password, nothing from which it can be had
 * cheaply. */
struct scram_key {
    uint32_t iterations;
    uint8_t salt_len;
    unsigned char salt[32];
    unsigned char stored_key[DIGEST_MAX_SIZE];
    unsigned char server_key[DIGEST_MAX_SIZE];
};

/* An account's keys, one for each of DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512. iterations 0: none for that
 * hash. */
struct scram_keys {
    struct scram_key key[3];
};

/* Bytes of the salts of new accounts; scram_keys_fake() has salts of that length and, like
 * scram_keys_make(), the same one for each hash, so that nothing tells them apart. */
enum { SCRAM_SALT_SIZE = 16 };

/* Makes keys from a password that was prepared (jid_prepare_password). `salt` (SCRAM_SALT_SIZE; up to 32
 * bytes are allowed) is the caller's random bytes. Slow: on the pool. */
void scram_keys_make(str password, str salt, uint32_t iterations, struct scram_keys *ret);

/* The keys as one line of text ("sha1:4096:base64:base64:base64 sha256:..."), and back; false for anything
 * else. */
str scram_keys_write(const struct scram_keys *keys, struct arena *arena);
bool scram_keys_read(str text, struct scram_keys *ret);

/* Keys that nobody has the password of, the same each time for one name: from HMAC(secret, name) (so that an
 * unknown user looks like a wrong password). */
void scram_keys_fake(str secret, str name, uint32_t iterations, struct scram_keys *ret);

/* Adds a key for one more hash in two steps (XEP-0480): the salt, that of the account's other keys, and the
 * rounds that the client is to hash its password with; then what came out of it. The key counts when it is
 * complete. `*keys` has to have one key at least. False: that is no result of this hash. */
const struct scram_key *scram_keys_prepare(struct scram_keys *keys, enum digest digest, uint32_t iterations);
bool scram_keys_complete(struct scram_keys *keys, enum digest digest, str salted_password);

/* The longest decoded message of a peer that is looked at; a longer one is malformed. */
enum { SASL_MESSAGE_MAX = 8192 };

/* Sorts names of mechanisms or binding types by their bytes, joined as XEP-0474 (0.5.0, section 4.1) hashes
 * them: for the fields offered_mechanisms and offered_bindings. In the arena; empty for none. */
str sasl_offer(const str *names, size_t count, struct arena *arena);

enum sasl_status {
    SASL_CHALLENGE,   /* send `out` as a challenge and wait for the response */
    SASL_WANT_KEYS,   /* look for the account of `authcid`, then call sasl_server_keys() */
    SASL_WANT_TOKENS, /* look for tokens of the account of `authcid`, then call sasl_server_tokens() */
    SASL_WANT_WORK,   /* run sasl_server_work() off the loop, then call sasl_server_worked() */
    SASL_DONE,        /* authenticated as `authzid`-checked `authcid`; send success with `out` if has_out */
    SASL_FAILED,      /* send `failure` */
};

struct sasl_server {
    /* Set by the owner before sasl_server_start(): */
    enum sasl_mechanism mechanism;
    str host;               /* the domain that is logged in to */
    str nonce;              /* fresh random printable text without commas, at least 18 characters */
    bool plus_offered;      /* whether any -PLUS mechanism was offered on this stream */
    str offered_mechanisms; /* by sasl_offer(); empty: no hash for XEP-0474 is sent */
    str offered_bindings;   /* the same for what XEP-0440 announced; empty if it was not used */
    str (*binding)(struct sasl_server *server,
                   str type); /* data of a binding type ("tls-exporter"...), str_none if not to be had */
    const str *certificate_addresses; /* EXTERNAL: normalised bare JIDs of the client's certificate */
    size_t certificate_address_count;
    struct arena *arena; /* lives as long as the exchange; wiped by its owner afterwards */
    /* Results: */
    str authcid; /* prepared localpart; empty for ANONYMOUS: the owner chooses a name */
    str out;     /* raw bytes, not yet base64 */
    bool has_out;
    enum sasl_failure failure;
    /* Private: */
    struct scram_keys _keys;
    str _first_bare, _server_first, _gs2, _password;
    bool _keys_known, _matched;
    uint8_t _state;
};

/* Begins. `initial`: the initial response, decoded; has_initial false if none was sent. Wrong input never
 * does more than SASL_FAILED. The authzid must be absent or exactly the bare JID of authcid@host, else
 * invalid-authzid. */
enum sasl_status sasl_server_start(struct sasl_server *server, bool has_initial, str initial);

/* The client's answer to a challenge. */
enum sasl_status sasl_server_response(struct sasl_server *server, str response);

/* Answers SASL_WANT_KEYS. An account has to have a key for each hash that is offered: without one the
 * exchange fails at once. `known` false: `keys` are fakes, and the exchange goes on to the same failure as a
 * wrong password's. */
enum sasl_status sasl_server_keys(struct sasl_server *server, const struct scram_keys *keys, bool known);

/* Answers SASL_WANT_TOKENS: `*ret_index` is which one was proved. For each token the same work is done, so an
 * owner that always has the same number of them (made-up ones where there are none) tells nothing by time. */
enum sasl_status sasl_server_tokens(struct sasl_server *server, const str *tokens, size_t count,
                                    size_t *ret_index);

/* Answers SASL_WANT_WORK in two steps: the slow part (any thread, touches only the server), and what comes
 * after it. */
void sasl_server_work(struct sasl_server *server);
enum sasl_status sasl_server_worked(struct sasl_server *server);

/* ---- The client's end
 * ----------------------------------------------------------------------------------------- */

struct sasl_client {
    enum sasl_mechanism mechanism;
    str user, password; /* prepared; the password may be a token */
    str nonce;
    str binding_type, binding; /* for -PLUS, and tokens that are bound; else empty. */
    bool can_bind;             /* for the plain forms: whether we could bind to the channel at all. With
                                  server_has_plus false that is said as y,, (RFC 5802 §6) */
    bool server_has_plus;      /* the server offered a -PLUS form */
    str offered_mechanisms,
        offered_bindings; /* by sasl_offer(), to check XEP-0474's hash; empty: not checked */
    struct arena *arena;
    str out;
    uint8_t _state;
    str _first_bare, _auth_message;
    unsigned char _server_signature[DIGEST_MAX_SIZE];
    /* Optional cache across logins with one password: salted password of the last (salt, iterations). The
     * owner zeroes it when the password changes or was refused. With it, `password` may be empty. */
    struct scram_client_cache *cache;
};

struct scram_client_cache {
    uint32_t iterations;
    uint8_t salt_len;
    unsigned char salt[64];
    unsigned char salted_password[DIGEST_MAX_SIZE];
    enum digest digest;
};

/* The initial response in `out`. */
enum sasl_status sasl_client_start(struct sasl_client *client);
/* Answers a challenge: SASL_CHALLENGE with `out`, or SASL_FAILED. Hashes the password when the cache has not
 * got it: then it takes milliseconds. */
enum sasl_status sasl_client_challenge(struct sasl_client *client, str challenge);
/* Checks what came with success: SASL_DONE, or SASL_FAILED when the server did not prove itself. */
enum sasl_status sasl_client_success(struct sasl_client *client, bool has_data, str data);

#endif
