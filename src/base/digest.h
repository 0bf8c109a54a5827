/* SPDX-License-Identifier: MIT */
/* Hashes, HMAC and PBKDF2 on OpenSSL's libcrypto: what SASL and identifiers need. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/str.h"

enum digest { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512 };
enum { DIGEST_MAX_SIZE = 64 };

/* Bytes of a digest's result: 20, 32 or 64. */
size_t digest_size(enum digest digest);

/* Hash of `bytes`; writes digest_size() bytes to `out`. */
void digest_hash(enum digest digest, str bytes, unsigned char *out);

/* HMAC of `bytes` under `key`; writes digest_size() bytes to `out`. */
void digest_hmac(enum digest digest, str key, str bytes, unsigned char *out);

/* PBKDF2 (RFC 8018 §5.2, RFC 5802's Hi): digest_size() bytes to `out`. Takes milliseconds: never call it on a
 * loop. */
void digest_pbkdf2(enum digest digest, str password, str salt, unsigned iterations, unsigned char *out);

#endif
