/* SPDX-License-Identifier: MIT */
/* Two forms (RFC 7711 §3.1, §3.2): {"fingerprints": [{"sha-256": BASE64, ...}, ...], "expires": SECONDS} and
 * {"url": URL, "expires": SECONDS}. Of each fingerprint the strongest hash that we know counts, and what is
 * named by other hashes only is left out; nothing older than SHA-256 is known. Fetching it, and following the
 * URL, once, is not done here. */
#include "xmpp/posh.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/mem.h"

#include <jansson.h>

static bool read_print(const json_t *value, enum digest digest, struct posh_print *ret)
{
    struct arena arena;
    str bytes;
    if (!json_is_string(value))
        return false;
    arena_init(&arena, 256);
    bool good = base64_decode(&arena, str_of(json_string_value(value), json_string_length(value)), &bytes) &&
                bytes.len == digest_size(digest);
    if (good) {
        ret->digest = digest;
        memcpy(ret->bytes, bytes.p, bytes.len);
    }
    arena_fini(&arena);
    return good;
}

static void read_prints(const json_t *list, struct posh *posh)
{
    for (size_t i = 0; i < json_array_size(list) && posh->count < POSH_PRINTS_MAX; i++) {
        const json_t *print = json_array_get(list, i);
        struct posh_print *at = &posh->prints[posh->count];
        if (read_print(json_object_get(print, "sha-512"), DIGEST_SHA512, at) ||
            read_print(json_object_get(print, "sha-256"), DIGEST_SHA256, at))
            posh->count++;
    }
}

static bool read_url(const json_t *url, struct posh *posh)
{
    return json_is_string(url) && json_string_length(url) &&
           str_copy(str_of(json_string_value(url), json_string_length(url)), posh->url, sizeof posh->url);
}

static bool read_root(const json_t *root, struct posh *posh)
{
    json_int_t expires = json_integer_value(json_object_get(root, "expires"));
    if (expires <= 0)
        return false;
    posh->expires_s = expires > INT32_MAX ? INT32_MAX : (uint32_t)expires;
    read_prints(json_object_get(root, "fingerprints"), posh);
    return posh->count || read_url(json_object_get(root, "url"), posh);
}

enum err posh_read(str json, struct posh *ret)
{
    struct posh posh = { 0 };
    json_t *root = json_loadb(json.p ? json.p : "", json.len, JSON_REJECT_DUPLICATES, NULL);
    bool good = root && read_root(root, &posh);
    json_decref(root);
    if (!good)
        return ERR_SYNTAX;
    *ret = posh;
    return OK;
}

bool posh_has(const struct posh *posh, str certificate)
{
    unsigned char hash[DIGEST_MAX_SIZE];
    bool found = false;
    for (size_t i = 0; i < posh->count; i++) {
        const struct posh_print *print = &posh->prints[i];
        digest_hash(print->digest, certificate, hash);
        found |= mem_equal_secret(hash, print->bytes, digest_size(print->digest)) != 0;
    }
    return found;
}
