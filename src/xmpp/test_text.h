/* SPDX-License-Identifier: MIT */
/* For the tests of the vocabulary: an arena for each test, elements from literals. */
#ifndef XMPP_TEST_TEXT_H
#define XMPP_TEST_TEXT_H

#include "xmpp/ns.h"
#include "xmpp/stanza.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct arena arena;

static inline int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1024);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline struct xml_node parse(const char *xml)
{
    struct xml_node node;
    if (!xml_parse(str_from(xml), STR(NS_CLIENT), &node))
        fail_msg("not well-formed: %s", xml);
    return node;
}

static inline struct stanza read_stanza(const char *xml)
{
    struct xml_node node = parse(xml);
    struct stanza stanza;
    assert_int_equal(stanza_read(&node, str_none, str_none, &arena, &stanza), STANZA_OK);
    return stanza;
}

static inline struct jid jid(const char *text)
{
    struct jid jid;
    assert_int_equal(jid_parse(str_from(text), &arena, &jid), OK);
    return jid;
}

static inline void same_text(str got, const char *wanted)
{
    if (!str_eq(got, str_from(wanted)))
        fail_msg("got  '%.*s'\nnot  '%s'", STR_ARGS(got), wanted);
}

/* What was built, then empty again. */
static inline void same_built(struct buf *buf, const char *wanted)
{
    assert_false(buf_failed(buf));
    same_text(buf_str(buf), wanted);
    buf_fini(buf);
}

#endif
