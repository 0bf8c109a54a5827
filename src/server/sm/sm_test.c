/* SPDX-License-Identifier: MIT */
/* What no scenario can reach: numbers of stanzas past 2^32 (XEP-0198 §4). The rest is in the scenarios
 * sm*.scn. */
#include "server/sm/sm_impl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void numbers_go_on_behind_32_bits(void **state)
{
    struct sm sm = { .acked = UINT64_C(0xfffffffe), .sent = UINT64_C(0x100000003) };
    (void)state;
    assert_true(sm_out_number(&sm, 0xfffffffe) == UINT64_C(0xfffffffe));
    assert_true(sm_out_number(&sm, 0xffffffff) == UINT64_C(0xffffffff));
    assert_true(sm_out_number(&sm, 0) == UINT64_C(0x100000000));
    assert_true(sm_out_number(&sm, 3) == UINT64_C(0x100000003));
    assert_true(sm_sent_count(&sm) == 3);
}

static void nobody_has_got_more_than_was_sent(void **state)
{
    struct sm sm = { .acked = UINT64_C(0xfffffffe), .sent = UINT64_C(0x100000003) };
    (void)state;
    assert_true(sm_may_have_got(&sm, 0xfffffffe));
    assert_true(sm_may_have_got(&sm, 3));
    assert_false(sm_may_have_got(&sm, 4));
    assert_false(sm_may_have_got(&sm, 0xfffffffd)); /* less than before is as wrong as too much */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_go_on_behind_32_bits),
        cmocka_unit_test(nobody_has_got_more_than_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
