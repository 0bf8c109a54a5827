/* SPDX-License-Identifier: MIT */
/* What both ends of SCRAM share: the arithmetic of RFC 5802 §3 with SHA-1, SHA-256 (RFC 7677) and SHA-512
 * (the same with the longer hash), the grammar of §7, and the text form in which keys are stored.
 *
 * The grammar is read strictly: attributes only in their places, values never empty, no NUL, no bad UTF-8,
 * and none of the letters that the RFC gives a meaning to among the extensions; one message has one reading.
 *
 * XEP-0474 (0.5.0): attribute "h" of the server's first message is the hash of the sorted names of the
 * mechanisms, joined by U+001E, then, if XEP-0440 was used, U+001F and the binding types likewise.
 *
 * Passwords come here prepared by OpaqueString (RFC 8265) where RFC 5802 says SASLprep: RFC 7622 replaces the
 * one by the other, and they agree on ASCII. They differ where SASLprep dropped or folded characters (soft
 * hyphens, compatibility forms): such a password keeps them here. */
#include "xmpp/scram.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { NONCE_MAX = 1024, ITERATIONS_MAX = 100 * 1000 * 1000 };

static const char *const digest_names[] = { "sha1", "sha256", "sha512" };

enum digest scram_digest(enum sasl_mechanism mechanism)
{
    switch (mechanism) {
    case SASL_SCRAM_SHA_512:
    case SASL_SCRAM_SHA_512_PLUS:
        return DIGEST_SHA512;
    case SASL_SCRAM_SHA_256:
    case SASL_SCRAM_SHA_256_PLUS:
        return DIGEST_SHA256;
    default:
        return DIGEST_SHA1;
    }
}

bool scram_is_plus(enum sasl_mechanism mechanism)
{
    return mechanism == SASL_SCRAM_SHA_512_PLUS || mechanism == SASL_SCRAM_SHA_256_PLUS ||
           mechanism == SASL_SCRAM_SHA_1_PLUS;
}

static str bytes_of(const unsigned char *p, size_t len)
{
    return str_of((const char *)p, len);
}

/* ---- Arithmetic -----------------------------------------------------------------------------------------
 */

void scram_derive(enum digest digest, const unsigned char *salted, unsigned char *ret_stored,
                  unsigned char *ret_server)
{
    size_t size = digest_size(digest);
    unsigned char client_key[DIGEST_MAX_SIZE];
    digest_hmac(digest, bytes_of(salted, size), STR("Client Key"), client_key);
    digest_hash(digest, bytes_of(client_key, size), ret_stored);
    digest_hmac(digest, bytes_of(salted, size), STR("Server Key"), ret_server);
    mem_wipe(client_key, sizeof client_key);
}

void scram_proof(enum digest digest, const unsigned char *salted, str message, unsigned char *ret)
{
    size_t size = digest_size(digest);
    unsigned char client_key[DIGEST_MAX_SIZE], stored_key[DIGEST_MAX_SIZE];
    digest_hmac(digest, bytes_of(salted, size), STR("Client Key"), client_key);
    digest_hash(digest, bytes_of(client_key, size), stored_key);
    digest_hmac(digest, bytes_of(stored_key, size), message, ret);
    for (size_t i = 0; i < size; i++)
        ret[i] ^= client_key[i];
    mem_wipe(client_key, sizeof client_key);
    mem_wipe(stored_key, sizeof stored_key);
}

bool scram_proof_ok(enum digest digest, const unsigned char *stored_key, str message, str proof)
{
    size_t size = digest_size(digest);
    unsigned char client_key[DIGEST_MAX_SIZE], hash[DIGEST_MAX_SIZE];
    if (proof.len != size)
        return false;
    digest_hmac(digest, bytes_of(stored_key, size), message, client_key);
    for (size_t i = 0; i < size; i++)
        client_key[i] ^= (unsigned char)proof.p[i];
    digest_hash(digest, bytes_of(client_key, size), hash);
    mem_wipe(client_key, sizeof client_key);
    return mem_equal_secret(hash, stored_key, size);
}

