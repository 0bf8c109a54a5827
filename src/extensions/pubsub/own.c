/* SPDX-License-Identifier: MIT */
/* What the server publishes in an account's name: a copy of what the account has given it in another shape
 * (a photo of a vCard, bookmarks of private storage, what was displayed). The account's limits hold for it as
 * for what a client publishes; nodes that are not there are made with the configuration that such data needs
 * (XEP-0223 for what is private). A node that is there keeps the configuration that its owner gave it, unless
 * what is going to be put there must be seen by nobody else. */
#include "extensions/pubsub/pubsub.h"

bool own_has_room(const struct pubsub *of, str name, size_t size)
{
    const struct node *node = nodes_find(of->nodes, name);
    if (size > of->limits->item_bytes)
        return false;
    if (!node)
        return of->nodes->count < of->limits->nodes;
    return node->settings.persist && size <= node->settings.max_payload;
}

static struct node *make(struct pubsub *of, str name, enum own_kind kind, const struct stanza *cause)
{
    struct options options = *of->defaults;
    struct jid owner = pubsub_jid(of);
    options.access = kind == OWN_OPEN ? ACCESS_OPEN : ACCESS_WHITELIST;
    if (kind == OWN_LIST) {
        options.max_items = UINT64_MAX;
        options.send_last = SEND_LAST_NEVER;
    }
    return publish_make_node(of, name, &options, &owner, cause);
}

bool own_publish(struct pubsub *of, str name, enum own_kind kind, str id, str payload,
                 const struct stanza *cause)
{
    struct node *node = nodes_find(of->nodes, name);
    struct jid owner = pubsub_jid(of);
    /* what is collected from items that have passed the limit may be larger than it */
    if (!own_has_room(of, name, kind == OWN_CURRENT ? 0 : payload.len))
        return false;
    if (!node)
        node = make(of, name, kind, cause);
    publish_put(of, node, id, &owner, payload, cause);
    return true;
}

static void make_private(struct pubsub *of, struct node *node, struct store_batch *batch,
                         const struct stanza *cause)
{
    struct arena *arena = &of->shard->arena;
    while (node->affiliates.count) {
        const struct affiliate *affiliate = node->affiliates.at[0];
        str bare = arena_str(arena, str_of(affiliate->jid, affiliate->jid_len));
        node_set_affiliation(node, bare, AFFILIATION_NONE);
        node_store_affiliation(batch, actor_bare(of->actor), node, bare, arena);
    }
    node->settings.access = ACCESS_WHITELIST;
    subscribe_review(of, node, cause);
}

void own_make_fit(struct pubsub *of, str name, enum own_kind kind, const struct stanza *cause)
{
    struct node *node = nodes_find(of->nodes, name);
    if (!node)
        return;
    bool is_private = node->settings.access == ACCESS_WHITELIST && !node->affiliates.count;
    bool is_long = kind != OWN_LIST || node->settings.max_items == UINT32_MAX;
    if (is_private && is_long && node->settings.persist)
        return;
    struct store_batch *batch = actor_write(of->actor, cause);
    node->settings.persist = true;
    if (!is_long)
        node->settings.max_items = UINT32_MAX;
    if (!is_private)
        make_private(of, node, batch, cause);
    node_store(batch, actor_bare(of->actor), node, &of->shard->arena);
}
