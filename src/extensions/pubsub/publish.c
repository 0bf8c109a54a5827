/* SPDX-License-Identifier: MIT */
/* Publishing and retracting (XEP-0060 §7). All that decides is in memory, so a publication is one event: it
 * is checked, written, answered and told, the last two when it is on disk. A node that is not there is made
 * for the owner of an account (§7.1.4), with what the publish-options ask for (§7.1.5).
 *
 * One item a request: batches went with version 1.13 (§7.1.1), and a second item is a bad payload. */
#include "extensions/pubsub/pubsub.h"

#include "base/rand.h"
#include "extensions/pubsub/sleepers.h"
#include "xml/write.h"

#include <inttypes.h>

enum { EVENT_MAX = 4 << 20 };

/* What a <publish/> says. */
struct publication {
    struct xml_node item, payload;
    bool has_item, has_payload, has_form;
    struct form form;
    str id;
    struct options options; /* of the node, that is there or to be made */
    const char *why;
};

/* ---- Reading a request
 * --------------------------------------------------------------------------------------------- */

static const struct fault *read_item(struct pubsub_request *request, struct publication *publication)
{
    struct xml_node next;
    publication->has_item = xml_child(&request->action, STR("item"), STR(NS_PUBSUB), &publication->item);
    if (!publication->has_item)
        return NULL;
    next = publication->item;
    if (xml_next(&next))
        return &fault_invalid_payload;
    publication->id = xml_attr(&publication->item, STR("id"), &request->of->shard->arena);
    if (publication->id.len > PUBSUB_NAME_MAX)
        return &fault_bad_request;
    publication->has_payload = xml_first(&publication->item, &publication->payload);
    next = publication->payload;
    return publication->has_payload && xml_next(&next) ? &fault_invalid_payload : NULL;
}

static const struct fault *read_form(struct pubsub_request *request, struct publication *publication)
{
    struct xml_node *options = ARENA_NEW(&request->of->shard->arena, struct xml_node);
    publication->has_form =
        xml_child(&request->event->child, STR("publish-options"), STR(NS_PUBSUB), options);
    return publication->has_form ? pubsub_form(options, &request->of->shard->arena, &publication->form)
                                 : NULL;
}

/* Whether he may, and with what options. */
static const struct fault *may_publish(struct pubsub_request *request, struct publication *publication)
{
    struct pubsub *of = request->of;
    struct jid owner = pubsub_jid(of);
    if (request->node) {
        options_of(&request->node->settings, &of->shard->arena, &publication->options);
        if (!access_publish(of, request->node, &request->from))
            return &fault_forbidden;
        return publication->has_form ? options_check(&publication->form, &publication->options) : NULL;
    }
    if (!of->user || !jid_eq_bare(&request->from, &owner) || request->name.len > PUBSUB_NAME_MAX)
        return &fault_item_not_found;
    if (of->nodes->count >= of->limits->nodes)
        return &fault_max_nodes;
    publication->options = pubsub_defaults(of, request->name);
    return publication->has_form
               ? options_apply_publish(&publication->form, true, &publication->options, &publication->why)
               : NULL;
}

/* §7.1.3.6, and the limits. */
static const struct fault *check_item(const struct pubsub *of, const struct publication *publication)
{
    const struct options *options = &publication->options;
    if (options->persist && !publication->has_item)
        return &fault_item_required;
    if (!options->persist && !options->payloads && publication->has_item)
        return &fault_item_forbidden;
    if (options->payloads && !publication->has_payload)
        return &fault_payload_required;
    if (!publication->has_payload)
        return NULL;
    str ns = xml_decode_attr(publication->payload.ns, &of->shard->arena);
    if (options->type.len && !str_eq(options->type, ns))
        return &fault_invalid_payload;
    size_t size = publication->payload.bytes.len;
    return size > of->limits->item_bytes || size > options->max_payload ? &fault_payload_too_big : NULL;
}

/* §7.1.3.4: one that is there is overwritten, whatever room there is. */
static const struct fault *check_room(const struct pubsub *of, const struct node *node,
                                      const struct publication *publication)
{
    const struct options *options = &publication->options;
    if (!node || !options->persist || options->when_full != FULL_REJECT)
        return NULL;
    uint64_t most = options->max_items < of->limits->items ? options->max_items : of->limits->items;
    bool is_new = !publication->id.len || node_find_item(node, publication->id) == node->items.count;
    return is_new && node->items.count >= most ? &fault_node_full : NULL;
}

/* ---- Nodes
 * ---------------------------------------------------------------------------------------------------------
 */

