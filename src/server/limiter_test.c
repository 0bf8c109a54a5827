/* SPDX-License-Identifier: MIT */
/* Counts by key: what passes, what does not, and who else is hit by a flood. */
#include "server/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void lets_the_limit_pass(void **state)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(limiter_take(limiter, STR("a"), 500, 1000, 3));
    assert_false(limiter_take(limiter, STR("a"), 999, 1000, 3));
    assert_true(limiter_take(limiter, STR("b"), 999, 1000, 3));
    assert_true(limiter_take(limiter, STR("a"), 1000, 1000, 3));
    assert_false(limiter_take(limiter, STR("c"), 0, 1000, 0));
    free(limiter);
}

/* One who floods from many keys does not shut the door for most others. */
static void many_keys(void **state)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    unsigned refused = 0;
    char key[16];
    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "net%d", i);
        for (int k = 0; k < 5; k++)
            limiter_take(limiter, str_from(key), 0, 1000, 3);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "other%d", i);
        refused += !limiter_take(limiter, str_from(key), 0, 1000, 3);
    }
    assert_in_range(refused, 0, 10);
    free(limiter);
}

static void counts_who_is_there(void **state)
{
    struct census *census = calloc(1, sizeof *census);
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(census_enter(census, 77, 3));
    assert_false(census_enter(census, 77, 3));
    assert_false(census_enter(census, 77, 3));
    assert_true(census_enter(census, (uint64_t)78 << 32 | 78, 1));
    census_leave(census, 77);
    assert_true(census_enter(census, 77, 3));
    assert_false(census_enter(census, 77, 3));
    assert_false(census_enter(census, (uint64_t)79 << 32 | 79, 0));
    for (int i = 0; i < 3; i++)
        census_leave(census, 77);
    census_leave(census, (uint64_t)78 << 32 | 78);
    for (size_t i = 0; i < CENSUS_CELLS; i++)
        assert_true(!census->_cells[0][i] && !census->_cells[1][i]);
    free(census);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_the_limit_pass),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(counts_who_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
