/* SPDX-License-Identifier: MIT */
/* Photos of vCards: read, put in, taken out, hashed. */
#include "xmpp/vcard.h"

#include "base/mem.h"

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

static void a_photo_is_read(void **state)
{
    static const struct {
        const char *content;
        enum vcard_photo_state wanted;
    } cases[] = {
        { "<FN>J</FN>", VCARD_NO_PHOTO },
        { "<PHOTO xmlns='other'><BINVAL>YQ==</BINVAL></PHOTO>", VCARD_NO_PHOTO },
        { "<PHOTO><BINVAL> </BINVAL></PHOTO>", VCARD_EMPTY_PHOTO },
        { "<PHOTO><TYPE> image/png\n</TYPE><BINVAL>\nY\tW I\r=\n</BINVAL></PHOTO>", VCARD_PHOTO },
        { "<PHOTO><BINVAL>YWJ=</BINVAL></PHOTO>", VCARD_OTHER_PHOTO },
        { "<PHOTO><EXTVAL>https://example.net/</EXTVAL></PHOTO>", VCARD_OTHER_PHOTO },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct xml_node card;
        struct vcard_photo photo;
        str text = arena_printf(&arena, "<vCard>%s</vCard>", cases[i].content);
        assert_true(xml_parse(text, STR(NS_VCARD), &card));
        assert_int_equal(vcard_photo_read(&card, &arena, &photo), cases[i].wanted);
        if (cases[i].wanted == VCARD_PHOTO)
            assert_true(str_is(photo.bytes, "ab") && str_is(photo.type, "image/png"));
    }
}

static void a_card_is_as_it_was_but_for_the_photo(void **state)
{
    static const char *const cases[][3] = {
        { "<vCard xmlns='vcard-temp'/>", "", "<vCard xmlns='vcard-temp'></vCard>" },
        { "<v:vCard xmlns:v='vcard-temp' version='2.0' />", "<x/>",
          "<v:vCard xmlns:v='vcard-temp' version='2.0' ><x/></v:vCard>" },
        { "<vCard xmlns='vcard-temp'><FN>J</FN><PHOTO/>\n<N/><PHOTO/></vCard >", "<x/>",
          "<vCard xmlns='vcard-temp'><FN>J</FN>\n<N/><x/></vCard>" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct xml_node card;
        struct buf out;
        buf_init(&out, 1024);
        assert_true(xml_parse(str_from(cases[i][0]), str_none, &card));
        vcard_write(&out, &card, str_from(cases[i][1]), &arena);
        buf_add_char(&out, '\0');
        assert_string_equal(out.p, cases[i][2]);
        buf_fini(&out);
    }
}

static void hashes_are_of_all_photos_or_of_none(void **state)
{
    struct xml_node card;
    struct buf out;
    (void)state;
    buf_init(&out, 1024);
    assert_true(xml_parse(STR("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>MQ==</BINVAL></PHOTO>"
                              "<PHOTO><EXTVAL/></PHOTO><PHOTO><BINVAL>YWJj</BINVAL></PHOTO></vCard>"),
                          str_none, &card));
    assert_true(vcard_hashes(&card, &arena, &out));
    assert_true(str_is(buf_str(&out),
                       "356a192b7913b04c54574d18c28d46e6395428ab a9993e364706816aba3e25717850c26c9cd0d89d"));
    assert_true(xml_parse(STR("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>MQ</BINVAL></PHOTO></vCard>"),
                          str_none, &card));
    assert_false(vcard_hashes(&card, &arena, &out));
    buf_fini(&out);
}

static void an_image_says_what_it_is(void **state)
{
    (void)state;
    assert_string_equal(vcard_image_type(STR("\x89PNG\r\n\x1a\n")), "image/png");
    assert_string_equal(vcard_image_type(STR("RIFF0000WEBP")), "image/webp");
    assert_null(vcard_image_type(STR("RIFF0000WAVE")));
    assert_null(vcard_image_type(STR("RIFF")));
    assert_null(vcard_image_type(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_photo_is_read),
        cmocka_unit_test(a_card_is_as_it_was_but_for_the_photo),
        cmocka_unit_test(hashes_are_of_all_photos_or_of_none),
        cmocka_unit_test(an_image_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
