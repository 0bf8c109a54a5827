/* SPDX-License-Identifier: MIT */
/* Who is on whose roster: what people do about it, and whether both sides agree at the end. */
#ifndef SIM_ROSTERS_H
#define SIM_ROSTERS_H

#include "device.h"

/* Asks somebody for his presence, or takes something of that back. */
void rosters_change(struct device *device, const struct person *other);

/* What a person does who is asked: says yes, no, or nothing yet. */
void rosters_asked(struct device *device, str from);

/* With everybody there, and nothing under way: counts subscriptions that two rosters agree about, and those
 * that one side alone has. */
void rosters_check(struct world *world, struct ledger *ledger, const struct person *persons, unsigned count);

#endif
