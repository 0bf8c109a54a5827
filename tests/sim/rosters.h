/* SPDX-License-Identifier: MIT */
/* Who is on whose roster: what people do about it, and whether both sides agree at the end. */
#ifndef SIM_ROSTERS_H
#define SIM_ROSTERS_H

#include "device.h"

/* Asks somebody for his presence, or takes something of that back. */
void rosters_change(struct device *device, const struct person *other);

/* What a person does who is asked: says yes, no, or nothing yet. */
void rosters_asked(struct device *device, str from);

/* With everybody there, and nothing under way: fails the run if two rosters do not fit each other. Counts
 * subscriptions that agree, and disagreements that are excused (README.md). */
void rosters_check(struct world *world, struct ledger *ledger, const struct person *persons, unsigned count);

#endif
