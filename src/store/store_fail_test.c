/* SPDX-License-Identifier: MIT */
/* What the front makes of a backend that fails, is slow, or stands still. */
#include "store/fail.h"
#include "store/testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct kit_config configs[] = {
    { "memory threads", "fail:memory:", false },
    { "memory inline", "fail:memory:", true },
    { "sqlite threads", "fail:sqlite:", false },
    { "sqlite inline", "fail:sqlite:", true },
};

enum { BATCHES = 12, BURST = 4, CALLS_MAX = 100 };

static void start_numbered(struct kit *kit, unsigned number, struct kit_commit *commit)
{
    char key[16];
    snprintf(key, sizeof key, "%u", number);
    struct store_entry entry = { .id = number + 1, .peer = STR(""), .value = STR("v") };
    struct store_batch *batch = store_batch_new();
    store_put(batch, STR("a@x"), STR("k"), str_from(key), STR("v"));
    store_append(batch, STR("a@x"), STR("log"), &entry);
    store_put_new(batch, STR("a@x"), STR("twin"), str_from(key), STR("v"));
    kit_commit_start(kit, commit, batch);
}

/* Bursts are held back and let go at once, so that they make a group. */
static void commit_bursts(struct kit *kit, struct kit_commit commits[BATCHES])
{
    for (unsigned i = 0; i < BATCHES; i++) {
        if (i % BURST == 0)
            store_fail_hold(kit->store, true);
        start_numbered(kit, i, &commits[i]);
        if (i % BURST != BURST - 1)
            continue;
        store_fail_hold(kit->store, false);
        kit_wait(kit);
    }
}

/* The log shows the batches that were applied, the maps must agree. Returns how many there are. */
static unsigned expect_content(struct kit *kit, const struct kit_commit commits[BATCHES])
{
    struct kit_read log;
    struct store_log_query query = { .limit = BATCHES };
    kit_read_start(kit, &log);
    store_log_find(kit->store, kit->loop, STR("a@x"), STR("log"), &query, &log.read);
    kit_wait(kit);
    assert_int_equal(log.read.err, OK);
    unsigned seen = 0;
    for (unsigned i = 0; i < BATCHES; i++) {
        char key[16];
        bool answered = commits[i].commit.err == OK;
        snprintf(key, sizeof key, "%u", i);
        bool logged = seen < log.read.count && log.read.entries[seen].id == i + 1;
        assert_int_equal(logged, answered);
        assert_true(kit_has(kit, "a@x", "k", key, answered ? "v" : NULL));
        assert_true(kit_has(kit, "a@x", "twin", key, answered ? "v" : NULL));
        seen += logged;
    }
    assert_int_equal(seen, log.read.count);
    store_read_fini(&log.read);
    return seen;
}

static void each_call_failing_loses_only_what_was_refused(void **state)
{
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct kit kit;
        struct kit_commit commits[BATCHES];
        assert_true(n < CALLS_MAX);
        kit_init(&kit, *state);
        store_fail_nth(kit.store, FAIL_ANY, n, n % 2 ? ERR_IO : ERR_FULL);
        unsigned before = store_fail_calls(kit.store);
        commit_bursts(&kit, commits);
        failed = store_fail_calls(kit.store) - before >= n;
        store_fail_nth(kit.store, FAIL_ANY, 0, OK);
        unsigned kept = expect_content(&kit, commits);
        assert_true(kept >= BATCHES - BURST);
        if (!failed)
            assert_int_equal(kept, BATCHES);
        kit_fini(&kit);
    }
}

static void a_store_that_stops_working_keeps_what_came_before(void **state)
{
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct kit kit;
        struct kit_commit commits[BATCHES];
        assert_true(n < CALLS_MAX);
        kit_init(&kit, *state);
        store_fail_from(kit.store, FAIL_ANY, n, ERR_IO);
        commit_bursts(&kit, commits);
        store_fail_nth(kit.store, FAIL_ANY, 0, OK);
        failed = commits[BATCHES - 1].commit.err != OK;
        unsigned kept = expect_content(&kit, commits);
        for (unsigned i = 0; i < kept; i++) /* a prefix */
            assert_int_equal(commits[i].commit.err, OK);
        kit_fini(&kit);
    }
}

static void one_bad_batch_does_not_take_its_group_along(void **state)
{
    struct kit kit;
    struct kit_commit commits[BATCHES];
    kit_init(&kit, *state);
    store_fail_hold(kit.store, true);
    for (unsigned i = 0; i < BATCHES; i++)
        start_numbered(&kit, i, &commits[i]);
    store_fail_nth(kit.store, FAIL_APPLY, 3, ERR_FULL);
    store_fail_hold(kit.store, false);
    kit_wait(&kit);
    assert_int_equal(expect_content(&kit, commits), BATCHES); /* the second try worked */
    kit_fini(&kit);
}

static void a_commit_that_fails_fails_its_group(void **state)
{
    struct kit kit;
    struct kit_commit commits[BATCHES];
    struct store_stats stats;
    kit_init(&kit, *state);
    store_fail_nth(kit.store, FAIL_COMMIT, 2, ERR_FULL);
    commit_bursts(&kit, commits);
    for (unsigned i = 0; i < BATCHES; i++)
        assert_int_equal(commits[i].commit.err, i / BURST == 1 ? ERR_FULL : OK);
    expect_content(&kit, commits);
    store_stats(kit.store, &stats);
    assert_int_equal(stats.failures, BURST);
    assert_int_equal(stats.batches, BATCHES);
    assert_int_equal(stats.commits, BATCHES / BURST - 1);
    kit_fini(&kit);
}

