/* SPDX-License-Identifier: MIT */
/* The way from request.c into the queue of store.c. */
#ifndef STORE_FRONT_H
#define STORE_FRONT_H

#include "store/driver.h"

/* Queues a request, which completes on `loop`. */
void store_ask(struct store *store, struct loop *loop, struct store_request *request);

#endif
