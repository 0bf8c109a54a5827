/* SPDX-License-Identifier: MIT */
/* A second server in the same world, at 127.0.0.2 with the host neighbour.example: for scenarios about
 * streams between servers. */
#ifndef SCENARIO_NEIGHBOUR_H
#define SCENARIO_NEIGHBOUR_H

#include "stage.h"

#define NEIGHBOUR_HOST    "neighbour.example"
#define NEIGHBOUR_ADDRESS "127.0.0.2"

/* Starts it with this text added to its configuration; false with stage->why. */
bool neighbour_raise(struct stage *stage, const char *config);

/* Stops it in order; false with stage->why if it keeps anything. Nothing happens when there is none. */
bool neighbour_strike(struct stage *stage);

/* Frees what is left, after neighbour_strike(). */
void neighbour_free(struct stage *stage);

/* The store of the server that this bare or full JID is at home at. */
struct store *neighbour_store_of(const struct stage *stage, str jid);

/* Whether a JID is one of the neighbour's. */
bool neighbour_has(str jid);

#endif
