/* SPDX-License-Identifier: MIT */
/* The nodes of one owner (an account, a service) in memory, and the rows that they are kept in. Pure: who may
 * do what, and who is told, is not known here.
 *
 * Rows of the owner; NR is the node's number, which is short and never two nodes' at the same time:
 *   kind `pubsub`               key NAME      <node>, its settings
 *   kind `pubsub-affiliation`   key NR JID    the affiliation's name
 *   kind `pubsub-order`         key NR ID     an item's place, and its publisher if that is not the owner
 *   kind `pubsub-subscription`  key NR JID    <subscription>
 *   kind `pubsub-item-NR`       key ID        the payload; cold: read when it is asked for */
#ifndef EXTENSIONS_PUBSUB_NODE_H
#define EXTENSIONS_PUBSUB_NODE_H

#include "extensions/pubsub/options.h"

#define PUBSUB_ROWS "pubsub,pubsub-affiliation,pubsub-order,pubsub-subscription"

enum affiliation {
    AFFILIATION_OUTCAST,
    AFFILIATION_NONE,
    AFFILIATION_MEMBER,
    AFFILIATION_PUBLISH_ONLY,
    AFFILIATION_PUBLISHER,
    AFFILIATION_OWNER,
};

enum subscription_state { SUBSCRIPTION_PENDING, SUBSCRIPTION_SUBSCRIBED };

/* The place says when it was published, too: in microseconds since 1970, or a little later where that would
 * not be unique. */
struct item {
    uint64_t place;
    uint16_t id_len, publisher_len;
    char text[]; /* id, publisher (a bare JID, "" for the owner of all) */
};

struct affiliate {
    uint8_t affiliation;
    uint16_t jid_len;
    char jid[];
};

struct subscriber {
    uint8_t state;
    bool deliver;      /* pubsub#deliver */
    int64_t expire_ms; /* pubsub#expire; INT64_MIN: never */
    uint16_t jid_len;
    char jid[]; /* bare or full */
};

/* A list of pointers to heap objects. */
struct heap_list {
    void **at;
    uint32_t count;
};

struct node {
    uint32_t number;
    struct heap_list items;       /* struct item, in the order of their places */
    struct heap_list affiliates;  /* struct affiliate */
    struct heap_list subscribers; /* struct subscriber */
    struct settings settings;
    int64_t created_ms;
    char *creator; /* a bare JID; NULL: the owner of all */
    uint16_t name_len;
    char name[];
};

struct nodes {
    struct node **list; /* by name */
    uint32_t count;
    uint32_t last_number;
    uint64_t last_place;
    struct node *_last_found; /* by number, while rows are loaded */
};

void nodes_fini(struct nodes *nodes);

static inline str node_name(const struct node *node)
{
    return str_of(node->name, node->name_len);
}

struct node *nodes_find(const struct nodes *nodes, str name);
/* Makes one with a new number; the name must not be there. */
struct node *nodes_add(struct nodes *nodes, str name);
void nodes_remove(struct nodes *nodes, struct node *node);

/* ---- Items ---- */

static inline struct item *node_item(const struct node *node, uint32_t index)
{
    return node->items.at[index];
}

static inline str item_id(const struct item *item)
{
    return str_of(item->text, item->id_len);
}

static inline str item_publisher(const struct item *item)
{
    return str_of(item->text + item->id_len, item->publisher_len);
}

static inline int64_t item_ms(const struct item *item)
{
    return (int64_t)(item->place / 1000);
}

/* The place in the order of the item of this id, or node->items.count. */
uint32_t node_find_item(const struct node *node, str id);
/* Puts it at the end, wherever one of this id was before. */
struct item *node_put_item(struct nodes *nodes, struct node *node, str id, str publisher, int64_t now_ms);
void node_remove_item(struct node *node, uint32_t index);

/* ---- Affiliations and subscriptions ---- */

enum affiliation node_affiliation(const struct node *node, str bare);
/* AFFILIATION_NONE removes it. */
void node_set_affiliation(struct node *node, str bare, enum affiliation affiliation);
uint32_t node_count_owners(const struct node *node);

static inline str subscriber_jid(const struct subscriber *subscriber)
{
    return str_of(subscriber->jid, subscriber->jid_len);
}

struct subscriber *node_find_subscriber(const struct node *node, str jid);
/* The one of this JID, made pending if it was not there. */
struct subscriber *node_add_subscriber(struct node *node, str jid);
void node_remove_subscriber(struct node *node, struct subscriber *subscriber);

/* ---- Names ---- */

const char *affiliation_name(enum affiliation affiliation);
bool affiliation_named(str name, enum affiliation *ret);
const char *subscription_name(enum subscription_state state);

/* ---- Rows ---- */

/* Takes a row of one of the PUBSUB_ROWS. */
void nodes_load_row(struct nodes *nodes, const struct store_row *row, struct arena *arena);

void node_store(struct store_batch *batch, str owner, const struct node *node, struct arena *arena);
void node_store_gone(struct store_batch *batch, str owner, const struct node *node, struct arena *arena);
void node_store_item(struct store_batch *batch, str owner, const struct node *node, const struct item *item,
                     str payload, struct arena *arena);
void node_store_item_gone(struct store_batch *batch, str owner, const struct node *node, str id,
                          struct arena *arena);
void node_store_affiliation(struct store_batch *batch, str owner, const struct node *node, str bare,
                            struct arena *arena);
void node_store_subscription(struct store_batch *batch, str owner, const struct node *node, str jid,
                             struct arena *arena);

/* The kind of the rows that hold the payloads. */
str node_item_kind(const struct node *node, struct arena *arena);

#endif
