/* SPDX-License-Identifier: MIT */
/* Putting a server together from a configuration, a store and some loops; listening; reloading; and an
 * orderly stop.
 *
 * A stop lets actors say what their people should know (rooms: that everybody goes), and when all shards have
 * done that it ends every stream with system-shutdown, those of clients first and those with other servers a
 * few quiet ticks later, and lets the loops run until no connection and no write is left (or ten seconds are
 * over); each shard then stops its own loop after some more quiet ticks, so that mail between shards has
 * arrived. */
#include "server/server.h"

#include "base/log.h"
#include "base/rand.h"
#include "loop/socket.h"
#include "net/tls.h"
#include "server/actor.h"
#include "server/component.h"
#include "server/ext.h"
#include "server/ext_port.h"
#include "server/link.h"
#include "server/s2s/posh.h"
#include "server/s2s/remote.h"
#include "server/s2s/s2s.h"
#include "server/s2s/s2s_sm.h"
#include "server/shard.h"
#include "server/sm/sm.h"

#include <stdio.h>
#include <stdlib.h>

enum { STOP_TICK_MS = 20, STOP_TICKS_MAX = 500, FAREWELL_TICKS_MAX = 50, QUIET_TICKS = 3 };

static str host_key(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct host, _node)->name);
}

struct host *server_domain(const struct server *server, str name)
{
    struct map_node *node = map_get(&server->hosts, name);
    return node ? CONTAINER_OF(node, struct host, _node) : NULL;
}

struct host *server_host(const struct server *server, str name)
{
    struct host *host = server_domain(server, name);
    return host && !host->service ? host : NULL;
}

struct shard *server_home(const struct server *server, str bare)
{
    return server->shards[server->shard_count == 1 ? 0 : hash_stable(bare) % server->shard_count];
}

/* ---- Certificates
 * --------------------------------------------------------------------------------------------------- */

/* On a connection's thread. */
static struct tls_context *choose_context(void *arg, str name)
{
    struct host *host = server_host(arg, name);
    struct tls_context *tls = host ? host->tls : NULL;
    return tls ? tls_context_ref(tls) : NULL;
}

static struct tls_context *choose_s2s_context(void *arg, str name)
{
    struct tls_context *tls = s2s_is_ours(arg, name) ? s2s_tls_host(arg, name)->s2s_in_tls : NULL;
    return tls ? tls_context_ref(tls) : NULL;
}

/* Others will not believe us otherwise, and say so at best in their logs (RFC 6120 §13.7.1.2.1). */
static void check_names(const struct config_host *host, const struct tls_context *context, str service,
                        const char *whom)
{
    struct arena arena;
    size_t count;
    bool covered = false;
    arena_init(&arena, 1024);
    const struct tls_name *names = tls_context_names(context, &arena, &count);
    for (size_t i = 0; i < count; i++)
        covered |= s2s_name_covers_service(&names[i], service, str_from(host->name), &arena);
    arena_fini(&arena);
    if (!covered)
        log_warn(tls, "the certificate of %s does not name it: %s will not trust it", host->name, whom);
}

static enum err load_context(struct server *server, const struct config_host *config, char *why,
                             size_t why_room, struct tls_context **ret)
{
    if (!config->certificate || !*config->certificate) {
        *ret = NULL;
        return OK;
    }
    struct tls_settings settings = {
        .certificate = config->certificate,
        .key = config->key,
        .ca = config->client_ca && *config->client_ca ? config->client_ca : NULL,
        .crl = config->client_crl && *config->client_crl ? config->client_crl : NULL,
        .request_client_certificate = config->client_ca && *config->client_ca,
    };
    enum err err = tls_server_context(&settings, why, why_room, ret);
    if (err == OK) {
        tls_context_on_sni(*ret, choose_context, server);
        check_names(config, *ret, STR("_xmpp-client."), "clients");
        int days = tls_context_days_left(*ret);
        if (days < 14)
            log_warn(tls, "the certificate of %s ends in %d days", config->name, days);
    }
    return err;
}

static void retire(struct server *server, struct tls_context *context)
{
    if (!context)
        return;
    server->_retired =
        xrealloc(server->_retired, (server->_retired_count + 1) * sizeof(struct tls_context *));
    server->_retired[server->_retired_count++] = context;
}

