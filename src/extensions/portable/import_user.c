/* SPDX-License-Identifier: MIT */
/* XEP-0227's <user/> as rows of one batch: every element by its reader. What is not understood, or would not
 * fit, is left out and named in the answer. Nobody's message is trusted: all bytes have passed the scanner,
 * and rows are written anew from what was read. Pure: nothing is read or written elsewhere. Sections are of
 * XEP-0227. */
#include "extensions/portable/import.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "xml/write.h"
#include "xmpp/delay.h"
#include "xmpp/ns.h"

enum { ROW_MAX = 64 << 20, ITERATIONS_MAX = 10000000, NOTES_MAX = 256, ABOUT_MAX = 128 };

const char *import_document_read(str text, struct arena *arena, struct import_document *ret, str *ret_address)
{
    if (!xml_parse(text, str_none, &ret->root))
        return "that is not well-formed XML";
    if (!xml_is(&ret->root, STR("server-data"), STR(NS_PIE)) ||
        !xml_child(&ret->root, STR("host"), STR(NS_PIE), &ret->host) ||
        !xml_child(&ret->host, STR("user"), STR(NS_PIE), &ret->user))
        return "that is no user in the format of XEP-0227";
    str name = xml_attr(&ret->user, STR("name"), arena);
    str domain = xml_attr(&ret->host, STR("jid"), arena);
    if (!domain.len || jid_prepare_local(name, arena, &name) != OK)
        return "the name of the user or its host is none that an address can have";
    *ret_address = arena_printf(arena, "%.*s@%.*s", STR_ARGS(name), STR_ARGS(domain));
    return NULL;
}

/* Without what would end the line, or do more to a terminal than show: controls of ASCII and C1. */
static str printable(str text, struct arena *arena)
{
    str copy = arena_str(arena, text);
    char *to = (char *)copy.p;
    for (size_t i = 0; i < copy.len; i++) {
        unsigned char byte = (unsigned char)to[i], next = i + 1 < copy.len ? (unsigned char)to[i + 1] : 0;
        if (byte < ' ' || byte == 0x7f)
            to[i] = '?';
        else if (byte == 0xc2 && next < 0xa0)
            to[i] = to[i + 1] = '?';
    }
    return copy;
}

void import_note(struct importing *importing, const char *what, str about)
{
    str some = printable(utf8_cut(about.len ? about : STR(""), ABOUT_MAX), importing->arena);
    if (importing->notes++ < NOTES_MAX)
        buf_addf(importing->answer, "%.*s: left out %s%s%.*s\n", STR_ARGS(import_owner(importing)), what,
                 some.len ? " " : "", STR_ARGS(some));
}

/* An element that means the same elsewhere, in the arena. */
static str alone(struct importing *importing, const struct xml_node *node)
{
    struct buf xml;
    buf_init(&xml, ROW_MAX);
    pubsub_write_payload(&xml, node, importing->arena);
    str copy = arena_str(importing->arena, buf_str(&xml));
    buf_fini(&xml);
    return copy;
}

/* ---- Credentials
 * ------------------------------------------------------------------------------------------------------ */

static bool read_bytes(struct importing *importing, const struct xml_node *of, str name, size_t min,
                       size_t max, unsigned char *to, size_t *ret_len)
{
    str bytes, text = xml_child_text(of, name, STR(NS_PIE_SCRAM), importing->arena);
    if (!text.p || !base64_decode(importing->arena, str_trim(text), &bytes) || bytes.len < min ||
        bytes.len > max)
        return false;
    memcpy(to, bytes.p, bytes.len);
    *ret_len = bytes.len;
    return true;
}

static bool read_key(struct importing *importing, const struct xml_node *node, size_t at,
                     struct scram_key *ret)
{
    struct scram_key key = { 0 };
    size_t size = digest_size(DIGEST_SHA1 + (enum digest)at), salt, len;
    uint64_t iterations;
    str count = xml_child_text(node, STR("iter-count"), STR(NS_PIE_SCRAM), importing->arena);
    if (!count.p || !str_to_u64(str_trim(count), ITERATIONS_MAX, &iterations) || !iterations ||
        !read_bytes(importing, node, STR("salt"), 1, sizeof key.salt, key.salt, &salt) ||
        !read_bytes(importing, node, STR("server-key"), size, size, key.server_key, &len) ||
        !read_bytes(importing, node, STR("stored-key"), size, size, key.stored_key, &len))
        return false;
    key.iterations = (uint32_t)iterations;
    key.salt_len = (uint8_t)salt;
    *ret = key;
    return true;
}

