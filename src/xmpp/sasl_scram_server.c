/* SPDX-License-Identifier: MIT */
/* SCRAM, the server's end (RFC 5802 §5, §6).
 *
 * A name that nobody has goes through every step with keys that nobody has the password of, and fails where a
 * wrong password fails, with the same word; the server's final message is never sent with a failure (§5.1
 * allows that), as its error names would tell one cause from another.
 *
 * Channel binding is decided when the first message is read: `p` only in a -PLUS form and with a type whose
 * data is there, a -PLUS form only with `p`, and `y` not when we offered a -PLUS form: then somebody changed
 * the offer on its way. The data is taken then too, so c= is compared with one string, byte for byte. */
#include "xmpp/sasl_mechanisms.h"

#include "base/base64.h"
#include "base/mem.h"
#include "xmpp/jid.h"
#include "xmpp/scram.h"

enum { BINDING_NAME_MAX = 64 };

static bool binding_name_ok(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '-';
        if (!ok)
            return false;
    }
    return name.len >= 1 && name.len <= BINDING_NAME_MAX;
}

/* The data that the flag asks for: empty for n and y, str_none when the flag is refused. */
static str read_binding(struct sasl_server *server, str flag)
{
    bool plus = scram_is_plus(server->mechanism);
    if (str_is(flag, "n") || (str_is(flag, "y") && !server->plus_offered))
        return plus ? str_none : STR("");
    if (!plus || !str_starts(flag, STR("p=")) || !server->binding)
        return str_none;
    str data = server->binding(server, str_sub(flag, 2, flag.len));
    return data.len ? data : str_none;
}

static bool flag_is_well_formed(str flag)
{
    return str_is(flag, "n") || str_is(flag, "y") ||
           (str_starts(flag, STR("p=")) && binding_name_ok(str_sub(flag, 2, flag.len)));
}

/* What c= has to be: the GS2 header as it was sent, and the binding's data behind it. */
static str join(struct arena *arena, str a, str b)
{
    char *p = arena_alloc(arena, a.len + b.len + 1);
    memcpy(p, a.p, a.len);
    if (b.len)
        memcpy(p + a.len, b.p, b.len);
    return str_of(p, a.len + b.len);
}

/* Reads "n=user,r=nonce[,extensions]" and sets authcid and _server_first's beginning. */
static enum sasl_status read_bare(struct sasl_server *server, str bare, str *ret_nonce)
{
    str rest = bare;
    str user = scram_take(&rest, 'n');
    str nonce = rest.p ? scram_take(&rest, 'r') : str_none;
    if (!user.p || !scram_nonce_ok(nonce) || !scram_extensions_ok(rest, 0, NULL))
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    user = scram_name_decode(user, server->arena);
    if (!user.p)
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    if (jid_prepare_local(user, server->arena, &server->authcid) != OK) {
        server->authcid = STR("");
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    }
    *ret_nonce = nonce;
    return SASL_CHALLENGE;
}

static bool authzid_ok(struct sasl_server *server, str field)
{
    if (!field.len)
        return true;
    str authzid = scram_name_decode(str_sub(field, 2, field.len), server->arena);
    return authzid.p && sasl_server_may_act_as(server, authzid);
}

enum sasl_status sasl_scram_first(struct sasl_server *server, str message)
{
    if (!scram_message_ok(message))
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    str rest = message, nonce = str_none;
    str flag = str_cut(&rest, ',');
    str authzid = rest.p ? str_cut(&rest, ',') : str_none;
    if (!rest.p || !flag_is_well_formed(flag) || (authzid.len && !str_starts(authzid, STR("a="))))
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    str data = read_binding(server, flag);
    if (!data.p)
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    if (read_bare(server, rest, &nonce) != SASL_CHALLENGE)
        return SASL_FAILED;
    if (!authzid_ok(server, authzid))
        return sasl_server_fail(server, SASL_INVALID_AUTHZID);
    server->_gs2 = join(server->arena, str_of(message.p, (size_t)(rest.p - message.p)), data);
    server->_first_bare = arena_str(server->arena, rest);
    server->_server_first = join(server->arena, nonce, server->nonce); /* the rest is added with the keys */
    server->_state = SASL_STATE_KEYS;
    return SASL_WANT_KEYS;
}

