/* SPDX-License-Identifier: MIT */
/* The event loop: one thread that waits for sockets, timers, mail from other threads and finished work.
 *
 * There are two kinds behind this one face: loop_new() waits for the real world (libuv); loop_sim.h makes
 * loops that live in virtual time with a network in memory. Everything above src/loop works on both and
 * cannot tell them apart.
 *
 * Thread affinity: every call on a loop, and every callback, belongs to the loop's own thread, but for
 * loop_post() and loop_stop(), which any thread may call. No callback ever runs inside the call that asked
 * for it. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/err.h"
#include "base/list.h"

#include <stdint.h>

struct loop;

/* A loop of the real world, to be run by the calling thread or another one. */
struct loop *loop_new(void);

/* Frees a loop that does not run. Its sockets must be closed and its timers stopped; mail that was posted and
 * not delivered is delivered first. */
void loop_free(struct loop *loop);

/* Whether the loop lives in a simulation (loop_sim.h). */
bool loop_is_simulated(const struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);

/* Makes loop_run() return after the current turn. Any thread. */
void loop_stop(struct loop *loop);

/* Microseconds on a clock that never goes back, read once a turn: good for ages and deadlines. */
uint64_t loop_now_us(const struct loop *loop);

/* Milliseconds since 1970, by the wall clock (virtual in a simulation): good for stamps. */
int64_t loop_wall_ms(const struct loop *loop);

/* ---- Timers
 * -------------------------------------------------------------------------------------------------- */

/* A timer stands in the object that it serves. Zeroed memory is a stopped timer; set `fired` before starting.
 */
struct timer {
    struct list _link;
    uint64_t _due_ms;
    void (*fired)(struct timer *timer);
};

/* Fires once, not before `delay_ms` have passed (late by at most some 20 ms when the loop is not busy). A
 * running timer is started anew. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms);

/* The timer will not fire. Stopping a stopped timer does nothing. */
void timer_stop(struct timer *timer);

bool timer_running(const struct timer *timer);

/* ---- Tasks: later in the same turn
 * ----------------------------------------------------------------------------- */

/* Zeroed memory is a task that is not queued; set `run` before deferring. */
struct task {
    struct list _link;
    void (*run)(struct task *task);
};

/* Runs the task once, after the events at hand and before the loop sleeps: the place to flush what was
 * gathered. Deferring one that is deferred or queued does nothing. A task deferred by a running task runs in
 * the same turn. */
void loop_defer(struct loop *loop, struct task *task);

/* Takes a queued task back. */
void task_cancel(struct task *task);

/* Runs the task once, when those that were queued before have run: some of them each turn, for a third of a
 * millisecond (in a simulation: a fixed number), and then the sockets are looked at again. So however much is
 * queued, who has little to say is heard in between. A task that is queued or deferred already stays where it
 * is; one that is queued by a queued one runs in a later turn. */
void loop_queue(struct loop *loop, struct task *task);

/* Defers the task to the end of a turn, this one if it comes to that: when what the sockets brought has been
 * worked off and has left. From there it is the next turn's, which comes without sleep. While tasks are
 * queued too, they may alternate. */
void loop_defer_to_next_turn(struct loop *loop, struct task *task);

/* Whether something waits that was queued or deferred to the next turn, so that the loop does not sleep. */
bool loop_is_busy(const struct loop *loop);

/* A number that is another one in each turn: for who counts what he does in one. */
uint64_t loop_turn(const struct loop *loop);

/* ---- Mail: from any thread
 * ------------------------------------------------------------------------------------- */

struct mail {
    struct mail *_next;
    void (*deliver)(struct mail *mail); /* on the receiving loop; owns the mail from then on */
};

/* Hands a mail over to a loop, lock-free, with at most one wake-up for many. Mails of one sender arrive in
 * order. */
void loop_post(struct loop *loop, struct mail *mail);

/* ---- Work: on the pool of threads
 * -------------------------------------------------------------------------------- */

struct work {
    struct mail _mail;
    struct loop *_loop;
    struct work *_next;
    void (*run)(
        struct work *work); /* on a thread of the pool; touches nothing that a loop touches meanwhile */
    void (*done)(struct work *work); /* on the loop, once */
};

/* Runs `work->run` on the pool and then `work->done` on this loop. There is one pool for the process, of a
 * few threads; it starts at first use. In a simulation `run` is called by the loop itself at a later virtual
 * time. */
void loop_work(struct loop *loop, struct work *work);

#endif
