/* SPDX-License-Identifier: MIT */
/* A thin face over libcrypto's EVP. A failure there (no such digest, no memory) is not a condition that a
 * peer can bring about, so it ends the process. The algorithms are fetched once: libcrypto would look them up
 * by name at each use, which costs more than the hash of a short text. */
#include "base/digest.h"

#include "base/mem.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

static const char *const names[] = { "SHA1", "SHA256", "SHA512" };

static EVP_MD *digests[3];
static EVP_MAC_CTX *macs[3]; /* to be copied: with their digest, without a key */

static void must(int ok)
{
    if (!ok)
        abort();
}

static void fetch(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(hmac != NULL);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        OSSL_PARAM digest[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)names[i], 0),
                                OSSL_PARAM_construct_end() };
        digests[i] = EVP_MD_fetch(NULL, names[i], NULL);
        macs[i] = EVP_MAC_CTX_new(hmac);
        must(digests[i] && macs[i] && EVP_MAC_CTX_set_params(macs[i], digest));
    }
    EVP_MAC_free(hmac);
}

static const EVP_MD *md_of(enum digest digest)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch);
    return digests[digest];
}

size_t digest_size(enum digest digest)
{
    return digest == DIGEST_SHA1 ? 20 : digest == DIGEST_SHA256 ? 32 : 64;
}

void digest_hash(enum digest digest, str bytes, unsigned char *out)
{
    must(EVP_Digest(bytes.p, bytes.len, out, NULL, md_of(digest), NULL));
}

void digest_hmac(enum digest digest, str key, str bytes, unsigned char *out)
{
    size_t size = EVP_MD_get_size(md_of(digest)), len;
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(macs[digest]);
    must(mac && EVP_MAC_init(mac, (const unsigned char *)(key.p ? key.p : ""), key.len, NULL) &&
         EVP_MAC_update(mac, (const unsigned char *)bytes.p, bytes.len) &&
         EVP_MAC_final(mac, out, &len, size));
    EVP_MAC_CTX_free(mac);
}

void digest_pbkdf2(enum digest digest, str password, str salt, unsigned iterations, unsigned char *out)
{
    must(PKCS5_PBKDF2_HMAC(password.p, (int)password.len, (const unsigned char *)salt.p, (int)salt.len,
                           (int)iterations, md_of(digest), (int)digest_size(digest), out));
}
