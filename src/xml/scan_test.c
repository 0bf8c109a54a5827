/* SPDX-License-Identifier: MIT */
/* The scanner by tables: what it takes and what it refuses, each fed whole, byte by byte and cut at every
 * place, with the same outcome, and held against expat. */
#include "base/arena.h"
#include "base/mem.h"
#include "xml/chars.h"
#include "xml/decode.h"
#include "xml/oracle.h"
#include "xml/scan_state.h"

#include <expat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD                                                                                                 \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a' "           \
    "version='1.0'>"
#define TAIL "</stream:stream>"

struct row {
    const char *name;
    str input;
};

#define ROW(name, text)                                                                                      \
    {                                                                                                        \
        name, STR_INIT(text)                                                                                 \
    }
#define INSIDE(name, text) ROW(name, HEAD text TAIL)

/* Complete streams. */
static const struct row accepted[] = {
    INSIDE("an empty stream", ""),
    ROW("a declaration", "<?xml version='1.0'?>" HEAD TAIL),
    ROW("a declaration with all it may have",
        "<?xml  version = \"1.1\"\n encoding='utf-8' standalone='no' ?>\n" HEAD TAIL),
    ROW("a byte-order mark", "\xEF\xBB\xBF<?xml version='1.0'?>" HEAD TAIL),
    ROW("white space first", " \r\n" HEAD TAIL),
    ROW("white space last", HEAD TAIL "\n "),
    ROW("a stream that ends in its start tag", "<s:s xmlns:s='http://etherx.jabber.org/streams'/>"),
    ROW("a prefix of the client's taste",
        "<x:stream xmlns:x='http://etherx.jabber.org/streams' xmlns='a'><b/>"
        "<x:error/></x:stream >"),
    INSIDE("white space between elements", " <a/>\n<a/>\t\r"),
    INSIDE("an empty element", "<a/>"),
    INSIDE("white space in tags", "<a  b = 'c'\n\td\r=\r\"e\" ><f /></a \n>"),
    INSIDE("both quotes", "<a b='\"' c=\"'\"/>"),
    INSIDE("> in a value and in text", "<a b='>'>></a>"),
    INSIDE("a slash in a value", "<a b='/'>/</a>"),
    INSIDE("the five entities", "<a b='&lt;&gt;&amp;&quot;&apos;'>&lt;&gt;&amp;&quot;&apos;</a>"),
    INSIDE("numbers", "<a b='&#65;&#x41;'>&#9;&#xD;&#x10FFFF;&#x10ffff;&#00000000000000000000065;</a>"),
    INSIDE("a noncharacter above the first plane", "<a>&#x1FFFE;\xF0\x9F\xBF\xBE</a>"),
    INSIDE("DEL and C1", "<a>\x7F\xC2\x80\xC2\x9F</a>"),
    INSIDE("CDATA", "<a><![CDATA[<&]]]]><![CDATA[>]]></a>"),
    INSIDE("empty CDATA", "<a>]<![CDATA[]]>]</a>"),
    INSIDE("brackets", "<a>]] > ]]&gt; ]>]]</a>"),
    INSIDE("text of every length of UTF-8", "<a b='\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80'>\xC3\xA9\xE2\x82\xAC"
                                            "\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF</a>"),
    INSIDE("U+FEFF within", "<a>\xEF\xBB\xBF</a>"),
    INSIDE("names beyond ASCII", "<\xC3\xA9t\xC3\xA9 \xE5\x90\x8D='x'></\xC3\xA9t\xC3\xA9>"),
    INSIDE("names of all ASCII kinds", "<_a-b.c9 _-='1'/>"),
    INSIDE("a default namespace undone", "<a xmlns='u'><b xmlns=''><c/></b><d/></a>"),
    INSIDE("a prefix declared where it is used", "<p:a xmlns:p='u' p:b='1' b='2'><p:c/></p:a>"),
    INSIDE("a prefix declared behind its use", "<a p:b='1' xmlns:p='u'/>"),
    INSIDE("a prefix declared anew", "<a xmlns:p='u'><p:b xmlns:p='v'><p:c/></p:b><p:d/></a>"),
    INSIDE("the prefix stream", "<stream:error><a xmlns='b'/></stream:error>"),
    INSIDE("the prefix xml", "<a xml:lang='de'><xml:b/></a>"),
    INSIDE("xml declared as it is", "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>"),
    INSIDE("one local name in two namespaces", "<a xmlns:p='u' xmlns:q='v' p:b='' q:b='' b=''/>"),
    INSIDE("a namespace in other words", "<a xmlns='jabber&#58;client'/>"),
    INSIDE("names that begin with xml", "<xmlfoo xmlbar='' xmlnsx='' xmln=''/>"),
    INSIDE("an attribute that is long", "<a b='0123456789abcdef0123456789abcdef0123456789abcdef'/>"),
    INSIDE("a name that is long",
           "<a0123456789abcdef0123456789abcdef:b "
           "xmlns:a0123456789abcdef0123456789abcdef='u' "
           "c0123456789abcdef0123456789abcdef=''></a0123456789abcdef0123456789abcdef:b>"),
};

