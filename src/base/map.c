/* SPDX-License-Identifier: MIT */
/* Chained hash map over caller-owned nodes. Grows when it holds as many nodes as buckets, shrinks when an
 * eighth is left, so a table that was once large does not stay so. Hashing is XXH3 with a secret drawn once
 * at first use. */
#include "base/map.h"

#include "base/mem.h"
#include "base/rand.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MIN_BUCKETS = 8 };

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
    rand_bytes(&seed, sizeof seed);
}

uint64_t hash_stable(str bytes)
{
    return XXH3_64bits(bytes.p, bytes.len);
}

uint64_t hash_keyed(str bytes)
{
    pthread_once(&seed_once, draw_seed);
    return XXH3_64bits_withSeed(bytes.p, bytes.len, seed);
}

void map_init(struct map *map, str (*key)(const struct map_node *node))
{
    *map = (struct map){ ._key = key };
}

void map_fini(struct map *map)
{
    free(map->_buckets);
    map->_buckets = NULL;
    map->_bucket_count = map->count = 0;
}

static struct map_node **bucket_of(const struct map *map, uint64_t hash)
{
    return &map->_buckets[hash & (map->_bucket_count - 1)];
}

struct map_node *map_get(const struct map *map, str key)
{
    if (!map->count)
        return NULL;
    uint64_t hash = hash_keyed(key);
    for (struct map_node *node = *bucket_of(map, hash); node; node = node->_next)
        if (node->_hash == hash && str_eq(map->_key(node), key))
            return node;
    return NULL;
}

static void resize(struct map *map, size_t bucket_count)
{
    struct map_node **old = map->_buckets;
    size_t old_count = map->_bucket_count;
    map->_buckets = xcalloc(bucket_count, sizeof *map->_buckets);
    map->_bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct map_node *node = old[i], *next; node; node = next) {
            next = node->_next;
            struct map_node **bucket = bucket_of(map, node->_hash);
            node->_next = *bucket;
            *bucket = node;
        }
    }
    free(old);
}

void map_put(struct map *map, struct map_node *node)
{
    if (map->count >= map->_bucket_count)
        resize(map, map->_bucket_count ? map->_bucket_count * 2 : MIN_BUCKETS);
    node->_hash = hash_keyed(map->_key(node));
    struct map_node **bucket = bucket_of(map, node->_hash);
    node->_next = *bucket;
    *bucket = node;
    map->count++;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **link = bucket_of(map, node->_hash);
    while (*link != node) {
        assert(*link);
        link = &(*link)->_next;
    }
    *link = node->_next;
    map->count--;
    if (map->_bucket_count > MIN_BUCKETS && map->count < map->_bucket_count / 8)
        resize(map, map->_bucket_count / 2);
}

struct map_node *map_next(const struct map *map, struct map_walk *walk)
{
    while (!walk->_next) {
        if (walk->_bucket >= map->_bucket_count)
            return NULL;
        walk->_next = map->_buckets[walk->_bucket++];
    }
    struct map_node *node = walk->_next;
    walk->_next = node->_next;
    return node;
}
