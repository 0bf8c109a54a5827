/* SPDX-License-Identifier: MIT */
/* Connections, plain and with TLS, over real sockets and over the simulated network. */
#include "loop/test_world.h"
#include "net/conn.h"
#include "net/test_certs.h"

#include <stdio.h>

enum { OUT_MAX = 1 << 20 };

static struct certs certs;
static struct tls_context *server_context, *client_context;

/* One end of a connection, and what a test has it do. */
struct peer {
    struct conn conn;
    struct scene *scene;
    bool open, echoes;
    size_t to_send, sent, received;
    unsigned secured, drained, closed;
    enum err why;
    void (*on_secured)(struct peer *peer);
    void (*on_data)(struct peer *peer, str bytes);
};

struct scene {
    struct world world;
    struct listener listener;
    struct socket_owner connecting;
    struct socket *connecting_socket;
    struct peer client, server;
    bool tls;
    const char *name, *client_alpn, *server_alpn;
    size_t out_max;
};

static char pattern(size_t at)
{
    return (char)(at * 13 + at / 241);
}

static void send_more(struct peer *peer)
{
    char bytes[4000];
    while (peer->sent < peer->to_send && conn_pending(&peer->conn) < OUT_MAX / 4) {
        size_t len = peer->to_send - peer->sent;
        if (len > sizeof bytes)
            len = sizeof bytes;
        for (size_t i = 0; i < len; i++)
            bytes[i] = pattern(peer->sent + i);
        conn_write(&peer->conn, str_of(bytes, len));
        peer->sent += len;
    }
}

static void peer_data(struct conn *conn, str bytes)
{
    struct peer *peer = CONTAINER_OF(conn, struct peer, conn);
    assert_true(peer->open && bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.p[i] != pattern(peer->received + i))
            fail_msg("a wrong byte at %zu", peer->received + i);
    peer->received += bytes.len;
    if (peer->echoes)
        conn_write(conn, bytes);
    send_more(peer);
    if (peer->on_data)
        peer->on_data(peer, bytes);
    else if (!peer->echoes && peer->received == peer->to_send)
        conn_finish(conn, 5000);
}

static void peer_secured(struct conn *conn)
{
    struct peer *peer = CONTAINER_OF(conn, struct peer, conn);
    assert_true(peer->open && conn_is_secure(conn));
    peer->secured++;
    if (peer->on_secured)
        peer->on_secured(peer);
    else
        send_more(peer);
}

static void peer_drained(struct conn *conn)
{
    CONTAINER_OF(conn, struct peer, conn)->drained++;
}

static void peer_closed(struct conn *conn, enum err why)
{
    struct peer *peer = CONTAINER_OF(conn, struct peer, conn);
    struct scene *scene = peer->scene;
    assert_true(peer->open);
    peer->open = false;
    peer->closed++;
    peer->why = why;
    conn_fini(conn);
    if (!scene->client.open && !scene->server.open)
        world_done(&scene->world);
}

static const struct conn_events peer_events = {
    .data = peer_data,
    .secured = peer_secured,
    .drained = peer_drained,
    .closed = peer_closed,
};

static void peer_start(struct peer *peer, struct socket *socket)
{
    struct scene *scene = peer->scene;
    bool is_client = peer == &scene->client;
    peer->open = true;
    conn_init(&peer->conn, scene->world.loop, socket, &peer_events, scene->out_max);
    if (scene->tls)
        conn_start_tls(&peer->conn, is_client ? client_context : server_context,
                       is_client ? scene->name : NULL, is_client ? scene->client_alpn : scene->server_alpn);
    send_more(peer);
}

static void on_accepted(struct listener *listener, struct socket *socket)
{
    struct scene *scene = CONTAINER_OF(listener, struct scene, listener);
    peer_start(&scene->server, socket);
}

static void on_connected(struct socket_owner *owner, unsigned events)
{
    struct scene *scene = CONTAINER_OF(owner, struct scene, connecting);
    assert_true(events & SOCKET_WRITABLE);
    assert_int_equal(socket_error(scene->connecting_socket), OK);
    peer_start(&scene->client, scene->connecting_socket);
}

static void scene_open(struct scene *scene, bool simulated, bool tls)
{
    *scene = (struct scene){ .listener.accepted = on_accepted,
                             .connecting.ready = on_connected,
                             .tls = tls,
                             .name = "one.example",
                             .out_max = OUT_MAX };
    scene->client.scene = scene->server.scene = scene;
    world_open(&scene->world, simulated, 1);
    assert_int_equal(listener_open(&scene->listener, scene->world.loop, "127.0.0.1", 0), OK);
}

