/* SPDX-License-Identifier: MIT */
/* Base64 and hexadecimal (RFC 4648 §4, §8), strict. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* Appends the encoding of `bytes` to `to`, padded, without line breaks. */
void base64_encode(struct buf *to, str bytes);

/* The same as a slice in the arena. */
str base64_encode_arena(struct arena *arena, str bytes);

/* Decodes canonical base64: padding where it is due, no other character, unused bits zero (RFC 6120 §6.4.2
 * and RFC 4648 §3.5 ask for that). The result stands in `arena` with a NUL behind it. Returns false for
 * anything else. */
bool base64_decode(struct arena *arena, str text, str *ret_bytes);

/* Appends lower-case hexadecimal digits. */
void hex_encode(struct buf *to, str bytes);

#endif
