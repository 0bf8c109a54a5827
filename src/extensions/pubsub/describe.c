/* SPDX-License-Identifier: MIT */
/* What there is to know of nodes (XEP-0060 §5): their lists and meta-data by service discovery, and what
 * somebody has at them. A node that who asks may neither subscribe to nor retrieve from is not there for
 * him (XEP-0163 §6.2). */
#include "extensions/pubsub/pubsub.h"

#include "xml/write.h"
#include "xmpp/stamp.h"

enum { ANSWER_MAX = 1 << 20 };

const char *const pubsub_features[] = { PUBSUB_FEATURES, NULL };

static bool is_visible(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    bool pending;
    return !access_retrieve(of, node, who) || !access_subscribe(of, node, who, &pending);
}

/* ---- Meta-data (§5.4)
 * --------------------------------------------------------------------------------------------- */

static void add_text(struct buf *xml, const char *name, str value)
{
    if (value.len)
        form_add(xml, name, FIELD_TEXT_SINGLE, NULL, value);
}

static void add_affiliated(struct buf *xml, const struct node *node, const char *name, enum affiliation which,
                           str also)
{
    form_field_open(xml, name, FIELD_JID_MULTI, true, NULL);
    if (also.len)
        form_value(xml, also);
    for (uint32_t i = 0; i < node->affiliates.count; i++) {
        const struct affiliate *affiliate = node->affiliates.at[i];
        if (affiliate->affiliation == which)
            form_value(xml, str_of(affiliate->jid, affiliate->jid_len));
    }
    form_field_close(xml);
}

static uint32_t count_subscribed(const struct node *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->subscribers.count; i++) {
        const struct subscriber *subscriber = node->subscribers.at[i];
        count += subscriber->state == SUBSCRIPTION_SUBSCRIBED;
    }
    return count;
}

static void write_meta_data(const struct pubsub *of, const struct node *node, struct buf *xml)
{
    struct arena *arena = &of->shard->arena;
    struct options options;
    str owner = of->user ? actor_bare(of->actor) : str_none;
    options_of(&node->settings, arena, &options);
    form_open(xml, FORM_RESULT);
    form_ns(xml, NS_META_DATA);
    add_text(xml, "pubsub#type", options.type);
    form_add(xml, "pubsub#creator", FIELD_JID_SINGLE, NULL,
             node->creator ? str_from(node->creator) : actor_bare(of->actor));
    add_text(xml, "pubsub#creation_date", str_from(stamp_seconds(node->created_ms, arena)));
    add_text(xml, "pubsub#title", options.title);
    add_text(xml, "pubsub#description", options.description);
    add_text(xml, "pubsub#language", options.language);
    form_add(xml, "pubsub#access_model", FIELD_LIST_SINGLE, NULL, str_from(access_name(options.access)));
    form_add(xml, "pubsub#publish_model", FIELD_LIST_SINGLE, NULL,
             str_from(publish_model_name(options.publish_model)));
    add_text(xml, "pubsub#max_items",
             options.max_items == UINT64_MAX
                 ? STR("max")
                 : arena_printf(arena, "%llu", (unsigned long long)options.max_items));
    add_affiliated(xml, node, "pubsub#owner", AFFILIATION_OWNER, owner);
    add_affiliated(xml, node, "pubsub#publisher", AFFILIATION_PUBLISHER, str_none);
    add_text(xml, "pubsub#num_subscribers", arena_printf(arena, "%u", count_subscribed(node)));
    form_close(xml);
}

bool describe_info(struct pubsub *of, str name, const struct jid *who, struct buf *xml)
{
    const struct node *node = nodes_find(of->nodes, name);
    if (!node || !is_visible(of, node, who))
        return false;
    buf_lit(xml, "<identity category='pubsub' type='leaf'/><feature var='" NS_PUBSUB "'/>");
    write_meta_data(of, node, xml);
    return true;
}

/* ---- Lists (§5.2, §5.5)
 * -------------------------------------------------------------------------------------------- */