struct refused {
    const char *name;
    str input;
    enum scan_error error;
};

#define NWF        SCAN_ERROR_NOT_WELL_FORMED
#define RESTRICTED SCAN_ERROR_RESTRICTED_XML
#define ENCODING   SCAN_ERROR_ENCODING
#define BARE       SCAN_ERROR_TEXT
#define BAD(name, error, text)                                                                               \
    {                                                                                                        \
        name, STR_INIT(text), error                                                                          \
    }
#define BAD_INSIDE(name, error, text) BAD(name, error, HEAD text "</a>" TAIL)

static const struct refused refused[] = {
    BAD("text first", NWF, "x" HEAD),
    BAD("a TLS hello", NWF, "\x16\x03\x01"),
    BAD("a declaration behind white space", NWF, " <?xml version='1.0'?>" HEAD),
    BAD("a declaration twice", NWF, "<?xml version='1.0'?><?xml version='1.0'?>" HEAD),
    BAD("a byte-order mark twice", NWF, "\xEF\xBB\xBF\xEF\xBB\xBF" HEAD),
    BAD("a declaration without version", NWF, "<?xml encoding='UTF-8'?>" HEAD),
    BAD("an empty declaration", NWF, "<?xml?>" HEAD),
    BAD("version 2.0", NWF, "<?xml version='2.0'?>" HEAD),
    BAD("version 1.", NWF, "<?xml version='1.'?>" HEAD),
    BAD("a wrong order", NWF, "<?xml version='1.0' standalone='yes' encoding='UTF-8'?>" HEAD),
    BAD("no space between", NWF, "<?xml version='1.0'encoding='UTF-8'?>" HEAD),
    BAD("another standalone", NWF, "<?xml version='1.0' standalone='maybe'?>" HEAD),
    BAD("a declaration that does not end", NWF, "<?xml version='1.0'>" HEAD),
    BAD("Latin 1", ENCODING, "<?xml version='1.0' encoding='ISO-8859-1'?>" HEAD),
    BAD("UTF-16 declared", ENCODING, "<?xml version='1.0' encoding='UTF-16'?>" HEAD),
    BAD("UTF-16 with a mark, big", ENCODING, "\xFE\xFF\0<\0a"),
    BAD("UTF-16 with a mark, little", ENCODING, "\xFF\xFE<\0a\0"),
    BAD("UTF-16 without, big", ENCODING, "\0<\0a"),
    BAD("UTF-16 without, little", ENCODING, "<\0a\0"),
    BAD("a processing instruction first", RESTRICTED, "<?xml-stylesheet href='a'?>" HEAD),
    BAD("a comment first", RESTRICTED, "<!-- a -->" HEAD),
    BAD("a document type", RESTRICTED, "<!DOCTYPE a [<!ENTITY b 'c'>]>" HEAD),
    BAD("CDATA first", NWF, "<![CDATA[]]>" HEAD),
    BAD("an end tag first", NWF, "</a>"),
    BAD("another element behind the stream", NWF, HEAD TAIL "<a/>"),
    BAD("text behind the stream", NWF, HEAD TAIL "x"),
    BAD("another end tag", NWF, HEAD "</stream:strean>"),
    BAD("a shorter end tag", NWF, HEAD "</stream:strea>"),
    BAD("a longer end tag", NWF, HEAD "</stream:streams>"),
    BAD("an undeclared prefix of the stream", NWF, "<stream:stream xmlns='jabber:client'>"),
    BAD_INSIDE("text between elements", BARE, "x<a>"),
    BAD_INSIDE("a reference between elements", BARE, "&#32;<a>"),
    BAD_INSIDE("CDATA between elements", BARE, "<![CDATA[ ]]><a>"),
    BAD_INSIDE("a control between elements", NWF, "\x01<a>"),
    BAD_INSIDE("a comment between elements", RESTRICTED, "<!-- a --><a>"),
    BAD_INSIDE("a comment", RESTRICTED, "<a><!-- a -->"),
    BAD_INSIDE("a processing instruction", RESTRICTED, "<a><?php a?>"),
    BAD_INSIDE("a declaration within", NWF, "<a><?xml version='1.0'?>"),
    BAD_INSIDE("a document type within", RESTRICTED, "<a><!DOCTYPE b>"),
    BAD_INSIDE("another entity", RESTRICTED, "<a>&nbsp;"),
    BAD_INSIDE("another entity in a value", RESTRICTED, "<a b='&c;'>"),
    BAD_INSIDE("an entity of the wrong case", RESTRICTED, "<a>&LT;"),
    BAD_INSIDE("a lone ampersand", NWF, "<a>& "),
    BAD_INSIDE("a reference without a name", NWF, "<a>&;"),
    BAD_INSIDE("a number without digits", NWF, "<a>&#;"),
    BAD_INSIDE("a hexadecimal number without digits", NWF, "<a>&#x;"),
    BAD_INSIDE("a capital X", NWF, "<a>&#X41;"),
    BAD_INSIDE("letters in a decimal number", NWF, "<a>&#6A;"),
    BAD_INSIDE("reference to NUL", NWF, "<a>&#0;"),
    BAD_INSIDE("reference to a control", NWF, "<a>&#x1F;"),
    BAD_INSIDE("reference to a surrogate", NWF, "<a>&#xD800;"),
    BAD_INSIDE("reference to U+FFFE", NWF, "<a b='&#xFFFE;'>"),
    BAD_INSIDE("reference beyond Unicode", NWF, "<a>&#x110000;"),
    BAD_INSIDE("reference that overflows", NWF, "<a>&#4294967361;"),
    BAD_INSIDE("]]> in text", NWF, "<a>x]]>"),
    BAD_INSIDE("]]]> in text", NWF, "<a>]]]>"),
    BAD_INSIDE("CDATA in lower case", NWF, "<a><![cdata[]]>"),
    BAD_INSIDE("< in a value", NWF, "<a b='<'>"),
    BAD_INSIDE("a value without quotes", NWF, "<a b=c>"),
    BAD_INSIDE("an attribute without a value", NWF, "<a b>"),
    BAD_INSIDE("no space between attributes", NWF, "<a b='c'd='e'>"),
    BAD_INSIDE("an attribute twice", NWF, "<a b='' c='' b=''>"),
    BAD_INSIDE("a space first", NWF, "<a>< b/>"),
    BAD_INSIDE("a space in the end tag", NWF, "<a>< /a>"),
    BAD_INSIDE("a slash and a space", NWF, "<a><b/ >"),
    BAD_INSIDE("a digit first", NWF, "<a><1/>"),
    BAD_INSIDE("a point first", NWF, "<a .b=''>"),
    BAD_INSIDE("another end tag within", NWF, "<a><b></c>"),
    BAD_INSIDE("a wrong order of end tags", NWF, "<a><b></a></b>"),
    BAD_INSIDE("an end tag with attributes", NWF, "<a><b></b c=''>"),
    BAD_INSIDE("NUL", NWF, "<a>\0"),
    BAD_INSIDE("a control", NWF, "<a>\x1F"),
    BAD_INSIDE("a control in a value", NWF, "<a b='\x01'>"),
    BAD_INSIDE("a control in CDATA", NWF, "<a><![CDATA[\x0B]]>"),
    BAD_INSIDE("a lone continuation", NWF, "<a>\x80"),
    BAD_INSIDE("UTF-8 that is cut", NWF, "<a>\xC3"),
    BAD_INSIDE("UTF-8 that is cut in a value", NWF, "<a b='\xE2\x82'>"),
    BAD_INSIDE("overlong, two bytes", NWF, "<a>\xC0\xBC"),
    BAD_INSIDE("overlong, three bytes", NWF, "<a>\xE0\x80\xBC"),
    BAD_INSIDE("overlong, four bytes", NWF, "<a>\xF0\x80\x80\xBC"),
    BAD_INSIDE("a surrogate", NWF, "<a>\xED\xA0\x80"),
    BAD_INSIDE("U+FFFF", NWF, "<a>\xEF\xBF\xBF"),
    BAD_INSIDE("beyond Unicode", NWF, "<a>\xF4\x90\x80\x80"),
    BAD_INSIDE("five bytes", NWF, "<a>\xF8\x88\x80\x80\x80"),
    BAD_INSIDE("a name with a dash of Unicode", NWF, "<a\xE2\x80\x93>"),
    BAD_INSIDE("a name of emoji", NWF, "<\xF0\x9F\x98\x80/><a>"),
    BAD_INSIDE("a name that a combining character begins", NWF, "<\xCC\x80/><a>"),
    BAD_INSIDE("an undeclared prefix", NWF, "<a><b:c/>"),
    BAD_INSIDE("an undeclared prefix of an attribute", NWF, "<a b:c=''>"),
    BAD_INSIDE("a prefix that is out of scope", NWF, "<a><b xmlns:p='u'></b><p:c/>"),
    BAD_INSIDE("a prefix of an empty element's", NWF, "<a><b xmlns:p='u'/><p:c/>"),
    BAD_INSIDE("two colons", NWF, "<a xmlns:b='u'><b:c:d/>"),
    BAD_INSIDE("a colon first", NWF, "<a><:b/>"),
    BAD_INSIDE("a colon last", NWF, "<a xmlns:b='u'><b: />"),
    BAD_INSIDE("a digit behind the colon", NWF, "<a xmlns:b='u'><b:1/>"),
    BAD_INSIDE("a prefix undone", NWF, "<a xmlns:b=''>"),
    BAD_INSIDE("xmlns declared", NWF, "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'>"),
    BAD_INSIDE("xmlns as an element's prefix", NWF, "<a><xmlns:b/>"),
    BAD_INSIDE("xml declared as something else", NWF, "<a xmlns:xml='u'>"),
    BAD_INSIDE("another prefix for xml", NWF, "<a xmlns:b='http://www.w3.org/XML/1998/namespace'>"),
    BAD_INSIDE("xml as the default", NWF, "<a xmlns='http://www.w3.org/XML/1998/namespace'>"),
    BAD_INSIDE("xmlns as the default", NWF, "<a xmlns='http://www.w3.org/2000/xmlns/'>"),
    BAD_INSIDE("xmlns in other words", NWF, "<a xmlns='&#104;ttp://www.w3.org/2000/xmlns/'>"),
    BAD_INSIDE("a declaration twice within", NWF, "<a xmlns='u' xmlns='u'>"),
    BAD_INSIDE("a prefix declared twice", NWF, "<a xmlns:b='u' xmlns:b='v'>"),
    BAD_INSIDE("one attribute by two prefixes", NWF, "<a xmlns:b='u' xmlns:c='u' b:d='' c:d=''>"),
    BAD_INSIDE("... declared further out", NWF, "<a xmlns:b='u'><c xmlns:d='&#117;' b:e='' d:e=''/>"),
    BAD_INSIDE("... one by the header", NWF,
               "<a xmlns:b='http://etherx.jabber.org/streams' b:c='' stream:c=''>"),
    BAD_INSIDE("xml:lang twice", NWF, "<a xml:lang='' xml:lang=''>"),
};

