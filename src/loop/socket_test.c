/* SPDX-License-Identifier: MIT */
/* Sockets on both kinds of loops: bytes both ways, ends, refusals, limits, moving. */
#include "loop/test_world.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct end {
    struct socket_owner owner;
    struct pair *pair;
    struct socket *socket;
    size_t to_write, written, read;
    bool closes_when_written;
    enum err over;
};

struct pair {
    struct world world;
    struct listener listener;
    struct end client, server;
    size_t room; /* of each read */
};

static char pattern(size_t at)
{
    return (char)(at * 7 + at / 251);
}

static void end_reads(struct end *end)
{
    char bytes[5000];
    size_t len;
    enum err err = socket_read(end->socket, bytes, end->pair->room, &len);
    if (err == ERR_AGAIN)
        return;
    if (err) {
        end->over = err;
        socket_want(end->socket, &end->owner, end->written < end->to_write ? SOCKET_WRITABLE : 0);
        return;
    }
    assert_in_range(len, 1, end->pair->room);
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != pattern(end->read + i))
            fail_msg("a wrong byte at %zu", end->read + i);
    end->read += len;
}

static void end_writes(struct end *end)
{
    char bytes[3000];
    size_t len = end->to_write - end->written, taken;
    if (len > sizeof bytes)
        len = sizeof bytes;
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(end->written + i);
    struct iovec pieces[2] = { { bytes, len / 3 }, { bytes + len / 3, len - len / 3 } };
    if (len && socket_write(end->socket, pieces, 2, &taken) == OK)
        end->written += taken;
    if (end->written < end->to_write)
        return;
    if (end->closes_when_written)
        socket_shutdown(end->socket);
    socket_want(end->socket, &end->owner, end->over ? 0 : SOCKET_READABLE);
}

static bool end_is_over(const struct end *end)
{
    return end->over && end->written == end->to_write;
}

static void end_ready(struct socket_owner *owner, unsigned events)
{
    struct end *end = CONTAINER_OF(owner, struct end, owner);
    struct pair *pair = end->pair;
    if (events & SOCKET_WRITABLE) {
        assert_int_equal(socket_error(end->socket), OK);
        end_writes(end);
    }
    if (events & SOCKET_READABLE)
        end_reads(end);
    if (end_is_over(&pair->client) && end_is_over(&pair->server))
        world_done(&pair->world);
}

static void end_start(struct end *end)
{
    socket_want(end->socket, &end->owner, SOCKET_READABLE | SOCKET_WRITABLE);
}

static void on_accepted(struct listener *listener, struct socket *socket)
{
    struct pair *pair = CONTAINER_OF(listener, struct pair, listener);
    socket_close(pair->server.socket); /* of somebody who only looked whether we are there */
    pair->server.socket = socket;
    if (pair->client.to_write || pair->server.to_write)
        end_start(&pair->server);
    else
        world_done(&pair->world);
}

static void pair_open(struct pair *pair, bool simulated, uint64_t seed, const char *address)
{
    *pair = (struct pair){ .room = 5000, .listener.accepted = on_accepted };
    world_open(&pair->world, simulated, seed);
    pair->client.pair = pair->server.pair = pair;
    pair->client.owner.ready = pair->server.owner.ready = end_ready;
    assert_int_equal(listener_open(&pair->listener, pair->world.loop, address, 0), OK);
}

static void pair_connect(struct pair *pair, const char *address)
{
    assert_int_equal(socket_connect(pair->world.loop, address, listener_port(&pair->listener),
                                    &pair->client.owner, &pair->client.socket),
                     OK);
}

static void pair_close(struct pair *pair)
{
    listener_close(&pair->listener);
    socket_close(pair->client.socket);
    socket_close(pair->server.socket);
    world_close(&pair->world);
}