static void write_nodes(struct pubsub *of, const struct jid *who, struct buf *xml)
{
    struct options options;
    for (uint32_t i = 0; i < of->nodes->count; i++) {
        const struct node *node = of->nodes->list[i];
        if (!is_visible(of, node, who))
            continue;
        options_of(&node->settings, &of->shard->arena, &options);
        buf_lit(xml, "<item");
        xml_write_attr(xml, "jid", actor_bare(of->actor));
        xml_write_attr(xml, "node", node_name(node));
        if (options.title.len)
            xml_write_attr(xml, "name", options.title);
        buf_lit(xml, "/>");
    }
}

static void write_items(const struct pubsub *of, const struct node *node, struct buf *xml)
{
    for (uint32_t i = 0; i < node->items.count; i++) {
        if (!item_is_live(of, node, node_item(node, i)))
            continue;
        buf_lit(xml, "<item");
        xml_write_attr(xml, "jid", actor_bare(of->actor));
        xml_write_attr(xml, "name", item_id(node_item(node, i)));
        buf_lit(xml, "/>");
    }
}

bool describe_items(struct pubsub *of, str name, const struct jid *who, struct buf *xml)
{
    const struct node *node = nodes_find(of->nodes, name);
    if (!name.len)
        write_nodes(of, who, xml);
    if (!name.len || !node || !is_visible(of, node, who))
        return !name.len;
    if (!access_retrieve(of, node, who))
        write_items(of, node, xml);
    return true;
}

/* ---- One's own (§5.6, §5.7)
 * ----------------------------------------------------------------------------------------- */

static bool is_of(str jid, str bare)
{
    return str_starts(jid, bare) && (jid.len == bare.len || jid.p[bare.len] == '/');
}

static void write_subscriptions(const struct pubsub *of, const struct node *node, str bare, struct buf *xml)
{
    for (uint32_t i = 0; i < node->subscribers.count; i++) {
        const struct subscriber *subscriber = node->subscribers.at[i];
        if (!is_of(subscriber_jid(subscriber), bare) || !subscriber_is_live(of, subscriber))
            continue;
        buf_lit(xml, "<subscription");
        xml_write_attr(xml, "node", node_name(node));
        xml_write_attr(xml, "jid", subscriber_jid(subscriber));
        buf_addf(xml, " subscription='%s'/>", subscription_name((enum subscription_state)subscriber->state));
    }
}

static void write_affiliation(const struct pubsub *of, const struct node *node, const struct jid *who,
                              struct buf *xml)
{
    enum affiliation affiliation = access_affiliation(of, node, who);
    if (affiliation == AFFILIATION_NONE)
        return;
    buf_lit(xml, "<affiliation");
    xml_write_attr(xml, "node", node_name(node));
    buf_addf(xml, " affiliation='%s'/>", affiliation_name(affiliation));
}

/* Those of the node that was named, else of all. */
static void describe_own(struct pubsub_request *request, const char *name, bool subscriptions)
{
    struct pubsub *of = request->of;
    struct buf xml;
    if (request->name.p && !request->node) {
        fault_answer(request->event, &fault_item_not_found, str_none, NULL);
        return;
    }
    buf_init(&xml, ANSWER_MAX);
    buf_addf(&xml, "<pubsub xmlns='" NS_PUBSUB "'><%s", name);
    xml_write_attr(&xml, "node", request->name);
    buf_add_char(&xml, '>');
    for (uint32_t i = 0; i < of->nodes->count; i++) {
        const struct node *node = of->nodes->list[i];
        if (request->node && node != request->node)
            continue;
        if (subscriptions)
            write_subscriptions(of, node, jid_bare(&request->from), &xml);
        else
            write_affiliation(of, node, &request->from, &xml);
    }
    buf_addf(&xml, "</%s></pubsub>", name);
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

void describe_subscriptions(struct pubsub_request *request)
{
    describe_own(request, "subscriptions", true);
}

void describe_affiliations(struct pubsub_request *request)
{
    describe_own(request, "affiliations", false);
}