static void scene_connect(struct scene *scene)
{
    /* Open from the first moment, so that the end of one does not look like the end of both. */
    scene->client.open = scene->server.open = true;
    assert_int_equal(socket_connect(scene->world.loop, "127.0.0.1", listener_port(&scene->listener),
                                    &scene->connecting, &scene->connecting_socket),
                     OK);
}

static void scene_close(struct scene *scene)
{
    listener_close(&scene->listener);
    world_close(&scene->world);
}

static void scene_play(struct scene *scene)
{
    scene_connect(scene);
    world_run(&scene->world);
    assert_int_equal(scene->client.closed, 1);
    assert_int_equal(scene->server.closed, 1);
}

/* ---- Bytes */

static void echo(bool simulated, bool tls)
{
    struct scene scene;
    scene_open(&scene, simulated, tls);
    scene.server.echoes = true;
    scene.client.to_send = 3000000;
    scene_play(&scene);
    assert_int_equal(scene.client.received, 3000000);
    assert_int_equal(scene.client.why, OK);
    assert_int_equal(scene.server.why, ERR_CLOSED);
    assert_int_equal(scene.client.secured, tls);
    assert_int_equal(scene.server.secured, tls);
    scene_close(&scene);
}

static void a_bad_network_changes_nothing(void **state)
{
    (void)state;
    static const struct sim_faults faults[] = {
        { .chunk_max = 1 },
        { .short_write_percent = 90 },
        { .delay_ms_max = 9, .chunk_max = 700, .short_write_percent = 30 },
    };
    for (size_t i = 0; i < 2 * COUNT_OF(faults); i++) {
        struct scene scene;
        scene_open(&scene, true, i % 2);
        sim_set_faults(scene.world.sim, &faults[i / 2]);
        scene.server.echoes = true;
        scene.client.to_send = 30000;
        scene_play(&scene);
        assert_int_equal(scene.client.received, 30000);
        assert_int_equal(scene.client.why, OK);
        scene_close(&scene);
    }
}

/* Whatever breaks when: both ends hear of it once, and nothing is left behind. */
static void resets_end_connections(void **state)
{
    (void)state;
    unsigned resets = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct scene scene;
        scene_open(&scene, true, seed % 2);
        for (uint64_t i = 0; i < seed; i++)
            sim_random(scene.world.sim, 2);
        sim_set_faults(
            scene.world.sim,
            &(struct sim_faults){ .delay_ms_max = 3, .chunk_max = 900, .reset_per_million = 30000 });
        scene.server.echoes = true;
        scene.client.to_send = 100000;
        scene_play(&scene);
        resets += scene.client.why != OK;
        scene_close(&scene);
    }
    assert_in_range(resets, 10, 60);
}

/* ---- Limits */

static void never_reads(struct peer *peer, str bytes)
{
    (void)bytes;
    conn_pause(&peer->conn, true);
}

static void keeps_writing(struct peer *peer, str bytes)
{
    static const char zeros[20000];
    (void)bytes;
    for (int i = 0; i < 2000 && !peer->closed; i++)
        conn_write(&peer->conn, str_of(zeros, sizeof zeros));
    assert_int_equal(peer->closed, 0); /* never inside the call */
    assert_true(conn_pending(&peer->conn) <= peer->scene->out_max);
}

static void gives_up(struct peer *peer)
{
    peer->open = false;
    conn_fini(&peer->conn);
    if (!peer->scene->client.open && !peer->scene->server.open)
        world_done(&peer->scene->world);
}

/* One end alone: the other stays open. */
static void run_until_closed(struct world *world, struct peer *peer)
{
    for (int i = 0; i < 2000 && !peer->closed; i++) {
        if (world->sim) {
            sim_advance(world->sim, 10);
            continue;
        }
        timer_start(world->loop, &world->guard, 10);
        loop_run(world->loop);
    }
    timer_stop(&world->guard);
    assert_int_equal(peer->closed, 1);
}

static void a_deaf_peer_is_dropped(bool simulated, bool tls)
{
    struct scene scene;
    scene_open(&scene, simulated, tls);
    scene.client.to_send = 1;
    scene.server.on_data = keeps_writing;
    scene.client.on_data = never_reads;
    scene_connect(&scene);
    run_until_closed(&scene.world, &scene.server);
    assert_int_equal(scene.server.why, ERR_LIMIT);
    if (scene.client.open)
        gives_up(&scene.client);
    scene_close(&scene);
}

