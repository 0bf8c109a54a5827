/* SPDX-License-Identifier: MIT */
#include "programs/jabiru-load/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct histogram histogram;

static int fresh(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    return 0;
}

static void empty_has_no_quantile(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 500), 0);
    assert_int_equal(histogram.max, 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 60; i++)
        histogram_add(&histogram, i);
    assert_int_equal(histogram_quantile(&histogram, 500), 30);
    assert_int_equal(histogram_quantile(&histogram, 900), 54);
    assert_int_equal(histogram_quantile(&histogram, 1000), 60);
    assert_int_equal(histogram_quantile(&histogram, 0), 1);
}

static void one_sample_is_every_quantile(void **state)
{
    (void)state;
    histogram_add(&histogram, 123456789);
    assert_int_equal(histogram_quantile(&histogram, 1), 123456789);
    assert_int_equal(histogram_quantile(&histogram, 999), 123456789);
}

/* Each value, alone below a larger one, comes back rounded up by at most a 32nd. */
static void large_values_are_near(void **state)
{
    (void)state;
    for (uint64_t value = 1; value < 1ULL << 39; value = value * 5 / 4 + 1) {
        fresh(NULL);
        histogram_add(&histogram, value);
        histogram_add(&histogram, UINT64_MAX);
        uint64_t got = histogram_quantile(&histogram, 500);
        assert_true(got >= value);
        assert_true(got - value <= value / 32);
    }
}

static void edges_of_rows_stay_apart(void **state)
{
    (void)state;
    for (unsigned bit = 6; bit < 39; bit++) {
        fresh(NULL);
        histogram_add(&histogram, (1ULL << bit) - 1);
        histogram_add(&histogram, 1ULL << bit);
        histogram_add(&histogram, UINT64_MAX);
        assert_int_equal(histogram_quantile(&histogram, 333), (1ULL << bit) - 1);
        assert_true(histogram_quantile(&histogram, 666) >= 1ULL << bit);
    }
}

static void beyond_the_top_counts_as_the_maximum(void **state)
{
    (void)state;
    histogram_add(&histogram, 1ULL << 40);
    histogram_add(&histogram, 1ULL << 50);
    assert_int_equal(histogram_quantile(&histogram, 500), 1ULL << 50);
    assert_int_equal(histogram.max, 1ULL << 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(empty_has_no_quantile, fresh),
        cmocka_unit_test_setup(small_values_are_exact, fresh),
        cmocka_unit_test_setup(one_sample_is_every_quantile, fresh),
        cmocka_unit_test_setup(large_values_are_near, fresh),
        cmocka_unit_test_setup(edges_of_rows_stay_apart, fresh),
        cmocka_unit_test_setup(beyond_the_top_counts_as_the_maximum, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
