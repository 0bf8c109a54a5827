/* SPDX-License-Identifier: MIT */
/* Timers on a wheel of wheels.
 *
 * A server has a timer for each connection and restarts it far more often than one fires, so starting and
 * stopping must cost next to nothing: both are a list operation here, where a heap would pay a logarithm.
 *
 * Time is cut into ticks. Level 0 has a slot for each of the next 64 ticks, level 1 for each of the next 64
 * blocks of 64 ticks, and so on: a timer stands on the level of the highest digit (base 64) in which its tick
 * differs from the present one, in the slot of that digit. So every timer of a level comes before every timer
 * of the level above, and the next thing to do is found with one bit scan a level. When the present reaches
 * the first tick of a block, the block's timers are dealt out to the levels below. Eight levels hold
 * more ticks than a machine lives: there is no overflow to care for.
 *
 * A stopped timer is taken out of its list without a look at the wheel; its slot's bit stays and costs at
 * most one needless visit. */
#include "loop/loop_impl.h"
#include "loop/wheel.h"

enum { DIGIT_BITS = 6, DIGIT_MASK = WHEEL_SLOTS - 1 };

/* Some 34 years: longer delays are cut to this, so that no sum overflows. */
#define DELAY_MAX_MS ((uint64_t)1 << 40)

void wheel_init(struct wheel *wheel, uint64_t tick_ms, uint64_t now_ms)
{
    wheel->tick_ms = tick_ms;
    wheel->tick = now_ms / tick_ms;
    for (size_t i = 0; i < WHEEL_LEVELS; i++) {
        wheel->levels[i].occupied = 0;
        for (size_t j = 0; j < WHEEL_SLOTS; j++)
            list_init(&wheel->levels[i].slots[j]);
    }
}

/* The tick of a timer that is in the wheel. */
static uint64_t tick_of(const struct wheel *wheel, const struct timer *timer)
{
    return (timer->_due_ms + wheel->tick_ms - 1) / wheel->tick_ms;
}

static void place(struct wheel *wheel, struct timer *timer, uint64_t tick)
{
    unsigned level = (63 - (unsigned)__builtin_clzll(tick ^ wheel->tick)) / DIGIT_BITS;
    unsigned slot = tick >> (level * DIGIT_BITS) & DIGIT_MASK;
    list_append(&wheel->levels[level].slots[slot], &timer->_link);
    wheel->levels[level].occupied |= (uint64_t)1 << slot;
}

void wheel_add(struct wheel *wheel, struct timer *timer, uint64_t due_ms)
{
    timer->_due_ms = due_ms;
    if (tick_of(wheel, timer) <= wheel->tick)
        timer->_due_ms = (wheel->tick + 1) * wheel->tick_ms;
    place(wheel, timer, tick_of(wheel, timer));
}

/* The next tick with something to do, and its level and slot; false when the wheel is empty. */
static bool next_visit(const struct wheel *wheel, uint64_t *ret_tick, unsigned *ret_level, unsigned *ret_slot)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t occupied = wheel->levels[level].occupied;
        if (!occupied)
            continue;
        unsigned shift = level * DIGIT_BITS;
        *ret_level = level;
        *ret_slot = (unsigned)__builtin_ctzll(occupied);
        *ret_tick = (wheel->tick >> shift >> DIGIT_BITS << DIGIT_BITS | *ret_slot) << shift;
        return true;
    }
    return false;
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
    uint64_t tick;
    unsigned level, slot;
    return next_visit(wheel, &tick, &level, &slot) ? tick * wheel->tick_ms : UINT64_MAX;
}

/* Fires a slot's timers that are due at the present tick and deals the others out. */
static void visit(struct wheel *wheel, unsigned level, unsigned slot)
{
    struct list timers, *head = &wheel->levels[level].slots[slot];
    wheel->levels[level].occupied &= ~((uint64_t)1 << slot);
    if (list_empty(head))
        return;
    list_init(&timers);
    list_insert_before(head, &timers);
    list_remove(head);
    struct list *link;
    while ((link = list_shift(&timers))) {
        struct timer *timer = LIST_ITEM(link, struct timer, _link);
        uint64_t tick = tick_of(wheel, timer);
        if (tick > wheel->tick)
            place(wheel, timer, tick);
        else
            timer->fired(timer);
    }
}

void wheel_run(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t now = now_ms / wheel->tick_ms, tick;
    unsigned level, slot;
    while (next_visit(wheel, &tick, &level, &slot) && tick <= now) {
        wheel->tick = tick;
        visit(wheel, level, slot);
    }
    if (now > wheel->tick)
        wheel->tick = now;
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms)
{
    timer_stop(timer);
    if (delay_ms > DELAY_MAX_MS)
        delay_ms = DELAY_MAX_MS;
    /* Rounded up: what is left of the present millisecond does not count. */
    uint64_t now_ms = (loop_now_us(loop) + 999) / 1000;
    wheel_add(&loop->wheel, timer, now_ms + delay_ms);
    loop->kind->timer_started(loop);
}

void timer_stop(struct timer *timer)
{
    if (timer_running(timer))
        list_remove(&timer->_link);
}

bool timer_running(const struct timer *timer)
{
    return timer->_link.next && !list_empty(&timer->_link);
}
