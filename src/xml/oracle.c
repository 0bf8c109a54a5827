/* SPDX-License-Identifier: MIT */
/* What expat is asked, and where it may differ from the scanner. expat knows XML and its namespaces; what
 * XMPP forbids or asks beyond that is put in its handlers here:
 *   - comments, processing instructions and document types are refused (RFC 6120 §11.1), and so is character
 * data between first-level elements other than white space that stands as itself;
 *   - an XML declaration must name version 1.x (XML 1.0 §2.8; expat takes any) and no encoding but UTF-8.
 * expat is told that the encoding is UTF-8, and still believes a mark or sign of UTF-16: refused before it
 * sees it;
 *   - the scanner's limits of depth, attributes, prefixes and size are not expat's: an input that meets one
 * is not compared. expat judges a tag, a reference or a declaration when it is whole; the scanner speaks up
 * at the first byte that cannot be right. So where the input ends within such a thing the scanner may have
 * refused what expat still waits for; then expat must come to refuse it whatever follows, which is tried with
 * some tails.
 *
 * The transcript has an element's own text behind its children, since the cursor gives it in one piece. */
#include "xml/oracle.h"

#include "base/mem.h"

#include <ctype.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 400, TRANSCRIPT_MAX = 64 << 20 };

const struct scan_limits oracle_limits = { 32 << 20, 250, 200, 60000 };

static void put_name(struct buf *to, str ns, str name)
{
    buf_add_char(to, '{');
    buf_add(to, ns);
    buf_add_char(to, '}');
    buf_add(to, name);
}

/* The scanner's side. */

static void put_attrs(struct buf *to, const struct xml_node *node, struct arena *arena)
{
    struct xml_attr attr;
    for (size_t at = 0; xml_attr_next(node, &at, &attr);) {
        if (str_is(attr.prefix, "xmlns") || (!attr.prefix.len && str_is(attr.name, "xmlns")))
            continue;
        str ns = attr.prefix.len ? xml_ns_of(node, attr.prefix) : STR("");
        buf_lit(to, "\n@");
        put_name(to, xml_decode_attr(ns, arena), attr.name);
        buf_add_char(to, '=');
        buf_add(to, xml_decode_attr(attr.raw, arena));
    }
}

static void put_start(struct buf *to, const struct xml_node *node, struct arena *arena)
{
    buf_lit(to, "\n<");
    put_name(to, xml_decode_attr(node->ns, arena), node->name);
    put_attrs(to, node, arena);
}

static void put_node(struct buf *to, const struct xml_node *node, struct arena *arena)
{
    put_start(to, node, arena);
    struct xml_node child;
    for (bool more = xml_first(node, &child); more; more = xml_next(&child))
        put_node(to, &child, arena);
    buf_lit(to, "\n=");
    buf_add(to, xml_text(node, arena));
    buf_lit(to, "\n>");
}

static void put_event(struct buf *to, enum scan_event event, const struct xml_node *node)
{
    struct arena arena;
    arena_init(&arena, 1024);
    if (event == SCAN_OPEN)
        put_start(to, node, &arena);
    if (event == SCAN_ELEMENT)
        put_node(to, node, &arena);
    if (event == SCAN_CLOSE)
        buf_lit(to, "\nclose");
    arena_fini(&arena);
}

/* All events of the bytes that are there; returns the last, and how many bytes remain unused. */
static enum scan_event drain(struct scanner *scanner, str *bytes, bool *closed, struct buf *transcript)
{
    for (;;) {
        size_t used = 0;
        struct xml_node node;
        enum scan_event event = scanner_next(scanner, *bytes, &used, &node);
        if (used > bytes->len)
            abort();
        put_event(transcript, event, &node);
        *bytes = str_sub(*bytes, used, bytes->len);
        *closed |= event == SCAN_CLOSE;
        if (event == SCAN_MORE || event == SCAN_ERROR)
            return event;
    }
}

