/* SPDX-License-Identifier: MIT */
/* A tour of all shards: each is visited in turn, on its own thread, so its memory is read by nobody else. */
#ifndef SERVER_TOUR_H
#define SERVER_TOUR_H

#include "server/shard.h"

struct tour {
    struct shard_call _call;
    struct shard *home; /* who asks, and where `done` is called */
    unsigned _at;
    void (*visit)(struct shard *shard, struct tour *tour); /* an event of the shard */
    void (*done)(struct tour *tour); /* an event of `home`; the memory is the caller's again */
};

/* Begins; never completes inside the call. An orderly stop waits for it. */
void tour_start(struct tour *tour);

#endif
