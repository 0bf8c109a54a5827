/* SPDX-License-Identifier: MIT */
/* Hash map with byte-string keys whose nodes stand in the caller's objects: it allocates only its bucket
 * array. The hash is keyed with random bits of the process, so a peer who chooses keys cannot choose
 * collisions. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_node {
    struct map_node *_next;
    uint64_t _hash;
};

struct map {
    struct map_node **_buckets;
    size_t _bucket_count; /* 0 or a power of two */
    size_t count;         /* nodes in the map */
    str (*_key)(const struct map_node *node);
};

/* An empty map; `key` tells a node's key, which must not change while the node is in the map. */
void map_init(struct map *map, str (*key)(const struct map_node *node));

/* Frees the bucket array. The nodes are the caller's. */
void map_fini(struct map *map);

/* The node with this key, or NULL. */
struct map_node *map_get(const struct map *map, str key);

/* Puts a node in. The key must not be there yet (asserted in debug builds only: the caller has looked). */
void map_put(struct map *map, struct map_node *node);

/* Takes a node out that is in the map. */
void map_remove(struct map *map, struct map_node *node);

/* Walks all nodes in no particular order: `*walk` starts zeroed; returns NULL at the end. The map must not
 * change meanwhile; to empty a map, walk it and free the nodes, then map_fini(). */
struct map_walk {
    size_t _bucket;
    struct map_node *_next;
};
struct map_node *map_next(const struct map *map, struct map_walk *walk);

#define MAP_ITEM(node, type, member) ((node) ? CONTAINER_OF(node, type, member) : NULL)

/* A hash of bytes that is the same on every machine and in every run: for home shards and the like. */
uint64_t hash_stable(str bytes);

/* A hash keyed with random bits of this process: for tables that a peer can fill. */
uint64_t hash_keyed(str bytes);

#endif