static void take_credentials(struct importing *importing, const struct xml_node *node)
{
    str mechanism = xml_attr(node, STR("mechanism"), importing->arena);
    for (size_t i = 0; i < COUNT_OF(portable_mechanisms); i++) {
        struct scram_key *key = &importing->keys.key[i];
        if (!str_eq(mechanism, str_from(portable_mechanisms[i])) || key->iterations)
            continue;
        if (read_key(importing, node, i, key)) {
            importing->has_keys = true;
            return;
        }
    }
    import_note(importing, "credentials of", mechanism);
}

/* ---- Roster, requests, blocklist
 * ---------------------------------------------------------------------------------------- */

static bool read_jid(struct importing *importing, const struct xml_node *node, str name, struct jid *ret)
{
    str text = xml_attr(node, name, importing->arena);
    return text.len && jid_parse(text, importing->arena, ret) == OK;
}

static void write_groups(struct importing *importing, const struct xml_node *item, struct buf *out)
{
    struct xml_node child;
    for (bool more = xml_first(item, &child); more; more = xml_next(&child))
        if (xml_is(&child, STR("group"), STR(NS_ROSTER)))
            xml_write_element(out, "group", str_none, xml_text(&child, importing->arena));
}

/* As user_roster.c keeps it. */
static void take_item(struct importing *importing, const struct xml_node *item)
{
    struct jid jid;
    struct buf xml;
    str subscription = xml_attr(item, STR("subscription"), importing->arena);
    if (!read_jid(importing, item, STR("jid"), &jid) || !jid_is_bare(&jid) ||
        str_is(subscription, "remove") || importing->roster_items == importing->roster_max) {
        import_note(importing, "the contact", xml_attr(item, STR("jid"), importing->arena));
        return;
    }
    struct roster roster = { 0 };
    buf_init(&xml, UINT16_MAX);
    xml_write_open(&xml, "item", str_none);
    xml_write_attr(&xml, "name", xml_attr(item, STR("name"), importing->arena));
    xml_write_attr(&xml, "subscription", subscription);
    xml_write_attr(&xml, "ask", xml_attr(item, STR("ask"), importing->arena));
    xml_write_attr(&xml, "approved", xml_attr(item, STR("approved"), importing->arena));
    buf_add_char(&xml, '>');
    write_groups(importing, item, &xml);
    buf_lit(&xml, "</item>");
    if (!buf_failed(&xml) && roster_item_read(&roster, jid.full, buf_str(&xml), importing->arena)) {
        buf_clear(&xml);
        roster_item_write(&xml, roster.items[0]);
    }
    if (roster.count && !buf_failed(&xml)) {
        store_put(importing->batch, import_owner(importing), STR("roster"), jid.full, buf_str(&xml));
        importing->roster_items++;
    } else {
        import_note(importing, "the contact", jid.full);
    }
    roster_fini(&roster);
    buf_fini(&xml);
}

static void take_roster(struct importing *importing, const struct xml_node *query)
{
    struct xml_node child;
    for (bool more = xml_first(query, &child); more; more = xml_next(&child))
        if (xml_is(&child, STR("item"), STR(NS_ROSTER)))
            take_item(importing, &child);
}

/* What XEP-0191 can say: addresses that the default list, or the only one, denies everything. */
static void take_privacy(struct importing *importing, const struct xml_node *query)
{
    const str ns = STR("jabber:iq:privacy");
    struct arena *arena = importing->arena;
    struct xml_node chosen, list, item, inner;
    str name =
        xml_child(query, STR("default"), ns, &chosen) ? xml_attr(&chosen, STR("name"), arena) : str_none;
    for (bool more = xml_first(query, &list); more; more = xml_next(&list)) {
        if (!xml_is(&list, STR("list"), ns))
            continue;
        if (name.p && !str_eq(xml_attr(&list, STR("name"), arena), name)) {
            import_note(importing, "the privacy list", xml_attr(&list, STR("name"), arena));
            continue;
        }
        for (bool next = xml_first(&list, &item); next; next = xml_next(&item)) {
            struct jid jid;
            bool jids = str_is(xml_attr(&item, STR("type"), arena), "jid") && !xml_first(&item, &inner) &&
                        str_is(xml_attr(&item, STR("action"), arena), "deny");
            str value = xml_attr(&item, STR("value"), arena);
            if (jids && value.len && jid_parse(value, arena, &jid) == OK)
                store_put(importing->batch, import_owner(importing), STR("block"), jid.full, STR(""));
            else
                import_note(importing, "a rule of a privacy list", value);
        }
    }
}

bool import_stanza(struct importing *importing, const struct xml_node *node, enum stanza_kind kind,
                   struct stanza *ret)
{
    struct xml_node *copy = ARENA_NEW(importing->arena, struct xml_node);
    return xml_parse(alone(importing, node), STR(NS_CLIENT), copy) &&
           stanza_read(copy, str_none, str_none, importing->arena, ret) == STANZA_OK && ret->kind == kind &&
           !jid_is_none(&ret->from);
}