static void fill(struct buf *transcript, struct verdict *ret, str input, size_t first, size_t step)
{
    buf_clear(transcript);
    *ret = oracle_scan(input, first, step, &oracle_limits, transcript);
}

/* Whole, byte by byte, and cut in two at every place: one outcome. */
static struct verdict feed_in_all_ways(const char *name, str input)
{
    struct buf whole, pieces;
    buf_init(&whole, 1 << 20);
    buf_init(&pieces, 1 << 20);
    struct verdict verdict, other;
    fill(&whole, &verdict, input, input.len, 1);
    for (size_t cut = 1; cut < input.len; cut++) {
        for (size_t step = 1; step <= input.len; step += input.len - 1) {
            fill(&pieces, &other, input, cut, step);
            if (other.last != verdict.last || other.error != verdict.error ||
                !str_eq(buf_str(&whole), buf_str(&pieces)))
                fail_msg("%s: another outcome when cut at %zu", name, cut);
        }
    }
    if (!oracle_agrees(input, input.len, 1))
        fail_msg("%s: expat says otherwise", name);
    buf_fini(&whole);
    buf_fini(&pieces);
    return verdict;
}

static void takes_what_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(accepted); i++)
        if (feed_in_all_ways(accepted[i].name, accepted[i].input).last != SCAN_CLOSE)
            fail_msg("refused: %s", accepted[i].name);
}