struct node *publish_make_node(struct pubsub *of, str name, const struct options *options,
                               const struct jid *creator, const struct stanza *cause)
{
    struct store_batch *batch = actor_write(of->actor, cause);
    struct arena *arena = &of->shard->arena;
    struct node *node = nodes_add(of->nodes, name);
    str bare = jid_bare(creator), owner = actor_bare(of->actor);
    if (of->user)
        sleepers_forget(of->shard, owner);
    options_keep(options, &node->settings);
    node->created_ms = pubsub_now_ms(of);
    if (!of->user) {
        node->creator = str_dup(bare);
        node_set_affiliation(node, bare, AFFILIATION_OWNER);
        node_store_affiliation(batch, owner, node, bare, arena);
    }
    node_store(batch, owner, node, arena);
    return node;
}

/* ---- Items
 * ------------------------------------------------------------------------------------------------------- */

bool item_is_live(const struct pubsub *of, const struct node *node, const struct item *item)
{
    uint32_t seconds = node->settings.item_expire;
    return seconds == UINT32_MAX || item_ms(item) + (int64_t)seconds * 1000 > pubsub_now_ms(of);
}

/* An item's element: `payload` "" for none. */
static str write_item(const struct pubsub *of, const struct node *node, str id, str publisher, str payload)
{
    struct buf xml;
    buf_init(&xml, EVENT_MAX);
    buf_lit(&xml, "<item");
    xml_write_attr(&xml, "id", id);
    if (node->settings.item_reply == REPLY_PUBLISHER)
        xml_write_attr(&xml, "publisher", publisher.len ? publisher : actor_bare(of->actor));
    if (payload.len && node->settings.payloads) {
        buf_add_char(&xml, '>');
        buf_add(&xml, payload);
        buf_lit(&xml, "</item>");
    } else {
        buf_lit(&xml, "/>");
    }
    str item = arena_str(&of->shard->arena, buf_str(&xml));
    buf_fini(&xml);
    return item;
}

static void tell_items(struct pubsub *of, const struct node *node, str items)
{
    struct buf xml;
    buf_init(&xml, EVENT_MAX);
    buf_lit(&xml, "<items");
    xml_write_attr(&xml, "node", node_name(node));
    buf_add_char(&xml, '>');
    buf_add(&xml, items);
    buf_lit(&xml, "</items>");
    notify_all(of, node, arena_str(&of->shard->arena, buf_str(&xml)));
    buf_fini(&xml);
}

static void tell_retracted(struct pubsub *of, const struct node *node, str id)
{
    struct buf xml;
    buf_init(&xml, 16 * 1024);
    buf_lit(&xml, "<retract");
    xml_write_attr(&xml, "id", id);
    buf_lit(&xml, "/>");
    tell_items(of, node, arena_str(&of->shard->arena, buf_str(&xml)));
    buf_fini(&xml);
}

static void take_away(struct pubsub *of, struct node *node, uint32_t index, bool tell, bool makes_room,
                      const struct stanza *cause)
{
    struct arena *arena = &of->shard->arena;
    str id = arena_str(arena, item_id(node_item(node, index)));
    node_store_item_gone(actor_write(of->actor, cause), actor_bare(of->actor), node, id, arena);
    node_remove_item(node, index);
    if (tell)
        tell_retracted(of, node, id);
    struct node_event event = {
        .user = of->user, .node = node_name(node), .id = id, .makes_room = makes_room, .cause = cause
    };
    if (of->user)
        fire_item_retracted(of->host, &event);
}

void publish_remove(struct pubsub *of, struct node *node, uint32_t index, bool tell,
                    const struct stanza *cause)
{
    take_away(of, node, index, tell, false, cause);
}

/* Old items go, and where there is no room for one more (§7.1.2.5) the oldest. */
static void make_room(struct pubsub *of, struct node *node, str id, const struct stanza *cause)
{
    const struct settings *settings = &node->settings;
    uint32_t most = settings->max_items < of->limits->items ? settings->max_items : of->limits->items;
    bool tell = settings->notify_retract && settings->when_full == FULL_RETRACT_OLDEST;
    while (node->items.count && !item_is_live(of, node, node_item(node, 0)))
        take_away(of, node, 0, false, true, cause);
    if (node_find_item(node, id) < node->items.count)
        return;
    while (node->items.count && node->items.count >= most)
        take_away(of, node, 0, tell, true, cause);
}

static str publisher_of(const struct pubsub *of, const struct jid *publisher)
{
    str bare = jid_bare(publisher);
    return str_eq(bare, actor_bare(of->actor)) ? STR("") : bare;
}

void publish_put(struct pubsub *of, struct node *node, str id, const struct jid *publisher, str payload,
                 const struct stanza *cause)
{
    str by = publisher_of(of, publisher);
    const struct item *item = NULL;
    if (node->settings.persist) {
        make_room(of, node, id, cause);
        item = node_put_item(of->nodes, node, id, by, pubsub_now_ms(of));
        node_store_item(actor_write(of->actor, cause), actor_bare(of->actor), node, item, payload,
                        &of->shard->arena);
    }
    bool has_item = item || node->settings.payloads;
    tell_items(of, node, has_item ? write_item(of, node, id, by, payload) : str_none);
    struct node_event event = {
        .user = of->user, .node = node_name(node), .id = id, .payload = payload, .cause = cause
    };
    if (item && of->user)
        fire_item_published(of->host, &event);
}

