/* SPDX-License-Identifier: MIT */
/* Stanzas across the content namespaces. What bytes mean is written down as a canonical text, with the
 * namespace of every element, so that the fast and the slow path can be compared with each other and with
 * what RFC 6120 §4.8.3 wants. */
#include "xmpp/rescope.h"

#include "base/mem.h"
#include "xml/scan.h"
#include "xmpp/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* `own`: elements in `from` below nothing but such are written as being in `to`. */
static void canon(struct buf *out, const struct xml_node *node, bool own, str from, str to)
{
    struct xml_node child;
    struct xml_attr attr;
    str ns = xml_decode_attr(node->ns, &arena);
    own = own && str_eq(ns, from);
    buf_addf(out, "{%.*s}%.*s(", STR_ARGS(own ? to : ns), STR_ARGS(node->name));
    for (size_t at = 0; xml_attr_next(node, &at, &attr);)
        if (!str_is(attr.prefix, "xmlns") && !(str_is(attr.name, "xmlns") && !attr.prefix.len))
            buf_addf(out, "%.*s:%.*s=%.*s ", STR_ARGS(attr.prefix), STR_ARGS(attr.name),
                     STR_ARGS(xml_decode_attr(attr.raw, &arena)));
    buf_addf(out, ")[%.*s", STR_ARGS(xml_text(node, &arena)));
    for (bool more = xml_first(node, &child); more; more = xml_next(&child))
        canon(out, &child, own, from, to);
    buf_add_char(out, ']');
}

/* What a whole element means when it stands in a stream with this content namespace. */
static const char *meaning(str bytes, const char *content_ns, const char *from, const char *to)
{
    struct xml_node node;
    struct buf out;
    assert_true(xml_parse(bytes, str_from(content_ns), &node));
    buf_init(&out, 1 << 20);
    canon(&out, &node, true, str_from(from), str_from(to));
    str text = arena_str(&arena, buf_str(&out));
    buf_fini(&out);
    return text.p;
}

static const struct {
    const char *xml;
    bool plain; /* from jabber:client */
} samples[] = {
    { "<message/>", true },
    { "<message id='1' type='chat'><body>a &amp; b</body></message>", true },
    { "<message>text<body>x</body>between<thread/>end</message>", true },
    { "<iq type='get' id='1'><query xmlns='jabber:iq:roster'><item jid='a'/></query></iq>", true },
    { "<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='x'/></presence>", true },
    { "<message><body><![CDATA[<a:b xmlns='jabber:client'>]]></body></message>", false },
    { "<message xmlns='jabber:client'><body>x</body></message>", true }, /* its own declaration is left out */
    { "<message><body xmlns='jabber:client'>x</body></message>", false },
    { "<message><body xmlns='jabber&#58;client'>x</body></message>", false },
    { "<message><c:body xmlns:c='jabber:client'><c:inner/></c:body></message>", false },
    { "<message xmlns:c='jabber:client'><c:body>x</c:body></message>", false },
    { "<message><c:body xmlns:c='jabber:client' xmlns='urn:x'><y a='1'><z/></y></c:body></message>", false },
    { "<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>x</body></message>"
      "</forwarded></message>",
      false },
    { "<message><f:forwarded xmlns:f='urn:xmpp:forward:0'><message><body>x</body></message></f:forwarded>"
      "</message>",
      false },
    { "<message><f:a xmlns:f='urn:f' xmlns='urn:g'><b><f:c/></b></f:a><body/></message>", false },
    { "<message><a xmlns='urn:a'><b xmlns=''><c/></b><d/></a></message>", true },
    { "<message><f:a xmlns:f='urn:f'><b xmlns=''><c/></b><d xmlns='jabber:client'><e/></d></f:a></message>",
      false },
    { "<message><x xmlns='jabber:server'><y/></x><body>z</body></message>", true },
    { "<message><x xmlns='jabber:server'><body xmlns='jabber:client'/></x></message>", false },
    { "<message><x xmlns=\"urn:it's\"><p:q xmlns:p='urn:p'><r/></p:q></x></message>", false },
};

