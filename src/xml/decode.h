/* SPDX-License-Identifier: MIT */
/* References and line ends: from the bytes that stand in the stream to the characters that they mean.
 * Private to src/xml. */
#ifndef XML_DECODE_H
#define XML_DECODE_H

#include "base/str.h"

/* The length of the reference at `p` (where '&' stands), with its ';', and the character that it means: one
 * of the five entities or a character reference. 0 when it is no such thing, illegal, or cut by `end`. */
size_t decode_ref(const char *p, const char *end, uint32_t *ret);

/* Whether an attribute's raw value differs from what it means. */
bool decode_attr_needed(str raw);

/* Writes what an attribute's raw value means (XML 1.0 §3.3.3) to `to`, which has room for raw.len bytes;
 * returns the length. The value was checked by the scanner. */
size_t decode_attr(str raw, char *to);

/* Whether two raw values of attributes mean the same characters. Checked by the scanner, both. */
bool decode_attr_same(str a, str b);

/* A number that is the same for values that mean the same (FNV-1a). */
uint32_t decode_attr_hash(str raw);

#endif