/* ---- Publishing
 * ---------------------------------------------------------------------------------------------------- */

static str make_id(struct arena *arena)
{
    char token[24];
    rand_token(token, sizeof token);
    return arena_str(arena, str_from(token));
}

static str payload_of(const struct pubsub *of, const struct publication *publication)
{
    struct buf xml;
    if (!publication->has_payload)
        return STR("");
    buf_init(&xml, EVENT_MAX);
    pubsub_write_payload(&xml, &publication->payload, &of->shard->arena);
    str payload = arena_str(&of->shard->arena, buf_str(&xml));
    buf_fini(&xml);
    return payload;
}

static void answer_published(struct pubsub_request *request, str id)
{
    struct buf xml;
    buf_init(&xml, 16 * 1024);
    buf_lit(&xml, "<pubsub xmlns='" NS_PUBSUB "'><publish");
    xml_write_attr(&xml, "node", request->name);
    buf_add_char(&xml, '>');
    if (id.p) {
        buf_lit(&xml, "<item");
        xml_write_attr(&xml, "id", id);
        buf_lit(&xml, "/>");
    }
    buf_lit(&xml, "</publish></pubsub>");
    ext_result(request->event, &xml);
    buf_fini(&xml);
}

static void publish(struct pubsub_request *request, const struct publication *publication)
{
    struct pubsub *of = request->of;
    const struct stanza *iq = request->event->iq;
    bool has_item = publication->options.persist || publication->options.payloads;
    str id = publication->id.len ? publication->id : has_item ? make_id(&of->shard->arena) : str_none;
    if (!request->node)
        request->node = publish_make_node(of, request->name, &publication->options, &request->from, iq);
    if (request->node->settings.persist)
        actor_write(of->actor, iq); /* from here on all that is said waits */
    answer_published(request, id);
    publish_put(of, request->node, id, &request->from, payload_of(of, publication), iq);
}

void publish_item(struct pubsub_request *request)
{
    struct publication *publication = ARENA_NEW(&request->of->shard->arena, struct publication);
    const struct fault *fault = read_item(request, publication);
    if (!fault)
        fault = read_form(request, publication);
    if (!fault)
        fault = may_publish(request, publication);
    if (!fault)
        fault = check_item(request->of, publication);
    if (!fault)
        fault = check_room(request->of, request->node, publication);
    if (fault)
        fault_answer(request->event, fault, str_none, publication->why);
    else
        publish(request, publication);
}

/* ---- Retracting (§7.2)
 * ------------------------------------------------------------------------------------------------ */

static bool is_true(str text)
{
    return str_is(text, "true") || str_is(text, "1");
}

/* The owner any item; a publisher its own (§4.1: publish-only never more than that). */
static bool may_retract(const struct pubsub *of, const struct node *node, const struct item *item,
                        const struct jid *who)
{
    if (access_is_owner(of, node, who))
        return true;
    str publisher = item_publisher(item);
    return access_publish(of, node, who) && publisher.len && str_eq(publisher, jid_bare(who));
}

static const struct fault *find_retracted(struct pubsub_request *request, uint32_t *ret)
{
    struct xml_node item;
    const struct node *node = request->node;
    if (!node->settings.persist)
        return &fault_no_persistence;
    if (!xml_child(&request->action, STR("item"), STR(NS_PUBSUB), &item))
        return &fault_item_required;
    str id = xml_attr(&item, STR("id"), &request->of->shard->arena);
    if (!id.len || xml_next(&item))
        return id.len ? &fault_bad_request : &fault_item_required;
    *ret = node_find_item(node, id);
    if (*ret == node->items.count)
        return access_publish(request->of, node, &request->from) ? &fault_item_not_found : &fault_forbidden;
    return may_retract(request->of, node, node_item(node, *ret), &request->from) ? NULL : &fault_forbidden;
}

void retract_item(struct pubsub_request *request)
{
    struct pubsub *of = request->of;
    uint32_t index = 0;
    const struct fault *fault = find_retracted(request, &index);
    if (fault) {
        fault_answer(request->event, fault, str_none, NULL);
        return;
    }
    bool tell = is_true(xml_attr(&request->action, STR("notify"), &of->shard->arena));
    actor_write(of->actor, request->event->iq);
    route_result(of->shard, request->event->iq, str_of("", 0));
    publish_remove(of, request->node, index, tell || request->node->settings.notify_retract,
                   request->event->iq);
}
