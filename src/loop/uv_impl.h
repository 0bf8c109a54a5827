/* SPDX-License-Identifier: MIT */
/* What loop_uv.c and socket_uv.c share: private to src/loop. */
#ifndef LOOP_UV_IMPL_H
#define LOOP_UV_IMPL_H

#include "base/slab.h"
#include "loop/loop_impl.h"

#include <uv.h>

struct uv_loop {
    struct loop loop;
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t before_sleep;
    uv_check_t after_sleep;
    uv_timer_t timer;
    uv_idle_t busy;    /* active while tasks are queued: the loop does not sleep */
    uint64_t slice_ns; /* when the queued tasks of this turn began */
    uint64_t armed_ms; /* when `timer` fires; UINT64_MAX: it is stopped */
    uint64_t now_us;   /* 0: not read in this turn */
    atomic_bool sleeps;
    atomic_bool stopping;
    struct slab socket_slab;
};

static inline struct uv_loop *uv_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct uv_loop, loop);
}

enum err uv_socket_listen(struct listener *listener, struct loop *loop, const char *address, uint16_t port);
enum err uv_socket_connect(struct loop *loop, const char *address, uint16_t port, struct socket **ret_socket);
struct socket *uv_socket_attach(struct loop *loop, int detached);
enum err uv_socket_error(struct socket *socket);
void uv_socket_want(struct socket *socket, unsigned events);
enum err uv_socket_read(struct socket *socket, char *to, size_t room, size_t *ret_len);
enum err uv_socket_write(struct socket *socket, const struct iovec *pieces, int count, size_t *ret_len);
void uv_socket_shutdown(struct socket *socket);
void uv_socket_close(struct socket *socket);
void uv_socket_peer(const struct socket *socket, char address[SOCKET_ADDRESS_MAX]);
int uv_socket_detach(struct socket *socket);

/* Bytes of a socket in the loop's slab. */
size_t uv_socket_size(void);

#endif
