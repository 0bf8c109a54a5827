/* SPDX-License-Identifier: MIT */
/* A thin face over libcrypto's EVP. A failure there (no such digest, no memory) is not a condition that a
 * peer can bring about, so it ends the process. */
#include "base/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

static const EVP_MD *md_of(enum digest digest)
{
    switch (digest) {
    case DIGEST_SHA1:
        return EVP_sha1();
    case DIGEST_SHA256:
        return EVP_sha256();
    case DIGEST_SHA512:
        return EVP_sha512();
    }
    abort();
}

static void must(int ok)
{
    if (!ok)
        abort();
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
    must(HMAC(md_of(digest), key.p ? key.p : "", (int)key.len, (const unsigned char *)bytes.p, bytes.len, out,
              NULL) != NULL);
}

void digest_pbkdf2(enum digest digest, str password, str salt, unsigned iterations, unsigned char *out)
{
    must(PKCS5_PBKDF2_HMAC(password.p, (int)password.len, (const unsigned char *)salt.p, (int)salt.len,
                           (int)iterations, md_of(digest), (int)digest_size(digest), out));
}
