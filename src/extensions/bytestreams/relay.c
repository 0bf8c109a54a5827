/* SPDX-License-Identifier: MIT */
/* A relay has a name, which is at home on a shard like an address (server_home()). A connection says its
 * SOCKS5 request where it came in and then moves there, so that its two ends and what they say are one
 * thread's.
 *
 * Until the stream is activated what comes is dropped (XEP-0065 §10.1). Then bytes go from one end into the
 * queue of the other; who sends is not read while the other end's queue is long, or while he is ahead of the
 * rate. So a relay holds at most QUEUE_MAX each way. There is no half-close: when an end closes, the other
 * one gets what had come, and the end. A third connection with the name is refused (§10.1: one target). */
#include "extensions/bytestreams/relay.h"

#include "base/bucket.h"
#include "base/log.h"

#include <ctype.h>
#include <stdlib.h>

enum {
    QUEUE_MAX = 160 * 1024, /* one turn brings 64 KiB behind the half of it */
    ANSWER_MAX = 64,
    IGNORED_MAX = 64 * 1024, /* before the activation */
    FAREWELL_MS = 5000,
};

struct relay;

/* One connection. */
struct end {
    struct ext_conn conn;
    struct list link; /* of its shard */
    struct host *host;
    struct relay *relay;  /* NULL: it has not asked for one */
    struct socks5 socks5; /* its request */
    struct timer timer;   /* until the activation: how long it may wait; then: until it is read again */
    struct bucket rate;
    uint32_t ignored;
    bool is_ahead; /* of the rate */
};

struct relay {
    struct map_node node;
    char name[SOCKS5_NAME_LEN + 1];
    struct shard *shard;
    struct end *ends[2];   /* one or both may be NULL */
    struct permit *permit; /* NULL: not activated */
    bool is_over;          /* both ends are only to get what waits for them */
    struct timer idle;
    uint64_t used_us, bytes;
};

#define END_OF(base) CONTAINER_OF(base, struct end, conn)

str relay_key(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct relay, node)->name);
}

static const struct bytestreams_settings *settings_of(const struct relay *relay)
{
    return bytestreams_settings(relay->permit->host);
}

/* ---- How many there are ---- */

bool relay_has_room(const struct host *host)
{
    return !host->server->is_short_of_memory &&
           atomic_load(bytestreams_connections(host->server)) < bytestreams_settings(host)->connections;
}

/* ---- Beginning and end ---- */

static const struct ext_conn_events end_events;
static void end_waited(struct timer *timer);

static struct end *end_new(struct shard *shard, struct host *host)
{
    struct end *end = NEW(struct end);
    end->host = host;
    end->timer.fired = end_waited;
    list_append(&bytestreams_shard(shard)->ends, &end->link);
    return end;
}

/* It says nothing more, and gets what waits for it. */
static void end_finish(struct end *end, uint64_t timeout_ms)
{
    timer_stop(&end->timer);
    ext_conn_finish(&end->conn, (unsigned)timeout_ms);
}

static struct end *other_of(const struct end *end)
{
    return end->relay->ends[end->relay->ends[0] == end];
}

static void relay_free(struct relay *relay)
{
    map_remove(&bytestreams_shard(relay->shard)->relays, &relay->node);
    timer_stop(&relay->idle);
    if (relay->permit)
        permit_return(relay->shard, relay->permit);
    free(relay);
}

/* The other end of a stream goes with it; who waits for one goes on waiting. */
static void leave_relay(struct end *end)
{
    struct relay *relay = end->relay;
    struct end *other = other_of(end);
    relay->ends[relay->ends[1] == end] = NULL;
    end->relay = NULL;
    if (!other)
        relay_free(relay);
    else if (relay->permit)
        end_finish(other, settings_of(relay)->idle_ms);
}

static void end_free(struct end *end)
{
    struct server *server = end->conn.shard->server;
    if (end->relay)
        leave_relay(end);
    timer_stop(&end->timer);
    list_remove(&end->link);
    ext_conn_fini(&end->conn);
    if (!server->over)
        atomic_fetch_sub(bytestreams_connections(server), 1);
    free(end);
}

void relay_end_all(struct shard *shard)
{
    struct bytestreams_shard *state = bytestreams_shard(shard);
    while (!list_empty(&state->ends))
        end_free(LIST_ITEM(state->ends.next, struct end, link));
    map_fini(&state->relays);
}

static void end_closed(struct ext_conn *conn)
{
    end_free(END_OF(conn));
}

