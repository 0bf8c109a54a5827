/* SPDX-License-Identifier: MIT */
/* Sockets of the real world: a descriptor, and a libuv poll handle that says when it is ready.
 *
 * The owner reads and writes by itself, one system call each, straight from and to buffers that are shared by
 * all connections; libuv's streams would want a buffer for each read and a request for each write. An idle
 * socket is one object of a slab.
 *
 * libuv frees a handle later than it is closed, so a socket's memory lives until then, marked with descriptor
 * -1. uv_close() takes the descriptor out of the loop's epoll set before it returns: only then is the
 * descriptor closed, or, when the socket moves, handed to another loop (the old loop would otherwise take
 * events for a descriptor that is not its own any more).
 *
 * An error that epoll reports by itself makes libuv stop the handle. The owner is then told to read, and if
 * it goes on after that the handle is started again.
 *
 * A listener takes at most some tens of connections a turn, and rests for a moment when the process is out of
 * descriptors, since the pending connection would make the loop spin. Each listener sets SO_REUSEPORT, so
 * that every loop has its own; the price is that two processes of one user can share a port by mistake. */
#include "base/log.h"
#include "loop/uv_impl.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS_A_TURN = 64, REST_MS = 100 };

struct uv_socket {
    struct socket socket;
    uv_poll_t poll;
    int fd;          /* -1: closed, its memory waits for libuv */
    uint8_t wanted;  /* by the owner */
    uint8_t watched; /* by libuv */
    int8_t error;
};

struct uv_listener {
    struct listener_impl impl;
    struct listener *listener;
    struct loop *loop;
    uv_poll_t poll;
    struct timer rest;
    int fd;
    bool paused;
    char *path; /* of a Unix socket, to be removed at the end */
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

size_t uv_socket_size(void)
{
    return sizeof(struct uv_socket);
}

static struct uv_socket *of(struct socket *socket)
{
    return CONTAINER_OF(socket, struct uv_socket, socket);
}

/* ---- Addresses */

/* The socket address of text; its length, or 0 when it is no such thing. */
static socklen_t address_parse(const char *text, uint16_t port, union address *ret_address)
{
    union address address = { 0 };
    socklen_t length = 0;
    if (text[0] == '/') {
        address.local.sun_family = AF_UNIX;
        if (str_copy(str_from(text), address.local.sun_path, sizeof address.local.sun_path))
            length = sizeof address.local;
    } else if (!text[0] || inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        length = sizeof address.v6;
    } else if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        length = sizeof address.v4;
    }
    if (length)
        *ret_address = address;
    return length;
}

static void address_text(const union address *address, char text[SOCKET_ADDRESS_MAX])
{
    char host[INET6_ADDRSTRLEN];
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    switch (address->any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(text, SOCKET_ADDRESS_MAX, "%s:%u", host, ntohs(address->v4.sin_port));
        return;
    case AF_INET6:
        /* A listener of both families sees IPv4 peers as mapped: they are IPv4 all the same. */
        if (IN6_IS_ADDR_V4MAPPED(v6))
            inet_ntop(AF_INET, &v6->s6_addr[12], host, sizeof host);
        else
            inet_ntop(AF_INET6, v6, host, sizeof host);
        snprintf(text, SOCKET_ADDRESS_MAX, IN6_IS_ADDR_V4MAPPED(v6) ? "%s:%u" : "[%s]:%u", host,
                 ntohs(address->v6.sin6_port));
        return;
    default:
        snprintf(text, SOCKET_ADDRESS_MAX, "local");
    }
}

