/* SPDX-License-Identifier: MIT */
/* Stream sockets by readiness: the owner is told when it can read or write, and does so itself with its own
 * buffers, so an idle connection holds none. TCP over IPv4 and IPv6, and Unix sockets; in a simulation, a
 * network in memory. */
#ifndef LOOP_SOCKET_H
#define LOOP_SOCKET_H

#include "base/str.h"
#include "loop/loop.h"

#include <sys/uio.h>

enum { SOCKET_READABLE = 1, SOCKET_WRITABLE = 2 };

enum { SOCKET_ADDRESS_MAX = 56 }; /* "[ipv6]:port" and its NUL */

struct socket;

/* Embedded in what owns the socket. `ready` is called with the events that hold now; an error or a hang-up
 * shows as SOCKET_READABLE, and the next read tells. */
struct socket_owner {
    void (*ready)(struct socket_owner *owner, unsigned events);
};

/* Embedded in what listens. `accepted` gets each new socket, which it owns, with no owner set and no events
 * wanted. */
struct listener {
    void (*accepted)(struct listener *listener, struct socket *socket);
    bool alone; /* share the port with nobody: opening fails with ERR_EXISTS if anybody listens there */
    struct listener_impl *_impl;
};

/* Listens on `address` (an IP literal, "" for all of both families, or "/path" for a Unix socket with mode
 * 0600) and `port` (0: any free one). Several loops may listen on one address and port: the kernel spreads
 * connections over them. Returns OK, or ERR_EXISTS (in use), ERR_PERMISSION, ERR_INVALID, ERR_IO. */
enum err listener_open(struct listener *listener, struct loop *loop, const char *address, uint16_t port);

/* The port that it listens on. */
uint16_t listener_port(const struct listener *listener);

/* Stops taking connections for a while, or goes on. For limits. */
void listener_pause(struct listener *listener, bool pause);

/* Stops listening; `accepted` is not called any more. */
void listener_close(struct listener *listener);

/* Starts to connect to an IP literal (or "/path") and port. The owner hears SOCKET_WRITABLE when it is
 * decided: socket_error() then tells OK or why not. Returns OK with a socket, or an error at once. */
enum err socket_connect(struct loop *loop, const char *address, uint16_t port, struct socket_owner *owner,
                        struct socket **ret_socket);

/* OK, or the error that the connection met (ERR_REFUSED, ERR_TIMEOUT, ERR_CLOSED, ERR_IO). */
enum err socket_error(struct socket *socket);

/* Sets who is told and of what (SOCKET_READABLE | SOCKET_WRITABLE, or 0 for nothing). Readiness is a level:
 * the owner is told again each turn as long as it lasts. */
void socket_want(struct socket *socket, struct socket_owner *owner, unsigned events);

/* Reads up to `room` bytes. OK with *ret_len > 0; ERR_AGAIN when there is nothing now; ERR_CLOSED at the end
 * of the stream; ERR_IO or ERR_TIMEOUT otherwise. */
enum err socket_read(struct socket *socket, char *to, size_t room, size_t *ret_len);

/* Writes what the kernel takes of the `count` pieces. OK with *ret_len bytes taken (maybe fewer than
 * offered); ERR_AGAIN when it takes none now; ERR_CLOSED or ERR_IO when the connection is gone. Never raises
 * SIGPIPE. */
enum err socket_write(struct socket *socket, const struct iovec *pieces, int count, size_t *ret_len);

/* Ends our side of the stream (FIN) once all that was written is sent; reading goes on. */
void socket_shutdown(struct socket *socket);

/* Closes. The owner hears nothing more. NULL is allowed. */
void socket_close(struct socket *socket);

/* The peer's address as text, "127.0.0.1:5222" or "[::1]:5222", "local" for a Unix socket. */
void socket_peer(const struct socket *socket, char address[SOCKET_ADDRESS_MAX]);

/* Moves a socket to another loop: detach on the old loop's thread, carry the number over by mail, attach on
 * the new one's. Bytes in the kernel stay; nobody is told of events in between. */
int socket_detach(struct socket *socket);
struct socket *socket_attach(struct loop *loop, int detached);

/* Closes a detached socket that no loop took. Any thread (in a simulation: its own). */
void socket_discard(int detached);

/* Sockets open on a loop: for the metrics and for leak checks. */
size_t loop_socket_count(const struct loop *loop);

#endif
