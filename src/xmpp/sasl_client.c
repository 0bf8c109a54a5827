/* SPDX-License-Identifier: MIT */
/* SASL, the client's end. SCRAM believes nothing that the server does not prove: the nonce begins with ours,
 * the signature at the end is checked, XEP-0474's hash of the offer too when it is there. Iterations are
 * bounded on both sides: fewer than 4096 (RFC 7677 §4) would make guessing cheap for who pretends to be the
 * server, and millions would stop us.
 *
 * The server's signature may come with success (RFC 6120 §6.4.6) or in a challenge that is answered with an
 * empty response. Choosing a mechanism and never falling back to PLAIN where SCRAM was used before
 * (XEP-0474 §5) are the caller's. */
#include "xmpp/sasl.h"

#include "base/base64.h"
#include "base/mem.h"
#include "xmpp/sasl_mechanisms.h"
#include "xmpp/scram.h"

enum { ITERATIONS_MIN = 4096, ITERATIONS_MAX = 5 * 1000 * 1000 };

enum { FIRST_SENT, FINAL_SENT, VERIFIED, NOTHING_MORE, TOKEN_SENT, BROKEN };

static enum sasl_status fail(struct sasl_client *client)
{
    client->_state = BROKEN;
    client->out = str_none;
    return SASL_FAILED;
}

static str gs2_header(const struct sasl_client *client)
{
    if (scram_is_plus(client->mechanism))
        return arena_printf(client->arena, "p=%.*s,,", STR_ARGS(client->binding_type));
    return client->can_bind && !client->server_has_plus ? STR("y,,") : STR("n,,");
}

static enum sasl_status scram_start(struct sasl_client *client)
{
    if (!client->user.len || !scram_nonce_ok(client->nonce) ||
        (scram_is_plus(client->mechanism) && (!client->binding_type.len || !client->binding.len)))
        return fail(client);
    str gs2 = gs2_header(client), user = scram_name_encode(client->user, client->arena);
    client->_first_bare =
        arena_printf(client->arena, "n=%.*s,r=%.*s", STR_ARGS(user), STR_ARGS(client->nonce));
    client->out = arena_printf(client->arena, "%.*s%.*s", STR_ARGS(gs2), STR_ARGS(client->_first_bare));
    client->_state = FIRST_SENT;
    return SASL_CHALLENGE;
}

static enum sasl_status plain_start(struct sasl_client *client)
{
    size_t user = client->user.len, password = client->password.len;
    if (!user || !password || memchr(client->user.p, '\0', user) ||
        memchr(client->password.p, '\0', password))
        return fail(client);
    char *out = arena_zalloc(client->arena, user + password + 3);
    memcpy(out + 1, client->user.p, user);
    memcpy(out + user + 2, client->password.p, password);
    client->out = str_of(out, user + password + 2);
    return SASL_CHALLENGE;
}

enum sasl_status sasl_client_start(struct sasl_client *client)
{
    client->_state = NOTHING_MORE;
    client->out = STR("");
    switch (client->mechanism) {
    case SASL_EXTERNAL:
    case SASL_ANONYMOUS:
        return SASL_CHALLENGE;
    case SASL_PLAIN:
        return plain_start(client);
    case SASL_HT_SHA_256_EXPR:
    case SASL_HT_SHA_256_ENDP:
    case SASL_HT_SHA_256_UNIQ:
    case SASL_HT_SHA_256_NONE:
        client->_state = TOKEN_SENT;
        return sasl_ht_client_start(client) ? SASL_CHALLENGE : fail(client);
    default:
        return scram_start(client);
    }
}

struct server_first {
    str nonce, salt;
    uint32_t iterations;
};

static bool read_server_first(struct sasl_client *client, str message, struct server_first *ret)
{
    str rest = message, hash;
    ret->nonce = scram_take(&rest, 'r');
    str salt = rest.p ? scram_take(&rest, 's') : str_none;
    str count = rest.p ? scram_take(&rest, 'i') : str_none;
    uint64_t iterations;
    if (!scram_message_ok(message) || !scram_nonce_ok(ret->nonce) || ret->nonce.len <= client->nonce.len ||
        !str_starts(ret->nonce, client->nonce) || !salt.p ||
        !base64_decode(client->arena, salt, &ret->salt) || ret->salt.len > sizeof client->cache->salt ||
        !count.p || count.p[0] == '0' || !str_to_u64(count, ITERATIONS_MAX, &iterations) ||
        iterations < ITERATIONS_MIN || !scram_extensions_ok(rest, 'h', &hash))
        return false;
    ret->iterations = (uint32_t)iterations;
    if (!hash.p || !client->offered_mechanisms.len)
        return true;
    return str_eq(hash, scram_offer_hash(scram_digest(client->mechanism), client->offered_mechanisms,
                                         client->offered_bindings, client->arena));
}

