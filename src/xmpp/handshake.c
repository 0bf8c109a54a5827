/* SPDX-License-Identifier: MIT */
/* SHA-1 is what XEP-0114 demands. It is used once a stream over a fresh id, where its collisions help nobody;
 * but whoever reads the stream can try secrets against it at leisure, so these must be long. */
#include "xmpp/handshake.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"

#include <assert.h>
#include <stdint.h>

void handshake_make(str stream_id, str secret, char ret[HANDSHAKE_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[DIGEST_MAX_SIZE];
    struct buf both;
    buf_init(&both, SIZE_MAX / 4);
    buf_reserve(&both, stream_id.len + secret.len); /* so that no copy is left behind */
    buf_add(&both, stream_id);
    buf_add(&both, secret);
    assert(!buf_failed(&both));
    digest_hash(DIGEST_SHA1, buf_str(&both), hash);
    if (both.p)
        mem_wipe(both.p, both.len);
    buf_fini(&both);
    for (size_t i = 0; i < HANDSHAKE_LEN; i++)
        ret[i] = digits[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
    ret[HANDSHAKE_LEN] = '\0';
}