/* What a host needs for TLS: with clients, with servers that come, with servers that we go to. */
struct host_tls {
    struct tls_context *c2s, *s2s_in, *s2s_out;
};

static bool federates(const struct config *config)
{
    return config->s2s.port || config->s2s.tls_port;
}

/* What a host has for streams with other servers; the initiating end has TLS also without a certificate. */
static enum err load_s2s_contexts(struct server *server, const struct config *config,
                                  const struct config_host *host, char *why, size_t why_room,
                                  struct host_tls *ret)
{
    struct tls_settings settings = {
        .certificate = host->certificate,
        .key = host->key,
        .ca = *config->s2s.ca ? config->s2s.ca : NULL,
        .crl = *config->s2s.crl ? config->s2s.crl : NULL,
        .request_client_certificate = true,
        .between_servers = true,
    };
    if (!federates(config))
        return OK;
    enum err err = tls_initiator_context(&settings, why, why_room, &ret->s2s_out);
    if (err != OK || !*host->certificate)
        return err;
    err = tls_server_context(&settings, why, why_room, &ret->s2s_in);
    if (err != OK)
        return err;
    tls_context_on_sni(ret->s2s_in, choose_s2s_context, server);
    check_names(host, ret->s2s_in, STR("_xmpp-server."), "other servers");
    return err;
}

static void drop_contexts(struct host_tls *tls)
{
    tls_context_unref(tls->c2s);
    tls_context_unref(tls->s2s_in);
    tls_context_unref(tls->s2s_out);
    *tls = (struct host_tls){ 0 };
}

/* All contexts of a host, or none and the error. */
static enum err load_contexts(struct server *server, const struct config *config,
                              const struct config_host *host, char *why, size_t why_room,
                              struct host_tls *ret)
{
    *ret = (struct host_tls){ 0 };
    enum err err = load_context(server, host, why, why_room, &ret->c2s);
    if (err == OK)
        err = load_s2s_contexts(server, config, host, why, why_room, ret);
    if (err != OK)
        drop_contexts(ret);
    return err;
}

/* ---- Making
 * ---------------------------------------------------------------------------------------------------------
 */

static struct host *add_domain(struct server *server, str name, const struct config_host *config)
{
    struct host *host = NEW(struct host);
    host->server = server;
    host->name = str_dup(name);
    host->config = config;
    ext_switch(host);
    map_put(&server->hosts, &host->_node);
    server->host_list = xrealloc(server->host_list, (server->host_count + 1) * sizeof(struct host *));
    server->host_list[server->host_count++] = host;
    return host;
}

static enum err add_host(struct server *server, const struct config_host *config, char *why, size_t why_room)
{
    struct host_tls tls;
    enum err err = load_contexts(server, server->config, config, why, why_room, &tls);
    if (err != OK)
        return err;
    struct host *host = add_domain(server, str_from(config->name), config);
    host->tls = tls.c2s;
    host->s2s_in_tls = tls.s2s_in;
    host->s2s_out_tls = tls.s2s_out;
    return OK;
}

/* The domain of an extension's service below a virtual host. */
static enum err add_service(struct host *parent, const struct ext *ext, char *why, size_t why_room)
{
    const struct ext_service *service = ext->service;
    const char *wished = service->domain ? service->domain(ext_settings(parent, ext->slot)) : NULL;
    struct arena arena;
    str name;
    arena_init(&arena, 1024);
    enum err err = jid_prepare_domain(
        wished && *wished ? str_from(wished) : arena_printf(&arena, "%s.%s", service->prefix, parent->name),
        &arena, &name);
    if (err != OK)
        snprintf(why, why_room, "host %s: \"%s\" can't be the domain of %s", parent->name, wished, ext->name);
    else if (server_domain(parent->server, name))
        err = ERR_EXISTS;
    if (err == ERR_EXISTS)
        snprintf(why, why_room, "host %s: the domain of %s, %.*s, is served already", parent->name, ext->name,
                 STR_ARGS(name));
    if (err == OK) {
        struct host *host = add_domain(parent->server, name, parent->config);
        host->service = ext;
        host->parent = parent;
    }
    arena_fini(&arena);
    return err;
}

static bool wants_service(const struct host *host, const struct ext *ext)
{
    return ext->service && ext_is_on(host, ext) &&
           (!ext->service->is_wanted || ext->service->is_wanted(ext_settings(host, ext->slot)));
}

