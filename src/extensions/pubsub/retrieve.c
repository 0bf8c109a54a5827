/* SPDX-License-Identifier: MIT */
/* Retrieving items (XEP-0060 §6.5): all, the newest few, some by their ids, or a page (XEP-0059). Which ones
 * is decided in memory; then the store is asked for their payloads, one by one if they are few, else for all
 * of the node. An answer has a limit in bytes: what does not fit is left out from the end, and a <set/> says
 * so (§6.5.4).
 *
 * Items go out in the order of their publication, as in the XEP's examples. */
#include "extensions/pubsub/pubsub.h"

#include "server/ext_op.h"
#include "xml/write.h"
#include "xmpp/rsm.h"

#include <stdlib.h>

enum { ONE_BY_ONE_MAX = 4 };

struct retrieval {
    struct ext_op op;
    uint32_t number; /* the node's */
    char *name;
    char **ids;
    uint32_t count, next;
    char **payloads; /* of the ids, or NULL where there is none any more */
    bool paged;
    uint32_t first_index, total;
};

static void fetch(struct retrieval *retrieval);

/* ---- Which ones
 * ---------------------------------------------------------------------------------------------------- */

/* Indexes of the node's items that are wanted. */
struct choice {
    uint32_t *at;
    uint32_t count, total, first;
    bool paged;
};

static const struct fault *choose_named(struct pubsub_request *request, struct choice *choice)
{
    struct xml_node item;
    struct arena *arena = &request->of->shard->arena;
    const struct node *node = request->node;
    if (!xml_first(&request->action, &item))
        return NULL;
    do {
        if (!xml_is(&item, STR("item"), STR(NS_PUBSUB)))
            continue;
        uint32_t index = node_find_item(node, xml_attr(&item, STR("id"), arena));
        bool is_there = index < node->items.count && item_is_live(request->of, node, node_item(node, index));
        if (is_there && choice->count < node->items.count)
            choice->at[choice->count++] = index;
    } while (xml_next(&item));
    return NULL;
}

static uint32_t index_of(const struct node *node, str id, uint32_t from)
{
    uint32_t index = node_find_item(node, id);
    return index < node->items.count && index >= from ? index : UINT32_MAX;
}

/* A page of the items from `from` on. */
static const struct fault *choose_page(struct pubsub_request *request, const struct rsm *rsm, uint32_t from,
                                       struct choice *choice)
{
    const struct node *node = request->node;
    uint32_t low = from, high = node->items.count;
    choice->paged = true;
    choice->total = high - from;
    uint32_t most = (uint32_t)rsm_limit(rsm, choice->total, choice->total);
    if (rsm->has_index)
        low = rsm->index < choice->total ? from + rsm->index : high;
    if (rsm->after.p) {
        uint32_t after = index_of(node, rsm->after, from);
        if (after == UINT32_MAX)
            return &fault_item_not_found; /* XEP-0059 §2.2 */
        low = after + 1;
    }
    if (rsm->before.p) {
        uint32_t before = index_of(node, rsm->before, from);
        if (before == UINT32_MAX)
            return &fault_item_not_found;
        high = before < low ? low : before;
    }
    if (rsm_is_backwards(rsm) && high - low > most)
        low = high - most;
    choice->first = low - from;
    for (; low < high && choice->count < most; low++)
        choice->at[choice->count++] = low;
    return NULL;
}

static const struct fault *choose(struct pubsub_request *request, struct choice *choice)
{
    struct arena *arena = &request->of->shard->arena;
    const struct node *node = request->node;
    struct xml_node item;
    struct rsm rsm;
    uint64_t newest;
    uint32_t from = 0;
    choice->at = arena_alloc(arena, node->items.count * sizeof(uint32_t) + 1);
    if (rsm_read(&request->event->child, arena, &rsm) != STANZA_ERROR_NONE)
        return &fault_bad_request;
    if (xml_child(&request->action, STR("item"), STR(NS_PUBSUB), &item))
        return choose_named(request, choice);
    while (from < node->items.count && !item_is_live(request->of, node, node_item(node, from)))
        from++;
    if (rsm.is_there)
        return choose_page(request, &rsm, from, choice);
    str max = xml_attr(&request->action, STR("max_items"), arena);
    if (max.p && !str_to_u64(max, UINT32_MAX, &newest))
        return &fault_bad_request;
    choice->total = node->items.count - from;
    if (max.p && newest < node->items.count - from)
        from = node->items.count - (uint32_t)newest;
    choice->first = choice->total - (node->items.count - from);
    for (; from < node->items.count; from++)
        choice->at[choice->count++] = from;
    return NULL;
}

/* ---- The answer
 * -------------------------------------------------------------------------------------------------------- */

static void write_set(struct buf *xml, const struct retrieval *retrieval, str first, str last)
{
    struct rsm_page page = {
        .first = first,
        .last = last,
        .has_index = first.p != NULL,
        .index = retrieval->first_index,
        .has_count = true,
        .count = retrieval->total,
    };
    rsm_write(xml, &page);
}

