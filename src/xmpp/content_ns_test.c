/* SPDX-License-Identifier: MIT */
/* Content namespaces: what a stanza means must not change but for the one namespace. Each payload is read
 * twice, as it came and as it was translated, and told in full names; and the fast path and the slow path
 * must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "xml/scan.h"
#include "xmpp/content_ns.h"
#include "xmpp/ns.h"

#include <stdlib.h>

#define HEADER(ns, more)                                                                                     \
    "<stream:stream xmlns='" ns "' xmlns:stream='http://etherx.jabber.org/streams'" more ">"

static const struct scan_limits limits = { 65536, 64, 64, 256 };

/* The element that stands behind the header. */
static void read_element(struct scanner *scanner, const char *header, str element, struct xml_node *ret)
{
    size_t used;
    scanner_init(scanner, &limits);
    assert_int_equal(scanner_next(scanner, str_from(header), &used, ret), SCAN_OPEN);
    assert_int_equal(scanner_next(scanner, element, &used, ret), SCAN_ELEMENT);
}

/* "{ns}name(child child)", with every `from` as a `to`. */
static void tell(struct buf *out, const struct xml_node *node, str from, str to)
{
    struct xml_node child;
    str ns = xml_ns_of(node, node->prefix);
    ns = str_eq(ns, from) ? to : ns;
    buf_addf(out, "{%.*s}%.*s(", STR_ARGS(ns), STR_ARGS(node->name));
    for (bool more = xml_first(node, &child); more; more = xml_next(&child))
        tell(out, &child, from, to);
    buf_lit(out, ")");
}

static char *told(const struct xml_node *node, str from, str to)
{
    struct buf out;
    buf_init(&out, 65536);
    tell(&out, node, from, to);
    return buf_take(&out);
}

static const char *const stanzas[] = {
    "<message><body>jabber:component:accept</body></message>",
    "<message xmlns='jabber:component:accept'><body>x</body></message>",
    "<message><body xmlns=\"jabber:component:accept\" a='>'>&lt;</body></message>",
    "<message><x xmlns='urn:x'><y/><message "
    "xmlns='jabber:component:accept'><body/></message></x><body/></message>",
    "<message xmlns:c='jabber:component:accept'><c:body/><c:x xmlns:c='urn:x'><c:y/></c:x></message>",
    "<message><body/><x:y><x:z/></x:y></message>",
    "<message><c:body xmlns:c='jabber:component:accept'/></message>",
    "<message><![CDATA[<body xmlns='jabber:component:accept'/>]]><body "
    "t='xmlns=\"jabber:component:accept\"'/>"
    "</message>",
    "<message><a xmlns='jabber:component:accept'><b xmlns='urn:x'><c xmlns='jabber:component:accept'/></b>"
    "</a></message>",
};

static void inwards_only_the_namespace_changes(void **state)
{
    static const char *const headers[] = {
        HEADER("jabber:component:accept", " xmlns:x='urn:y'"),
        HEADER("jabber:component:accept", " xmlns:x='jabber:component:accept'"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stanzas) * COUNT_OF(headers); i++) {
        struct scanner scanner;
        struct xml_node node;
        struct arena arena;
        arena_init(&arena, 1000);
        read_element(&scanner, headers[i % 2], str_from(stanzas[i / 2]), &node);
        struct xml_node in = content_ns_in(&node, STR(NS_COMPONENT), &arena);
        char *expected = told(&node, STR(NS_COMPONENT), STR(NS_CLIENT));
        char *got = told(&in, str_none, str_none);
        assert_string_equal(got, expected);
        free(expected);
        free(got);
        scanner_fini(&scanner);
        arena_fini(&arena);
    }
}

/* What is written for a component, from a stanza of a client. */
static void goes_out_as(const char *header, const char *stanza, const char *expected)
{
    struct scanner scanner;
    struct xml_node node;
    struct arena arena;
    struct stanza read;
    struct buf out;
    arena_init(&arena, 1000);
    buf_init(&out, 65536);
    read_element(&scanner, header, str_from(stanza), &node);
    assert_int_equal(stanza_read(&node, scanner_header_declarations(&scanner), str_none, &arena, &read),
                     STANZA_OK);
    stanza_write(&out, content_ns_out(&read, STR(NS_COMPONENT), &arena), NULL);
    char *got = buf_take(&out);
    assert_string_equal(got, expected);
    free(got);
    scanner_fini(&scanner);
    arena_fini(&arena);
}

static void outwards_the_stanzas_own_elements_change(void **state)
{
    const char *plain = HEADER("jabber:client", "");
    (void)state;
    goes_out_as(plain, "<message to='b'><body>jabber:client</body></message>",
                "<message to='b'><body>jabber:client</body></message>");
    goes_out_as(plain, "<message to='b' xmlns='jabber:client'><body/></message>",
                "<message to='b'><body/></message>");
    goes_out_as(plain, "<message to='b'><body xmlns='jabber:client'><i/></body></message>",
                "<message to='b'><body xmlns='jabber:component:accept'><i/></body></message>");
    goes_out_as(plain,
                "<message to='b'><f xmlns='urn:f'><message xmlns='jabber:client'/></f><body "
                "xmlns='jabber:client'/></message>",
                "<message to='b'><f xmlns='urn:f'><message xmlns='jabber:client'/></f><body "
                "xmlns='jabber:component:accept'/></message>");
    goes_out_as(plain, "<message to='b' xmlns:c='jabber:client'><c:body/></message>",
                "<message xmlns:c='jabber:component:accept' to='b'><c:body/></message>");
}

/* A prefix of the sender's header is declared on the stanza (stanza.c), for this stream in its own words. */
static void prefixes_of_the_header_go_along(void **state)
{
    const char *header = HEADER("jabber:client", " xmlns:c='jabber:client' xmlns:e='urn:e'");
    (void)state;
    goes_out_as(
        header, "<message to='b'><e:x/><c:body/></message>",
        "<message xmlns:c='jabber:component:accept' xmlns:e='urn:e' to='b'><e:x/><c:body/></message>");
}

/* The slow path on a stanza that needs none changes no byte: a mention that is not a declaration forces it.
 */
static void slow_and_fast_agree(void **state)
{
    struct arena arena;
    struct buf text;
    (void)state;
    arena_init(&arena, 1000);
    for (size_t i = 0; i < COUNT_OF(stanzas); i++) {
        struct stanza fast = stanza_make(STANZA_MESSAGE, TYPE_NONE, str_none, str_from(stanzas[i]), &arena);
        buf_init(&text, 65536);
        buf_addf(&text, "%s<y>jabber:client</y>", stanzas[i]);
        struct stanza slow = stanza_make(STANZA_MESSAGE, TYPE_NONE, str_none, buf_str(&text), &arena);
        const struct stanza *fast_out = content_ns_out(&fast, STR("urn:z"), &arena);
        const struct stanza *slow_out = content_ns_out(&slow, STR("urn:z"), &arena);
        assert_ptr_equal(fast_out, &fast);
        assert_ptr_not_equal(slow_out, &slow);
        assert_true(str_eq(stanza_payload(slow_out), buf_str(&text)));
        buf_fini(&text);
    }
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inwards_only_the_namespace_changes),
        cmocka_unit_test(outwards_the_stanzas_own_elements_change),
        cmocka_unit_test(prefixes_of_the_header_go_along),
        cmocka_unit_test(slow_and_fast_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
