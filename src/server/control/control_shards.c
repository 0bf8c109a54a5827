/* SPDX-License-Identifier: MIT */
/* Commands that ask every shard: the request travels from one to the next, so each shard's memory is read by
 * its own thread. */
#include "server/control/control_request.h"

#include "server/budget.h"
#include "server/link.h"
#include "server/user/user.h"

#include <stdio.h>
#include <unistd.h>

static void visit(struct shard *shard, struct tour *tour)
{
    struct request *request = CONTAINER_OF(tour, struct request, tour);
    request->visit(shard, request);
}

static void visited(struct tour *tour)
{
    struct request *request = CONTAINER_OF(tour, struct request, tour);
    request->visited(request);
}

void request_travel(struct request *request, void (*at_each)(struct shard *, struct request *),
                    void (*then)(struct request *))
{
    request->visit = at_each;
    request->visited = then;
    request->tour = (struct tour){ .home = request->shard, .visit = visit, .done = visited };
    tour_start(&request->tour);
}

static void just_ok(struct request *request)
{
    request_done(request, NULL);
}

/* ---- sessions
 * -----------------------------------------------------------------------------------------------------------
 */

static void list_user(struct shard *shard, struct request *request, struct user *user)
{
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        str link = session->link ? session->link->ops->describe(session->link, &shard->arena)
                                 : STR("waits for its client to resume");
        buf_addf(&request->answer, "%s %s%d %llus %.*s\n", session->full, session->available ? "" : "-/",
                 session->priority,
                 (unsigned long long)((loop_now_us(shard->loop) - session->bound_us) / 1000000),
                 STR_ARGS(link));
    }
}

static void list_shard(struct shard *shard, struct request *request)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&shard->actors, &walk))) {
        struct user *user = user_awake(shard, actor_key(node));
        if (user)
            list_user(shard, request, user);
    }
}

void control_sessions_list(struct request *request)
{
    request_travel(request, list_shard, just_ok);
}

static void kick_back(struct shard *shard, struct shard_call *call)
{
    struct request *request = CONTAINER_OF(call, struct request, call);
    (void)shard;
    request_done(request, request->sessions ? NULL : "there is no such session");
}

static void kick_home(struct shard *shard, struct shard_call *call)
{
    struct request *request = CONTAINER_OF(call, struct request, call);
    struct user *user = user_awake(shard, jid_bare(&request->jid));
    str resource = jid_resource(&request->jid);
    if (user)
        request->sessions =
            user_kick(user, resource, STREAM_ERROR_POLICY_VIOLATION, "closed by the administrator");
    request->call.run = kick_back;
    shard_post(request->shard, &request->call);
}

void control_sessions_kick(struct request *request)
{
    if (jid_parse(request->word, &request->arena, &request->jid) != OK) {
        request_done(request, "that is no address: write it as name@host or name@host/resource");
        return;
    }
    request->call.run = kick_home;
    shard_post(server_home(request->shard->server, jid_bare(&request->jid)), &request->call);
}

/* ---- status
 * ---------------------------------------------------------------------------------------------------------------
 */

static void sum_shard(struct shard *shard, struct request *request)
{
    request->users += shard->user_slab.in_use;
    request->sessions += shard->session_slab.in_use;
    request->links += shard->c2s_slab.in_use;
#define X(name, text) request->sum.name += shard->counters.name;
    SHARD_COUNTERS(X)
#undef X
}

static size_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void tell_status(struct request *request)
{
    struct server *server = request->shard->server;
    struct store_stats store;
    struct buf *out = &request->answer;
    store_stats(server->store, &store);
    buf_addf(out, "%-16s %s\n", "version", JABIRU_VERSION);
    buf_addf(out, "%-16s %llu s\n", "uptime",
             (unsigned long long)((loop_now_us(request->shard->loop) - server->started_us) / 1000000));
    buf_addf(out, "%-16s %u\n%-16s %zu\n%-16s %zu\n%-16s %zu\n", "shards", server->shard_count, "hosts",
             server->host_count, "connections", request->links, "sessions", request->sessions);
    buf_addf(out, "%-16s %u (connections of any kind that have not logged in)\n", "strangers",
             atomic_load(&server->unauthenticated) + atomic_load(&server->strange_components) +
                 atomic_load(&server->s2s_strangers));
    buf_addf(out, "%-16s %zu\n%-16s %zu KiB\n", "users awake", request->users, "memory",
             resident_bytes() / 1024);
    buf_addf(out, "%-16s %zu KiB of %zu KiB\n", "allocated", budget_used() / 1024,
             budget_limit(server) / 1024);
    buf_addf(out, "%-16s %llu batches in %llu commits\n", "store", (unsigned long long)store.batches,
             (unsigned long long)store.commits);
#define X(name, text) buf_addf(out, "%-16s %llu (%s)\n", #name, (unsigned long long)request->sum.name, text);
    SHARD_COUNTERS(X)
#undef X
    request_done(request, NULL);
}

void control_status(struct request *request)
{
    request_travel(request, sum_shard, tell_status);
}
