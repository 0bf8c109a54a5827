/* SPDX-License-Identifier: MIT */
/* The way from the calls of socket.h to the kind of the socket's loop: socket_uv.c or socket_sim.c. */
#include "loop/loop_impl.h"
#include "loop/sim_impl.h"

#include <unistd.h>

enum err listener_open(struct listener *listener, struct loop *loop, const char *address, uint16_t port)
{
    return loop->kind->listen(listener, loop, address, port);
}

uint16_t listener_port(const struct listener *listener)
{
    return listener->_impl->kind->port(listener);
}

void listener_pause(struct listener *listener, bool pause)
{
    listener->_impl->kind->pause(listener, pause);
}

void listener_close(struct listener *listener)
{
    if (!listener->_impl)
        return;
    listener->_impl->kind->close(listener);
    listener->_impl = NULL;
}

enum err socket_connect(struct loop *loop, const char *address, uint16_t port, struct socket_owner *owner,
                        struct socket **ret_socket)
{
    struct socket *socket;
    enum err err = loop->kind->connect(loop, address, port, &socket);
    if (err)
        return err;
    socket_want(socket, owner, SOCKET_WRITABLE);
    *ret_socket = socket;
    return OK;
}

enum err socket_error(struct socket *socket)
{
    return socket->loop->kind->error(socket);
}

void socket_want(struct socket *socket, struct socket_owner *owner, unsigned events)
{
    socket->owner = owner;
    socket->loop->kind->want(socket, events);
}

enum err socket_read(struct socket *socket, char *to, size_t room, size_t *ret_len)
{
    return socket->loop->kind->read(socket, to, room, ret_len);
}

enum err socket_write(struct socket *socket, const struct iovec *pieces, int count, size_t *ret_len)
{
    return socket->loop->kind->write(socket, pieces, count, ret_len);
}

void socket_shutdown(struct socket *socket)
{
    socket->loop->kind->shutdown(socket);
}

void socket_close(struct socket *socket)
{
    if (socket)
        socket->loop->kind->close(socket);
}

void socket_peer(const struct socket *socket, char address[SOCKET_ADDRESS_MAX])
{
    socket->loop->kind->peer(socket, address);
}

int socket_detach(struct socket *socket)
{
    return socket->loop->kind->detach(socket);
}

struct socket *socket_attach(struct loop *loop, int detached)
{
    return loop->kind->attach(loop, detached);
}

void socket_discard(int detached)
{
    if (detached < 0)
        sim_socket_discard(detached);
    else
        close(detached);
}
