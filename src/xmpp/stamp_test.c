/* SPDX-License-Identifier: MIT */
/* Moments and their texts: the examples of XEP-0082, what is refused, and each day there and back. */
#include "xmpp/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 256);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static int64_t read_ok(const char *text)
{
    int64_t ms = -1;
    if (!stamp_read(str_from(text), &ms))
        fail_msg("'%s' was refused", text);
    return ms;
}

static void examples_of_xep_0082(void **state)
{
    (void)state;
    assert_int_equal(read_ok("1969-07-21T02:56:15Z"), -14159025000);
    assert_int_equal(read_ok("1969-07-20T21:56:15-05:00"), -14159025000);
    assert_string_equal(stamp_seconds(-14159025000, &arena), "1969-07-21T02:56:15Z");
}

static void writes_seconds_and_milliseconds(void **state)
{
    (void)state;
    assert_string_equal(stamp_seconds(0, &arena), "1970-01-01T00:00:00Z");
    assert_string_equal(stamp_seconds(999, &arena), "1970-01-01T00:00:00Z");
    assert_string_equal(stamp_millis(999, &arena), "1970-01-01T00:00:00.999Z");
    assert_string_equal(stamp_millis(-1, &arena), "1969-12-31T23:59:59.999Z");
    assert_string_equal(stamp_millis(1709164800000, &arena), "2024-02-29T00:00:00.000Z");
    assert_string_equal(stamp_seconds(INT64_MAX, &arena), "9999-12-31T23:59:59Z");
    assert_string_equal(stamp_seconds(INT64_MIN, &arena), "0000-01-01T00:00:00Z");
}

static void reads_fractions_and_offsets(void **state)
{
    (void)state;
    assert_int_equal(read_ok("1970-01-01T00:00:01.5Z"), 1500);
    assert_int_equal(read_ok("1970-01-01T00:00:01.05Z"), 1050);
    assert_int_equal(read_ok("1970-01-01T00:00:01.1239999999999999999999Z"), 1123);
    assert_int_equal(read_ok("1970-01-01T00:00:00.25+00:01"), -59750);
    assert_int_equal(read_ok("1970-01-01T14:00:00+14:00"), 0);
    assert_int_equal(read_ok("1969-12-31T10:00:00-14:00"), 0);
    assert_int_equal(read_ok("1969-12-31T24:00:00Z"), 0);
    assert_int_equal(read_ok("0000-01-01T00:00:00Z"), -62167219200000);
    assert_int_equal(read_ok("2000-02-29T00:00:00Z"), 951782400000);
}

static void refuses_all_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-23",
        "2026-11-23T10:00:00",
        "2026-11-23t10:00:00Z",
        "2026-11-23T10:00:00z",
        "2026-11-23 10:00:00Z",
        " 2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00Z ",
        "2026-11-23T10:00:00.Z",
        "2026-11-23T10:00:00,5Z",
        "2026-11-23T10:00Z",
        "2026-11-23T24:00:01Z",
        "2026-11-23T24:00:00.1Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T10:60:00Z",
        "2026-11-23T10:00:60Z",
        "2026-11-23T10:00:00+14:01",
        "2026-11-23T10:00:00+1:00",
        "2026-11-23T10:00:00+0100",
        "2026-11-23T10:00:00+01:60",
        "2026-11-23T10:00:00+01",
        "2026-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-04-31T10:00:00Z",
        "2026-04-00T10:00:00Z",
        "12026-04-01T10:00:00Z",
        "-2026-04-01T10:00:00Z",
        "+026-04-01T10:00:00Z",
        "20261123T10:00:00Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 42;
        if (stamp_read(str_from(bad[i]), &ms))
            fail_msg("'%s' was read", bad[i]);
        assert_int_equal(ms, 42);
    }
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    str whole = STR("2026-11-23T10:00:00.123-05:30");
    int64_t ms;
    for (size_t len = 0; len < whole.len; len++)
        assert_false(stamp_read(str_sub(whole, 0, len), &ms));
    assert_true(stamp_read(whole, &ms));
}

/* The C library is the oracle for each day of 1200 years. */
static void each_day_there_and_back(void **state)
{
    (void)state;
    for (int64_t day = -250000; day < 190000; day++) {
        int64_t ms = day * 86400000 + 12345678, again;
        time_t seconds = (time_t)(day * 86400);
        struct tm utc;
        char date[16];
        gmtime_r(&seconds, &utc);
        strftime(date, sizeof date, "%Y-%m-%d", &utc);
        const char *text = stamp_millis(ms, &arena);
        assert_memory_equal(text, date, 10);
        assert_true(stamp_read(str_from(text), &again));
        assert_int_equal(again, ms);
        arena_reset(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(examples_of_xep_0082, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_seconds_and_milliseconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_fractions_and_offsets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_all_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_cut_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_day_there_and_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
