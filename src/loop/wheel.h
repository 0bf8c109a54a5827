/* SPDX-License-Identifier: MIT */
/* The timer wheel under a loop's timers: private to src/loop. It knows no clock: the loop tells it the time.
 */
#ifndef LOOP_WHEEL_H
#define LOOP_WHEEL_H

#include "loop/loop.h"

enum { WHEEL_LEVELS = 8, WHEEL_SLOTS = 64 };

struct wheel_level {
    uint64_t occupied; /* bit n: slot n may hold timers (a stopped one leaves its bit behind) */
    struct list slots[WHEEL_SLOTS];
};

struct wheel {
    uint64_t tick;    /* the last tick that was served */
    uint64_t tick_ms; /* length of a tick */
    struct wheel_level levels[WHEEL_LEVELS];
};

/* An empty wheel that stands at `now_ms`, with ticks of `tick_ms`. */
void wheel_init(struct wheel *wheel, uint64_t tick_ms, uint64_t now_ms);

/* Puts a stopped timer in, to fire at the first tick that is not before `due_ms` and not served yet. */
void wheel_add(struct wheel *wheel, struct timer *timer, uint64_t due_ms);

/* Fires what is due until `now_ms`, in order of ticks. */
void wheel_run(struct wheel *wheel, uint64_t now_ms);

/* When wheel_run() should be called next: not later than the first timer is due; UINT64_MAX with no timers.
 */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
