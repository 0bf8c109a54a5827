/* SPDX-License-Identifier: MIT */
/* A network in memory.
 *
 * A connection is two sockets that know each other. What one writes becomes chunks in the queue of the other;
 * a chunk that takes time has a timer on the world's wheel and counts as readable when that has fired. Order
 * is kept, because no chunk may be due before the one in front of it. As with a real kernel there is a
 * window: no more than so many bytes wait for a reader, and then the writer is told to come back. A FIN is a
 * chunk without bytes; a reset throws away what waits.
 *
 * A loop keeps a list of its sockets that may have something to tell, so that idle ones cost no time; a
 * socket is put there when anything about it changes and falls out when it turns out to have nothing. An idle
 * socket is one small object, since a test holds a million of them.
 *
 * A connection is there at once, with its first socket's loop told of it in the next turn; only bytes take
 * time.
 *
 * A detached socket is a negative number: an index into a table of this thread. */
#include "loop/sim_impl.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW = 256 * 1024, BACKLOG_MAX = 4096, ADDRESS_MAX = 108, ACCEPTS_A_TURN = 64, DETACHED_FIRST = -2 };

struct chunk {
    struct timer timer;
    struct sim_socket *to;
    struct chunk *next;
    uint64_t due_us;
    uint32_t len, at; /* len 0: FIN */
    bool arrived;
    char bytes[];
};

struct sim_socket {
    struct socket socket; /* its loop is NULL while it is detached or waits to be accepted */
    struct list link;     /* in its loop's list of ready ones, in its listener's queue, or in none */
    struct list in_world; /* sim->sockets */
    struct sim *sim;
    struct sim_socket *peer;    /* NULL: closed */
    struct chunk *first, *last; /* what the peer wrote */
    uint32_t waiting;           /* bytes in them */
    uint32_t peer_name;         /* for socket_peer(): of a client; 0: of a server */
    uint16_t peer_port;
    uint8_t wanted;
    int8_t error; /* the connection is broken or was never made */
    bool stalled; /* what arrives is not seen */
    bool caller;  /* the end that connected */
    bool shut;    /* our FIN is written */
    bool over;    /* the peer's FIN was read */
};

struct sim_listener {
    struct listener_impl impl;
    struct listener *listener;
    struct sim_loop *loop;
    struct sim_listener *next;
    struct list queue; /* sockets to be accepted */
    size_t queued;
    char address[ADDRESS_MAX];
    uint16_t port;
    bool paused;
};

static _Thread_local struct {
    struct sim_socket **sockets;
    size_t room, count;
} detached;

static struct sim_socket *of(struct socket *socket)
{
    return CONTAINER_OF(socket, struct sim_socket, socket);
}

size_t sim_socket_size(void)
{
    return sizeof(struct sim_socket);
}

/* ---- Readiness */

static bool has_arrived(const struct sim_socket *sock)
{
    return sock->first && sock->first->arrived && !sock->stalled;
}

static unsigned events_of(const struct sim_socket *sock)
{
    bool readable = sock->error || sock->over || has_arrived(sock);
    bool writable = sock->error || !sock->peer || sock->peer->waiting < WINDOW;
    return (readable ? SOCKET_READABLE : 0) | (writable ? SOCKET_WRITABLE : 0);
}

/* Has the socket looked at in its loop's next turn. */
static void kick(struct sim_socket *sock)
{
    if (!sock || !sock->socket.loop || !sock->wanted || !list_empty(&sock->link))
        return;
    struct list *ready = &sim_of(sock->socket.loop)->ready;
    if (sim_random(sock->sim, 2))
        list_append(ready, &sock->link);
    else
        list_prepend(ready, &sock->link);
}

void sim_socket_want(struct socket *socket, unsigned events)
{
    assert(socket->owner || !events);
    of(socket)->wanted = (uint8_t)events;
    kick(of(socket));
}

