/* SPDX-License-Identifier: MIT */
/* The slow way, which knows everything: one step per place in the grammar (XML 1.0 §2.4 text, §2.7 CDATA,
 * §3.1 tags, §4.1 references; what RFC 6120 §11.1 forbids), each taking as many bytes as it can and leaving
 * the walk at the next place, or at its own when the input ends. Where a few bytes must be seen together
 * (]]>, a character of UTF-8, <![CDATA[, an entity) it waits for them, at most nine; all else is looked at
 * once.
 *
 * A start tag's attributes are gathered when the tag is whole, by walking through it once more: keeping them
 * while it is not would cost memory for each connection that a slow peer holds open. */
#include "xml/chars.h"
#include "xml/scan_state.h"

typedef const char *step_fn(struct scan *s, const char *p, const char *end);

static const char *go(struct scan *s, enum scan_place place, const char *p)
{
    s->core.place = (uint8_t)place;
    return p;
}

static const char *wait(struct scan *s, const char *p)
{
    s->starved = true;
    return p;
}

static const char *malformed(struct scan *s, const char *p)
{
    return scan_fail(s, SCAN_ERROR_NOT_WELL_FORMED, p);
}

static const char *restricted(struct scan *s, const char *p)
{
    return scan_fail(s, SCAN_ERROR_RESTRICTED_XML, p);
}

/* How `word` meets the input: 1 it stands there, 0 the input ends within it, -1 something else. */
static int meets(const char *p, const char *end, str word)
{
    size_t left = (size_t)(end - p), shared = left < word.len ? left : word.len;
    if (memcmp(p, word.p, shared) != 0)
        return -1;
    return shared == word.len;
}

/* One character that means itself. */
static const char *step_char(struct scan *s, const char *p, const char *end)
{
    if ((uint8_t)*p < 0x80)
        return (uint8_t)*p >= ' ' || chars_is(*p, CHAR_SPACE) ? p + 1 : malformed(s, p);
    int length = chars_utf8(p, end);
    if (length == 0)
        return wait(s, p);
    return length < 0 ? malformed(s, p) : p + length;
}

static const char *step_content(struct scan *s, const char *p, const char *end)
{
    if (*p == '<') {
        s->core.tag = scan_at(s, p);
        return go(s, IN_MARKUP, p + 1);
    }
    if (*p == '&') {
        s->core.back = IN_CONTENT;
        return go(s, IN_REF, p + 1);
    }
    if (*p == ']') {
        int met = meets(p, end, STR("]]>"));
        if (met == 0)
            return wait(s, p);
        return met > 0 ? malformed(s, p) : p + 1;
    }
    return step_char(s, p, end);
}

static const char *step_markup(struct scan *s, const char *p, const char *end)
{
    (void)end;
    if (*p == '/') {
        s->core.matched = 0;
        return s->header ? go(s, IN_END_NAME, p + 1) : malformed(s, p);
    }
    if (*p == '!')
        return go(s, IN_BANG, p + 1);
    if (*p == '?')
        return go(s, IN_QUESTION, p + 1);
    if (!chars_is(*p, CHAR_START) && (uint8_t)*p < 0x80)
        return malformed(s, p);
    if (s->core.depth == s->depth_max)
        return scan_fail(s, SCAN_ERROR_LIMIT, p);
    s->core.name = s->core.word = scan_at(s, p);
    s->core.colon = 0;
    s->core.attrs = 0;
    return go(s, IN_NAME, p);
}

/* Through the name at hand. Ends at the first byte that is no part of it, or at `end`. */
static const char *step_word(struct scan *s, const char *p, const char *end)
{
    struct scan_core *core = &s->core;
    for (; p < end;) {
        uint32_t at = scan_at(s, p);
        bool first = at == core->word || at == core->colon;
        if ((uint8_t)*p >= 0x80) {
            int length = chars_name_utf8(p, end, first);
            if (length <= 0)
                return length ? malformed(s, p) : wait(s, p);
            p += length;
        } else if (chars_is(*p, first ? CHAR_START : CHAR_NAME)) {
            p++;
        } else if (*p == ':' && !first && !core->colon) {
            core->colon = scan_at(s, ++p);
        } else {
            return first || *p == ':' ? malformed(s, p) : p;
        }
        if (scan_at(s, p) - core->word > s->name_max)
            return scan_fail(s, SCAN_ERROR_LIMIT, p);
    }
    return p;
}

/* Whether step_word() came to an end of the name, and nothing else. */
static bool word_ended(const struct scan *s, const char *p, const char *end)
{
    return p < end && !s->starved && s->event == SCAN_MORE;
}

