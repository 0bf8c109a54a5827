/* SPDX-License-Identifier: MIT */
/* Receipts: complete once, when the last one lets go, at home, wherever that was. */
#include "server/receipt.h"

#include "loop/loop_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
    struct sim *sim;
    struct server server;
    struct shard home, other;
    struct receipt receipt;
    unsigned done, marked;
};

static struct world *the_world;

static void done(struct receipt *receipt)
{
    assert_ptr_equal(receipt, &the_world->receipt);
    the_world->done++;
}

static void mark(const struct receipt *receipt, struct store_batch *batch)
{
    (void)receipt;
    (void)batch;
    the_world->marked++;
}

static int open_world(void **state)
{
    struct world *world = the_world = NEW(struct world);
    world->sim = sim_new(1);
    world->server.shard_count = 1;
    struct shard *shards[] = { &world->home, &world->other };
    for (unsigned i = 0; i < COUNT_OF(shards); i++) {
        shards[i]->server = &world->server;
        shards[i]->loop = sim_loop_new(world->sim);
        arena_init(&shards[i]->arena, 256);
        list_init(&shards[i]->gatherings);
        list_init(&shards[i]->_sm_ending);
        list_init(&shards[i]->_sm_remains);
        list_init(&shards[i]->_again);
    }
    receipt_init(&world->receipt, &world->home, done, mark);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    arena_fini(&world->home.arena);
    arena_fini(&world->other.arena);
    loop_free(world->home.loop);
    loop_free(world->other.loop);
    sim_free(world->sim);
    free(world);
    return 0;
}

static void without_one_nothing_happens(void **state)
{
    struct world *world = *state;
    assert_null(receipt_hold(&world->home));
    receipt_mark(&world->home, NULL);
    receipt_stored(NULL);
    receipt_release(&world->home, NULL);
    assert_int_equal(world->done + world->marked, 0);
    receipt_release(&world->home, &world->receipt);
    assert_int_equal(world->done, 1);
}

static void the_last_one_completes_it(void **state)
{
    struct world *world = *state;
    struct receipt *before = receipt_enter(&world->home, &world->receipt);
    assert_null(before);
    assert_ptr_equal(receipt_hold(&world->home), &world->receipt);
    receipt_mark(&world->home, NULL);
    receipt_leave(&world->home, before);
    receipt_release(&world->home, &world->receipt);
    assert_int_equal(world->done, 0);
    assert_false(receipt_is_stored(&world->receipt));
    receipt_stored(&world->receipt);
    receipt_release(&world->home, &world->receipt);
    assert_int_equal(world->done, 1);
    assert_int_equal(world->marked, 1);
    assert_true(receipt_is_stored(&world->receipt));
}

static void it_completes_at_home(void **state)
{
    struct world *world = *state;
    receipt_release(&world->other, &world->receipt);
    assert_int_equal(world->done, 0);
    sim_settle(world->sim, 100);
    assert_int_equal(world->done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_one_nothing_happens, open_world, close_world),
        cmocka_unit_test_setup_teardown(the_last_one_completes_it, open_world, close_world),
        cmocka_unit_test_setup_teardown(it_completes_at_home, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
