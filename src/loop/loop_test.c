/* SPDX-License-Identifier: MIT */
/* Tasks, mail and work, on both kinds of loops; and mail between threads. */
#include "loop/test_world.h"

#include <pthread.h>
#include <unistd.h>

/* ---- One loop */

struct trace {
    struct world *world;
    struct task first, second;
    struct mail mail;
    struct timer timer;
    struct work work;
    char text[32];
    pthread_t worker;
};

static void note(struct trace *trace, char c)
{
    size_t len = strlen(trace->text);
    assert_true(len + 1 < sizeof trace->text);
    trace->text[len] = c;
}

static void second_runs(struct task *task)
{
    note(CONTAINER_OF(task, struct trace, second), 'b');
}

static void first_runs(struct task *task)
{
    struct trace *trace = CONTAINER_OF(task, struct trace, first);
    note(trace, 'a');
    loop_defer(trace->world->loop, &trace->second);
    loop_defer(trace->world->loop, &trace->second);
}

static void mail_comes(struct mail *mail)
{
    struct trace *trace = CONTAINER_OF(mail, struct trace, mail);
    note(trace, 'm');
    world_done(trace->world);
}

static void work_runs(struct work *work)
{
    struct trace *trace = CONTAINER_OF(work, struct trace, work);
    note(trace, 'w');
    trace->worker = pthread_self();
}

static void work_is_done(struct work *work)
{
    struct trace *trace = CONTAINER_OF(work, struct trace, work);
    note(trace, 'd');
    assert_true(!pthread_equal(trace->worker, pthread_self()) == !trace->world->sim);
    world_done(trace->world);
}

static void timer_defers(struct timer *timer)
{
    struct trace *trace = CONTAINER_OF(timer, struct trace, timer);
    loop_defer(trace->world->loop, &trace->first);
    loop_post(trace->world->loop, &trace->mail);
    note(trace, 't');
}

static void tasks_and_mail(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    struct trace trace = { .world = &world,
                           .first.run = first_runs,
                           .second.run = second_runs,
                           .mail.deliver = mail_comes,
                           .timer.fired = timer_defers };
    loop_defer(world.loop, &trace.second);
    task_cancel(&trace.second);
    task_cancel(&trace.second);
    timer_start(world.loop, &trace.timer, 1);
    assert_string_equal(trace.text, "");
    world_run(&world);
    world_close(&world);
    assert_int_equal(trace.text[0], 't');
    assert_non_null(strstr(trace.text, "ab"));
    assert_non_null(strchr(trace.text, 'm'));
    assert_int_equal(strlen(trace.text), 4);
}

static void work_comes_back(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    struct trace trace = { .world = &world, .work.run = work_runs, .work.done = work_is_done };
    loop_work(world.loop, &trace.work);
    world_run(&world);
    world_close(&world);
    assert_string_equal(trace.text, "wd");
}

static void a_loop_ends_with_all_done(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    struct trace working = { .world = &world, .work.run = work_runs, .work.done = work_is_done };
    struct trace mailed = { .world = &world, .mail.deliver = mail_comes };
    loop_work(world.loop, &working.work);
    loop_post(world.loop, &mailed.mail);
    world_close(&world);
    assert_string_equal(working.text, "wd");
    assert_string_equal(mailed.text, "m");
}

static void clocks_go_on(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    struct trace trace = { .world = &world, .mail.deliver = mail_comes, .timer.fired = timer_defers };
    trace.first.run = first_runs;
    trace.second.run = second_runs;
    uint64_t begun_us = loop_now_us(world.loop);
    assert_true(loop_wall_ms(world.loop) > 1700000000000);
    timer_start(world.loop, &trace.timer, 5);
    world_run(&world);
    assert_true(loop_now_us(world.loop) >= begun_us + 5000);
    world_close(&world);
}

/* ---- A queue */

enum { QUEUED = 64, LAST = QUEUED - 1, MANY_TURNS = 3 };

struct line {
    struct world *world;
    struct task tasks[QUEUED], canceled, deferred;
    struct mail mail;
    unsigned done, when_mail_came, when_deferred_ran, again;
};

static struct line line;

/* Takes as long as some of them may take in a turn. */
static void queued_runs(struct task *task)
{
    uint64_t now = loop_now_us(line.world->loop);
    assert_ptr_equal(task, &line.tasks[line.done]);
    if (line.done++ == 0) {
        loop_post(line.world->loop, &line.mail);
        loop_defer(line.world->loop, &line.deferred);
    }
    if (!line.world->sim)
        usleep(100);
    assert_true(loop_now_us(line.world->loop) == now);
    if (task == &line.tasks[LAST])
        world_done(line.world);
}