static enum err add_services(struct server *server, char *why, size_t why_room)
{
    size_t count = server->host_count;
    enum err err = OK;
    for (size_t i = 0; i < count; i++)
        for (const struct ext *const *ext = server->extensions; err == OK && *ext; ext++)
            if (wants_service(server->host_list[i], *ext))
                err = add_service(server->host_list[i], *ext, why, why_room);
    return err;
}

struct dns_settings server_dns_settings(const struct server *server)
{
    const struct config_s2s *config = &server->config->s2s;
    return (struct dns_settings){
        .server = config->dns_server,
        .overrides = config->addresses.items,
        .override_count = config->addresses.count,
        .timeout_ms = (uint32_t)config->dns_ms,
        .dane = config->dane,
    };
}

/* A resolver for each shard; with it, route_to() sends to other domains. */
static bool start_federation(struct server *server)
{
    const struct config_s2s *config = &server->config->s2s;
    char secret[65];
    const struct dns_settings settings = server_dns_settings(server);
    if (!federates(server->config))
        return true;
    rand_token(secret, sizeof secret);
    server->dialback_secret = str_dup(str_from(*config->secret ? config->secret : secret));
    mem_wipe(secret, sizeof secret);
    for (unsigned i = 0; i < server->shard_count; i++)
        if (!(server->shards[i]->dns = dns_new(server->shards[i]->loop, &settings)))
            return false;
    return true;
}

/* Those by whose word on certificates the web servers of other domains are known: the same CAs. */
static bool start_posh(struct server *server, char *why, size_t why_room)
{
    const struct config_s2s *config = &server->config->s2s;
    struct tls_context *tls;
    if (!federates(server->config) || !config->posh)
        return true;
    if (tls_client_context(*config->ca ? config->ca : NULL, true, why, why_room, &tls) != OK)
        return false;
    for (unsigned i = 0; i < server->shard_count; i++)
        server->shards[i]->posh = posh_book_new(server->shards[i], tls);
    tls_context_unref(tls);
    return true;
}

struct server *server_new(const struct config *config, const struct ext *const *extensions,
                          struct store *store, struct loop **loops, unsigned loop_count, char *why,
                          size_t why_room)
{
    struct server *server = NEW(struct server);
    server->config = config;
    server->extensions = extensions;
    server->store = store;
    server->started_us = loop_now_us(loops[0]);
    rand_bytes(server->secret, sizeof server->secret);
    rand_bytes(server->token_key, sizeof server->token_key);
    map_init(&server->hosts, host_key);
    ext_set_up(server);
    enum err err = OK;
    for (size_t i = 0; err == OK && i < config->host_count; i++)
        err = add_host(server, &config->hosts[i], why, why_room);
    if (err == OK)
        err = add_services(server, why, why_room);
    if (err == OK)
        err = component_domains_set(server, config, why, why_room);
    if (err != OK) {
        server_free(server);
        return NULL;
    }
    server->shard_count = loop_count;
    server->shards = xcalloc(loop_count, sizeof(struct shard *));
    for (unsigned i = 0; i < loop_count; i++)
        server->shards[i] = shard_new(server, loops[i], i);
    if (!start_federation(server))
        snprintf(why, why_room, "s2s.dns-server %s can't be used", config->s2s.dns_server);
    else if (start_posh(server, why, why_room))
        return server;
    server_free(server);
    return NULL;
}

/* Actors that end let go of receipts that may be at home on any shard: so all end before one is freed. */
static void end_shards(struct server *server)
{
    bool more = true;
    server->over = true;
    for (unsigned i = 0; i < server->shard_count; i++)
        shard_end(server->shards[i]);
    while (more) {
        more = false;
        for (unsigned i = 0; i < server->shard_count; i++) {
            more |= sm_store_drop(server->shards[i]);
            more |= appends_drop(server->shards[i]);
        }
    }
    for (unsigned i = 0; i < server->shard_count; i++)
        shard_free(server->shards[i]);
}

