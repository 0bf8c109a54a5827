/* SPDX-License-Identifier: MIT */
/* What owners do with nodes (XEP-0060 §8.1-§8.5): make, configure, purge and delete them. */
#include "extensions/pubsub/pubsub.h"

#include "base/rand.h"
#include "xml/write.h"

enum { XML_MAX = 256 * 1024 };

bool owner_allowed(struct pubsub_request *request)
{
    bool allowed = access_is_owner(request->of, request->node, &request->from);
    if (!allowed)
        fault_answer(request->event, &fault_forbidden, str_none, NULL);
    return allowed;
}

static void answer_empty(struct pubsub_request *request)
{
    route_result(request->of->shard, request->event->iq, str_of("", 0));
}

/* ---- Making (§8.1)
 * ------------------------------------------------------------------------------------------------------ */

/* The <configure/> behind a <create/> (§8.1.3). */
static const struct fault *read_configure(struct pubsub_request *request, struct options *options,
                                          const char **ret_why)
{
    struct arena *arena = &request->of->shard->arena;
    struct xml_node next = request->action, x;
    struct form form;
    if (!xml_next(&next))
        return NULL;
    if (!xml_is(&next, STR("configure"), STR(NS_PUBSUB)) || xml_attr(&next, STR("node"), arena).p)
        return &fault_bad_request;
    if (!xml_first(&next, &x))
        return NULL;
    const struct fault *fault = pubsub_form(&next, arena, &form);
    return fault ? fault : options_apply(&form, request->of->user != NULL, options, ret_why);
}

static const struct fault *may_create(struct pubsub_request *request)
{
    const struct pubsub *of = request->of;
    struct jid owner = pubsub_jid(of);
    bool allowed = of->user ? jid_eq_bare(&request->from, &owner) : of->may_create(of, &request->from);
    if (!allowed)
        return &fault_forbidden;
    if (request->node)
        return &fault_conflict;
    if (request->name.len > PUBSUB_NAME_MAX)
        return &fault_not_acceptable;
    return of->nodes->count >= of->limits->nodes ? &fault_max_nodes : NULL;
}

static void answer_created(struct pubsub_request *request)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<pubsub xmlns='" NS_PUBSUB "'><create");
    xml_write_attr(&xml, "node", request->name);
    buf_lit(&xml, "/></pubsub>");
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

void owner_create(struct pubsub_request *request)
{
    struct pubsub *of = request->of;
    struct options options = pubsub_defaults(of, request->name);
    const char *why = NULL;
    bool instant = !request->name.len;
    char token[24];
    const struct fault *fault = may_create(request);
    if (!fault)
        fault = read_configure(request, &options, &why);
    if (fault) {
        fault_answer(request->event, fault, str_none, why);
        return;
    }
    rand_token(token, sizeof token);
    if (instant)
        request->name = arena_str(&of->shard->arena, str_from(token));
    publish_make_node(of, request->name, &options, &request->from, request->event->iq);
    if (instant)
        answer_created(request);
    else
        answer_empty(request);
}

/* ---- Configuring (§8.2, §8.3)
 * ---------------------------------------------------------------------------------------- */

static void answer_form(struct pubsub_request *request, const char *element, const struct options *options)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_addf(&xml, "<pubsub xmlns='" NS_PUBSUB_OWNER "'><%s", element);
    xml_write_attr(&xml, "node", request->name);
    buf_add_char(&xml, '>');
    options_write(&xml, FORM_ASKS, options);
    buf_addf(&xml, "</%s></pubsub>", element);
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

void owner_get_config(struct pubsub_request *request)
{
    struct options options;
    if (!owner_allowed(request))
        return;
    options_of(&request->node->settings, &request->of->shard->arena, &options);
    answer_form(request, "configure", &options);
}

void owner_get_default(struct pubsub_request *request)
{
    str type = xml_attr(&request->action, STR("type"), &request->of->shard->arena);
    if (type.p && !str_is(type, "leaf"))
        fault_answer(request->event, &fault_no_collections, str_none, NULL);
    else
        answer_form(request, "default", request->of->defaults);
}