static const char *step_name(struct scan *s, const char *p, const char *end)
{
    struct scan_core *core = &s->core;
    p = step_word(s, p, end);
    if (!word_ended(s, p, end))
        return p;
    core->name_len = (uint16_t)(scan_at(s, p) - core->name);
    core->prefix_len = core->colon ? (uint16_t)(core->colon - 1 - core->name) : 0;
    return go(s, IN_TAG, p);
}

static const char *step_attr_name(struct scan *s, const char *p, const char *end)
{
    p = step_word(s, p, end);
    return word_ended(s, p, end) ? go(s, IN_ATTR_EQUAL, p) : p;
}

/* Gathers the attributes of the tag that ends at `p`, and is in order as far as one byte after the other can
 * tell. */
static const char *tag_ends(struct scan *s, bool empty, const char *p)
{
    struct scan_attrs attrs;
    scan_attrs_clear(&attrs);
    const char *start = s->base + s->core.name + s->core.name_len;
    struct xml_node tag = { .attrs = str_of(start, (size_t)(p - start) - 1 - empty) };
    struct xml_attr attr;
    for (size_t at = 0; xml_attr_next(&tag, &at, &attr);) {
        size_t prefix = attr.prefix.len ? attr.prefix.len + 1 : 0;
        attrs.list[attrs.count] = (struct scan_attr){
            .name = attr.name.p - prefix,
            .name_len = (uint16_t)(attr.name.len + prefix),
            .prefix_len = (uint16_t)attr.prefix.len,
            .value = attr.raw.p,
            .value_len = (uint32_t)attr.raw.len,
        };
        scan_attrs_add(&attrs);
    }
    return scan_tag_done(s, &attrs, empty, p);
}

static const char *step_tag(struct scan *s, const char *p, const char *end)
{
    (void)end;
    if (chars_is(*p, CHAR_SPACE))
        return go(s, IN_TAG_SPACE, p + 1);
    if (*p == '/')
        return go(s, IN_EMPTY, p + 1);
    return *p == '>' ? tag_ends(s, false, p + 1) : malformed(s, p);
}

static const char *step_tag_space(struct scan *s, const char *p, const char *end)
{
    if (!chars_is(*p, CHAR_START) && (uint8_t)*p < 0x80)
        return step_tag(s, p, end);
    if (s->core.attrs == s->attrs_max)
        return scan_fail(s, SCAN_ERROR_LIMIT, p);
    s->core.attrs++;
    s->core.word = scan_at(s, p);
    s->core.colon = 0;
    return go(s, IN_ATTR_NAME, p);
}

static const char *step_empty(struct scan *s, const char *p, const char *end)
{
    (void)end;
    return *p == '>' ? tag_ends(s, true, p + 1) : malformed(s, p);
}

static const char *step_attr_equal(struct scan *s, const char *p, const char *end)
{
    (void)end;
    if (chars_is(*p, CHAR_SPACE))
        return p + 1;
    return *p == '=' ? go(s, IN_ATTR_QUOTE, p + 1) : malformed(s, p);
}

static const char *step_attr_quote(struct scan *s, const char *p, const char *end)
{
    (void)end;
    if (chars_is(*p, CHAR_SPACE))
        return p + 1;
    if (*p != '"' && *p != '\'')
        return malformed(s, p);
    s->core.quote = *p;
    return go(s, IN_ATTR_VALUE, p + 1);
}

static const char *step_attr_value(struct scan *s, const char *p, const char *end)
{
    p = chars_skip(p, end, s->core.quote);
    if (p == end)
        return p;
    if (*p == s->core.quote)
        return go(s, IN_TAG, p + 1);
    if (*p == '<')
        return malformed(s, p);
    if (*p == '&') {
        s->core.back = IN_ATTR_VALUE;
        return go(s, IN_REF, p + 1);
    }
    return step_char(s, p, end);
}

static const char *step_ref(struct scan *s, const char *p, const char *end)
{
    static const str names[] = { STR_INIT("amp;"), STR_INIT("lt;"), STR_INIT("gt;"), STR_INIT("quot;"),
                                 STR_INIT("apos;") };
    if (*p == '#')
        return go(s, IN_REF_HASH, p + 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int met = meets(p, end, names[i]);
        if (met == 0)
            return wait(s, p);
        if (met > 0)
            return go(s, s->core.back, p + names[i].len);
    }
    /* RFC 6120 §11.1: no entity but the predefined. */
    return chars_is(*p, CHAR_START) || (uint8_t)*p >= 0x80 ? restricted(s, p) : malformed(s, p);
}

