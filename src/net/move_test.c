/* SPDX-License-Identifier: MIT */
/* Connections that move between loops on different threads while bytes flow both ways, with or without TLS
 * and compression. Made for ThreadSanitizer as much as for the eye. */
#include "loop/test_world.h"
#include "net/conn.h"
#include "net/test_certs.h"

#include <pthread.h>
#include <stdatomic.h>

enum { OUT_MAX = 1 << 20, PAIRS = 8, BYTES = 400000, MOVE_EVERY = 5000 };

static struct certs certs;
static struct tls_context *server_context, *client_context;

struct show;

/* A client of the first loop and its server, which wanders between the loops. */
struct client {
    struct conn conn;
    struct socket_owner connecting;
    struct socket *socket;
    struct show *show;
    size_t sent, received;
};

struct server {
    struct conn conn;
    struct mail mail;
    struct show *show;
    struct conn_parcel *parcel;
    int loop, moves;
    size_t since_move;
};

struct show {
    struct sim *sim;
    struct loop *loops[3];
    struct listener listener;
    struct client clients[PAIRS];
    atomic_int clients_left, servers_left, moves;
    bool tls, zip;
};

static const struct zip_settings zip_settings = { 6, 13, 5, 100, 1 << 20 };

/* At the beginning, or when TLS is there. */
static void maybe_compress(struct conn *conn, const struct show *show)
{
    if (show->zip)
        conn_compress(conn, &zip_settings, str_none);
}

static char pattern(size_t at)
{
    return (char)(at * 11 + at / 239);
}

static void one_less(struct show *show, atomic_int *left)
{
    atomic_fetch_sub(left, 1);
    if (atomic_load(&show->clients_left) || atomic_load(&show->servers_left))
        return;
    for (size_t i = 0; i < COUNT_OF(show->loops); i++)
        loop_stop(show->loops[i]);
}

/* ---- The server's side */

static const struct conn_events server_events;

static void server_arrives(struct mail *mail)
{
    struct server *server = CONTAINER_OF(mail, struct server, mail);
    conn_attach(&server->conn, server->show->loops[server->loop], server->parcel, &server_events);
}

static void server_moves(struct server *server)
{
    server->parcel = conn_detach(&server->conn);
    server->loop = (server->loop + 1) % 3;
    server->moves++;
    server->since_move = 0;
    server->mail.deliver = server_arrives;
    loop_post(server->show->loops[server->loop], &server->mail);
}

static void server_data(struct conn *conn, str bytes)
{
    struct server *server = CONTAINER_OF(conn, struct server, conn);
    conn_write(conn, bytes);
    server->since_move += bytes.len;
    if (server->since_move >= MOVE_EVERY)
        server_moves(server);
}

static void server_secured(struct conn *conn)
{
    struct server *server = CONTAINER_OF(conn, struct server, conn);
    maybe_compress(conn, server->show);
    server_moves(server);
}

static void server_closed(struct conn *conn, enum err why)
{
    struct server *server = CONTAINER_OF(conn, struct server, conn);
    struct show *show = server->show;
    assert_int_equal(why, ERR_CLOSED);
    conn_fini(conn);
    atomic_fetch_add(&show->moves, server->moves);
    free(server);
    one_less(show, &show->servers_left);
}

static const struct conn_events server_events = {
    .data = server_data,
    .secured = server_secured,
    .closed = server_closed,
};

static void on_accepted(struct listener *listener, struct socket *socket)
{
    struct server *server = NEW(struct server);
    server->show = CONTAINER_OF(listener, struct show, listener);
    server->loop = 1;
    conn_init(&server->conn, server->show->loops[1], socket, &server_events, OUT_MAX);
    if (server->show->tls)
        conn_start_tls(&server->conn, server_context, NULL, NULL);
    else
        maybe_compress(&server->conn, server->show);
}

/* ---- The client's side */

static void client_sends(struct client *client)
{
    char bytes[700];
    while (client->sent < BYTES && conn_pending(&client->conn) < 20000) {
        size_t len = BYTES - client->sent < sizeof bytes ? BYTES - client->sent : sizeof bytes;
        for (size_t i = 0; i < len; i++)
            bytes[i] = pattern(client->sent + i);
        conn_write(&client->conn, str_of(bytes, len));
        client->sent += len;
    }
}

static void client_data(struct conn *conn, str bytes)
{
    struct client *client = CONTAINER_OF(conn, struct client, conn);
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.p[i] != pattern(client->received + i))
            fail_msg("a wrong byte at %zu", client->received + i);
    client->received += bytes.len;
    client_sends(client);
    if (client->received == BYTES)
        conn_finish(conn, 10000);
}

static void client_secured(struct conn *conn)
{
    struct client *client = CONTAINER_OF(conn, struct client, conn);
    maybe_compress(conn, client->show);
    client_sends(client);
}

static void client_closed(struct conn *conn, enum err why)
{
    struct client *client = CONTAINER_OF(conn, struct client, conn);
    assert_int_equal(why, OK);
    assert_int_equal(client->received, BYTES);
    conn_fini(conn);
    one_less(client->show, &client->show->clients_left);
}

static const struct conn_events client_events = { .data = client_data,
                                                  .secured = client_secured,
                                                  .closed = client_closed };