static void exchange(struct pair *pair, size_t there, size_t back)
{
    pair->client.to_write = there;
    pair->server.to_write = back;
    pair->client.closes_when_written = pair->server.closes_when_written = true;
    pair_connect(pair, "127.0.0.1");
    end_start(&pair->client);
    world_run(&pair->world);
    assert_int_equal(pair->server.read, there);
    assert_int_equal(pair->client.read, back);
    assert_int_equal(pair->client.over, ERR_CLOSED);
    assert_int_equal(pair->server.over, ERR_CLOSED);
}

static void bytes_go_both_ways(bool simulated)
{
    struct pair pair;
    pair_open(&pair, simulated, 1, "127.0.0.1");
    exchange(&pair, 3000000, 1000000);
    pair_close(&pair);
}

static void bytes_go_in_small_reads(bool simulated)
{
    struct pair pair;
    pair_open(&pair, simulated, 2, "");
    pair.room = 3;
    exchange(&pair, 5000, 70);
    pair_close(&pair);
}

static void nobody_listens(bool simulated)
{
    struct pair pair;
    pair_open(&pair, simulated, 1, "127.0.0.1");
    uint16_t port = listener_port(&pair.listener);
    listener_close(&pair.listener);
    struct socket *socket;
    assert_int_equal(socket_connect(pair.world.loop, "no address", port, &pair.client.owner, &socket),
                     ERR_INVALID);
    assert_int_equal(listener_open(&pair.listener, pair.world.loop, "no address", port), ERR_INVALID);
    pair_close(&pair);
}

struct refused {
    struct socket_owner owner;
    struct world *world;
    struct socket *socket;
    enum err err;
};

static void refused_ready(struct socket_owner *owner, unsigned events)
{
    struct refused *refused = CONTAINER_OF(owner, struct refused, owner);
    if (!(events & SOCKET_WRITABLE))
        return;
    refused->err = socket_error(refused->socket);
    assert_int_equal(socket_error(refused->socket), refused->err);
    socket_close(refused->socket);
    world_done(refused->world);
}

static void a_connection_is_refused(bool simulated)
{
    struct world world;
    struct listener listener = { 0 };
    world_open(&world, simulated, 1);
    struct refused refused = { .owner.ready = refused_ready, .world = &world };
    assert_int_equal(listener_open(&listener, world.loop, "127.0.0.1", 0), OK);
    uint16_t port = listener_port(&listener);
    listener_close(&listener);
    listener_close(&listener);
    assert_int_equal(socket_connect(world.loop, "127.0.0.1", port, &refused.owner, &refused.socket), OK);
    world_run(&world);
    assert_int_equal(refused.err, ERR_REFUSED);
    world_close(&world);
}

static void addresses_are_told(bool simulated)
{
    struct pair pair;
    char address[SOCKET_ADDRESS_MAX], expected[SOCKET_ADDRESS_MAX];
    pair_open(&pair, simulated, 1, "");
    pair_connect(&pair, "127.0.0.1");
    socket_want(pair.client.socket, &pair.client.owner, 0);
    world_run(&pair.world);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", listener_port(&pair.listener));
    socket_peer(pair.client.socket, address);
    assert_string_equal(address, expected);
    socket_peer(pair.server.socket, address);
    assert_non_null(strchr(address, ':'));
    assert_null(strchr(address, '['));
    assert_int_equal(loop_socket_count(pair.world.loop), 2);
    pair_close(&pair);
}

static void a_paused_listener_waits(bool simulated)
{
    struct pair pair;
    pair_open(&pair, simulated, 1, "127.0.0.1");
    listener_pause(&pair.listener, true);
    pair_connect(&pair, "127.0.0.1");
    socket_want(pair.client.socket, &pair.client.owner, 0);
    if (pair.world.sim)
        sim_advance(pair.world.sim, 100);
    assert_null(pair.server.socket);
    listener_pause(&pair.listener, false);
    world_run(&pair.world);
    assert_non_null(pair.server.socket);
    pair_close(&pair);
}

