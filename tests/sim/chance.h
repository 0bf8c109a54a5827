/* SPDX-License-Identifier: MIT */
/* Where a simulated run gets its randomness, and what it leaves: from one seed everything follows, and the
 * hash of all that happened is the same whenever the seed is played again. */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include "base/str.h"

struct sim;

/* Begins anew: the scripts' randomness, that of base/rand.h (which this folder replaces), and the trace. */
void chance_begin(uint64_t seed, bool verbose);

/* The world whose time the trace bears; NULL: none. */
void trace_world(const struct sim *sim);

/* 0..below-1, for the scripts alone. */
uint64_t chance(uint64_t below);
uint64_t chance_between(uint64_t least, uint64_t most);
bool chance_percent(unsigned percent);

/* Something happened. Printed if the run is verbose. */
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t trace_hash(void);

#endif
