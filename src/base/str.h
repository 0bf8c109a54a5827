/* SPDX-License-Identifier: MIT */
/* Text is a slice: a pointer and a length into bytes that somebody else owns. Not terminated by NUL.
 * The empty slice and "no slice" differ: `str_none` has a NULL pointer. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct str {
    const char *p;
    size_t len;
} str;

/* For printf: printf("%.*s", STR_ARGS(s)). */
#define STR_ARGS(s) (int)(s).len, (s).p

/* A slice of a string literal. */
#define STR(literal) ((str){ "" literal, sizeof(literal) - 1 })
/* The same where an initialiser must be constant. */
#define STR_INIT(literal)                                                                                    \
    {                                                                                                        \
        "" literal, sizeof(literal) - 1                                                                      \
    }

#define str_none ((str){ NULL, 0 })

static inline str str_of(const char *p, size_t len)
{
    return (str){ p, len };
}

/* A slice of a NUL-terminated string; NULL gives str_none. */
static inline str str_from(const char *text)
{
    return text ? (str){ text, strlen(text) } : str_none;
}

static inline bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Compares with a literal, without strlen. */
#define str_is(s, literal) str_eq((s), STR(literal))

/* The bytes from `from` up to, not including, `to`; both are clamped to the length. */
static inline str str_sub(str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (str){ s.p + from, to - from };
}

bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);

/* Position of the first `c`, or s.len when there is none. */
size_t str_find(str s, char c);

/* Position of the last `c`, or s.len when there is none. */
size_t str_find_last(str s, char c);

/* Order of bytes: negative, 0 or positive, as memcmp. */
int str_cmp(str a, str b);

/* Equal when ASCII letters are taken without case. */
bool str_eq_nocase(str a, str b);

/* Without spaces, tabs and line ends at both ends. */
str str_trim(str s);

/* Cuts `*rest` at the first `separator`: returns what stands before it and leaves what follows. Without a
 * separator the whole is returned and `*rest` becomes str_none. */
str str_cut(str *rest, char separator);

/* A decimal number from 0 to `max`, the whole slice and nothing else. Returns false and leaves `*ret` alone
 * otherwise. */
bool str_to_u64(str s, uint64_t max, uint64_t *ret);

/* A NUL-terminated copy on the heap; the caller frees it. */
char *str_dup(str s);

/* Copies into `room` bytes at `to`, always terminated; false when it was cut. */
bool str_copy(str s, char *to, size_t room);

#endif