static void refuses_the_rest_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct verdict verdict = feed_in_all_ways(refused[i].name, refused[i].input);
        if (verdict.last != SCAN_ERROR)
            fail_msg("taken: %s", refused[i].name);
        if (verdict.error != refused[i].error)
            fail_msg("%s: error %d and not %d", refused[i].name, verdict.error, refused[i].error);
    }
}

/* Every beginning of a good stream is good. */
static void waits_for_more(void **state)
{
    (void)state;
    struct buf ignored;
    buf_init(&ignored, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        for (size_t len = 0; len < accepted[i].input.len; len++) {
            struct verdict verdict;
            fill(&ignored, &verdict, str_sub(accepted[i].input, 0, len), len, 1);
            if (verdict.last == SCAN_ERROR)
                fail_msg("%s: refused after %zu bytes", accepted[i].name, len);
        }
    }
    buf_fini(&ignored);
}

/* Runs the scanner over the whole; returns the first event that is not an element or the start tag. */
static enum scan_event last_event(struct scanner *scanner, str input)
{
    for (;;) {
        size_t used;
        struct xml_node node;
        enum scan_event event = scanner_next(scanner, input, &used, &node);
        if (event != SCAN_OPEN && event != SCAN_ELEMENT)
            return event;
        input = str_sub(input, used, input.len);
    }
}

