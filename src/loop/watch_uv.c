/* SPDX-License-Identifier: MIT */
/* Descriptors of libraries, watched by libuv.
 *
 * The handle lives on the heap, since libuv frees handles later than they are closed, and a library may close
 * its descriptor (and open another one with the same number) right after it said that it wants no more.
 * uv_close() takes the descriptor out of the epoll set at once, so the old handle never hears of the new
 * one's events. */
#include "loop/uv_impl.h"
#include "loop/watch.h"

#include <assert.h>
#include <stdlib.h>

struct watch_impl {
    uv_poll_t poll;
    struct watch *watch; /* NULL: stopped */
};

static void closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_poll_t *)handle, struct watch_impl, poll));
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch_impl *impl = CONTAINER_OF(poll, struct watch_impl, poll);
    unsigned ready =
        (events & UV_READABLE ? SOCKET_READABLE : 0) | (events & UV_WRITABLE ? SOCKET_WRITABLE : 0);
    if (impl->watch)
        impl->watch->ready(impl->watch, status < 0 ? SOCKET_READABLE | SOCKET_WRITABLE : ready);
}

void watch_start(struct loop *loop, struct watch *watch, int fd, unsigned events)
{
    assert(!loop_is_simulated(loop));
    if (!watch->_impl) {
        watch->_impl = NEW(struct watch_impl);
        watch->_impl->watch = watch;
        if (uv_poll_init(&uv_of(loop)->uv, &watch->_impl->poll, fd) < 0)
            abort(); /* no descriptor at all, or libuv is out of memory */
    }
    int wanted = (events & SOCKET_READABLE ? UV_READABLE : 0) | (events & SOCKET_WRITABLE ? UV_WRITABLE : 0);
    uv_poll_start(&watch->_impl->poll, wanted, on_ready);
}

void watch_stop(struct watch *watch)
{
    struct watch_impl *impl = watch->_impl;
    if (!impl)
        return;
    watch->_impl = NULL;
    impl->watch = NULL;
    uv_close((uv_handle_t *)&impl->poll, closed);
}
