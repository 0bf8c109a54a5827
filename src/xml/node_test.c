/* SPDX-License-Identifier: MIT */
/* The cursor: children, attributes, namespaces and text of elements, as written in one line each. */
#include "xml/node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NS STR("jabber:client")

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 256);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct xml_node parse(str bytes)
{
    struct xml_node node;
    assert_true(xml_parse(bytes, NS, &node));
    return node;
}

static void views_an_element(void **state)
{
    (void)state;
    struct xml_node node = parse(STR("<p:a xmlns:p='u' b=\"c\" >text</p:a >"));
    assert_true(str_is(node.bytes, "<p:a xmlns:p='u' b=\"c\" >text</p:a >"));
    assert_true(str_is(node.prefix, "p"));
    assert_true(str_is(node.name, "a"));
    assert_true(str_is(node.ns, "u"));
    assert_true(str_is(node.attrs, " xmlns:p='u' b=\"c\" "));
    assert_true(str_is(node.content, "text"));
    assert_null(node.parent);

    node = parse(STR("<a b='/'/>"));
    assert_true(str_is(node.prefix, ""));
    assert_true(str_is(node.attrs, " b='/'"));
    assert_true(str_is(node.content, ""));
    assert_true(xml_is(&node, STR("a"), NS));
    assert_false(xml_is(&node, STR("a"), STR("jabber:server")));
    assert_false(xml_is(&node, STR("b"), NS));
}

static void walks_children(void **state)
{
    (void)state;
    struct xml_node node =
        parse(STR("<a>x<b/>y<![CDATA[<no/>]]><c d='>'><c><![CDATA[</c>]]></c></c ><e f=\"'/>\">z</e></a>"));
    struct xml_node child;
    static const char *const bytes[] = { "<b/>", "<c d='>'><c><![CDATA[</c>]]></c></c >",
                                         "<e f=\"'/>\">z</e>" };
    assert_true(xml_first(&node, &child));
    for (int i = 0; i < 3; i++) {
        assert_true(str_eq(child.bytes, str_from(bytes[i])));
        assert_ptr_equal(child.parent, &node);
        assert_true(xml_next(&child) == (i < 2));
    }
    assert_true(str_is(child.content, "z"));
    struct xml_node leaf = child;
    assert_false(xml_first(&leaf, &child));
    assert_false(xml_next(&node));
}

static void finds_children_by_name_and_namespace(void **state)
{
    (void)state;
    struct xml_node node = parse(STR("<a><b xmlns='u'>1</b><b>2</b><p:b xmlns:p='v'>3</p:b></a>"));
    struct xml_node child;
    assert_true(xml_child(&node, STR("b"), NS, &child));
    assert_true(str_is(child.content, "2"));
    assert_true(xml_child(&node, STR("b"), STR("v"), &child));
    assert_true(str_is(child.content, "3"));
    assert_true(xml_child(&node, STR("b"), str_none, &child));
    assert_true(str_is(child.content, "1"));
    assert_false(xml_child(&node, STR("b"), STR("w"), &child));
    assert_false(xml_child(&node, STR("c"), str_none, &child));
    assert_true(str_is(child.content, "1"));
    assert_true(str_is(xml_child_text(&node, STR("b"), STR("u"), &arena), "1"));
    assert_null(xml_child_text(&node, STR("c"), NS, &arena).p);
}

static void resolves_namespaces(void **state)
{
    (void)state;
    struct xml_node a =
        parse(STR("<a xmlns:p='u'><p:b xmlns:p='v' xmlns='w'><c><p:d/></c></p:b><p:e><f/></p:e>"
                  "<g xmlns=''><h/></g></a>"));
    struct xml_node b, c, d, e, f, g, h;
    assert_true(xml_first(&a, &b) && xml_first(&b, &c) && xml_first(&c, &d));
    assert_true(str_is(b.ns, "v"));
    assert_true(str_is(c.ns, "w"));
    assert_true(str_is(d.ns, "v"));
    assert_true(str_is(xml_ns_of(&d, STR("")), "w"));
    assert_true(xml_child(&a, STR("e"), str_none, &e) && xml_first(&e, &f));
    assert_true(str_is(e.ns, "u"));
    assert_true(str_eq(f.ns, NS));
    assert_true(xml_child(&a, STR("g"), str_none, &g) && xml_first(&g, &h));
    assert_true(str_is(g.ns, ""));
    assert_true(str_is(h.ns, ""));
    assert_true(str_eq(xml_ns_of(&a, STR("")), NS));
    assert_null(xml_ns_of(&a, STR("q")).p);
    assert_true(str_is(xml_ns_of(&a, STR("xml")), "http://www.w3.org/XML/1998/namespace"));
}

static void inherits_behind_a_prefix(void **state)
{
    (void)state;
    struct xml_node a = parse(STR("<p:a xmlns:p='u'><b/></p:a>")), b;
    assert_true(xml_first(&a, &b));
    assert_true(str_eq(b.ns, NS));
    assert_true(xml_parse(STR("<a><b/></a>"), str_none, &a) && xml_first(&a, &b));
    assert_true(str_is(b.ns, "") && b.ns.p);
}