void server_free(struct server *server)
{
    end_shards(server);
    for (size_t i = 0; i < server->host_count; i++) {
        tls_context_unref(server->host_list[i]->tls);
        tls_context_unref(server->host_list[i]->s2s_in_tls);
        tls_context_unref(server->host_list[i]->s2s_out_tls);
        ext_host_fini(server->host_list[i]);
        free(server->host_list[i]->name);
        free(server->host_list[i]);
    }
    component_domains_free(server);
    for (size_t i = 0; i < server->_retired_count; i++)
        tls_context_unref(server->_retired[i]);
    free(server->_retired);
    ext_set_fini(server);
    map_fini(&server->hosts);
    free(server->host_list);
    free(server->shards);
    mem_wipe(server->secret, sizeof server->secret);
    mem_wipe(server->token_key, sizeof server->token_key);
    if (server->dialback_secret)
        mem_wipe(server->dialback_secret, strlen(server->dialback_secret));
    free(server->dialback_secret);
    free(server);
}

/* ---- Listening
 * ------------------------------------------------------------------------------------------------------- */

enum port_kind { PORT_C2S, PORT_C2S_TLS, PORT_S2S, PORT_S2S_TLS, PORT_COMPONENT, PORT_EXTENSION };

struct port {
    struct listener listener;
    struct shard *shard;
    enum port_kind kind;
    const char *address;
    unsigned number;
    const struct ext_port *ext; /* of an extension, and whose settings want it */
    struct host *host;
    unsigned refusals; /* since it has rested */
    struct timer rest;
};

enum { REFUSALS = 8, REST_MS = 5 };

static void rested(struct timer *timer)
{
    struct port *port = CONTAINER_OF(timer, struct port, rest);
    port->refusals = 0;
    listener_pause(&port->listener, false);
}

/* To refuse costs no more than to come again, and whoever comes again at once, for ever, would have this
 * thread do nothing else: after some refusals the next ones wait for a moment, in the kernel, and the streams
 * that are there go on. */
static void rest_from_refusals(struct port *port, uint64_t refused_before)
{
    if (port->shard->counters.refused == refused_before || ++port->refusals < REFUSALS)
        return;
    listener_pause(&port->listener, true);
    timer_start(port->shard->loop, &port->rest, REST_MS);
}

static void accepted(struct listener *listener, struct socket *socket)
{
    struct port *port = CONTAINER_OF(listener, struct port, listener);
    uint64_t refused = port->shard->counters.refused;
    shard_enter(port->shard);
    switch (port->kind) {
    case PORT_C2S:
    case PORT_C2S_TLS:
        c2s_accept(port->shard, socket, port->kind == PORT_C2S_TLS);
        break;
    case PORT_S2S:
    case PORT_S2S_TLS:
        s2s_accept(port->shard, socket, port->kind == PORT_S2S_TLS);
        break;
    case PORT_COMPONENT:
        component_accept(port->shard, socket);
        break;
    case PORT_EXTENSION:
        port->ext->accepted(port->shard, port->host, socket);
        break;
    }
    rest_from_refusals(port, refused);
    shard_leave(port->shard);
}

/* One as the plan says, at an address of its own. */
static enum err open_port(struct shard *shard, const char *address, const struct port *plan, char *why,
                          size_t why_room)
{
    if (!plan->number)
        return OK;
    struct port *port = NEW(struct port);
    *port = *plan;
    port->listener.accepted = accepted;
    port->rest.fired = rested;
    port->shard = shard;
    port->address = address;
    port->listener.alone = plan->kind == PORT_COMPONENT; /* the first shard takes them all */
    enum err err = listener_open(&port->listener, shard->loop, address, (uint16_t)plan->number);
    if (err != OK) {
        snprintf(why, why_room, "can't listen on %s port %u: %s", *address ? address : "any address",
                 plan->number, err_text(err));
        free(port);
        return err;
    }
    shard->ports = xrealloc(shard->ports, (shard->port_count + 1) * sizeof(struct port *));
    shard->ports[shard->port_count++] = port;
    return OK;
}

void shard_close_ports(struct shard *shard)
{
    for (size_t i = 0; i < shard->port_count; i++) {
        timer_stop(&shard->ports[i]->rest);
        listener_close(&shard->ports[i]->listener);
        free(shard->ports[i]);
    }
    free(shard->ports);
    shard->ports = NULL;
    shard->port_count = 0;
}

/* The shards share each port, and the kernel would let another jabirud share it too: half of the clients
 * would be lost to it. So each is tried alone first. */