static void on_connected(struct socket_owner *owner, unsigned events)
{
    struct client *client = CONTAINER_OF(owner, struct client, connecting);
    struct show *show = client->show;
    assert_true(events & SOCKET_WRITABLE);
    conn_init(&client->conn, show->loops[0], client->socket, &client_events, OUT_MAX);
    if (show->tls)
        conn_start_tls(&client->conn, client_context, "one.example", NULL);
    else
        client_secured(&client->conn);
}

/* ---- The show */

static void show_open(struct show *show, bool tls, bool zip, struct sim *sim)
{
    *show = (struct show){ .listener.accepted = on_accepted, .tls = tls, .zip = zip, .sim = sim };
    atomic_init(&show->clients_left, PAIRS);
    atomic_init(&show->servers_left, PAIRS);
    for (size_t i = 0; i < COUNT_OF(show->loops); i++)
        show->loops[i] = sim ? sim_loop_new(sim) : loop_new();
    assert_int_equal(listener_open(&show->listener, show->loops[1], "127.0.0.1", 0), OK);
    for (size_t i = 0; i < PAIRS; i++) {
        struct client *client = &show->clients[i];
        client->show = show;
        client->connecting.ready = on_connected;
        assert_int_equal(socket_connect(show->loops[0], "127.0.0.1", listener_port(&show->listener),
                                        &client->connecting, &client->socket),
                         OK);
    }
}

static void show_close(struct show *show)
{
    assert_int_equal(show->clients_left + show->servers_left, 0);
    assert_true(show->moves > PAIRS * 10);
    listener_close(&show->listener);
    for (size_t i = 0; i < COUNT_OF(show->loops); i++)
        loop_free(show->loops[i]);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void on_threads(bool tls, bool zip)
{
    struct show show;
    pthread_t threads[2];
    show_open(&show, tls, zip, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, run_loop, show.loops[i + 1]);
    loop_run(show.loops[0]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    show_close(&show);
}

static void plain_on_threads(void **state)
{
    (void)state;
    on_threads(false, false);
}

static void tls_on_threads(void **state)
{
    (void)state;
    on_threads(true, false);
}

static void compressed_on_threads(void **state)
{
    (void)state;
    on_threads(false, true);
    on_threads(true, true);
}

static void in_a_bad_network(bool tls, bool zip, uint64_t seed)
{
    struct show show;
    struct sim *sim = sim_new(seed);
    sim_set_faults(sim,
                   &(struct sim_faults){ .delay_ms_max = 5, .chunk_max = 3000, .short_write_percent = 20 });
    show_open(&show, tls, zip, sim);
    for (int i = 0; i < 1000 && (show.clients_left || show.servers_left); i++)
        sim_advance(sim, 100);
    show_close(&show);
    sim_free(sim);
}

static void in_simulations(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        in_a_bad_network(seed % 2, seed & 2, seed);
}

/* ---- Parcels that nobody takes */

struct lonely {
    struct world world;
    struct listener listener;
    struct socket_owner owner;
    struct socket *client;
    struct conn server;
    struct conn_parcel *parcel;
};

static void lonely_data(struct conn *conn, str bytes)
{
    struct lonely *lonely = CONTAINER_OF(conn, struct lonely, server);
    (void)bytes;
    lonely->parcel = conn_detach(conn);
    world_done(&lonely->world);
}

static void lonely_closed(struct conn *conn, enum err why)
{
    (void)conn, (void)why;
    fail();
}

static const struct conn_events lonely_events = { .data = lonely_data, .closed = lonely_closed };

static void lonely_accepted(struct listener *listener, struct socket *socket)
{
    struct lonely *lonely = CONTAINER_OF(listener, struct lonely, listener);
    conn_init(&lonely->server, lonely->world.loop, socket, &lonely_events, OUT_MAX);
}

static void lonely_ready(struct socket_owner *owner, unsigned events)
{
    struct lonely *lonely = CONTAINER_OF(owner, struct lonely, owner);
    size_t taken;
    struct iovec piece = { (char[]){ 'x' }, 1 };
    (void)events;
    assert_int_equal(socket_write(lonely->client, &piece, 1, &taken), OK);
    socket_want(lonely->client, owner, 0);
}

static void a_parcel_may_be_thrown_away(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        struct lonely lonely = { .listener.accepted = lonely_accepted, .owner.ready = lonely_ready };
        world_open(&lonely.world, simulated, 1);
        assert_int_equal(listener_open(&lonely.listener, lonely.world.loop, "127.0.0.1", 0), OK);
        assert_int_equal(socket_connect(lonely.world.loop, "127.0.0.1", listener_port(&lonely.listener),
                                        &lonely.owner, &lonely.client),
                         OK);
        world_run(&lonely.world);
        conn_parcel_free(lonely.parcel);
        conn_parcel_free(NULL);
        socket_close(lonely.client);
        listener_close(&lonely.listener);
        world_close(&lonely.world);
    }
}

static int make_certificates(void **state)
{
    (void)state;
    certs_open(&certs);
    certs_issue(&certs, "one", "DNS:one.example", 3);
    server_context = certs_server(&certs, "one", false);
    client_context = certs_client(&certs);
    return 0;
}

static int drop_certificates(void **state)
{
    (void)state;
    tls_context_unref(server_context);
    tls_context_unref(client_context);
    certs_close(&certs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parcel_may_be_thrown_away),
        cmocka_unit_test(in_simulations),
        cmocka_unit_test(plain_on_threads),
        cmocka_unit_test(tls_on_threads),
        cmocka_unit_test(compressed_on_threads),
    };
    return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