enum sasl_status sasl_scram_keys(struct sasl_server *server)
{
    enum digest digest = scram_digest(server->mechanism);
    const struct scram_key *key = &server->_keys.key[digest];
    if (!key->iterations)
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    str salt = base64_encode_arena(server->arena, str_of((const char *)key->salt, key->salt_len));
    str first = arena_printf(server->arena, "r=%.*s,s=%.*s,i=%u", STR_ARGS(server->_server_first),
                             STR_ARGS(salt), key->iterations);
    if (server->offered_mechanisms.len) {
        str hash =
            scram_offer_hash(digest, server->offered_mechanisms, server->offered_bindings, server->arena);
        first = arena_printf(server->arena, "%.*s,h=%.*s", STR_ARGS(first), STR_ARGS(hash));
    }
    server->_server_first = server->out = first;
    server->has_out = true;
    server->_state = SASL_STATE_RESPONSE;
    return SASL_CHALLENGE;
}

/* The message up to its last attribute, which is the proof. */
static bool split_proof(str message, str *ret_without, str *ret_proof)
{
    size_t comma = str_find_last(message, ',');
    if (comma == message.len || !str_starts(str_sub(message, comma + 1, message.len), STR("p=")))
        return false;
    *ret_without = str_sub(message, 0, comma);
    *ret_proof = str_sub(message, comma + 3, message.len);
    return true;
}

static bool binding_matches(struct sasl_server *server, str text)
{
    str got;
    return text.p && base64_decode(server->arena, text, &got) && got.len == server->_gs2.len &&
           mem_equal_secret(got.p, server->_gs2.p, got.len);
}

static str our_nonce(const struct sasl_server *server)
{
    str first = server->_server_first;
    return scram_take(&first, 'r');
}

static void sign(struct sasl_server *server, enum digest digest, str message)
{
    unsigned char signature[DIGEST_MAX_SIZE];
    size_t size = digest_size(digest);
    digest_hmac(digest, str_of((const char *)server->_keys.key[digest].server_key, size), message, signature);
    str text = base64_encode_arena(server->arena, str_of((const char *)signature, size));
    server->out = arena_printf(server->arena, "v=%.*s", STR_ARGS(text));
    server->has_out = true;
}

enum sasl_status sasl_scram_final(struct sasl_server *server, str message)
{
    enum digest digest = scram_digest(server->mechanism);
    str without, proof_text, proof;
    if (!scram_message_ok(message) || !split_proof(message, &without, &proof_text))
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    str rest = without;
    str binding = scram_take(&rest, 'c');
    str nonce = rest.p ? scram_take(&rest, 'r') : str_none;
    if (!binding.p || !nonce.p || !scram_extensions_ok(rest, 0, NULL) ||
        !base64_decode(server->arena, proof_text, &proof) || proof.len != digest_size(digest))
        return sasl_server_fail(server, SASL_MALFORMED_REQUEST);
    if (!binding_matches(server, binding) || !str_eq(nonce, our_nonce(server)))
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    str auth = arena_printf(server->arena, "%.*s,%.*s,%.*s", STR_ARGS(server->_first_bare),
                            STR_ARGS(server->_server_first), STR_ARGS(without));
    bool proved = scram_proof_ok(digest, server->_keys.key[digest].stored_key, auth, proof);
    mem_wipe((char *)proof.p, proof.len);
    if (!(proved & server->_keys_known))
        return sasl_server_fail(server, SASL_NOT_AUTHORIZED);
    sign(server, digest, auth);
    return SASL_DONE;
}
