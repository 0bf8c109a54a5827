/* SPDX-License-Identifier: MIT */
/* The writer: what it puts down, and that a reader gets back what was given. */
#include "xml/write.h"

#include "base/arena.h"
#include "xml/node.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void escapes_text(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    xml_write_text(&buf, STR("a<b>&\r\n\"'\xC3\xA9"));
    assert_true(str_is(buf_str(&buf), "a&lt;b&gt;&amp;&#13;\n\"'\xC3\xA9"));
    buf_clear(&buf);
    xml_write_text(&buf, STR("]]>"));
    assert_true(str_is(buf_str(&buf), "]]&gt;"));
    buf_clear(&buf);
    xml_write_text(&buf, STR(""));
    xml_write_text(&buf, str_none);
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

static void escapes_attributes(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    xml_write_attr(&buf, "a", STR("<>&'\"\t\r\n b"));
    assert_true(str_is(buf_str(&buf), " a='&lt;&gt;&amp;&apos;&quot;&#9;&#13;&#10; b'"));
    buf_clear(&buf);
    xml_write_attr(&buf, "a", str_none);
    assert_int_equal(buf.len, 0);
    xml_write_attr(&buf, "a", STR(""));
    assert_true(str_is(buf_str(&buf), " a=''"));
    buf_fini(&buf);
}

static void writes_elements(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    xml_write_open(&buf, "a", STR("u&v"));
    xml_write_attr(&buf, "b", STR("c"));
    buf_lit(&buf, ">");
    xml_write_element(&buf, "d", STR("w"), STR("1 < 2"));
    xml_write_element(&buf, "e", str_none, STR(""));
    buf_lit(&buf, "</a>");
    assert_true(str_is(buf_str(&buf), "<a xmlns='u&amp;v' b='c'><d xmlns='w'>1 &lt; 2</d><e></e></a>"));
    buf_fini(&buf);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    char all[256];
    size_t len = 0;
    for (int c = 1; c < 128; c++)
        if (c >= ' ' || c == '\t' || c == '\n' || c == '\r')
            all[len++] = (char)c;
    all[len++] = '\r';
    all[len++] = '\n';
    str text = str_of(all, len);
    struct buf buf;
    buf_init(&buf, 4000);
    xml_write_open(&buf, "a", str_none);
    xml_write_attr(&buf, "b", text);
    buf_lit(&buf, ">");
    xml_write_text(&buf, text);
    buf_lit(&buf, "</a>");
    struct xml_node node;
    assert_true(xml_parse(buf_str(&buf), str_none, &node));
    struct arena arena;
    arena_init(&arena, 1000);
    assert_true(str_eq(xml_attr(&node, STR("b"), &arena), text));
    assert_true(str_eq(xml_text(&node, &arena), text));
    arena_fini(&arena);
    buf_fini(&buf);
}

static void stops_at_the_builders_maximum(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    xml_write_element(&buf, "abc", STR("u"), STR("text"));
    assert_true(buf_failed(&buf));
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_text),
        cmocka_unit_test(escapes_attributes),
        cmocka_unit_test(writes_elements),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(stops_at_the_builders_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
