/* SPDX-License-Identifier: MIT */
/* How many batches a second the SQLite store takes with 1, 10, 100 and 1000 under way at once, and how many
 * commits (each an fsync) carry them: batches of a single put, and batches of two appended entries, as a
 * message makes them in the archives of its sender and its receiver. A loop keeps that many under way: each
 * completion starts the next. Then, how long a file with many accounts takes to open.
 *
 * Usage: store_bench [FOLDER [SECONDS]]: the file is made in FOLDER (the current one when not given), which
 * should be on the disk in question, and is removed at the end. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 3, ACCOUNTS = 1000000, ACCOUNTS_A_BATCH = 1000, VALUE = 120, USERS = 100000 };

static struct {
    struct store *store;
    struct loop *loop;
    double until;
    unsigned long started, under_way;
    uint64_t last_id;
    void (*fill)(struct store_batch *batch);
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

static void fill_put(struct store_batch *batch)
{
    static const char value[VALUE] = "<item jid='juliet@example.com' name='Juliet' subscription='both'/>";
    char owner[40], key[24];
    snprintf(owner, sizeof owner, "user%lu@example.com", bench.started * 7919 % USERS);
    snprintf(key, sizeof key, "%lu", bench.started);
    store_put(batch, str_from(owner), STR("roster"), str_from(key), str_of(value, strlen(value)));
}

/* A message of ordinary size between two users, in both archives. */
static void fill_message(struct store_batch *batch)
{
    static const char value[] =
        "<message type='chat' id='5c2f0a1e-7a2e-4f0e-9d7c-1a2b3c4d5e6f' from='romeo@example.com/phone' "
        "to='juliet@example.com'><body>But soft, what light through yonder window breaks?</body>"
        "<origin-id xmlns='urn:xmpp:sid:0' id='5c2f0a1e-7a2e-4f0e-9d7c-1a2b3c4d5e6f'/>"
        "<request xmlns='urn:xmpp:receipts'/></message>";
    char one[40], other[40];
    snprintf(one, sizeof one, "user%lu@example.com", bench.started * 7919 % USERS);
    snprintf(other, sizeof other, "user%lu@example.com", (bench.started * 7919 + 17) % USERS);
    struct store_entry entry = { .id = ++bench.last_id,
                                 .time_ms = 1700000000000 + (int64_t)bench.last_id,
                                 .peer = str_from(other),
                                 .value = str_of(value, sizeof value - 1) };
    store_append(batch, str_from(one), STR("archive"), &entry);
    entry.peer = str_from(one);
    store_append(batch, str_from(other), STR("archive"), &entry);
}

static void start(struct store_commit *commit)
{
    struct store_batch *batch = store_batch_new();
    bench.fill(batch);
    bench.started++;
    bench.under_way++;
    store_commit(bench.store, bench.loop, batch, commit);
}

static void batch_done(struct store_commit *commit)
{
    require(commit->err, "a batch");
    bench.under_way--;
    if (now() < bench.until)
        start(commit);
    else if (!bench.under_way)
        loop_stop(bench.loop);
}

static void measure(unsigned at_once, double seconds)
{
    struct store_commit *commits = xcalloc(at_once, sizeof *commits);
    struct store_stats before, after;
    double began = now();
    store_stats(bench.store, &before);
    bench.until = began + seconds;
    for (unsigned i = 0; i < at_once; i++) {
        commits[i].done = batch_done;
        start(&commits[i]);
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
    static const struct {
        const char *name;
        void (*fill)(struct store_batch *batch);
    } kinds[] = { { "a put", fill_put }, { "a message in two archives", fill_message } };
    double seconds = argc > 2 ? strtod(argv[2], NULL) : SECONDS;
    char path[512], url[600];
    snprintf(path, sizeof path, "%s/store-bench.%d.db", argc > 1 ? argv[1] : ".", (int)getpid());
    snprintf(url, sizeof url, "sqlite:%s", path);
    bench.loop = loop_new();
    open_store(url);
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        bench.fill = kinds[k].fill;
        printf("%s\n%8s %12s %12s\n", kinds[k].name, "at once", "batches/s", "commits/s");
        for (size_t i = 0; i < COUNT_OF(at_once); i++)
            measure(at_once[i], seconds);
    }
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
