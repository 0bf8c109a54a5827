/* SPDX-License-Identifier: MIT */
/* The race of connections, with listeners that are there and some that are not. */
#include "base/mem.h"
#include "loop/test_world.h"
#include "net/dial.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct caller {
    struct world world;
    struct dial dial;
    struct listener listener;
    unsigned accepted, told;
    struct dns_endpoint endpoints[3];
};

static void accepted(struct listener *listener, struct socket *socket)
{
    CONTAINER_OF(listener, struct caller, listener)->accepted++;
    socket_close(socket);
}

static void done(struct dial *dial)
{
    struct caller *caller = CONTAINER_OF(dial, struct caller, dial);
    caller->told++;
    world_done(&caller->world);
}

static void caller_open(struct caller *caller, bool simulated)
{
    memset(caller, 0, sizeof *caller);
    world_open(&caller->world, simulated, 1);
    caller->listener.accepted = accepted;
    caller->dial.done = done;
    assert_int_equal(listener_open(&caller->listener, caller->world.loop, "127.0.0.1", 0), OK);
    for (size_t i = 0; i < COUNT_OF(caller->endpoints); i++) {
        caller->endpoints[i].port = listener_port(&caller->listener);
        snprintf(caller->endpoints[i].address, SOCKET_ADDRESS_MAX, "127.0.0.%zu", 9 - i);
    }
}

static void caller_close(struct caller *caller)
{
    listener_close(&caller->listener);
    world_close(&caller->world);
}

static void call(struct caller *caller, size_t first)
{
    unsigned told = caller->told;
    dial_start(&caller->dial, caller->world.loop, caller->endpoints, first, 3, 10000);
    assert_int_equal(caller->told, told);
    world_run(&caller->world);
    assert_int_equal(caller->told, told + 1);
}

static void the_one_that_answers(struct caller *caller)
{
    snprintf(caller->endpoints[1].address, SOCKET_ADDRESS_MAX, "127.0.0.1");
    call(caller, 0);
    assert_int_equal(caller->dial.err, OK);
    assert_int_equal(caller->dial.index, 1);
    socket_close(caller->dial.socket);
    caller->dial.socket = NULL;
    call(caller, 2); /* what comes behind it */
    assert_int_not_equal(caller->dial.err, OK);
    assert_null(caller->dial.socket);
}

static void the_one_that_answers_simulated(void **state)
{
    struct caller caller;
    (void)state;
    caller_open(&caller, true);
    the_one_that_answers(&caller);
    caller_close(&caller);
}

static void the_one_that_answers_real(void **state)
{
    struct caller caller;
    (void)state;
    caller_open(&caller, false);
    the_one_that_answers(&caller);
    caller_close(&caller);
}

static void nobody(void **state)
{
    struct caller caller;
    (void)state;
    caller_open(&caller, true);
    call(&caller, 0);
    assert_int_equal(caller.dial.err, ERR_REFUSED);
    dial_start(&caller.dial, caller.world.loop, caller.endpoints, 3, 3, 10000);
    world_run(&caller.world);
    assert_int_equal(caller.dial.err, ERR_NOT_FOUND); /* there was none to try */
    caller_close(&caller);
}

static void given_up(void **state)
{
    struct caller caller;
    (void)state;
    caller_open(&caller, true);
    snprintf(caller.endpoints[0].address, SOCKET_ADDRESS_MAX, "127.0.0.1");
    dial_start(&caller.dial, caller.world.loop, caller.endpoints, 0, 3, 10000);
    dial_cancel(&caller.dial);
    dial_cancel(&caller.dial);
    sim_advance(caller.world.sim, 11000);
    assert_int_equal(caller.told, 0);
    caller_close(&caller);
}

/* ---- One that never answers: a socket that listens, whose queue of connections is full. */

enum { CROWD = 8 };

struct mute {
    int listener, crowd[CROWD];
    char address[SOCKET_ADDRESS_MAX];
    uint16_t port;
};

/* At ::1 or, where there is no IPv6, at another address of this machine. */
static void mute_open(struct mute *mute)
{
    union {
        struct sockaddr any;
        struct sockaddr_in6 v6;
        struct sockaddr_in v4;
    } at = { .v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT } };
    socklen_t len = sizeof at.v6;
    snprintf(mute->address, sizeof mute->address, "::1");
    mute->listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (mute->listener < 0 || bind(mute->listener, &at.any, len) != 0) {
        close(mute->listener);
        at.v4 = (struct sockaddr_in){ .sin_family = AF_INET };
        len = sizeof at.v4;
        snprintf(mute->address, sizeof mute->address, "127.0.0.5");
        assert_int_equal(inet_pton(AF_INET, mute->address, &at.v4.sin_addr), 1);
        mute->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(mute->listener, &at.any, len), 0);
    }
    assert_int_equal(listen(mute->listener, 0), 0);
    assert_int_equal(getsockname(mute->listener, &at.any, &len), 0);
    mute->port = ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
    for (int i = 0; i < CROWD; i++) {
        mute->crowd[i] = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(mute->crowd[i], &at.any, len);
    }
}

static void mute_close(struct mute *mute)
{
    for (int i = 0; i < CROWD; i++)
        close(mute->crowd[i]);
    close(mute->listener);
}

/* RFC 8305 §5: IPv6 comes first, and IPv4 is not made to wait for its end. */
static void the_faster_family(void **state)
{
    struct caller caller;
    struct mute mute;
    (void)state;
    mute_open(&mute);
    caller_open(&caller, false);
    str_copy(str_from(mute.address), caller.endpoints[0].address, SOCKET_ADDRESS_MAX);
    caller.endpoints[0].port = mute.port;
    snprintf(caller.endpoints[1].address, SOCKET_ADDRESS_MAX, "127.0.0.1");
    uint64_t begin_us = loop_now_us(caller.world.loop);
    call(&caller, 0);
    uint64_t took_ms = (loop_now_us(caller.world.loop) - begin_us) / 1000;
    assert_int_equal(caller.dial.err, OK);
    assert_int_equal(caller.dial.index, 1);
    assert_true(took_ms >= 200 && took_ms < 10000);
    socket_close(caller.dial.socket);
    caller.dial.socket = NULL;
    caller_close(&caller);
    mute_close(&mute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_answers_simulated),
        cmocka_unit_test(the_one_that_answers_real),
        cmocka_unit_test(the_faster_family),
        cmocka_unit_test(nobody),
        cmocka_unit_test(given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