static bool cache_has(const struct scram_client_cache *cache, enum digest digest,
                      const struct server_first *first)
{
    return cache && cache->iterations == first->iterations && cache->digest == digest &&
           cache->salt_len == first->salt.len && memcmp(cache->salt, first->salt.p, first->salt.len) == 0;
}

/* SaltedPassword, from the cache or by hashing (and into the cache). */
static bool salted_password(struct sasl_client *client, enum digest digest, const struct server_first *first,
                            unsigned char *ret)
{
    struct scram_client_cache *cache = client->cache;
    if (cache_has(cache, digest, first)) {
        memcpy(ret, cache->salted_password, digest_size(digest));
        return true;
    }
    if (!client->password.len)
        return false;
    digest_pbkdf2(digest, client->password, first->salt, first->iterations, ret);
    if (cache) {
        cache->iterations = first->iterations;
        cache->digest = digest;
        cache->salt_len = (uint8_t)first->salt.len;
        memcpy(cache->salt, first->salt.p, first->salt.len);
        memcpy(cache->salted_password, ret, digest_size(digest));
    }
    return true;
}

/* base64 of the GS2 header with the binding's data behind it. */
static str binding_attribute(const struct sasl_client *client)
{
    str gs2 = gs2_header(client);
    str data = scram_is_plus(client->mechanism) ? client->binding : STR("");
    char *joined = arena_alloc(client->arena, gs2.len + data.len + 1);
    memcpy(joined, gs2.p, gs2.len);
    if (data.len)
        memcpy(joined + gs2.len, data.p, data.len);
    return base64_encode_arena(client->arena, str_of(joined, gs2.len + data.len));
}

static enum sasl_status scram_answer(struct sasl_client *client, str message)
{
    enum digest digest = scram_digest(client->mechanism);
    size_t size = digest_size(digest);
    struct server_first first;
    unsigned char salted[DIGEST_MAX_SIZE], proof[DIGEST_MAX_SIZE], stored[DIGEST_MAX_SIZE],
        server_key[DIGEST_MAX_SIZE];
    if (!read_server_first(client, message, &first) || !salted_password(client, digest, &first, salted))
        return fail(client);
    str binding = binding_attribute(client);
    str without = arena_printf(client->arena, "c=%.*s,r=%.*s", STR_ARGS(binding), STR_ARGS(first.nonce));
    client->_auth_message = arena_printf(client->arena, "%.*s,%.*s,%.*s", STR_ARGS(client->_first_bare),
                                         STR_ARGS(message), STR_ARGS(without));
    scram_proof(digest, salted, client->_auth_message, proof);
    scram_derive(digest, salted, stored, server_key);
    digest_hmac(digest, str_of((const char *)server_key, size), client->_auth_message,
                client->_server_signature);
    str text = base64_encode_arena(client->arena, str_of((const char *)proof, size));
    client->out = arena_printf(client->arena, "%.*s,p=%.*s", STR_ARGS(without), STR_ARGS(text));
    mem_wipe(salted, sizeof salted);
    mem_wipe(proof, sizeof proof);
    mem_wipe(stored, sizeof stored);
    mem_wipe(server_key, sizeof server_key);
    client->_state = FINAL_SENT;
    return SASL_CHALLENGE;
}

static bool signature_ok(struct sasl_client *client, str message)
{
    size_t size = digest_size(scram_digest(client->mechanism));
    str rest = message, signature;
    str text = scram_take(&rest, 'v');
    return scram_message_ok(message) && text.p && scram_extensions_ok(rest, 0, NULL) &&
           base64_decode(client->arena, text, &signature) && signature.len == size &&
           mem_equal_secret(signature.p, client->_server_signature, size);
}

enum sasl_status sasl_client_challenge(struct sasl_client *client, str challenge)
{
    if (client->_state == FIRST_SENT)
        return scram_answer(client, challenge);
    if (client->_state != FINAL_SENT || !signature_ok(client, challenge))
        return fail(client);
    client->out = STR("");
    client->_state = VERIFIED;
    return SASL_CHALLENGE;
}

enum sasl_status sasl_client_success(struct sasl_client *client, bool has_data, str data)
{
    uint8_t state = client->_state;
    bool proved = state == NOTHING_MORE || (state == VERIFIED && !has_data) ||
                  (state == TOKEN_SENT && has_data && sasl_ht_client_proved(client, data)) ||
                  (state == FINAL_SENT && has_data && signature_ok(client, data));
    if (!proved)
        return fail(client);
    client->_state = BROKEN; /* nothing may follow */
    client->out = str_none;
    return SASL_DONE;
}