static struct stanza read_client(const char *xml)
{
    struct xml_node *node = ARENA_NEW(&arena, struct xml_node);
    struct stanza stanza;
    str bytes = arena_printf(&arena, "%.*s", (int)strlen(xml), xml);
    assert_true(xml_parse(bytes, STR(NS_CLIENT), node));
    assert_int_equal(stanza_read(node, str_none, str_none, &arena, &stanza), STANZA_OK);
    return stanza;
}

static str written(const struct stanza *stanza)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_true(rescope_write(&out, stanza, NULL, STR(NS_SERVER), &arena));
    str text = arena_str(&arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

static void fast_and_slow_are_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct stanza stanza = read_client(samples[i].xml);
        const char *wanted = meaning(str_from(samples[i].xml), NS_CLIENT, NS_CLIENT, NS_SERVER);
        assert_int_equal(rescope_is_plain(stanza.attrs, stanza_payload(&stanza), STR(NS_CLIENT)),
                         samples[i].plain);
        assert_string_equal(meaning(written(&stanza), NS_SERVER, "", ""), wanted);
        struct stanza slow = stanza; /* also where it would not be needed */
        slow.node.content = rescope_content(&stanza.node, STR(NS_CLIENT), STR(NS_SERVER), &arena);
        struct buf out;
        buf_init(&out, 1 << 20);
        stanza_write(&out, &slow, NULL);
        assert_string_equal(meaning(buf_str(&out), NS_SERVER, "", ""), wanted);
        buf_fini(&out);
    }
}

/* The same samples as they come from another server: with the namespaces the other way round. */
static str other_way_round(const char *xml)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    for (const char *p = xml; *p;) {
        str rest = str_from(p);
        if (str_starts(rest, STR("jabber:client")) || str_starts(rest, STR("jabber:server"))) {
            buf_add(&out,
                    str_starts(rest, STR("jabber:client")) ? STR("jabber:server") : STR("jabber:client"));
            p += strlen("jabber:client");
        } else if (str_starts(rest, STR("jabber&#58;client"))) {
            buf_lit(&out, "jabber&#58;server");
            p += strlen("jabber&#58;client");
        } else {
            buf_add_char(&out, *p++);
        }
    }
    str text = arena_str(&arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

static void from_a_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct xml_node node;
        struct stanza stanza;
        struct buf out;
        str bytes = other_way_round(samples[i].xml);
        assert_true(xml_parse(bytes, STR(NS_SERVER), &node));
        assert_int_equal(rescope_read(&node, STR(NS_SERVER), str_none, str_none, &arena, &stanza), STANZA_OK);
        buf_init(&out, 1 << 20);
        stanza_write(&out, &stanza, NULL);
        const char *wanted = meaning(bytes, NS_SERVER, NS_SERVER, NS_CLIENT);
        assert_string_equal(meaning(buf_str(&out), NS_CLIENT, "", ""), wanted);
        const char *onward = meaning(buf_str(&out), NS_CLIENT, NS_CLIENT, NS_SERVER);
        buf_clear(&out); /* what the cursor sees is the same */
        canon(&out, &stanza.node, false, str_none, str_none);
        str seen = buf_str(&out), after = str_sub(seen, str_find(seen, '['), seen.len);
        str rest = str_from(wanted);
        assert_true(str_eq(after, str_sub(rest, str_find(rest, '['), rest.len)));
        buf_fini(&out);
        struct stanza *copy = stanza_copy(&stanza); /* and still after a copy */
        assert_string_equal(meaning(written(copy), NS_SERVER, "", ""), onward);
        free(copy);
    }
}

