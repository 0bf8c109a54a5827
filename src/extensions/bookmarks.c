/* SPDX-License-Identifier: MIT */
/* Bookmarks of rooms: one set, which clients see in three shapes. XEP-0402 1.2.0: a node with an item for
 * each room; this is what is kept. XEP-0048 1.2 over XEP-0049: one element in private storage; it is made
 * from the items when it is asked for, and what a client stores there is taken apart. XEP-0048 over PEP: a
 * node with one item that has all; a copy, made when somebody asks for that node and from then on written
 * along with the items (XEP-0411 1.1.0 demands as much of these two).
 *
 * To keep them in step the items must be read first. So a request that may change one of the nodes waits for
 * that; then it is handled as any other, in one event with what follows from it, and one write. Items that
 * did not change are not published again, and what is in an item's <extensions/> survives a client that does
 * not know of it. What is no room (XEP-0048 §2.2: URLs) stands in a row of its own (kind `bookmarks`) and is
 * seen in the old shapes alone.
 *
 * A list that came with an account from another server (XEP-0227) stands in private storage itself, and is
 * seen there until the first bookmark is set here.
 *
 * What not: to retract the old node's item, or to delete the node, takes no bookmark away; to publish an
 * empty list does. */
#include "extensions/bookmarks.h"

#include "extensions/pubsub/interest.h"
#include "extensions/pubsub/pubsub.h"
#include "server/ext_op.h"
#include "xml/write.h"

#include <stdlib.h>

#define NS_BOOKMARKS "urn:xmpp:bookmarks:1"
#define NS_PRIVATE   "jabber:iq:private"

extern const struct ext ext_bookmarks;
static struct ext_slot slot;

enum {
    XML_MAX = 64 << 20,
    ITEM_MAX = 16 * 1024, /* all of an account's are read at once */
};

struct bookmark {
    str id, payload;
    bool gone, seen;
};

/* All bookmarks of an account, while one event lasts. */
struct shelf {
    struct pubsub of;
    const struct stanza *cause;
    struct bookmark *list;
    uint32_t count, room;
    str rest;      /* what is no room, as it stands in a <storage/> */
    bool changed;  /* items have been published or retracted */
    str published; /* to the old node */
};

struct bookmarks_user {
    struct shelf *shelf; /* while a request changes the nodes */
};

/* ---- The set
 * -------------------------------------------------------------------------------------------------------- */

static struct bookmark *find(struct shelf *shelf, str id)
{
    for (uint32_t i = 0; i < shelf->count; i++)
        if (str_eq(shelf->list[i].id, id))
            return &shelf->list[i];
    return NULL;
}

static struct bookmark *put(struct shelf *shelf, str id, str payload)
{
    struct arena *arena = &shelf->of.shard->arena;
    struct bookmark *bookmark = find(shelf, id);
    if (!bookmark && shelf->count == shelf->room) {
        struct bookmark *before = shelf->list;
        shelf->room = shelf->room ? shelf->room * 2 : 16;
        shelf->list = arena_alloc(arena, shelf->room * sizeof *shelf->list);
        if (shelf->count)
            memcpy(shelf->list, before, shelf->count * sizeof *shelf->list);
    }
    if (!bookmark)
        bookmark = &shelf->list[shelf->count++];
    *bookmark = (struct bookmark){ .id = arena_str(arena, id), .payload = arena_str(arena, payload) };
    return bookmark;
}

static int by_key(const void *key, const void *element)
{
    const struct store_row *row = element;
    return str_cmp(*(const str *)key, row->key);
}

/* From the rows that were read (of kind `bookmarks`, then the items by their ids), in the items' order. */
static void fill(struct shelf *shelf, struct iq_event *event, const struct store_read *read)
{
    *shelf = (struct shelf){ .of = pep_of(event->user), .cause = event->iq, .rest = STR("") };
    const struct node *node = nodes_find(shelf->of.nodes, STR(NS_BOOKMARKS));
    size_t first = read->count && str_is(read->rows[0].kind, "bookmarks");
    if (first)
        shelf->rest = arena_str(&event->shard->arena, read->rows[0].value);
    for (uint32_t i = 0; node && i < node->items.count; i++) {
        str id = item_id(node_item(node, i));
        const struct store_row *row =
            read->count > first ? bsearch(&id, read->rows + first, read->count - first, sizeof *row, by_key)
                                : NULL;
        if (row && item_is_live(&shelf->of, node, node_item(node, i)))
            put(shelf, id, row->value);
    }
}