static void tell_configured(struct pubsub *of, const struct node *node, const struct options *options)
{
    struct buf xml;
    if (!node->settings.notify_config)
        return;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<configuration");
    xml_write_attr(&xml, "node", node_name(node));
    buf_add_char(&xml, '>');
    if (node->settings.payloads)
        options_write(&xml, FORM_RESULT, options);
    buf_lit(&xml, "</configuration>");
    notify_all(of, node, arena_str(&of->shard->arena, buf_str(&xml)));
    buf_fini(&xml);
}

/* Items that have no place any more go; who has lost access goes. */
static void apply_config(struct pubsub_request *request, const struct options *options)
{
    struct pubsub *of = request->of;
    struct node *node = request->node;
    const struct stanza *iq = request->event->iq;
    struct store_batch *batch = actor_write(of->actor, iq);
    uint64_t most = options->persist ? options->max_items : 0;
    options_keep(options, &node->settings);
    node_store(batch, actor_bare(of->actor), node, &of->shard->arena);
    answer_empty(request);
    while (node->items.count > most)
        publish_remove(of, node, 0, false, iq);
    tell_configured(of, node, options);
    subscribe_review(of, node, iq);
}

void owner_set_config(struct pubsub_request *request)
{
    struct options options;
    struct form form;
    const char *why = NULL;
    if (!owner_allowed(request))
        return;
    options_of(&request->node->settings, &request->of->shard->arena, &options);
    const struct fault *fault = pubsub_form(&request->action, &request->of->shard->arena, &form);
    if (!fault && form.type == FORM_CANCEL) {
        answer_empty(request);
        return;
    }
    if (!fault)
        fault = options_apply(&form, request->of->user != NULL, &options, &why);
    if (fault)
        fault_answer(request->event, fault, str_none, why);
    else
        apply_config(request, &options);
}

/* ---- Purging (§8.5)
 * ----------------------------------------------------------------------------------------------------- */

void owner_purge(struct pubsub_request *request)
{
    struct pubsub *of = request->of;
    struct node *node = request->node;
    struct buf xml;
    if (!owner_allowed(request))
        return;
    if (!node->settings.persist) {
        fault_answer(request->event, &fault_no_persistence, str_none, NULL);
        return;
    }
    actor_write(of->actor, request->event->iq);
    answer_empty(request);
    while (node->items.count)
        publish_remove(of, node, node->items.count - 1, false, request->event->iq);
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<purge");
    xml_write_attr(&xml, "node", node_name(node));
    buf_lit(&xml, "/>");
    notify_all(of, node, arena_str(&of->shard->arena, buf_str(&xml)));
    buf_fini(&xml);
}

/* ---- Deleting (§8.4)
 * ---------------------------------------------------------------------------------------------------- */

static str redirection(struct pubsub_request *request)
{
    struct xml_node redirect;
    if (!xml_child(&request->action, STR("redirect"), STR(NS_PUBSUB_OWNER), &redirect))
        return str_none;
    return xml_attr(&redirect, STR("uri"), &request->of->shard->arena);
}

void owner_delete(struct pubsub_request *request)
{
    struct pubsub *of = request->of;
    struct arena *arena = &of->shard->arena;
    struct buf xml;
    if (!owner_allowed(request))
        return;
    str uri = redirection(request);
    struct store_batch *batch = actor_write(of->actor, request->event->iq);
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<delete");
    xml_write_attr(&xml, "node", request->name);
    buf_add_char(&xml, '>');
    if (uri.len) {
        buf_lit(&xml, "<redirect");
        xml_write_attr(&xml, "uri", uri);
        buf_lit(&xml, "/>");
    }
    buf_lit(&xml, "</delete>");
    answer_empty(request);
    notify_deleted(of, request->node, arena_str(arena, buf_str(&xml)));
    buf_fini(&xml);
    while (request->node->items.count)
        publish_remove(of, request->node, request->node->items.count - 1, false, request->event->iq);
    node_store_gone(batch, actor_bare(of->actor), request->node, arena);
    nodes_remove(of->nodes, request->node);
}
