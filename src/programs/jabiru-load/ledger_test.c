/* SPDX-License-Identifier: MIT */
/* Numbers that come once, never, too often, and with an excuse. */
#include "programs/jabiru-load/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void counts(const struct ledger *ledger, uint32_t awaited, uint32_t came, uint32_t doubled)
{
    assert_int_equal(ledger->awaited, awaited);
    assert_int_equal(ledger->came, came);
    assert_int_equal(ledger->doubled, doubled);
}

static void each_comes_once(void **state)
{
    struct ledger ledger = { 0 };
    (void)state;
    for (uint32_t i = 0; i < 5000; i++)
        assert_int_equal(ledger_open(&ledger), i);
    for (uint32_t i = 0; i < 5000; i += 2)
        assert_true(ledger_came(&ledger, i));
    counts(&ledger, 2500, 2500, 0);
    assert_false(ledger_came(&ledger, 5000)); /* nobody sent that */
    counts(&ledger, 2500, 2500, 0);
    ledger_fini(&ledger);
}

static void what_comes_again_is_counted(void **state)
{
    struct ledger ledger = { 0 };
    (void)state;
    ledger_open(&ledger);
    assert_true(ledger_came(&ledger, 0));
    for (int i = 1; i < 10; i++) {
        assert_false(ledger_came(&ledger, 0));
        counts(&ledger, 0, 1, (uint32_t)i);
    }
    ledger_note(&ledger, 0, LEDGER_MAY_REPEAT);
    assert_false(ledger_came(&ledger, 0));
    counts(&ledger, 0, 1, 9);
    assert_int_equal(ledger.repeated, 1);
    ledger_fini(&ledger);
}

static void who_is_excused_is_not_awaited(void **state)
{
    struct ledger ledger = { 0 };
    (void)state;
    ledger_open(&ledger);
    ledger_open(&ledger);
    ledger_note(&ledger, 0, LEDGER_MAY_MISS);
    ledger_note(&ledger, 0, LEDGER_MAY_MISS);
    ledger_note(&ledger, 7, LEDGER_MAY_MISS);
    counts(&ledger, 1, 0, 0);
    assert_int_equal(ledger.excused, 1);
    assert_true(ledger_came(&ledger, 0)); /* all the same */
    counts(&ledger, 1, 1, 0);
    assert_int_equal(ledger.excused, 0);
    assert_true(ledger_came(&ledger, 1));
    ledger_note(&ledger, 1, LEDGER_MAY_MISS); /* too late to matter */
    counts(&ledger, 0, 2, 0);
    assert_int_equal(ledger.excused, 0);
    assert_false(ledger_came(&ledger, 0)); /* that it may miss does not let it come twice */
    counts(&ledger, 0, 2, 1);
    ledger_fini(&ledger);
}

static void notes_are_kept(void **state)
{
    struct ledger ledger = { 0 };
    (void)state;
    ledger_open(&ledger);
    assert_false(ledger_has(&ledger, 0, LEDGER_SENT_AGAIN));
    ledger_note(&ledger, 0, LEDGER_SENT_AGAIN);
    assert_true(ledger_has(&ledger, 0, LEDGER_SENT_AGAIN));
    assert_false(ledger_has(&ledger, 1, LEDGER_SENT_AGAIN));
    assert_true(ledger_came(&ledger, 0));
    assert_true(ledger_has(&ledger, 0, LEDGER_SENT_AGAIN));
    ledger_fini(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_comes_once),
        cmocka_unit_test(what_comes_again_is_counted),
        cmocka_unit_test(who_is_excused_is_not_awaited),
        cmocka_unit_test(notes_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