void relay_accept(struct shard *shard, struct host *host, struct socket *socket)
{
    if (shard->stopping || !relay_has_room(host)) {
        shard->counters.refused++;
        socket_close(socket);
        return;
    }
    struct end *end = end_new(shard, host);
    if (!ext_conn_open(&end->conn, shard, socket, &end_events, QUEUE_MAX)) {
        list_remove(&end->link);
        free(end);
        return;
    }
    atomic_fetch_add(bytestreams_connections(shard->server), 1);
    timer_start(shard->loop, &end->timer, bytestreams_settings(host)->wait_ms);
}

/* ---- Both ends find each other ---- */

static void answer(struct end *end, enum socks5_reply reply)
{
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    socks5_answer(&end->socks5, reply, &out);
    ext_conn_write(&end->conn, buf_str(&out));
    buf_fini(&out);
}

static struct relay *relay_named(struct shard *shard, str name)
{
    return MAP_ITEM(map_get(&bytestreams_shard(shard)->relays, name), struct relay, node);
}

static void idled(struct timer *timer);

static struct relay *relay_new(struct shard *shard, str name)
{
    struct relay *relay = NEW(struct relay);
    relay->shard = shard;
    relay->idle.fired = idled;
    str_copy(name, relay->name, sizeof relay->name);
    map_put(&bytestreams_shard(shard)->relays, &relay->node);
    return relay;
}

/* Names are hashes in hexadecimal: the case of their letters means nothing. */
static str read_name(const struct end *end, char ret[SOCKS5_NAME_LEN])
{
    for (size_t i = 0; i < SOCKS5_NAME_LEN; i++)
        ret[i] = (char)tolower((unsigned char)end->socks5.name[i]);
    return str_of(ret, SOCKS5_NAME_LEN);
}

/* At the home of the name. */
static void join(struct end *end)
{
    struct shard *shard = end->conn.shard;
    char text[SOCKS5_NAME_LEN];
    str name = read_name(end, text);
    struct relay *relay = relay_named(shard, name);
    if (relay && (relay->permit || (relay->ends[0] && relay->ends[1]))) {
        shard->counters.refused++;
        answer(end, SOCKS5_NOT_ALLOWED);
        end_finish(end, FAREWELL_MS);
        return;
    }
    if (!relay)
        relay = relay_new(shard, name);
    end->relay = relay;
    relay->ends[relay->ends[0] != NULL] = end;
    answer(end, SOCKS5_SUCCEEDED);
    timer_start(shard->loop, &end->timer, bytestreams_settings(end->host)->wait_ms);
}

/* A connection on its way. */
struct arrival {
    struct shard_call call;
    struct ext_conn_parcel parcel;
    struct socks5 socks5;
    struct host *host;
};

static void arrive(struct shard *shard, struct shard_call *call)
{
    struct arrival *arrival = CONTAINER_OF(call, struct arrival, call);
    struct end *end = end_new(shard, arrival->host);
    end->socks5 = arrival->socks5;
    ext_conn_unpack(&end->conn, shard, &arrival->parcel, &end_events);
    free(arrival);
    if (shard->stopping)
        end_free(end);
    else
        join(end);
}

static void go_home(struct end *end)
{
    struct shard *shard = end->conn.shard;
    char name[SOCKS5_NAME_LEN];
    struct shard *home = server_home(shard->server, read_name(end, name));
    if (home == shard) {
        join(end);
        return;
    }
    if (shard->stopping) { /* nothing that is posted now need arrive */
        end_free(end);
        return;
    }
    struct arrival *arrival = NEW(struct arrival);
    arrival->call.run = arrive;
    arrival->socks5 = end->socks5;
    arrival->host = end->host;
    ext_conn_pack(&end->conn, &arrival->parcel);
    timer_stop(&end->timer);
    list_remove(&end->link);
    free(end);
    shard_post(home, &arrival->call);
}

static void greet(struct end *end, str bytes)
{
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    enum socks5_state state = socks5_read(&end->socks5, &bytes, &out);
    if (out.len)
        ext_conn_write(&end->conn, buf_str(&out));
    buf_fini(&out);
    if (state == SOCKS5_ASKED) {
        go_home(end);
    } else if (state == SOCKS5_REFUSED) {
        end->conn.shard->counters.refused++;
        end_finish(end, FAREWELL_MS);
    }
}

/* ---- The activation ---- */

/* XEP-0065 §6.3.5. Whether the asker is not who he should be, or the hashes do not match, can't be told
 * apart: the name is made of both. */
