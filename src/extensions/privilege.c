/* SPDX-License-Identifier: MIT */
/* XEP-0356 0.4.1: an external component may do, for the users of its hosts, what the configuration allows:
 * look into and change rosters (§4), send messages in their name (§5), make requests in their name (§6,
 * privilege_iq.c), and be told of their presence (§7).
 *
 * What is not allowed is refused where any stranger's request would be: by the server's own rules, or here
 * with `forbidden`. A user notices nothing of it.
 *
 * What not: presence of contacts (§7.5, type `roster`). The server does not keep the presence of contacts, so
 * it would have to probe them all in the name of users who may be away. */
#include "extensions/privilege.h"

#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/inner.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { XML_MAX = 1 << 20 };

static const char *const access_names[] = { "none", "get", "set", "both" };

/* ---- Telling what is allowed (§4.2, §5.2, §6.2, §7.2)
 * ------------------------------------------------------------------------ */

static void write_iq_permissions(struct buf *xml, const struct config_list *list)
{
    if (!list->count)
        return;
    buf_lit(xml, "<perm access='iq'>");
    for (size_t i = 0; i < list->count; i++) {
        str text = str_from(list->items[i]);
        size_t equals = str_find_last(text, '=');
        buf_lit(xml, "<namespace");
        xml_write_attr(xml, "ns", str_sub(text, 0, equals));
        xml_write_attr(xml, "type", str_sub(text, equals + 1, text.len));
        buf_lit(xml, "/>");
    }
    buf_lit(xml, "</perm>");
}

static bool may_push(const struct config_component *config)
{
    return config->privilege_roster & ACCESS_GET && config->privilege_roster_push;
}

static void write_permissions(struct buf *xml, const struct config_component *config)
{
    if (config->privilege_roster)
        buf_addf(xml, "<perm access='roster' type='%s' push='%s'/>", access_names[config->privilege_roster],
                 may_push(config) ? "true" : "false");
    if (config->privilege_message)
        buf_lit(xml, "<perm access='message' type='outgoing'/>");
    write_iq_permissions(xml, &config->privilege_iq);
    if (config->privilege_presence)
        buf_lit(xml, "<perm access='presence' type='managed_entity'/>");
}

static struct jid domain_jid(const char *name)
{
    return (struct jid){ str_from(name), 0, (uint16_t)strlen(name) };
}

static void advertise(struct shard *shard, const struct host *host, const struct component_domain *domain)
{
    struct arena *arena = &shard->arena;
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    struct buf permissions;
    char id[13];
    buf_init(&permissions, XML_MAX);
    write_permissions(&permissions, domain->config);
    rand_token(id, sizeof id);
    if (permissions.len) {
        str payload = arena_printf(arena, "<privilege xmlns='" NS_PRIVILEGE "'>%.*s</privilege>",
                                   STR_ARGS(buf_str(&permissions)));
        *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, arena_str(arena, str_from(id)), payload, arena);
        message->from = domain_jid(host->name);
        message->to = domain_jid(domain->name);
        route(shard, message);
    }
    buf_fini(&permissions);
}

/* ---- Presence (§7)
 * ------------------------------------------------------------------------------------------------ */

static void show_to(struct shard *shard, const struct stanza *presence, const struct component_domain *domain)
{
    struct stanza *directed = arena_alloc(&shard->arena, sizeof *directed);
    *directed = *presence;
    directed->to = domain_jid(domain->name);
    route_to(shard, directed, &directed->to, DELIVER_BROADCAST);
}

static bool is_told(const struct host *host, const struct component_domain *domain)
{
    const struct config_component *config = domain->config;
    return config && config->privilege_presence && domain->is_connected && component_belongs(host, domain);
}

static enum hook_ret presence_changed(struct host *host, struct session_event *event)
{
    struct shard *shard = event->user->actor.shard;
    const struct component_domain *domain = shard->server->components;
    for (; domain && event->presence; domain = domain->next)
        if (is_told(host, domain))
            show_to(shard, event->presence, domain);
    return HOOK_NEXT;
}

/* A component that has just come is told who is there (§8): each shard by itself. */
struct introduction {
    struct shard_call call;
    const struct component_domain *domain;
};

static void introduce_user(struct user *user, const struct component_domain *domain)
{
    struct shard *shard = user->actor.shard;
    if (!is_told(user->actor.host, domain))
        return;
    list_each (at, &user->sessions)
        if (SESSION_OF(at)->available)
            show_to(shard, session_presence(SESSION_OF(at), &shard->arena), domain);
}

static void introduce(struct shard *shard, struct shard_call *call)
{
    struct introduction *introduction = CONTAINER_OF(call, struct introduction, call);
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&shard->actors, &walk))) {
        struct user *user = user_awake(shard, actor_key(node));
        if (user)
            introduce_user(user, introduction->domain);
    }
    free(introduction);
}

static enum hook_ret component_connected(struct host *host, struct component_event *event)
{
    struct server *server = event->shard->server;
    const struct config_component *config = event->domain->config;
    if (!config)
        return HOOK_NEXT;
    advertise(event->shard, host, event->domain);
    for (unsigned i = 0; config->privilege_presence && i < server->shard_count; i++) {
        struct introduction *introduction = NEW(struct introduction);
        introduction->call.run = introduce;
        introduction->domain = event->domain;
        shard_post(server->shards[i], &introduction->call);
    }
    return HOOK_NEXT;
}