/* What a component calls by its namespace is in jabber:client, wherever it stands. */
static void from_a_component(void **state)
{
    static const struct {
        const char *xml, *meaning;
    } table[] = {
        { "<message><body>jabber:component:accept</body></message>",
          "{jabber:client}message()[{jabber:client}body()[jabber:component:accept]]" },
        { "<message><c:body xmlns:c='jabber:component:accept'/></message>",
          "{jabber:client}message()[{jabber:client}body()[]]" },
        { "<message><x xmlns='urn:x'><y/><message xmlns='jabber:component:accept'><body/></message><z/></x>"
          "</message>",
          "{jabber:client}message()[{urn:x}x()[{urn:x}y()[]{jabber:client}message()[{jabber:client}body()[]]"
          "{urn:x}z()[]]]" },
        { "<message><x xmlns='urn:x' xmlns:c='jabber:component:accept'><c:a><y/></c:a></x></message>",
          "{jabber:client}message()[{urn:x}x()[{jabber:client}a()[{urn:x}y()[]]]]" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct xml_node node;
        struct stanza stanza;
        struct buf out;
        assert_true(xml_parse(str_from(table[i].xml), STR(NS_COMPONENT), &node));
        assert_int_equal(rescope_read(&node, STR(NS_COMPONENT), str_none, str_none, &arena, &stanza),
                         STANZA_OK);
        buf_init(&out, 1 << 20);
        stanza_write(&out, &stanza, NULL);
        assert_string_equal(meaning(buf_str(&out), NS_CLIENT, "", ""), table[i].meaning);
        buf_clear(&out);
        assert_true(rescope_write(&out, &stanza, NULL, STR(NS_COMPONENT), &arena));
        assert_memory_equal(meaning(buf_str(&out), NS_COMPONENT, "", ""), "{jabber:component:accept}message",
                            32);
        buf_fini(&out);
    }
}

static void declarations_of_the_header(void **state)
{
    struct scanner scanner;
    const struct scan_limits limits = { 100000, 64, 64, 256 };
    str input = STR("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
                    "xmlns:db='jabber:server:dialback' xmlns:x='urn:x'>"
                    "<message><body>x</body></message><message><x:y><z/></x:y></message>");
    struct xml_node node;
    struct stanza stanza;
    size_t used;
    (void)state;
    scanner_init(&scanner, &limits);
    assert_int_equal(scanner_next(&scanner, input, &used, &node), SCAN_OPEN);
    input = str_sub(input, used, input.len);
    assert_int_equal(scanner_next(&scanner, input, &used, &node), SCAN_ELEMENT);
    str header = scanner_header_declarations(&scanner);
    assert_int_equal(rescope_read(&node, STR(NS_SERVER), header, str_none, &arena, &stanza), STANZA_OK);
    assert_string_equal(arena_str(&arena, stanza.attrs).p, "");
    input = str_sub(input, used, input.len);
    assert_int_equal(scanner_next(&scanner, input, &used, &node), SCAN_ELEMENT);
    assert_int_equal(rescope_read(&node, STR(NS_SERVER), header, str_none, &arena, &stanza), STANZA_OK);
    assert_string_equal(arena_str(&arena, stanza.attrs).p, " xmlns:x='urn:x'");
    assert_string_equal(meaning(written(&stanza), NS_SERVER, "", ""),
                        "{jabber:server}message()[{urn:x}y()[{jabber:server}z()[]]]");
    scanner_fini(&scanner);
}

static void little_does_not_become_much(void **state)
{
    struct buf xml;
    struct xml_node node;
    struct stanza stanza;
    (void)state;
    buf_init(&xml, 1 << 20);
    buf_lit(&xml, "<message><c:body xmlns:c='jabber:server' xmlns='urn:");
    for (int i = 0; i < 20000; i++)
        buf_add_char(&xml, 'n');
    buf_lit(&xml, "'>");
    for (int i = 0; i < 5000; i++)
        buf_lit(&xml, "<y/>");
    buf_lit(&xml, "</c:body></message>");
    assert_true(xml_parse(buf_str(&xml), STR(NS_SERVER), &node));
    assert_int_equal(rescope_read(&node, STR(NS_SERVER), str_none, str_none, &arena, &stanza),
                     STANZA_BAD_REQUEST);
    buf_fini(&xml);
}

static void not_a_stanza(void **state)
{
    struct xml_node node;
    struct stanza stanza;
    (void)state;
    assert_true(xml_parse(STR("<message/>"), STR(NS_CLIENT), &node));
    assert_int_equal(rescope_read(&node, STR(NS_SERVER), str_none, str_none, &arena, &stanza),
                     STANZA_UNKNOWN);
    assert_true(xml_parse(STR("<other/>"), STR(NS_SERVER), &node));
    assert_int_equal(rescope_read(&node, STR(NS_SERVER), str_none, str_none, &arena, &stanza),
                     STANZA_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_and_slow_are_equal),
        cmocka_unit_test(from_a_server),
        cmocka_unit_test(from_a_component),
        cmocka_unit_test(declarations_of_the_header),
        cmocka_unit_test(little_does_not_become_much),
        cmocka_unit_test(not_a_stanza),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