static const struct scan_limits narrow = {
    .element_bytes = 120, .depth = 2, .attributes = 3, .name_bytes = 7
};
#define SHORT_HEAD "<s:a xmlns:s='u'>"

static const struct limited {
    const char *name;
    str input;
    int error; /* -1: none */
} limited[] = {
    { "as deep as may be", STR_INIT(SHORT_HEAD "<a><b/></a>"), -1 },
    { "too deep", STR_INIT(SHORT_HEAD "<a><b><c/></b></a>"), SCAN_ERROR_LIMIT },
    { "too deep, and not complete", STR_INIT(SHORT_HEAD "<a><b><c"), SCAN_ERROR_LIMIT },
    { "as many attributes as may be", STR_INIT(SHORT_HEAD "<a b='' c='' d=''/>"), -1 },
    { "too many attributes", STR_INIT(SHORT_HEAD "<a b='' c='' d='' e=''/>"), SCAN_ERROR_LIMIT },
    { "a name as long as may be", STR_INIT(SHORT_HEAD "<abcdefg hijklmn=''/>"), -1 },
    { "too long a name", STR_INIT(SHORT_HEAD "<abcdefgh/>"), SCAN_ERROR_LIMIT },
    { "too long a name with its prefix", STR_INIT(SHORT_HEAD "<s:cdefgh/>"), SCAN_ERROR_LIMIT },
    { "too long a name of an attribute", STR_INIT(SHORT_HEAD "<a abcdefgh=''/>"), SCAN_ERROR_LIMIT },
    { "too long a name beyond ASCII", STR_INIT(SHORT_HEAD "<\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9/>"),
      SCAN_ERROR_LIMIT },
};

