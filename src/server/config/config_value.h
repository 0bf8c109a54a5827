/* SPDX-License-Identifier: MIT */
/* Single values of the configuration: from text to a field, and back to text for people. */
#ifndef SERVER_CONFIG_VALUE_H
#define SERVER_CONFIG_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "server/config/config_table.h"

/* Whether the key's field is a number inside: bool, int, size, duration, choice. */
bool config_value_is_number(const struct config_key *key);

/* Reads such a value and checks its bounds; false when it is not one. */
bool config_value_parse(const struct config_key *key, str text, uint64_t *ret);

/* Writes a number into the field in the structure at `base`, and reads it. */
void config_value_set(const struct config_key *key, void *base, uint64_t number);
uint64_t config_value_get(const struct config_key *key, const void *base);

/* Whether the field has the same value in two structures. */
bool config_value_equal(const struct config_key *key, const void *a, const void *b);

/* Adds what may be written: "a number from 0 to 65535". */
void config_value_add_range(const struct config_key *key, struct buf *out);

/* Adds the default as it is written in a file: quoted, and a list in braces. */
void config_value_add_default(const struct config_key *key, struct buf *out);

/* Takes the next item off a list's default ("a b"); false at the end. An item `""` is the empty text. */
bool config_value_next_item(str *rest, str *ret);

#endif
