/* SPDX-License-Identifier: MIT */
/* What the two kinds of loops share: private to src/loop. */
#ifndef LOOP_LOOP_IMPL_H
#define LOOP_LOOP_IMPL_H

#include "loop/loop.h"
#include "loop/socket.h"
#include "loop/wheel.h"

#include <stdatomic.h>

enum { TICK_MS = 8 };

/* What a kind of loop does its own way; the calls of loop.h and socket.h of the same names go here. */
struct loop_kind {
    void (*free)(struct loop *loop);
    void (*run)(struct loop *loop);
    void (*stop)(struct loop *loop);
    uint64_t (*now_us)(struct loop *loop);
    int64_t (*wall_ms)(const struct loop *loop);
    void (*timer_started)(struct loop *loop);
    void (*posted)(struct loop *loop);                  /* a mail was put in; any thread */
    void (*queued)(struct loop *loop);                  /* something is left for the next turn */
    bool (*has_time)(struct loop *loop, unsigned done); /* for another queued task, after `done` of them */
    void (*work)(struct loop *loop, struct work *work);

    enum err (*listen)(struct listener *listener, struct loop *loop, const char *address, uint16_t port);
    enum err (*connect)(struct loop *loop, const char *address, uint16_t port, struct socket **ret_socket);
    struct socket *(*attach)(struct loop *loop, int detached);
    enum err (*error)(struct socket *socket);
    void (*want)(struct socket *socket, unsigned events);
    enum err (*read)(struct socket *socket, char *to, size_t room, size_t *ret_len);
    enum err (*write)(struct socket *socket, const struct iovec *pieces, int count, size_t *ret_len);
    void (*shutdown)(struct socket *socket);
    void (*close)(struct socket *socket);
    void (*peer)(const struct socket *socket, char address[SOCKET_ADDRESS_MAX]);
    int (*detach)(struct socket *socket);
};

struct loop {
    const struct loop_kind *kind;
    struct list tasks;
    struct list next;   /* tasks that are deferred to the next turn */
    struct list queue;  /* tasks that wait for their turn */
    unsigned postponed; /* turns in which the queue has waited */
    bool ran_queue;     /* in the last turn that did one of both */
    uint64_t turn;
    _Atomic(struct mail *) mail; /* a stack: the newest first */
    atomic_uint posting;         /* threads inside loop_post() */
    size_t sockets;
    size_t works; /* handed to the pool and not done yet */
    struct wheel wheel;
};

struct socket {
    struct loop *loop;
    struct socket_owner *owner;
};

/* What stands in listener->_impl begins with this. */
struct listener_impl {
    const struct listener_kind *kind;
};

struct listener_kind {
    uint16_t (*port)(const struct listener *listener);
    void (*pause)(struct listener *listener, bool pause);
    void (*close)(struct listener *listener);
};

void loop_init(struct loop *loop, const struct loop_kind *kind, uint64_t now_ms);

/* Asserts that nothing is left that would be lost. */
void loop_fini(struct loop *loop);

/* Delivers the mails that are there, in order; those posted meanwhile wait. Returns whether there was one. */
bool loop_deliver_mail(struct loop *loop);

static inline bool loop_has_mail(struct loop *loop)
{
    return atomic_load(&loop->mail) != NULL;
}

/* Runs tasks until none is queued. Returns whether there was one. */
bool loop_run_tasks(struct loop *loop);

/* A turn's share of what can wait: all that was deferred to it, or queued tasks while there is time, and
 * never both, so that the turn is short. The queue waits while tasks are deferred from turn to turn, though
 * not for long (what is being gathered for it leaves at once then), and from then on they alternate. Returns
 * whether there was something. */
bool loop_run_portion(struct loop *loop);

/* Hands work to the pool of threads, which posts it back to its loop. */
void pool_submit(struct work *work);

/* Sets the work's mail so that its arrival ends the work on its loop. */
void work_arm(struct loop *loop, struct work *work);

#endif