/* ---- Rosters (§4)
 * ------------------------------------------------------------------------------------------------- */

static enum hook_ret roster_changed(struct host *host, struct roster_event *event)
{
    struct shard *shard = event->user->actor.shard;
    struct arena *arena = &shard->arena;
    const struct component_domain *domain = shard->server->components;
    for (; domain; domain = domain->next) {
        const struct config_component *config = domain->config;
        if (!config || !may_push(config) || !domain->is_connected || !component_belongs(host, domain))
            continue;
        struct stanza *push = ARENA_NEW(arena, struct stanza);
        str payload = arena_printf(arena, "<query xmlns='" NS_ROSTER "'>%.*s</query>", STR_ARGS(event->item));
        char token[13];
        rand_token(token, sizeof token);
        *push = stanza_make(STANZA_IQ, TYPE_SET, arena_printf(arena, "push-%s", token), payload, arena);
        struct jid own = user_jid(event->user);
        push->from = jid_copy(&own, arena);
        push->to = domain_jid(domain->name);
        route_to(shard, push, &push->to, DELIVER_BROADCAST); /* whether it hears that is not asked */
    }
    return HOOK_NEXT;
}

/* ---- What a component sends to a user's account
 * -------------------------------------------------------------------- */

bool privilege_allows(const struct config_component *config, enum stanza_type type, str ns)
{
    str wanted = str_from(stanza_type_name(type));
    for (size_t i = 0; i < config->privilege_iq.count; i++) {
        str text = str_from(config->privilege_iq.items[i]);
        size_t equals = str_find_last(text, '=');
        str allowed = str_sub(text, equals + 1, text.len);
        if (str_eq(str_sub(text, 0, equals), ns) && (str_is(allowed, "both") || str_eq(allowed, wanted)))
            return true;
    }
    return false;
}

static enum hook_ret request_to_user(struct host *host, struct stanza_event *event)
{
    const struct stanza *iq = event->stanza;
    const struct component_domain *sender = component_sender(host, iq);
    const struct config_component *config = sender ? sender->config : NULL;
    struct xml_node child;
    if (!config || !xml_first(&iq->node, &child))
        return HOOK_NEXT;
    if (xml_is(&child, STR("privileged_iq"), STR(NS_PRIVILEGE))) {
        privilege_ask(event, config, &child);
        return HOOK_DONE;
    }
    enum config_access wanted = iq->type == TYPE_GET ? ACCESS_GET : ACCESS_SET;
    if (!xml_is(&child, STR("query"), STR(NS_ROSTER)) || !(config->privilege_roster & wanted))
        return HOOK_NEXT; /* `forbidden`, as for any other */
    roster_iq(event->user, NULL, iq, &child);
    return HOOK_DONE;
}

static enum hook_ret stanza_to_user(struct host *host, struct stanza_event *event)
{
    const struct stanza *stanza = event->stanza;
    if (stanza->kind != STANZA_IQ || !jid_is_bare(&event->to))
        return HOOK_NEXT;
    if (stanza->type == TYPE_GET || stanza->type == TYPE_SET)
        return request_to_user(host, event);
    return privilege_answer(event) ? HOOK_DONE : HOOK_NEXT;
}

/* ---- Messages (§5)
 * ------------------------------------------------------------------------------------------------ */

/* §5.1: in the name of the host, or of the bare JID of one of its users. */
static bool may_speak_as(const struct host *host, const struct jid *from)
{
    return !jid_is_none(from) && jid_is_bare(from) && str_eq(jid_domain(from), str_from(host->name));
}

static enum hook_ret message_to_host(struct host *host, struct stanza_event *event)
{
    const struct stanza *outer = event->stanza;
    struct arena *arena = &event->shard->arena;
    const struct component_domain *sender = component_sender(host, outer);
    const struct config_component *config = sender ? sender->config : NULL;
    struct xml_node privilege, forwarded, inner;
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    if (!config || !xml_child(&outer->node, STR("privilege"), STR(NS_PRIVILEGE), &privilege))
        return HOOK_NEXT;
    bool good = config->privilege_message && outer->type != TYPE_ERROR &&
                xml_child(&privilege, STR("forwarded"), STR(NS_FORWARD), &forwarded) &&
                xml_child(&forwarded, STR("message"), STR(NS_CLIENT), &inner) &&
                inner_read(&inner, arena, message) == STANZA_OK && !jid_is_none(&message->to) &&
                may_speak_as(host, &message->from);
    if (good)
        route(event->shard, message);
    else
        route_error(event->shard, outer, STANZA_ERROR_FORBIDDEN, NULL);
    return HOOK_DONE;
}

static const struct ext_hook hooks[] = {
    HOOK(component_connected, PHASE_OBSERVE, component_connected),
    HOOK(session_presence, PHASE_OBSERVE, presence_changed),
    HOOK(roster_changed, PHASE_OBSERVE, roster_changed),
    HOOK(stanza_to_user, PHASE_GUARD, stanza_to_user),
    HOOK(message_to_host, PHASE_GUARD, message_to_host),
    { 0 },
};

struct ext_slot privilege_slot;
extern const struct ext ext_privilege;
const struct ext ext_privilege = {
    .slot = &privilege_slot,
    .name = "privilege",
    .title = "Privileged Entity",
    .xep = { 356, "0.4.1" },
    .hooks = hooks,
    .user_size = sizeof(struct privilege_user),
    .user_reset = privilege_forget,
};
