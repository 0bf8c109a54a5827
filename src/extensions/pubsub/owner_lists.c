/* SPDX-License-Identifier: MIT */
/* The lists that an owner keeps of a node: who has subscribed (XEP-0060 §8.8) and who is what (§8.9). A
 * request changes several entries; those that are wrong come back in the error as they are, the others are
 * changed all the same (§8.8.2.4, §8.9.2.4). */
#include "extensions/pubsub/pubsub.h"

#include "xml/write.h"

enum { XML_MAX = 1 << 20 };

static void begin(struct buf *xml, const char *element, str node)
{
    buf_init(xml, XML_MAX);
    buf_addf(xml, "<pubsub xmlns='" NS_PUBSUB_OWNER "'><%s", element);
    xml_write_attr(xml, "node", node);
    buf_add_char(xml, '>');
}

static void write_entry(struct buf *xml, const char *element, const char *attribute, str jid,
                        const char *value)
{
    buf_addf(xml, "<%s", element);
    xml_write_attr(xml, "jid", jid);
    buf_addf(xml, " %s='%s'/>", attribute, value);
}

/* ---- What there is
 * ---------------------------------------------------------------------------------------------------- */

void owner_get_subscriptions(struct pubsub_request *request)
{
    const struct node *node = request->node;
    struct buf xml;
    if (!owner_allowed(request))
        return;
    begin(&xml, "subscriptions", request->name);
    for (uint32_t i = 0; i < node->subscribers.count; i++) {
        const struct subscriber *subscriber = node->subscribers.at[i];
        if (subscriber->state == SUBSCRIPTION_SUBSCRIBED && subscriber_is_live(request->of, subscriber))
            write_entry(&xml, "subscription", "subscription", subscriber_jid(subscriber), "subscribed");
    }
    buf_lit(&xml, "</subscriptions></pubsub>");
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

void owner_get_affiliations(struct pubsub_request *request)
{
    const struct node *node = request->node;
    struct buf xml;
    if (!owner_allowed(request))
        return;
    begin(&xml, "affiliations", request->name);
    if (request->of->user)
        write_entry(&xml, "affiliation", "affiliation", actor_bare(request->of->actor), "owner");
    for (uint32_t i = 0; i < node->affiliates.count; i++) {
        const struct affiliate *affiliate = node->affiliates.at[i];
        write_entry(&xml, "affiliation", "affiliation", str_of(affiliate->jid, affiliate->jid_len),
                    affiliation_name((enum affiliation)affiliate->affiliation));
    }
    buf_lit(&xml, "</affiliations></pubsub>");
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

/* ---- What is to be
 * ---------------------------------------------------------------------------------------------------- */

/* Changes what one child of the list says; false, and its state as it is in `refused`, if it cannot be. */
typedef bool change_fn(struct pubsub_request *request, const struct xml_node *entry, struct buf *refused);

static bool set_subscription(struct pubsub_request *request, const struct xml_node *entry,
                             struct buf *refused)
{
    struct pubsub *of = request->of;
    struct arena *arena = &of->shard->arena;
    struct node *node = request->node;
    struct jid jid;
    str text = xml_attr(entry, STR("jid"), arena), state = xml_attr(entry, STR("subscription"), arena);
    bool wants = str_is(state, "subscribed");
    bool known = jid_parse(text, arena, &jid) == OK;
    const struct subscriber *old = known ? node_find_subscriber(node, jid.full) : NULL;
    bool has_room = old || node->subscribers.count < of->limits->subscriptions;
    if (known && !state.p)
        return true; /* §8.8.2.1: not to be changed */
    if (!known || (!wants && !str_is(state, "none")) || (wants && !has_room)) {
        write_entry(refused, "subscription", "subscription", known ? jid.full : text,
                    old ? subscription_name((enum subscription_state)old->state) : "none");
        return false;
    }
    bool is = old && old->state == SUBSCRIPTION_SUBSCRIBED;
    if (wants ? !is : old != NULL)
        subscribe_change(of, node, jid.full, wants, request->event->iq);
    return true;
}

/* A node keeps an owner (§8.9.2.4), and an account its own. */
static bool may_change(const struct pubsub *of, const struct node *node, const struct jid *jid,
                       enum affiliation wanted)
{
    bool is_owner = access_is_owner(of, node, jid);
    if (is_owner && wanted != AFFILIATION_OWNER)
        return of->user ? !str_eq(jid->full, actor_bare(of->actor)) : node_count_owners(node) > 1;
    return node_affiliation(node, jid->full) != AFFILIATION_NONE || wanted == AFFILIATION_NONE ||
           node->affiliates.count < of->limits->affiliations;
}

static bool set_affiliation(struct pubsub_request *request, const struct xml_node *entry, struct buf *refused)
{
    struct pubsub *of = request->of;
    struct arena *arena = &of->shard->arena;
    struct node *node = request->node;
    enum affiliation wanted;
    struct jid jid;
    str text = xml_attr(entry, STR("jid"), arena), name = xml_attr(entry, STR("affiliation"), arena);
    bool known = jid_parse(text, arena, &jid) == OK && jid_is_bare(&jid);
    if (known && !name.p)
        return true; /* §8.9.2.1 */
    if (!known || !affiliation_named(name, &wanted) || !may_change(of, node, &jid, wanted)) {
        write_entry(refused, "affiliation", "affiliation", known ? jid.full : text,
                    known ? affiliation_name(access_affiliation(of, node, &jid)) : "none");
        return false;
    }
    if (of->user && str_eq(jid.full, actor_bare(of->actor)))
        return true;
    node_set_affiliation(node, jid.full, wanted);
    node_store_affiliation(actor_write(of->actor, request->event->iq), actor_bare(of->actor), node, jid.full,
                           arena);
    subscribe_affiliated(of, node, jid.full, request->event->iq);
    return true;
}

static void set_list(struct pubsub_request *request, const char *list, const char *element, change_fn *change)
{
    struct xml_node entry;
    struct buf refused;
    bool good = true;
    if (!owner_allowed(request))
        return;
    begin(&refused, list, request->name);
    if (xml_first(&request->action, &entry)) {
        do {
            if (xml_is(&entry, str_from(element), STR(NS_PUBSUB_OWNER)))
                good = change(request, &entry, &refused) && good;
        } while (xml_next(&entry));
    }
    buf_addf(&refused, "</%s></pubsub>", list);
    if (good)
        route_result(request->of->shard, request->event->iq, str_of("", 0));
    else
        fault_answer(request->event, &fault_not_acceptable, buf_str(&refused), NULL);
    buf_fini(&refused);
}

void owner_set_subscriptions(struct pubsub_request *request)
{
    set_list(request, "subscriptions", "subscription", set_subscription);
}

void owner_set_affiliations(struct pubsub_request *request)
{
    set_list(request, "affiliations", "affiliation", set_affiliation);
}