/* A listener of the loop with somebody at its door; NULL when there is none. */
static struct sim_listener *knocked_at(struct sim_loop *loop)
{
    for (struct sim_listener *self = loop->sim->listeners; self; self = self->next)
        if (self->loop == loop && !self->paused && self->queued)
            return self;
    return NULL;
}

static bool accept_queued(struct sim_loop *loop)
{
    struct sim_listener *self;
    int count = 0;
    /* Looked for anew each time: the callback may have closed any of them. */
    while (count < ACCEPTS_A_TURN && (self = knocked_at(loop))) {
        struct sim_socket *sock = LIST_ITEM(list_shift(&self->queue), struct sim_socket, link);
        self->queued--;
        count++;
        sock->socket.loop = &loop->loop;
        loop->loop.sockets++;
        self->listener->accepted(self->listener, &sock->socket);
    }
    return count > 0;
}

bool sim_sockets_turn(struct sim_loop *loop)
{
    bool any = accept_queued(loop);
    struct list now, *link;
    list_init(&now);
    if (list_empty(&loop->ready))
        return any;
    list_insert_before(&loop->ready, &now);
    list_remove(&loop->ready);
    while ((link = list_shift(&now))) {
        struct sim_socket *sock = LIST_ITEM(link, struct sim_socket, link);
        unsigned events = events_of(sock) & sock->wanted;
        if (!events && !sock->error)
            continue;
        if (sock->error && sock->wanted)
            events |= SOCKET_READABLE;
        if (!events)
            continue;
        list_append(&loop->ready, link); /* it is a level: looked at again in the next turn */
        sock->socket.owner->ready(sock->socket.owner, events);
        any = true;
    }
    return any;
}

/* ---- Life */

static struct sim_socket *socket_new(struct sim *sim)
{
    struct sim_socket *sock = slab_alloc(&sim->socket_slab);
    sock->sim = sim;
    list_init(&sock->link);
    list_append(&sim->sockets, &sock->in_world);
    return sock;
}

static void chunk_free(struct chunk *chunk)
{
    timer_stop(&chunk->timer);
    chunk->to->waiting -= chunk->len - chunk->at;
    chunk->to->sim->bytes -= chunk->len - chunk->at;
    free(chunk);
}

static void drop_chunks(struct sim_socket *sock)
{
    while (sock->first) {
        struct chunk *chunk = sock->first;
        sock->first = chunk->next;
        chunk_free(chunk);
    }
    sock->last = NULL;
}

/* The socket's end of the connection is cut. */
static void reset(struct sim_socket *sock)
{
    if (!sock || sock->error)
        return;
    drop_chunks(sock);
    sock->error = ERR_CLOSED;
    kick(sock);
}

void sim_cut(struct socket *socket)
{
    reset(of(socket)->peer);
    reset(of(socket));
}

/* ---- What a test does to connections */

size_t sim_connections(const struct sim *sim)
{
    size_t count = 0;
    list_each (at, &sim->sockets) {
        const struct sim_socket *sock = LIST_ITEM(at, struct sim_socket, in_world);
        count += sock->caller && sock->peer;
    }
    return count;
}

struct socket *sim_connection(const struct sim *sim, size_t nth, bool other_end)
{
    list_each (at, &sim->sockets) {
        struct sim_socket *sock = LIST_ITEM(at, struct sim_socket, in_world);
        if (sock->caller && sock->peer && !nth--)
            return other_end ? &sock->peer->socket : &sock->socket;
    }
    return NULL;
}

struct loop *sim_loop_of(const struct socket *socket)
{
    return socket->loop;
}

void sim_stall(struct socket *socket, bool stalled)
{
    of(socket)->stalled = stalled;
    kick(of(socket));
}

void sim_stall_none(struct sim *sim)
{
    list_each (at, &sim->sockets)
        sim_stall(&LIST_ITEM(at, struct sim_socket, in_world)->socket, false);
}

static void dispose(struct sim_socket *sock);

static void deafen(struct sim_listener *listener)
{
    struct list *link;
    while ((link = list_shift(&listener->queue))) {
        struct sim_socket *sock = LIST_ITEM(link, struct sim_socket, link);
        reset(sock->peer);
        dispose(sock);
    }
    listener->queued = 0;
}

