/* SPDX-License-Identifier: MIT */
/* Who may do what with a node: affiliations (XEP-0060 §4.1) and access models (§4.5). Every way to an item
 * asks here: subscribing, retrieving, browsing, and who is told of events.
 *
 * The owner of an account owns all its nodes, and that is not stored. A member is let in by every access
 * model. Whoever an owner has made a publisher may read, too; publish-only may not. For the whitelist §4.5
 * and §6.5.1 differ on whether a member must have subscribed to retrieve: we follow §4.5, by which it need
 * not. */
#include "extensions/pubsub/pubsub.h"

enum affiliation access_affiliation(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    str bare = jid_bare(who);
    if (of->user && str_eq(bare, actor_bare(of->actor)))
        return AFFILIATION_OWNER;
    return node_affiliation(node, bare);
}

bool access_is_owner(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    return access_affiliation(of, node, who) == AFFILIATION_OWNER;
}

bool subscriber_is_live(const struct pubsub *of, const struct subscriber *subscriber)
{
    return subscriber->expire_ms == INT64_MIN || subscriber->expire_ms > pubsub_now_ms(of);
}

static bool has_subscription(const struct pubsub *of, const struct node *node, const struct jid *who,
                             enum subscription_state state)
{
    str bare = jid_bare(who);
    for (uint32_t i = 0; i < node->subscribers.count; i++) {
        const struct subscriber *subscriber = node->subscribers.at[i];
        str jid = subscriber_jid(subscriber);
        if (subscriber->state == state && str_starts(jid, bare) &&
            (jid.len == bare.len || jid.p[bare.len] == '/') && subscriber_is_live(of, subscriber))
            return true;
    }
    return false;
}

bool access_is_subscribed(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    return has_subscription(of, node, who, SUBSCRIPTION_SUBSCRIBED);
}

static bool sees_presence(const struct pubsub *of, const struct jid *who)
{
    const struct roster_item *item = of->user ? roster_find(&of->user->roster, jid_bare(who)) : NULL;
    return item && (item->flags & ROSTER_FROM);
}

/* The groups of a roster item stand ready to be sent: <group>name</group>... */
static bool in_group(const struct roster_item *item, const struct form_texts *allowed, struct arena *arena)
{
    struct xml_node list, group;
    str groups = str_of(item->text + item->jid_len + item->name_len, item->groups_len);
    str xml = arena_printf(arena, "<groups>%.*s</groups>", STR_ARGS(groups));
    if (!xml_parse(xml, str_none, &list) || !xml_first(&list, &group))
        return false;
    do {
        str name = xml_text(&group, arena);
        for (size_t i = 0; i < allowed->count; i++)
            if (str_eq(allowed->list[i], name))
                return true;
    } while (xml_next(&group));
    return false;
}

static bool in_allowed_group(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    struct arena *arena = &of->shard->arena;
    struct options options;
    if (!sees_presence(of, who))
        return false;
    options_of(&node->settings, arena, &options);
    return in_group(roster_find(&of->user->roster, jid_bare(who)), &options.groups, arena);
}

/* By the access model alone; NULL: yes. */
static const struct fault *by_model(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    switch ((enum access)node->settings.access) {
    case ACCESS_OPEN:
    case ACCESS_AUTHORIZE:
        return NULL;
    case ACCESS_PRESENCE:
        return sees_presence(of, who) ? NULL : &fault_presence_required;
    case ACCESS_ROSTER:
        return in_allowed_group(of, node, who) ? NULL : &fault_not_in_group;
    case ACCESS_WHITELIST:
        return &fault_closed_node;
    }
    return &fault_forbidden;
}

const struct fault *access_subscribe(const struct pubsub *of, const struct node *node, const struct jid *who,
                                     bool *ret_pending)
{
    enum affiliation affiliation = access_affiliation(of, node, who);
    *ret_pending = false;
    if (affiliation == AFFILIATION_OUTCAST || affiliation == AFFILIATION_PUBLISH_ONLY)
        return &fault_forbidden;
    if (affiliation >= AFFILIATION_MEMBER)
        return NULL;
    *ret_pending = node->settings.access == ACCESS_AUTHORIZE;
    return by_model(of, node, who);
}

const struct fault *access_retrieve(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    enum affiliation affiliation = access_affiliation(of, node, who);
    if (affiliation == AFFILIATION_OUTCAST || affiliation == AFFILIATION_PUBLISH_ONLY)
        return &fault_forbidden;
    if (affiliation >= AFFILIATION_MEMBER)
        return NULL;
    if (node->settings.access == ACCESS_AUTHORIZE)
        return access_is_subscribed(of, node, who) ? NULL : &fault_may_not_retrieve;
    return by_model(of, node, who);
}

bool access_publish(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    enum affiliation affiliation = access_affiliation(of, node, who);
    if (affiliation >= AFFILIATION_PUBLISH_ONLY)
        return true;
    if (affiliation == AFFILIATION_OUTCAST)
        return false;
    return node->settings.publish_model == PUBLISH_OPEN ||
           (node->settings.publish_model == PUBLISH_SUBSCRIBERS && access_is_subscribed(of, node, who));
}
