/* SPDX-License-Identifier: MIT */
/* See gate.h. To refuse must cost less than to accept: one lookup, one write of a few hundred bytes, and
 * nothing that is kept. The peer is told in a stream of its own (§4.9.1.2), if it did not begin with TLS:
 * then it gets no more than the end, since a handshake would be the dearest thing to give. */
#include "server/gate.h"

#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "loop/socket.h"
#include "net/network.h"
#include "server/shard.h"
#include "xml/write.h"
#include "xmpp/ns.h"
#include "xmpp/stream.h"

enum { MINUTE_MS = 60000, FAREWELL_MAX = 2048, FAREWELLS = 60, UNREAD_MAX = 4096 };

static bool is_exempt(const struct config *config, const struct network *peer)
{
    for (size_t i = 0; i < config->addresses.exempt.count; i++) {
        struct network network;
        if (network_parse(str_from(config->addresses.exempt.items[i]), &network) &&
            network_has(&network, peer))
            return true;
    }
    return false;
}

static void write_farewell(struct buf *out, const struct server *server, const char *ns,
                           enum stream_error error, const char *text)
{
    char id[25];
    rand_token(id, sizeof id);
    buf_lit(out, "<?xml version='1.0'?><stream:stream xmlns='");
    buf_add(out, str_from(ns));
    buf_lit(out, "' xmlns:stream='" NS_STREAMS "' version='1.0'");
    xml_write_attr(out, "from", str_from(server->host_list[0]->name));
    xml_write_attr(out, "id", str_from(id));
    buf_add_char(out, '>');
    stream_error_write(out, error, text);
}

/* What the peer has sent already is read first: a socket that is closed with bytes unread resets the
 * connection, and takes what was written with it. */
static void say_farewell(struct shard *shard, struct socket *socket, const char *ns, enum stream_error error,
                         const char *text)
{
    char unread[UNREAD_MAX];
    size_t ignored;
    struct buf out;
    buf_init(&out, FAREWELL_MAX);
    write_farewell(&out, shard->server, ns, error, text);
    if (!buf_failed(&out)) {
        const struct iovec piece = { out.p, out.len };
        (void)socket_read(socket, unread, sizeof unread, &ignored);
        (void)socket_write(socket, &piece, 1, &ignored);
        socket_shutdown(socket);
    }
    buf_fini(&out);
}

/* The number of an address; never 0. */
static uint64_t mark_of(const struct network *peer)
{
    uint64_t mark = hash_keyed(str_of((const char *)peer->bytes, sizeof peer->bytes));
    return mark ? mark : 1;
}

static str key_of(const uint64_t *mark)
{
    return str_of((const char *)mark, sizeof *mark);
}

/* Who comes again and again has been told why. */
static bool refuse(struct shard *shard, struct socket *socket, const char *ns, uint64_t mark,
                   const char *text)
{
    char peer[SOCKET_ADDRESS_MAX];
    socket_peer(socket, peer);
    log_debug(net, "refused %s: %s", peer, text);
    shard->counters.refused++;
    if (ns && limiter_take(&shard->server->gate.farewells, key_of(&mark), loop_now_us(shard->loop) / 1000,
                           MINUTE_MS, FAREWELLS))
        say_farewell(shard, socket, ns, STREAM_ERROR_POLICY_VIOLATION, text);
    socket_close(socket);
    return false;
}

bool gate_enter(struct shard *shard, struct socket *socket, const char *ns, uint64_t *ret_mark)
{
    const struct config *config = shard->server->config;
    struct gate *gate = &shard->server->gate;
    char text[SOCKET_ADDRESS_MAX];
    struct network peer;
    socket_peer(socket, text);
    *ret_mark = 0;
    if (!network_of_peer(text, &peer) || is_exempt(config, &peer))
        return true;
    network_widen(&peer, config->addresses.ipv6_bits);
    uint64_t mark = mark_of(&peer);
    if (!limiter_take(&gate->rate, key_of(&mark), loop_now_us(shard->loop) / 1000, MINUTE_MS,
                      config->addresses.rate)) {
        shard->counters.refused_rate++;
        return refuse(shard, socket, ns, mark, "too many connections in a short time");
    }
    if (!census_enter(&gate->present, mark, config->addresses.connections)) {
        shard->counters.refused_address++;
        return refuse(shard, socket, ns, mark, "too many connections from this address");
    }
    if (!census_enter(&gate->strangers, mark, config->addresses.unauthenticated)) {
        census_leave(&gate->present, mark);
        shard->counters.refused_stranger++;
        return refuse(shard, socket, ns, mark,
                      "too many connections from this address that have not logged in");
    }
    *ret_mark = mark;
    return true;
}

void gate_known(struct server *server, uint64_t mark)
{
    if (mark)
        census_leave(&server->gate.strangers, mark);
}

void gate_leave(struct server *server, uint64_t mark, bool stranger)
{
    if (!mark)
        return;
    census_leave(&server->gate.present, mark);
    if (stranger)
        census_leave(&server->gate.strangers, mark);
}
