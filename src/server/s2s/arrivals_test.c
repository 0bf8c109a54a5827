/* SPDX-License-Identifier: MIT */
/* What is counted of what comes from another server: in its order, once, and within bounds. */
#include "server/s2s/s2s_arrivals.h"

#include "loop/loop_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 3000, KNOWN_MAX = 1000 };

struct world {
    struct sim *sim;
    struct server server;
    struct shard shard;
    struct arrivals *arrivals;
    unsigned moves;
};

static void moved(void *owner)
{
    ((struct world *)owner)->moves++;
}

static int open_world(void **state)
{
    struct world *world = NEW(struct world);
    world->sim = sim_new(1);
    world->server.shard_count = 1;
    world->shard.server = &world->server;
    world->shard.loop = sim_loop_new(world->sim);
    arena_init(&world->shard.arena, 256);
    world->arrivals = arrivals_new(&world->shard, moved, world);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    arena_fini(&world->shard.arena);
    loop_free(world->shard.loop);
    sim_free(world->sim);
    free(world);
    return 0;
}

static struct receipt *comes(struct world *world, unsigned number)
{
    char id[16];
    int len = snprintf(id, sizeof id, "m%u", number);
    struct stanza stanza = { .kind = STANZA_MESSAGE, .id = { id, (size_t)len } };
    stanza.from.full = STR("romeo@a.example/r");
    stanza.to.full = STR("juliet@b.example");
    return arrivals_add(world->arrivals, &stanza);
}

static void only_what_all_before_it_is_done_with_counts(void **state)
{
    struct world *world = *state;
    struct receipt *receipts[3];
    for (unsigned i = 0; i < 3; i++)
        assert_non_null(receipts[i] = comes(world, i));
    assert_true(receipts[0]->of_server);
    receipt_release(&world->shard, receipts[1]);
    assert_int_equal(world->arrivals->safe, 0);
    receipt_release(&world->shard, receipts[0]);
    assert_int_equal(world->arrivals->safe, 2);
    receipt_release(&world->shard, receipts[2]);
    assert_int_equal(world->arrivals->safe, 3);
    assert_int_equal(world->arrivals->in, 3);
    assert_int_equal(arrivals_ack(world->arrivals), 3);
    assert_int_equal(world->moves, 2);
    arrivals_release(world->arrivals);
}

static void what_was_not_taken_stops_the_count(void **state)
{
    struct world *world = *state;
    struct receipt *receipts[4];
    for (unsigned i = 0; i < 4; i++)
        receipts[i] = comes(world, i);
    arrivals_not_taken(receipts[3]);
    arrivals_not_taken(receipts[2]);
    for (unsigned i = 0; i < 4; i++)
        receipt_release(&world->shard, receipts[i]);
    assert_int_equal(world->arrivals->safe, 4);
    assert_int_equal(arrivals_ack(world->arrivals), 2);
    arrivals_release(world->arrivals);
}

static void what_comes_again_is_only_counted(void **state)
{
    struct world *world = *state;
    struct receipt *first = comes(world, 0), *second = comes(world, 1), *third = comes(world, 2);
    receipt_release(&world->shard, first);
    receipt_release(&world->shard, third);
    arrivals_count_anew(world->arrivals);
    assert_int_equal(world->arrivals->in, 1);
    assert_null(comes(world, 1));
    assert_null(comes(world, 2));
    assert_int_equal(world->arrivals->in, 3);
    assert_int_equal(world->arrivals->safe, 1);
    receipt_release(&world->shard, second);
    assert_int_equal(world->arrivals->safe, 3);
    struct receipt *fresh = comes(world, 2); /* a new one with an old id */
    assert_non_null(fresh);
    receipt_release(&world->shard, fresh);
    arrivals_release(world->arrivals);
}

static void a_peer_that_never_sends_again_is_forgotten(void **state)
{
    struct world *world = *state;
    struct receipt *first = comes(world, 0);
    for (unsigned i = 1; i < MANY; i++) {
        receipt_release(&world->shard, comes(world, i));
        if (i % 100 == 0)
            arrivals_count_anew(world->arrivals);
        size_t known = 0;
        list_each (at, &world->arrivals->_known)
            known++;
        assert_true(known <= KNOWN_MAX);
    }
    receipt_release(&world->shard, first);
    assert_null(comes(world, 0)); /* it was under way, and is not forgotten as long as that */
    arrivals_release(world->arrivals);
}

static void who_has_let_go_hears_nothing(void **state)
{
    struct world *world = *state;
    struct receipt *first = comes(world, 0), *second = comes(world, 1);
    arrivals_count_anew(world->arrivals);
    arrivals_release(world->arrivals);
    receipt_release(&world->shard, second);
    receipt_release(&world->shard, first);
    assert_int_equal(world->moves, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_what_all_before_it_is_done_with_counts, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_was_not_taken_stops_the_count, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_comes_again_is_only_counted, open_world, close_world),
        cmocka_unit_test_setup_teardown(a_peer_that_never_sends_again_is_forgotten, open_world, close_world),
        cmocka_unit_test_setup_teardown(who_has_let_go_hears_nothing, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