/* ---- Old and new
 * ---------------------------------------------------------------------------------------------------- */

static bool is_true(str text)
{
    return str_is(text, "true") || str_is(text, "1");
}

/* What both shapes can say of a room. */
struct room {
    str name, nick, password;
    bool autojoin;
};

static struct room read_room(const struct xml_node *conference, str ns, struct arena *arena)
{
    return (struct room){
        .name = xml_attr(conference, STR("name"), arena),
        .nick = xml_child_text(conference, STR("nick"), ns, arena),
        .password = xml_child_text(conference, STR("password"), ns, arena),
        .autojoin = is_true(xml_attr(conference, STR("autojoin"), arena)),
    };
}

static bool is_same(const struct room *a, const struct room *b)
{
    return str_eq(a->name, b->name) && str_eq(a->nick, b->nick) && str_eq(a->password, b->password) &&
           a->autojoin == b->autojoin;
}

static void write_room(struct buf *xml, const struct room *room)
{
    xml_write_attr(xml, "name", room->name);
    if (room->autojoin)
        buf_lit(xml, " autojoin='true'");
    buf_add_char(xml, '>');
    if (room->nick.p)
        xml_write_element(xml, "nick", str_none, room->nick);
    if (room->password.p)
        xml_write_element(xml, "password", str_none, room->password);
}

/* XEP-0402 §4.2.1: all in one element. */
static str compose(const struct shelf *shelf)
{
    struct arena *arena = &shelf->of.shard->arena;
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<storage xmlns='" NS_OLD_BOOKMARKS "'>");
    buf_add(&xml, shelf->rest);
    for (uint32_t i = 0; i < shelf->count; i++) {
        struct xml_node conference;
        if (shelf->list[i].gone || !xml_parse(shelf->list[i].payload, str_none, &conference))
            continue;
        struct room room = read_room(&conference, STR(NS_BOOKMARKS), arena);
        buf_lit(&xml, "<conference");
        xml_write_attr(&xml, "jid", shelf->list[i].id);
        write_room(&xml, &room);
        buf_lit(&xml, "</conference>");
    }
    buf_lit(&xml, "</storage>");
    str storage = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return storage;
}

/* An item's payload; what only the item knows (`before`, or none) stays. */
static str make_item(const struct room *room, str before, struct arena *arena)
{
    struct xml_node conference, extensions;
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<conference xmlns='" NS_BOOKMARKS "'");
    write_room(&xml, room);
    if (before.p && xml_parse(before, str_none, &conference) &&
        xml_child(&conference, STR("extensions"), STR(NS_BOOKMARKS), &extensions))
        pubsub_write_payload(&xml, &extensions, arena);
    buf_lit(&xml, "</conference>");
    str payload = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return payload;
}

/* ---- From old to new
 * ------------------------------------------------------------------------------------------------ */

/* The room's address, if the child of a <storage/> is a room. */
static bool is_room(const struct xml_node *child, struct arena *arena, struct jid *ret)
{
    str jid = xml_is(child, STR("conference"), STR(NS_OLD_BOOKMARKS)) ? xml_attr(child, STR("jid"), arena)
                                                                      : str_none;
    return jid.len && jid_parse(jid, arena, ret) == OK;
}

static void take_room(struct shelf *shelf, const struct xml_node *child, str id)
{
    struct arena *arena = &shelf->of.shard->arena;
    struct bookmark *bookmark = find(shelf, id);
    struct room room = read_room(child, STR(NS_OLD_BOOKMARKS), arena);
    struct xml_node before;
    if (bookmark && bookmark->seen)
        return; /* named twice */
    if (bookmark && xml_parse(bookmark->payload, str_none, &before)) {
        struct room known = read_room(&before, STR(NS_BOOKMARKS), arena);
        bookmark->seen = true;
        if (is_same(&known, &room))
            return;
    }
    str payload = make_item(&room, bookmark ? bookmark->payload : str_none, arena);
    if (own_publish(&shelf->of, STR(NS_BOOKMARKS), OWN_LIST, id, payload, shelf->cause))
        put(shelf, id, payload)->seen = true;
}