/* The writer fills its queue above the high mark; the reader sleeps first and wakes then. */
static void fills_the_queue(struct peer *peer, str bytes)
{
    (void)bytes;
    peer->to_send = 900000;
    while (peer->sent < peer->to_send) {
        char c = pattern(peer->sent++);
        conn_write(&peer->conn, str_of(&c, 1));
    }
    assert_true(conn_pending(&peer->conn) > OUT_MAX / 2);
    assert_int_equal(peer->drained, 0);
}

static void reads_all(struct peer *peer, str bytes)
{
    (void)bytes;
    if (peer->received == 900000)
        conn_finish(&peer->conn, 5000);
}

static void drained_is_told(bool simulated, bool tls)
{
    struct scene scene;
    scene_open(&scene, simulated, tls);
    scene.client.to_send = 1;
    scene.server.on_data = fills_the_queue;
    scene.client.on_data = reads_all;
    scene_play(&scene);
    assert_int_equal(scene.client.received, 900000);
    assert_int_equal(scene.server.drained, 1);
    scene_close(&scene);
}

/* ---- To many */

enum { PART = 100 };

static struct marker {
    struct task task;
    struct peer *peer;
    size_t pending;
    bool ran;
} marker;

static void marker_runs(struct task *task)
{
    struct marker *self = CONTAINER_OF(task, struct marker, task);
    self->ran = true;
    self->pending = conn_pending(&self->peer->conn);
}

static void write_part(struct peer *peer, void (*wrote)(struct conn *conn))
{
    for (size_t i = 0; i < PART; i++)
        buf_add_char(conn_out(&peer->conn), pattern(peer->sent + i));
    peer->sent += PART;
    wrote(&peer->conn);
}

/* Behind the marker, and so later than it. */
static void writes_to_many(struct peer *peer, str bytes)
{
    (void)bytes;
    marker = (struct marker){ .task.run = marker_runs, .peer = peer };
    loop_queue(peer->scene->world.loop, &marker.task);
    write_part(peer, conn_wrote_to_many);
    write_part(peer, conn_wrote_to_many);
}

/* What it is sent alone takes the rest along, before the marker. */
static void writes_to_many_and_alone(struct peer *peer, str bytes)
{
    writes_to_many(peer, bytes);
    write_part(peer, conn_wrote);
    write_part(peer, conn_wrote_to_many);
}

/* All of it leaves, whoever is in line. */
static void writes_much_to_many(struct peer *peer, str bytes)
{
    writes_to_many(peer, bytes);
    while (peer->sent < 2000 * (size_t)PART)
        write_part(peer, conn_wrote_to_many);
}

static size_t awaited;

static void reads_awaited(struct peer *peer, str bytes)
{
    (void)bytes;
    if (peer->received == awaited)
        conn_finish(&peer->conn, 5000);
}

static void what_many_get_leaves_later(bool simulated)
{
    static const struct {
        void (*writes)(struct peer *peer, str bytes);
        size_t parts;
        bool leaves_before;
    } cases[] = { { writes_to_many, 2, false },
                  { writes_to_many_and_alone, 4, true },
                  { writes_much_to_many, 2000, true } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct scene scene;
        scene_open(&scene, simulated, false); /* TLS has things of its own to say in that turn */
        awaited = cases[i].parts * PART;
        scene.client.to_send = 1;
        scene.server.on_data = cases[i].writes;
        scene.client.on_data = reads_awaited;
        scene_play(&scene);
        assert_int_equal(scene.client.received, awaited);
        assert_true(marker.ran);
        if (cases[i].leaves_before)
            assert_true(marker.pending < awaited);
        else
            assert_int_equal(marker.pending, awaited);
        scene_close(&scene);
    }
}

/* ---- Ends */

static void finishes(struct peer *peer, str bytes)
{
    (void)bytes;
    unsigned timeout_ms = peer->scene->world.sim ? 5000 : 300;
    conn_write(&peer->conn, str_of((char[]){ pattern(0), pattern(1) }, 2));
    conn_finish(&peer->conn, timeout_ms);
    assert_int_equal(conn_pending(&peer->conn), 0);
    conn_finish(&peer->conn, timeout_ms);
}

static void waits(struct peer *peer, str bytes)
{
    (void)peer, (void)bytes;
}

static void what_was_written_before_the_end_arrives(bool simulated, bool tls)
{
    struct scene scene;
    scene_open(&scene, simulated, tls);
    scene.client.to_send = 1;
    scene.server.on_data = finishes;
    scene.client.on_data = waits;
    scene_play(&scene);
    assert_int_equal(scene.client.received, 2);
    assert_int_equal(scene.client.why, ERR_CLOSED);
    assert_int_equal(scene.server.why, OK);
    scene_close(&scene);
}

