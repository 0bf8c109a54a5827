/* SPDX-License-Identifier: MIT */
/* The handshake of components against values of another SHA-1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "xmpp/handshake.h"

static void values_are_those_of_others(void **state)
{
    char got[HANDSHAKE_LEN + 1];
    (void)state;
    handshake_make(STR("3BF96D32"), STR("test"), got);
    assert_string_equal(got, "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e");
    handshake_make(STR("abc"), STR("p\xc3\xa4ss"), got);
    assert_string_equal(got, "8013eb8df054ff262796c73347eef8f88a5a41b6");
    handshake_make(STR(""), STR(""), got);
    assert_string_equal(got, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(values_are_those_of_others) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
