/* SPDX-License-Identifier: MIT */
/* A killed server can't simply be forgotten: its memory would leak, and so would the tests that look for
 * leaks. What a kill means to the rest of the world is that from one instant on nothing that the server does
 * has any effect. So its loops are cut off from the network and its store from the disk, and it is then told
 * to stop, and goes its way to the end unseen while the next server is already there. */
#include "world.h"

#include "chance.h"
#include "extensions/list.h"
#include "server/ext.h"
#include "server/s2s/remote.h"
#include "server/sm/sm_impl.h"
#include "store/driver.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_MAX = 16 * 1024, STOP_MS = 11000, TURNS_MAX = 100000, LATE_STOPS = 10 };

static const char *const domains[SERVERS_MAX] = { "alpha.example", "beta.example", "gamma.example" };

static void open_place(struct world *world, unsigned index)
{
    struct place *place = &world->places[index];
    char name[2 * NAME_MAX_LEN], data[2 * NAME_MAX_LEN];
    str_copy(str_from(domains[index]), place->domain, sizeof place->domain);
    snprintf(place->address, sizeof place->address, "127.0.0.%u", index + 1);
    place->disk = disk_new();
    place->shards = (unsigned)chance_between(1, 3);
    place->bidi = chance_percent(50);
    snprintf(name, sizeof name, "_xmpp-server._tcp.%s", place->domain);
    snprintf(data, sizeof data, "0 0 5269 xmpp.%s", place->domain);
    sim_record_add(world->sim, name, "SRV", data, 60);
    snprintf(name, sizeof name, "xmpp.%s", place->domain);
    sim_record_add(world->sim, name, "A", place->address, 60);
}

void world_open(struct world *world, uint64_t seed, unsigned servers)
{
    *world = (struct world){ .sim = sim_new(seed), .count = servers };
    bool archive = chance_percent(50);
    list_init(&world->dead);
    trace_world(world->sim);
    world->clients = sim_loop_new(world->sim);
    for (unsigned i = 0; i < servers; i++) {
        open_place(world, i);
        world->places[i].archive = archive;
    }
}

/* ---- Starting ---- */

static const struct config *read_config(const struct place *place)
{
    struct buf text;
    struct config_errors errors;
    const struct config *config = NULL;
    buf_init(&text, CONFIG_MAX);
    buf_addf(
        &text,
        "c2s {\n listen = {\"%s\"}\n port = 5222\n tls-port = 0\n require-tls = false\n"
        " insecure-login = true\n}\n"
        "s2s {\n listen = {\"%s\"}\n port = 5269\n require-tls = false\n bidi = %s\n idle-time = \"1m\"\n"
        " retry-time = \"1s\"\n retry-time-max = \"5s\"\n wait-time = \"20s\"\n resume-time = \"1m\"\n}\n"
        "sm {\n resume-time = \"1m\"\n}\narchive {\n default = \"%s\"\n}\nhost \"%s\" {}\n",
        place->address, place->address, place->bidi ? "true" : "false", place->archive ? "always" : "never",
        place->domain);
    config_errors_init(&errors);
    if (config_load_text("config", buf_str(&text), ext_configs(extension_list), &errors, &config) != OK) {
        fprintf(stderr, "sim: %s\n", errors.lines[0]);
        abort();
    }
    config_errors_fini(&errors);
    buf_fini(&text);
    return config;
}

void world_raise(struct world *world, struct place *place)
{
    struct process *process = NEW(struct process);
    list_init(&process->link);
    process->shards = place->shards;
    process->store_loop = sim_loop_new(world->sim);
    process->store = disk_store(place->disk, process->store_loop);
    process->config = read_config(place);
    for (unsigned i = 0; i < process->shards; i++)
        process->loops[i] = sim_loop_new(world->sim);
    process->server = server_new(process->config, extension_list, process->store, process->loops,
                                 process->shards, world->why, sizeof world->why);
    if (!process->server || server_listen(process->server, world->why, sizeof world->why) != OK) {
        fprintf(stderr, "sim: %s\n", world->why);
        abort();
    }
    memset(process->server->token_key, 7, sizeof process->server->token_key);
    place->process = process;
    place->runs++;
    place->up_us = 0;
    trace("%s is up, %u shards", place->domain, place->shards);
}

