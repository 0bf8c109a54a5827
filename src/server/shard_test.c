/* SPDX-License-Identifier: MIT */
/* Several shards on several threads, with real sockets: logins that move to their home shard, messages and
 * subscriptions between users of different shards, sessions that come and go, a reload and a stop under way.
 * What each stanza does is the scenarios' matter; here it is that nothing is lost between threads, and (in
 * the ThreadSanitizer build) that no two of them touch the same thing at once. */
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/socket.h"
#include "server/server.h"
#include "server/shard.h"
#include "xmpp/sasl.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Longer than the half minute that is waited for a client which answers no pings: what comes while its
 * offline messages are looked up is sent behind one. */
enum { SHARDS = 3, USERS = 24, MESSAGES = 50, PATIENCE_MS = 50000 };

static const char header[] = "<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' "
                             "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

struct world {
    const struct config *config, *second;
    struct store *store;
    struct loop *loops[SHARDS];
    pthread_t threads[SHARDS];
    struct server *server;
    uint16_t port;
};

struct client {
    int fd;
    size_t len;
    char bytes[1 << 18];
};

/* ---- A client that blocks
 * ------------------------------------------------------------------------------------------- */

static void say(struct client *client, const char *text)
{
    size_t length = strlen(text);
    while (length) {
        ssize_t wrote = send(client->fd, text, length, MSG_NOSIGNAL);
        assert_true(wrote > 0);
        text += wrote;
        length -= (size_t)wrote;
    }
}

/* Reads on until the text has come `times` times. */
static void expect(struct client *client, const char *text, unsigned times)
{
    for (;;) {
        unsigned count = 0;
        for (const char *at = client->bytes; (at = strstr(at, text)); at++)
            count++;
        if (count >= times)
            return;
        struct pollfd wait = { .fd = client->fd, .events = POLLIN };
        if (poll(&wait, 1, PATIENCE_MS) != 1)
            fail_msg("%u of %u came: %s\n...%s", count, times, text,
                     client->len > 600 ? client->bytes + client->len - 600 : client->bytes);
        assert_true(client->len < sizeof client->bytes - 1);
        ssize_t got =
            recv(client->fd, client->bytes + client->len, sizeof client->bytes - 1 - client->len, 0);
        if (got <= 0)
            fail_msg("the stream ended before: %s\n%s", text, client->bytes);
        client->len += (size_t)got;
        client->bytes[client->len] = '\0';
    }
}

static void forget(struct client *client)
{
    client->len = 0;
    client->bytes[0] = '\0';
}

