/* SPDX-License-Identifier: MIT */
/* What XML allows where: classes of ASCII, UTF-8, names beyond ASCII, and the fast way over plain text.
 * Private to src/xml. */
#ifndef XML_CHARS_H
#define XML_CHARS_H

#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum char_class {
    CHAR_START = 1, /* begins a name (ASCII; the colon is not a part of a name here) */
    CHAR_NAME = 2,  /* continues a name (ASCII) */
    CHAR_SPACE = 4, /* white space: space, tab, CR, LF */
    CHAR_PLAIN = 8, /* text that means itself: 0x20 to 0x7F without < and & */
};

extern const uint8_t chars_table[256];

static inline bool chars_is(char c, enum char_class class)
{
    return chars_table[(uint8_t)c] & class;
}

/* The length of the UTF-8 character at `p` (whose first byte is 0x80 or above; p < end); 0 when `end` cuts
 * it; -1 when it is malformed, a surrogate, U+FFFE or U+FFFF (XML 1.0 §2.2). */
int chars_utf8(const char *p, const char *end);

/* The same for a character of a name; -1 also when it cannot stand there. `first`: it begins the name. */
int chars_name_utf8(const char *p, const char *end, bool first);

/* Whether a byte is one of those behind the first of a character. */
static inline bool chars_continues(char c)
{
    return ((uint8_t)c & 0xC0) == 0x80;
}

/* Whether a legal character of two bytes stands at `p`, where there are two. */
static inline bool chars_two(const char *p)
{
    uint8_t lead = (uint8_t)*p;
    return lead >= 0xC2 && lead < 0xE0 && chars_continues(p[1]);
}

/* Whether a legal character of three bytes stands at `p`, where there are three. */
static inline bool chars_three(const char *p)
{
    uint8_t lead = (uint8_t)p[0], second = (uint8_t)p[1], third = (uint8_t)p[2];
    if ((lead & 0xF0) != 0xE0 || !chars_continues(p[1]) || !chars_continues(p[2]))
        return false;
    if (lead == 0xE0)
        return second >= 0xA0;
    if (lead == 0xED)
        return second < 0xA0;
    return lead != 0xEF || second != 0xBF || third < 0xBE;
}

/* Whether a character reference may name this code point. */
bool chars_legal(uint32_t code_point);

/* The value of a digit to the base of 10 or 16; -1 if it is none. */
static inline int chars_digit(char c, int base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 10)
        return -1;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The first byte that is not plain: < & `stop`, a control character (tab, CR and LF among them) or above
 * ASCII; `end` if there is none. */
static inline const char *chars_skip(const char *p, const char *end, char stop)
{
#ifdef __SSE2__
    const __m128i less = _mm_set1_epi8('<'), ampersand = _mm_set1_epi8('&'), other = _mm_set1_epi8(stop);
    const __m128i space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        /* Compared as signed: bytes above ASCII are below the space, as the controls are. */
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, less), _mm_cmpeq_epi8(v, ampersand)),
                                   _mm_or_si128(_mm_cmpeq_epi8(v, other), _mm_cmplt_epi8(v, space)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && chars_is(*p, CHAR_PLAIN) && *p != stop)
        p++;
    return p;
}

/* The first byte that is not an ASCII character of a name; `end` if there is none. Byte by byte on purpose:
 * names are short and few, so the processor foresees where they end, and was measured to be a third faster
 * than with sixteen bytes at a step. */
static inline const char *chars_skip_name(const char *p, const char *end)
{
    while (p < end && chars_is(*p, CHAR_NAME))
        p++;
    return p;
}

/* Whether the `len` bytes at `a` are those at `b`, which stand before them; both lie before `end`. */
static inline bool chars_same(const char *a, const char *b, size_t len, const char *end)
{
#ifdef __SSE2__
    if (len <= 16 && end - a >= 16) {
        __m128i same =
            _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)b));
        return ((~(unsigned)_mm_movemask_epi8(same)) & ((1u << len) - 1)) == 0;
    }
#endif
    (void)end;
    return memcmp(a, b, len) == 0;
}

#endif