static void sees_through_references_in_namespaces(void **state)
{
    (void)state;
    struct xml_node node = parse(STR("<a xmlns='jabber&#x3A;client'/>"));
    assert_true(xml_is(&node, STR("a"), NS));
    node = parse(STR("<a xmlns='x&amp;y'/>"));
    assert_true(xml_is(&node, STR("a"), STR("x&amp;y")));
    assert_false(xml_is(&node, STR("a"), STR("x")));
}

static void walks_attributes(void **state)
{
    (void)state;
    struct xml_node node = parse(STR("<a b = 'c'\n\txmlns:p=\"u\" p:d='\"' e=''/>"));
    struct xml_attr attr;
    size_t at = 0;
    assert_true(xml_attr_next(&node, &at, &attr));
    assert_true(str_is(attr.prefix, "") && str_is(attr.name, "b") && str_is(attr.raw, "c"));
    assert_true(str_is(attr.bytes, "b = 'c'"));
    assert_true(xml_attr_next(&node, &at, &attr));
    assert_true(str_is(attr.prefix, "xmlns") && str_is(attr.name, "p") && str_is(attr.raw, "u"));
    assert_true(xml_attr_next(&node, &at, &attr));
    assert_true(str_is(attr.prefix, "p") && str_is(attr.name, "d") && str_is(attr.raw, "\""));
    assert_true(xml_attr_next(&node, &at, &attr));
    assert_true(str_is(attr.name, "e") && attr.raw.p && !attr.raw.len);
    assert_false(xml_attr_next(&node, &at, &attr));
}

static void gives_attributes(void **state)
{
    (void)state;
    struct xml_node node = parse(STR(
        "<a xmlns:p='u' p:id='no' id='1&amp;&#x20AC;' type='a\tb\r\nc\rd&#10;e' xml:lang='de' lang='no'/>"));
    assert_true(str_is(xml_attr(&node, STR("id"), &arena), "1&\xE2\x82\xAC"));
    assert_true(str_is(xml_attr(&node, STR("type"), &arena), "a b c d\ne"));
    assert_true(str_is(xml_lang(&node, &arena), "de"));
    assert_null(xml_attr(&node, STR("to"), &arena).p);
    struct xml_node none = parse(STR("<a/>"));
    assert_null(xml_lang(&none, &arena).p);
    str plain = xml_attr(&node, STR("lang"), &arena);
    assert_true(plain.p > node.bytes.p && plain.p < node.bytes.p + node.bytes.len);
}

static void gives_text(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        { "<a/>", "" },
        { "<a></a>", "" },
        { "<a>b</a>", "b" },
        { "<a>&lt;b&gt;&#65;</a>", "<b>A" },
        { "<a>b<c>no</c>d<e/>f<g><g>no</g></g></a>", "bdf" },
        { "<a><![CDATA[<&>]]]]><![CDATA[>]]>b</a>", "<&>]]>b" },
        { "<a>b\r\nc\rd\ne\r</a>", "b\nc\nd\ne\n" },
        { "<a>b&#13;\nc&#13;&#10;</a>", "b\r\nc\r\n" },
        { "<a><![CDATA[b\r\nc\r]]>\n</a>", "b\nc\n\n" },
        { "<a><b><![CDATA[</b>]]></b></a>", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct xml_node node = parse(str_from(rows[i].bytes));
        str text = xml_text(&node, &arena);
        assert_non_null(text.p);
        if (!str_eq(text, str_from(rows[i].text)))
            fail_msg("%s: %.*s", rows[i].bytes, STR_ARGS(text));
    }
}

static void parses_exactly_one_element(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "a",
                                       " <a/>",
                                       "<a/> ",
                                       "<a/><b/>",
                                       "<a>",
                                       "<a><b></a>",
                                       "</a>",
                                       "<a",
                                       "<p:a/>",
                                       "<!-- -->",
                                       "<a>&b;</a>",
                                       "<?xml version='1.0'?><a/>" };
    struct xml_node node = { .name = STR("untouched") };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (xml_parse(str_from(bad[i]), NS, &node))
            fail_msg("taken: %s", bad[i]);
    assert_false(xml_parse(str_none, NS, &node));
    assert_true(str_is(node.name, "untouched"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_an_element),
        cmocka_unit_test(walks_children),
        cmocka_unit_test(finds_children_by_name_and_namespace),
        cmocka_unit_test(resolves_namespaces),
        cmocka_unit_test(inherits_behind_a_prefix),
        cmocka_unit_test(sees_through_references_in_namespaces),
        cmocka_unit_test(walks_attributes),
        cmocka_unit_test(gives_attributes),
        cmocka_unit_test(gives_text),
        cmocka_unit_test(parses_exactly_one_element),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