static void login(struct world *world, struct client *client, unsigned number)
{
    char plain[64], text[256];
    struct arena arena;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(world->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    forget(client);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    say(client, header);
    expect(client, "</stream:features>", 1);
    int length = snprintf(plain, sizeof plain, "%cuser%u%csecret", 0, number, 0);
    arena_init(&arena, 256);
    snprintf(text, sizeof text, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
             base64_encode_arena(&arena, str_of(plain, (size_t)length)).p);
    arena_fini(&arena);
    say(client, text);
    expect(client, "<success", 1);
    say(client, header);
    expect(client, "</stream:features>", 2);
    /* the requests that follow the binding travel to the home shard with the connection */
    say(client, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
                "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>");
    expect(client, "<presence", 1);
    forget(client);
}

/* ---- The world
 * ------------------------------------------------------------------------------------------------------- */

static void committed(struct store_commit *commit)
{
    assert_int_equal(commit->err, OK);
    loop_stop(commit->_loop);
}

static void add_accounts(struct world *world)
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
    store_commit(world->store, world->loops[0], batch, &commit);
    loop_run(world->loops[0]);
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

static const struct config *make_config(uint16_t port)
{
    char text[256];
    snprintf(text, sizeof text,
             "c2s { listen = {\"127.0.0.1\"} port = %u tls-port = 0 require-tls = false insecure-login = "
             "true }\nhost \"localhost\" { }\n",
             port);
    const struct config *config = NULL;
    struct config_errors errors;
    config_errors_init(&errors);
    assert_int_equal(config_load_text("test", str_from(text), NULL, &errors, &config), OK);
    config_errors_fini(&errors);
    return config;
}

static int start(void **state)
{
    static const struct ext *const none[] = { NULL };
    struct world *world = NEW(struct world);
    char why[256] = "";
    world->port = free_port();
    world->config = make_config(world->port);
    world->second = make_config(world->port);
    for (unsigned i = 0; i < SHARDS; i++)
        world->loops[i] = loop_new();
    assert_int_equal(store_open("memory:", NULL, why, sizeof why, &world->store), OK);
    add_accounts(world);
    world->server = server_new(world->config, none, world->store, world->loops, SHARDS, why, sizeof why);
    assert_non_null(world->server);
    assert_int_equal(server_listen(world->server, why, sizeof why), OK);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_create(&world->threads[i], NULL, run, world->loops[i]);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    server_stop(world->server);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_join(world->threads[i], NULL);
    assert_int_equal(atomic_load(&world->server->connections), 0);
    assert_int_equal(atomic_load(&world->server->commits), 0);
    for (unsigned i = 0; i < SHARDS; i++)
        assert_int_equal(world->server->shards[i]->session_slab.in_use, 0);
    store_close(world->store);
    server_free(world->server);
    for (unsigned i = 0; i < SHARDS; i++)
        loop_free(world->loops[i]);
    config_unref(world->config);
    config_unref(world->second);
    free(world);
    return 0;
}

static struct client *login_all(struct world *world)
{
    struct client *clients = xcalloc(USERS, sizeof *clients);
    for (unsigned i = 0; i < USERS; i++)
        login(world, &clients[i], i);
    return clients;
}

static void close_all(struct client *clients)
{
    for (unsigned i = 0; i < USERS; i++)
        close(clients[i].fd);
    free(clients);
}

/* ---- Tests
 * ------------------------------------------------------------------------------------------------------------
 */

static void messages_cross_shards_in_order(void **state)
{
    struct client *clients = login_all(*state);
    char text[256];
    for (unsigned m = 0; m < MESSAGES; m++) {
        for (unsigned i = 0; i < USERS; i++) {
            snprintf(text, sizeof text,
                     "<message to='user%u@localhost' type='chat' id='m%u'><body>x</body></message>",
                     (i + 7) % USERS, m);
            say(&clients[i], text);
        }
    }
    for (unsigned i = 0; i < USERS; i++) {
        expect(&clients[i], "</message>", MESSAGES);
        const char *at = clients[i].bytes;
        for (unsigned m = 0; m < MESSAGES; m++) {
            snprintf(text, sizeof text, "id='m%u'", m);
            at = strstr(at, text);
            assert_non_null(at);
        }
    }
    close_all(clients);
}

static void subscriptions_cross_shards(void **state)
{
    struct client *clients = login_all(*state);
    char text[256];
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(text, sizeof text, "<presence to='user%u@localhost' type='subscribe'/>", (i + 5) % USERS);
        say(&clients[i], text);
    }
    for (unsigned i = 0; i < USERS; i++) {
        expect(&clients[i], "type='subscribe'", 1);
        snprintf(text, sizeof text, "<presence to='user%u@localhost' type='subscribed'/>",
                 (i + USERS - 5) % USERS);
        say(&clients[i], text);
    }
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(text, sizeof text, "<presence from='user%u@localhost/", (i + 5) % USERS);
        expect(&clients[i], "subscription='to'", 1);
        expect(&clients[i], text, 1);
    }
    close_all(clients);
}

static void sessions_come_and_go_during_a_reload(void **state)
{
    struct world *world = *state;
    char why[256] = "", text[256];
    for (unsigned round = 0; round < 3; round++) {
        struct client *clients = login_all(world);
        assert_int_equal(
            server_reload(world->server, round % 2 ? world->config : world->second, why, sizeof why), OK);
        for (unsigned i = 0; i < USERS; i++) {
            snprintf(text, sizeof text,
                     "<message to='user%u@localhost'><body>bye</body></message></stream:stream>",
                     (i + 1) % USERS);
            say(&clients[i], text);
        }
        for (unsigned i = 0; i < USERS; i++)
            expect(&clients[i], "</stream:stream>", 1);
        close_all(clients);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_cross_shards_in_order, start, stop),
        cmocka_unit_test_setup_teardown(subscriptions_cross_shards, start, stop),
        cmocka_unit_test_setup_teardown(sessions_come_and_go_during_a_reload, start, stop),
    };
    log_set_level(LOG_AREA_COUNT, LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
