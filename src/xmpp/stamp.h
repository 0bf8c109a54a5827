/* SPDX-License-Identifier: MIT */
/* Moments as text (XEP-0082): the DateTime profile, "2026-11-23T10:00:00.250Z". */
#ifndef XMPP_STAMP_H
#define XMPP_STAMP_H

#include "base/arena.h"

/* A moment (milliseconds since 1970, UTC) to the second, what is below cut off: "2026-11-23T10:00:00Z". In
 * the arena, NUL-terminated. Moments outside of the years 0 to 9999 become the nearest inside. */
const char *stamp_seconds(int64_t ms, struct arena *arena);

/* The same to the millisecond, always with three digits behind the point. */
const char *stamp_millis(int64_t ms, struct arena *arena);

/* Reads a DateTime: years of four digits, seconds with or without a fraction of any length (what is below a
 * millisecond is cut off), and the zone: Z or an offset of at most 14 hours. Nothing else passes: no space,
 * no lower-case letter, no day or hour that is not there (but 24:00:00, the end of a day, as in XML Schema,
 * which XEP-0082 §3.2 makes the judge). False, and `*ret_ms` left alone, otherwise. */
bool stamp_read(str text, int64_t *ret_ms);

#endif