static void keeps_its_limits(void **state)
{
    (void)state;
    struct buf ignored;
    buf_init(&ignored, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(limited); i++) {
        str input = limited[i].input;
        for (size_t cut = 1; cut <= input.len; cut++) {
            struct verdict verdict = oracle_scan(input, cut, 1, &narrow, &ignored);
            if (verdict.last != (limited[i].error < 0 ? SCAN_MORE : SCAN_ERROR) ||
                (verdict.last == SCAN_ERROR && (int)verdict.error != limited[i].error))
                fail_msg("%s: %d, error %d", limited[i].name, verdict.last, verdict.error);
        }
    }
    buf_fini(&ignored);
}

static void counts_the_bytes_of_each_element(void **state)
{
    (void)state;
    struct buf input, ignored;
    buf_init(&input, 1 << 20);
    buf_init(&ignored, 1 << 20);
    for (size_t size = 118; size <= 122; size++) {
        buf_clear(&input);
        buf_lit(&input, SHORT_HEAD "   ");
        for (int i = 0; i < 3; i++) {
            buf_lit(&input, "  <a>");
            for (size_t n = 7; n < size; n++)
                buf_add_char(&input, 'x');
            buf_lit(&input, "</a>  ");
        }
        for (size_t cut = 1; cut <= input.len; cut++) {
            struct verdict verdict = oracle_scan(buf_str(&input), cut, 1, &narrow, &ignored);
            assert_int_equal(verdict.last, size <= 120 ? SCAN_MORE : SCAN_ERROR);
            if (size > 120)
                assert_int_equal(verdict.error, SCAN_ERROR_TOO_LARGE);
        }
    }
    buf_fini(&input);
    buf_fini(&ignored);
}

/* No peer makes a connection's buffer grow by white space. */
static void drops_white_space_between_elements(void **state)
{
    (void)state;
    struct scanner scanner;
    scanner_init(&scanner, &narrow);
    struct xml_node node;
    size_t used = 0;
    str head = STR(SHORT_HEAD), space = STR(" \t\r\n"), part = STR(" \n<a");
    assert_int_equal(scanner_next(&scanner, space, &used, &node), SCAN_MORE);
    assert_int_equal(used, space.len);
    assert_int_equal(scanner_next(&scanner, head, &used, &node), SCAN_OPEN);
    assert_int_equal(used, head.len);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(scanner_next(&scanner, space, &used, &node), SCAN_MORE);
        assert_int_equal(used, space.len);
        assert_false(scanner_in_element(&scanner));
    }
    assert_null(scanner._saved);
    assert_int_equal(scanner_next(&scanner, part, &used, &node), SCAN_MORE);
    assert_int_equal(used, 2);
    assert_true(scanner_in_element(&scanner));
    scanner_fini(&scanner);
}

static void stays_in_error(void **state)
{
    (void)state;
    struct scanner scanner;
    scanner_init(&scanner, &narrow);
    assert_int_equal(last_event(&scanner, STR(SHORT_HEAD "<a><?php ")), SCAN_ERROR);
    assert_int_equal(last_event(&scanner, STR("<a/>")), SCAN_ERROR);
    assert_int_equal(scanner_error(&scanner), SCAN_ERROR_RESTRICTED_XML);
    scanner_restart(&scanner);
    assert_int_equal(last_event(&scanner, STR(SHORT_HEAD "</s:a>")), SCAN_CLOSE);
    scanner_fini(&scanner);
}

