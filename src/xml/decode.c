/* SPDX-License-Identifier: MIT */
/* References (XML 1.0 §4.1, §4.6: the five entities and numbers, nothing else in XMPP) and the white space of
 * attribute values (§3.3.3, with line ends as §2.11 has them: CR LF is one). What a value means is never
 * longer than what stands there.
 *
 * Two values are compared without memory, since a namespace name may be written in many ways and the scanner
 * must see that two prefixes mean one namespace. */
#include "xml/decode.h"

#include "base/utf8.h"
#include "xml/chars.h"

static const struct entity {
    str text;
    char means;
} entities[] = {
    { STR_INIT("lt;"), '<' },   { STR_INIT("gt;"), '>' },    { STR_INIT("amp;"), '&' },
    { STR_INIT("quot;"), '"' }, { STR_INIT("apos;"), '\'' },
};

static size_t number_ref(const char *start, const char *end, uint32_t *ret)
{
    const char *p = start + 2;
    int base = 10;
    uint32_t value = 0;
    if (p < end && *p == 'x') {
        base = 16;
        p++;
    }
    const char *digits = p;
    for (int digit; p < end && (digit = chars_digit(*p, base)) >= 0; p++) {
        value = value * (uint32_t)base + (uint32_t)digit;
        if (value > 0x10FFFF)
            return 0;
    }
    if (p == end || *p != ';' || p == digits || !chars_legal(value))
        return 0;
    *ret = value;
    return (size_t)(p + 1 - start);
}

size_t decode_ref(const char *p, const char *end, uint32_t *ret)
{
    str rest = str_of(p + 1, (size_t)(end - p) - 1);
    if (rest.len && rest.p[0] == '#')
        return number_ref(p, end, ret);
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        if (str_starts(rest, entities[i].text)) {
            *ret = (uint32_t)entities[i].means;
            return entities[i].text.len + 1;
        }
    }
    return 0;
}

bool decode_attr_needed(str raw)
{
    const char *end = raw.p + raw.len;
    for (const char *p = raw.p; raw.len && (p = chars_skip(p, end, '&')) < end; p++)
        if (*p == '&' || chars_is(*p, CHAR_SPACE))
            return true;
    return false;
}

/* What stands at the front of `*raw` as 1 to 4 bytes at `to`; `*raw` moves behind it. Bytes of a longer
 * character come one by one. */
static size_t decode_one(str *raw, char *to)
{
    size_t used = 1, made = 1;
    char c = raw->p[0];
    if (c == '&') {
        uint32_t code = 0;
        used = decode_ref(raw->p, raw->p + raw->len, &code);
        made = utf8_put(to, code);
        if (!used)
            used = raw->len; /* not reached: the scanner lets no such value through */
    } else if (chars_is(c, CHAR_SPACE)) {
        *to = ' ';
        used = c == '\r' && raw->len > 1 && raw->p[1] == '\n' ? 2 : 1;
    } else {
        *to = c;
    }
    *raw = str_sub(*raw, used, raw->len);
    return made;
}

size_t decode_attr(str raw, char *to)
{
    size_t len = 0;
    while (raw.len)
        len += decode_one(&raw, to + len);
    return len;
}

struct reader {
    str raw;
    char bytes[4];
    size_t at, len;
};

/* The next byte, or -1 at the end. */
static int next_byte(struct reader *reader)
{
    if (reader->at == reader->len) {
        if (!reader->raw.len)
            return -1;
        reader->at = 0;
        reader->len = decode_one(&reader->raw, reader->bytes);
    }
    return (uint8_t)reader->bytes[reader->at++];
}

bool decode_attr_same(str a, str b)
{
    if (str_eq(a, b))
        return true;
    if (!decode_attr_needed(a) && !decode_attr_needed(b))
        return false;
    struct reader left = { .raw = a }, right = { .raw = b };
    for (;;) {
        int one = next_byte(&left), other = next_byte(&right);
        if (one != other)
            return false;
        if (one < 0)
            return true;
    }
}

uint32_t decode_attr_hash(str raw)
{
    struct reader reader = { .raw = raw };
    uint32_t hash = 2166136261u;
    for (int byte; (byte = next_byte(&reader)) >= 0;)
        hash = (hash ^ (uint32_t)byte) * 16777619u;
    return hash;
}
