/* SPDX-License-Identifier: MIT */
/* Pages of XEP-0059, asked for and given. */
#include "xmpp/rsm.h"

#include "xmpp/test_text.h"

static enum stanza_error ask(const char *children, struct rsm *ret)
{
    str xml = arena_printf(&arena, "<query xmlns='q'><x/><set xmlns='" NS_RSM "'>%s</set></query>", children);
    struct xml_node query = parse(xml.p);
    return rsm_read(&query, &arena, ret);
}

static void nothing_is_asked(void **state)
{
    (void)state;
    struct rsm rsm;
    struct xml_node query = parse("<query xmlns='q'><set xmlns='other'><max>1</max></set></query>");
    assert_int_equal(rsm_read(&query, &arena, &rsm), STANZA_ERROR_NONE);
    assert_false(rsm.is_there || rsm.has_max || rsm.has_index || rsm.last || rsm.after.p || rsm.before.p);
    assert_int_equal(rsm_limit(&rsm, 50, 100), 50);
    assert_int_equal(rsm_limit(&rsm, 500, 100), 100);
    assert_int_equal(ask("", &rsm), STANZA_ERROR_NONE);
    assert_true(rsm.is_there);
}

static void pages_forwards_and_backwards(void **state)
{
    (void)state;
    struct rsm rsm;
    assert_int_equal(ask("<max>10</max>", &rsm), STANZA_ERROR_NONE);
    assert_true(rsm.has_max && rsm.max == 10 && !rsm_is_backwards(&rsm));
    assert_int_equal(rsm_limit(&rsm, 50, 100), 10);
    assert_int_equal(ask("<max> 0 </max>", &rsm), STANZA_ERROR_NONE);
    assert_int_equal(rsm_limit(&rsm, 50, 100), 0);
    assert_int_equal(ask("<max>10</max><after>peter&amp;pan</after>", &rsm), STANZA_ERROR_NONE);
    same_text(rsm.after, "peter&pan");
    assert_false(rsm_is_backwards(&rsm));
    assert_int_equal(ask("<before>first</before>", &rsm), STANZA_ERROR_NONE);
    same_text(rsm.before, "first");
    assert_true(rsm_is_backwards(&rsm) && !rsm.last);
    assert_int_equal(ask("<before/><max>3</max>", &rsm), STANZA_ERROR_NONE);
    assert_true(rsm_is_backwards(&rsm) && rsm.last && !rsm.before.p);
    assert_int_equal(ask("<after>a</after><before>b</before>", &rsm), STANZA_ERROR_NONE);
    assert_true(rsm.after.p && rsm.before.p && !rsm_is_backwards(&rsm));
    assert_int_equal(ask("<after/>", &rsm), STANZA_ERROR_NONE);
    assert_null(rsm.after.p);
    assert_int_equal(ask("<max>10</max><index>371</index>", &rsm), STANZA_ERROR_NONE);
    assert_true(rsm.has_index && rsm.index == 371);
    assert_int_equal(ask("<max>2147483647</max><unknown>x</unknown>", &rsm), STANZA_ERROR_NONE);
}

static void bad_requests(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<max/>",
        "<max>ten</max>",
        "<max>-1</max>",
        "<max>1.5</max>",
        "<max>2147483648</max>",
        "<max>99999999999999999999</max>",
        "<index>x</index>",
        "<index>1</index><after>a</after>",
        "<index>1</index><before/>",
        "<max>1</max><max>2</max>",
        "<after>a</after><after>b</after>",
        "<before/><before/>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rsm rsm = { .max = 42 };
        if (ask(bad[i], &rsm) != STANZA_ERROR_BAD_REQUEST)
            fail_msg("'%s' passed", bad[i]);
        assert_int_equal(rsm.max, 42);
    }
}

static void writes_pages(void **state)
{
    (void)state;
    struct buf xml;
    struct rsm_page page = {
        .first = STR("a<b"), .last = STR("z"), .has_index = true, .index = 10, .has_count = true, .count = 800
    };
    buf_init(&xml, 1000);
    rsm_write(&xml, &page);
    same_built(&xml, "<set xmlns='" NS_RSM
                     "'><first index='10'>a&lt;b</first><last>z</last><count>800</count></set>");
    page = (struct rsm_page){ .has_count = true, .count = 790, .has_index = true };
    rsm_write(&xml, &page);
    same_built(&xml, "<set xmlns='" NS_RSM "'><count>790</count></set>");
    page = (struct rsm_page){ .first = STR("a"), .last = STR("a") };
    rsm_write(&xml, &page);
    same_built(&xml, "<set xmlns='" NS_RSM "'><first>a</first><last>a</last></set>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_asked),
        TEST(pages_forwards_and_backwards),
        TEST(bad_requests),
        TEST(writes_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