static void describes_the_stream(void **state)
{
    (void)state;
    struct scanner scanner;
    struct xml_node node;
    size_t used;
    scanner_init(&scanner, &oracle_limits);
    str input = STR("<?xml version='1.0'?>" HEAD "<message to='b'><body>c</body></message>");
    assert_int_equal(scanner_next(&scanner, input, &used, &node), SCAN_OPEN);
    assert_int_equal(used, sizeof "<?xml version='1.0'?>" HEAD - 1);
    assert_true(xml_is(&node, STR("stream"), STR("http://etherx.jabber.org/streams")));
    assert_true(str_is(node.prefix, "stream"));
    assert_true(str_is(node.bytes, HEAD));
    struct arena arena;
    arena_init(&arena, 64);
    assert_true(str_is(xml_attr(&node, STR("version"), &arena), "1.0"));
    assert_true(str_is(xml_ns_of(&node, STR("")), "jabber:client"));
    assert_true(str_is(scanner_header_declarations(&scanner), ""));

    input = str_sub(input, used, input.len);
    assert_int_equal(scanner_next(&scanner, input, &used, &node), SCAN_ELEMENT);
    assert_int_equal(used, input.len);
    assert_true(xml_is(&node, STR("message"), STR("jabber:client")));
    assert_true(str_is(node.content, "<body>c</body>"));
    assert_true(str_is(xml_ns_of(&node, STR("stream")), "http://etherx.jabber.org/streams"));
    assert_true(str_is(xml_child_text(&node, STR("body"), STR("jabber:client"), &arena), "c"));
    arena_fini(&arena);
    scanner_fini(&scanner);
}

static void keeps_the_declarations_of_the_header(void **state)
{
    (void)state;
    struct scanner scanner;
    struct xml_node node;
    size_t used;
    scanner_init(&scanner, &oracle_limits);
    char header[] = "<stream:stream xmlns:db='jabber:server:dialback' xmlns='jabber:server' a='b' "
                    "xmlns:stream='http://etherx.jabber.org/streams' xmlns:x=\"u\">";
    assert_int_equal(scanner_next(&scanner, str_from(header), &used, &node), SCAN_OPEN);
    memset(header, '!', sizeof header);
    assert_true(
        str_is(scanner_header_declarations(&scanner), " xmlns:db='jabber:server:dialback' xmlns:x=\"u\""));
    assert_int_equal(scanner_next(&scanner, STR("<db:result x:y=''>k</db:result>"), &used, &node),
                     SCAN_ELEMENT);
    assert_true(xml_is(&node, STR("result"), STR("jabber:server:dialback")));
    assert_true(str_is(xml_ns_of(&node, STR("x")), "u"));
    assert_true(str_is(xml_ns_of(&node, STR("")), "jabber:server"));
    assert_null(xml_ns_of(&node, STR("none")).p);
    assert_int_equal(last_event(&scanner, STR("<a xmlns:z='u' z:b='' x:b=''/>")), SCAN_ERROR);
    scanner_fini(&scanner);
}

/* The constant headers are what a header would leave that is read. */
static void usual_headers_are_as_if_read(void **state)
{
    (void)state;
    static const char *const spaces[] = { "jabber:client", "jabber:server", "jabber:component:accept" };
    for (size_t i = 0; i < COUNT_OF(spaces); i++) {
        char header[256];
        int len =
            snprintf(header, sizeof header,
                     "<stream:stream xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams'>", spaces[i]);
        struct scanner scanner;
        struct xml_node node;
        size_t used;
        scanner_init(&scanner, &oracle_limits);
        assert_int_equal(scanner_next(&scanner, str_of(header, (size_t)len), &used, &node), SCAN_OPEN);
        const struct scan_header *usual = scanner._header;
        assert_false(usual->on_heap);
        assert_true(str_eq(usual->default_ns, str_from(spaces[i])));
        assert_int_equal(usual->count, 1);
        const struct scan_binding *b = usual->bindings;
        assert_true(str_is(str_of(usual->inherited.p + b->prefix, b->prefix_len), "stream"));
        str value = str_of(usual->inherited.p + b->value, b->value_len);
        assert_true(str_is(value, "http://etherx.jabber.org/streams"));
        assert_int_equal(b->hash, decode_attr_hash(value));
        scanner_fini(&scanner);
    }
}

