/* SPDX-License-Identifier: MIT */
/* The stream scanner's calls, and what stands between elements: the prolog (byte-order mark, XML
 * declaration), white space, and the bookkeeping of an element that comes in pieces.
 *
 * One walk serves the stream's start tag, the elements in it and its end tag. It lives on the C stack while a
 * call lasts: scan_plain() takes all that is in order, scan_step() all else. Only when the input ends within
 * an element is its state copied to the heap, and from there back at the next call: some dozen bytes and
 * eight for each open tag. A stream between elements holds nothing but struct scanner.
 *
 * The input is cut at the limit before it is looked at, so that an element is too large whatever else is
 * wrong behind the limit, and whether it came whole or in pieces.
 *
 * RFC 6120 §4 (streams), §11 (use of XML); XML 1.0 §2.8 (prolog), §2.10, §4.3.3 and appendix F (encodings).
 * A byte-order mark of UTF-8 at the very beginning is passed over, though §11.6 would have it read as a
 * character: a stream cannot begin with that character, and expat passes over it too. */
#include "xml/scan.h"

#include "base/mem.h"
#include "xml/chars.h"
#include "xml/scan_state.h"

#include <stdlib.h>

/* Where a stream stands. */
enum stream_place {
    AT_START,  /* nothing came yet: a byte-order mark or a declaration may */
    AT_MARK,   /* a byte-order mark came: a declaration may */
    IN_DECL,   /* within the XML declaration */
    IN_PROLOG, /* white space or a declaration came, or the stream's start tag has begun */
    IN_STREAM,
    IN_EMPTY_STREAM, /* the start tag was <.../>: the end is to be told */
    AT_END,
    AT_ERROR,
};

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

static enum scan_event fail(struct scanner *scanner, enum scan_error error)
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
        return fail(scanner, s.error);
    if (s.event != SCAN_MORE) {
        *ret_len = (size_t)(p - seen.p);
        return finish(scanner, &s, p, ret_node);
    }
    if (seen.len == limit)
        return fail(scanner, SCAN_ERROR_TOO_LARGE);
    scanner->_at = scan_at(&s, p);
    save(scanner, &s);
    return SCAN_MORE;
}

static size_t space_at(str s)
{
    size_t at = 0;
    while (at < s.len && chars_is(s.p[at], CHAR_SPACE))
        at++;
    return at;
}

/* name='value' in the declaration, after white space; an empty value if it is not there. */
static bool decl_item(str *rest, str name, str *ret_value)
{
    *ret_value = str_none;
    str after = str_sub(*rest, space_at(*rest), rest->len);
    if (after.p == rest->p || !str_starts(after, name))
        return false;
    after = str_sub(after, name.len, after.len);
    after = str_sub(after, space_at(after), after.len);
    if (!after.len || after.p[0] != '=')
        return false;
    after = str_sub(after, 1, after.len);
    after = str_sub(after, space_at(after), after.len);
    if (!after.len || (after.p[0] != '"' && after.p[0] != '\''))
        return false;
    char quote = after.p[0];
    after = str_sub(after, 1, after.len);
    size_t end = str_find(after, quote);
    if (end == after.len)
        return false;
    *ret_value = str_sub(after, 0, end);
    *rest = str_sub(after, end + 1, after.len);
    return true;
}

static bool version_fits(str version)
{
    if (version.len < 3 || !str_starts(version, STR("1.")))
        return false;
    for (size_t i = 2; i < version.len; i++)
        if (version.p[i] < '0' || version.p[i] > '9')
            return false;
    return true;
}

/* EncName, XML 1.0 §4.3.3 */
static bool encoding_name(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!chars_is(name.p[i], i ? CHAR_NAME : CHAR_START) || (i == 0 && name.p[i] == '_'))
            return false;
    return name.len > 0;
}

