/* SPDX-License-Identifier: MIT */
/* The loop of the real world, on libuv.
 *
 * A turn: libuv waits and calls the sockets that are ready (socket_uv.c); after that, `after_sleep` delivers
 * the mail and runs the tasks, which flush what the turn gathered, and a portion of what can wait; then due
 * timers fire; then `before_sleep` does for them what `after_sleep` did for the sockets, and the loop sleeps
 * again.
 *
 * System calls are what a turn costs, so none is made that is not needed. A sender writes to libuv's wake-up
 * descriptor only if the loop sleeps: `sleeps` is set before the last look into the mailbox, and a sender
 * looks at it after it has put its mail in, so one of the two always sees the other. One libuv timer serves
 * all timers, and is set anew only when an earlier one comes. The clock is read when somebody asks, once a
 * turn.
 *
 * Sockets: socket_uv.c. The pool of threads: work.c. libuv's own streams, timers and queues of work are not
 * used. */
#include "loop/uv_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum { MAIL_ROUNDS_MAX = 64, SLICE_NS = 300 * 1000 };

/* Mail and tasks cause more of both. What is left after many rounds waits for the next turn, so that two
 * parts which write to each other can't keep the sockets from being read. */
static void drain(struct uv_loop *loop)
{
    for (int i = 0; i < MAIL_ROUNDS_MAX; i++) {
        bool mail = loop_deliver_mail(&loop->loop);
        if (!loop_run_tasks(&loop->loop) && !mail)
            return;
    }
}

static void arm_timer(struct uv_loop *loop);

static void timer_due(uv_timer_t *timer)
{
    struct uv_loop *loop = timer->data;
    loop->armed_ms = UINT64_MAX;
    loop->now_us = uv_hrtime() / 1000;
    wheel_run(&loop->loop.wheel, loop->now_us / 1000);
    arm_timer(loop);
}

static void arm_timer(struct uv_loop *loop)
{
    uint64_t next_ms = wheel_next_ms(&loop->loop.wheel);
    if (next_ms >= loop->armed_ms)
        return;
    /* libuv adds its own idea of now, which is of the same clock, to the delay: however old, it cancels out.
     */
    uint64_t now_ms = uv_now(&loop->uv);
    loop->armed_ms = next_ms;
    uv_timer_start(&loop->timer, timer_due, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void timer_started(struct loop *loop)
{
    arm_timer(uv_of(loop));
}

static void woken(uv_async_t *wake)
{
    (void)wake; /* the mail is delivered after the sockets */
}

static void no_sleep(uv_idle_t *busy)
{
    (void)busy; /* that it is active is all it is for */
}

static void queued(struct loop *base)
{
    struct uv_loop *loop = uv_of(base);
    uv_idle_start(&loop->busy, no_sleep);
}

static bool has_time(struct loop *base, unsigned done)
{
    struct uv_loop *loop = uv_of(base);
    uint64_t now_ns = uv_hrtime();
    if (!done)
        loop->slice_ns = now_ns;
    return now_ns - loop->slice_ns < SLICE_NS;
}

static void after_sleep(uv_check_t *check)
{
    struct uv_loop *loop = check->data;
    atomic_store_explicit(&loop->sleeps, false, memory_order_relaxed);
    drain(loop);
    if (loop_run_portion(&loop->loop))
        drain(loop); /* what it caused leaves in this turn */
}

static void fall_asleep(struct uv_loop *loop)
{
    uv_idle_stop(&loop->busy);
    atomic_store(&loop->sleeps, true);
    if (loop_has_mail(&loop->loop) || !list_empty(&loop->loop.tasks) || atomic_load(&loop->stopping)) {
        atomic_store(&loop->sleeps, false);
        uv_async_send(&loop->wake);
    }
}

static void before_sleep(uv_prepare_t *prepare)
{
    struct uv_loop *loop = prepare->data;
    drain(loop);
    loop->now_us = 0;
    if (!loop_is_busy(&loop->loop))
        fall_asleep(loop);
    if (atomic_load(&loop->stopping))
        uv_stop(&loop->uv);
    loop->loop.turn++;
}

static void posted(struct loop *base)
{
    struct uv_loop *loop = uv_of(base);
    if (atomic_load(&loop->sleeps) && atomic_exchange(&loop->sleeps, false))
        uv_async_send(&loop->wake);
}

static void run(struct loop *base)
{
    struct uv_loop *loop = uv_of(base);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store(&loop->sleeps, false);
    atomic_store(&loop->stopping, false);
    loop->now_us = 0;
}

static void stop(struct loop *base)
{
    struct uv_loop *loop = uv_of(base);
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->wake);
}

static uint64_t now_us(struct loop *base)
{
    struct uv_loop *loop = uv_of(base);
    if (!loop->now_us)
        loop->now_us = uv_hrtime() / 1000;
    return loop->now_us;
}

static int64_t wall_ms(const struct loop *loop)
{
    (void)loop;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void work(struct loop *loop, struct work *work)
{
    (void)loop;
    pool_submit(work);
}

/* What was asked for before the end still happens: mail, tasks, and work that the pool has under way. */
static void settle(struct uv_loop *loop)
{
    do {
        drain(loop);
        uv_run(&loop->uv, loop->loop.works ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    } while (loop->loop.works || loop_has_mail(&loop->loop) || !list_empty(&loop->loop.tasks) ||
             loop_is_busy(&loop->loop));
}

static void free_loop(struct loop *base)
{
    struct uv_loop *loop = uv_of(base);
    settle(loop);
    loop_fini(&loop->loop);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->before_sleep, NULL);
    uv_close((uv_handle_t *)&loop->after_sleep, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->busy, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int failed = uv_loop_close(&loop->uv);
    assert(!failed && !loop->socket_slab.in_use);
    (void)failed;
    slab_fini(&loop->socket_slab);
    free(loop);
}

static const struct loop_kind uv_kind = {
    .free = free_loop,
    .run = run,
    .stop = stop,
    .now_us = now_us,
    .wall_ms = wall_ms,
    .timer_started = timer_started,
    .posted = posted,
    .queued = queued,
    .has_time = has_time,
    .work = work,
    .listen = uv_socket_listen,
    .connect = uv_socket_connect,
    .attach = uv_socket_attach,
    .error = uv_socket_error,
    .want = uv_socket_want,
    .read = uv_socket_read,
    .write = uv_socket_write,
    .shutdown = uv_socket_shutdown,
    .close = uv_socket_close,
    .peer = uv_socket_peer,
    .detach = uv_socket_detach,
};

/* libuv fails here only when the process has no descriptors or memory left for a loop: nothing works without
 * one. */
static void must(int result)
{
    if (result < 0)
        abort();
}

struct loop *loop_new(void)
{
    struct uv_loop *loop = NEW(struct uv_loop);
    loop_init(&loop->loop, &uv_kind, uv_hrtime() / 1000000);
    slab_init(&loop->socket_slab, uv_socket_size());
    loop->armed_ms = UINT64_MAX;
    must(uv_loop_init(&loop->uv));
    must(uv_async_init(&loop->uv, &loop->wake, woken));
    must(uv_prepare_init(&loop->uv, &loop->before_sleep));
    must(uv_check_init(&loop->uv, &loop->after_sleep));
    must(uv_timer_init(&loop->uv, &loop->timer));
    must(uv_idle_init(&loop->uv, &loop->busy));
    loop->before_sleep.data = loop->after_sleep.data = loop->timer.data = loop;
    uv_prepare_start(&loop->before_sleep, before_sleep);
    uv_check_start(&loop->after_sleep, after_sleep);
    return &loop->loop;
}
