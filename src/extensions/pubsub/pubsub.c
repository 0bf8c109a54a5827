/* SPDX-License-Identifier: MIT */
/* XEP-0060 1.30.0: from a request to its handler. What may be asked is one table; each row says whether the
 * action needs a node's name and a node. The handlers stand in one file for each chapter of the XEP:
 * describe.c (§5), subscribe.c (§6), retrieve.c (§6.5), publish.c (§7), owner.c and owner_lists.c (§8). */
#include "extensions/pubsub/pubsub.h"

#include "xml/write.h"

struct action {
    enum stanza_type type;
    bool owner; /* in the owner's namespace */
    const char *name;
    bool needs_name, needs_node;
    void (*handle)(struct pubsub_request *request);
};

static const struct action actions[] = {
    { TYPE_SET, false, "publish", true, false, publish_item },
    { TYPE_GET, false, "items", true, true, retrieve_items },
    { TYPE_SET, false, "retract", true, true, retract_item },
    { TYPE_SET, false, "create", false, false, owner_create },
    { TYPE_SET, false, "subscribe", true, true, subscribe },
    { TYPE_SET, false, "unsubscribe", true, true, unsubscribe },
    { TYPE_GET, false, "options", true, true, subscribe_get_options },
    { TYPE_SET, false, "options", true, true, subscribe_set_options },
    { TYPE_GET, false, "default", false, false, subscribe_get_default },
    { TYPE_GET, false, "subscriptions", false, false, describe_subscriptions },
    { TYPE_GET, false, "affiliations", false, false, describe_affiliations },
    { TYPE_GET, true, "configure", true, true, owner_get_config },
    { TYPE_SET, true, "configure", true, true, owner_set_config },
    { TYPE_GET, true, "default", false, false, owner_get_default },
    { TYPE_SET, true, "delete", true, true, owner_delete },
    { TYPE_SET, true, "purge", true, true, owner_purge },
    { TYPE_GET, true, "subscriptions", true, true, owner_get_subscriptions },
    { TYPE_SET, true, "subscriptions", true, true, owner_set_subscriptions },
    { TYPE_GET, true, "affiliations", true, true, owner_get_affiliations },
    { TYPE_SET, true, "affiliations", true, true, owner_set_affiliations },
};

static const struct action *find(const struct iq_event *event, const struct xml_node *child)
{
    bool owner = xml_is(&event->child, STR("pubsub"), STR(NS_PUBSUB_OWNER));
    for (size_t i = 0; i < COUNT_OF(actions); i++)
        if (actions[i].type == event->iq->type && actions[i].owner == owner &&
            xml_is(child, str_from(actions[i].name), owner ? STR(NS_PUBSUB_OWNER) : STR(NS_PUBSUB)))
            return &actions[i];
    return NULL;
}

void pubsub_handle(struct pubsub *of, struct iq_event *event)
{
    struct pubsub_request request = { .of = of, .event = event, .from = event->iq->from };
    if (!xml_first(&event->child, &request.action)) {
        fault_answer(event, &fault_bad_request, str_none, NULL);
        return;
    }
    const struct action *action = find(event, &request.action);
    if (!action) {
        fault_answer(event, &fault_unknown_action, str_none, NULL);
        return;
    }
    request.name = xml_attr(&request.action, STR("node"), &of->shard->arena);
    if (!request.name.len)
        request.name = str_none;
    else
        request.node = nodes_find(of->nodes, request.name);
    if (action->needs_name && !request.name.len)
        fault_answer(event, &fault_nodeid_required, str_none, NULL);
    else if (action->needs_node && !request.node)
        fault_answer(event, &fault_item_not_found, str_none, NULL);
    else
        action->handle(&request);
}

struct jid pubsub_jid(const struct pubsub *of)
{
    struct jid jid = actor_jid(of->actor);
    return jid_copy(&jid, &of->shard->arena);
}

int64_t pubsub_now_ms(const struct pubsub *of)
{
    return loop_wall_ms(of->shard->loop);
}

bool pubsub_of(struct iq_event *event, struct pubsub *ret)
{
    if (!event->user)
        return service_of(event, ret);
    *ret = pep_of(event->user);
    return true;
}

const struct fault *pubsub_form(const struct xml_node *element, struct arena *arena, struct form *ret)
{
    return form_read_child(element, arena, ret) == OK ? NULL : &fault_bad_request;
}

/* ---- Payloads
 * ----------------------------------------------------------------------------------------------------- */

static bool declares(str attrs, str prefix)
{
    struct xml_node tag = { .attrs = attrs };
    struct xml_attr attr;
    size_t at = 0;
    while (xml_attr_next(&tag, &at, &attr)) {
        bool is_default = !attr.prefix.len && str_is(attr.name, "xmlns");
        if (prefix.len ? str_is(attr.prefix, "xmlns") && str_eq(attr.name, prefix) : is_default)
            return true;
    }
    return false;
}

static bool uses(str bytes, str prefix)
{
    for (size_t i = 0; i + prefix.len < bytes.len; i++)
        if (bytes.p[i + prefix.len] == ':' && !memcmp(bytes.p + i, prefix.p, prefix.len))
            return true;
    return false;
}

/* The declarations of one tag around the payload, as far as it uses them and nothing within has them. */
static void write_outer(struct buf *xml, str outer, const struct xml_node *payload)
{
    struct xml_node tag = { .attrs = outer };
    struct xml_attr attr;
    size_t at = 0;
    while (xml_attr_next(&tag, &at, &attr)) {
        if (!str_is(attr.prefix, "xmlns") || declares(payload->attrs, attr.name) ||
            declares(buf_str(xml), attr.name) || !uses(payload->bytes, attr.name))
            continue;
        buf_add_char(xml, ' ');
        buf_add(xml, attr.bytes);
    }
}

void pubsub_write_payload(struct buf *xml, const struct xml_node *payload, struct arena *arena)
{
    struct buf more;
    const struct xml_node *outer = payload->parent, *first = payload;
    buf_init(&more, 64 * 1024);
    if (!declares(payload->attrs, STR("")))
        xml_write_attr(&more, "xmlns", xml_decode_attr(xml_ns_of(payload, STR("")), arena));
    for (; outer; first = outer, outer = outer->parent)
        write_outer(&more, outer->attrs, payload);
    write_outer(&more, first->inherited, payload);
    size_t name = 1 + (payload->prefix.len ? payload->prefix.len + 1 : 0) + payload->name.len;
    buf_add(xml, str_sub(payload->bytes, 0, name));
    buf_add(xml, buf_str(&more));
    buf_add(xml, str_sub(payload->bytes, name, payload->bytes.len));
    buf_fini(&more);
}