/* Judges what stands between <?xml and ?>: 0, or an error + 1. */
static int judge_decl(str decl)
{
    str version, encoding, standalone;
    if (!decl_item(&decl, STR("version"), &version) || !version_fits(version))
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    if (decl_item(&decl, STR("encoding"), &encoding) && !encoding_name(encoding))
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    /* RFC 6120 §11.5 lets us ignore it. */
    if (decl_item(&decl, STR("standalone"), &standalone) && !str_is(standalone, "yes") &&
        !str_is(standalone, "no"))
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    if (space_at(decl) != decl.len)
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    return encoding.p && !str_eq_nocase(encoding, STR("UTF-8")) ? SCAN_ERROR_ENCODING + 1 : 0;
}

/* The declaration goes up to the first '>': there is none within. */
static enum scan_event declaration(struct scanner *scanner, str rest, size_t *ret_len)
{
    str seen = str_sub(rest, 0, scanner->limits->element_bytes);
    size_t at = scanner->_at;
    for (; at < seen.len && seen.p[at] != '>'; at++)
        if (!chars_is(seen.p[at], CHAR_SPACE | CHAR_PLAIN) && at)
            return fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
    if (at == seen.len) {
        scanner->_at = (uint32_t)at;
        return at == scanner->limits->element_bytes ? fail(scanner, SCAN_ERROR_TOO_LARGE) : SCAN_MORE;
    }
    if (seen.p[at - 1] != '?')
        return fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
    int error = judge_decl(str_sub(seen, 5, at - 1));
    if (error)
        return fail(scanner, (enum scan_error)(error - 1));
    scanner->_at = 0;
    scanner->_state = IN_PROLOG;
    *ret_len = at + 1;
    return SCAN_MORE;
}

/* How the first bytes of a stream begin: 1 with `word`, 0 perhaps with it when more come, -1 otherwise. */
static int begins(str s, str word)
{
    size_t shared = s.len < word.len ? s.len : word.len;
    if (memcmp(s.p, word.p, shared) != 0)
        return -1;
    return shared == word.len;
}

/* The marks and signs of UTF-16 and UTF-32, XML 1.0 appendix F. */
static bool other_encoding(str s)
{
    uint8_t first = (uint8_t)s.p[0];
    return first == 0 || first >= 0xFE || (s.len > 1 && first == '<' && s.p[1] == 0);
}

/* Sorts out the very first bytes. Moves on to another place, or stays for want of bytes. */
static enum scan_event begin(struct scanner *scanner, str rest, size_t *ret_len)
{
    if (other_encoding(rest))
        return fail(scanner, SCAN_ERROR_ENCODING);
    int mark = scanner->_state == AT_START ? begins(rest, STR("\xEF\xBB\xBF")) : -1;
    int decl = begins(rest, STR("<?xml"));
    if (mark > 0) {
        scanner->_state = AT_MARK;
        *ret_len = 3;
    } else if (decl > 0 && rest.len > 5 && chars_is(rest.p[5], CHAR_SPACE)) {
        scanner->_state = IN_DECL;
    } else if ((decl < 0 && mark < 0) || (decl > 0 && rest.len > 5)) {
        scanner->_state = IN_PROLOG;
    }
    return SCAN_MORE;
}

/* At the front of `rest`, which does not begin with white space unless a declaration may still come. */
static enum scan_event next_piece(struct scanner *scanner, str rest, size_t *ret_len,
                                  struct xml_node *ret_node)
{
    switch ((enum stream_place)scanner->_state) {
    case AT_START:
    case AT_MARK:
        return begin(scanner, rest, ret_len);
    case IN_DECL:
        return declaration(scanner, rest, ret_len);
    case IN_PROLOG:
        return *rest.p == '<' ? element(scanner, rest, ret_len, ret_node)
                              : fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
    case IN_STREAM:
        if (*rest.p == '<')
            return element(scanner, rest, ret_len, ret_node);
        return fail(scanner, (uint8_t)*rest.p < ' ' ? SCAN_ERROR_NOT_WELL_FORMED : SCAN_ERROR_TEXT);
    default:
        return fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
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
    while (event == SCAN_MORE) {
        if (space_may_stand(scanner))
            used += space_at(str_sub(input, used, input.len));
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
