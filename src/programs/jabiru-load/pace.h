/* SPDX-License-Identifier: MIT */
/* The clock of an open loop: says many times a second how much is due, whatever came back. */
#ifndef JABIRU_LOAD_PACE_H
#define JABIRU_LOAD_PACE_H

#include "loop/socket.h"

enum { LATE_NS = 1000 * 1000 }; /* what is done later than that after it was due counts as late */

struct pace {
    void (*due)(struct pace *pace, uint64_t now, uint64_t scheduled); /* for each that is due */
    struct socket_owner _owner;
    struct socket *_socket;
    uint64_t _began, _done;
    unsigned _rate;
    int _fd;
};

/* Begins to call `due`, which the caller has set, `rate` times a second. ERR_IO if the system has no timer
 * left. */
enum err pace_start(struct pace *pace, struct loop *loop, unsigned rate);

/* Stops. Harmless for one that does not run (zeroed memory). */
void pace_stop(struct pace *pace);

#endif