static void keep_rest(struct shelf *shelf, str rest)
{
    str owner = actor_bare(shelf->of.actor);
    if (str_eq(rest, shelf->rest))
        return;
    shelf->rest = arena_str(&shelf->of.shard->arena, rest);
    struct store_batch *batch = actor_write(shelf->of.actor, shelf->cause);
    if (rest.len)
        store_put(batch, owner, STR("bookmarks"), STR(""), rest);
    else
        store_del(batch, owner, STR("bookmarks"), STR(""));
}

static void drop_unseen(struct shelf *shelf)
{
    struct node *node = nodes_find(shelf->of.nodes, STR(NS_BOOKMARKS));
    for (uint32_t i = 0; node && i < shelf->count; i++) {
        struct bookmark *bookmark = &shelf->list[i];
        uint32_t index = node_find_item(node, bookmark->id);
        bookmark->gone = !bookmark->seen;
        if (bookmark->gone && index < node->items.count)
            publish_remove(&shelf->of, node, index, true, shelf->cause);
    }
}

/* XEP-0402 §4.2.2: the items become what the list says. */
static void take_storage(struct shelf *shelf, const struct xml_node *storage)
{
    struct arena *arena = &shelf->of.shard->arena;
    struct xml_node child;
    struct jid jid;
    struct buf rest;
    buf_init(&rest, XML_MAX);
    own_make_fit(&shelf->of, STR(NS_BOOKMARKS), OWN_LIST, shelf->cause);
    for (bool more = xml_first(storage, &child); more; more = xml_next(&child)) {
        if (is_room(&child, arena, &jid))
            take_room(shelf, &child, jid.full);
        else
            pubsub_write_payload(&rest, &child, arena);
    }
    drop_unseen(shelf);
    keep_rest(shelf, buf_str(&rest));
    buf_fini(&rest);
}

/* More rooms than a node may have would drop out unseen; so would one that is too large. */
static bool has_room(const struct pubsub *of, const struct xml_node *storage)
{
    struct xml_node child;
    struct jid jid;
    uint32_t count = 0, most = of->limits->item_bytes < ITEM_MAX ? of->limits->item_bytes : ITEM_MAX;
    bool fits = own_has_room(of, STR(NS_BOOKMARKS), 0);
    for (bool more = xml_first(storage, &child); more; more = xml_next(&child)) {
        count += is_room(&child, &of->shard->arena, &jid);
        fits = fits && child.bytes.len + sizeof NS_BOOKMARKS <= most;
    }
    return !count || (fits && count <= of->limits->items);
}

/* ---- From new to old
 * ------------------------------------------------------------------------------------------------ */

static bool is_wanted(const struct user *user)
{
    list_each (at, &user->sessions)
        if (interest_wants(SESSION_OF(at), STR(NS_OLD_BOOKMARKS)))
            return true;
    return false;
}

/* The old node's item; nobody but the account may see it (XEP-0411 §5). */
static void publish_old(struct shelf *shelf)
{
    struct pubsub *of = &shelf->of;
    const struct node *node = nodes_find(of->nodes, STR(NS_OLD_BOOKMARKS));
    str id = STR("current");
    if (node && node->items.count)
        id = arena_str(&of->shard->arena, item_id(node_item(node, node->items.count - 1)));
    own_make_fit(of, STR(NS_OLD_BOOKMARKS), OWN_CURRENT, shelf->cause);
    own_publish(of, STR(NS_OLD_BOOKMARKS), OWN_CURRENT, id, compose(shelf), shelf->cause);
}

static void update_old(struct shelf *shelf)
{
    if (nodes_find(shelf->of.nodes, STR(NS_OLD_BOOKMARKS)) || is_wanted(shelf->of.user))
        publish_old(shelf);
}

static enum hook_ret published(struct host *host, struct node_event *event)
{
    struct bookmarks_user *user = ext_user(event->user, &slot);
    struct shelf *shelf = user->shelf;
    (void)host;
    if (shelf && str_is(event->node, NS_BOOKMARKS)) {
        put(shelf, event->id, event->payload);
        shelf->changed = true;
    } else if (shelf && str_is(event->node, NS_OLD_BOOKMARKS)) {
        shelf->published = event->payload;
    }
    return HOOK_NEXT;
}