str scram_offer_hash(enum digest digest, str mechanisms, str bindings, struct arena *arena)
{
    unsigned char hash[DIGEST_MAX_SIZE];
    str text = bindings.len ? arena_printf(arena, "%.*s\x1F%.*s", STR_ARGS(mechanisms), STR_ARGS(bindings))
                            : mechanisms;
    digest_hash(digest, text, hash);
    return base64_encode_arena(arena, bytes_of(hash, digest_size(digest)));
}

/* ---- Grammar --------------------------------------------------------------------------------------------
 */

str scram_take(str *rest, char name)
{
    if (rest->len < 3 || rest->p[0] != name || rest->p[1] != '=')
        return str_none;
    str value = str_cut(rest, ',');
    return value.len > 2 ? str_sub(value, 2, value.len) : str_none;
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool scram_extensions_ok(str rest, char find, str *ret_value)
{
    str found = str_none;
    while (rest.p) {
        str attribute = str_cut(&rest, ',');
        if (attribute.len < 3 || !is_alpha(attribute.p[0]) || attribute.p[1] != '=' ||
            memchr("anmrcsipve", attribute.p[0], 10))
            return false;
        if (!find || attribute.p[0] != find)
            continue;
        if (found.p)
            return false;
        found = str_sub(attribute, 2, attribute.len);
    }
    if (ret_value)
        *ret_value = found;
    return true;
}

str scram_name_encode(str name, struct arena *arena)
{
    char *text = arena_alloc(arena, name.len * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] != ',' && name.p[i] != '=') {
            text[len++] = name.p[i];
            continue;
        }
        memcpy(text + len, name.p[i] == ',' ? "=2C" : "=3D", 3);
        len += 3;
    }
    return str_of(text, len);
}

str scram_name_decode(str text, struct arena *arena)
{
    char *name = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        str next = str_sub(text, i, i + 3);
        if (text.p[i] != '=') {
            name[len++] = text.p[i];
            continue;
        }
        if (!str_is(next, "=2C") && !str_is(next, "=3D"))
            return str_none;
        name[len++] = next.p[2] == 'C' ? ',' : '=';
        i += 2;
    }
    return len ? str_of(name, len) : str_none;
}

bool scram_nonce_ok(str nonce)
{
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.p[i] < 0x21 || nonce.p[i] > 0x7E || nonce.p[i] == ',')
            return false;
    return nonce.len >= 1 && nonce.len <= NONCE_MAX;
}

bool scram_message_ok(str message)
{
    return message.len && message.len <= SASL_MESSAGE_MAX && !memchr(message.p, '\0', message.len) &&
           utf8_valid(message);
}

/* ---- Keys -----------------------------------------------------------------------------------------------
 */

void scram_keys_make(str password, str salt, uint32_t iterations, struct scram_keys *ret)
{
    struct scram_keys keys = { 0 };
    unsigned char salted[DIGEST_MAX_SIZE];
    if (salt.len > sizeof keys.key[0].salt)
        salt.len = sizeof keys.key[0].salt;
    for (enum digest digest = DIGEST_SHA1; digest <= DIGEST_SHA512; digest++) {
        struct scram_key *key = &keys.key[digest];
        key->iterations = iterations;
        key->salt_len = (uint8_t)salt.len;
        memcpy(key->salt, salt.p, salt.len);
        digest_pbkdf2(digest, password, salt, iterations, salted);
        scram_derive(digest, salted, key->stored_key, key->server_key);
    }
    mem_wipe(salted, sizeof salted);
    *ret = keys;
    mem_wipe(&keys, sizeof keys);
}

/* HMAC over separated fields: no name with one label is another name with another label. */
static void fake_bytes(str secret, const char *label, str name, struct arena *arena, unsigned char *ret)
{
    str text = arena_printf(arena, "%s/%.*s", label, STR_ARGS(name));
    digest_hmac(DIGEST_SHA512, secret, text, ret);
}