static enum stanza_error fault_of(const struct relay *relay)
{
    if (!relay)
        return STANZA_ERROR_NOT_AUTHORIZED;
    if (relay->permit)
        return STANZA_ERROR_CONFLICT;
    return relay->ends[0] && relay->ends[1] ? STANZA_ERROR_NONE : STANZA_ERROR_NOT_ALLOWED;
}

static void begin(struct relay *relay, struct permit *permit)
{
    struct shard *shard = relay->shard;
    relay->permit = permit;
    relay->used_us = loop_now_us(shard->loop);
    for (size_t i = 0; i < COUNT_OF(relay->ends); i++) {
        timer_stop(&relay->ends[i]->timer);
        ext_conn_known(&relay->ends[i]->conn);
    }
    timer_start(shard->loop, &relay->idle, settings_of(relay)->idle_ms);
    shard->counters.bytestreams++;
}

static void activate(struct shard *shard, struct shard_call *call)
{
    struct permit *permit = CONTAINER_OF(call, struct permit, call);
    struct relay *relay = relay_named(shard, str_from(permit->name));
    enum stanza_error error = fault_of(relay);
    if (error == STANZA_ERROR_NONE)
        route_result(shard, permit->iq, STR(""));
    else
        route_error(shard, permit->iq, error, NULL);
    shard_free_later(shard, permit->iq);
    permit->iq = NULL;
    if (error == STANZA_ERROR_NONE)
        begin(relay, permit);
    else
        permit_return(shard, permit);
}

void relay_activate(struct permit *permit)
{
    permit->call.run = activate;
    shard_post(server_home(permit->host->server, str_from(permit->name)), &permit->call);
}

/* ---- The stream ---- */

static void read_or_not(struct end *end)
{
    ext_conn_pause(&end->conn, end->is_ahead || ext_conn_is_behind(&other_of(end)->conn));
}

static void finish_both(struct relay *relay)
{
    relay->is_over = true;
    for (size_t i = 0; i < COUNT_OF(relay->ends); i++)
        if (relay->ends[i])
            end_finish(relay->ends[i], FAREWELL_MS);
}

static void pass(struct end *end, str bytes)
{
    struct relay *relay = end->relay;
    struct shard *shard = relay->shard;
    const struct bytestreams_settings *settings = settings_of(relay);
    relay->used_us = loop_now_us(shard->loop);
    relay->bytes += bytes.len;
    shard->counters.bytestream_bytes += bytes.len;
    ext_conn_write(&other_of(end)->conn, bytes);
    if (settings->size && relay->bytes > settings->size) {
        finish_both(relay);
        return;
    }
    uint64_t wait_ms =
        bucket_take(&end->rate, (uint32_t)bytes.len, settings->rate, settings->rate, relay->used_us);
    end->is_ahead = wait_ms;
    if (wait_ms)
        timer_start(shard->loop, &end->timer, wait_ms);
    read_or_not(end);
}

/* It may not be read on yet: the other end's queue decides too. Or it has waited in vain. */
static void end_waited(struct timer *timer)
{
    struct end *end = CONTAINER_OF(timer, struct end, timer);
    struct shard *shard = end->conn.shard;
    shard_enter(shard);
    if (end->relay && end->relay->permit) {
        end->is_ahead = false;
        read_or_not(end);
    } else {
        end_free(end);
    }
    shard_leave(shard);
}

static void end_data(struct ext_conn *conn, str bytes)
{
    struct end *end = END_OF(conn);
    if (!end->relay)
        greet(end, bytes);
    else if (end->relay->permit)
        pass(end, bytes);
    else if ((end->ignored += (uint32_t)bytes.len) > IGNORED_MAX)
        end_free(end);
}

static void end_drained(struct ext_conn *conn)
{
    struct end *end = END_OF(conn);
    if (!end->relay || !end->relay->permit || end->relay->is_over || !other_of(end))
        return;
    end->relay->used_us = loop_now_us(conn->shard->loop);
    read_or_not(other_of(end));
}

static void idled(struct timer *timer)
{
    struct relay *relay = CONTAINER_OF(timer, struct relay, idle);
    struct shard *shard = relay->shard;
    uint64_t idle_ms = (loop_now_us(shard->loop) - relay->used_us) / 1000;
    uint64_t limit_ms = settings_of(relay)->idle_ms;
    shard_enter(shard);
    if (idle_ms >= limit_ms)
        finish_both(relay);
    else
        timer_start(shard->loop, timer, limit_ms - idle_ms);
    shard_leave(shard);
}

static const struct ext_conn_events end_events = { .data = end_data,
                                                   .drained = end_drained,
                                                   .closed = end_closed };