static enum err check_port(struct server *server, const char *address, unsigned number, char *why,
                           size_t why_room)
{
    struct listener probe = { .alone = true };
    enum err err = number ? listener_open(&probe, server->shards[0]->loop, address, (uint16_t)number) : OK;
    if (err == OK)
        listener_close(&probe);
    if (err != ERR_EXISTS)
        return OK;
    snprintf(why, why_room, "can't listen on %s port %u: another program does",
             *address ? address : "any address", number);
    return err;
}

/* One port at an address, on every shard. */
static enum err open_everywhere(struct server *server, const char *address, const struct port *plan,
                                char *why, size_t why_room)
{
    enum err err = OK;
    for (unsigned i = 0; err == OK && i < server->shard_count; i++)
        err = open_port(server->shards[i], address, plan, why, why_room);
    return err;
}

/* Two ports, without direct TLS (`kind`) and with it (the next kind), at each address, on every shard. */
static enum err listen_at(struct server *server, const struct config_list *addresses, unsigned port,
                          unsigned tls_port, enum port_kind kind, char *why, size_t why_room)
{
    const struct port plan = { .kind = kind, .number = port },
                      tls_plan = { .kind = kind + 1, .number = tls_port };
    enum err err = OK;
    for (size_t i = 0; err == OK && i < addresses->count; i++) {
        err = check_port(server, addresses->items[i], port, why, why_room);
        if (err == OK)
            err = check_port(server, addresses->items[i], tls_port, why, why_room);
    }
    for (size_t i = 0; err == OK && i < addresses->count; i++) {
        err = open_everywhere(server, addresses->items[i], &plan, why, why_room);
        if (err == OK)
            err = open_everywhere(server, addresses->items[i], &tls_plan, why, why_room);
    }
    return err;
}

/* Hosts may share a port of an extension. */
static bool is_open(const struct server *server, const char *address, const struct port *plan)
{
    const struct shard *shard = server->shards[0];
    for (size_t i = 0; i < shard->port_count; i++)
        if (shard->ports[i]->ext == plan->ext && shard->ports[i]->number == plan->number &&
            !strcmp(shard->ports[i]->address, address))
            return true;
    return false;
}

static enum err listen_for_ext(struct host *host, const struct ext *ext, char *why, size_t why_room)
{
    struct server *server = host->server;
    struct port plan = { .kind = PORT_EXTENSION, .ext = ext->port, .host = host };
    const struct config_list *addresses;
    enum err err = OK;
    ext->port->where(ext_settings(host, ext->slot), &addresses, &plan.number);
    for (size_t i = 0; err == OK && i < addresses->count; i++) {
        if (is_open(server, addresses->items[i], &plan))
            continue;
        err = check_port(server, addresses->items[i], plan.number, why, why_room);
        if (err == OK)
            err = open_everywhere(server, addresses->items[i], &plan, why, why_room);
    }
    return err;
}

static enum err listen_for_extensions(struct server *server, char *why, size_t why_room)
{
    enum err err = OK;
    for (size_t i = 0; i < server->host_count; i++)
        for (const struct ext *const *ext = server->extensions; err == OK && *ext; ext++)
            if ((*ext)->port && !server->host_list[i]->service && ext_is_on(server->host_list[i], *ext))
                err = listen_for_ext(server->host_list[i], *ext, why, why_room);
    return err;
}

enum err server_listen(struct server *server, char *why, size_t why_room)
{
    const struct config *config = server->config;
    const struct config_c2s *c2s = &config->c2s;
    const struct config_s2s *s2s = &config->s2s;
    enum err err = listen_at(server, &c2s->listen, c2s->port, c2s->tls_port, PORT_C2S, why, why_room);
    if (err == OK)
        err = listen_at(server, &s2s->listen, s2s->port, s2s->tls_port, PORT_S2S, why, why_room);
    if (err == OK)
        err = listen_for_extensions(server, why, why_room);
    const struct port components = { .kind = PORT_COMPONENT, .number = config->components.port };
    for (size_t a = 0; err == OK && config->component_count && a < config->components.listen.count; a++)
        err = open_port(server->shards[0], config->components.listen.items[a], &components, why, why_room);
    return err;
}

/* ---- Stopping
 * -------------------------------------------------------------------------------------------------------- */

static void close_all(struct list *links)
{
    list_each_safe (at, links) {
        struct link *link = LIST_ITEM(at, struct link, _in_shard);
        link->ops->close(link, STREAM_ERROR_SYSTEM_SHUTDOWN, NULL);
    }
}