void sim_loop_cut_off(struct loop *loop)
{
    struct sim *sim = sim_of(loop)->sim;
    sim_of(loop)->cut_off = true;
    for (struct sim_listener *self = sim->listeners; self; self = self->next)
        if (self->loop == sim_of(loop))
            deafen(self);
    list_each (at, &sim->sockets) {
        struct sim_socket *sock = LIST_ITEM(at, struct sim_socket, in_world);
        if (sock->socket.loop == loop)
            sim_cut(&sock->socket);
    }
}

static void send_fin(struct sim_socket *sock);

/* Frees a socket that is in no loop. */
static void dispose(struct sim_socket *sock)
{
    list_remove(&sock->link);
    /* As TCP does: who closes without having read all has the connection reset. */
    if (sock->waiting)
        reset(sock->peer);
    else
        send_fin(sock);
    if (sock->peer) {
        sock->peer->peer = NULL;
        kick(sock->peer);
    }
    drop_chunks(sock);
    list_remove(&sock->in_world);
    slab_free(&sock->sim->socket_slab, sock);
}

static void leave_loop(struct sim_socket *sock)
{
    sock->socket.loop->sockets--;
    sock->socket.loop = NULL;
    sock->wanted = 0;
    list_remove(&sock->link);
}

void sim_socket_close(struct socket *socket)
{
    leave_loop(of(socket));
    dispose(of(socket));
}

int sim_socket_detach(struct socket *socket)
{
    size_t i = 0;
    leave_loop(of(socket));
    while (i < detached.room && detached.sockets[i])
        i++;
    if (i == detached.room) {
        detached.room = detached.room ? 2 * detached.room : 16;
        detached.sockets = xrealloc(detached.sockets, detached.room * sizeof *detached.sockets);
        memset(detached.sockets + i, 0, (detached.room - i) * sizeof *detached.sockets);
    }
    detached.sockets[i] = of(socket);
    detached.count++;
    return DETACHED_FIRST - (int)i;
}

static struct sim_socket *take_detached(int number)
{
    size_t i = (size_t)(DETACHED_FIRST - number);
    assert(i < detached.room && detached.sockets[i]);
    struct sim_socket *sock = detached.sockets[i];
    detached.sockets[i] = NULL;
    if (--detached.count == 0) {
        free(detached.sockets);
        detached.sockets = NULL;
        detached.room = 0;
    }
    return sock;
}

struct socket *sim_socket_attach(struct loop *loop, int number)
{
    struct sim_socket *sock = take_detached(number);
    assert(sock->sim == sim_of(loop)->sim);
    sock->socket.loop = loop;
    loop->sockets++;
    if (sim_of(loop)->cut_off)
        sim_cut(&sock->socket);
    return &sock->socket;
}

void sim_socket_discard(int number)
{
    dispose(take_detached(number));
}

enum err sim_socket_error(struct socket *socket)
{
    return of(socket)->error;
}

void sim_socket_peer(const struct socket *socket, char address[SOCKET_ADDRESS_MAX])
{
    const struct sim_socket *sock = CONTAINER_OF(socket, const struct sim_socket, socket);
    uint32_t name = sock->peer_name;
    if (name)
        snprintf(address, SOCKET_ADDRESS_MAX, "10.%u.%u.%u:%u", name >> 16 & 255, name >> 8 & 255, name & 255,
                 sock->peer_port);
    else if (sock->peer_port)
        snprintf(address, SOCKET_ADDRESS_MAX, "127.0.0.1:%u", sock->peer_port);
    else
        snprintf(address, SOCKET_ADDRESS_MAX, "local");
}

/* ---- Bytes */

static void arrived(struct timer *timer)
{
    struct chunk *chunk = CONTAINER_OF(timer, struct chunk, timer);
    chunk->arrived = true;
    kick(chunk->to);
}

