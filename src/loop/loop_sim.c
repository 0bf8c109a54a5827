/* SPDX-License-Identifier: MIT */
/* The simulated world: its clock, its randomness, and turns of its loops.
 *
 * Real loops run at once on several threads; here one thread gives each loop a turn, in an order that is
 * drawn anew each round, so that one seed after the other tries the orders that the real world might show. In
 * a turn a loop does what a real one does, in the same sequence: sockets, mail and tasks, some of the queued
 * tasks, timers, mail and tasks again.
 *
 * Time stands still while anything is left to do, and then jumps to the next timer or delivery. The world's
 * own wheel (ticks of a millisecond) holds bytes under way and work that takes time; the loops' timers are on
 * their own wheels as always.
 *
 * The network in memory: socket_sim.c. */
#include "loop/sim_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAIL_ROUNDS_MAX = 64, SLICE_TASKS = 4 };

/* More turns than this in one instant are a livelock: the simulation is a test, and the test has failed. */
#define TURNS_IN_AN_INSTANT 10000000u

/* The world begins at 2026-01-01T00:00:00Z. */
#define WALL_START_MS 1767225600000

/* ---- Randomness: xoshiro256**, by Blackman and Vigna, seeded through splitmix64 */

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t next_random(struct sim *sim)
{
    uint64_t *s = sim->random, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static void seed_random(struct sim *sim, uint64_t seed)
{
    for (size_t i = 0; i < COUNT_OF(sim->random); i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        sim->random[i] = z ^ z >> 31;
    }
}

uint64_t sim_random(struct sim *sim, uint64_t below)
{
    return below ? next_random(sim) % below : 0; /* the bias is of no matter here */
}

/* ---- The world */

struct sim *sim_new(uint64_t seed)
{
    struct sim *sim = NEW(struct sim);
    seed_random(sim, seed);
    list_init(&sim->loops);
    list_init(&sim->sockets);
    list_init(&sim->due);
    wheel_init(&sim->wheel, 1, 0);
    slab_init(&sim->socket_slab, sim_socket_size());
    sim->next_port = 40000;
    return sim;
}

void sim_free(struct sim *sim)
{
    sim_records_clear(sim);
    assert(list_empty(&sim->loops) && list_empty(&sim->due) && !sim->listeners && !sim->socket_slab.in_use);
    slab_fini(&sim->socket_slab);
    free(sim);
}

void sim_set_faults(struct sim *sim, const struct sim_faults *faults)
{
    sim->faults = *faults;
}

uint64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

size_t sim_bytes_in_flight(const struct sim *sim)
{
    return sim->bytes;
}

uint64_t sim_timer_start(struct sim *sim, struct timer *timer, unsigned max_ms, uint64_t floor_us)
{
    uint64_t due_us = sim->now_us + sim_random(sim, (uint64_t)max_ms + 1) * 1000;
    if (due_us < floor_us)
        due_us = floor_us;
    if (due_us <= sim->now_us)
        list_append(&sim->due, &timer->_link);
    else
        wheel_add(&sim->wheel, timer, (due_us + 999) / 1000);
    return due_us;
}

/* ---- Loops */

static void free_loop(struct loop *base);

static void no_run(struct loop *loop)
{
    (void)loop;
    assert(!"sim_run() drives the loops of a simulation");
}

static void no_stop(struct loop *loop)
{
    (void)loop; /* it never runs by itself */
}

static uint64_t now_us(struct loop *loop)
{
    return sim_of(loop)->sim->now_us;
}

static int64_t wall_ms(const struct loop *loop)
{
    const struct sim_loop *self = CONTAINER_OF(loop, const struct sim_loop, loop);
    return WALL_START_MS + (int64_t)(self->sim->now_us / 1000);
}

static void nothing(struct loop *loop)
{
    (void)loop; /* wheels and mailboxes are looked at in each turn */
}

static bool has_time(struct loop *loop, unsigned done)
{
    (void)loop;
    return done < SLICE_TASKS;
}

struct sim_work {
    struct timer timer;
    struct work *work;
};

static void work_due(struct timer *timer)
{
    struct sim_work *self = CONTAINER_OF(timer, struct sim_work, timer);
    struct work *work = self->work;
    free(self);
    work->run(work);
    loop_post(work->_loop, &work->_mail);
}

static void work(struct loop *loop, struct work *work)
{
    struct sim *sim = sim_of(loop)->sim;
    struct sim_work *self = NEW(struct sim_work);
    self->work = work;
    self->timer.fired = work_due;
    sim_timer_start(sim, &self->timer, sim->faults.work_ms_max, 0);
}

static const struct loop_kind sim_kind = {
    .free = free_loop,
    .run = no_run,
    .stop = no_stop,
    .now_us = now_us,
    .wall_ms = wall_ms,
    .timer_started = nothing,
    .posted = nothing,
    .queued = nothing,
    .has_time = has_time,
    .work = work,
    .listen = sim_socket_listen,
    .connect = sim_socket_connect,
    .attach = sim_socket_attach,
    .error = sim_socket_error,
    .want = sim_socket_want,
    .read = sim_socket_read,
    .write = sim_socket_write,
    .shutdown = sim_socket_shutdown,
    .close = sim_socket_close,
    .peer = sim_socket_peer,
    .detach = sim_socket_detach,
};

bool loop_is_simulated(const struct loop *loop)
{
    return loop->kind == &sim_kind;
}

struct loop *sim_loop_new(struct sim *sim)
{
    struct sim_loop *loop = NEW(struct sim_loop);
    loop_init(&loop->loop, &sim_kind, sim->now_us / 1000);
    loop->sim = sim;
    list_init(&loop->ready);
    list_append(&sim->loops, &loop->link);
    return &loop->loop;
}

static bool drain(struct sim_loop *loop)
{
    bool any = false;
    for (int i = 0; i < MAIL_ROUNDS_MAX; i++) {
        bool mail = loop_deliver_mail(&loop->loop);
        if (!loop_run_tasks(&loop->loop) && !mail)
            break;
        any = true;
    }
    return any;
}

static bool timers(struct wheel *wheel, uint64_t now_us)
{
    if (wheel_next_ms(wheel) > now_us / 1000)
        return false;
    wheel_run(wheel, now_us / 1000);
    return true;
}

/* Fires what is due now; what that causes to be due now waits for the next turn. */
static bool deliveries(struct sim *sim)
{
    bool any = timers(&sim->wheel, sim->now_us);
    struct list now, *link;
    if (list_empty(&sim->due))
        return any;
    list_init(&now);
    list_insert_before(&sim->due, &now);
    list_remove(&sim->due);
    while ((link = list_shift(&now))) {
        struct timer *timer = LIST_ITEM(link, struct timer, _link);
        timer->fired(timer);
    }
    return true;
}

static bool take_turn(struct sim_loop *loop)
{
    loop->loop.turn++;
    bool any = sim_sockets_turn(loop);
    any |= drain(loop);
    if (loop_run_portion(&loop->loop)) {
        any = true;
        drain(loop);
    }
    any |= timers(&loop->loop.wheel, loop->sim->now_us);
    any |= drain(loop);
    return any || loop_is_busy(&loop->loop);
}

static void free_loop(struct loop *base)
{
    struct sim_loop *loop = sim_of(base);
    while (loop_run_portion(base) || drain(loop) || base->works)
        if (base->works)
            sim_advance(loop->sim, 1);
    loop_fini(base);
    list_remove(&loop->link);
    free(loop);
}

/* ---- Turns */

/* Begins with any of the loops and goes round in either direction. */
static bool world_turn(struct sim *sim)
{
    bool any = deliveries(sim);
    size_t count = 0;
    list_each (link, &sim->loops)
        count++;
    bool backwards = sim_random(sim, 2) != 0;
    struct list *at = sim->loops.next;
    for (uint64_t skip = sim_random(sim, count); skip; skip--)
        at = at->next;
    for (size_t i = 0; i < count; i++) {
        any |= take_turn(LIST_ITEM(at, struct sim_loop, link));
        do
            at = backwards ? at->prev : at->next;
        while (at == &sim->loops);
    }
    return any;
}

bool sim_settle(struct sim *sim, unsigned turns_max)
{
    for (unsigned i = 0; i < turns_max; i++)
        if (!world_turn(sim))
            return true;
    return false;
}

static void settle_or_fail(struct sim *sim)
{
    if (sim_settle(sim, TURNS_IN_AN_INSTANT))
        return;
    fprintf(stderr, "simulation: the loops never come to rest at %llu us\n", (unsigned long long)sim->now_us);
    abort();
}

/* When something is to happen next; in milliseconds. */
static uint64_t next_ms(const struct sim *sim)
{
    uint64_t next = wheel_next_ms(&sim->wheel);
    list_each (link, &sim->loops) {
        uint64_t of_loop = wheel_next_ms(&LIST_ITEM(link, struct sim_loop, link)->loop.wheel);
        if (of_loop < next)
            next = of_loop;
    }
    return next;
}

void sim_advance(struct sim *sim, uint64_t ms)
{
    uint64_t end_us = sim->now_us + ms * 1000;
    for (;;) {
        settle_or_fail(sim);
        uint64_t next = next_ms(sim);
        if (next > end_us / 1000)
            break;
        if (next * 1000 > sim->now_us)
            sim->now_us = next * 1000;
    }
    sim->now_us = end_us;
    settle_or_fail(sim);
}