/* The moved end goes on where it was, on another loop of the same thread. */
static void a_moved_socket_keeps_its_bytes(bool simulated)
{
    struct pair pair;
    size_t taken;
    pair_open(&pair, simulated, 1, "127.0.0.1");
    pair_connect(&pair, "127.0.0.1");
    socket_want(pair.client.socket, &pair.client.owner, 0);
    world_run(&pair.world);
    char bytes[10];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pattern(i);
    struct iovec piece = { bytes, sizeof bytes };
    assert_int_equal(socket_write(pair.client.socket, &piece, 1, &taken), OK);
    socket_want(pair.server.socket, &pair.server.owner, SOCKET_READABLE);
    int number = socket_detach(pair.server.socket);
    assert_int_equal(loop_socket_count(pair.world.loop), 1);
    pair.server.socket = socket_attach(pair.world.loop, number);
    socket_want(pair.server.socket, &pair.server.owner, SOCKET_READABLE);
    socket_shutdown(pair.client.socket);
    pair.client.over = ERR_CLOSED;
    world_run(&pair.world);
    assert_int_equal(pair.server.read, taken);
    number = socket_detach(pair.server.socket);
    pair.server.socket = NULL;
    socket_discard(number);
    pair_close(&pair);
}

/* Closing a socket with unread bytes resets the connection. */
static void closing_early_resets(bool simulated)
{
    struct pair pair;
    size_t taken;
    pair_open(&pair, simulated, 1, "127.0.0.1");
    pair_connect(&pair, "127.0.0.1");
    socket_want(pair.client.socket, &pair.client.owner, 0);
    world_run(&pair.world);
    struct iovec piece = { (char[]){ pattern(0) }, 1 };
    assert_int_equal(socket_write(pair.client.socket, &piece, 1, &taken), OK);
    socket_close(pair.server.socket);
    pair.server.socket = NULL;
    pair.server.over = ERR_CLOSED;
    socket_want(pair.client.socket, &pair.client.owner, SOCKET_READABLE);
    world_run(&pair.world);
    assert_int_equal(pair.client.over, ERR_CLOSED);
    assert_int_equal(socket_write(pair.client.socket, &piece, 1, &taken), ERR_CLOSED);
    pair_close(&pair);
}

static void local_sockets(bool simulated)
{
    struct pair pair;
    char folder[] = "/tmp/socket-test-XXXXXX", path[64], address[SOCKET_ADDRESS_MAX];
    struct stat status;
    struct listener other = { 0 };
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    pair_open(&pair, simulated, 1, path);
    assert_int_equal(listener_open(&other, pair.world.loop, path, 0), ERR_EXISTS);
    if (!simulated) {
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
    pair_connect(&pair, path);
    socket_want(pair.client.socket, &pair.client.owner, 0);
    world_run(&pair.world);
    socket_peer(pair.server.socket, address);
    assert_string_equal(address, "local");
    pair_close(&pair);
    assert_int_equal(rmdir(folder), 0);
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

ON_BOTH(bytes_go_both_ways)
ON_BOTH(bytes_go_in_small_reads)
ON_BOTH(nobody_listens)
ON_BOTH(a_connection_is_refused)
ON_BOTH(addresses_are_told)
ON_BOTH(a_paused_listener_waits)
ON_BOTH(a_moved_socket_keeps_its_bytes)
ON_BOTH(closing_early_resets)
ON_BOTH(local_sockets)

/* ---- The real world alone */

static void a_port_in_use(void **state)
{
    (void)state;
    struct world world;
    struct listener first = { 0 }, second = { 0 };
    world_open(&world, false, 0);
    assert_int_equal(listener_open(&first, world.loop, "127.0.0.1", 0), OK);
    assert_int_equal(listener_open(&second, world.loop, "127.0.0.1", listener_port(&first)), OK);
    listener_close(&first);
    listener_close(&second);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(listen(fd, 1), 0); /* takes a free port, and does not share it */
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    uint16_t port = (uint16_t)(((unsigned char *)&address)[2] << 8 | ((unsigned char *)&address)[3]);
    assert_int_equal(listener_open(&first, world.loop, "127.0.0.1", port), ERR_EXISTS);
    close(fd);
    world_close(&world);
}

static void a_dead_process_leaves_a_local_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/socket-test-XXXXXX";
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct world world;
    struct listener listener = { 0 };
    world_open(&world, false, 0);
    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(listener_open(&listener, world.loop, address.sun_path, 0), OK);
    listener_close(&listener);
    FILE *file = fopen(address.sun_path, "we"); /* no socket: not ours to remove */
    fclose(file);
    assert_int_equal(listener_open(&listener, world.loop, address.sun_path, 0), ERR_EXISTS);
    assert_int_equal(unlink(address.sun_path), 0);
    assert_int_equal(rmdir(folder), 0);
    world_close(&world);
}

/* ---- The simulation alone */

static void a_bad_network_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pair pair;
        pair_open(&pair, true, seed, "127.0.0.1");
        sim_set_faults(pair.world.sim, &(struct sim_faults){
                                           .delay_ms_max = 20, .chunk_max = 500, .short_write_percent = 30 });
        exchange(&pair, 20000 * seed, 100000);
        assert_int_equal(sim_bytes_in_flight(pair.world.sim), 0);
        pair_close(&pair);
    }
}

