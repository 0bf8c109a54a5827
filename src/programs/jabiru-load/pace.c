/* SPDX-License-Identifier: MIT */
/* The loop's own timers may be late by some 20 ms, which is more than what is measured here. So the pace
 * comes from a timer of the kernel that is watched as the sockets are. When the loop was busy, what became
 * due meanwhile is done at once, so the rate holds; the caller sees by `scheduled` how far it is behind. */
#include "programs/jabiru-load/pace.h"

#include "programs/jabiru-load/load.h"

#include <sys/timerfd.h>
#include <unistd.h>

enum { SECOND_NS = 1000 * 1000 * 1000, INTERVAL_MIN_NS = 100 * 1000, AT_ONCE_MAX = 10000 };

static uint64_t schedule(const struct pace *pace, uint64_t n)
{
    /* In two parts, so that days at millions a second do not overflow. */
    return pace->_began + n / pace->_rate * SECOND_NS + n % pace->_rate * SECOND_NS / pace->_rate;
}

static void ticked(struct socket_owner *owner, unsigned events)
{
    struct pace *pace = CONTAINER_OF(owner, struct pace, _owner);
    uint64_t count;
    (void)events;
    if (read(pace->_fd, &count, sizeof count) != sizeof count)
        return; /* not yet */
    uint64_t now = load_now();
    for (int i = 0; i < AT_ONCE_MAX && pace->_socket && schedule(pace, pace->_done) <= now; i++)
        pace->due(pace, now, schedule(pace, pace->_done++));
}

enum err pace_start(struct pace *pace, struct loop *loop, unsigned rate)
{
    long interval = SECOND_NS / (long)rate;
    if (interval < INTERVAL_MIN_NS)
        interval = INTERVAL_MIN_NS;
    struct timespec every = { .tv_sec = interval / SECOND_NS, .tv_nsec = interval % SECOND_NS };
    struct itimerspec spec = { .it_interval = every, .it_value = every };
    pace->_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (pace->_fd < 0 || timerfd_settime(pace->_fd, 0, &spec, NULL) < 0)
        return ERR_IO;
    pace->_began = load_now();
    pace->_done = 0;
    pace->_rate = rate;
    pace->_owner.ready = ticked;
    pace->_socket = socket_attach(loop, pace->_fd);
    socket_want(pace->_socket, &pace->_owner, SOCKET_READABLE);
    return OK;
}

void pace_stop(struct pace *pace)
{
    socket_close(pace->_socket);
    pace->_socket = NULL;
}
