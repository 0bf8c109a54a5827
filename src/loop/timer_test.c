/* SPDX-License-Identifier: MIT */
/* The timer wheel against a model that is nothing but a number for each timer, and timers on both kinds of
 * loops. */
#include "loop/test_world.h"
#include "loop/wheel.h"

enum { TIMERS = 300, STEPS = 4000 };

static struct watched {
    struct timer timer;
    uint64_t due_ms; /* 0: stopped */
    unsigned fired;
} watched[TIMERS];

static uint64_t model_now_ms;
static struct wheel wheel;

static void on_fired(struct timer *timer)
{
    struct watched *self = CONTAINER_OF(timer, struct watched, timer);
    assert_true(self->due_ms);
    assert_true(wheel.tick * wheel.tick_ms >= self->due_ms);
    assert_false(timer_running(timer));
    self->due_ms = 0;
    self->fired++;
}

static void nothing_due_is_left(void)
{
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(timer_running(&watched[i].timer), watched[i].due_ms != 0);
        if (watched[i].due_ms)
            assert_true(watched[i].due_ms + wheel.tick_ms > model_now_ms);
    }
}

static void one_step(struct sim *dice)
{
    static const uint64_t spans[] = { 10, 600, 40000, 3000000, 200000000, 100000000000 };
    struct watched *self = &watched[sim_random(dice, TIMERS)];
    uint64_t span = spans[sim_random(dice, COUNT_OF(spans))];
    switch (sim_random(dice, 4)) {
    case 0:
        timer_stop(&self->timer);
        self->due_ms = 0;
        break;
    case 1: {
        uint64_t next = wheel_next_ms(&wheel);
        model_now_ms += sim_random(dice, 2) ? sim_random(dice, span) : 0;
        for (size_t i = 0; i < TIMERS; i++)
            if (watched[i].due_ms)
                assert_true(next < watched[i].due_ms + 2 * wheel.tick_ms);
        wheel_run(&wheel, model_now_ms);
        nothing_due_is_left();
        break;
    }
    default:
        timer_stop(&self->timer);
        self->due_ms = model_now_ms + 1 + sim_random(dice, span);
        wheel_add(&wheel, &self->timer, self->due_ms);
    }
}

static void wheel_agrees_with_a_model(void **state)
{
    (void)state;
    unsigned fired = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *dice = sim_new(seed);
        model_now_ms = 1000 + sim_random(dice, 1000000);
        wheel_init(&wheel, 1 + sim_random(dice, 10), model_now_ms);
        for (size_t i = 0; i < TIMERS; i++)
            watched[i] = (struct watched){ .timer.fired = on_fired };
        for (int i = 0; i < STEPS; i++)
            one_step(dice);
        for (size_t i = 0; i < TIMERS; i++) {
            fired += watched[i].fired;
            timer_stop(&watched[i].timer);
        }
        wheel_run(&wheel, model_now_ms += (uint64_t)1 << 42);
        assert_true(wheel_next_ms(&wheel) == UINT64_MAX);
        sim_free(dice);
    }
    assert_true(fired > 1000);
}

/* ---- On loops */

struct alarm {
    struct timer timer;
    struct world *world;
    uint64_t begun_us, delay_ms;
    unsigned rings;
};

static void alarm_again(struct timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    uint64_t took_us = loop_now_us(alarm->world->loop) - alarm->begun_us;
    assert_true(took_us >= alarm->delay_ms * 1000);
    if (alarm->world->sim)
        assert_true(took_us <= (alarm->delay_ms + 20) * 1000);
    if (++alarm->rings == 5) {
        world_done(alarm->world);
        return;
    }
    alarm->begun_us = loop_now_us(alarm->world->loop);
    timer_start(alarm->world->loop, timer, alarm->delay_ms = alarm->rings % 3 * 7);
}

static void fails(struct timer *timer)
{
    (void)timer;
    fail_msg("a stopped timer has fired");
}

static void timers_on(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    struct alarm alarm = { .timer.fired = alarm_again, .world = &world, .delay_ms = 15 };
    struct timer stopped = { .fired = fails };
    timer_start(world.loop, &stopped, 10);
    timer_start(world.loop, &alarm.timer, 60000);
    alarm.begun_us = loop_now_us(world.loop);
    timer_start(world.loop, &alarm.timer, 15);
    timer_stop(&stopped);
    timer_stop(&stopped);
    assert_false(timer_running(&stopped));
    assert_true(timer_running(&alarm.timer));
    world_run(&world);
    assert_int_equal(alarm.rings, 5);
    world_close(&world);
}

static void timers_on_a_real_loop(void **state)
{
    (void)state;
    timers_on(false);
}

static void timers_on_a_simulated_loop(void **state)
{
    (void)state;
    timers_on(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wheel_agrees_with_a_model),
        cmocka_unit_test(timers_on_a_real_loop),
        cmocka_unit_test(timers_on_a_simulated_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