static enum hook_ret retracted(struct host *host, struct node_event *event)
{
    struct bookmarks_user *user = ext_user(event->user, &slot);
    struct bookmark *bookmark =
        user->shelf && str_is(event->node, NS_BOOKMARKS) ? find(user->shelf, event->id) : NULL;
    (void)host;
    if (bookmark)
        bookmark->gone = user->shelf->changed = true;
    return HOOK_NEXT;
}

/* ---- Requests
 * -------------------------------------------------------------------------------------------------------- */

static void got_for_nodes(struct ext_op *op, struct iq_event *event); /* -> copied */
static void copied(struct ext_op *op, struct iq_event *event);
static void got_for_get(struct ext_op *op, struct iq_event *event);
static void got_for_set(struct ext_op *op, struct iq_event *event);

static void read_items(struct iq_event *event, bool hold, ext_step *step)
{
    struct pubsub of = pep_of(event->user);
    struct arena *arena = &event->shard->arena;
    const struct node *node = nodes_find(of.nodes, STR(NS_BOOKMARKS));
    struct ext_op *op = ext_op_new(event, sizeof *op);
    str kinds = STR("bookmarks");
    if (node)
        kinds = arena_printf(arena, "bookmarks,%.*s", STR_ARGS(node_item_kind(node, arena)));
    if (hold)
        ext_op_hold(op);
    store_get_all(ext_op_store(op), event->shard->loop, ext_op_owner(op), kinds, ext_op_read(op, step));
}

static bool read_failed(const struct ext_op *op, struct iq_event *event)
{
    if (op->read.err != OK)
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    return op->read.err != OK;
}

/* The <storage/> that a request publishes to the old node, if it does. */
static bool published_storage(const struct xml_node *pubsub, struct xml_node ret_path[3])
{
    return xml_child(pubsub, STR("publish"), STR(NS_PUBSUB), &ret_path[0]) &&
           xml_child(&ret_path[0], STR("item"), STR(NS_PUBSUB), &ret_path[1]) &&
           xml_child(&ret_path[1], STR("storage"), STR(NS_OLD_BOOKMARKS), &ret_path[2]);
}

static void handle(struct shelf *shelf, struct iq_event *event)
{
    struct bookmarks_user *user = ext_user(event->user, &slot);
    struct xml_node storage;
    user->shelf = shelf;
    pubsub_handle(&shelf->of, event);
    user->shelf = NULL;
    if (shelf->published.p && xml_parse(shelf->published, str_none, &storage))
        take_storage(shelf, &storage);
    else if (shelf->changed)
        update_old(shelf);
}

/* The old node comes into being; what was asked for follows when it is on disk. */
static void copy_first(struct shelf *shelf, struct iq_event *event)
{
    struct ext_op *op = ext_op_new(event, sizeof *op);
    shelf->cause = NULL;
    publish_old(shelf);
    store_get(ext_op_store(op), event->shard->loop, ext_op_owner(op), STR("bookmarks"), STR(""),
              ext_op_read(op, copied));
}

static void copied(struct ext_op *op, struct iq_event *event)
{
    struct pubsub of = pep_of(event->user);
    (void)op;
    pubsub_handle(&of, event);
}

static bool names_old(const struct iq_event *event)
{
    struct xml_node action;
    return xml_first(&event->child, &action) &&
           str_is(xml_attr(&action, STR("node"), &event->shard->arena), NS_OLD_BOOKMARKS);
}

static void got_for_nodes(struct ext_op *op, struct iq_event *event)
{
    struct shelf *shelf = ARENA_NEW(&event->shard->arena, struct shelf);
    struct xml_node path[3];
    if (read_failed(op, event))
        return;
    fill(shelf, event, &op->read);
    bool old = names_old(event), is_large = !old && event->child.bytes.len > ITEM_MAX,
         publishes = old && published_storage(&event->child, path);
    if (is_large)
        fault_answer(event, &fault_payload_too_big, str_none, NULL);
    else if (publishes && !has_room(&shelf->of, &path[2]))
        fault_answer(event, &fault_payload_too_big, str_none, "there is no room for so many bookmarks");
    else if (old && !publishes && shelf->count && !nodes_find(shelf->of.nodes, STR(NS_OLD_BOOKMARKS)))
        copy_first(shelf, event);
    else
        handle(shelf, event);
}