static void set_option(int fd, int level, int option, int value)
{
    /* Each option used is an improvement, none is a condition; Unix sockets refuse those of TCP. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static int open_descriptor(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* ---- Readiness */

static void on_ready(uv_poll_t *poll, int status, int uv_events);

static void watch(struct uv_socket *sock)
{
    if (sock->watched == sock->wanted)
        return;
    sock->watched = sock->wanted;
    if (!sock->wanted) {
        uv_poll_stop(&sock->poll);
        return;
    }
    int events = (sock->wanted & SOCKET_READABLE ? UV_READABLE : 0) |
                 (sock->wanted & SOCKET_WRITABLE ? UV_WRITABLE : 0);
    int failed = uv_poll_start(&sock->poll, events, on_ready);
    assert(!failed);
    (void)failed;
}

static void on_ready(uv_poll_t *poll, int status, int uv_events)
{
    struct uv_socket *sock = CONTAINER_OF(poll, struct uv_socket, poll);
    unsigned events =
        (uv_events & UV_READABLE ? SOCKET_READABLE : 0) | (uv_events & UV_WRITABLE ? SOCKET_WRITABLE : 0);
    if (status < 0) {
        sock->watched = 0;
        events = SOCKET_READABLE | SOCKET_WRITABLE;
    }
    events &= sock->wanted | SOCKET_READABLE;
    if (events)
        sock->socket.owner->ready(sock->socket.owner, events);
    if (status < 0 && sock->fd >= 0)
        watch(sock);
}

void uv_socket_want(struct socket *socket, unsigned events)
{
    struct uv_socket *sock = of(socket);
    assert(socket->owner || !events);
    sock->wanted = (uint8_t)events;
    watch(sock);
}

/* ---- Life */

struct socket *uv_socket_attach(struct loop *base, int fd)
{
    struct uv_loop *loop = uv_of(base);
    struct uv_socket *sock = slab_alloc(&loop->socket_slab);
    sock->socket.loop = base;
    sock->fd = fd;
    int failed = uv_poll_init(&loop->uv, &sock->poll, fd);
    assert(!failed);
    (void)failed;
    base->sockets++;
    return &sock->socket;
}

static void closed(uv_handle_t *handle)
{
    struct uv_socket *sock = CONTAINER_OF((uv_poll_t *)handle, struct uv_socket, poll);
    slab_free(&uv_of(sock->socket.loop)->socket_slab, sock);
}

int uv_socket_detach(struct socket *socket)
{
    struct uv_socket *sock = of(socket);
    int fd = sock->fd;
    sock->fd = -1;
    socket->loop->sockets--;
    uv_close((uv_handle_t *)&sock->poll, closed);
    return fd;
}

void uv_socket_close(struct socket *socket)
{
    close(uv_socket_detach(socket));
}

void uv_socket_shutdown(struct socket *socket)
{
    shutdown(of(socket)->fd, SHUT_WR);
}

enum err uv_socket_connect(struct loop *loop, const char *text, uint16_t port, struct socket **ret_socket)
{
    union address address;
    socklen_t length = text[0] ? address_parse(text, port, &address) : 0;
    if (!length)
        return ERR_INVALID;
    int fd = open_descriptor(address.any.sa_family);
    if (fd < 0)
        return err_from_errno(errno);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (connect(fd, &address.any, length) < 0 && errno != EINPROGRESS) {
        enum err err = err_from_errno(errno);
        close(fd);
        return err;
    }
    *ret_socket = uv_socket_attach(loop, fd);
    return OK;
}

enum err uv_socket_error(struct socket *socket)
{
    struct uv_socket *sock = of(socket);
    int error = 0;
    socklen_t length = sizeof error;
    /* The kernel forgets an error once it was asked for. */
    if (!sock->error && getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error)
        sock->error = (int8_t)err_from_errno(error);
    return sock->error;
}

void uv_socket_peer(const struct socket *socket, char text[SOCKET_ADDRESS_MAX])
{
    const struct uv_socket *sock = CONTAINER_OF(socket, const struct uv_socket, socket);
    union address address = { 0 };
    socklen_t length = sizeof address;
    if (getpeername(sock->fd, &address.any, &length) < 0)
        snprintf(text, SOCKET_ADDRESS_MAX, "unknown");
    else
        address_text(&address, text);
}

/* ---- Bytes */

enum err uv_socket_read(struct socket *socket, char *to, size_t room, size_t *ret_len)
{
    ssize_t count = recv(of(socket)->fd, to, room, 0);
    if (count < 0)
        return err_from_errno(errno);
    if (count == 0)
        return ERR_CLOSED;
    *ret_len = (size_t)count;
    return OK;
}

enum err uv_socket_write(struct socket *socket, const struct iovec *pieces, int count, size_t *ret_len)
{
    /* The kernel reads the pieces and does not change them. */
    struct msghdr message = { .msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count };
    ssize_t taken = sendmsg(of(socket)->fd, &message, MSG_NOSIGNAL);
    if (taken < 0)
        return err_from_errno(errno);
    *ret_len = (size_t)taken;
    return OK;
}

/* ---- Listeners */

static struct uv_listener *listener_of(const struct listener *listener)
{
    return CONTAINER_OF(listener->_impl, struct uv_listener, impl);
}

static void on_connection(uv_poll_t *poll, int status, int uv_events);

static void listener_watch(struct uv_listener *self)
{
    if (self->paused || timer_running(&self->rest))
        uv_poll_stop(&self->poll);
    else
        uv_poll_start(&self->poll, UV_READABLE, on_connection);
}

static void rested(struct timer *timer)
{
    listener_watch(CONTAINER_OF(timer, struct uv_listener, rest));
}

static void on_connection(uv_poll_t *poll, int status, int uv_events)
{
    struct uv_listener *self = CONTAINER_OF(poll, struct uv_listener, poll);
    (void)status, (void)uv_events;
    for (int i = 0; i < ACCEPTS_A_TURN && !self->paused && self->fd >= 0; i++) {
        int fd = accept4(self->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            log_warn(net, "no descriptors left for a new connection; waiting %d ms", REST_MS);
            timer_start(self->loop, &self->rest, REST_MS);
            listener_watch(self);
            return;
        }
        if (fd < 0)
            return;
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        self->listener->accepted(self->listener, uv_socket_attach(self->loop, fd));
    }
}

static uint16_t uv_listener_port(const struct listener *listener)
{
    union address address = { 0 };
    socklen_t length = sizeof address;
    getsockname(listener_of(listener)->fd, &address.any, &length);
    if (address.any.sa_family == AF_INET)
        return ntohs(address.v4.sin_port);
    return address.any.sa_family == AF_INET6 ? ntohs(address.v6.sin6_port) : 0;
}

static void uv_listener_pause(struct listener *listener, bool pause)
{
    struct uv_listener *self = listener_of(listener);
    self->paused = pause;
    listener_watch(self);
}

static void listener_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_poll_t *)handle, struct uv_listener, poll));
}

