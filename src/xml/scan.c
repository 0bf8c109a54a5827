/* SPDX-License-Identifier: MIT */
/* The stream scanner's calls, and the bookkeeping of an element that comes in pieces.
 *
 * One walk serves the stream's start tag, the elements in it and its end tag. It lives on the C stack while a
 * call lasts: scan_plain() takes all that is in order, scan_step() all else. Only when the input ends within
 * an element is its state copied to the heap, and from there back at the next call: some dozen bytes and
 * eight for each open tag. A stream between elements holds nothing but struct scanner.
 *
 * The input is cut at the limit before it is looked at, so that an element is too large whatever else is
 * wrong behind the limit, and whether it came whole or in pieces.
 *
 * RFC 6120 §4 (streams), §11 (use of XML). */
#include "xml/scan.h"

#include "base/mem.h"
#include "xml/chars.h"
#include "xml/scan_state.h"

#include <stdlib.h>

struct scan_saved {
    struct scan_core core;
    char rest[]; /* open[], binding[] */
};

void scanner_init(struct scanner *scanner, const struct scan_limits *limits)
{
    *scanner = (struct scanner){ .limits = limits, ._state = AT_START };
}

void scanner_fini(struct scanner *scanner)
{
    free(scanner->_saved);
    scan_header_free(scanner->_header);
    scanner->_saved = NULL;
    scanner->_header = NULL;
}

void scanner_restart(struct scanner *scanner)
{
    scanner_fini(scanner);
    scanner_init(scanner, scanner->limits);
}

enum scan_error scanner_error(const struct scanner *scanner)
{
    return (enum scan_error)scanner->_error;
}

bool scanner_in_element(const struct scanner *scanner)
{
    return scanner->_at > 0;
}

str scanner_header_declarations(const struct scanner *scanner)
{
    return scanner->_header ? scanner->_header->declared : STR("");
}

enum scan_event scanner_fail(struct scanner *scanner, enum scan_error error)
{
    free(scanner->_saved);
    scanner->_saved = NULL;
    scanner->_at = 0;
    scanner->_state = AT_ERROR;
    scanner->_error = (uint8_t)error;
    return SCAN_ERROR;
}