static void bounds_prefixes_in_scope(void **state)
{
    (void)state;
    struct buf input, ignored;
    buf_init(&input, 1 << 20);
    buf_init(&ignored, 1 << 20);
    for (int count = SCAN_PREFIXES_MAX - 1; count <= SCAN_PREFIXES_MAX; count++) { /* the header has one */
        buf_clear(&input);
        buf_lit(&input, HEAD);
        for (int round = 0; round < 2; round++) {
            buf_lit(&input, "<a");
            for (int i = 0; i < count; i++)
                buf_addf(&input, " xmlns:p%d='u%d'", i, i);
            buf_lit(&input, "/>");
        }
        struct verdict verdict = oracle_scan(buf_str(&input), input.len, 1, &oracle_limits, &ignored);
        assert_int_equal(verdict.last, count < SCAN_PREFIXES_MAX ? SCAN_MORE : SCAN_ERROR);
        if (count == SCAN_PREFIXES_MAX)
            assert_int_equal(verdict.error, SCAN_ERROR_LIMIT);
    }
    buf_fini(&input);
    buf_fini(&ignored);
}

/* A quarter of a megabyte of each thing that can be long, one byte at a time. Looking at anything twice a
 * call would take minutes: the test's time limit is the assertion. */
static void is_linear_however_it_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *head, *filler, *tail;
    } rows[] = {
        { "<a>", "x", "</a>" },
        { "<a>", "]", "</a>" },
        { "<a>", "\xC3\xA9", "</a>" },
        { "<a>", "&amp;", "</a>" },
        { "<a>", "<b/>", "</a>" },
        { "<a>", "<b c='d'>e</b>", "</a>" },
        { "<a>", "<![CDATA[]]>", "</a>" },
        { "<a><![CDATA[", "]", "]]></a>" },
        { "<a>&#", "0", "65;</a>" },
        { "<a b='&#x", "0", "41;'/>" },
        { "<a b='", "x", "'/>" },
        { "<a ", " ", "/>" },
        { "<a></a", "\n", ">" },
    };
    enum { BYTES = 1 << 18 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf input;
        buf_init(&input, BYTES + 1000);
        buf_add(&input, str_from(rows[i].head));
        while (input.len < BYTES)
            buf_add(&input, str_from(rows[i].filler));
        buf_add(&input, str_from(rows[i].tail));
        struct scanner scanner;
        struct xml_node node;
        size_t used;
        scanner_init(&scanner, &oracle_limits);
        assert_int_equal(scanner_next(&scanner, STR(HEAD), &used, &node), SCAN_OPEN);
        for (size_t len = 1; len < input.len; len++)
            if (scanner_next(&scanner, str_of(input.p, len), &used, &node) != SCAN_MORE || used)
                fail_msg("row %zu after %zu bytes", i, len);
        assert_int_equal(scanner_next(&scanner, buf_str(&input), &used, &node), SCAN_ELEMENT);
        assert_int_equal(used, input.len);
        scanner_fini(&scanner);
        buf_fini(&input);
    }
}

static void is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct scanner) <= 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_well_formed),
        cmocka_unit_test(refuses_the_rest_by_its_name),
        cmocka_unit_test(waits_for_more),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(counts_the_bytes_of_each_element),
        cmocka_unit_test(drops_white_space_between_elements),
        cmocka_unit_test(stays_in_error),
        cmocka_unit_test(describes_the_stream),
        cmocka_unit_test(keeps_the_declarations_of_the_header),
        cmocka_unit_test(usual_headers_are_as_if_read),
        cmocka_unit_test(bounds_prefixes_in_scope),
        cmocka_unit_test(is_linear_however_it_is_cut),
        cmocka_unit_test(is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
