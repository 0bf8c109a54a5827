/* SPDX-License-Identifier: MIT */
/* Nodes in memory, small: an account that uses three or four of them holds some hundred bytes each while its
 * user is awake. What is in memory is what decides: names, settings, who may and who gets, and the order of
 * items by their ids. What is only handed out, the payloads, stays on disk.
 *
 * Order is a number a row: the time of publication, moved on where two fall together. So a publication
 * touches its own rows alone, and the order comes back by sorting (XEP-0060 §12.1: publication order, an
 * overwritten item becomes the newest). */
#include "extensions/pubsub/node.h"

#include "base/log.h"
#include "xml/write.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

enum { ROW_MAX = 128 * 1024 };

/* ---- Lists
 * -------------------------------------------------------------------------------------------------------- */

static void list_insert_at(struct heap_list *list, uint32_t index, void *object)
{
    list->at = xrealloc(list->at, (list->count + 1u) * sizeof(void *));
    memmove(list->at + index + 1, list->at + index, (list->count - index) * sizeof(void *));
    list->at[index] = object;
    list->count++;
}

static void list_remove_at(struct heap_list *list, uint32_t index)
{
    free(list->at[index]);
    list->count--;
    memmove(list->at + index, list->at + index + 1, (list->count - index) * sizeof(void *));
}

static void list_fini(struct heap_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        free(list->at[i]);
    free(list->at);
    *list = (struct heap_list){ 0 };
}

/* ---- Nodes
 * -------------------------------------------------------------------------------------------------------- */

