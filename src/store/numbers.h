/* SPDX-License-Identifier: MIT */
/* A bounded memory of which number stands for a text: what the writer of a database would otherwise look up
 * for each row. */
#ifndef STORE_NUMBERS_H
#define STORE_NUMBERS_H

#include "base/map.h"

struct numbers {
    struct map _map;
};

void numbers_init(struct numbers *numbers);
/* Forgets all; it may be used on. */
void numbers_clear(struct numbers *numbers);

/* The number of `text` in the realm `of` (two realms may have the same text); 0: not known here. */
int64_t numbers_get(const struct numbers *numbers, str of, str text);
/* Remembers one that is not there yet. When there are too many, all others are forgotten. */
void numbers_put(struct numbers *numbers, str of, str text, int64_t number);

#endif