static uint16_t least(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

/* Makes the walk ready where it was left, or at the front of an element. */
static void resume(struct scanner *scanner, struct scan *s, const char *base)
{
    const struct scan_limits *limits = scanner->limits;
    s->base = base;
    s->header = scanner->_header;
    s->event = SCAN_MORE;
    s->starved = false;
    s->depth_max = least(limits->depth, SCAN_DEPTH_MAX);
    s->attrs_max = least(limits->attributes, SCAN_ATTRIBUTES_MAX);
    s->name_max = limits->name_bytes;
    if (scanner->_saved) {
        const struct scan_saved *saved = scanner->_saved;
        s->core = saved->core;
        memcpy(s->open, saved->rest, s->core.depth * sizeof *s->open);
        memcpy(s->binding, saved->rest + s->core.depth * sizeof *s->open,
               s->core.bindings * sizeof *s->binding);
        return;
    }
    s->core = (struct scan_core){ .place = IN_CONTENT };
    if (!s->header)
        return;
    s->core.bindings = s->header->count;
    for (unsigned i = 0; i < s->header->count; i++)
        s->binding[i] = s->header->bindings[i];
}

static void save(struct scanner *scanner, const struct scan *s)
{
    size_t opens = s->core.depth * sizeof *s->open, bindings = s->core.bindings * sizeof *s->binding;
    struct scan_saved *saved = xrealloc(scanner->_saved, sizeof *saved + opens + bindings);
    saved->core = s->core;
    memcpy(saved->rest, s->open, opens);
    memcpy(saved->rest + opens, s->binding, bindings);
    scanner->_saved = saved;
}

static const char *walk(struct scan *s, const char *p, const char *end)
{
    while (p < end && s->event == SCAN_MORE && !s->starved) {
        if (s->core.place == IN_CONTENT)
            p = scan_plain(s, p, end);
        if (p < end && s->event == SCAN_MORE)
            p = scan_step(s, p, end);
    }
    return p;
}

/* Describes the element or start tag that ends before `end`. */
static void describe(const struct scan *s, const char *end, struct xml_node *ret)
{
    const struct scan_core *core = &s->core;
    const char *name = s->base + 1, *attrs = name + core->first_name;
    size_t prefix = core->first_prefix ? core->first_prefix + 1u : 0;
    bool empty = s->base[core->first_end - 2] == '/';
    const char *content = s->base + core->first_end, *content_end = content;
    if (s->header && !empty)
        for (content_end = end; *--content_end != '<';)
            ;
    *ret = (struct xml_node){
        .bytes = str_of(s->base, (size_t)(end - s->base)),
        .prefix = str_of(name, core->first_prefix),
        .name = str_of(name + prefix, core->first_name - prefix),
        .attrs = str_of(attrs, (size_t)(content - attrs) - 1 - empty),
        .content = str_of(content, (size_t)(content_end - content)),
        .inherited = s->header ? s->header->inherited : str_none,
    };
    if (prefix)
        ret->ns = xml_ns_of(ret, ret->prefix);
    else if (core->first_has_ns)
        ret->ns = str_of(s->base + core->first_ns, core->first_ns_len);
    else
        ret->ns = s->header ? s->header->default_ns : STR("");
}

static enum scan_event finish(struct scanner *scanner, const struct scan *s, const char *end,
                              struct xml_node *ret)
{
    free(scanner->_saved);
    scanner->_saved = NULL;
    scanner->_at = 0;
    if (s->event == SCAN_CLOSE) {
        scanner->_state = AT_END;
        return SCAN_CLOSE;
    }
    describe(s, end, ret);
    if (s->event == SCAN_OPEN) {
        scanner->_header = scan_header_keep(s, ret);
        scanner->_state = s->core.empty ? IN_EMPTY_STREAM : IN_STREAM;
    }
    return s->event;
}

/* Walks on through the element at hand, whose front `rest` begins with; `*ret_len` is set when it ended. */
static enum scan_event element(struct scanner *scanner, str rest, size_t *ret_len, struct xml_node *ret_node)
{
    struct scan s;
    size_t limit = scanner->limits->element_bytes;
    str seen = str_sub(rest, 0, limit);
    resume(scanner, &s, seen.p);
    const char *p = walk(&s, seen.p + scanner->_at, seen.p + seen.len);
    if (s.event == SCAN_ERROR)
        return scanner_fail(scanner, s.error);
    if (s.event != SCAN_MORE) {
        *ret_len = (size_t)(p - seen.p);
        return finish(scanner, &s, p, ret_node);
    }
    if (seen.len == limit)
        return scanner_fail(scanner, SCAN_ERROR_TOO_LARGE);
    scanner->_at = scan_at(&s, p);
    save(scanner, &s);
    return SCAN_MORE;
}

/* At the front of `rest`, which does not begin with white space unless a declaration may still come. */
static enum scan_event next_piece(struct scanner *scanner, str rest, size_t *ret_len,
                                  struct xml_node *ret_node)
{
    switch ((enum stream_place)scanner->_state) {
    case AT_START:
    case AT_MARK:
    case IN_DECL:
        return scan_prolog(scanner, rest, ret_len);
    case IN_PROLOG:
        return *rest.p == '<' ? element(scanner, rest, ret_len, ret_node)
                              : scanner_fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
    case IN_STREAM:
        if (*rest.p == '<')
            return element(scanner, rest, ret_len, ret_node);
        return scanner_fail(scanner, (uint8_t)*rest.p < ' ' ? SCAN_ERROR_NOT_WELL_FORMED : SCAN_ERROR_TEXT);
    default:
        return scanner_fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
    }
}

static bool space_may_stand(const struct scanner *scanner)
{
    return !scanner->_at &&
           (scanner->_state == IN_PROLOG || scanner->_state == IN_STREAM || scanner->_state == AT_END);
}

enum scan_event scanner_next(struct scanner *scanner, str input, size_t *ret_used, struct xml_node *ret_node)
{
    enum scan_event event = SCAN_MORE;
    size_t used = 0;
    *ret_used = 0;
    if (scanner->_state == AT_ERROR)
        return SCAN_ERROR;
    if (scanner->_state == IN_EMPTY_STREAM) {
        scanner->_state = AT_END;
        return SCAN_CLOSE;
    }
    if (!input.len)
        return SCAN_MORE;
    while (event == SCAN_MORE) {
        if (space_may_stand(scanner))
            used += scan_space(str_sub(input, used, input.len));
        if (used == input.len)
            break;
        size_t taken = 0;
        uint8_t place = scanner->_state;
        event = next_piece(scanner, str_sub(input, used, input.len), &taken, ret_node);
        used += taken;
        if (!taken && scanner->_state == place)
            break;
    }
    *ret_used = event == SCAN_ERROR ? input.len : used;
    return event;
}

bool scan_alone(str bytes, const struct scan_header *header, struct xml_node *ret)
{
    static const struct scan_limits limits = { UINT32_MAX, UINT16_MAX, UINT16_MAX, UINT16_MAX };
    struct scanner scanner = { .limits = &limits, ._header = header, ._state = IN_STREAM };
    struct xml_node node;
    size_t used;
    bool whole = bytes.len && bytes.p[0] == '<' &&
                 scanner_next(&scanner, bytes, &used, &node) == SCAN_ELEMENT && used == bytes.len;
    if (whole)
        *ret = node;
    scanner_fini(&scanner);
    return whole;
}
