/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

/* Whether all bytes form valid UTF-8. */
bool utf8_valid(str s);

/* The code point at `*at`, which is moved behind it; -1 (and `*at` stays) when the bytes are not valid there
 * or the slice has ended. */
int32_t utf8_next(str s, size_t *at);

/* The first bytes of a valid text, at most `max`: fewer where a character would be cut in two. */
str utf8_cut(str s, size_t max);

/* Writes a code point (at most U+10FFFF) as 1 to 4 bytes at `to`; returns how many. */
size_t utf8_put(char *to, uint32_t code_point);

#endif
