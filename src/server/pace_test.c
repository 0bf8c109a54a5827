/* SPDX-License-Identifier: MIT */
/* Actors that take turns: in which turn of the loop each of their stanzas comes, and in which order. On a
 * real shard in a simulated loop; the actors are of a kind of our own, which does nothing but work. */
#include "server/actor.h"

#include "base/log.h"
#include "loop/loop_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HEARD_MAX = 20000 };

static struct heard {
    struct actor *by;
    uint64_t turn;
    int number; /* the stanza's id */
} heard[HEARD_MAX];
static size_t heard_count;
static uint64_t cost; /* of a stanza */

struct world {
    struct sim *sim;
    struct loop *loop;
    const struct config *config;
    struct store *store;
    struct server *server;
    struct shard *shard;
};

static void receive(struct actor *actor, const struct delivery *delivery)
{
    uint64_t number = 0;
    assert_true(str_to_u64(delivery->stanza->id, HEARD_MAX, &number) && heard_count < HEARD_MAX);
    heard[heard_count++] = (struct heard){ actor, loop_turn(actor->shard->loop), (int)number };
    actor->shard->work += cost;
}

static void refuse(struct actor *actor, const struct delivery *delivery)
{
    (void)actor, (void)delivery;
}

static void nothing(struct actor *actor)
{
    (void)actor;
}

static void free_actor(struct actor *actor)
{
    free(actor);
}

static bool stays(const struct actor *actor)
{
    (void)actor;
    return false;
}

static const struct actor_kind worker = { .receive = receive,
                                          .refuse = refuse,
                                          .forget = nothing,
                                          .may_sleep = stays,
                                          .free = free_actor,
                                          .takes_turns = true };

static int open_world(void **state)
{
    static const struct ext *const none[] = { NULL };
    struct world *world = NEW(struct world);
    struct config_errors errors;
    char why[256] = "";
    config_errors_init(&errors);
    assert_int_equal(config_load_text("test", STR("host \"localhost\" { }\n"), NULL, &errors, &world->config),
                     OK);
    config_errors_fini(&errors);
    world->sim = sim_new(1);
    world->loop = sim_loop_new(world->sim);
    assert_int_equal(store_open("memory:", NULL, why, sizeof why, &world->store), OK);
    world->server = server_new(world->config, none, world->store, &world->loop, 1, why, sizeof why);
    assert_non_null(world->server);
    world->shard = world->server->shards[0];
    heard_count = 0;
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    store_close(world->store);
    server_free(world->server);
    loop_free(world->loop);
    sim_free(world->sim);
    config_unref(world->config);
    free(world);
    return 0;
}

static struct actor *worker_new(struct world *world, const char *name)
{
    struct actor *actor = NEW(struct actor);
    struct jid jid = jid_make(str_from(name), STR("localhost"), STR(""), &world->shard->arena);
    actor_start(actor, &worker, world->shard, world->server->host_list[0], &jid, false);
    actor->exists = true;
    return actor;
}

static void say(struct world *world, struct actor *actor, int number)
{
    struct arena *arena = &world->shard->arena;
    struct stanza *stanza = ARENA_NEW(arena, struct stanza);
    *stanza = stanza_make(STANZA_MESSAGE, TYPE_NONE, arena_printf(arena, "%d", number), str_none, arena);
    stanza->from = jid_make(STR("somebody"), STR("localhost"), STR("x"), arena);
    struct delivery delivery = { .stanza = stanza, .to = actor_jid(actor), .how = DELIVER_ROUTE };
    actor_deliver(actor, &delivery);
}

static void say_many(struct world *world, struct actor *const *actors, size_t count, int stanzas)
{
    shard_enter(world->shard);
    for (int i = 0; i < stanzas; i++)
        for (size_t a = 0; a < count; a++)
            say(world, actors[a], i);
    shard_leave(world->shard);
}

static size_t heard_in_turn(uint64_t turn)
{
    size_t count = 0;
    for (size_t i = 0; i < heard_count; i++)
        count += heard[i].turn == turn;
    return count;
}

static void what_costs_much_takes_turns(void **state)
{
    struct world *world = *state;
    struct actor *actors[] = { worker_new(world, "a"), worker_new(world, "b"), worker_new(world, "c") };
    int next[COUNT_OF(actors)] = { 0 };
    cost = PACE_WORK;
    say_many(world, actors, COUNT_OF(actors), 10);
    assert_int_equal(heard_count, 1);
    assert_true(sim_settle(world->sim, 1000));
    assert_int_equal(heard_count, 30);
    for (size_t i = 0; i < heard_count; i++) {
        assert_int_equal(heard_in_turn(heard[i].turn), 1);
        for (size_t a = 0; a < COUNT_OF(actors); a++)
            if (heard[i].by == actors[a])
                assert_int_equal(heard[i].number, next[a]++);
    }
    for (size_t i = 1; i + COUNT_OF(actors) < heard_count; i++) /* one after the other */
        assert_ptr_equal(heard[i].by, heard[i + COUNT_OF(actors)].by);
}

static void what_costs_little_comes_at_once(void **state)
{
    struct world *world = *state;
    struct actor *actor = worker_new(world, "a");
    cost = 1;
    say_many(world, &actor, 1, PACE_WORK / 2);
    assert_int_equal(heard_count, PACE_WORK / 2);
    assert_int_equal(heard_in_turn(heard[0].turn), PACE_WORK / 2);
    say_many(world, &actor, 1, PACE_WORK);
    assert_true(sim_settle(world->sim, 1000));
    assert_int_equal(heard_count, PACE_WORK / 2 + PACE_WORK);
    assert_int_equal(heard_in_turn(heard[0].turn), PACE_WORK);
}

/* As many as may come into a room at once wait, and no more. */
static void what_waits_is_bounded(void **state)
{
    struct world *world = *state;
    struct actor *actor = worker_new(world, "a");
    cost = PACE_WORK;
    say_many(world, &actor, 1, HEARD_MAX / 2 + 1000);
    assert_in_range(actor->parked_count, 5000, HEARD_MAX / 2);
    assert_true(sim_settle(world->sim, 2 * HEARD_MAX));
    assert_in_range(heard_count, 5000, HEARD_MAX / 2 + 1);
    assert_int_equal(actor->state, ACTOR_READY);
}

/* The shard ends while they wait. */
static void an_end_finds_some_waiting(void **state)
{
    struct world *world = *state;
    struct actor *actors[] = { worker_new(world, "a"), worker_new(world, "b") };
    cost = PACE_WORK;
    say_many(world, actors, COUNT_OF(actors), 3);
    assert_int_equal(heard_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_costs_much_takes_turns, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_costs_little_comes_at_once, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_waits_is_bounded, open_world, close_world),
        cmocka_unit_test_setup_teardown(an_end_finds_some_waiting, open_world, close_world),
    };
    log_set_level(LOG_AREA_COUNT, LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