static void goes_deaf(struct peer *peer)
{
    send_more(peer);
    conn_pause(&peer->conn, true);
}

static void a_peer_that_stays_is_left(bool simulated, bool tls)
{
    struct scene scene;
    scene_open(&scene, simulated, tls);
    scene.client.to_send = 1;
    scene.client.on_data = never_reads; /* and so never sees our end */
    scene.client.on_secured = goes_deaf;
    scene.server.on_data = finishes;
    scene_connect(&scene);
    run_until_closed(&scene.world, &scene.server);
    assert_int_equal(scene.server.why, ERR_TIMEOUT);
    if (scene.client.open)
        gives_up(&scene.client);
    scene_close(&scene);
}

static void leaves(struct peer *peer, str bytes)
{
    (void)bytes;
    gives_up(peer);
}

static void an_owner_may_leave_in_a_callback(bool simulated, bool tls)
{
    struct scene scene;
    scene_open(&scene, simulated, tls);
    scene.client.to_send = 10;
    scene.server.on_data = leaves;
    scene.client.on_data = waits;
    scene_connect(&scene);
    world_run(&scene.world);
    assert_int_equal(scene.server.closed, 0);
    assert_int_equal(scene.client.closed, 1);
    scene_close(&scene);
}

/* ---- TLS */

static void leaves_secured(struct peer *peer)
{
    gives_up(peer);
}

static void an_owner_may_leave_when_secured(bool simulated)
{
    struct scene scene;
    scene_open(&scene, simulated, true);
    scene.client.to_send = 10;
    scene.server.on_secured = leaves_secured;
    scene_connect(&scene);
    world_run(&scene.world);
    assert_int_equal(scene.server.received, 0);
    assert_int_equal(scene.client.closed, 1);
    scene_close(&scene);
}

static void pauses_secured(struct peer *peer)
{
    conn_pause(&peer->conn, true);
    world_done(&peer->scene->world);
}

static void a_pause_when_secured_keeps_bytes(bool simulated)
{
    struct scene scene;
    scene_open(&scene, simulated, true);
    scene.client.to_send = 100;
    scene.server.on_secured = pauses_secured;
    scene.server.echoes = true;
    scene_connect(&scene);
    world_run(&scene.world);
    assert_int_equal(scene.server.received, 0);
    conn_pause(&scene.server.conn, false);
    assert_int_equal(scene.server.received, 0);
    world_run(&scene.world);
    assert_int_equal(scene.client.received, 100);
    scene_close(&scene);
}

static void a_failed_handshake_ends_both(bool simulated)
{
    struct scene scene;
    scene_open(&scene, simulated, true);
    scene.name = "wrong.example";
    scene_play(&scene);
    assert_int_equal(scene.client.why, ERR_TLS);
    assert_true(scene.server.why == ERR_TLS || scene.server.why == ERR_CLOSED);
    assert_int_equal(scene.client.secured + scene.server.secured, 0);
    scene_close(&scene);

    scene_open(&scene, simulated, true);
    scene.client_alpn = "http/1.1";
    scene.server_alpn = "xmpp-client";
    scene_play(&scene);
    assert_int_equal(scene.server.why, ERR_TLS);
    scene_close(&scene);
}

/* As STARTTLS does: plain words first, and the answer to them leaves in plain text. */
static void starts_tls_as_server(struct peer *peer, str bytes)
{
    if (conn_is_secure(&peer->conn)) {
        conn_write(&peer->conn, bytes);
        return;
    }
    conn_write(&peer->conn, str_of((char[]){ pattern(0), pattern(1), pattern(2) }, 3));
    conn_start_tls(&peer->conn, server_context, NULL, NULL);
    peer->received = 0;
}

static void starts_tls_as_client(struct peer *peer, str bytes)
{
    if (conn_is_secure(&peer->conn)) {
        if (peer->received == 5000)
            conn_finish(&peer->conn, 5000);
        return;
    }
    assert_int_equal(bytes.len, 3);
    peer->received = 0;
    peer->sent = 0;
    peer->to_send = 5000;
    conn_start_tls(&peer->conn, client_context, "one.example", NULL);
}

static void tls_begins_in_the_middle(bool simulated)
{
    struct scene scene;
    scene_open(&scene, simulated, false);
    scene.client.to_send = 2;
    scene.server.on_data = starts_tls_as_server;
    scene.client.on_data = starts_tls_as_client;
    scene_play(&scene);
    assert_int_equal(scene.client.secured, 1);
    assert_int_equal(scene.client.received, 5000);
    scene_close(&scene);
}

