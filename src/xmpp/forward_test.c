/* SPDX-License-Identifier: MIT */
/* A stanza within a stanza (XEP-0297): what is written is read back as the same. */
#include "xmpp/forward.h"

#include "xmpp/inner.h"
#include "xmpp/test_text.h"

static struct stanza unwrap(struct buf *xml, struct xml_node *wrapper, struct xml_node *forwarded)
{
    struct stanza inner;
    struct xml_node node;
    buf_lit(xml, "</w>");
    *wrapper = parse(arena_str(&arena, buf_str(xml)).p);
    assert_true(forward_read(wrapper, forwarded, &node));
    assert_int_equal(stanza_read(&node, str_none, str_none, &arena, &inner), STANZA_OK);
    buf_fini(xml);
    return inner;
}

static void a_stanza_comes_back(void **state)
{
    (void)state;
    struct stanza sent =
        read_stanza("<message from='a@b/it&apos;s' to='c@d' type='chat' id='1'><body>x</body></message>");
    struct xml_node wrapper, forwarded;
    struct buf xml;
    buf_init(&xml, 4096);
    buf_lit(&xml, "<w xmlns='urn:w'>");
    forward_write(&xml, &sent);
    struct stanza inner = unwrap(&xml, &wrapper, &forwarded);
    assert_int_equal(inner.type, TYPE_CHAT);
    same_text(inner.id, "1");
    same_text(inner.from.full, "a@b/it's");
    same_text(xml_child_text(&inner.node, STR("body"), STR(NS_CLIENT), &arena), "x");
}

/* The default namespace around it is no declaration of a prefix. */
static void a_stanza_within_one_that_was_parsed_alone(void **state)
{
    (void)state;
    struct xml_node wrapper, forwarded, node;
    struct stanza inner;
    assert_true(xml_parse(STR("<x><forwarded xmlns='urn:xmpp:forward:0' xmlns:p='urn:p'>"
                              "<iq xmlns='jabber:client' type='set' id='i'><p:q/></iq></forwarded></x>"),
                          STR(NS_CLIENT), &wrapper));
    assert_true(forward_read(&wrapper, &forwarded, &node));
    assert_int_equal(inner_read(&node, &arena, &inner), STANZA_OK);
    same_text(inner.attrs, " type='set' id='i' xmlns:p='urn:p'");
}

static void text_has_its_delay(void **state)
{
    (void)state;
    struct xml_node wrapper, forwarded, delay;
    struct buf xml;
    buf_init(&xml, 4096);
    buf_lit(&xml, "<w xmlns='urn:w'>");
    forward_write_text(&xml, STR("<message/>"), str_none, 0);
    struct stanza inner = unwrap(&xml, &wrapper, &forwarded);
    assert_int_equal(inner.kind, STANZA_MESSAGE);
    assert_true(xml_child(&forwarded, STR("delay"), STR(NS_DELAY), &delay));
    same_text(xml_attr(&delay, STR("stamp"), &arena), "1970-01-01T00:00:00.000Z");
}

static void other_things_are_none(void **state)
{
    (void)state;
    struct xml_node forwarded, node;
    struct xml_node empty =
        parse("<w xmlns='urn:w'><forwarded xmlns='urn:xmpp:forward:0'><x/></forwarded></w>");
    struct xml_node other =
        parse("<w xmlns='urn:w'><forwarded><message xmlns='jabber:client'/></forwarded></w>");
    assert_false(forward_read(&empty, &forwarded, &node));
    assert_false(forward_read(&other, &forwarded, &node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stanza_comes_back),
        TEST(a_stanza_within_one_that_was_parsed_alone),
        TEST(text_has_its_delay),
        TEST(other_things_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
