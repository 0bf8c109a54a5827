/* SPDX-License-Identifier: MIT */
/* The front of the store: two queues and the threads that empty them.
 *
 * Writing is done by one thread. It takes all batches that are queued, applies them in one transaction and
 * commits once: while a commit waits for the disk, the next group gathers, so the busier the store is the
 * more batches share a commit, and an idle store commits a lone batch without delay. No timer, no tuning. A
 * batch that fails by itself (a key is there already) is undone alone; when the driver fails in the middle of
 * a group, the group is rolled back and its batches are tried one by one, so that what one caller asks for
 * does not fail because of another's. When the commit itself fails, all of the group fail.
 *
 * Reading is done by a few threads, each with a connection that is opened when it first has something to
 * read; all but the first thread start when one is not enough.
 *
 * Completions are mails to the loop that asked. Inline mode has no threads: a task of the loop (or a timer,
 * when a test has slowed the store down) serves the queues. It serves reads first, the least that the
 * contract allows them to see, and tells of them last, when what they did not see was answered already: so a
 * simulation brings out whoever reads before the write was answered, or takes what was read for the latest.
 *
 * This file knows nothing of SQL, nor of what a batch holds. It does not bound the queues: it counts them,
 * and whoever asks decides. */
#include "store/front.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    READERS_MAX = 3,
    STACK_SIZE = 256 * 1024,
    REST_MS = 2000,           /* without work, until a connection gives memory back */
    GROUP_BATCHES_MAX = 1000, /* what one transaction takes, for the sake of the latency of the next */
    GROUP_BYTES_MAX = 4 * 1024 * 1024,
};

struct store {
    struct store_db *db;
    struct store_conn *writer;
    int64_t newest_ms;

    struct loop *inline_loop;
    struct store_conn *inline_reader;
    struct task task;
    struct timer timer;

    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t batch_came, read_came;
    struct list batches, reads;
    size_t reads_waiting; /* in the queue: those being served are not */
    bool closing, held;
    unsigned delay_ms;
    struct store_stats stats;
    pthread_t writer_thread;
    pthread_t readers[READERS_MAX];
    unsigned reader_count, readers_idle;
};

/* ---- Writing ---- */

static bool fails_alone(enum err err)
{
    return err == ERR_EXISTS || err == ERR_INVALID;
}

static enum err apply(struct store_conn *conn, struct store_batch *batch)
{
    batch->err = batch->invalid ? ERR_INVALID : conn->db->driver->apply(conn, batch);
    return fails_alone(batch->err) ? OK : batch->err;
}

/* One transaction over the group. On error nothing was applied and each batch has the error; `*ret_torn`
 * tells that it came from one of the batches. */
static enum err write_together(struct store_conn *conn, struct list *group, bool *ret_torn)
{
    const struct store_driver *driver = conn->db->driver;
    *ret_torn = false;
    enum err err = driver->begin(conn);
    for (struct list *link = group->next; link != group && !err; link = link->next) {
        err = apply(conn, LIST_ITEM(link, struct store_batch, link));
        *ret_torn = err != OK;
    }
    if (!err)
        err = driver->commit(conn);
    if (!err)
        return OK;
    driver->rollback(conn);
    list_each (link, group)
        LIST_ITEM(link, struct store_batch, link)->err = err;
    return err;
}

/* Returns how many commits it took. */
static unsigned write_alone(struct store_conn *conn, struct list *group)
{
    struct list done, one;
    bool torn;
    unsigned commits = 0;
    list_init(&done);
    list_init(&one);
    for (struct list *link; (link = list_shift(group)) != NULL; list_append(&done, link)) {
        list_append(&one, link);
        commits += write_together(conn, &one, &torn) == OK;
        list_remove(link);
    }
    for (struct list *link; (link = list_shift(&done)) != NULL;)
        list_append(group, link);
    return commits;
}

static unsigned write_group(struct store_conn *conn, struct list *group)
{
    bool torn;
    if (write_together(conn, group, &torn) == OK)
        return 1;
    bool several = group->next->next != group;
    return torn && several ? write_alone(conn, group) : 0;
}

static void commit_deliver(struct mail *mail)
{
    struct store_commit *commit = CONTAINER_OF(mail, struct store_commit, _mail);
    commit->done(commit);
}