static void never_runs(struct task *task)
{
    (void)task;
    fail_msg("a task that was taken back has run");
}

static void mail_between(struct mail *mail)
{
    (void)mail;
    line.when_mail_came = line.done;
}

static void task_between(struct task *task)
{
    (void)task;
    line.when_deferred_ran = line.done;
}

static void queued_tasks_take_turns(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    line = (struct line){ .world = &world,
                          .mail.deliver = mail_between,
                          .canceled.run = never_runs,
                          .deferred.run = task_between };
    loop_queue(world.loop, &line.canceled);
    for (unsigned i = 0; i < QUEUED; i++) {
        line.tasks[i].run = queued_runs;
        loop_queue(world.loop, &line.tasks[i]);
        loop_queue(world.loop, &line.tasks[0]); /* is there already */
        loop_defer(world.loop, &line.tasks[i]);
    }
    task_cancel(&line.canceled);
    world_run(&world);
    assert_int_equal(line.done, QUEUED);
    assert_in_range(line.when_mail_came, 1, QUEUED / 2);
    assert_in_range(line.when_deferred_ran, 1, QUEUED / 2);
    world_close(&world);
}

static void queued_again(struct task *task)
{
    if (++line.again == MANY_TURNS)
        world_done(line.world);
    else
        loop_queue(line.world->loop, task);
}

/* The queue is emptied by taking back what was in it: the loop sleeps, and wakes for the next one. */
static void a_queue_that_was_emptied_is_used_again(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    line = (struct line){ .world = &world, .canceled.run = never_runs };
    struct trace trace = { .world = &world, .mail.deliver = mail_comes };
    loop_queue(world.loop, &line.canceled);
    task_cancel(&line.canceled);
    loop_post(world.loop, &trace.mail);
    world_run(&world);
    line.tasks[0].run = queued_again;
    loop_queue(world.loop, &line.tasks[0]);
    world_run(&world);
    assert_int_equal(line.again, MANY_TURNS);
    world_close(&world);
}

enum { RIVALS_TURNS = 60 };

struct rivals {
    struct world *world;
    struct task deferred, queued;
    uint64_t last_turn;
    unsigned deferred_runs, queued_runs, deferred_before_queued;
};

static struct rivals rivals;

/* A turn runs the one or the other. */
static void note_turn(void)
{
    uint64_t turn = loop_turn(rivals.world->loop);
    assert_true(turn != rivals.last_turn);
    rivals.last_turn = turn;
}

static void deferred_runs_on(struct task *task)
{
    note_turn();
    if (++rivals.deferred_runs == RIVALS_TURNS)
        world_done(rivals.world);
    else
        loop_defer_to_next_turn(rivals.world->loop, task);
}

static void queued_runs_on(struct task *task)
{
    note_turn();
    if (!rivals.queued_runs++)
        rivals.deferred_before_queued = rivals.deferred_runs;
    if (rivals.deferred_runs < RIVALS_TURNS)
        loop_queue(rivals.world->loop, task);
}

static void the_deferred_and_the_queued_share_the_turns(bool simulated)
{
    struct world world;
    world_open(&world, simulated, 1);
    rivals =
        (struct rivals){ .world = &world, .deferred.run = deferred_runs_on, .queued.run = queued_runs_on };
    rivals.last_turn = UINT64_MAX;
    loop_queue(world.loop, &rivals.queued);
    loop_defer_to_next_turn(world.loop, &rivals.deferred);
    world_run(&world);
    assert_int_equal(rivals.deferred_runs, RIVALS_TURNS);
    assert_in_range(rivals.deferred_before_queued, 2, RIVALS_TURNS / 2); /* it may gather for some turns */
    assert_in_range(rivals.queued_runs, RIVALS_TURNS / 2, RIVALS_TURNS);
    world_close(&world);
}

#define ON_BOTH(name)                                                                                        \
    static void name##_real(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(false);                                                                                         \
    }                                                                                                        \
    static void name##_simulated(void **state)                                                               \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(true);                                                                                          \
    }

ON_BOTH(tasks_and_mail)
ON_BOTH(work_comes_back)
ON_BOTH(a_loop_ends_with_all_done)
ON_BOTH(clocks_go_on)
ON_BOTH(queued_tasks_take_turns)
ON_BOTH(a_queue_that_was_emptied_is_used_again)
ON_BOTH(the_deferred_and_the_queued_share_the_turns)

/* ---- Threads */

enum { SENDERS = 4, LETTERS = 20000 };

struct letter {
    struct mail mail;
    int sender, number;
};

