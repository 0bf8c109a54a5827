/* SPDX-License-Identifier: MIT */
/* The simulated world: loops in virtual time and a network in memory, all driven by one thread from one seed.
 * The same seed gives the same run. loop.h and socket.h work on its loops as on real ones. */
#ifndef LOOP_LOOP_SIM_H
#define LOOP_LOOP_SIM_H

#include "loop/loop.h"
#include "loop/socket.h"

struct sim;

/* What the network and the pool do to the innocent; all zero is a perfect world without delay. */
struct sim_faults {
    unsigned delay_ms_max; /* each chunk of bytes takes 0..this many ms; order within a connection holds */
    unsigned chunk_max;    /* a write is delivered in pieces of 1..this many bytes; 0: whole */
    unsigned short_write_percent; /* chance that a write takes only part of what is offered */
    unsigned reset_per_million;   /* chance, a write, that the connection is reset */
    unsigned work_ms_max;         /* work on the pool takes 0..this many ms */
};

struct sim *sim_new(uint64_t seed);

/* Frees the world; its loops must be freed before. */
void sim_free(struct sim *sim);

/* A loop of this world. loop_run() must not be called on it: sim_run() drives all. */
struct loop *sim_loop_new(struct sim *sim);

void sim_set_faults(struct sim *sim, const struct sim_faults *faults);

/* ---- Names: what the simulated DNS knows, for the resolver of src/net */

struct sim_record {
    char *name, *type, *data; /* "_xmpp-server._tcp.example.org", "SRV", "10 5 5269 xmpp.example.org" */
    uint32_t ttl_s;
    struct sim_record *_next;
};

/* The data of a record that makes the name server fail on a question for it, as on a forged one. */
#define SIM_DNS_FAILS "fails"

/* Adds a record (types "A", "AAAA", "SRV", "TLSA"; names in lower case, without a dot at the end). */
void sim_record_add(struct sim *sim, const char *name, const char *type, const char *data, uint32_t ttl_s);

/* Removes all records. */
void sim_records_clear(struct sim *sim);

/* The name server answers nobody any more, or again. */
void sim_set_dns_silent(struct sim *sim, bool silent);
bool sim_dns_is_silent(struct loop *loop);

/* Answers about names that end like this (static text) are validated with DNSSEC; NULL: none. */
void sim_set_dns_signed(struct sim *sim, const char *ending);
bool sim_dns_is_signed(struct loop *loop, str name);

/* The record of this name and type behind `after` (NULL: the first), or NULL. */
const struct sim_record *sim_record_next(struct loop *loop, const struct sim_record *after, str name,
                                         str type);

/* Drives all loops until nothing is left to do now (no ready socket, task, mail or finished work), without
 * letting virtual time pass. At most `turns_max` turns; returns false when that was not enough. */
bool sim_settle(struct sim *sim, unsigned turns_max);

/* Lets virtual time pass, firing timers and deliveries on the way. */
void sim_advance(struct sim *sim, uint64_t ms);

/* Virtual microseconds since the world began. */
uint64_t sim_now_us(const struct sim *sim);

/* Random number of this world's seed, 0..below-1. */
uint64_t sim_random(struct sim *sim, uint64_t below);

/* Cuts the connection of a socket: both ends see a reset. */
void sim_cut(struct socket *socket);

/* The connections of a world, to hurt one of them: how many there are, and the ends of the nth. */
size_t sim_connections(const struct sim *sim);
struct socket *sim_connection(const struct sim *sim, size_t nth, bool other_end);

/* The loop that has this socket; NULL: none at the moment. */
struct loop *sim_loop_of(const struct socket *socket);

/* What is sent to this socket does not arrive until that is taken back; what it sends does. */
void sim_stall(struct socket *socket, bool stalled);
void sim_stall_none(struct sim *sim);

/* A loop that nothing reaches any more, and that reaches nobody: its connections are reset, its listeners are
 * deaf, and who it calls refuses. It goes on by itself, unheard: what is left of a process that was killed.
 */
void sim_loop_cut_off(struct loop *loop);

/* Bytes on their way or waiting in the memory network: zero when all was read. */
size_t sim_bytes_in_flight(const struct sim *sim);

#endif
