/* SPDX-License-Identifier: MIT */
/* Each conversation is fed whole, byte by byte, and cut in two at every place; what is said must be the same.
 */
#include "xmpp/socks5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define NAME           "972b7bf47291ca609517f67f86b5081086052dad" /* 40 digits */
#define HELLO          "\5\1\0"
#define ANSWER         "\5\0"
#define REFUSAL(reply) ANSWER "\5" reply "\0\1\0\0\0\0\0\0"

/* What the client says, and what is wanted of it. */
struct talk {
    const char *what;
    str in, out;
    enum socks5_state state;
    size_t left;
};

static const struct talk talks[] = {
    { "nothing", STR_INIT(""), STR_INIT(""), SOCKS5_TALKING, 0 },
    { "half a greeting", STR_INIT("\5\2\0"), STR_INIT(""), SOCKS5_TALKING, 0 },
    { "a greeting", STR_INIT(HELLO), STR_INIT(ANSWER), SOCKS5_TALKING, 0 },
    { "several methods", STR_INIT("\5\3\2\0\1"), STR_INIT(ANSWER), SOCKS5_TALKING, 0 },
    { "a request", STR_INIT(HELLO "\5\1\0\3\50" NAME "\0\0"), STR_INIT(ANSWER), SOCKS5_ASKED, 0 },
    { "upper case",
      STR_INIT(HELLO "\5\1\0\3\50"
                     "972B7BF47291CA609517F67F86B5081086052DAD"
                     "\0\0"),
      STR_INIT(ANSWER), SOCKS5_ASKED, 0 },
    { "bytes behind it", STR_INIT(HELLO "\5\1\0\3\50" NAME "\0\0more"), STR_INIT(ANSWER), SOCKS5_ASKED, 4 },
    { "SOCKS4", STR_INIT("\4\1\0\120\0\0\0\1\0"), STR_INIT(""), SOCKS5_REFUSED, 8 },
    { "HTTP", STR_INIT("GET / HTTP/1.1\r\n"), STR_INIT(""), SOCKS5_REFUSED, 15 },
    { "no methods", STR_INIT("\5\0"), STR_INIT("\5\377"), SOCKS5_REFUSED, 0 },
    { "a password only", STR_INIT("\5\1\2"), STR_INIT("\5\377"), SOCKS5_REFUSED, 0 },
    { "another version", STR_INIT(HELLO "\4\1"), STR_INIT(ANSWER), SOCKS5_REFUSED, 1 },
    { "BIND", STR_INIT(HELLO "\5\2\0\3"), STR_INIT(REFUSAL("\7")), SOCKS5_REFUSED, 2 },
    { "UDP ASSOCIATE", STR_INIT(HELLO "\5\3\0\3"), STR_INIT(REFUSAL("\7")), SOCKS5_REFUSED, 2 },
    { "a reserved byte", STR_INIT(HELLO "\5\1\1\3"), STR_INIT(REFUSAL("\1")), SOCKS5_REFUSED, 1 },
    { "IPv4", STR_INIT(HELLO "\5\1\0\1\177\0\0\1\0\120"), STR_INIT(REFUSAL("\10")), SOCKS5_REFUSED, 6 },
    { "IPv6", STR_INIT(HELLO "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\120"), STR_INIT(REFUSAL("\10")),
      SOCKS5_REFUSED, 18 },
    { "a host", STR_INIT(HELLO "\5\1\0\3\13example.org\0\120"), STR_INIT(REFUSAL("\2")), SOCKS5_REFUSED, 13 },
    { "no hexadecimal",
      STR_INIT(HELLO "\5\1\0\3\50"
                     "g72b7bf47291ca609517f67f86b5081086052dad"),
      STR_INIT(REFUSAL("\2")), SOCKS5_REFUSED, 39 },
    { "a port", STR_INIT(HELLO "\5\1\0\3\50" NAME "\0\1"), STR_INIT(REFUSAL("\2")), SOCKS5_REFUSED, 0 },
    { "another port", STR_INIT(HELLO "\5\1\0\3\50" NAME "\1\0"), STR_INIT(REFUSAL("\2")), SOCKS5_REFUSED, 1 },
};

/* Feeds the pieces in turn, as far as they are wanted. */
static void feed(const struct talk *talk, const str *pieces, size_t count)
{
    struct socks5 socks5 = { 0 };
    enum socks5_state state = SOCKS5_TALKING;
    size_t left = 0;
    struct buf out;
    buf_init(&out, 64);
    for (size_t i = 0; i < count; i++) {
        str piece = pieces[i];
        if (state == SOCKS5_TALKING)
            state = socks5_read(&socks5, &piece, &out);
        left += piece.len;
    }
    if (state != talk->state || left != talk->left || !str_eq(buf_str(&out), talk->out) || buf_failed(&out))
        fail_msg("%s: state %d, %zu bytes left, %zu bytes of answer", talk->what, state, left, out.len);
    if (state == SOCKS5_ASKED && !str_eq_nocase(str_of(socks5.name, SOCKS5_NAME_LEN), STR(NAME)))
        fail_msg("%s: another name", talk->what);
    buf_fini(&out);
}

static void all_that_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof *talks; i++)
        feed(&talks[i], &talks[i].in, 1);
}

static void however_it_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) {
        str in = talks[i].in, bytes[64];
        for (size_t at = 0; at <= in.len; at++)
            feed(&talks[i], (str[]){ str_sub(in, 0, at), str_sub(in, at, in.len) }, 2);
        assert_in_range(in.len, 0, 63);
        for (size_t at = 0; at < in.len; at++)
            bytes[at] = str_sub(in, at, at + 1);
        feed(&talks[i], bytes, in.len);
    }
}

static void the_address_is_told_as_it_was_asked_for(void **state)
{
    static const str asked = STR_INIT(HELLO "\5\1\0\3\50"
                                            "972B7bf47291ca609517f67f86b5081086052dad"
                                            "\0\0");
    static const str wanted = STR_INIT(ANSWER "\5\0\0\3\50"
                                              "972B7bf47291ca609517f67f86b5081086052dad"
                                              "\0\0");
    struct socks5 socks5 = { 0 };
    struct buf out;
    str bytes = asked;
    (void)state;
    buf_init(&out, 64);
    assert_int_equal(socks5_read(&socks5, &bytes, &out), SOCKS5_ASKED);
    socks5_answer(&socks5, SOCKS5_SUCCEEDED, &out);
    assert_true(str_eq(buf_str(&out), wanted));
    buf_fini(&out);
}

/* sha1sum's values; the second is that of the example in XEP-0065 §7. */
static void names_are_hashes(void **state)
{
    char name[SOCKS5_NAME_LEN + 1];
    (void)state;
    socks5_name(STR("vxf9n471bn46"), STR("requester@example.com/foo"), STR("target@example.org/bar"), name);
    assert_string_equal(name, "98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff");
    socks5_name(STR("yia72g3v49j7"), STR("requester@example.com/foo"),
                STR("room@conference.example.net/Tget"), name);
    assert_string_equal(name, "416781edf1ae50bad01cb8509ba35b43952bc345");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_said),
        cmocka_unit_test(however_it_comes),
        cmocka_unit_test(the_address_is_told_as_it_was_asked_for),
        cmocka_unit_test(names_are_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
