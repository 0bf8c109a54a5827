/* SPDX-License-Identifier: MIT */
/* The fast way. Nearly all that a stream carries is plain: ASCII names, tags that are whole in the buffer,
 * text with a reference here and there. This file takes as much of that as it can, sixteen bytes at a step
 * where it may, and stops in front of whatever is not: a name beyond ASCII, an error, a tag that the buffer
 * cuts. It never judges: what it stops at is read again by scan_step.c, which is slow, complete, and names
 * the error. So a tag is looked at twice at most, and an error is the same however the stream was cut.
 *
 * The tests hold both ways against each other: fed byte by byte, everything goes the slow way. */
#include "xml/chars.h"
#include "xml/decode.h"
#include "xml/scan_state.h"

/* Over characters of two and three bytes, and single plain ones between them (a word's space). Leaves the
 * last few bytes before `end`, and what is rarer, to chars_utf8(). */
static inline const char *pass_high(const char *p, const char *end, char stop)
{
    while (end - p >= 4) {
        while (end - p >= 4 && chars_two(p))
            p += 2;
        while (end - p >= 4 && chars_three(p))
            p += 3;
        if (end - p < 2 || !chars_is(*p, CHAR_PLAIN) || *p == stop || (uint8_t)p[1] < 0x80)
            break;
        p++;
    }
    return p;
}

/* Over characters that are fine in text and in values, up to `stop`, '<' or what is not plain. */
static inline const char *pass(const char *p, const char *end, char stop)
{
    for (;;) {
        p = chars_skip(p, end, stop);
        if (p == end || *p == stop || *p == '<')
            return p;
        const char *start = p;
        uint32_t code;
        if (chars_is(*p, CHAR_SPACE)) {
            p++;
        } else if (*p == '&') {
            p += decode_ref(p, end, &code);
        } else if ((uint8_t)*p >= 0x80) {
            p = pass_high(p, end, stop);
            int length = p == start ? chars_utf8(p, end) : 0;
            p += length > 0 ? length : 0;
        }
        if (p == start)
            return p;
    }
}

static const char *pass_space(const char *p, const char *end)
{
    while (p < end && chars_is(*p, CHAR_SPACE))
        p++;
    return p;
}

/* A name of ASCII, not the last thing before `end`: what stands behind it, or NULL. */
static inline const char *pass_name(const char *p, const char *end, size_t max, uint16_t *ret_prefix_len)
{
    const char *start = p;
    *ret_prefix_len = 0;
    if (p == end || !chars_is(*p, CHAR_START))
        return NULL;
    p = chars_skip_name(p, end);
    if (p < end && *p == ':') {
        *ret_prefix_len = (uint16_t)(p - start);
        if (++p == end || !chars_is(*p, CHAR_START))
            return NULL;
        p = chars_skip_name(p, end);
    }
    if (p == end || (uint8_t)*p >= 0x80 || *p == ':' || (size_t)(p - start) > max)
        return NULL;
    return p;
}

/* An attribute at `p`: what stands behind it, or NULL. */
static inline const char *pass_attr(const struct scan *s, const char *p, const char *end,
                                    struct scan_attrs *attrs)
{
    struct scan_attr *attr = &attrs->list[attrs->count];
    attr->name = p;
    p = pass_name(p, end, s->name_max, &attr->prefix_len);
    if (!p || *p != '=' || end - p < 3)
        return NULL;
    attr->name_len = (uint16_t)(p - attr->name);
    char quote = p[1];
    if (quote != '"' && quote != '\'')
        return NULL;
    attr->value = p + 2;
    p = pass(attr->value, end, quote);
    if (p == end || *p != quote)
        return NULL;
    attr->value_len = (uint32_t)(p - attr->value);
    scan_attrs_add(attrs);
    return p + 1;
}

/* A start tag whose '<' stands at `tag`: what stands behind it, or NULL. */
static const char *plain_tag(struct scan *s, const char *tag, const char *end)
{
    if (s->core.depth == s->depth_max)
        return NULL;
    struct scan_attrs attrs;
    scan_attrs_clear(&attrs);
    uint16_t prefix_len;
    const char *p = pass_name(tag + 1, end, s->name_max, &prefix_len);
    if (!p)
        return NULL;
    size_t name_len = (size_t)(p - tag) - 1;
    while (chars_is(*p, CHAR_SPACE)) {
        p = pass_space(p, end);
        if (p == end || *p == '>' || *p == '/')
            break;
        if (attrs.count == s->attrs_max || !(p = pass_attr(s, p, end, &attrs)) || p == end)
            return NULL;
    }
    if (p == end)
        return NULL;
    bool empty = *p == '/';
    p += empty;
    if (p == end || *p != '>')
        return NULL;
    s->core.tag = scan_at(s, tag);
    s->core.name = s->core.tag + 1;
    s->core.name_len = (uint16_t)name_len;
    s->core.prefix_len = prefix_len;
    return scan_tag_done(s, &attrs, empty, p + 1);
}

/* An end tag whose name stands at `p`: what stands behind it, or NULL. */
static const char *plain_end(struct scan *s, const char *p, const char *end)
{
    if (!s->core.depth)
        return NULL;
    const struct scan_open *open = &s->open[s->core.depth - 1];
    if (end - p <= open->len || p[open->len] != '>' || !chars_same(p, s->base + open->name, open->len, end))
        return NULL;
    return scan_tag_close(s, p + open->len + 1);
}

const char *scan_plain(struct scan *s, const char *p, const char *end)
{
    while (s->event == SCAN_MORE) {
        if (s->core.depth)
            p = pass(p, end, ']');
        if (end - p < 4 || *p != '<')
            return p;
        const char *next = p[1] == '/' ? plain_end(s, p + 2, end) : plain_tag(s, p, end);
        if (!next)
            return p;
        p = next;
    }
    return p;
}
