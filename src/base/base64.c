/* SPDX-License-Identifier: MIT */
/* Base64 on OpenSSL's block functions, made strict: EVP_DecodeBlock alone lets spaces, misplaced padding and
 * stray bits pass, which would give one secret many spellings. Strictness is had by encoding again and
 * comparing. */
#include "base/base64.h"

#include <openssl/evp.h>

static size_t encoded_length(size_t length)
{
    return (length + 2) / 3 * 4;
}

void base64_encode(struct buf *to, str bytes)
{
    size_t length = encoded_length(bytes.len);
    if (!bytes.len || !buf_reserve(to, length + 1))
        return;
    EVP_EncodeBlock((unsigned char *)to->p + to->len, (const unsigned char *)bytes.p, (int)bytes.len);
    to->len += length;
}

str base64_encode_arena(struct arena *arena, str bytes)
{
    size_t length = encoded_length(bytes.len);
    char *text = arena_alloc(arena, length + 1);
    text[0] = '\0';
    if (bytes.len)
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.p, (int)bytes.len);
    return str_of(text, length);
}

bool base64_decode(struct arena *arena, str text, str *ret_bytes)
{
    if (text.len % 4 || text.len > INT32_MAX)
        return false;
    char *bytes = arena_alloc(arena, text.len / 4 * 3 + 1);
    size_t length = 0;
    if (text.len) {
        int got = EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)text.p, (int)text.len);
        if (got < 0)
            return false;
        length = (size_t)got - (text.p[text.len - 1] == '=') - (text.p[text.len - 2] == '=');
    }
    bytes[length] = '\0';
    if (!str_eq(base64_encode_arena(arena, str_of(bytes, length)), text))
        return false;
    *ret_bytes = str_of(bytes, length);
    return true;
}

void hex_encode(struct buf *to, str bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.p[i];
        buf_add_char(to, digits[byte >> 4]);
        buf_add_char(to, digits[byte & 15]);
    }
}
