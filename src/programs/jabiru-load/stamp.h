/* SPDX-License-Identifier: MIT */
/* A time in the text of a stanza: 16 letters from a to p, so that writing it in place needs no formatting. */
#ifndef JABIRU_LOAD_STAMP_H
#define JABIRU_LOAD_STAMP_H

#include "base/str.h"

enum { STAMP_LEN = 16 };
#define STAMP_BLANK "aaaaaaaaaaaaaaaa"

static inline void stamp_write(char *to, uint64_t time)
{
    for (int i = STAMP_LEN - 1; i >= 0; i--, time >>= 4)
        to[i] = (char)('a' + (time & 15));
}

/* 0 for what is no stamp, or of a time after `now`. */
static inline uint64_t stamp_read(str text, uint64_t now)
{
    uint64_t time = 0;
    if (text.len != STAMP_LEN)
        return 0;
    for (int i = 0; i < STAMP_LEN; i++)
        time = time << 4 | ((uint64_t)(text.p[i] - 'a') & 15);
    return time <= now ? time : 0;
}

#endif
