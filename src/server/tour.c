/* SPDX-License-Identifier: MIT */
/* See tour.h. One mail goes from shard to shard; nothing is shared between two of them at a time, so what the
 * visits gather needs no lock. */
#include "server/tour.h"

static void arrive(struct shard *shard, struct shard_call *call)
{
    struct tour *tour = CONTAINER_OF(call, struct tour, _call);
    struct server *server = shard->server;
    if (tour->_at < server->shard_count) {
        tour->visit(shard, tour);
        tour->_at++;
    }
    if (tour->_at < server->shard_count) {
        shard_post(server->shards[tour->_at], &tour->_call);
    } else if (shard != tour->home) {
        shard_post(tour->home, &tour->_call);
    } else {
        shard_commit_ended(shard);
        tour->done(tour);
    }
}

void tour_start(struct tour *tour)
{
    tour->_at = 0;
    tour->_call.run = arrive;
    shard_commit_began(tour->home);
    shard_post(tour->home->server->shards[0], &tour->_call);
}
