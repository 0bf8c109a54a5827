/* SPDX-License-Identifier: MIT */
/* How many single-put batches a second the SQLite store takes with 1, 10, 100 and 1000 under way at once, and
 * how many commits (each an fsync) carry them. A loop keeps that many under way: each completion starts the
 * next. Then, how long a file with many accounts takes to open.
 *
 * Usage: store_bench [FOLDER [SECONDS]]: the file is made in FOLDER (the current one when not given), which
 * should be on the disk in question, and is removed at the end. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 3, ACCOUNTS = 1000000, ACCOUNTS_A_BATCH = 1000, VALUE = 120 };

static struct {
    struct store *store;
    struct loop *loop;
    double until;
    unsigned long started, under_way;
} bench;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void require(enum err err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "%s: %s\n", what, err_text(err));
    exit(1);
}

static void start_put(struct store_commit *commit)
{
    static const char value[VALUE] = "<item jid='juliet@example.com' name='Juliet' subscription='both'/>";
    char owner[40], key[24];
    struct store_batch *batch = store_batch_new();
    snprintf(owner, sizeof owner, "user%lu@example.com", bench.started * 7919 % 100000);
    snprintf(key, sizeof key, "%lu", bench.started++);
    store_put(batch, str_from(owner), STR("roster"), str_from(key), str_of(value, strlen(value)));
    bench.under_way++;
    store_commit(bench.store, bench.loop, batch, commit);
}

static void put_done(struct store_commit *commit)
{
    require(commit->err, "a put");
    bench.under_way--;
    if (now() < bench.until)
        start_put(commit);
    else if (!bench.under_way)
        loop_stop(bench.loop);
}

static void measure_puts(unsigned at_once, double seconds)
{
    struct store_commit *commits = xcalloc(at_once, sizeof *commits);
    struct store_stats before, after;
    double began = now();
    store_stats(bench.store, &before);
    bench.until = began + seconds;
    for (unsigned i = 0; i < at_once; i++) {
        commits[i].done = put_done;
        start_put(&commits[i]);
    }
    loop_run(bench.loop);
    double took = now() - began;
    store_stats(bench.store, &after);
    printf("%8u %12.0f %12.0f\n", at_once, (double)(after.batches - before.batches) / took,
           (double)(after.commits - before.commits) / took);
    fflush(stdout);
    free(commits);
}

static void add_done(struct store_commit *commit)
{
    require(commit->err, "an account");
    loop_stop(bench.loop);
}

static void add_accounts(void)
{
    struct store_commit commit = { .done = add_done };
    for (unsigned i = 0; i < ACCOUNTS; i += ACCOUNTS_A_BATCH) {
        struct store_batch *batch = store_batch_new();
        for (unsigned j = i; j < i + ACCOUNTS_A_BATCH; j++) {
            char owner[40];
            snprintf(owner, sizeof owner, "account%07u@example.com", j);
            store_put(batch, str_from(owner), STR("account"), STR(""), STR("<account>salted keys</account>"));
        }
        store_commit(bench.store, bench.loop, batch, &commit);
        loop_run(bench.loop);
    }
}

static void open_store(const char *url)
{
    char why[256];
    if (store_open(url, NULL, why, sizeof why, &bench.store) == OK)
        return;
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void remove_file(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char name[600];
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

int main(int argc, char **argv)
{
    static const unsigned at_once[] = { 1, 10, 100, 1000 };
    double seconds = argc > 2 ? strtod(argv[2], NULL) : SECONDS;
    char path[512], url[600];
    snprintf(path, sizeof path, "%s/store-bench.%d.db", argc > 1 ? argv[1] : ".", (int)getpid());
    snprintf(url, sizeof url, "sqlite:%s", path);
    bench.loop = loop_new();
    open_store(url);
    printf("%8s %12s %12s\n", "at once", "batches/s", "commits/s");
    for (size_t i = 0; i < COUNT_OF(at_once); i++)
        measure_puts(at_once[i], seconds);
    double began = now();
    add_accounts();
    double added = now();
    store_close(bench.store);
    double closed = now();
    open_store(url);
    printf("%d accounts: added in %.1f s, opened in %.1f ms\n", ACCOUNTS, added - began,
           (now() - closed) * 1000);
    store_close(bench.store);
    loop_free(bench.loop);
    remove_file(path);
    return 0;
}
