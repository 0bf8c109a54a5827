/* SPDX-License-Identifier: MIT */
/* What the connections of one domain share, and what others do not. */
#include "server/s2s/s2s_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { RATE = 100, BURST = 1000, SECOND_US = 1000000 };

static struct share share;

static const uint64_t one = UINT64_C(0x0000000100000002), other = UINT64_C(0x0000000300000004);

static int fresh(void **state)
{
    (void)state;
    share = (struct share){ 0 };
    return 0;
}

static void burst_and_rate(void **state)
{
    (void)state;
    uint64_t now_us = 77 * SECOND_US;
    assert_int_equal(share_take(&share, one, BURST, RATE, BURST, now_us), 0);
    /* 50 too many at 100 a second */
    uint64_t wait_ms = share_take(&share, one, 50, RATE, BURST, now_us);
    assert_in_range(wait_ms, 500, 501);
    assert_int_equal(share_take(&share, one, 0, RATE, BURST, now_us + wait_ms * 1000), 0);
    /* after ten seconds all is paid for */
    assert_int_equal(share_take(&share, one, BURST, RATE, BURST, now_us + 12 * SECOND_US), 0);
}

static void another_has_its_own(void **state)
{
    (void)state;
    assert_true(share_take(&share, one, 5 * BURST, RATE, BURST, SECOND_US));
    assert_int_equal(share_take(&share, other, BURST, RATE, BURST, SECOND_US), 0);
    /* not even one that has a cell with it */
    assert_int_equal(share_take(&share, (one & UINT32_MAX) | (other & ~(uint64_t)UINT32_MAX), 1, RATE,
                                2 * BURST, SECOND_US),
                     0);
}

static void no_limit(void **state)
{
    (void)state;
    assert_int_equal(share_take(&share, one, UINT32_MAX, 0, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(burst_and_rate, fresh),
        cmocka_unit_test_setup(another_has_its_own, fresh),
        cmocka_unit_test_setup(no_limit, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
