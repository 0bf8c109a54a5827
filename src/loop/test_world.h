/* SPDX-License-Identifier: MIT */
/* For tests: one face for a real loop and a simulated one, and a way to run it until the test is done or has
 * taken too long. */
#ifndef LOOP_TEST_WORLD_H
#define LOOP_TEST_WORLD_H

#include "loop/loop_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WORLD_PATIENCE_MS = 30000 };

struct world {
    struct sim *sim; /* NULL: the real world */
    struct loop *loop;
    struct timer guard;
    bool done;
};

static inline void world_out_of_patience(struct timer *timer)
{
    struct world *world = CONTAINER_OF(timer, struct world, guard);
    loop_stop(world->loop);
}

static inline void world_open(struct world *world, bool simulated, uint64_t seed)
{
    *world = (struct world){ .guard.fired = world_out_of_patience };
    world->sim = simulated ? sim_new(seed) : NULL;
    world->loop = simulated ? sim_loop_new(world->sim) : loop_new();
}

static inline void world_close(struct world *world)
{
    assert_int_equal(loop_socket_count(world->loop), 0);
    loop_free(world->loop);
    if (world->sim)
        sim_free(world->sim);
}

/* To be called by what the test waits for. */
static inline void world_done(struct world *world)
{
    world->done = true;
    if (!world->sim)
        loop_stop(world->loop);
}

/* Runs until world_done(); fails the test when that does not come. */
static inline void world_run(struct world *world)
{
    world->done = false;
    if (world->sim) {
        for (int i = 0; i < WORLD_PATIENCE_MS && !world->done; i++)
            sim_advance(world->sim, 1);
    } else {
        timer_start(world->loop, &world->guard, WORLD_PATIENCE_MS);
        loop_run(world->loop);
        timer_stop(&world->guard);
    }
    assert_true(world->done);
}

#endif
