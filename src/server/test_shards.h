/* SPDX-License-Identifier: MIT */
/* For tests: a server of several shards, each on a thread of its own, with real sockets and a store in
 * memory; its domain is "localhost", with the accounts user0, user1, ... What goes wrong fails the test at
 * hand. */
#ifndef SERVER_TEST_SHARDS_H
#define SERVER_TEST_SHARDS_H

#include "server/server.h"
#include "server/test_client.h"

#include <pthread.h>

struct ext;

enum { SHARDS = 3, USERS = 24 };

struct test_shards {
    const struct ext *const *extensions;
    const struct config *config, *second; /* the same once more, for a reload */
    struct store *store;
    struct loop *loops[SHARDS];
    pthread_t threads[SHARDS];
    struct server *server;
    uint16_t port;
    bool has_stopped;
};

/* `host`: what the configuration says of the domain. */
struct test_shards *test_shards_start(const struct ext *const *extensions, const char *host);

/* Ends the threads, so that the server can be looked at: nothing of its clients is left. */
void test_shards_stop(struct test_shards *shards);

/* Frees the server, and stops it before if nobody has. */
void test_shards_free(struct test_shards *shards);

/* All users, each with a client; and back. */
struct test_client *test_shards_login(const struct test_shards *shards);
void test_shards_leave(struct test_client *clients);

#endif
