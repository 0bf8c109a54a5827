/* SPDX-License-Identifier: MIT */
/* Putting a server together from a configuration, a store and some loops; listening; reloading; and an
 * orderly stop.
 *
 * A stop ends every stream with system-shutdown and lets the loops run until no connection and no write is
 * left (or ten seconds are over); each shard then stops its own loop after a few quiet ticks, so that mail
 * between shards has arrived. */
#include "server/server.h"

#include "base/log.h"
#include "base/rand.h"
#include "loop/socket.h"
#include "net/tls.h"
#include "server/component.h"
#include "server/ext.h"
#include "server/link.h"
#include "server/shard.h"

#include <stdio.h>
#include <stdlib.h>

enum { STOP_TICK_MS = 20, STOP_TICKS_MAX = 500, QUIET_TICKS = 3 };

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
        .request_client_certificate = config->client_ca && *config->client_ca,
    };
    enum err err = tls_server_context(&settings, why, why_room, ret);
    if (err == OK) {
        tls_context_on_sni(*ret, choose_context, server);
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
    struct tls_context *tls;
    enum err err = load_context(server, config, why, why_room, &tls);
    if (err != OK)
        return err;
    add_domain(server, str_from(config->name), config)->tls = tls;
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

static enum err add_services(struct server *server, char *why, size_t why_room)
{
    size_t count = server->host_count;
    enum err err = OK;
    for (size_t i = 0; i < count; i++)
        for (const struct ext *const *ext = server->extensions; err == OK && *ext; ext++)
            if ((*ext)->service && ext_is_on(server->host_list[i], *ext))
                err = add_service(server->host_list[i], *ext, why, why_room);
    return err;
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
    return server;
}

void server_free(struct server *server)
{
    for (unsigned i = 0; i < server->shard_count; i++)
        shard_free(server->shards[i]);
    for (size_t i = 0; i < server->host_count; i++) {
        tls_context_unref(server->host_list[i]->tls);
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
    free(server);
}

/* ---- Listening
 * ------------------------------------------------------------------------------------------------------- */

enum port_kind { PORT_C2S, PORT_C2S_TLS, PORT_COMPONENT };

struct port {
    struct listener listener;
    struct shard *shard;
    enum port_kind kind;
};

static void accepted(struct listener *listener, struct socket *socket)
{
    struct port *port = CONTAINER_OF(listener, struct port, listener);
    shard_enter(port->shard);
    if (port->kind == PORT_COMPONENT)
        component_accept(port->shard, socket);
    else
        c2s_accept(port->shard, socket, port->kind == PORT_C2S_TLS);
    shard_leave(port->shard);
}

static enum err open_port(struct shard *shard, const char *address, unsigned number, enum port_kind kind,
                          char *why, size_t why_room)
{
    if (!number)
        return OK;
    struct port *port = NEW(struct port);
    port->listener.accepted = accepted;
    port->shard = shard;
    port->kind = kind;
    port->listener.alone = kind == PORT_COMPONENT; /* the first shard takes them all */
    enum err err = listener_open(&port->listener, shard->loop, address, (uint16_t)number);
    if (err != OK) {
        snprintf(why, why_room, "can't listen on %s port %u: %s", *address ? address : "any address", number,
                 err_text(err));
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
        listener_close(&shard->ports[i]->listener);
        free(shard->ports[i]);
    }
    free(shard->ports);
    shard->ports = NULL;
    shard->port_count = 0;
}

/* The shards share each port, and the kernel would let another jabirud share it too: half of the clients
 * would be lost to it. So each is tried alone first. */
static enum err check_ports(struct server *server, char *why, size_t why_room)
{
    const struct config *config = server->config;
    const unsigned ports[] = { config->c2s.port, config->c2s.tls_port };
    for (size_t i = 0; i < config->c2s.listen.count * COUNT_OF(ports); i++) {
        const char *address = config->c2s.listen.items[i / COUNT_OF(ports)];
        unsigned number = ports[i % COUNT_OF(ports)];
        struct listener probe = { .alone = true };
        if (!number)
            continue;
        enum err err = listener_open(&probe, server->shards[0]->loop, address, (uint16_t)number);
        if (err == OK) {
            listener_close(&probe);
        } else if (err == ERR_EXISTS) {
            snprintf(why, why_room, "can't listen on %s port %u: another program does",
                     *address ? address : "any address", number);
            return err;
        }
    }
    return OK;
}

enum err server_listen(struct server *server, char *why, size_t why_room)
{
    const struct config *config = server->config;
    if (check_ports(server, why, why_room) != OK)
        return ERR_EXISTS;
    for (unsigned i = 0; i < server->shard_count; i++) {
        for (size_t a = 0; a < config->c2s.listen.count; a++) {
            const char *address = config->c2s.listen.items[a];
            enum err err = open_port(server->shards[i], address, config->c2s.port, PORT_C2S, why, why_room);
            if (err == OK)
                err =
                    open_port(server->shards[i], address, config->c2s.tls_port, PORT_C2S_TLS, why, why_room);
            if (err != OK)
                return err;
        }
    }
    for (size_t a = 0; config->component_count && a < config->components.listen.count; a++) {
        enum err err = open_port(server->shards[0], config->components.listen.items[a],
                                 config->components.port, PORT_COMPONENT, why, why_room);
        if (err != OK)
            return err;
    }
    return OK;
}

/* ---- Stopping
 * -------------------------------------------------------------------------------------------------------- */

static void stop_tick(struct timer *timer)
{
    struct shard *shard = CONTAINER_OF(timer, struct shard, stop_timer);
    struct server *server = shard->server;
    bool quiet = !atomic_load(&server->connections) && !atomic_load(&server->commits);
    shard->quiet_ticks = quiet ? shard->quiet_ticks + 1 : 0;
    if (shard->quiet_ticks >= QUIET_TICKS || ++shard->stop_ticks >= STOP_TICKS_MAX)
        loop_stop(shard->loop);
    else
        timer_start(shard->loop, timer, STOP_TICK_MS);
}

static void stop_shard(struct shard *shard, struct shard_call *call)
{
    free(call);
    if (shard->stopping)
        return;
    shard->stopping = true;
    shard_close_ports(shard);
    list_each_safe (at, &shard->links) {
        struct link *link = LIST_ITEM(at, struct link, _in_shard);
        link->ops->close(link, STREAM_ERROR_SYSTEM_SHUTDOWN, NULL);
    }
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

enum err server_reload(struct server *server, const struct config *config, char *why, size_t why_room)
{
    struct tls_context **fresh = xcalloc(server->host_count, sizeof(struct tls_context *));
    enum err err = OK;
    for (size_t i = 0; err == OK && i < server->host_count; i++) {
        if (server->host_list[i]->service)
            continue;
        const struct config_host *host = host_config(config, server->host_list[i]->name);
        err = host ? load_context(server, host, why, why_room, &fresh[i]) : ERR_INVALID;
        if (!host)
            snprintf(why, why_room, "host %s is missing: removing a host needs a restart",
                     server->host_list[i]->name);
    }
    if (err == OK)
        err = component_domains_set(server, config, why, why_room);
    for (size_t i = 0; i < server->host_count; i++) {
        struct host *host = server->host_list[i];
        if (err != OK) {
            tls_context_unref(fresh[i]);
            continue;
        }
        host->config = host_config(config, host->service ? host->parent->name : host->name);
        ext_switch(host);
        retire(server, atomic_exchange(&host->tls, fresh[i]));
    }
    if (err == OK) {
        server->config = config;
        component_domains_check(server);
    }
    free(fresh);
    return err;
}