static void asks_for_facts(struct peer *peer)
{
    struct scene *scene = peer->scene;
    struct arena arena;
    size_t count;
    char address[SOCKET_ADDRESS_MAX];
    arena_init(&arena, 256);
    assert_int_equal(conn_channel_binding(&peer->conn, BINDING_TLS_EXPORTER, &arena).len, 32);
    assert_null(conn_channel_binding(&peer->conn, BINDING_TLS_UNIQUE, &arena).p);
    assert_string_equal(conn_tls_version(&peer->conn), "TLSv1.3");
    assert_string_equal(conn_tls_cipher(&peer->conn), "TLS_AES_128_GCM_SHA256");
    conn_client_addresses(&peer->conn, &arena, &count);
    assert_int_equal(count, 0);
    assert_string_equal(conn_tls_sni(&peer->conn), peer == &scene->server ? "one.example" : "");
    conn_peer(&peer->conn, address);
    assert_non_null(strchr(address, ':'));
    arena_fini(&arena);
    send_more(peer);
}

static void facts_are_told(bool simulated)
{
    struct scene scene;
    scene_open(&scene, simulated, true);
    scene.client.to_send = 10;
    scene.server.echoes = true;
    scene.client.on_secured = scene.server.on_secured = asks_for_facts;
    scene_play(&scene);
    scene_close(&scene);
}

#define ON_BOTH(name)                                                                                        \
    static void name##_real(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(false);                                                                                         \
    }                                                                                                        \
    static void name##_simulated(void **state)                                                               \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(true);                                                                                          \
    }

#define ON_ALL(name)                                                                                         \
    static void name##_plain_real(void **state)                                                              \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(false, false);                                                                                  \
    }                                                                                                        \
    static void name##_tls_real(void **state)                                                                \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(false, true);                                                                                   \
    }                                                                                                        \
    static void name##_plain_simulated(void **state)                                                         \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(true, false);                                                                                   \
    }                                                                                                        \
    static void name##_tls_simulated(void **state)                                                           \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(true, true);                                                                                    \
    }

ON_ALL(echo)
ON_ALL(a_deaf_peer_is_dropped)
ON_ALL(drained_is_told)
ON_ALL(what_was_written_before_the_end_arrives)
ON_ALL(a_peer_that_stays_is_left)
ON_ALL(an_owner_may_leave_in_a_callback)
ON_BOTH(what_many_get_leaves_later)
ON_BOTH(an_owner_may_leave_when_secured)
ON_BOTH(a_pause_when_secured_keeps_bytes)
ON_BOTH(a_failed_handshake_ends_both)
ON_BOTH(tls_begins_in_the_middle)
ON_BOTH(facts_are_told)

static void memory_that_nobody_needs_goes_back(void **state)
{
    conn_tidy();
    assert_int_equal(conn_tidy(), 0);
    echo_plain_simulated(state);
    assert_true(conn_tidy() > 0); /* it was in use since the call before */
    assert_int_equal(conn_tidy(), 0);
}

#define TEST_BOTH(name) cmocka_unit_test(name##_real), cmocka_unit_test(name##_simulated)
#define TEST_ALL(name)                                                                                       \
    cmocka_unit_test(name##_plain_real), cmocka_unit_test(name##_tls_real),                                  \
        cmocka_unit_test(name##_plain_simulated), cmocka_unit_test(name##_tls_simulated)

static int make_certificates(void **state)
{
    (void)state;
    assert_true(sizeof(struct conn) <= 160);
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
        TEST_ALL(echo),
        cmocka_unit_test(memory_that_nobody_needs_goes_back),
        cmocka_unit_test(a_bad_network_changes_nothing),
        cmocka_unit_test(resets_end_connections),
        TEST_ALL(a_deaf_peer_is_dropped),
        TEST_ALL(drained_is_told),
        TEST_BOTH(what_many_get_leaves_later),
        TEST_ALL(what_was_written_before_the_end_arrives),
        TEST_ALL(a_peer_that_stays_is_left),
        TEST_ALL(an_owner_may_leave_in_a_callback),
        TEST_BOTH(an_owner_may_leave_when_secured),
        TEST_BOTH(a_pause_when_secured_keeps_bytes),
        TEST_BOTH(a_failed_handshake_ends_both),
        TEST_BOTH(tls_begins_in_the_middle),
        TEST_BOTH(facts_are_told),
    };
    return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
