/* SPDX-License-Identifier: MIT */
/* Written before it is said: a child commits numbered batches and tells each completion through a pipe; it is
 * killed with SIGKILL after a random number of them, in the middle of whatever it is doing. What it told must
 * be there when the file is opened again, whole and in order. The rounds go on with one file, so that what is
 * left by one crash is what the next one starts from. */
#include "store/testkit.h"

#include "base/rand.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 25, REPORTS_MAX = 400, IN_FLIGHT = 16 };

static const struct kit_config config = { "sqlite threads", "sqlite:", false };

/* ---- The child ---- */

struct child {
    struct store *store;
    struct loop *loop;
    uint64_t next;
    int pipe;
};

struct child_commit {
    struct store_commit commit;
    struct child *child;
    uint64_t number;
};

static void child_start(struct child_commit *mine);

static void child_done(struct store_commit *commit)
{
    struct child_commit *mine = CONTAINER_OF(commit, struct child_commit, commit);
    ssize_t size = sizeof mine->number;
    if (commit->err || write(mine->child->pipe, &mine->number, sizeof mine->number) != size)
        _exit(1);
    child_start(mine);
}

static void child_start(struct child_commit *mine)
{
    char key[24];
    mine->number = mine->child->next++;
    snprintf(key, sizeof key, "%llu", (unsigned long long)mine->number);
    struct store_entry entry = { .id = mine->number, .peer = STR("b@y"), .value = str_from(key) };
    struct store_batch *batch = store_batch_new();
    store_put(batch, STR("a@x"), STR("last"), STR(""), str_from(key));
    store_append(batch, STR("a@x"), STR("log"), &entry);
    store_put_new(batch, STR("a@x"), STR("number"), str_from(key), STR("v"));
    mine->commit.done = child_done;
    store_commit(mine->child->store, mine->child->loop, batch, &mine->commit);
}

static void child_main(const char *url, uint64_t first, int pipe)
{
    char why[256];
    struct child_commit commits[IN_FLIGHT];
    struct child child = { .next = first, .pipe = pipe, .loop = loop_new() };
    if (store_open(url, NULL, why, sizeof why, &child.store) != OK)
        _exit(2);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        commits[i].child = &child;
        child_start(&commits[i]);
    }
    loop_run(child.loop);
    _exit(3);
}

/* ---- The parent ---- */

/* Runs a child, kills it after `reports` reports, and returns the last number that it told. */
static uint64_t run_and_kill(const char *url, uint64_t first, unsigned reports)
{
    int ends[2], status;
    uint64_t number, told = first - 1;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child_main(url, first, ends[1]);
    }
    close(ends[1]);
    for (unsigned i = 0; read(ends[0], &number, sizeof number) == (ssize_t)sizeof number; i++) {
        assert_int_equal(number, told + 1); /* told in order */
        told = number;
        if (i + 1 == reports)
            kill(pid, SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    return told;
}

/* All numbers from 1 on are there, each in map and log. Returns the last. */
static uint64_t check_content(struct kit *kit)
{
    struct kit_read map, log;
    struct store_log_query query = { .limit = SIZE_MAX, .count = true };
    kit_get_all(kit, "a@x", "number", &map);
    assert_int_equal(map.read.err, OK);
    kit_read_start(kit, &log);
    store_log_find(kit->store, kit->loop, STR("a@x"), STR("log"), &query, &log.read);
    kit_wait(kit);
    assert_int_equal(log.read.err, OK);
    size_t count = log.read.count;
    assert_int_equal(log.read.total, count);
    assert_int_equal(map.read.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(log.read.entries[i].id, i + 1);
    store_read_fini(&map.read);
    store_read_fini(&log.read);
    if (count) {
        char last[24];
        snprintf(last, sizeof last, "%zu", count);
        assert_true(kit_has(kit, "a@x", "last", "", last));
    }
    return count;
}

static unsigned random_count(void)
{
    unsigned number;
    rand_bytes(&number, sizeof number);
    return 1 + number % REPORTS_MAX;
}

static void what_was_answered_survives_a_kill(void **state)
{
    struct kit kit;
    (void)state;
    kit_init(&kit, &config);
    uint64_t there = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        store_close(kit.store);
        kit.store = NULL;
        uint64_t told = run_and_kill(kit.url, there + 1, random_count());
        kit_reopen(&kit);
        there = check_content(&kit);
        assert_true(there >= told);
        assert_true(there <= told + IN_FLIGHT);
    }
    kit_fini(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_was_answered_survives_a_kill) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
