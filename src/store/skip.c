/* SPDX-License-Identifier: MIT */
/* A skip list: each node stands in level 0 and, with a chance of one in four a level, in the levels above,
 * so a search passes few nodes. Chosen over a balanced tree because searching, inserting and removing are one
 * loop each, and walking in order is following a pointer. The levels come from a generator with a fixed seed:
 * a run is repeatable, and nobody who chooses keys chooses levels. */
#include "store/skip.h"

void skip_init(struct skip *skip)
{
    *skip = (struct skip){ .random = 0x9E3779B97F4A7C15u };
}

/* The last node before `key` in each level. */
static void seek_before(const struct skip *skip, str key, struct skip_node *before[SKIP_LEVELS])
{
    struct skip_node *at = (struct skip_node *)&skip->head;
    for (int level = SKIP_LEVELS - 1; level >= 0; level--) {
        while (at->next[level] && str_cmp(at->next[level]->key, key) < 0)
            at = at->next[level];
        before[level] = at;
    }
}

struct skip_node *skip_seek(const struct skip *skip, str key)
{
    struct skip_node *before[SKIP_LEVELS];
    seek_before(skip, key, before);
    return before[0]->next[0];
}

struct skip_node *skip_get(const struct skip *skip, str key)
{
    struct skip_node *node = skip_seek(skip, key);
    return node && str_eq(node->key, key) ? node : NULL;
}

static int random_level(struct skip *skip)
{
    skip->random ^= skip->random << 13;
    skip->random ^= skip->random >> 7;
    skip->random ^= skip->random << 17;
    int level = 1;
    for (uint64_t bits = skip->random >> 16; (bits & 3) == 0 && level < SKIP_LEVELS; bits >>= 2)
        level++;
    return level;
}

void skip_insert(struct skip *skip, struct skip_node *node)
{
    struct skip_node *before[SKIP_LEVELS];
    int levels = random_level(skip);
    seek_before(skip, node->key, before);
    for (int level = 0; level < SKIP_LEVELS; level++) {
        node->next[level] = level < levels ? before[level]->next[level] : NULL;
        if (level < levels)
            before[level]->next[level] = node;
    }
}

void skip_remove(struct skip *skip, struct skip_node *node)
{
    struct skip_node *before[SKIP_LEVELS];
    seek_before(skip, node->key, before);
    for (int level = 0; level < SKIP_LEVELS; level++)
        if (before[level]->next[level] == node)
            before[level]->next[level] = node->next[level];
}
