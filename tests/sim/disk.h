/* SPDX-License-Identifier: MIT */
/* The disk of a simulated server: what was committed stays on it whatever happens to the server, and nothing
 * else does. A server has a store on it (store/store.h) for as long as it lives; when it is killed, that
 * store loses the disk, and the next server gets one of its own. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "store/store.h"

struct disk;

/* What goes wrong: of a thousand reads and transactions so many fail, these with `err`. */
struct disk_faults {
    unsigned read_permille, write_permille;
    enum err err;
};

struct disk *disk_new(void);
void disk_free(struct disk *disk); /* its stores were closed */

/* A store on the disk, served in turns of this loop; to be closed with store_close(). */
struct store *disk_store(struct disk *disk, struct loop *loop);

void disk_set_faults(struct disk *disk, const struct disk_faults *faults);

/* The machine stops: `batches` of what this store has in its queue are committed still (though the server
 * will not hear of it), and from then on everything fails. Returns the time from which on what was handed to
 * it is lost. */
uint64_t disk_lose(struct disk *disk, struct store *store, unsigned batches);

/* How many failures there were. */
unsigned disk_failures(const struct disk *disk);

#endif
