/* SPDX-License-Identifier: MIT */
/* The pool of threads: what blocks or computes for long, away from the loops (password hashing, files).
 *
 * One queue behind one lock for the process, and as many threads as there are cores, four at most; they are
 * made at the first piece of work and stay until the process ends. Work comes back as mail, so `done` is a
 * callback of the loop like any other. libuv's own pool is not used, because it can't be told to complete
 * through our mail and it would double the size of each piece of work.
 *
 * The queue has no limit of its own: each piece belongs to an operation that its owner limits. */
#include "loop/loop_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_MAX = 4 };

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct work *first, **end;
} pool = { .once = PTHREAD_ONCE_INIT,
           .lock = PTHREAD_MUTEX_INITIALIZER,
           .filled = PTHREAD_COND_INITIALIZER,
           .end = &pool.first };

static struct work *take(void)
{
    pthread_mutex_lock(&pool.lock);
    while (!pool.first)
        pthread_cond_wait(&pool.filled, &pool.lock);
    struct work *work = pool.first;
    pool.first = work->_next;
    if (!pool.first)
        pool.end = &pool.first;
    pthread_mutex_unlock(&pool.lock);
    return work;
}

static void *worker(void *unused)
{
    (void)unused;
    for (;;) {
        struct work *work = take();
        work->run(work);
        loop_post(work->_loop, &work->_mail);
    }
    return NULL;
}

static void start_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < THREADS_MAX && i < (cores < 2 ? 2 : cores); i++) {
        pthread_t thread;
        /* Without a single thread work would wait for ever; with one of several missing it is only slower. */
        if (pthread_create(&thread, NULL, worker, NULL) == 0)
            pthread_detach(thread);
        else if (i == 0)
            abort();
    }
}

void pool_submit(struct work *work)
{
    pthread_once(&pool.once, start_threads);
    work->_next = NULL;
    pthread_mutex_lock(&pool.lock);
    *pool.end = work;
    pool.end = &work->_next;
    pthread_cond_signal(&pool.filled);
    pthread_mutex_unlock(&pool.lock);
}

static void work_arrived(struct mail *mail)
{
    struct work *work = CONTAINER_OF(mail, struct work, _mail);
    work->_loop->works--;
    work->done(work);
}

void work_arm(struct loop *loop, struct work *work)
{
    work->_loop = loop;
    work->_mail.deliver = work_arrived;
    loop->works++;
}

void loop_work(struct loop *loop, struct work *work)
{
    work_arm(loop, work);
    loop->kind->work(loop, work);
}
