/* SPDX-License-Identifier: MIT */
/* A plain decoder, one code point at a time. The stream scanner has its own fast check of whole buffers; this
 * one is for short texts: addresses, configuration. */
#include "base/utf8.h"

static bool continues(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

int32_t utf8_next(str s, size_t *at)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *p = (const unsigned char *)s.p + *at;
    size_t left = s.len - *at;
    if (!left)
        return -1;
    if (p[0] < 0x80) {
        (*at)++;
        return p[0];
    }
    size_t length = p[0] >= 0xF0 && p[0] <= 0xF4  ? 4
                    : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                    : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                                                  : 0;
    if (!length || left < length)
        return -1;
    uint32_t code = p[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (!continues(p[i]))
            return -1;
        code = code << 6 | (p[i] & 0x3F);
    }
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return -1;
    *at += length;
    return (int32_t)code;
}

bool utf8_valid(str s)
{
    for (size_t at = 0; at < s.len;)
        if (utf8_next(s, &at) < 0)
            return false;
    return true;
}

str utf8_cut(str s, size_t max)
{
    size_t end = s.len < max ? s.len : max;
    while (end < s.len && end && ((unsigned char)s.p[end] & 0xC0) == 0x80)
        end--;
    return str_sub(s, 0, end);
}

size_t utf8_put(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xC0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3F));
    to[2] = (char)(0x80 | (c >> 6 & 0x3F));
    to[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}