static const char *step_ref_hash(struct scan *s, const char *p, const char *end)
{
    (void)end;
    s->core.number = 0;
    s->core.digits = false;
    return *p == 'x' ? go(s, IN_REF_HEX, p + 1) : go(s, IN_REF_DEC, p);
}

/* Through the digits of a character reference, however many zeros lead it. */
static const char *digits(struct scan *s, const char *p, const char *end, int base)
{
    struct scan_core *core = &s->core;
    for (; p < end && *p != ';'; p++) {
        int digit = chars_digit(*p, base);
        if (digit < 0)
            return malformed(s, p);
        core->number = core->number * (uint32_t)base + (uint32_t)digit;
        core->digits = true;
        if (core->number > 0x10FFFF)
            return malformed(s, p);
    }
    if (p == end)
        return p;
    return core->digits && chars_legal(core->number) ? go(s, core->back, p + 1) : malformed(s, p);
}

static const char *step_ref_dec(struct scan *s, const char *p, const char *end)
{
    return digits(s, p, end, 10);
}

static const char *step_ref_hex(struct scan *s, const char *p, const char *end)
{
    return digits(s, p, end, 16);
}

static const char *step_end_name(struct scan *s, const char *p, const char *end)
{
    const struct scan_open *open = s->core.depth ? &s->open[s->core.depth - 1] : NULL;
    str name = open ? str_of(s->base + open->name, open->len) : s->header->name;
    int met = meets(p, end, str_sub(name, s->core.matched, name.len));
    if (met < 0)
        return malformed(s, p);
    size_t matched = met ? name.len - s->core.matched : (size_t)(end - p);
    s->core.matched = (uint16_t)(s->core.matched + matched);
    return met ? go(s, IN_END_SPACE, p + matched) : p + matched;
}

static const char *step_end_space(struct scan *s, const char *p, const char *end)
{
    (void)end;
    if (chars_is(*p, CHAR_SPACE))
        return p + 1;
    return *p == '>' ? scan_tag_close(s, p + 1) : malformed(s, p);
}

static const char *step_bang(struct scan *s, const char *p, const char *end)
{
    if (*p == '-' || chars_is(*p, CHAR_START)) /* a comment, or a declaration: RFC 6120 §11.1 */
        return restricted(s, p);
    if (*p == '[' && !s->core.depth) /* character data where none may be */
        return scan_fail(s, s->header ? SCAN_ERROR_TEXT : SCAN_ERROR_NOT_WELL_FORMED, p);
    str word = STR("[CDATA[");
    int met = meets(p, end, word);
    if (met == 0)
        return wait(s, p);
    return met > 0 ? go(s, IN_CDATA, p + word.len) : malformed(s, p);
}

/* An XML declaration in the wrong place is malformed; other processing instructions are forbidden. */
static const char *step_question(struct scan *s, const char *p, const char *end)
{
    int met = meets(p, end, STR("xml"));
    if (met == 0 || (met > 0 && end - p == 3))
        return wait(s, p);
    if (met > 0 && (chars_is(p[3], CHAR_SPACE) || p[3] == '?'))
        return malformed(s, p);
    return chars_is(*p, CHAR_START) || (uint8_t)*p >= 0x80 ? restricted(s, p) : malformed(s, p);
}

static const char *step_cdata(struct scan *s, const char *p, const char *end)
{
    p = chars_skip(p, end, ']');
    if (p == end)
        return p;
    if (*p != ']')
        return step_char(s, p, end);
    int met = meets(p, end, STR("]]>"));
    if (met == 0)
        return wait(s, p);
    return met > 0 ? go(s, IN_CONTENT, p + 3) : p + 1;
}

const char *scan_step(struct scan *s, const char *p, const char *end)
{
    static step_fn *const steps[] = {
        [IN_CONTENT] = step_content,
        [IN_MARKUP] = step_markup,
        [IN_NAME] = step_name,
        [IN_TAG] = step_tag,
        [IN_TAG_SPACE] = step_tag_space,
        [IN_EMPTY] = step_empty,
        [IN_ATTR_NAME] = step_attr_name,
        [IN_ATTR_EQUAL] = step_attr_equal,
        [IN_ATTR_QUOTE] = step_attr_quote,
        [IN_ATTR_VALUE] = step_attr_value,
        [IN_REF] = step_ref,
        [IN_REF_HASH] = step_ref_hash,
        [IN_REF_DEC] = step_ref_dec,
        [IN_REF_HEX] = step_ref_hex,
        [IN_END_NAME] = step_end_name,
        [IN_END_SPACE] = step_end_space,
        [IN_BANG] = step_bang,
        [IN_QUESTION] = step_question,
        [IN_CDATA] = step_cdata,
    };
    return steps[s->core.place](s, p, end);
}
