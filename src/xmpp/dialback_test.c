/* SPDX-License-Identifier: MIT */
/* Dialback's keys against the examples of XEP-0185 and XEP-0220, and its elements there and back. */
#include "xmpp/dialback.h"

#include "base/mem.h"
#include "xmpp/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void keys(void **state)
{
    char key[DIALBACK_KEY_SIZE];
    (void)state;
    dialback_key(STR("s3cr3tf0rd14lb4ck"), STR("xmpp.example.com"), STR("example.org"), STR("D60000229F"),
                 key);
    assert_string_equal(key, "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643");
    dialback_key(STR("s3cr3tf0rd14lb4ck"), STR("montague.example"), STR("capulet.example"), STR("D60000229F"),
                 key);
    assert_string_equal(key, "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3");
    assert_true(dialback_key_is(STR("s3cr3tf0rd14lb4ck"), STR("montague.example"), STR("capulet.example"),
                                STR("D60000229F"), str_from(key)));
    assert_false(dialback_key_is(STR("s3cr3tf0rd14lb4ck"), STR("capulet.example"), STR("montague.example"),
                                 STR("D60000229F"), str_from(key)));
    assert_false(dialback_key_is(STR("s3cr3tf0rd14lb4ck"), STR("montague.example"), STR("capulet.example"),
                                 STR("D60000229F"), str_of(key, 63)));
    assert_false(dialback_key_is(STR("another"), STR("montague.example"), STR("capulet.example"),
                                 STR("D60000229F"), str_from(key)));
}

static enum dialback_fault read(const char *xml, struct dialback *ret)
{
    struct xml_node node;
    str wrapped = arena_printf(&arena, "<w xmlns='jabber:server' xmlns:db='jabber:server:dialback'>%.*s</w>",
                               (int)strlen(xml), xml);
    struct xml_node *outer = ARENA_NEW(&arena, struct xml_node);
    assert_true(xml_parse(wrapped, STR(NS_SERVER), outer));
    assert_true(xml_first(outer, &node));
    return dialback_read(&node, &arena, ret);
}

static void elements(void **state)
{
    struct dialback got;
    (void)state;
    assert_int_equal(read("<db:result from='A.example' to='b.example'> key\n</db:result>", &got),
                     DIALBACK_OK);
    assert_int_equal(got.kind, DIALBACK_RESULT);
    assert_int_equal(got.type, DIALBACK_REQUEST);
    assert_true(str_is(got.from, "a.example") && str_is(got.to, "b.example") && str_is(got.key, "key"));
    assert_int_equal(read("<db:verify from='a.example' to='b.example' id='7' type='valid'/>", &got),
                     DIALBACK_OK);
    assert_true(got.kind == DIALBACK_VERIFY && got.type == DIALBACK_VALID && str_is(got.id, "7"));
    assert_int_equal(read("<db:verify from='a.example' to='b.example' type='valid'/>", &got),
                     DIALBACK_BAD_FORM);
    assert_int_equal(read("<db:result from='a.example' to='b.example' type='odd'/>", &got),
                     DIALBACK_BAD_FORM);
    assert_int_equal(read("<db:result from='a.example'>k</db:result>", &got), DIALBACK_BAD_ADDRESS);
    assert_int_equal(read("<db:result from='u@a.example' to='b.example'>k</db:result>", &got),
                     DIALBACK_BAD_ADDRESS);
    assert_int_equal(read("<result from='a.example' to='b.example'>k</result>", &got), DIALBACK_OTHER);
    assert_int_equal(read("<db:result from='a.example' to='b.example' type='error'><error type='cancel'>"
                          "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
                          &got),
                     DIALBACK_OK);
    assert_int_equal(got.error, STANZA_ERROR_ITEM_NOT_FOUND);
}

static void there_and_back(void **state)
{
    (void)state;
    for (int kind = DIALBACK_RESULT; kind <= DIALBACK_VERIFY; kind++) {
        for (int type = DIALBACK_REQUEST; type <= DIALBACK_ERROR; type++) {
            struct dialback said = { .kind = kind,
                                     .type = type,
                                     .from = STR("a.example"),
                                     .to = STR("b.example"),
                                     .id = STR("it's <7>"),
                                     .key = STR("k"),
                                     .error = STANZA_ERROR_NOT_AUTHORIZED };
            struct dialback heard, reply = dialback_reply(&said, DIALBACK_VALID, STANZA_ERROR_NONE);
            struct buf out;
            buf_init(&out, 1000);
            dialback_write(&out, &said);
            assert_int_equal(read(arena_str(&arena, buf_str(&out)).p, &heard), DIALBACK_OK);
            assert_true(heard.kind == said.kind && heard.type == said.type && str_eq(heard.from, said.from));
            assert_true(str_eq(heard.to, said.to) && (kind == DIALBACK_RESULT || str_eq(heard.id, said.id)));
            assert_true(type != DIALBACK_REQUEST || str_eq(heard.key, said.key));
            assert_true(type != DIALBACK_ERROR || heard.error == said.error);
            assert_true(str_eq(reply.from, said.to) && str_eq(reply.to, said.from) &&
                        str_eq(reply.id, said.id));
            buf_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(elements),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
