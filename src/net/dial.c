/* SPDX-License-Identifier: MIT */
/* The race of connections. Every way to its end goes through end(), which closes what is still open and has a
 * task tell the owner. RFC 8305 §5 (a delay of 250 ms between attempts), RFC 6120 §3.2. */
#include "net/dial.h"

enum { STAGGER_MS = 250 };

static void close_tries(struct dial *dial)
{
    for (size_t i = 0; i < dial->_count; i++) {
        socket_close(dial->_tries[i]._socket);
        dial->_tries[i]._socket = NULL;
    }
    dial->_open = 0;
    timer_stop(&dial->_stagger);
    timer_stop(&dial->_deadline);
}

static void tell(struct task *task)
{
    struct dial *dial = CONTAINER_OF(task, struct dial, _told);
    dial->done(dial);
}

static void end(struct dial *dial, enum err err)
{
    close_tries(dial);
    dial->err = err;
    loop_defer(dial->_loop, &dial->_told);
}

static void ready(struct socket_owner *owner, unsigned events);

/* Begins with the next endpoint that can be begun with. */
static void try_next(struct dial *dial)
{
    while (dial->_next < dial->_count) {
        size_t i = dial->_next++;
        const struct dns_endpoint *endpoint = &dial->_endpoints[i];
        struct dial_try *try = &dial->_tries[i];
        enum err err =
            socket_connect(dial->_loop, endpoint->address, endpoint->port, &try->_owner, &try->_socket);
        if (err == OK) {
            dial->_open++;
            if (dial->_next < dial->_count)
                timer_start(dial->_loop, &dial->_stagger, STAGGER_MS);
            return;
        }
        dial->err = err;
    }
    if (!dial->_open)
        end(dial, dial->err);
}

static void ready(struct socket_owner *owner, unsigned events)
{
    struct dial_try *try = CONTAINER_OF(owner, struct dial_try, _owner);
    struct dial *dial = try->_dial;
    struct socket *socket = try->_socket;
    enum err err = socket_error(socket);
    (void)events;
    if (err != OK) {
        socket_close(socket);
        try->_socket = NULL;
        dial->_open--;
        dial->err = err;
        try_next(dial);
        return;
    }
    try->_socket = NULL;
    socket_want(socket, owner, 0);
    dial->socket = socket;
    dial->index = (size_t)(try - dial->_tries);
    end(dial, OK);
}

static void next_is_due(struct timer *timer)
{
    try_next(CONTAINER_OF(timer, struct dial, _stagger));
}

static void too_late(struct timer *timer)
{
    end(CONTAINER_OF(timer, struct dial, _deadline), ERR_TIMEOUT);
}

void dial_start(struct dial *dial, struct loop *loop, const struct dns_endpoint *endpoints, size_t first,
                size_t count, unsigned timeout_ms)
{
    dial->_loop = loop;
    dial->_endpoints = endpoints;
    dial->_next = first;
    dial->_count = count < DNS_ENDPOINTS_MAX ? count : DNS_ENDPOINTS_MAX;
    dial->_open = 0;
    dial->err = ERR_NOT_FOUND;
    dial->socket = NULL;
    dial->_stagger.fired = next_is_due;
    dial->_deadline.fired = too_late;
    dial->_told.run = tell;
    for (size_t i = 0; i < dial->_count; i++)
        dial->_tries[i] = (struct dial_try){ { ready }, dial, NULL };
    timer_start(loop, &dial->_deadline, timeout_ms);
    try_next(dial);
}

void dial_cancel(struct dial *dial)
{
    if (!dial->_loop)
        return;
    close_tries(dial);
    task_cancel(&dial->_told);
    socket_close(dial->socket);
    dial->socket = NULL;
    dial->_loop = NULL;
}
