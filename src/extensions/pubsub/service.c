/* SPDX-License-Identifier: MIT */
/* XEP-0060 at a domain of its own, pubsub.HOST by default: nodes that belong to nobody's account. The domain
 * is an actor like an account; its rows are kept under its name.
 *
 * It has no presence and no roster, so the access models presence and roster are not to be had here. Who may
 * make nodes is a setting. */
#include "extensions/pubsub/pubsub.h"

#include "xml/write.h"
#include "xmpp/caps.h"

#include <stdlib.h>

extern const struct ext ext_pubsub;
static struct ext_slot slot;

enum may_create { CREATE_LOCAL, CREATE_ANYONE };

struct service_settings {
    struct pubsub_limits limits;
    const char *domain;
    unsigned create;
};

struct service {
    struct actor actor;
    struct nodes nodes;
};

#define SERVICE_OF(base) CONTAINER_OF(base, struct service, actor)

static const struct options defaults = {
    .access = ACCESS_OPEN,
    .publish_model = PUBLISH_PUBLISHERS,
    .send_last = SEND_LAST_ON_SUB,
    .when_full = FULL_RETRACT_OLDEST,
    .item_reply = REPLY_NONE,
    .notification = NOTIFICATION_HEADLINE,
    .persist = true,
    .notify = true,
    .payloads = true,
    .subscribe = true,
    .notify_delete = true,
    .notify_retract = true,
    .max_items = UINT64_MAX,
    .max_payload = UINT64_MAX,
    .item_expire = UINT64_MAX,
};

static bool may_create(const struct pubsub *of, const struct jid *who)
{
    const struct service_settings *settings = ext_settings(of->host, &slot);
    const struct host *parent = of->host->parent;
    return settings->create == CREATE_ANYONE ||
           (who->local_len && str_eq(jid_domain(who), str_from(parent->name)));
}

static struct pubsub of_service(struct actor *actor)
{
    const struct service_settings *settings = ext_settings(actor->host, &slot);
    return (struct pubsub){
        .shard = actor->shard,
        .host = actor->host,
        .actor = actor,
        .nodes = &SERVICE_OF(actor)->nodes,
        .limits = &settings->limits,
        .defaults = &defaults,
        .may_create = may_create,
    };
}

bool service_of(struct iq_event *event, struct pubsub *ret)
{
    *ret = of_service(event->actor);
    return true;
}

/* ---- Requests
 * -------------------------------------------------------------------------------------------------------- */

static void disco(struct pubsub *of, struct iq_event *event, bool info)
{
    str node = xml_attr(&event->child, STR("node"), &of->shard->arena);
    struct buf xml;
    bool known = true;
    buf_init(&xml, 4 << 20);
    buf_addf(&xml, "<query xmlns='%s'", info ? NS_DISCO_INFO : NS_DISCO_ITEMS);
    xml_write_attr(&xml, "node", node);
    buf_add_char(&xml, '>');
    if (!info) {
        known = describe_items(of, node.p ? node : STR(""), &event->iq->from, &xml);
    } else if (node.len) {
        known = describe_info(of, node, &event->iq->from, &xml);
    } else {
        buf_lit(&xml, "<identity category='pubsub' type='service'/><feature var='" NS_DISCO_INFO
                      "'/><feature var='" NS_DISCO_ITEMS "'/><feature var='" NS_PUBSUB "#access-open'/>");
        for (const char *const *feature = pubsub_features; *feature; feature++)
            buf_addf(&xml, "<feature var='%s'/>", *feature);
    }
    buf_lit(&xml, "</query>");
    if (known)
        ext_result(event, &xml);
    else
        fault_answer(event, &fault_item_not_found, str_none, NULL);
    buf_fini(&xml);
}

