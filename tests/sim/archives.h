/* SPDX-License-Identifier: MIT */
/* What the archives have at the end of a run, and whether that is what was said: the sender's and the
 * receiver's (README.md has the rules). */
#ifndef SIM_ARCHIVES_H
#define SIM_ARCHIVES_H

#include "device.h"

#include <stddef.h>

enum { ARCHIVES_MAX = 8 };

/* The letters in a person's archive, in its order. */
struct archive {
    const struct person *person;
    unsigned *numbers;
    size_t count;
};

struct archives {
    struct archive all[ARCHIVES_MAX];
    unsigned count;
};

/* Every server is up. */
void archives_read(struct world *world, const struct person *persons, unsigned count, struct archives *ret);
void archives_fini(struct archives *archives);

/* How often a letter is in somebody's archive. */
unsigned archives_have(const struct archives *archives, const struct person *person,
                       const struct letter *letter);

void archives_check(const struct archives *archives, struct ledger *ledger);

#endif