static void a_read_that_fails_has_nothing(void **state)
{
    struct kit kit;
    struct kit_read read;
    kit_init(&kit, *state);
    kit_put(&kit, "a@x", "k", "key", "v");
    static const enum store_fail_call calls[] = { FAIL_CONNECT, FAIL_READ };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        store_fail_nth(kit.store, calls[i], 1, ERR_IO);
        kit_get(&kit, "a@x", "k", "key", &read);
        assert_int_equal(read.read.err, ERR_IO);
        assert_int_equal(read.read.count, 0);
        store_read_fini(&read.read);
        assert_true(kit_has(&kit, "a@x", "k", "key", "v"));
    }
    kit_fini(&kit);
}

static void many_batches_share_a_commit(void **state)
{
    struct kit kit;
    enum { COUNT = 500 };
    static struct kit_commit commits[COUNT];
    struct store_stats stats;
    kit_init(&kit, *state);
    store_fail_hold(kit.store, true);
    for (unsigned i = 0; i < COUNT; i++)
        start_numbered(&kit, i, &commits[i]);
    store_stats(kit.store, &stats);
    assert_int_equal(stats.queued_batches, COUNT);
    assert_true(stats.queued_bytes > COUNT * 10);
    assert_int_equal(stats.commits, 0);
    store_fail_hold(kit.store, false);
    kit_wait(&kit);
    store_stats(kit.store, &stats);
    assert_int_equal(stats.batches, COUNT);
    assert_true(stats.commits >= 1 && stats.commits <= 2);
    assert_int_equal(stats.queued_batches + stats.queued_bytes, 0);
    kit_fini(&kit);
}

static void a_slow_store_answers_later(void **state)
{
    struct kit kit;
    kit_init(&kit, *state);
    store_fail_delay(kit.store, 20);
    uint64_t began = kit.sim ? sim_now_us(kit.sim) : 0;
    struct kit_commit commit;
    start_numbered(&kit, 0, &commit);
    if (kit.sim) {
        assert_true(sim_settle(kit.sim, 1000));
        assert_false(commit.done);
        sim_advance(kit.sim, 100);
        assert_true(commit.done);
        assert_true(sim_now_us(kit.sim) - began >= 20000);
    }
    kit_wait(&kit);
    assert_int_equal(commit.commit.err, OK);
    store_fail_delay(kit.store, 0);
    assert_true(kit_has(&kit, "a@x", "k", "0", "v"));
    kit_fini(&kit);
}

static void a_held_store_waits_and_closing_releases_it(void **state)
{
    struct kit kit;
    struct kit_commit commit;
    struct kit_read read;
    kit_init(&kit, *state);
    store_fail_hold(kit.store, true);
    start_numbered(&kit, 0, &commit);
    kit_read_start(&kit, &read);
    store_get(kit.store, kit.loop, STR("a@x"), STR("k"), STR("none"), &read.read);
    if (kit.sim)
        sim_advance(kit.sim, 1000);
    assert_false(commit.done || read.done);
    store_close(kit.store);
    kit.store = NULL;
    kit_wait(&kit);
    assert_true(commit.done && read.done);
    assert_int_equal(commit.commit.err, OK);
    store_read_fini(&read.read);
    kit_fini(&kit);
}

static void a_plan_stands_in_the_url(void **state)
{
    const struct kit_config *config = *state;
    if (!str_is(str_from(config->scheme), "fail:memory:"))
        skip();
    struct kit_config planned = *config;
    planned.scheme = "fail:n=4,err=full:memory:"; /* connect, begin, apply, commit */
    struct kit kit;
    kit_init(&kit, &planned);
    unsigned connects = store_fail_calls(kit.store);
    assert_int_equal(connects, 1);
    assert_int_equal(kit_put(&kit, "a@x", "k", "key", "v"), ERR_FULL);
    assert_int_equal(kit_put(&kit, "a@x", "k", "key", "v"), OK);
    kit_fini(&kit);
}

static void a_store_that_cannot_start_says_why(void **state)
{
    static const char *const urls[] = { "fail:n=1,err=io:memory:", "fail:nothing:", "oracle:x", "",
                                        "sqlite:/nowhere/at/all/store.db" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct store *store = NULL;
        char why[256] = "";
        assert_int_not_equal(store_open(urls[i], NULL, why, sizeof why, &store), OK);
        assert_true(strlen(why) > 10);
        assert_null(store);
    }
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = {
#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name                                                                                          \
    }
    CASE(each_call_failing_loses_only_what_was_refused),
    CASE(a_store_that_stops_working_keeps_what_came_before),
    CASE(one_bad_batch_does_not_take_its_group_along),
    CASE(a_commit_that_fails_fails_its_group),
    CASE(a_read_that_fails_has_nothing),
    CASE(many_batches_share_a_commit),
    CASE(a_slow_store_answers_later),
    CASE(a_held_store_waits_and_closing_releases_it),
    CASE(a_plan_stands_in_the_url),
    CASE(a_store_that_cannot_start_says_why),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(cases)];
    int failed = 0;
    for (size_t c = 0; c < COUNT_OF(configs); c++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++)
            tests[i] = (struct CMUnitTest){ .name = cases[i].name,
                                            .test_func = cases[i].run,
                                            .initial_state = (void *)&configs[c] };
        failed += _cmocka_run_group_tests(configs[c].name, tests, COUNT_OF(tests), NULL, NULL);
    }
    return failed;
}