/* Whether the items must be read before this request is handled: it may change them, or asks for the copy
 * that is not there yet. */
static bool concerns_us(const struct iq_event *event)
{
    struct pubsub of = pep_of(event->user);
    struct xml_node action;
    if (!xml_first(&event->child, &action))
        return false;
    str name = xml_attr(&action, STR("node"), &event->shard->arena);
    bool old = str_is(name, NS_OLD_BOOKMARKS);
    if (!old && !str_is(name, NS_BOOKMARKS))
        return false;
    const struct node *node = nodes_find(of.nodes, name);
    struct jid own = user_jid(event->user);
    if (node && event->iq->type == TYPE_SET)
        return access_publish(&of, node, &event->iq->from);
    return !node && (old || event->iq->type == TYPE_SET) && jid_eq_bare(&event->iq->from, &own);
}

static enum hook_ret request(struct host *host, struct iq_event *event)
{
    bool is_pubsub = xml_is(&event->child, STR("pubsub"), STR(NS_PUBSUB)) ||
                     xml_is(&event->child, STR("pubsub"), STR(NS_PUBSUB_OWNER));
    if (!is_pubsub || !event->user || event->user->anonymous || !pep_is_on(host) || !concerns_us(event))
        return HOOK_NEXT;
    read_items(event, true, got_for_nodes);
    return HOOK_DONE;
}

/* ---- Private storage
 * ------------------------------------------------------------------------------------------------ */

bool bookmarks_take(const struct iq_event *event, const struct xml_node *element)
{
    return ext_is_on(event->host, &ext_bookmarks) && pep_is_on(event->host) &&
           xml_is(element, STR("storage"), STR(NS_OLD_BOOKMARKS));
}

void bookmarks_private_get(struct iq_event *event)
{
    read_items(event, false, got_for_get);
}

static void got_for_get(struct ext_op *op, struct iq_event *event)
{
    struct shelf shelf;
    struct buf xml;
    if (read_failed(op, event))
        return;
    fill(&shelf, event, &op->read);
    if (!shelf.rest.len && !nodes_find(shelf.of.nodes, STR(NS_BOOKMARKS))) {
        private_read(event);
        return;
    }
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_PRIVATE "'>");
    buf_add(&xml, compose(&shelf));
    buf_lit(&xml, "</query>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

void bookmarks_private_set(struct iq_event *event)
{
    read_items(event, true, got_for_set);
}

static void got_for_set(struct ext_op *op, struct iq_event *event)
{
    struct shelf shelf;
    struct xml_node storage;
    if (read_failed(op, event) || !xml_first(&event->child, &storage))
        return;
    fill(&shelf, event, &op->read);
    if (!has_room(&shelf.of, &storage)) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "there is no room for so many bookmarks");
        return;
    }
    store_del(user_write(event->user, event->iq), actor_bare(event->actor), STR("private"),
              STR(PRIVATE_BOOKMARKS));
    route_result(event->shard, event->iq, str_of("", 0));
    take_storage(&shelf, &storage);
    update_old(&shelf);
}

/* ---- As an extension
 * ------------------------------------------------------------------------------------------------ */

static const struct ext_hook hooks[] = {
    HOOK(request, PHASE_OBSERVE, request),
    HOOK(item_published, PHASE_OBSERVE, published),
    HOOK(item_retracted, PHASE_OBSERVE, retracted),
    { 0 },
};

const struct ext ext_bookmarks = {
    .slot = &slot,
    .name = "bookmarks",
    .title = "PEP Native Bookmarks",
    .xep = { 402, "1.2.0" },
    .more = (const struct ext_xep[]){ { 48, "1.2" }, { 223, "1.1.1" }, { 411, "1.1.0" }, { 0 } },
    .account_features = (const char *const[]){ NS_BOOKMARKS "#compat", NS_BOOKMARKS "#compat-pep",
                                               "urn:xmpp:bookmarks-conversion:0", NULL },
    .hooks = hooks,
    .user_size = sizeof(struct bookmarks_user),
};