/* The counters first: whoever hears of a completion finds it counted. */
static void complete_group(struct store *store, struct list *group, unsigned commits)
{
    pthread_mutex_lock(&store->lock);
    store->stats.commits += commits;
    list_each (link, group) {
        struct store_batch *batch = LIST_ITEM(link, struct store_batch, link);
        store->stats.batches++;
        store->stats.failures += batch->err && !fails_alone(batch->err);
        store->stats.queued_batches--;
        store->stats.queued_bytes -= batch->bytes;
    }
    pthread_mutex_unlock(&store->lock);
    for (struct list *link; (link = list_shift(group)) != NULL;) {
        struct store_batch *batch = LIST_ITEM(link, struct store_batch, link);
        struct store_commit *commit = batch->commit;
        commit->err = batch->err;
        store_batch_free(batch);
        loop_post(commit->_loop, &commit->_mail);
    }
}

/* Moves the next group out of the queue. Called with the lock. */
static void take_group(struct store *store, struct list *group, unsigned batches_max)
{
    size_t bytes = 0;
    list_init(group);
    for (unsigned i = 0; i < batches_max && bytes < GROUP_BYTES_MAX; i++) {
        struct list *link = list_shift(&store->batches);
        if (!link)
            return;
        list_append(group, link);
        bytes += LIST_ITEM(link, struct store_batch, link)->bytes;
    }
}

static void serve_group(struct store *store, struct list *group)
{
    complete_group(store, group, write_group(store->writer, group));
}

/* ---- Reading ---- */

static void read_deliver(struct mail *mail)
{
    struct store_read *read = CONTAINER_OF(mail, struct store_read, _mail);
    read->done(read);
}

static enum err answer(struct store *store, struct store_conn **conn, struct store_request *request)
{
    const struct store_driver *driver = store->db->driver;
    if (!*conn) {
        enum err err = driver->connect(store->db, false, conn);
        if (err)
            return err;
    }
    return driver->read(*conn, request, request->read);
}

static void serve_read(struct store *store, struct store_conn **conn, struct store_request *request)
{
    struct store_read *read = request->read;
    read->err = answer(store, conn, request);
    if (read->err)
        read->count = read->total = 0;
    pthread_mutex_lock(&store->lock);
    store->stats.reads++;
    store->stats.queued_reads--;
    pthread_mutex_unlock(&store->lock);
}

static void tell_read(struct store_read *read)
{
    loop_post(read->_loop, &read->_mail);
}

/* Called with the lock; NULL when there is none. */
static struct store_request *take_read(struct store *store)
{
    struct list *link = list_shift(&store->reads);
    if (!link)
        return NULL;
    store->reads_waiting--;
    return LIST_ITEM(link, struct store_request, link);
}

/* ---- The threads ---- */

static void sleep_ms(unsigned ms)
{
    struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };
    if (ms)
        nanosleep(&time, NULL);
}

static bool has_work(const struct store *store, const struct list *queue)
{
    return store->closing || (!store->held && !list_empty(queue));
}

/* False: REST_MS went by. Called with the lock. */
static bool wait_a_while(struct store *store, const struct list *queue, pthread_cond_t *came)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += REST_MS / 1000;
    while (!has_work(store, queue))
        if (pthread_cond_timedwait(came, &store->lock, &until) == ETIMEDOUT)
            return false;
    return true;
}

/* Called with the lock, which it opens meanwhile. */
static void rest(struct store *store, struct store_conn *conn)
{
    const struct store_driver *driver = store->db->driver;
    if (!driver->rest || !conn)
        return;
    pthread_mutex_unlock(&store->lock);
    driver->rest(conn);
    pthread_mutex_lock(&store->lock);
}

/* Waits for work; called with the lock. False when the store closes and nothing is left. */
static bool wait_for(struct store *store, struct list *queue, pthread_cond_t *came, struct store_conn *conn)
{
    if (!wait_a_while(store, queue, came))
        rest(store, conn);
    while (!has_work(store, queue))
        pthread_cond_wait(came, &store->lock);
    return !list_empty(queue);
}

