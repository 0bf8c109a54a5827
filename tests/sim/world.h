/* SPDX-License-Identifier: MIT */
/* The servers of a run, their disks and the network between them; and what befalls them: an orderly stop, a
 * kill, a power cut. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/list.h"
#include "disk.h"
#include "loop/loop_sim.h"
#include "server/server.h"

enum { SERVERS_MAX = 3, SHARDS_MAX = 4, NAME_MAX_LEN = 64 };

/* One process of jabirud: what of it is there while it runs, or after it was killed. */
struct process {
    struct list link; /* world->dead */
    struct loop *store_loop;
    struct loop *loops[SHARDS_MAX];
    unsigned shards;
    struct store *store;
    const struct config *config;
    struct server *server;
    uint64_t over_us; /* a dead one: it has come to its end by then */
};

struct place {
    char domain[NAME_MAX_LEN], address[16];
    struct disk *disk;
    unsigned shards;
    bool archive, bidi;
    struct process *process; /* NULL: it is down */
    uint64_t up_us;          /* when it is started again */
    unsigned kills, stops, runs;
    unsigned given_up; /* by processes that are gone */
};

struct world {
    struct sim *sim;
    struct loop *clients;
    struct place places[SERVERS_MAX];
    unsigned count;
    struct list dead; /* struct process */
    char why[512];
};

void world_open(struct world *world, uint64_t seed, unsigned servers);
/* All that is left is taken down. False, with why, if a server kept anything. */
bool world_close(struct world *world);

/* Starts a server that is down. */
void world_raise(struct world *world, struct place *place);
/* Stops one in order, as SIGTERM does; false, with why, if it did not come to its end. */
bool world_stop(struct world *world, struct place *place);
/* Ends one as kill -9 does; what it had handed to the store is written still, up to a point. A power cut:
 * none of it is. Returns the time from which on it is lost. */
uint64_t world_kill(struct world *world, struct place *place, bool power_cut);

/* How many errors for other servers' messages its processes have not waited for to the end. */
unsigned world_given_up(const struct place *place);

/* Cuts what connects two servers at the moment. */
void world_cut_link(struct world *world, const struct place *one, const struct place *other);

/* Starts what is due, and buries the dead. */
void world_tend(struct world *world);

/* One more row of the store; before anybody is awake. */
void world_add_row(struct world *world, struct place *place, const char *owner, const char *kind,
                   const char *key, const char *value);

/* Whether the server at rest, with no client connected, keeps nothing in memory; else why. */
bool world_is_empty(struct world *world, const struct place *place);

#endif
