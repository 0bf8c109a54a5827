/* SPDX-License-Identifier: MIT */
/* The domains of external components, and the way of a stanza to them.
 *
 * A domain has one home, the shard of its name, as a user has; what is addressed to it, with any localpart
 * and resource, goes there and out on the component's stream, in the order in which it came. The list of
 * domains only grows, at its head, so every shard reads it without a lock; a reload that takes a domain out
 * leaves the entry without a configuration.
 *
 * A component that is configured and not connected is "a service that was resolved but with which
 * communications could not be established" (RFC 6120 §8.3.3.17): remote-server-timeout, whose type `wait`
 * tells the sender that another try makes sense. service-unavailable would say for good that nobody is there,
 * and remote-server-not-found that the domain is unknown. Presence that is broadcast is met with silence. */
#include "server/component.h"

#include "xml/write.h"

#include <stdio.h>
#include <stdlib.h>

struct component_domain *component_domain_named(const struct server *server, str name)
{
    for (struct component_domain *domain = server->components; domain; domain = domain->next)
        if (str_eq(str_from(domain->name), name) && domain->config)
            return domain;
    return NULL;
}

static struct component_domain *find_any(const struct server *server, const char *name)
{
    struct component_domain *domain = server->components;
    while (domain && strcmp(domain->name, name) != 0)
        domain = domain->next;
    return domain;
}

static void add(struct server *server, const struct config_component *config)
{
    struct component_domain *domain = NEW(struct component_domain);
    domain->name = str_dup(str_from(config->name));
    domain->config = config;
    domain->next = server->components;
    server->components = domain;
}

enum err component_domains_set(struct server *server, const struct config *config, char *why, size_t why_room)
{
    for (size_t i = 0; i < config->component_count; i++) {
        if (!server_domain(server, str_from(config->component_list[i].name)))
            continue;
        snprintf(why, why_room, "component \"%s\": the domain is served by an extension already",
                 config->component_list[i].name);
        return ERR_EXISTS;
    }
    for (struct component_domain *domain = server->components; domain; domain = domain->next)
        domain->config = config_component_named(config, str_from(domain->name));
    for (size_t i = 0; i < config->component_count; i++)
        if (!find_any(server, config->component_list[i].name))
            add(server, &config->component_list[i]);
    return OK;
}

void component_domains_free(struct server *server)
{
    struct component_domain *domain = server->components;
    while (domain) {
        struct component_domain *next = domain->next;
        free(domain->name);
        free(domain);
        domain = next;
    }
    server->components = NULL;
}

struct shard *component_home(const struct server *server, const struct component_domain *domain)
{
    return server_home(server, str_from(domain->name));
}

static void check(struct shard *shard, struct shard_call *call)
{
    free(call);
    for (struct component_domain *domain = shard->server->components; domain; domain = domain->next)
        if (component_home(shard->server, domain) == shard && !domain->config)
            component_close(domain, STREAM_ERROR_HOST_GONE, "no longer configured");
}

void component_domains_check(struct server *server)
{
    for (unsigned i = 0; server->components && i < server->shard_count; i++) {
        struct shard_call *call = NEW(struct shard_call);
        call->run = check;
        shard_post(server->shards[i], call);
    }
}

/* ---- Stanzas
 * ---------------------------------------------------------------------------------------------------- */

static void refuse(struct shard *shard, const struct delivery *delivery, enum stanza_error error,
                   const char *text)
{
    const struct stanza *stanza = delivery->stanza;
    bool farewell = stanza->kind == STANZA_PRESENCE && stanza->type == TYPE_UNAVAILABLE;
    if (delivery->how == DELIVER_ROUTE && !farewell)
        route_error(shard, stanza, error, text);
}

void component_deliver(struct shard *shard, struct component_domain *domain, const struct delivery *delivery)
{
    if (!domain->component)
        refuse(shard, delivery, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "the service is not connected");
    else if (!component_send(domain->component, delivery->stanza, &delivery->to))
        refuse(shard, delivery, STANZA_ERROR_RESOURCE_CONSTRAINT, "the service does not keep up");
}

/* ---- Whose it is
 * ------------------------------------------------------------------------------------------------- */

static bool is_below(str name, str host)
{
    return name.len > host.len + 1 && str_ends(name, host) && name.p[name.len - host.len - 1] == '.';
}

bool component_belongs(const struct host *host, const struct component_domain *domain)
{
    str name = str_from(domain->name);
    if (is_below(name, str_from(host->name)))
        return true;
    for (size_t i = 0; i < host->server->host_count; i++)
        if (is_below(name, str_from(host->server->host_list[i]->name)))
            return false;
    return true;
}

const struct component_domain *component_sender(const struct host *host, const struct stanza *stanza)
{
    const struct component_domain *domain = NULL;
    if (!jid_is_none(&stanza->from))
        domain = component_domain_named(host->server, jid_domain(&stanza->from));
    return domain && component_belongs(host, domain) ? domain : NULL;
}

void component_write_items(const struct host *host, struct buf *xml)
{
    for (struct component_domain *domain = host->server->components; domain; domain = domain->next) {
        if (!domain->is_connected || !component_belongs(host, domain))
            continue;
        buf_lit(xml, "<item");
        xml_write_attr(xml, "jid", str_from(domain->name));
        buf_lit(xml, "/>");
    }
}