/* A chunk of `len` bytes to be filled, at the end of the receiver's queue. */
static struct chunk *chunk_new(struct sim_socket *to, uint32_t len)
{
    struct sim *sim = to->sim;
    struct chunk *chunk = xmalloc(sizeof *chunk + len);
    *chunk = (struct chunk){ .timer.fired = arrived, .to = to, .len = len };
    uint64_t floor_us = to->last && !to->last->arrived ? to->last->due_us : 0;
    if (sim->faults.delay_ms_max || floor_us)
        chunk->due_us = sim_timer_start(sim, &chunk->timer, sim->faults.delay_ms_max, floor_us);
    else
        chunk->arrived = true;
    if (to->last)
        to->last->next = chunk;
    else
        to->first = chunk;
    to->last = chunk;
    to->waiting += len;
    sim->bytes += len;
    if (chunk->arrived)
        kick(to);
    return chunk;
}

static void send_fin(struct sim_socket *sock)
{
    if (sock->shut || sock->error || !sock->peer)
        return;
    sock->shut = true;
    chunk_new(sock->peer, 0);
}

void sim_socket_shutdown(struct socket *socket)
{
    send_fin(of(socket));
}

enum err sim_socket_read(struct socket *socket, char *to, size_t room, size_t *ret_len)
{
    struct sim_socket *sock = of(socket);
    size_t len = 0;
    if (sock->error)
        return sock->error;
    for (struct chunk *chunk; has_arrived(sock) && (chunk = sock->first)->len && len < room;) {
        uint32_t part = chunk->len - chunk->at < room - len ? chunk->len - chunk->at : (uint32_t)(room - len);
        memcpy(to + len, chunk->bytes + chunk->at, part);
        len += part;
        chunk->at += part;
        sock->waiting -= part;
        sock->sim->bytes -= part;
        bool split = sock->sim->faults.chunk_max != 0;
        if (chunk->at < chunk->len)
            break;
        sock->first = chunk->next;
        if (!sock->first)
            sock->last = NULL;
        chunk_free(chunk);
        if (split)
            break; /* the reader sees the pieces one by one */
    }
    if (len) {
        kick(sock->peer);
        *ret_len = len;
        return OK;
    }
    if (has_arrived(sock))
        sock->over = true;
    return sock->over ? ERR_CLOSED : ERR_AGAIN;
}

/* How much of an offer the network takes. */
static size_t portion(struct sim_socket *sock, size_t offered)
{
    size_t window = sock->peer->waiting < WINDOW ? WINDOW - sock->peer->waiting : 0;
    if (offered > window)
        offered = window;
    if (offered > 1 && sim_random(sock->sim, 100) < sock->sim->faults.short_write_percent)
        offered = 1 + sim_random(sock->sim, offered - 1);
    return offered;
}

/* Copies `len` bytes of the pieces, from `skip` on. */
static void gather(char *to, const struct iovec *pieces, int count, size_t skip, size_t len)
{
    for (int i = 0; i < count && len; i++) {
        size_t size = pieces[i].iov_len;
        if (skip >= size) {
            skip -= size;
            continue;
        }
        size_t part = size - skip < len ? size - skip : len;
        memcpy(to, (const char *)pieces[i].iov_base + skip, part);
        to += part;
        len -= part;
        skip = 0;
    }
}

enum err sim_socket_write(struct socket *socket, const struct iovec *pieces, int count, size_t *ret_len)
{
    struct sim_socket *sock = of(socket);
    const struct sim_faults *faults = &sock->sim->faults;
    size_t offered = 0;
    if (faults->reset_per_million && sim_random(sock->sim, 1000000) < faults->reset_per_million)
        sim_cut(socket);
    if (sock->error || sock->shut || (!sock->peer && !sock->stalled))
        return ERR_CLOSED;
    for (int i = 0; i < count; i++)
        offered += pieces[i].iov_len;
    if (!sock->peer) { /* it has not heard of that yet */
        *ret_len = offered;
        return OK;
    }
    size_t taken = portion(sock, offered);
    if (!taken)
        return ERR_AGAIN;
    for (size_t done = 0, part; done < taken; done += part) {
        part = taken - done;
        if (faults->chunk_max && part > 1)
            part = 1 + sim_random(sock->sim, part < faults->chunk_max ? part : faults->chunk_max);
        gather(chunk_new(sock->peer, (uint32_t)part)->bytes, pieces, count, done, part);
    }
    *ret_len = taken;
    return OK;
}