static void uv_listener_close(struct listener *listener)
{
    struct uv_listener *self = listener_of(listener);
    timer_stop(&self->rest);
    uv_close((uv_handle_t *)&self->poll, listener_closed);
    if (self->path)
        unlink(self->path);
    free(self->path);
    close(self->fd);
    self->fd = -1;
}

static const struct listener_kind uv_listener_kind = {
    .port = uv_listener_port,
    .pause = uv_listener_pause,
    .close = uv_listener_close,
};

/* Removes a Unix socket that a dead process left behind; ERR_EXISTS when somebody answers there, or it is no
 * socket. */
static enum err clear_path(const union address *address, socklen_t length)
{
    struct stat status;
    if (lstat(address->local.sun_path, &status) < 0)
        return OK;
    if (!S_ISSOCK(status.st_mode))
        return ERR_EXISTS;
    int fd = open_descriptor(AF_UNIX);
    if (fd < 0)
        return err_from_errno(errno);
    bool dead = connect(fd, &address->any, length) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!dead)
        return ERR_EXISTS;
    unlink(address->local.sun_path);
    return OK;
}

static enum err bind_and_listen(int fd, const union address *address, socklen_t length, bool both_families,
                                bool alone)
{
    if (address->any.sa_family == AF_UNIX) {
        enum err err = clear_path(address, length);
        if (err)
            return err;
        fchmod(fd, 0600); /* before bind(): the file is never open to others, not even for a moment */
    } else {
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, !alone);
    }
    if (address->any.sa_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both_families);
    if (bind(fd, &address->any, length) < 0)
        return errno == EADDRNOTAVAIL ? ERR_INVALID : err_from_errno(errno);
    return listen(fd, BACKLOG) < 0 ? err_from_errno(errno) : OK;
}

static enum err listening_descriptor(const char *text, uint16_t port, bool alone, int *ret_fd)
{
    union address address;
    socklen_t length = address_parse(text, port, &address);
    if (!length)
        return ERR_INVALID;
    int fd = open_descriptor(address.any.sa_family);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = bind_and_listen(fd, &address, length, !text[0], alone);
    if (err) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return OK;
}

enum err uv_socket_listen(struct listener *listener, struct loop *loop, const char *text, uint16_t port)
{
    int fd;
    enum err err = listening_descriptor(text, port, listener->alone, &fd);
    if (err && !text[0])
        err = listening_descriptor("0.0.0.0", port, listener->alone, &fd); /* a machine without IPv6 */
    if (err)
        return err;
    struct uv_listener *self = NEW(struct uv_listener);
    self->impl.kind = &uv_listener_kind;
    self->listener = listener;
    self->loop = loop;
    self->rest.fired = rested;
    self->fd = fd;
    self->path = text[0] == '/' ? str_dup(str_from(text)) : NULL;
    int failed = uv_poll_init(&uv_of(loop)->uv, &self->poll, fd);
    assert(!failed);
    (void)failed;
    listener->_impl = &self->impl;
    listener_watch(self);
    return OK;
}