str import_row(struct importing *importing, struct stanza *stanza, const struct jid *to)
{
    struct buf xml;
    buf_init(&xml, ROW_MAX);
    stanza_write(&xml, stanza, to);
    str row = arena_str(importing->arena, buf_str(&xml));
    buf_fini(&xml);
    return row;
}

static void take_request(struct importing *importing, const struct xml_node *node)
{
    struct stanza presence;
    if (!import_stanza(importing, node, STANZA_PRESENCE, &presence) || presence.type != TYPE_SUBSCRIBE) {
        import_note(importing, "a presence stanza", str_none);
        return;
    }
    presence.from = jid_to_bare(&presence.from);
    store_put(importing->batch, import_owner(importing), STR("request"), presence.from.full,
              import_row(importing, &presence, &importing->jid));
}

/* ---- Offline messages
 * ----------------------------------------------------------------------------------------------- */

static void take_message(struct importing *importing, const struct xml_node *node)
{
    struct stanza message;
    struct delay delay;
    struct jid host = jid_make(STR(""), jid_domain(&importing->jid), STR(""), importing->arena);
    if (!import_stanza(importing, node, STANZA_MESSAGE, &message)) {
        import_note(importing, "an offline message", xml_attr(node, STR("from"), importing->arena));
        return;
    }
    int64_t ms =
        delay_read(&message.node, importing->arena, &delay) && delay.ms > 0 ? delay.ms : importing->now_ms;
    message.node.content = delay_strip(&message, &host, importing->arena);
    uint64_t id = ms > importing->now_ms ? 0 : (uint64_t)ms * 1000;
    if (id <= importing->last_id)
        id = importing->last_id + 1;
    importing->last_id = id;
    const struct jid *to = jid_is_none(&message.to) ? &importing->jid : &message.to;
    store_append(importing->batch, import_owner(importing), STR("offline"),
                 &(struct store_entry){ .id = id,
                                        .time_ms = ms,
                                        .peer = jid_bare(&message.from),
                                        .value = import_row(importing, &message, to) });
}

static void take_messages(struct importing *importing, const struct xml_node *list)
{
    struct xml_node child;
    for (bool more = xml_first(list, &child); more; more = xml_next(&child))
        take_message(importing, &child);
}

/* ---- vCard, private XML
 * ----------------------------------------------------------------------------------------------- */

static void take_vcard(struct importing *importing, const struct xml_node *card)
{
    store_put(importing->batch, import_owner(importing), STR("vcard"), STR(""), alone(importing, card));
}

static void take_private(struct importing *importing, const struct xml_node *query)
{
    struct xml_node child;
    for (bool more = xml_first(query, &child); more; more = xml_next(&child)) {
        str ns = xml_decode_attr(child.ns, importing->arena);
        str key = arena_printf(importing->arena, "%.*s %.*s", STR_ARGS(ns), STR_ARGS(child.name));
        store_put(importing->batch, import_owner(importing), STR("private"), key, alone(importing, &child));
    }
}

/* ---- Nodes
 * --------------------------------------------------------------------------------------------------------------
 */

static struct node *node_named(struct importing *importing, const struct xml_node *element)
{
    str name = xml_attr(element, STR("node"), importing->arena);
    return name.len ? nodes_find(&importing->nodes, name) : NULL;
}

static void take_node(struct importing *importing, const struct xml_node *configure)
{
    str name = xml_attr(configure, STR("node"), importing->arena);
    struct options options = pep_defaults(name);
    struct form form;
    const char *why;
    if (!name.len || name.len > 1024 || nodes_find(&importing->nodes, name)) {
        import_note(importing, "the node", name);
        return;
    }
    if (form_read_child(configure, importing->arena, &form) == OK) {
        form.type = FORM_SUBMIT; /* others write the form as it would be shown */
        if (options_apply(&form, true, &options, &why))
            import_note(importing, "some of the configuration of the node", name);
    }
    struct node *node = nodes_add(&importing->nodes, name);
    options_keep(&options, &node->settings);
    node->created_ms = importing->now_ms;
    node_store(importing->batch, import_owner(importing), node, importing->arena);
}

static void take_affiliations(struct importing *importing, const struct xml_node *list, struct node *node)
{
    struct xml_node child;
    for (bool more = xml_first(list, &child); more; more = xml_next(&child)) {
        enum affiliation affiliation;
        struct jid jid;
        if (!read_jid(importing, &child, STR("jid"), &jid) ||
            !affiliation_named(xml_attr(&child, STR("affiliation"), importing->arena), &affiliation)) {
            import_note(importing, "an affiliation of the node", node_name(node));
            continue;
        }
        jid = jid_to_bare(&jid);
        if (str_eq(jid.full, import_owner(importing)))
            continue;
        node_set_affiliation(node, jid.full, affiliation);
        node_store_affiliation(importing->batch, import_owner(importing), node, jid.full, importing->arena);
    }
}

