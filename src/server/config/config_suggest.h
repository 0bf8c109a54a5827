/* SPDX-License-Identifier: MIT */
/* The known name that somebody probably meant. */
#ifndef SERVER_CONFIG_SUGGEST_H
#define SERVER_CONFIG_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* How many letters must be put in, taken out or changed to make one name of the other, where '_' and '-' are
 * the same; names longer than 63 bytes are far from everything. */
size_t config_name_distance(const char *a, const char *b);

/* Whether a name at this distance is worth a suggestion. */
bool config_name_is_near(const char *name, size_t distance);

#endif