void scram_keys_fake(str secret, str name, uint32_t iterations, struct scram_keys *ret)
{
    struct scram_keys keys = { 0 };
    struct arena arena;
    unsigned char bytes[DIGEST_MAX_SIZE];
    arena_init(&arena, 1024);
    for (enum digest digest = DIGEST_SHA1; digest <= DIGEST_SHA512; digest++) {
        struct scram_key *key = &keys.key[digest];
        key->iterations = iterations;
        key->salt_len = SCRAM_SALT_SIZE;
        fake_bytes(secret, "salt", name, &arena, bytes);
        memcpy(key->salt, bytes, SCRAM_SALT_SIZE);
        fake_bytes(secret, "stored", name, &arena, key->stored_key);
        fake_bytes(secret, "server", name, &arena, key->server_key);
    }
    arena_fini(&arena);
    *ret = keys;
    mem_wipe(&keys, sizeof keys);
}

str scram_keys_write(const struct scram_keys *keys, struct arena *arena)
{
    str text = STR("");
    for (enum digest digest = DIGEST_SHA1; digest <= DIGEST_SHA512; digest++) {
        const struct scram_key *key = &keys->key[digest];
        size_t size = digest_size(digest);
        if (!key->iterations)
            continue;
        str salt = base64_encode_arena(arena, bytes_of(key->salt, key->salt_len));
        str stored = base64_encode_arena(arena, bytes_of(key->stored_key, size));
        str server = base64_encode_arena(arena, bytes_of(key->server_key, size));
        text = arena_printf(arena, "%.*s%s%s:%u:%.*s:%.*s:%.*s", STR_ARGS(text), text.len ? " " : "",
                            digest_names[digest], key->iterations, STR_ARGS(salt), STR_ARGS(stored),
                            STR_ARGS(server));
    }
    return text;
}

static bool read_bytes(str *rest, struct arena *arena, unsigned char *to, size_t min, size_t max,
                       size_t *ret_len)
{
    str bytes;
    if (!rest->p || !base64_decode(arena, str_cut(rest, ':'), &bytes) || bytes.len < min || bytes.len > max)
        return false;
    memcpy(to, bytes.p, bytes.len);
    *ret_len = bytes.len;
    return true;
}

static bool read_key(str rest, struct arena *arena, struct scram_keys *keys)
{
    str name = str_cut(&rest, ':');
    enum digest digest = DIGEST_SHA1;
    while (digest <= DIGEST_SHA512 && !str_eq(name, str_from(digest_names[digest])))
        digest++;
    if (digest > DIGEST_SHA512 || !rest.p)
        return false;
    struct scram_key *key = &keys->key[digest];
    size_t size = digest_size(digest), salt_len, len;
    uint64_t iterations;
    if (key->iterations || !str_to_u64(str_cut(&rest, ':'), ITERATIONS_MAX, &iterations) || !iterations ||
        !read_bytes(&rest, arena, key->salt, 1, sizeof key->salt, &salt_len) ||
        !read_bytes(&rest, arena, key->stored_key, size, size, &len) ||
        !read_bytes(&rest, arena, key->server_key, size, size, &len))
        return false;
    key->iterations = (uint32_t)iterations;
    key->salt_len = (uint8_t)salt_len;
    return !rest.p;
}

bool scram_keys_read(str text, struct scram_keys *ret)
{
    struct scram_keys keys = { 0 };
    struct arena arena;
    bool ok = text.len > 0 && text.len <= 2048;
    arena_init(&arena, 1024);
    for (str rest = text; ok && rest.p;)
        ok = read_key(str_cut(&rest, ' '), &arena, &keys);
    arena_fini(&arena);
    if (ok)
        *ret = keys;
    mem_wipe(&keys, sizeof keys);
    return ok;
}

const struct scram_key *scram_keys_prepare(struct scram_keys *keys, enum digest digest, uint32_t iterations)
{
    struct scram_key *key = &keys->key[digest];
    for (size_t i = 0; i < COUNT_OF(keys->key); i++) {
        const struct scram_key *other = &keys->key[i];
        if (other == key || !other->iterations)
            continue;
        *key = (struct scram_key){ .iterations = iterations, .salt_len = other->salt_len };
        memcpy(key->salt, other->salt, other->salt_len);
        break;
    }
    return key;
}

bool scram_keys_complete(struct scram_keys *keys, enum digest digest, str salted_password)
{
    struct scram_key *key = &keys->key[digest];
    if (!key->iterations || salted_password.len != digest_size(digest))
        return false;
    scram_derive(digest, (const unsigned char *)salted_password.p, key->stored_key, key->server_key);
    return true;
}
