/* SPDX-License-Identifier: MIT */
/* Token buckets, in invented time. */
#include "base/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { S = 1000000 };

static void a_burst_then_the_rate(void **state)
{
    struct bucket bucket = { 0 };
    (void)state;
    for (int i = 0; i < 30; i++)
        assert_int_equal(bucket_take(&bucket, 1, 10, 30, 5 * S), 0);
    assert_int_equal(bucket_take(&bucket, 1, 10, 30, 5 * S), 101); /* a tenth of a second, rounded up */
    assert_int_equal(bucket_take(&bucket, 1, 10, 30, 5 * S), 201);
    assert_int_equal(bucket_take(&bucket, 0, 10, 30, 5 * S + S / 5), 0);
    assert_int_equal(bucket_take(&bucket, 1, 10, 30, 5 * S + S / 5), 101);
    assert_int_equal(bucket_take(&bucket, 30, 10, 30, 60 * S), 0); /* full again, and no fuller */
    assert_int_equal(bucket_take(&bucket, 1, 10, 30, 60 * S), 101);
}

static void often_asked_loses_nothing(void **state)
{
    struct bucket bucket = { 0 };
    uint64_t now_us = 0;
    int taken = 0;
    (void)state;
    bucket_take(&bucket, 100, 3, 100, now_us);
    for (; now_us < 100 * S; now_us += 7) /* 3 a second, asked each 7 microseconds */
        if (!bucket_take(&bucket, 0, 3, 99, now_us))
            taken += !bucket_take(&bucket, 1, 3, 100, now_us);
    assert_in_range(taken, 299, 301);
}

static void no_limit(void **state)
{
    struct bucket bucket = { 0 };
    (void)state;
    assert_int_equal(bucket_take(&bucket, UINT32_MAX, 0, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(often_asked_loses_nothing),
        cmocka_unit_test(no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