/* ---- Stopping ---- */

static void process_free(struct process *process)
{
    list_remove(&process->link);
    server_free(process->server);
    for (unsigned i = 0; i < process->shards; i++)
        loop_free(process->loops[i]);
    store_close(process->store);
    loop_free(process->store_loop);
    config_unref(process->config);
    free(process);
}

static bool has_stopped(struct world *world, const struct process *process, const char *domain)
{
    const struct server *server = process->server;
    if (!server->connections && !server->s2s_connections && !server->commits)
        return true;
    snprintf(world->why, sizeof world->why,
             "%s did not come to its end after a stop: %u connections, %u with servers, %u writes", domain,
             server->connections, server->s2s_connections, server->commits);
    return false;
}

unsigned world_given_up(const struct place *place)
{
    unsigned count = place->given_up;
    for (unsigned i = 0; place->process && i < place->process->shards; i++)
        count += (unsigned)place->process->server->shards[i]->counters.s2s_given_up;
    return count;
}

bool world_stop(struct world *world, struct place *place)
{
    struct process *process = place->process;
    trace("%s is stopped", place->domain);
    place->stops++;
    server_stop(process->server);
    sim_advance(world->sim, STOP_MS);
    for (unsigned i = 0; i < LATE_STOPS && !has_stopped(world, process, place->domain); i++)
        sim_advance(world->sim,
                    STOP_MS); /* its disk is slow: the process is there until it has its answers */
    bool ok = has_stopped(world, process, place->domain);
    place->given_up = world_given_up(place);
    place->process = NULL;
    process_free(process);
    return ok;
}

uint64_t world_kill(struct world *world, struct place *place, bool power_cut)
{
    struct process *process = place->process;
    struct store_stats stats;
    store_stats(process->store, &stats);
    unsigned written = power_cut ? 0 : (unsigned)chance_between(0, stats.queued_batches);
    trace("%s is killed; %u of %zu writes are done", place->domain, written, stats.queued_batches);
    place->kills++;
    place->given_up = world_given_up(place);
    uint64_t lost_us = disk_lose(place->disk, process->store, written);
    for (unsigned i = 0; i < process->shards; i++)
        sim_loop_cut_off(process->loops[i]);
    store_pace(process->store, false, 0);
    server_stop(process->server);
    process->over_us = sim_now_us(world->sim) + STOP_MS * 1000;
    list_append(&world->dead, &process->link);
    place->process = NULL;
    return lost_us;
}

static bool has_loop(const struct place *place, const struct loop *loop)
{
    for (unsigned i = 0; place->process && i < place->process->shards; i++)
        if (place->process->loops[i] == loop)
            return true;
    return false;
}

void world_cut_link(struct world *world, const struct place *one, const struct place *other)
{
    for (size_t i = sim_connections(world->sim); i-- > 0;) {
        struct socket *socket = sim_connection(world->sim, i, false);
        struct loop *here = sim_loop_of(socket), *there = sim_loop_of(sim_connection(world->sim, i, true));
        if ((has_loop(one, here) && has_loop(other, there)) ||
            (has_loop(one, there) && has_loop(other, here)))
            sim_cut(socket);
    }
}

void world_tend(struct world *world)
{
    list_each_safe (at, &world->dead) {
        struct process *process = LIST_ITEM(at, struct process, link);
        if (process->over_us <= sim_now_us(world->sim) && has_stopped(world, process, "a killed server"))
            process_free(process);
    }
    for (unsigned i = 0; i < world->count; i++) {
        struct place *place = &world->places[i];
        if (!place->process && place->up_us <= sim_now_us(world->sim))
            world_raise(world, place);
    }
}

