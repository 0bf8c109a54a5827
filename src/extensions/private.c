/* SPDX-License-Identifier: MIT */
/* XEP-0049 1.2: private XML storage. Each element is a row of the account (kind `private`, key: its namespace
 * and name), read when it is asked for. Bookmarks are elsewhere, where newer clients see them too
 * (bookmarks.c). Namespaces that other parts of the server own are not refused: nothing of theirs is
 * touched. */
#include "extensions/bookmarks.h"
#include "extensions/pubsub/pubsub.h"
#include "server/ext_op.h"

#define NS_PRIVATE "jabber:iq:private"

extern const struct ext ext_private;
static struct ext_slot slot;

struct private_settings {
    uint32_t size, elements;
};

enum { AT_ONCE_MAX = 32, KEY_MAX = 1024 };

static str key_of(const struct xml_node *element, struct arena *arena)
{
    str ns = xml_decode_attr(element->ns, arena);
    return arena_printf(arena, "%.*s %.*s", STR_ARGS(ns), STR_ARGS(element->name));
}

/* A root element has a namespace of its own, and there is a limit to its name. */
static bool is_proper(const struct xml_node *element, struct arena *arena)
{
    return element->ns.len && !str_is(element->ns, NS_PRIVATE) && key_of(element, arena).len <= KEY_MAX;
}

/* ---- Reading
 * -------------------------------------------------------------------------------------------------------- */

static void answer(struct iq_event *event, str element)
{
    struct buf xml;
    buf_init(&xml, SIZE_MAX / 2);
    buf_lit(&xml, "<query xmlns='" NS_PRIVATE "'>");
    buf_add(&xml, element);
    buf_lit(&xml, "</query>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

/* What is not there comes back as it was asked for. */
static void got(struct ext_op *op, struct iq_event *event)
{
    struct xml_node element;
    struct buf xml;
    if (op->read.err != OK || !xml_first(&event->child, &element)) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    if (op->read.count) {
        answer(event, op->read.rows[0].value);
        return;
    }
    buf_init(&xml, SIZE_MAX / 2);
    pubsub_write_payload(&xml, &element, &event->shard->arena);
    answer(event, buf_str(&xml));
    buf_fini(&xml);
}

static void read_element(struct iq_event *event, const struct xml_node *element)
{
    struct ext_op *op = ext_op_new(event, sizeof *op);
    store_get(ext_op_store(op), event->shard->loop, ext_op_owner(op), STR("private"),
              key_of(element, &event->shard->arena), ext_op_read(op, got));
}

void private_read(struct iq_event *event)
{
    struct xml_node element;
    if (xml_first(&event->child, &element))
        read_element(event, &element);
}

static void get(struct iq_event *event)
{
    struct xml_node element, next;
    if (!event->session) {
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    if (!xml_first(&event->child, &element)) {
        ext_error(event, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    next = element;
    if (xml_next(&next) || !is_proper(&element, &event->shard->arena))
        ext_error(event, STANZA_ERROR_NOT_ACCEPTABLE, NULL);
    else if (bookmarks_take(event, &element))
        bookmarks_private_get(event);
    else
        read_element(event, &element);
}

/* ---- Writing
 * -------------------------------------------------------------------------------------------------------- */

static bool has_key(const struct store_read *read, str key)
{
    for (size_t i = 0; i < read->count; i++)
        if (str_eq(read->rows[i].key, key))
            return true;
    return false;
}

static void write_all(struct iq_event *event)
{
    struct arena *arena = &event->shard->arena;
    struct store_batch *batch = user_write(event->user, event->iq);
    struct xml_node element;
    bool more = xml_first(&event->child, &element);
    for (; more; more = xml_next(&element)) {
        struct buf xml;
        buf_init(&xml, SIZE_MAX / 2);
        pubsub_write_payload(&xml, &element, arena);
        store_put(batch, actor_bare(event->actor), STR("private"), key_of(&element, arena), buf_str(&xml));
        buf_fini(&xml);
    }
    route_result(event->shard, event->iq, str_of("", 0));
}

/* Which elements there are: with the new ones not more than may be. */
static void counted(struct ext_op *op, struct iq_event *event)
{
    const struct private_settings *settings = ext_settings(event->host, &slot);
    struct xml_node element;
    size_t count = op->read.count;
    bool more = xml_first(&event->child, &element);
    for (; more; more = xml_next(&element))
        count += !has_key(&op->read, key_of(&element, &event->shard->arena));
    if (op->read.err != OK)
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else if (count > settings->elements)
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many elements are stored");
    else
        write_all(event);
}

static void count_elements(struct iq_event *event)
{
    const struct private_settings *settings = ext_settings(event->host, &slot);
    struct store_map_query query = { .limit = settings->elements + 1u, .keys_only = true };
    struct ext_op *op = ext_op_new(event, sizeof *op);
    ext_op_hold(op);
    store_get_range(ext_op_store(op), event->shard->loop, ext_op_owner(op), STR("private"), &query,
                    ext_op_read(op, counted));
}

/* What is wrong with the elements; of bookmarks there is one, alone. */
static enum stanza_error check(const struct iq_event *event, bool *ret_bookmarks)
{
    struct arena *arena = &event->shard->arena;
    struct xml_node element;
    unsigned count = 0, bookmarks = 0;
    bool more = xml_first(&event->child, &element);
    for (; more; more = xml_next(&element)) {
        if (++count > AT_ONCE_MAX || !is_proper(&element, arena))
            return STANZA_ERROR_NOT_ACCEPTABLE;
        bookmarks += bookmarks_take(event, &element);
    }
    *ret_bookmarks = bookmarks > 0;
    return !count || (bookmarks && count > 1) ? STANZA_ERROR_NOT_ACCEPTABLE : STANZA_ERROR_NONE;
}

static void set(struct iq_event *event)
{
    const struct private_settings *settings = ext_settings(event->host, &slot);
    bool bookmarks = false;
    enum stanza_error error = check(event, &bookmarks);
    if (!event->session)
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
    else if (event->user->anonymous) /* nothing is kept for it */
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else if (error)
        ext_error(event, error, NULL);
    else if (event->child.bytes.len > settings->size)
        ext_error(event, STANZA_ERROR_NOT_ACCEPTABLE, "this is too large");
    else if (bookmarks)
        bookmarks_private_set(event);
    else
        count_elements(event);
}

/* ---- As an extension
 * ------------------------------------------------------------------------------------------------ */

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_ACCOUNT, "query", NS_PRIVATE, get },
    { TYPE_SET, TO_ACCOUNT, "query", NS_PRIVATE, set },
    { 0 },
};

static const struct config_key keys[] = {
    { .name = "size",
      .type = CONFIG_SIZE,
      CONFIG_FIELD(struct private_settings, size),
      .default_text = "64K",
      .min = 1024,
      .max = 16 << 20,
      .help = "The largest request to store something." },
    { .name = "elements",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct private_settings, elements),
      .default_text = "100",
      .min = 1,
      .max = 10000,
      .unit = "elements",
      .help = "How many elements an account may store." },
    { 0 },
};

static const struct config_extension config = {
    .name = "private",
    .help = "Private XML storage (XEP-0049).",
    .size = sizeof(struct private_settings),
    .keys = keys,
};

const struct ext ext_private = {
    .slot = &slot,
    .name = "private",
    .title = "Private XML Storage",
    .xep = { 49, "1.2" },
    .features = (const char *const[]){ NS_PRIVATE, NULL },
    .account_features = (const char *const[]){ NS_PRIVATE, NULL },
    .iqs = iqs,
    .config = &config,
};