struct verdict oracle_scan(str input, size_t first, size_t step, const struct scan_limits *limits,
                           struct buf *transcript)
{
    struct scanner scanner;
    scanner_init(&scanner, limits);
    struct verdict verdict = { .last = SCAN_MORE };
    size_t fed = 0, kept = 0;
    char *memory = NULL;
    bool closed = false;
    while (fed < input.len && verdict.last != SCAN_ERROR) {
        size_t piece = fed ? step : first;
        if (piece > input.len - fed)
            piece = input.len - fed;
        char *grown = xmalloc(kept + piece);
        if (kept)
            memcpy(grown, memory + 0, kept);
        memcpy(grown + kept, input.p + fed, piece);
        free(memory);
        memory = grown;
        fed += piece;
        str rest = str_of(memory, kept + piece);
        verdict.last = drain(&scanner, &rest, &closed, transcript);
        kept = rest.len;
        memmove(memory, rest.p, kept);
    }
    if (verdict.last == SCAN_ERROR)
        verdict.error = scanner_error(&scanner);
    else if (closed)
        verdict.last = SCAN_CLOSE;
    scanner_fini(&scanner);
    free(memory);
    return verdict;
}

/* expat's side. */

struct reading {
    XML_Parser parser;
    str input;
    struct buf *transcript; /* what is complete */
    struct buf pending;     /* of the first-level element at hand */
    struct buf text[DEPTH]; /* of each open element */
    unsigned depth;
    bool refused, closed;
};

static void refuse(struct reading *r)
{
    r->refused = true;
    XML_StopParser(r->parser, XML_FALSE);
}

/* expat's "namespace FF local", or "local". */
static void put_expat_name(struct buf *to, const char *name)
{
    str local = str_from(name), ns = STR("");
    size_t at = str_find(local, '\f');
    if (at < local.len) {
        ns = str_sub(local, 0, at);
        local = str_sub(local, at + 1, local.len);
    }
    put_name(to, ns, local);
}

static void on_start(void *data, const char *name, const char **attrs)
{
    struct reading *r = data;
    if (r->refused || r->depth == DEPTH)
        return refuse(r);
    struct buf *to = r->depth ? &r->pending : r->transcript;
    buf_lit(to, "\n<");
    put_expat_name(to, name);
    for (; *attrs; attrs += 2) {
        buf_lit(to, "\n@");
        put_expat_name(to, attrs[0]);
        buf_add_char(to, '=');
        buf_add(to, str_from(attrs[1]));
    }
    buf_clear(&r->text[r->depth++]);
}

static void on_end(void *data, const char *name)
{
    (void)name;
    struct reading *r = data;
    if (r->refused)
        return;
    if (--r->depth == 0) {
        r->closed = true;
        buf_lit(r->transcript, "\nclose");
        return;
    }
    buf_lit(&r->pending, "\n=");
    buf_add(&r->pending, buf_str(&r->text[r->depth]));
    buf_lit(&r->pending, "\n>");
    if (r->depth > 1)
        return;
    buf_add(r->transcript, buf_str(&r->pending));
    buf_clear(&r->pending);
}

static bool is_white(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!memchr(" \t\r\n", s.p[i], 4))
            return false;
    return true;
}

static void on_text(void *data, const char *text, int len)
{
    struct reading *r = data;
    str piece = str_of(text, (size_t)len);
    if (r->refused)
        return;
    long at = (long)XML_GetCurrentByteIndex(r->parser);
    if (r->depth == 1 && (!is_white(piece) || r->input.p[at] == '&'))
        return refuse(r);
    buf_add(&r->text[r->depth - 1], piece);
}

static void on_cdata(void *data)
{
    struct reading *r = data;
    if (r->depth == 1)
        refuse(r);
}

static void on_comment(void *data, const char *text)
{
    (void)text;
    refuse(data);
}

static void on_instruction(void *data, const char *target, const char *text)
{
    (void)target, (void)text;
    refuse(data);
}

static void on_doctype(void *data, const char *name, const char *system, const char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    refuse(data);
}

static void on_declaration(void *data, const char *version, const char *encoding, int standalone)
{
    (void)standalone;
    str minor = str_from(version);
    bool fits = minor.len > 2 && str_starts(minor, STR("1."));
    for (size_t i = 2; fits && i < minor.len; i++)
        fits = isdigit((unsigned char)minor.p[i]);
    if (!fits || (encoding && !str_eq_nocase(str_from(encoding), STR("UTF-8"))))
        refuse(data);
}

static bool shows_other_encoding(str s)
{
    if (!s.len)
        return false;
    uint8_t first = (uint8_t)s.p[0];
    return first == 0 || first >= 0xFE || (s.len > 1 && s.p[1] == 0);
}