static void answer_iq(struct actor *actor, const struct stanza *iq)
{
    struct pubsub of = of_service(actor);
    struct iq_event event = { .shard = actor->shard, .host = actor->host, .actor = actor, .iq = iq };
    if (iq->type != TYPE_GET && iq->type != TYPE_SET)
        return;
    if (!xml_first(&iq->node, &event.child)) {
        ext_error(&event, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    if (xml_is(&event.child, STR("pubsub"), STR(NS_PUBSUB)) ||
        xml_is(&event.child, STR("pubsub"), STR(NS_PUBSUB_OWNER)))
        pubsub_handle(&of, &event);
    else if (iq->type == TYPE_GET && xml_is(&event.child, STR("query"), STR(NS_DISCO_INFO)))
        disco(&of, &event, true);
    else if (iq->type == TYPE_GET && xml_is(&event.child, STR("query"), STR(NS_DISCO_ITEMS)))
        disco(&of, &event, false);
    else
        ext_error(&event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

static void receive(struct actor *actor, const struct delivery *delivery)
{
    struct pubsub of = of_service(actor);
    const struct stanza *stanza = delivery->stanza;
    if (stanza->kind == STANZA_IQ)
        answer_iq(actor, stanza);
    else if (stanza->kind == STANZA_MESSAGE && !subscribe_decide(&of, stanza) &&
             stanza->type != TYPE_HEADLINE)
        route_error(actor->shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

/* ---- As an actor
 * ------------------------------------------------------------------------------------------------------ */

static const char *rows(const struct actor *actor)
{
    (void)actor;
    return PUBSUB_ROWS;
}

static void load_row(struct actor *actor, const struct store_row *row)
{
    nodes_load_row(&SERVICE_OF(actor)->nodes, row, &actor->shard->arena);
}

static void loaded(struct actor *actor, bool ok)
{
    actor->exists = ok;
}

static void refuse(struct actor *actor, const struct delivery *delivery)
{
    if (delivery->stanza->kind != STANZA_PRESENCE)
        route_error(actor->shard, delivery->stanza, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
}

static void forget(struct actor *actor)
{
    nodes_fini(&SERVICE_OF(actor)->nodes);
}

static bool may_sleep(const struct actor *actor)
{
    (void)actor;
    return true;
}

static void service_free(struct actor *actor)
{
    free(SERVICE_OF(actor));
}

static const struct actor_kind kind = {
    .rows = rows,
    .load_row = load_row,
    .loaded = loaded,
    .receive = receive,
    .refuse = refuse,
    .forget = forget,
    .may_sleep = may_sleep,
    .free = service_free,
};

static void deliver(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    if (delivery->how != DELIVER_ROUTE)
        return;
    if (delivery->to.local_len) {
        if (delivery->stanza->kind != STANZA_PRESENCE)
            route_error(shard, delivery->stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    struct jid bare = jid_to_bare(&delivery->to);
    struct actor *actor = actor_awake(shard, bare.full);
    if (!actor) {
        actor = &NEW(struct service)->actor;
        actor_start(actor, &kind, shard, host, &bare, true);
    }
    actor_deliver(actor, delivery);
}

/* ---- As an extension
 * ------------------------------------------------------------------------------------------------ */

static const char *domain(const void *settings)
{
    return ((const struct service_settings *)settings)->domain;
}

static const struct ext_service service = { .prefix = "pubsub", .domain = domain, .deliver = deliver };

#define SETTING(member) CONFIG_FIELD(struct service_settings, member)

static const struct config_key keys[] = {
    { .name = "domain",
      .type = CONFIG_STRING,
      .effect = ON_RESTART,
      SETTING(domain),
      .default_text = "",
      .help = "The service's domain; empty: pubsub. and the host's name." },
    { .name = "create",
      .type = CONFIG_CHOICE,
      SETTING(create),
      .default_text = "local",
      .choices = "local anyone",
      .help = "Who may make nodes: accounts of the host, or anyone." },
    { .name = "nodes",
      .type = CONFIG_INT,
      SETTING(limits.nodes),
      .default_text = "1000",
      .max = 1000000,
      .unit = "nodes",
      .help = "How many nodes there may be." },
    { .name = "items",
      .type = CONFIG_INT,
      SETTING(limits.items),
      .default_text = "1000",
      .min = 1,
      .max = 1000000,
      .unit = "items",
      .help = "How many items a node may keep, whatever its owner asks for." },
    { .name = "item-size",
      .type = CONFIG_SIZE,
      SETTING(limits.item_bytes),
      .default_text = "128K",
      .min = 1024,
      .max = 16 << 20,
      .help = "The largest item." },
    { .name = "subscriptions",
      .type = CONFIG_INT,
      SETTING(limits.subscriptions),
      .default_text = "10000",
      .max = 1000000,
      .unit = "subscriptions",
      .help = "How many subscriptions a node may have." },
    { .name = "affiliations",
      .type = CONFIG_INT,
      SETTING(limits.affiliations),
      .default_text = "1000",
      .max = 1000000,
      .unit = "addresses",
      .help = "How many members, publishers, owners and outcasts a node may have." },
    { .name = "result-size",
      .type = CONFIG_SIZE,
      SETTING(limits.result_bytes),
      .default_text = "512K",
      .min = 10000,
      .max = 64 << 20,
      .help = "When an answer with items is cut; the rest can be had as further pages (XEP-0059)." },
    { 0 },
};

static const struct config_extension config = {
    .name = "pubsub",
    .help = "Nodes at a domain of their own (XEP-0060).",
    .size = sizeof(struct service_settings),
    .keys = keys,
};

const struct ext ext_pubsub = {
    .slot = &slot,
    .name = "pubsub",
    .title = "Publish-Subscribe",
    .xep = { 60, "1.30.0" },
    .service = &service,
    .config = &config,
};
