/* SPDX-License-Identifier: MIT */
/* Readiness of a descriptor that a library owns: for libraries that do their own I/O and only want to be told
 * when (DNS). A loop of the real world only: a simulation has no descriptors. */
#ifndef LOOP_WATCH_H
#define LOOP_WATCH_H

#include "loop/socket.h"

/* Stands in what wants to be told. Zeroed memory watches nothing. */
struct watch {
    void (*ready)(struct watch *watch, unsigned events); /* SOCKET_READABLE | SOCKET_WRITABLE */
    struct watch_impl *_impl;
};

/* Watches the descriptor for these events, or for others from now on. It stays the caller's; an error shows
 * as both events. A watch keeps to one descriptor until watch_stop(). */
void watch_start(struct loop *loop, struct watch *watch, int fd, unsigned events);

/* Watches nothing any more; `ready` is not called again, and the descriptor may be closed. */
void watch_stop(struct watch *watch);

#endif