static void reading_start(struct reading *r)
{
    r->parser = XML_ParserCreateNS("UTF-8", '\f');
#ifdef EXPAT_DEFERS
    XML_SetReparseDeferralEnabled(r->parser, XML_FALSE);
#endif
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetCdataSectionHandler(r->parser, on_cdata, NULL);
    XML_SetCommentHandler(r->parser, on_comment);
    XML_SetProcessingInstructionHandler(r->parser, on_instruction);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    XML_SetXmlDeclHandler(r->parser, on_declaration);
    buf_init(&r->pending, TRANSCRIPT_MAX);
    for (size_t i = 0; i < DEPTH; i++)
        buf_init(&r->text[i], TRANSCRIPT_MAX);
}

static void reading_stop(struct reading *r)
{
    XML_ParserFree(r->parser);
    buf_fini(&r->pending);
    for (size_t i = 0; i < DEPTH; i++)
        buf_fini(&r->text[i]);
}

struct verdict oracle_expat(str input, struct buf *transcript)
{
    if (shows_other_encoding(input))
        return (struct verdict){ .last = SCAN_ERROR, .error = SCAN_ERROR_ENCODING };
    struct reading r = { .input = input, .transcript = transcript };
    reading_start(&r);
    bool fine = XML_Parse(r.parser, input.p, (int)input.len, XML_FALSE) == XML_STATUS_OK && !r.refused;
    /* Its handler is told of a document type when that is whole, and expat takes it apart before. */
    if (!transcript->len && memmem(input.p, input.len, "<!DOCTYPE", 9))
        fine = false;
    long at = (long)XML_GetCurrentByteIndex(r.parser);
    reading_stop(&r);
    if (!fine)
        return (struct verdict){ .last = SCAN_ERROR, .error = SCAN_ERROR_NOT_WELL_FORMED };
    return (struct verdict){ .last = r.closed ? SCAN_CLOSE : SCAN_MORE, .judged = at < 0 ? 0 : (size_t)at };
}

/* Holding them together. */

/* Whether the scanner was right to refuse what expat waits for: what expat has judged by now, the scanner
 * takes too, and expat goes no further with any of the tails. */
static bool refused_early(str input, size_t judged)
{
    static const char *const tails[] = { ">", "/>",   "'/>",          "\"/>",    "='x'/>", " x='x'/>",
                                         ";", ";'/>", ";\"/>",        "]]>",     "?>",     "-->",
                                         "x", " ",    "\x80\x80\x80", "a='x'/>", "'",      "\"" };
    struct buf ignored, longer;
    buf_init(&ignored, TRANSCRIPT_MAX);
    buf_init(&longer, input.len + 16);
    bool right =
        oracle_scan(str_sub(input, 0, judged), judged, 1, &oracle_limits, &ignored).last != SCAN_ERROR;
    for (size_t i = 0; i < COUNT_OF(tails) && right; i++) {
        buf_clear(&longer);
        buf_add(&longer, input);
        buf_add(&longer, str_from(tails[i]));
        struct verdict verdict = oracle_expat(buf_str(&longer), &ignored);
        right = verdict.last == SCAN_ERROR || verdict.judged <= judged;
    }
    buf_fini(&longer);
    buf_fini(&ignored);
    return right;
}

static bool limited(struct verdict verdict)
{
    return verdict.last == SCAN_ERROR &&
           (verdict.error == SCAN_ERROR_LIMIT || verdict.error == SCAN_ERROR_TOO_LARGE);
}

static void tell(const char *what, str text)
{
    fprintf(stderr, "%s: ", what);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '\n' || (c >= ' ' && c < 0x7F && c != '\\'))
            fputc(c, stderr);
        else
            fprintf(stderr, "\\x%02X", c);
    }
    fputc('\n', stderr);
}

bool oracle_agrees(str input, size_t first, size_t step)
{
    struct buf ours, theirs;
    buf_init(&ours, TRANSCRIPT_MAX);
    buf_init(&theirs, TRANSCRIPT_MAX);
    struct verdict scan = oracle_scan(input, first, step, &oracle_limits, &ours);
    bool agrees = true;
    if (!limited(scan)) {
        struct verdict expat = oracle_expat(input, &theirs);
        agrees = scan.last == expat.last ||
                 (scan.last == SCAN_ERROR && expat.last != SCAN_ERROR && refused_early(input, expat.judged));
        agrees = agrees && str_eq(buf_str(&ours), buf_str(&theirs));
        if (!agrees) {
            fprintf(stderr, "the scanner says %d (error %d), expat %d\n", scan.last, scan.error, expat.last);
            tell("input", input);
            tell("ours", buf_str(&ours));
            tell("expat's", buf_str(&theirs));
        }
    }
    buf_fini(&ours);
    buf_fini(&theirs);
    return agrees;
}
