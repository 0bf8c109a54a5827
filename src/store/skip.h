/* SPDX-License-Identifier: MIT */
/* An ordered map in memory whose nodes stand in the caller's objects: a skip list over byte strings. */
#ifndef STORE_SKIP_H
#define STORE_SKIP_H

#include "base/str.h"

enum { SKIP_LEVELS = 12 }; /* quick up to some 4^12 nodes */

struct skip_node {
    str key; /* set by the caller; must not change while the node is in the list */
    struct skip_node *next[SKIP_LEVELS]; /* next[0]: the next in order of bytes, NULL at the end */
};

struct skip {
    struct skip_node head;
    uint64_t random;
};

void skip_init(struct skip *skip);

/* The first node whose key is not smaller than `key`; NULL when there is none. */
struct skip_node *skip_seek(const struct skip *skip, str key);

/* The node with this key, or NULL. */
struct skip_node *skip_get(const struct skip *skip, str key);

/* Puts a node in whose key is not there yet. */
void skip_insert(struct skip *skip, struct skip_node *node);

/* Takes a node out that is in the list. */
void skip_remove(struct skip *skip, struct skip_node *node);

#endif