/* Where the name is, or would be. */
static uint32_t position(const struct nodes *nodes, str name)
{
    uint32_t low = 0, high = nodes->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (str_cmp(node_name(nodes->list[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct node *nodes_find(const struct nodes *nodes, str name)
{
    uint32_t at = position(nodes, name);
    return at < nodes->count && str_eq(node_name(nodes->list[at]), name) ? nodes->list[at] : NULL;
}

static struct node *insert(struct nodes *nodes, str name, uint32_t number)
{
    uint32_t at = position(nodes, name);
    struct node *node = xcalloc(1, sizeof *node + name.len);
    node->number = number;
    node->name_len = (uint16_t)name.len;
    memcpy(node->name, name.p, name.len);
    nodes->list = xrealloc(nodes->list, (nodes->count + 1u) * sizeof(struct node *));
    memmove(nodes->list + at + 1, nodes->list + at, (nodes->count - at) * sizeof(struct node *));
    nodes->list[at] = node;
    nodes->count++;
    if (number > nodes->last_number)
        nodes->last_number = number;
    return node;
}

struct node *nodes_add(struct nodes *nodes, str name)
{
    return insert(nodes, name, nodes->last_number + 1);
}

static void node_free(struct node *node)
{
    list_fini(&node->items);
    list_fini(&node->affiliates);
    list_fini(&node->subscribers);
    settings_fini(&node->settings);
    free(node->creator);
    free(node);
}

void nodes_remove(struct nodes *nodes, struct node *node)
{
    uint32_t at = position(nodes, node_name(node));
    nodes->count--;
    memmove(nodes->list + at, nodes->list + at + 1, (nodes->count - at) * sizeof(struct node *));
    node_free(node);
    nodes->_last_found = NULL;
}

void nodes_fini(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++)
        node_free(nodes->list[i]);
    free(nodes->list);
    *nodes = (struct nodes){ 0 };
}

/* ---- Items
 * -------------------------------------------------------------------------------------------------------- */

uint32_t node_find_item(const struct node *node, str id)
{
    uint32_t index = node->items.count;
    while (index && !str_eq(item_id(node_item(node, index - 1)), id))
        index--; /* the newest are asked for most */
    return index ? index - 1 : node->items.count;
}

static struct item *item_new(str id, str publisher, uint64_t place)
{
    struct item *item = xmalloc(sizeof *item + id.len + publisher.len);
    item->place = place;
    item->id_len = (uint16_t)id.len;
    item->publisher_len = (uint16_t)publisher.len;
    memcpy(item->text, id.p, id.len);
    if (publisher.len)
        memcpy(item->text + id.len, publisher.p, publisher.len);
    return item;
}

/* Most come in their order. */
static void insert_item(struct nodes *nodes, struct node *node, struct item *item)
{
    uint32_t at = node->items.count;
    while (at && node_item(node, at - 1)->place > item->place)
        at--;
    list_insert_at(&node->items, at, item);
    if (item->place > nodes->last_place)
        nodes->last_place = item->place;
}

struct item *node_put_item(struct nodes *nodes, struct node *node, str id, str publisher, int64_t now_ms)
{
    uint32_t old = node_find_item(node, id);
    uint64_t now = now_ms > 0 ? (uint64_t)now_ms * 1000 : 1;
    struct item *item = item_new(id, publisher, now > nodes->last_place ? now : nodes->last_place + 1);
    if (old < node->items.count)
        list_remove_at(&node->items, old);
    insert_item(nodes, node, item);
    return item;
}

void node_remove_item(struct node *node, uint32_t index)
{
    list_remove_at(&node->items, index);
}

/* ---- Affiliations and subscriptions
 * ------------------------------------------------------------------------------- */

static uint32_t find_affiliate(const struct node *node, str bare)
{
    uint32_t i = 0;
    for (; i < node->affiliates.count; i++) {
        const struct affiliate *affiliate = node->affiliates.at[i];
        if (str_eq(str_of(affiliate->jid, affiliate->jid_len), bare))
            break;
    }
    return i;
}

enum affiliation node_affiliation(const struct node *node, str bare)
{
    uint32_t at = find_affiliate(node, bare);
    if (at == node->affiliates.count)
        return AFFILIATION_NONE;
    const struct affiliate *affiliate = node->affiliates.at[at];
    return (enum affiliation)affiliate->affiliation;
}

void node_set_affiliation(struct node *node, str bare, enum affiliation affiliation)
{
    uint32_t at = find_affiliate(node, bare);
    if (at < node->affiliates.count)
        list_remove_at(&node->affiliates, at);
    if (affiliation == AFFILIATION_NONE)
        return;
    struct affiliate *affiliate = xmalloc(sizeof *affiliate + bare.len);
    affiliate->affiliation = (uint8_t)affiliation;
    affiliate->jid_len = (uint16_t)bare.len;
    memcpy(affiliate->jid, bare.p, bare.len);
    list_insert_at(&node->affiliates, at, affiliate);
}

uint32_t node_count_owners(const struct node *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->affiliates.count; i++) {
        const struct affiliate *affiliate = node->affiliates.at[i];
        count += affiliate->affiliation == AFFILIATION_OWNER;
    }
    return count;
}

struct subscriber *node_find_subscriber(const struct node *node, str jid)
{
    for (uint32_t i = 0; i < node->subscribers.count; i++) {
        struct subscriber *subscriber = node->subscribers.at[i];
        if (str_eq(subscriber_jid(subscriber), jid))
            return subscriber;
    }
    return NULL;
}

struct subscriber *node_add_subscriber(struct node *node, str jid)
{
    struct subscriber *subscriber = node_find_subscriber(node, jid);
    if (subscriber)
        return subscriber;
    subscriber = xcalloc(1, sizeof *subscriber + jid.len);
    subscriber->deliver = true;
    subscriber->expire_ms = INT64_MIN;
    subscriber->jid_len = (uint16_t)jid.len;
    memcpy(subscriber->jid, jid.p, jid.len);
    list_insert_at(&node->subscribers, node->subscribers.count, subscriber);
    return subscriber;
}

void node_remove_subscriber(struct node *node, struct subscriber *subscriber)
{
    for (uint32_t i = 0; i < node->subscribers.count; i++)
        if (node->subscribers.at[i] == subscriber) {
            list_remove_at(&node->subscribers, i);
            return;
        }
}

/* ---- Names
 * -------------------------------------------------------------------------------------------------------- */

static const char *const affiliation_names[] = {
    [AFFILIATION_OUTCAST] = "outcast",     [AFFILIATION_NONE] = "none",
    [AFFILIATION_MEMBER] = "member",       [AFFILIATION_PUBLISH_ONLY] = "publish-only",
    [AFFILIATION_PUBLISHER] = "publisher", [AFFILIATION_OWNER] = "owner",
};

const char *affiliation_name(enum affiliation affiliation)
{
    return affiliation_names[affiliation];
}

bool affiliation_named(str name, enum affiliation *ret)
{
    for (size_t i = 0; i < COUNT_OF(affiliation_names); i++)
        if (str_eq(name, str_from(affiliation_names[i]))) {
            *ret = (enum affiliation)i;
            return true;
        }
    return false;
}

const char *subscription_name(enum subscription_state state)
{
    return state == SUBSCRIPTION_SUBSCRIBED ? "subscribed" : "pending";
}

/* ---- Rows: reading
 * ------------------------------------------------------------------------------------------------ */

/* The node with this number. Rows come in the order of their kinds, so the node itself is there before those
 * below it; a row without a node is what an administrator has left. */
static struct node *numbered(struct nodes *nodes, uint64_t number)
{
    struct node *last = nodes->_last_found;
    if (last && last->number == number)
        return last;
    for (uint32_t i = 0; i < nodes->count; i++)
        if (nodes->list[i]->number == number)
            return nodes->_last_found = nodes->list[i];
    return NULL;
}

/* "NR REST" */
static struct node *cut_number(struct nodes *nodes, str *key)
{
    uint64_t number;
    str digits = str_cut(key, ' ');
    return key->p && str_to_u64(digits, UINT32_MAX, &number) ? numbered(nodes, number) : NULL;
}

static void read_settings(struct node *node, const struct xml_node *element, struct arena *arena)
{
    struct form form;
    struct options options = { 0 };
    const char *why;
    if (form_read_child(element, arena, &form) != OK || options_apply(&form, true, &options, &why))
        log_error(store, "the settings of a pubsub node can't be read: %.*s", STR_ARGS(node_name(node)));
    options_keep(&options, &node->settings);
}

static void load_node(struct nodes *nodes, const struct store_row *row, struct arena *arena)
{
    struct xml_node element;
    uint64_t number = 0;
    if (!xml_parse(row->value, str_none, &element) ||
        !str_to_u64(xml_attr(&element, STR("number"), arena), UINT32_MAX - 1, &number)) {
        log_error(store, "a pubsub node of %.*s can't be read", STR_ARGS(row->owner));
        return;
    }
    struct node *node = insert(nodes, row->key, (uint32_t)number);
    str creator = xml_attr(&element, STR("creator"), arena);
    node->creator = creator.p ? str_dup(creator) : NULL;
    stamp_read(xml_attr(&element, STR("created"), arena), &node->created_ms);
    read_settings(node, &element, arena);
}

static void load_item(struct nodes *nodes, const struct store_row *row)
{
    str id = row->key, publisher = row->value;
    struct node *node = cut_number(nodes, &id);
    str place = str_cut(&publisher, ' ');
    uint64_t number;
    if (node && str_to_u64(place, UINT64_MAX - 1, &number))
        insert_item(nodes, node, item_new(id, publisher, number));
}

static void load_affiliation(struct nodes *nodes, const struct store_row *row)
{
    str jid = row->key;
    struct node *node = cut_number(nodes, &jid);
    enum affiliation affiliation;
    if (node && affiliation_named(row->value, &affiliation))
        node_set_affiliation(node, jid, affiliation);
}

static void load_subscription(struct nodes *nodes, const struct store_row *row, struct arena *arena)
{
    str jid = row->key;
    struct node *node = cut_number(nodes, &jid);
    struct xml_node element;
    if (!node || !xml_parse(row->value, str_none, &element))
        return;
    struct subscriber *subscriber = node_add_subscriber(node, jid);
    str state = xml_attr(&element, STR("state"), arena);
    subscriber->state = str_is(state, "subscribed") ? SUBSCRIPTION_SUBSCRIBED : SUBSCRIPTION_PENDING;
    subscriber->deliver = !str_is(xml_attr(&element, STR("deliver"), arena), "0");
    stamp_read(xml_attr(&element, STR("expire"), arena), &subscriber->expire_ms);
}

void nodes_load_row(struct nodes *nodes, const struct store_row *row, struct arena *arena)
{
    if (str_is(row->kind, "pubsub"))
        load_node(nodes, row, arena);
    else if (str_is(row->kind, "pubsub-order"))
        load_item(nodes, row);
    else if (str_is(row->kind, "pubsub-affiliation"))
        load_affiliation(nodes, row);
    else
        load_subscription(nodes, row, arena);
}

/* ---- Rows: writing
 * ------------------------------------------------------------------------------------------------ */

static str key_of(const struct node *node, str rest, struct arena *arena)
{
    return arena_printf(arena, "%u %.*s", node->number, STR_ARGS(rest));
}

str node_item_kind(const struct node *node, struct arena *arena)
{
    return arena_printf(arena, "pubsub-item-%u", node->number);
}

void node_store(struct store_batch *batch, str owner, const struct node *node, struct arena *arena)
{
    struct options options;
    struct buf xml;
    options_of(&node->settings, arena, &options);
    buf_init(&xml, ROW_MAX);
    buf_addf(&xml, "<node number='%u' created='%s'", node->number, stamp_millis(node->created_ms, arena));
    xml_write_attr(&xml, "creator", str_from(node->creator));
    buf_lit(&xml, ">");
    options_write(&xml, FORM_SUBMIT, &options);
    buf_lit(&xml, "</node>");
    store_put(batch, owner, STR("pubsub"), node_name(node), buf_str(&xml));
    buf_fini(&xml);
}

void node_store_gone(struct store_batch *batch, str owner, const struct node *node, struct arena *arena)
{
    for (uint32_t i = 0; i < node->items.count; i++)
        store_del(batch, owner, STR("pubsub-order"), key_of(node, item_id(node_item(node, i)), arena));
    for (uint32_t i = 0; i < node->affiliates.count; i++) {
        const struct affiliate *affiliate = node->affiliates.at[i];
        str jid = str_of(affiliate->jid, affiliate->jid_len);
        store_del(batch, owner, STR("pubsub-affiliation"), key_of(node, jid, arena));
    }
    for (uint32_t i = 0; i < node->subscribers.count; i++)
        store_del(batch, owner, STR("pubsub-subscription"),
                  key_of(node, subscriber_jid(node->subscribers.at[i]), arena));
    store_del_all(batch, owner, node_item_kind(node, arena));
    store_del(batch, owner, STR("pubsub"), node_name(node));
}

void node_store_item(struct store_batch *batch, str owner, const struct node *node, const struct item *item,
                     str payload, struct arena *arena)
{
    str id = item_id(item), publisher = item_publisher(item);
    str value = arena_printf(arena, "%llu%s%.*s", (unsigned long long)item->place, publisher.len ? " " : "",
                             STR_ARGS(publisher));
    store_put(batch, owner, STR("pubsub-order"), key_of(node, id, arena), value);
    store_put(batch, owner, node_item_kind(node, arena), id, payload);
}

void node_store_item_gone(struct store_batch *batch, str owner, const struct node *node, str id,
                          struct arena *arena)
{
    store_del(batch, owner, STR("pubsub-order"), key_of(node, id, arena));
    store_del(batch, owner, node_item_kind(node, arena), id);
}

void node_store_affiliation(struct store_batch *batch, str owner, const struct node *node, str bare,
                            struct arena *arena)
{
    enum affiliation affiliation = node_affiliation(node, bare);
    str key = key_of(node, bare, arena);
    if (affiliation == AFFILIATION_NONE)
        store_del(batch, owner, STR("pubsub-affiliation"), key);
    else
        store_put(batch, owner, STR("pubsub-affiliation"), key, str_from(affiliation_name(affiliation)));
}

void node_store_subscription(struct store_batch *batch, str owner, const struct node *node, str jid,
                             struct arena *arena)
{
    const struct subscriber *subscriber = node_find_subscriber(node, jid);
    str key = key_of(node, jid, arena);
    if (!subscriber) {
        store_del(batch, owner, STR("pubsub-subscription"), key);
        return;
    }
    str expire = subscriber->expire_ms == INT64_MIN
                     ? STR("")
                     : arena_printf(arena, " expire='%s'", stamp_millis(subscriber->expire_ms, arena));
    str value = arena_printf(arena, "<subscription state='%s'%s%.*s/>",
                             subscription_name((enum subscription_state)subscriber->state),
                             subscriber->deliver ? "" : " deliver='0'", STR_ARGS(expire));
    store_put(batch, owner, STR("pubsub-subscription"), key, value);
}