static struct office {
    struct loop *loop;
    int next[SENDERS];
    int received;
} office;

static void letter_comes(struct mail *mail)
{
    struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
    assert_int_equal(letter->number, office.next[letter->sender]);
    office.next[letter->sender]++;
    free(letter);
    if (++office.received == SENDERS * LETTERS)
        loop_stop(office.loop);
}

static void *send_letters(void *arg)
{
    for (int i = 0; i < LETTERS; i++) {
        struct letter *letter = NEW(struct letter);
        letter->mail.deliver = letter_comes;
        letter->sender = *(int *)arg;
        letter->number = i;
        loop_post(office.loop, &letter->mail);
        if (i % 1000 == 0)
            usleep(100); /* lets the loop fall asleep now and then, so that waking it is tried, too */
    }
    return NULL;
}

static void mail_of_many_threads_arrives_in_order(void **state)
{
    (void)state;
    pthread_t threads[SENDERS];
    int numbers[SENDERS];
    office = (struct office){ .loop = loop_new() };
    for (int i = 0; i < SENDERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, send_letters, &numbers[i]);
    }
    loop_run(office.loop);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    loop_free(office.loop);
    assert_int_equal(office.received, SENDERS * LETTERS);
}

/* Two loops that play a mail back and forth: each waits for the other, so a lost wake-up would hang. */
enum { ROUNDS = 20000 };

struct ball {
    struct mail mail;
    struct loop *loops[2];
    int count;
};

static void ball_comes(struct mail *mail)
{
    struct ball *ball = CONTAINER_OF(mail, struct ball, mail);
    if (ball->count++ < ROUNDS) {
        loop_post(ball->loops[ball->count & 1], mail);
        return;
    }
    loop_stop(ball->loops[0]);
    loop_stop(ball->loops[1]);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void wake_ups_are_not_lost(void **state)
{
    (void)state;
    pthread_t thread;
    struct ball ball = { .mail.deliver = ball_comes, .loops = { loop_new(), loop_new() } };
    pthread_create(&thread, NULL, run_loop, ball.loops[1]);
    loop_post(ball.loops[0], &ball.mail);
    loop_run(ball.loops[0]);
    pthread_join(thread, NULL);
    assert_int_equal(ball.count, ROUNDS + 1);
    loop_free(ball.loops[0]);
    loop_free(ball.loops[1]);
}

/* ---- Simulation */

static void count_work(struct work *work)
{
    (void)work;
}

struct slow_work {
    struct work work;
    struct sim *sim;
    uint64_t done_us;
};

static void slow_work_done(struct work *work)
{
    struct slow_work *self = CONTAINER_OF(work, struct slow_work, work);
    self->done_us = sim_now_us(self->sim);
}

static uint64_t work_times(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    struct loop *loop = sim_loop_new(sim);
    struct slow_work works[8];
    uint64_t sum = 0;
    sim_set_faults(sim, &(struct sim_faults){ .work_ms_max = 500 });
    for (size_t i = 0; i < COUNT_OF(works); i++) {
        works[i] = (struct slow_work){ .work.run = count_work, .work.done = slow_work_done, .sim = sim };
        loop_work(loop, &works[i].work);
    }
    assert_true(sim_settle(sim, 100));
    sim_advance(sim, 500);
    for (size_t i = 0; i < COUNT_OF(works); i++)
        sum = sum * 31 + works[i].done_us;
    loop_free(loop);
    sim_free(sim);
    return sum;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    assert_true(work_times(7) == work_times(7));
    assert_true(work_times(7) != work_times(8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_and_mail_real),
        cmocka_unit_test(tasks_and_mail_simulated),
        cmocka_unit_test(work_comes_back_real),
        cmocka_unit_test(work_comes_back_simulated),
        cmocka_unit_test(a_loop_ends_with_all_done_real),
        cmocka_unit_test(a_loop_ends_with_all_done_simulated),
        cmocka_unit_test(clocks_go_on_real),
        cmocka_unit_test(clocks_go_on_simulated),
        cmocka_unit_test(queued_tasks_take_turns_real),
        cmocka_unit_test(queued_tasks_take_turns_simulated),
        cmocka_unit_test(a_queue_that_was_emptied_is_used_again_real),
        cmocka_unit_test(a_queue_that_was_emptied_is_used_again_simulated),
        cmocka_unit_test(the_deferred_and_the_queued_share_the_turns_real),
        cmocka_unit_test(the_deferred_and_the_queued_share_the_turns_simulated),
        cmocka_unit_test(mail_of_many_threads_arrives_in_order),
        cmocka_unit_test(wake_ups_are_not_lost),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
