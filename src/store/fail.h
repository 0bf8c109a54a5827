/* SPDX-License-Identifier: MIT */
/* A store that fails as it is told, for tests: "fail:" before another url. With a plan in the url,
 * "fail:n=3,err=io:memory:" fails the third call to the driver; or by the calls below on an open store whose
 * url begins with "fail:" ("fail:memory:" has no plan). */
#ifndef STORE_FAIL_H
#define STORE_FAIL_H

#include "store/store.h"

enum store_fail_call {
    FAIL_ANY, /* each of the following */
    FAIL_CONNECT,
    FAIL_BEGIN,
    FAIL_APPLY,
    FAIL_COMMIT,
    FAIL_READ,
};

/* From now, the n-th call of this kind (1: the next) fails with `err`, once. A later plan replaces an earlier
 * one; n 0 takes it back. Any thread. */
void store_fail_nth(struct store *store, enum store_fail_call call, unsigned n, enum err err);

/* The same, and all after it fail too, until another plan is made. */
void store_fail_from(struct store *store, enum store_fail_call call, unsigned n, enum err err);

/* How many calls the driver has had, failed or not: a test that fails each in turn stops there. */
unsigned store_fail_calls(struct store *store);

/* Until it is taken back, calls are neither counted nor failed: what a test prepares. */
void store_fail_pause(struct store *store, bool pause);

/* How many of them were told to fail: 0 while a plan has not been reached. */
unsigned store_fail_failures(struct store *store);

/* While held, what is asked for waits. Releasing serves it. Closing the store releases it. */
void store_fail_hold(struct store *store, bool hold);

/* Each turn of serving starts so much later (virtual time in a simulation). 0: at once. */
void store_fail_delay(struct store *store, unsigned delay_ms);

#endif
