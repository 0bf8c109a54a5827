/* SPDX-License-Identifier: MIT */
/* What the tests of the store share: a scratch folder, a store on a loop (threads and a real loop, or inline
 * on a simulated one), and calls that wait for their completion. For tests alone. */
#ifndef STORE_TESTKIT_H
#define STORE_TESTKIT_H

#include "loop/loop.h"
#include "loop/loop_sim.h"
#include "store/store.h"

struct kit_config {
    const char *name;
    const char *scheme; /* "sqlite:" or "memory:", with "fail:" before it or not */
    bool inlined;
};

struct kit {
    const struct kit_config *config;
    char folder[64], url[128];
    struct sim *sim; /* NULL: a real loop */
    struct loop *loop;
    struct store *store;
    bool calling;     /* within a call of the store: no completion may come */
    unsigned pending; /* asked and not completed */
};

/* Makes the folder, the loop and the store. */
void kit_init(struct kit *kit, const struct kit_config *config);
/* Closes all, removes the folder and what is in it. */
void kit_fini(struct kit *kit);

/* Closes the store and opens it again (memory: is lost). */
void kit_reopen(struct kit *kit);

/* A commit or a read under way. */
struct kit_commit {
    struct store_commit commit;
    struct kit *kit;
    bool done;
};

struct kit_read {
    struct store_read read;
    struct kit *kit;
    bool done;
};

void kit_commit_start(struct kit *kit, struct kit_commit *commit, struct store_batch *batch);
/* Sets up a read; then ask the store for it with kit->calling set (KIT_ASK), then kit_wait(). */
struct store_read *kit_read_start(struct kit *kit, struct kit_read *read);
#define KIT_ASK(kit, call)                                                                                   \
    do {                                                                                                     \
        (kit)->calling = true;                                                                               \
        call;                                                                                                \
        (kit)->calling = false;                                                                              \
    } while (0)

/* Drives the loop until nothing is pending. */
void kit_wait(struct kit *kit);

/* Commits and waits. */
enum err kit_commit(struct kit *kit, struct store_batch *batch);
enum err kit_put(struct kit *kit, const char *owner, const char *kind, const char *key, const char *value);

/* Reads and waits. The caller ends the read with store_read_fini(). */
void kit_get(struct kit *kit, const char *owner, const char *kind, const char *key, struct kit_read *read);
void kit_get_all(struct kit *kit, const char *owner, const char *kinds, struct kit_read *read);

/* Whether the key has this value; NULL: is not there. */
bool kit_has(struct kit *kit, const char *owner, const char *kind, const char *key, const char *value);

#endif
