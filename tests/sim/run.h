/* SPDX-License-Identifier: MIT */
/* One simulated run: everything follows from its seed. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct run_plan {
    uint64_t seed;
    unsigned servers;  /* 0: by the seed */
    bool three_faults; /* three servers: the link between two of them is cut for a minute, one is killed and
                          started again, and the name server is silent for a minute; and nothing else */
    bool verbose;
};

struct run_result {
    char wrong[512]; /* "": every promise was kept */
    uint64_t hash;   /* of all that happened */
    unsigned long acked, arrived, bounced, resumed, excused, given_up, twice, kills, stops, failures, letters,
        subscribed, one_sided;
};

void run(const struct run_plan *plan, struct run_result *ret);

#endif