static void a_cut_is_seen_by_both(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, true, 1, "127.0.0.1");
    pair_connect(&pair, "127.0.0.1");
    socket_want(pair.client.socket, &pair.client.owner, 0);
    world_run(&pair.world);
    socket_want(pair.client.socket, &pair.client.owner, SOCKET_READABLE);
    socket_want(pair.server.socket, &pair.server.owner, SOCKET_READABLE);
    sim_cut(pair.client.socket);
    world_run(&pair.world);
    assert_int_equal(pair.client.over, ERR_CLOSED);
    assert_int_equal(pair.server.over, ERR_CLOSED);
    pair_close(&pair);
}

static void a_reader_that_sleeps_stops_the_writer(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, true, 1, "127.0.0.1");
    pair_connect(&pair, "127.0.0.1");
    socket_want(pair.client.socket, &pair.client.owner, 0);
    world_run(&pair.world);
    pair.client.to_write = 100000000;
    socket_want(pair.client.socket, &pair.client.owner, SOCKET_WRITABLE);
    sim_advance(pair.world.sim, 1000);
    assert_in_range(sim_bytes_in_flight(pair.world.sim), 100000, 1000000);
    assert_int_equal(sim_bytes_in_flight(pair.world.sim), pair.client.written);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_real),
        cmocka_unit_test(bytes_go_both_ways_simulated),
        cmocka_unit_test(bytes_go_in_small_reads_real),
        cmocka_unit_test(bytes_go_in_small_reads_simulated),
        cmocka_unit_test(nobody_listens_real),
        cmocka_unit_test(nobody_listens_simulated),
        cmocka_unit_test(a_connection_is_refused_real),
        cmocka_unit_test(a_connection_is_refused_simulated),
        cmocka_unit_test(addresses_are_told_real),
        cmocka_unit_test(addresses_are_told_simulated),
        cmocka_unit_test(a_paused_listener_waits_real),
        cmocka_unit_test(a_paused_listener_waits_simulated),
        cmocka_unit_test(a_moved_socket_keeps_its_bytes_real),
        cmocka_unit_test(a_moved_socket_keeps_its_bytes_simulated),
        cmocka_unit_test(closing_early_resets_real),
        cmocka_unit_test(closing_early_resets_simulated),
        cmocka_unit_test(local_sockets_real),
        cmocka_unit_test(local_sockets_simulated),
        cmocka_unit_test(a_port_in_use),
        cmocka_unit_test(a_dead_process_leaves_a_local_socket),
        cmocka_unit_test(a_bad_network_loses_nothing),
        cmocka_unit_test(a_cut_is_seen_by_both),
        cmocka_unit_test(a_reader_that_sleeps_stops_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
