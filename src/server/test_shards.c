/* SPDX-License-Identifier: MIT */
/* See test_shards.h. The accounts are stored before the threads run. */
#include "server/test_shards.h"

#include "base/mem.h"
#include "server/ext.h"
#include "server/shard.h"
#include "xmpp/sasl.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void committed(struct store_commit *commit)
{
    assert_int_equal(commit->err, OK);
    loop_stop(commit->_loop);
}

static void add_accounts(struct test_shards *shards)
{
    struct scram_keys keys;
    struct arena arena;
    struct store_batch *batch = store_batch_new();
    struct store_commit commit = { .done = committed };
    arena_init(&arena, 1024);
    scram_keys_make(STR("secret"), STR("0123456789abcdef"), 4096, &keys);
    for (unsigned i = 0; i < USERS; i++)
        store_put(batch, arena_printf(&arena, "user%u@localhost", i), STR("account"), STR(""),
                  scram_keys_write(&keys, &arena));
    store_commit(shards->store, shards->loops[0], batch, &commit);
    loop_run(shards->loops[0]);
    arena_fini(&arena);
}

static void *run(void *loop)
{
    loop_run(loop);
    return NULL;
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static const struct config *make_config(const struct test_shards *shards, const char *host)
{
    char text[512];
    snprintf(text, sizeof text,
             "c2s { listen = {\"127.0.0.1\"} port = %u tls-port = 0 require-tls = false insecure-login = "
             "true rate-stanzas = 0 rate-bytes = 0 }\nhost \"localhost\" { %s }\n",
             shards->port, host);
    const struct config *config = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    assert_int_equal(
        config_load_text("test", str_from(text), ext_configs(shards->extensions), &errors, &config), OK);
    config_errors_fini(&errors);
    return config;
}

struct test_shards *test_shards_start(const struct ext *const *extensions, const char *host)
{
    struct test_shards *shards = NEW(struct test_shards);
    char why[256] = "";
    shards->extensions = extensions;
    shards->port = free_port();
    shards->config = make_config(shards, host);
    shards->second = make_config(shards, host);
    for (unsigned i = 0; i < SHARDS; i++)
        shards->loops[i] = loop_new();
    assert_int_equal(store_open("memory:", NULL, why, sizeof why, &shards->store), OK);
    add_accounts(shards);
    shards->server =
        server_new(shards->config, extensions, shards->store, shards->loops, SHARDS, why, sizeof why);
    assert_non_null(shards->server);
    assert_int_equal(server_listen(shards->server, why, sizeof why), OK);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_create(&shards->threads[i], NULL, run, shards->loops[i]);
    return shards;
}

void test_shards_stop(struct test_shards *shards)
{
    shards->has_stopped = true;
    server_stop(shards->server);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_join(shards->threads[i], NULL);
    assert_int_equal(atomic_load(&shards->server->connections), 0);
    assert_int_equal(atomic_load(&shards->server->commits), 0);
    for (unsigned i = 0; i < SHARDS; i++)
        assert_int_equal(shards->server->shards[i]->session_slab.in_use, 0);
}

void test_shards_free(struct test_shards *shards)
{
    if (!shards->has_stopped)
        test_shards_stop(shards);
    store_close(shards->store);
    server_free(shards->server);
    for (unsigned i = 0; i < SHARDS; i++)
        loop_free(shards->loops[i]);
    config_unref(shards->config);
    config_unref(shards->second);
    free(shards);
}

struct test_client *test_shards_login(const struct test_shards *shards)
{
    struct test_client *clients = xcalloc(USERS, sizeof *clients);
    for (unsigned i = 0; i < USERS; i++)
        test_client_login(&clients[i], shards->port, i);
    return clients;
}

void test_shards_leave(struct test_client *clients)
{
    for (unsigned i = 0; i < USERS; i++)
        close(clients[i].fd);
    free(clients);
}