bool world_close(struct world *world)
{
    bool ok = true;
    for (unsigned i = 0; i < world->count; i++)
        if (world->places[i].process)
            ok = world_stop(world, &world->places[i]) && ok;
    sim_advance(world->sim, STOP_MS);
    list_each_safe (at, &world->dead) {
        struct process *process = LIST_ITEM(at, struct process, link);
        ok = has_stopped(world, process, "a killed server") && ok;
        process_free(process);
    }
    for (unsigned i = 0; i < world->count; i++)
        disk_free(world->places[i].disk);
    loop_free(world->clients);
    if (ok && sim_bytes_in_flight(world->sim)) {
        snprintf(world->why, sizeof world->why, "%zu bytes are left in the network",
                 sim_bytes_in_flight(world->sim));
        ok = false;
    }
    trace_world(NULL);
    sim_free(world->sim);
    return ok;
}

/* ---- Looking ---- */

struct row_commit {
    struct store_commit commit;
    bool done;
};

static void row_kept(struct store_commit *base)
{
    CONTAINER_OF(base, struct row_commit, commit)->done = base->err == OK;
}

void world_add_row(struct world *world, struct place *place, const char *owner, const char *kind,
                   const char *key, const char *value)
{
    struct row_commit commit = { .commit.done = row_kept };
    struct store_batch *batch = store_batch_new();
    store_put(batch, str_from(owner), str_from(kind), str_from(key), str_from(value));
    store_commit(place->process->store, world->clients, batch, &commit.commit);
    sim_settle(world->sim, TURNS_MAX);
    if (!commit.done)
        abort();
}

static bool shard_is_empty(const struct shard *shard, char *why, size_t room)
{
    struct map_walk walk = { 0 };
    struct map_node *node = map_next(&shard->actors, &walk);
    str first = node ? actor_key(node) : STR("none");
    bool quiet = list_empty(&shard->links) && list_empty(&shard->s2s_links) && !shard->_queue_len &&
                 !shard->appends._gathering && !shard->s2s_ids.count;
    if (quiet && !node && !shard->remotes.count && !shard->user_slab.in_use && !shard->session_slab.in_use &&
        !shard->c2s_slab.in_use)
        return true;
    snprintf(
        why, room,
        "%zu actors (%.*s), %zu remotes, links %d, s2s links %d, %zu ids of streams, users %zu, sessions "
        "%zu, c2s %zu",
        shard->actors.count, STR_ARGS(first), shard->remotes.count, !list_empty(&shard->links),
        !list_empty(&shard->s2s_links), shard->s2s_ids.count, shard->user_slab.in_use,
        shard->session_slab.in_use, shard->c2s_slab.in_use);
    return false;
}

bool world_is_empty(struct world *world, const struct place *place)
{
    const struct server *server = place->process->server;
    struct store_stats stats;
    char why[300] = "";
    bool ok = true;
    store_stats(place->process->store, &stats);
    for (unsigned i = 0; i < server->shard_count && ok; i++)
        ok = shard_is_empty(server->shards[i], why, sizeof why);
    if (ok && !server->connections && !server->unauthenticated && !server->commits &&
        !server->s2s_connections && !server->s2s_verifications && !server->append_bytes &&
        !stats.queued_batches && !stats.queued_reads)
        return true;
    snprintf(
        world->why, sizeof world->why,
        "%s keeps something at rest: %u connections, %u unauthenticated, %u with servers, %u verifications, "
        "%u writes, %zu bytes of archives, %zu+%zu in the store; %s",
        place->domain, server->connections, server->unauthenticated, server->s2s_connections,
        server->s2s_verifications, server->commits, server->append_bytes, stats.queued_batches,
        stats.queued_reads, why);
    return false;
}