/* ---- Listeners */

static struct sim_listener *listener_of(const struct listener *listener)
{
    return CONTAINER_OF(listener->_impl, struct sim_listener, impl);
}

static uint16_t sim_listener_port(const struct listener *listener)
{
    return listener_of(listener)->port;
}

static void sim_listener_pause(struct listener *listener, bool pause)
{
    listener_of(listener)->paused = pause;
}

static void sim_listener_close(struct listener *listener)
{
    struct sim_listener *self = listener_of(listener), **at = &self->loop->sim->listeners;
    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    deafen(self);
    free(self);
}

static const struct listener_kind sim_listener_kind = {
    .port = sim_listener_port,
    .pause = sim_listener_pause,
    .close = sim_listener_close,
};

static bool address_valid(const char *address)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return address[0] == '/' || inet_pton(AF_INET, address, bytes) == 1 ||
           inet_pton(AF_INET6, address, bytes) == 1;
}

static bool listens_at(const struct sim_listener *self, const char *address, uint16_t port)
{
    if (address[0] == '/')
        return !strcmp(self->address, address);
    return self->port == port && (!self->address[0] || !strcmp(self->address, address));
}

enum err sim_socket_listen(struct listener *listener, struct loop *loop, const char *address, uint16_t port)
{
    struct sim *sim = sim_of(loop)->sim;
    if ((address[0] && !address_valid(address)) || strlen(address) >= ADDRESS_MAX)
        return ERR_INVALID;
    if (address[0] == '/')
        for (struct sim_listener *other = sim->listeners; other; other = other->next)
            if (listens_at(other, address, port))
                return ERR_EXISTS;
    struct sim_listener *self = NEW(struct sim_listener);
    self->impl.kind = &sim_listener_kind;
    self->listener = listener;
    self->loop = sim_of(loop);
    list_init(&self->queue);
    str_copy(str_from(address), self->address, sizeof self->address);
    self->port = address[0] == '/' ? 0 : port ? port : sim->next_port++;
    self->next = sim->listeners;
    sim->listeners = self;
    listener->_impl = &self->impl;
    return OK;
}

/* One of those who listen there, each with the same chance; NULL when nobody does. */
static struct sim_listener *find_listener(struct sim *sim, const char *address, uint16_t port)
{
    struct sim_listener *found = NULL;
    uint64_t count = 0;
    for (struct sim_listener *self = sim->listeners; self; self = self->next)
        if (listens_at(self, address, port) && !self->loop->cut_off && self->queued < BACKLOG_MAX &&
            sim_random(sim, ++count) == 0)
            found = self;
    return found;
}

enum err sim_socket_connect(struct loop *loop, const char *address, uint16_t port, struct socket **ret_socket)
{
    struct sim *sim = sim_of(loop)->sim;
    if (!address_valid(address))
        return ERR_INVALID;
    struct sim_listener *listener = sim_of(loop)->cut_off ? NULL : find_listener(sim, address, port);
    struct sim_socket *client = socket_new(sim);
    client->caller = true;
    client->socket.loop = loop;
    client->peer_port = address[0] == '/' ? 0 : port;
    loop->sockets++;
    if (listener) {
        struct sim_socket *server = socket_new(sim);
        server->peer = client;
        server->peer_name = client->peer_port ? ++sim->next_peer : 0;
        server->peer_port = client->peer_port ? 40000 : 0;
        client->peer = server;
        list_append(&listener->queue, &server->link);
        listener->queued++;
    } else {
        client->error = ERR_REFUSED;
    }
    *ret_socket = &client->socket;
    return OK;
}
