/* SPDX-License-Identifier: MIT */
/* The part of a loop that is the same in the real world and in a simulation: tasks, mail, and the way to the
 * kind's own functions.
 *
 * Mail is a stack that senders push to with one compare-and-swap and that the loop takes whole with one
 * exchange and turns round; so neither side ever waits and the order of each sender is kept. When the loop
 * must be woken is the kind's business. Tasks are a list that only the loop's thread touches.
 *
 * Not here: waiting (loop_uv.c, loop_sim.c), timers (timer.c), the pool of threads (work.c). */
#include "loop/loop_impl.h"

#include <assert.h>
#include <sched.h>

enum { POSTPONED_MAX = 16 };

void loop_init(struct loop *loop, const struct loop_kind *kind, uint64_t now_ms)
{
    loop->kind = kind;
    list_init(&loop->tasks);
    list_init(&loop->next);
    list_init(&loop->queue);
    atomic_init(&loop->mail, NULL);
    atomic_init(&loop->posting, 0);
    loop->sockets = 0;
    loop->works = 0;
    wheel_init(&loop->wheel, TICK_MS, now_ms);
}

void loop_fini(struct loop *loop)
{
    /* Who posted the last mail may still be on its way out of loop_post(). */
    while (atomic_load(&loop->posting))
        sched_yield();
    assert(!loop->sockets);
    assert(!loop->works);
    assert(!loop_has_mail(loop));
    assert(list_empty(&loop->tasks));
    assert(!loop_is_busy(loop));
    (void)loop;
}

void loop_free(struct loop *loop)
{
    if (loop)
        loop->kind->free(loop);
}

void loop_run(struct loop *loop)
{
    loop->kind->run(loop);
}

void loop_stop(struct loop *loop)
{
    loop->kind->stop(loop);
}

uint64_t loop_now_us(const struct loop *loop)
{
    /* The first look in a turn keeps the time for the rest of it: a hidden change, hence the cast. */
    return loop->kind->now_us((struct loop *)loop);
}

int64_t loop_wall_ms(const struct loop *loop)
{
    return loop->kind->wall_ms(loop);
}

size_t loop_socket_count(const struct loop *loop)
{
    return loop->sockets;
}

static bool queued(const struct task *task)
{
    return task->_link.next && !list_empty(&task->_link);
}

void loop_defer(struct loop *loop, struct task *task)
{
    if (!queued(task))
        list_append(&loop->tasks, &task->_link);
}

void task_cancel(struct task *task)
{
    if (queued(task))
        list_remove(&task->_link);
}

static void run_first(struct list *tasks)
{
    struct task *task = LIST_ITEM(list_shift(tasks), struct task, _link);
    task->run(task);
}

bool loop_run_tasks(struct loop *loop)
{
    if (list_empty(&loop->tasks))
        return false;
    while (!list_empty(&loop->tasks))
        run_first(&loop->tasks);
    return true;
}

bool loop_is_busy(const struct loop *loop)
{
    return !list_empty(&loop->next) || !list_empty(&loop->queue);
}

static void leave_for_later(struct loop *loop, struct list *where, struct task *task)
{
    if (queued(task))
        return;
    if (!loop_is_busy(loop))
        loop->kind->queued(loop);
    list_append(where, &task->_link);
}

void loop_queue(struct loop *loop, struct task *task)
{
    leave_for_later(loop, &loop->queue, task);
}

void loop_defer_to_next_turn(struct loop *loop, struct task *task)
{
    leave_for_later(loop, &loop->next, task);
}

uint64_t loop_turn(const struct loop *loop)
{
    return loop->turn;
}

/* All of a list comes before what is in the other. */
static void move_before(struct list *from, struct list *to)
{
    if (list_empty(from))
        return;
    from->prev->next = to->next;
    to->next->prev = from->prev;
    to->next = from->next;
    from->next->prev = to;
    list_init(from);
}

static void run_deferred(struct loop *loop)
{
    struct list now;
    list_init(&now);
    move_before(&loop->next, &now);
    while (!list_empty(&now))
        run_first(&now);
}

static void run_queue(struct loop *loop)
{
    struct list now;
    list_init(&now);
    move_before(&loop->queue, &now);
    for (unsigned done = 0; !list_empty(&now) && loop->kind->has_time(loop, done); done++)
        run_first(&now);
    move_before(&now, &loop->queue);
    if (list_empty(&loop->queue))
        loop->postponed = 0;
}

bool loop_run_portion(struct loop *loop)
{
    if (!loop_is_busy(loop))
        return false;
    bool queue_waits = !list_empty(&loop->queue);
    if (!list_empty(&loop->next) && (!queue_waits || loop->postponed < POSTPONED_MAX || loop->ran_queue)) {
        loop->postponed += queue_waits;
        loop->ran_queue = false;
        run_deferred(loop);
    } else {
        loop->ran_queue = true;
        run_queue(loop);
    }
    return true;
}

void loop_post(struct loop *loop, struct mail *mail)
{
    atomic_fetch_add_explicit(&loop->posting, 1, memory_order_relaxed);
    struct mail *top = atomic_load_explicit(&loop->mail, memory_order_relaxed);
    do
        mail->_next = top;
    while (!atomic_compare_exchange_weak(&loop->mail, &top, mail));
    loop->kind->posted(loop);
    atomic_fetch_sub(&loop->posting, 1);
}

bool loop_deliver_mail(struct loop *loop)
{
    if (!atomic_load_explicit(&loop->mail, memory_order_relaxed))
        return false;
    struct mail *newest = atomic_exchange(&loop->mail, NULL), *oldest = NULL;
    while (newest) {
        struct mail *next = newest->_next;
        newest->_next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct mail *next = oldest->_next;
        oldest->deliver(oldest);
        oldest = next;
    }
    return true;
}