static void write_one(struct buf *xml, const struct pubsub *of, const struct node *node, str id, str payload)
{
    uint32_t index = node ? node_find_item(node, id) : 0;
    buf_lit(xml, "<item");
    xml_write_attr(xml, "id", id);
    if (node && index < node->items.count && node->settings.item_reply == REPLY_PUBLISHER) {
        str publisher = item_publisher(node_item(node, index)); /* §7.1.2.3 */
        xml_write_attr(xml, "publisher", publisher.len ? publisher : actor_bare(of->actor));
    }
    buf_add_char(xml, '>');
    buf_add(xml, payload);
    buf_lit(xml, "</item>");
}

static void answer(struct retrieval *retrieval, struct pubsub *of, struct iq_event *event)
{
    const struct node *node = nodes_find(of->nodes, str_from(retrieval->name));
    str first = str_none, last = str_none;
    bool cut = false;
    struct buf xml;
    buf_init(&xml, SIZE_MAX / 2);
    buf_lit(&xml, "<pubsub xmlns='" NS_PUBSUB "'><items");
    xml_write_attr(&xml, "node", str_from(retrieval->name));
    buf_add_char(&xml, '>');
    for (uint32_t i = 0; i < retrieval->count && !cut; i++) {
        str id = str_from(retrieval->ids[i]), payload = str_from(retrieval->payloads[i]);
        if (!payload.p)
            continue;
        cut = first.p && xml.len + payload.len > of->limits->result_bytes;
        if (cut)
            continue;
        write_one(&xml, of, node, id, payload);
        first = first.p ? first : id;
        last = id;
    }
    buf_lit(&xml, "</items>");
    if (retrieval->paged || cut)
        write_set(&xml, retrieval, first, last);
    buf_lit(&xml, "</pubsub>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

static void retrieval_fini(struct ext_op *op)
{
    struct retrieval *retrieval = (struct retrieval *)op;
    for (uint32_t i = 0; i < retrieval->count; i++) {
        free(retrieval->ids[i]);
        free(retrieval->payloads[i]);
    }
    free(retrieval->ids);
    free(retrieval->payloads);
    free(retrieval->name);
}

static void finish(struct retrieval *retrieval, struct iq_event *event, bool ok)
{
    struct pubsub of;
    if (!ok)
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else if (!pubsub_of(event, &of))
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        answer(retrieval, &of, event);
}

/* ---- Reading
 * ------------------------------------------------------------------------------------------------------- */

static int by_key(const void *key, const void *element)
{
    const struct store_row *row = element;
    return str_cmp(*(const str *)key, row->key);
}

static void keep(struct retrieval *retrieval, uint32_t index, str value)
{
    retrieval->payloads[index] = str_dup(value);
}

static void got_all(struct ext_op *op, struct iq_event *event)
{
    struct retrieval *retrieval = (struct retrieval *)op;
    for (uint32_t i = 0; op->read.err == OK && i < retrieval->count; i++) {
        str id = str_from(retrieval->ids[i]);
        const struct store_row *row =
            op->read.count ? bsearch(&id, op->read.rows, op->read.count, sizeof *row, by_key) : NULL;
        if (row)
            keep(retrieval, i, row->value);
    }
    finish(retrieval, event, op->read.err == OK);
}

static void got_one(struct ext_op *op, struct iq_event *event)
{
    struct retrieval *retrieval = (struct retrieval *)op;
    if (op->read.err == OK && op->read.count)
        keep(retrieval, retrieval->next, op->read.rows[0].value);
    retrieval->next++;
    if (op->read.err == OK && retrieval->next < retrieval->count)
        fetch(retrieval);
    else
        finish(retrieval, event, op->read.err == OK);
}

static void fetch(struct retrieval *retrieval)
{
    struct ext_op *op = &retrieval->op;
    struct arena *arena = &op->shard->arena;
    str kind = arena_printf(arena, "pubsub-item-%u", retrieval->number);
    str owner = ext_op_owner(op);
    if (retrieval->count > ONE_BY_ONE_MAX)
        store_get_all(ext_op_store(op), op->shard->loop, owner, kind, ext_op_read(op, got_all));
    else
        store_get(ext_op_store(op), op->shard->loop, owner, kind, str_from(retrieval->ids[retrieval->next]),
                  ext_op_read(op, got_one));
}

static void start(struct pubsub_request *request, const struct choice *choice)
{
    struct retrieval *retrieval = ext_op_new(request->event, sizeof *retrieval);
    retrieval->op.fini = retrieval_fini;
    retrieval->number = request->node->number;
    retrieval->name = str_dup(request->name);
    retrieval->ids = xcalloc(choice->count + 1u, sizeof(char *));
    retrieval->payloads = xcalloc(choice->count + 1u, sizeof(char *));
    retrieval->count = choice->count;
    retrieval->paged = choice->paged;
    retrieval->first_index = choice->first;
    retrieval->total = choice->total;
    for (uint32_t i = 0; i < choice->count; i++)
        retrieval->ids[i] = str_dup(item_id(node_item(request->node, choice->at[i])));
    if (choice->count) {
        fetch(retrieval);
        return;
    }
    answer(retrieval, request->of, request->event);
    ext_op_free(&retrieval->op);
}

void retrieve_items(struct pubsub_request *request)
{
    struct choice choice = { 0 };
    const struct fault *fault = access_retrieve(request->of, request->node, &request->from);
    if (!fault && !request->node->settings.persist)
        fault = &fault_no_persistence;
    if (!fault)
        fault = choose(request, &choice);
    if (fault)
        fault_answer(request->event, fault, str_none, NULL);
    else
        start(request, &choice);
}
