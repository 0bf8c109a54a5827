/* SPDX-License-Identifier: MIT */
/* What loop_sim.c and socket_sim.c share: private to src/loop. */
#ifndef LOOP_SIM_IMPL_H
#define LOOP_SIM_IMPL_H

#include "base/slab.h"
#include "loop/loop_impl.h"
#include "loop/loop_sim.h"

struct sim_listener;

struct sim {
    uint64_t now_us;
    uint64_t random[4]; /* state of the generator */
    struct sim_faults faults;
    struct wheel wheel; /* deliveries and finished work; ticks of a millisecond */
    struct list due;    /* those of them that take no time */
    struct list loops;
    struct list sockets; /* all of them */
    struct sim_listener *listeners;
    struct slab socket_slab;
    struct sim_record *records; /* of its DNS */
    bool dns_silent;
    const char *dns_signed; /* names that end like this */
    size_t bytes;           /* in the network */
    uint32_t next_peer;
    uint16_t next_port;
};

struct sim_loop {
    struct loop loop;
    struct sim *sim;
    struct list link;
    struct list ready; /* sockets and listeners that may have something to tell */
    bool cut_off;
};

static inline struct sim_loop *sim_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct sim_loop, loop);
}

/* Starts a timer of the world itself, 0..`max_ms` from now, but not before `floor_us`. Returns when. */
uint64_t sim_timer_start(struct sim *sim, struct timer *timer, unsigned max_ms, uint64_t floor_us);

/* Tells the owners of the sockets that are ready now. Returns whether there was one. */
bool sim_sockets_turn(struct sim_loop *loop);

size_t sim_socket_size(void);

enum err sim_socket_listen(struct listener *listener, struct loop *loop, const char *address, uint16_t port);
enum err sim_socket_connect(struct loop *loop, const char *address, uint16_t port,
                            struct socket **ret_socket);
struct socket *sim_socket_attach(struct loop *loop, int detached);
enum err sim_socket_error(struct socket *socket);
void sim_socket_want(struct socket *socket, unsigned events);
enum err sim_socket_read(struct socket *socket, char *to, size_t room, size_t *ret_len);
enum err sim_socket_write(struct socket *socket, const struct iovec *pieces, int count, size_t *ret_len);
void sim_socket_shutdown(struct socket *socket);
void sim_socket_close(struct socket *socket);
void sim_socket_peer(const struct socket *socket, char address[SOCKET_ADDRESS_MAX]);
int sim_socket_detach(struct socket *socket);
void sim_socket_discard(int detached);

#endif