static void take_subscriptions(struct importing *importing, const struct xml_node *list, struct node *node)
{
    struct xml_node child;
    for (bool more = xml_first(list, &child); more; more = xml_next(&child)) {
        str state = xml_attr(&child, STR("subscription"), importing->arena);
        struct jid jid;
        if (!read_jid(importing, &child, STR("jid"), &jid) ||
            !(str_is(state, "subscribed") || str_is(state, "pending"))) {
            import_note(importing, "a subscription to the node", node_name(node));
            continue;
        }
        struct subscriber *subscriber = node_add_subscriber(node, jid.full);
        subscriber->state = str_is(state, "subscribed") ? SUBSCRIPTION_SUBSCRIBED : SUBSCRIPTION_PENDING;
        node_store_subscription(importing->batch, import_owner(importing), node, jid.full, importing->arena);
    }
}

/* Configurations come first, whatever their order. */
static void take_nodes(struct importing *importing, const struct xml_node *pubsub)
{
    const str ns = STR(NS_PUBSUB "#owner");
    struct xml_node child;
    for (bool more = xml_first(pubsub, &child); more; more = xml_next(&child))
        if (xml_is(&child, STR("configure"), ns))
            take_node(importing, &child);
    for (bool more = xml_first(pubsub, &child); more; more = xml_next(&child)) {
        struct node *node = node_named(importing, &child);
        if (node && xml_is(&child, STR("affiliations"), ns))
            take_affiliations(importing, &child, node);
        else if (node && xml_is(&child, STR("subscriptions"), ns))
            take_subscriptions(importing, &child, node);
        else if (!xml_is(&child, STR("configure"), ns))
            import_note(importing, "what is said of a node:", child.name);
    }
}

static void take_node_items(struct importing *importing, const struct xml_node *items, struct node *node)
{
    struct xml_node child, payload;
    for (bool more = xml_first(items, &child); more; more = xml_next(&child)) {
        str id = xml_attr(&child, STR("id"), importing->arena);
        if (!xml_is(&child, STR("item"), STR(NS_PUBSUB)) || !id.len || id.len > 1024) {
            import_note(importing, "an item of the node", node_name(node));
            continue;
        }
        str xml = xml_first(&child, &payload) ? alone(importing, &payload) : STR("");
        const struct item *item = node_put_item(&importing->nodes, node, id, STR(""), importing->now_ms);
        node_store_item(importing->batch, import_owner(importing), node, item, xml, importing->arena);
    }
}

/* § PEP node items: each node has its configuration in the other element. */
static void take_items(struct importing *importing, const struct xml_node *pubsub)
{
    struct xml_node child;
    for (bool more = xml_first(pubsub, &child); more; more = xml_next(&child)) {
        struct node *node = node_named(importing, &child);
        if (node && xml_is(&child, STR("items"), STR(NS_PUBSUB)))
            take_node_items(importing, &child, node);
        else
            import_note(importing, "items of the node", xml_attr(&child, STR("node"), importing->arena));
    }
}

/* ---- The user
 * ---------------------------------------------------------------------------------------------------------
 */

static void take_disabled(struct importing *importing, const struct xml_node *node)
{
    (void)node;
    importing->disabled = true;
}

/* In the order in which they are taken. */
static const struct {
    const char *name, *ns;
    void (*take)(struct importing *importing, const struct xml_node *node);
} parts[] = {
    { "scram-credentials", NS_PIE_SCRAM, take_credentials },
    { "disabled", NS_OURS, take_disabled },
    { "query", NS_ROSTER, take_roster },
    { "query", "jabber:iq:private", take_private },
    { "query", "jabber:iq:privacy", take_privacy },
    { "vCard", "vcard-temp", take_vcard },
    { "presence", NS_CLIENT, take_request },
    { "offline-messages", NS_PIE, take_messages },
    { "archive", NS_PIE_MAM, import_archive },
    { "pubsub", NS_PUBSUB "#owner", take_nodes },
    { "pubsub", NS_PUBSUB, take_items },
};

static bool is_known(const struct xml_node *node)
{
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (xml_is(node, str_from(parts[i].name), str_from(parts[i].ns)))
            return true;
    return false;
}

void import_user(struct importing *importing, const struct xml_node *user)
{
    struct xml_node child;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        for (bool more = xml_first(user, &child); more; more = xml_next(&child))
            if (xml_is(&child, str_from(parts[i].name), str_from(parts[i].ns)))
                parts[i].take(importing, &child);
    for (bool more = xml_first(user, &child); more; more = xml_next(&child))
        if (!is_known(&child))
            import_note(importing, "the element", child.name);
}
