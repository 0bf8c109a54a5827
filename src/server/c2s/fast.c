/* SPDX-License-Identifier: MIT */
/* Tokens for quick logins (XEP-0484).
 *
 * The mechanisms of hashed tokens need the token itself to check a proof, so a hash of it in the store would
 * be as good as the token to a thief. Therefore no token is stored at all: a token is the HMAC, under a key
 * of the server that lies in a file beside the store, of the account, the client, the mechanism, the end of
 * its life, a random salt, and a seal that comes from the account's salted password. The store has the salt.
 * Who steals the store has no token; who sets a password ends all tokens of the account, by whatever way it
 * is set.
 *
 * A client has at most two (§4.1 of the XEP: `new` and `current`): the current one ends when the new one is
 * used, so a client that missed the new one has not lost its login. */
#include "server/c2s/fast.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/mem.h"

enum { ROW_MAX = 1024 };

/* ---- In the store
 * ------------------------------------------------------------------------------------------------- */

static bool read_number(str *rest, uint64_t max, uint64_t *ret)
{
    return str_to_u64(str_cut(rest, ' '), max, ret);
}

static bool read_token(str text, struct fast_token *ret)
{
    uint64_t issued, expires, count;
    *ret = (struct fast_token){ 0 };
    if (str_is(text, "-"))
        return true;
    int mechanism = sasl_mechanism_named(str_cut(&text, ' '));
    if (mechanism < 0 || !sasl_is_token((enum sasl_mechanism)mechanism) ||
        !read_number(&text, INT64_MAX, &issued) || !read_number(&text, INT64_MAX, &expires) ||
        !read_number(&text, UINT64_MAX, &count) || !text.len || text.len >= sizeof ret->salt)
        return false;
    *ret = (struct fast_token){ .is_there = true,
                                .mechanism = (enum sasl_mechanism)mechanism,
                                .issued_s = (int64_t)issued,
                                .expires_s = (int64_t)expires,
                                .count = count };
    str_copy(text, ret->salt, sizeof ret->salt);
    return true;
}

bool fast_read(str row, struct fast_client *ret)
{
    str fresh = str_cut(&row, '\n');
    return row.p && read_token(fresh, &ret->fresh) && read_token(row, &ret->current);
}

static str write_token(const struct fast_token *token, struct arena *arena)
{
    if (!token->is_there)
        return STR("-");
    return arena_printf(arena, "%s %lld %lld %llu %s", sasl_mechanism_name(token->mechanism),
                        (long long)token->issued_s, (long long)token->expires_s,
                        (unsigned long long)token->count, token->salt);
}

str fast_write(const struct fast_client *client, struct arena *arena)
{
    str fresh = write_token(&client->fresh, arena), current = write_token(&client->current, arena);
    return arena_printf(arena, "%.*s\n%.*s", STR_ARGS(fresh), STR_ARGS(current));
}

/* ---- The text
 * ------------------------------------------------------------------------------------------------- */

void fast_seal(const struct scram_keys *keys, unsigned char *ret)
{
    for (enum digest digest = DIGEST_SHA1; digest <= DIGEST_SHA512; digest++) {
        const struct scram_key *key = &keys->key[digest];
        if (!key->iterations)
            continue;
        digest_hmac(DIGEST_SHA256, str_of((const char *)key->salt, key->salt_len),
                    str_of((const char *)key->stored_key, digest_size(digest)), ret);
        return;
    }
    memset(ret, 0, FAST_SEAL_SIZE);
}

static void add_part(struct buf *text, str part)
{
    buf_addf(text, "%zu:", part.len);
    buf_add(text, part);
}

void fast_text(const struct fast_origin *origin, const struct fast_token *token, char *ret)
{
    unsigned char mac[DIGEST_MAX_SIZE];
    struct buf text, out;
    buf_init(&text, 8192);
    buf_init(&out, FAST_TOKEN_SIZE);
    buf_addf(&text, "token %d %d %lld ", token->is_there, (int)token->mechanism, (long long)token->expires_s);
    add_part(&text, origin->bare);
    add_part(&text, origin->client);
    add_part(&text, str_from(token->salt));
    add_part(&text, str_of((const char *)origin->seal, FAST_SEAL_SIZE));
    digest_hmac(DIGEST_SHA256, origin->secret, buf_str(&text), mac);
    base64_encode(&out, str_of((const char *)mac, digest_size(DIGEST_SHA256)));
    str_copy(buf_str(&out), ret, FAST_TOKEN_SIZE);
    mem_wipe(out.p, out.len);
    mem_wipe(mac, sizeof mac);
    buf_fini(&text);
    buf_fini(&out);
}

/* ---- Using them
 * ----------------------------------------------------------------------------------------------- */

enum err fast_judge(const struct fast_token *token, enum sasl_mechanism mechanism,
                    const struct fast_request *request, int64_t now_s)
{
    if (!token->is_there || token->mechanism != mechanism)
        return ERR_PERMISSION;
    if (request->has_count && request->count <= token->count)
        return ERR_PERMISSION;
    return token->expires_s <= now_s ? ERR_TIMEOUT : OK;
}

static bool is_used(const struct fast_request *request, const struct fast_token *token)
{
    return request->uses && token->is_there && str_eq(str_from(request->salt), str_from(token->salt));
}

static bool is_due(const struct fast_request *request, const struct fast_token *used,
                   const struct fast_rules *rules)
{
    return !request->invalidate && rules->now_s - used->issued_s >= rules->renewal_s;
}

bool fast_is_change(const struct fast_request *request, const struct fast_client *client,
                    const struct fast_rules *rules)
{
    if (request->wanted >= 0)
        return true;
    return request->uses && (request->has_count || request->invalidate || is_used(request, &client->fresh) ||
                             is_due(request, &client->current, rules));
}

static void give(struct fast_client *client, enum sasl_mechanism mechanism, const struct fast_rules *rules)
{
    client->fresh = (struct fast_token){ .is_there = true,
                                         .mechanism = mechanism,
                                         .issued_s = rules->now_s,
                                         .expires_s = rules->now_s + rules->lifetime_s };
    memcpy(client->fresh.salt, rules->salt, sizeof client->fresh.salt);
}

/* Its first use ends the one before it. */
static bool use(const struct fast_request *request, struct fast_client *client)
{
    struct fast_token *current = &client->current;
    if (is_used(request, &client->fresh)) {
        *current = client->fresh;
        client->fresh = (struct fast_token){ 0 };
    }
    if (!is_used(request, current) || (request->has_count && request->count <= current->count))
        return false;
    if (request->has_count)
        current->count = request->count;
    return true;
}

bool fast_apply(const struct fast_request *request, const struct fast_rules *rules,
                struct fast_client *client, const struct fast_token **ret_given)
{
    if (request->uses && !use(request, client))
        return false;
    bool due = request->uses && is_due(request, &client->current, rules);
    enum sasl_mechanism mechanism =
        request->wanted >= 0 ? (enum sasl_mechanism)request->wanted : client->current.mechanism;
    if (request->uses && request->invalidate)
        *client = (struct fast_client){ 0 };
    *ret_given = NULL;
    if (request->wanted < 0 && !due)
        return true;
    give(client, mechanism, rules);
    *ret_given = &client->fresh;
    return true;
}