/* Lets `delay_ms` pass; called with the lock, which it opens meanwhile. */
static void be_slow(struct store *store)
{
    unsigned delay_ms = store->delay_ms;
    if (!delay_ms)
        return;
    pthread_mutex_unlock(&store->lock);
    sleep_ms(delay_ms);
    pthread_mutex_lock(&store->lock);
}

static void *write_main(void *arg)
{
    struct store *store = arg;
    struct list group;
    pthread_setname_np(pthread_self(), "store-write");
    pthread_mutex_lock(&store->lock);
    while (wait_for(store, &store->batches, &store->batch_came, store->writer)) {
        be_slow(store);
        take_group(store, &group, GROUP_BATCHES_MAX);
        pthread_mutex_unlock(&store->lock);
        serve_group(store, &group);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static void *read_main(void *arg)
{
    struct store *store = arg;
    struct store_conn *conn = NULL;
    pthread_setname_np(pthread_self(), "store-read");
    pthread_mutex_lock(&store->lock);
    while (wait_for(store, &store->reads, &store->read_came, conn)) {
        store->readers_idle--;
        be_slow(store);
        struct store_request *request = take_read(store);
        pthread_mutex_unlock(&store->lock);
        if (request) {
            struct store_read *read = request->read; /* the request goes with the answer */
            serve_read(store, &conn, request);
            tell_read(read);
        }
        pthread_mutex_lock(&store->lock);
        store->readers_idle++;
    }
    pthread_mutex_unlock(&store->lock);
    if (conn)
        store->db->driver->disconnect(conn);
    return NULL;
}

/* Signals are for the main thread. A thread names itself, as a confined process can't name another. */
static enum err start_thread(void *(*run)(void *), struct store *store, pthread_t *ret)
{
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(ret, &attr, run, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (error)
        return err_from_errno(error);
    return OK;
}

/* Called with the lock. A new reader counts as idle until it takes something. */
static enum err start_reader(struct store *store)
{
    enum err err = start_thread(read_main, store, &store->readers[store->reader_count]);
    if (!err) {
        store->reader_count++;
        store->readers_idle++;
    }
    return err;
}

static enum err start_threads(struct store *store)
{
    enum err err = start_thread(write_main, store, &store->writer_thread);
    if (err)
        return err;
    pthread_mutex_lock(&store->lock);
    err = start_reader(store);
    if (err) {
        store->closing = true;
        pthread_cond_broadcast(&store->batch_came);
    }
    pthread_mutex_unlock(&store->lock);
    if (err)
        pthread_join(store->writer_thread, NULL);
    return err;
}

static void stop_threads(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_broadcast(&store->batch_came);
    pthread_cond_broadcast(&store->read_came);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->writer_thread, NULL);
    for (unsigned i = 0; i < store->reader_count; i++)
        pthread_join(store->readers[i], NULL);
}

/* ---- Inline ---- */

static void serve_inline(struct store *store)
{
    struct list group, served, *link;
    list_init(&served);
    for (struct store_request *request; (request = take_read(store)) != NULL;) {
        serve_read(store, &store->inline_reader, request);
        list_append(&served, &request->link);
    }
    while (!list_empty(&store->batches)) {
        take_group(store, &group, GROUP_BATCHES_MAX);
        serve_group(store, &group);
    }
    while ((link = list_shift(&served)))
        tell_read(LIST_ITEM(link, struct store_request, link)->read);
}

static void task_run(struct task *task)
{
    serve_inline(CONTAINER_OF(task, struct store, task));
}

static void timer_fired(struct timer *timer)
{
    serve_inline(CONTAINER_OF(timer, struct store, timer));
}

static void schedule_inline(struct store *store)
{
    if (store->held || (list_empty(&store->batches) && list_empty(&store->reads)))
        return;
    if (!store->delay_ms)
        loop_defer(store->inline_loop, &store->task);
    else if (!timer_running(&store->timer))
        timer_start(store->inline_loop, &store->timer, store->delay_ms);
}

/* ---- Asking ---- */

void store_commit(struct store *store, struct loop *loop, struct store_batch *batch,
                  struct store_commit *commit)
{
    commit->_loop = loop;
    commit->_mail.deliver = commit_deliver;
    batch->commit = commit;
    batch->asked_us = store->inline_loop ? loop_now_us(store->inline_loop) : 0;
    pthread_mutex_lock(&store->lock);
    list_append(&store->batches, &batch->link);
    store->stats.queued_batches++;
    store->stats.queued_bytes += batch->bytes;
    if (!store->inline_loop)
        pthread_cond_signal(&store->batch_came);
    pthread_mutex_unlock(&store->lock);
    if (store->inline_loop)
        schedule_inline(store);
}

void store_ask(struct store *store, struct loop *loop, struct store_request *request)
{
    request->read->_loop = loop;
    request->read->_mail.deliver = read_deliver;
    pthread_mutex_lock(&store->lock);
    list_append(&store->reads, &request->link);
    store->reads_waiting++;
    store->stats.queued_reads++;
    if (!store->inline_loop) {
        if (store->reads_waiting > store->readers_idle && store->reader_count < READERS_MAX)
            start_reader(store); /* when it can't, those that run do the work */
        pthread_cond_signal(&store->read_came);
    }
    pthread_mutex_unlock(&store->lock);
    if (store->inline_loop)
        schedule_inline(store);
}

int64_t store_newest_ms(const struct store *store)
{
    return store->newest_ms;
}

void store_stats(struct store *store, struct store_stats *ret)
{
    pthread_mutex_lock(&store->lock);
    *ret = store->stats;
    pthread_mutex_unlock(&store->lock);
}

/* ---- Opening and closing ---- */

static void free_store(struct store *store)
{
    const struct store_driver *driver = store->db->driver;
    if (store->inline_reader)
        driver->disconnect(store->inline_reader);
    if (store->writer)
        driver->disconnect(store->writer);
    driver->close(store->db);
    pthread_cond_destroy(&store->batch_came);
    pthread_cond_destroy(&store->read_came);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

enum err store_open(const char *url, struct loop *inline_loop, char *why, size_t why_room, struct store **ret)
{
    struct store_db *db;
    enum err err = store_db_open(url, why, why_room, &db);
    if (err)
        return err;
    err = store_open_db(db, inline_loop, ret);
    if (err)
        snprintf(why, why_room, "the store '%s' cannot start: %s", url, err_text(err));
    return err;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attr);
    pthread_condattr_destroy(&attr);
}

enum err store_open_db(struct store_db *db, struct loop *inline_loop, struct store **ret)
{
    struct store *store = NEW(struct store);
    store->db = db;
    store->inline_loop = inline_loop;
    store->task.run = task_run;
    store->timer.fired = timer_fired;
    list_init(&store->batches);
    list_init(&store->reads);
    pthread_mutex_init(&store->lock, NULL);
    init_condition(&store->batch_came);
    init_condition(&store->read_came);
    enum err err = db->driver->connect(db, true, &store->writer);
    if (!err && db->driver->newest_ms)
        store->newest_ms = db->driver->newest_ms(store->writer);
    if (!err && !inline_loop)
        err = start_threads(store);
    if (err) {
        free_store(store);
        return err;
    }
    *ret = store;
    return OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->inline_loop) {
        task_cancel(&store->task);
        timer_stop(&store->timer);
        serve_inline(store);
    } else {
        stop_threads(store);
    }
    free_store(store);
}

/* ---- For fail.c, and for simulations ---- */

struct store_db *store_db_of(struct store *store)
{
    return store->db;
}

void store_pace(struct store *store, bool held, unsigned delay_ms)
{
    pthread_mutex_lock(&store->lock);
    store->held = held;
    store->delay_ms = delay_ms;
    pthread_cond_broadcast(&store->batch_came);
    pthread_cond_broadcast(&store->read_came);
    pthread_mutex_unlock(&store->lock);
    if (!store->inline_loop)
        return;
    task_cancel(&store->task);
    timer_stop(&store->timer);
    schedule_inline(store);
}

void store_serve(struct store *store, unsigned batches)
{
    struct list group;
    take_group(store, &group, batches);
    if (!list_empty(&group))
        serve_group(store, &group);
}

uint64_t store_oldest_us(const struct store *store)
{
    const struct list *first = store->batches.next;
    return first == &store->batches ? loop_now_us(store->inline_loop)
                                    : LIST_ITEM(first, const struct store_batch, link)->asked_us;
}