static void close_servers(struct shard *shard)
{
    shard_enter(shard);
    remotes_stop(shard);
    close_all(&shard->s2s_links);
    shard_leave(shard);
}

/* Clients are left when all shards have said what there was to say, and it has come. */
static void leave_clients(struct shard *shard)
{
    struct server *server = shard->server;
    if (atomic_load(&server->farewells) < server->shard_count && shard->stop_ticks < FAREWELL_TICKS_MAX)
        return;
    if (++shard->farewell_ticks != 2)
        return;
    shard_enter(shard);
    shard_drain(shard);
    close_all(&shard->links);
    shard_leave(shard);
}

/* Other servers are left last: what sessions say when they end goes to them. A connection that died unnoticed
 * takes all that is written, so those that acknowledge are heard first. */
static void stop_tick(struct timer *timer)
{
    struct shard *shard = CONTAINER_OF(timer, struct shard, stop_timer);
    struct server *server = shard->server;
    leave_clients(shard);
    bool quiet =
        !atomic_load(&server->connections) && !atomic_load(&server->commits) && s2s_sm_all_acked(shard);
    shard->quiet_ticks = quiet ? shard->quiet_ticks + 1 : 0;
    shard->stop_ticks++;
    if (shard->quiet_ticks == QUIET_TICKS || shard->stop_ticks == STOP_TICKS_MAX / 2)
        close_servers(shard);
    if ((shard->quiet_ticks >= 2 * QUIET_TICKS && !atomic_load(&server->s2s_connections)) ||
        shard->stop_ticks >= STOP_TICKS_MAX)
        loop_stop(shard->loop);
    else
        timer_start(shard->loop, timer, STOP_TICK_MS);
}

static void stop_shard(struct shard *shard, struct shard_call *call)
{
    struct server *server = shard->server;
    free(call);
    if (shard->stopping)
        return;
    shard->stopping = true;
    shard_close_ports(shard);
    remotes_stop(shard);
    actors_stopping(shard);
    shard_drain(shard); /* senders hear of it while they are still there */
    atomic_fetch_add(&server->farewells, 1);
    shard->stop_timer.fired = stop_tick;
    timer_start(shard->loop, &shard->stop_timer, STOP_TICK_MS);
}

void server_stop(struct server *server)
{
    for (unsigned i = 0; i < server->shard_count; i++) {
        struct shard_call *call = NEW(struct shard_call);
        call->run = stop_shard;
        shard_post(server->shards[i], call);
    }
}

/* ---- Reloading
 * ------------------------------------------------------------------------------------------------------- */

static const struct config_host *host_config(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->host_count; i++)
        if (!strcmp(config->hosts[i].name, name))
            return &config->hosts[i];
    return NULL;
}

/* The contexts of a virtual host by its new configuration. */
static enum err load_again(struct server *server, const struct config *config, const struct host *host,
                           char *why, size_t why_room, struct host_tls *ret)
{
    const struct config_host *fresh = host_config(config, host->name);
    if (host->service)
        return OK;
    if (fresh)
        return load_contexts(server, config, fresh, why, why_room, ret);
    snprintf(why, why_room, "host %s is missing: removing a host needs a restart", host->name);
    return ERR_INVALID;
}

enum err server_reload(struct server *server, const struct config *config, char *why, size_t why_room)
{
    struct host_tls *fresh = xcalloc(server->host_count, sizeof *fresh);
    enum err err = OK;
    for (size_t i = 0; err == OK && i < server->host_count; i++)
        err = load_again(server, config, server->host_list[i], why, why_room, &fresh[i]);
    if (err == OK)
        err = component_domains_set(server, config, why, why_room);
    for (size_t i = 0; i < server->host_count; i++) {
        struct host *host = server->host_list[i];
        if (err != OK) {
            drop_contexts(&fresh[i]);
            continue;
        }
        host->config = host_config(config, host->service ? host->parent->name : host->name);
        ext_switch(host);
        retire(server, atomic_exchange(&host->tls, fresh[i].c2s));
        retire(server, atomic_exchange(&host->s2s_in_tls, fresh[i].s2s_in));
        retire(server, atomic_exchange(&host->s2s_out_tls, fresh[i].s2s_out));
    }
    if (err == OK) {
        server->config = config;
        component_domains_check(server);
    }
    free(fresh);
    return err;
}
