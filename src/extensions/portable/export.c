/* SPDX-License-Identifier: MIT */
/* One account as XEP-0227's <user/>, straight from its rows: those that are read at once, then the offline
 * messages in pages, then the items of each node. What other requests change meanwhile is in or not, as it
 * happens; each row is whole. Sections are of XEP-0227. */
#include "extensions/portable/portable.h"
#include "server/ext.h"

#include "base/base64.h"
#include "xml/write.h"
#include "xmpp/delay.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { USER_MAX = 64 << 20, PAGE = 50 };

static const char KINDS[] = "account,block,private," PUBSUB_ROWS ",request,roster,vcard";

struct exporting {
    struct request *request;
    struct store_read read;
    struct buf xml;
    struct nodes nodes;
    struct arena arena;
    uint32_t node; /* whose items are next */
    uint64_t last; /* offline message that was written */
};

static struct shard *shard_of(const struct exporting *exporting)
{
    return exporting->request->shard;
}

/* ---- The end
 * -------------------------------------------------------------------------------------------------------- */

static void finish(struct exporting *exporting, const char *error)
{
    struct request *request = exporting->request;
    if (!error && buf_failed(&exporting->xml))
        error = "the account is too large";
    if (!error) {
        buf_addf(&request->answer, "%zu\n", exporting->xml.len);
        buf_add(&request->answer, buf_str(&exporting->xml));
    }
    if (exporting->xml.len)
        mem_wipe(exporting->xml.p, exporting->xml.len);
    buf_fini(&exporting->xml);
    nodes_fini(&exporting->nodes);
    arena_fini(&exporting->arena);
    shard_commit_ended(shard_of(exporting));
    request_done(request, error);
}

/* ---- Nodes (§ Personal Eventing Protocol)
 * ------------------------------------------------------------------------------------------ */

static void write_lists(struct buf *out, const struct node *node)
{
    if (node->affiliates.count) {
        buf_lit(out, "<affiliations");
        xml_write_attr(out, "node", node_name(node));
        buf_add_char(out, '>');
        for (uint32_t i = 0; i < node->affiliates.count; i++) {
            const struct affiliate *one = node->affiliates.at[i];
            buf_lit(out, "<affiliation");
            xml_write_attr(out, "jid", str_of(one->jid, one->jid_len));
            buf_addf(out, " affiliation='%s'/>", affiliation_name((enum affiliation)one->affiliation));
        }
        buf_lit(out, "</affiliations>");
    }
    if (node->subscribers.count) {
        buf_lit(out, "<subscriptions");
        xml_write_attr(out, "node", node_name(node));
        buf_add_char(out, '>');
        for (uint32_t i = 0; i < node->subscribers.count; i++) {
            const struct subscriber *one = node->subscribers.at[i];
            buf_lit(out, "<subscription");
            xml_write_attr(out, "jid", subscriber_jid(one));
            buf_addf(out, " subscription='%s'/>", subscription_name((enum subscription_state)one->state));
        }
        buf_lit(out, "</subscriptions>");
    }
}

static void write_nodes(struct exporting *exporting)
{
    struct buf *out = &exporting->xml;
    buf_lit(out, "<pubsub xmlns='" NS_PUBSUB "#owner'>");
    for (uint32_t i = 0; i < exporting->nodes.count; i++) {
        const struct node *node = exporting->nodes.list[i];
        struct options options;
        options_of(&node->settings, &exporting->arena, &options);
        buf_lit(out, "<configure");
        xml_write_attr(out, "node", node_name(node));
        buf_add_char(out, '>');
        options_write(out, FORM_SUBMIT, &options);
        buf_lit(out, "</configure>");
        write_lists(out, node);
    }
    buf_lit(out, "</pubsub><pubsub xmlns='" NS_PUBSUB "'>");
}

static void next_node(struct exporting *exporting);

static const struct store_row *row_of(const struct store_read *read, str key)
{
    size_t low = 0, high = read->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(read->rows[middle].key, key);
        if (!order)
            return &read->rows[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* In the order in which they were published. */
static void items_read(struct store_read *read)
{
    struct exporting *exporting = CONTAINER_OF(read, struct exporting, read);
    const struct node *node = exporting->nodes.list[exporting->node++];
    struct shard *shard = shard_of(exporting);
    struct buf *out = &exporting->xml;
    enum err err = read->err;
    shard_enter(shard);
    buf_lit(out, "<items");
    xml_write_attr(out, "node", node_name(node));
    buf_add_char(out, '>');
    for (uint32_t i = 0; err == OK && i < node->items.count; i++) {
        str id = item_id(node_item(node, i));
        const struct store_row *row = row_of(read, id);
        if (!row)
            continue;
        buf_lit(out, "<item");
        xml_write_attr(out, "id", id);
        buf_add_char(out, '>');
        buf_add(out, row->value);
        buf_lit(out, "</item>");
    }
    buf_lit(out, "</items>");
    store_read_fini(read);
    if (err == OK)
        next_node(exporting);
    else
        finish(exporting, err_text(err));
    shard_leave(shard);
}

static void next_node(struct exporting *exporting)
{
    struct shard *shard = shard_of(exporting);
    if (exporting->node == exporting->nodes.count || buf_failed(&exporting->xml)) {
        buf_add(&exporting->xml, exporting->nodes.count ? STR("</pubsub></user>") : STR("</user>"));
        finish(exporting, NULL);
        return;
    }
    exporting->read = (struct store_read){ .done = items_read };
    store_get_all(shard->server->store, shard->loop, exporting->request->jid.full,
                  node_item_kind(exporting->nodes.list[exporting->node], &exporting->arena),
                  &exporting->read);
}

/* ---- Offline messages
 * ------------------------------------------------------------------------------------------------ */

/* A stanza as it is kept, in the namespace that it is in. */
static void write_stanza(struct buf *out, str kept, str payload)
{
    size_t name = 1;
    while (name < kept.len && kept.p[name] != ' ' && kept.p[name] != '/' && kept.p[name] != '>')
        name++;
    buf_add(out, str_sub(kept, 0, name));
    buf_lit(out, " xmlns='" NS_CLIENT "'");
    if (!payload.len) {
        buf_add(out, str_sub(kept, name, kept.len));
        return;
    }
    struct xml_node node;
    if (!xml_parse(kept, STR(NS_CLIENT), &node))
        return;
    buf_add(out, node.attrs);
    buf_add_char(out, '>');
    buf_add(out, node.content);
    buf_add(out, payload);
    buf_addf(out, "</%.*s>", STR_ARGS(node.name));
}

static void write_message(struct exporting *exporting, const struct store_entry *entry)
{
    struct buf delay;
    buf_init(&delay, 1024);
    delay_write(&delay, jid_domain(&exporting->request->jid), entry->time_ms);
    write_stanza(&exporting->xml, entry->value, buf_str(&delay));
    buf_fini(&delay);
    exporting->last = entry->id;
}

static void ask_messages(struct exporting *exporting);

static void messages_read(struct store_read *read)
{
    struct exporting *exporting = CONTAINER_OF(read, struct exporting, read);
    struct shard *shard = shard_of(exporting);
    enum err err = read->err;
    shard_enter(shard);
    if (!exporting->last && read->count)
        buf_lit(&exporting->xml, "<offline-messages>");
    for (size_t i = 0; err == OK && i < read->count; i++)
        write_message(exporting, &read->entries[i]);
    bool more = err == OK && read->count == PAGE && !buf_failed(&exporting->xml);
    store_read_fini(read);
    if (err != OK) {
        finish(exporting, err_text(err));
    } else if (more) {
        ask_messages(exporting);
    } else {
        if (exporting->last)
            buf_lit(&exporting->xml, "</offline-messages>");
        if (exporting->nodes.count)
            write_nodes(exporting);
        next_node(exporting);
    }
    shard_leave(shard);
}

static void ask_messages(struct exporting *exporting)
{
    struct shard *shard = shard_of(exporting);
    struct store_log_query query = { .after_id = exporting->last, .limit = PAGE };
    exporting->read = (struct store_read){ .done = messages_read };
    store_log_find(shard->server->store, shard->loop, exporting->request->jid.full, STR("offline"), &query,
                   &exporting->read);
}

/* ---- Rows
 * ------------------------------------------------------------------------------------------------------------
 */

/* The elements that the format wants around all rows of a kind; in the order of the kinds in the store. */
static const struct wrapper {
    const char *kind, *open, *close;
} wrappers[] = {
    { "block", "<query xmlns='jabber:iq:privacy'><default name='blocklist'/><list name='blocklist'>",
      "</list></query>" },
    { "private", "<query xmlns='jabber:iq:private'>", "</query>" },
    { "request", "", "" },
    { "roster", "<query xmlns='" NS_ROSTER "'>", "</query>" },
    { "vcard", "", "" },
};

static void write_credentials(struct buf *out, str value, struct arena *arena)
{
    struct scram_keys keys;
    bool disabled = account_is_disabled(value);
    if (disabled)
        value = str_sub(value, sizeof ACCOUNT_DISABLED - 1, value.len);
    if (!scram_keys_read(value, &keys))
        return;
    for (size_t i = 0; i < COUNT_OF(keys.key); i++) {
        const struct scram_key *key = &keys.key[i];
        size_t size = digest_size(DIGEST_SHA1 + (enum digest)i);
        if (!key->iterations)
            continue;
        str salt = base64_encode_arena(arena, str_of((const char *)key->salt, key->salt_len));
        str server = base64_encode_arena(arena, str_of((const char *)key->server_key, size));
        str stored = base64_encode_arena(arena, str_of((const char *)key->stored_key, size));
        buf_addf(out,
                 "<scram-credentials xmlns='" NS_PIE_SCRAM "' mechanism='%s'><iter-count>%u</iter-count>"
                 "<salt>%.*s</salt><server-key>%.*s</server-key><stored-key>%.*s</stored-key>"
                 "</scram-credentials>",
                 portable_mechanisms[i], key->iterations, STR_ARGS(salt), STR_ARGS(server), STR_ARGS(stored));
    }
    if (disabled)
        buf_lit(out, "<disabled xmlns='" NS_OURS "'/>");
    mem_wipe(&keys, sizeof keys);
}

static void write_row(struct exporting *exporting, const struct store_row *row, size_t index)
{
    struct buf *out = &exporting->xml;
    if (str_is(row->kind, "block")) {
        buf_lit(out, "<item type='jid'");
        xml_write_attr(out, "value", row->key);
        buf_addf(out, " action='deny' order='%zu'/>", index + 1);
    } else if (str_is(row->kind, "request")) {
        write_stanza(out, row->value, str_none);
    } else {
        buf_add(out, row->value);
    }
}

static void write_rows(struct exporting *exporting, const struct store_read *read,
                       const struct wrapper *wrapper)
{
    size_t count = 0;
    for (size_t i = 0; i < read->count; i++) {
        if (!str_eq(read->rows[i].kind, str_from(wrapper->kind)))
            continue;
        if (!count)
            buf_add(&exporting->xml, str_from(wrapper->open));
        write_row(exporting, &read->rows[i], count++);
    }
    if (count)
        buf_add(&exporting->xml, str_from(wrapper->close));
}

/* The row that is the account; NULL if there is none. */
static const struct store_row *account_of(const struct store_read *read)
{
    for (size_t i = 0; i < read->count; i++)
        if (str_is(read->rows[i].kind, "account") && !read->rows[i].key.len)
            return &read->rows[i];
    return NULL;
}

static void write_account(struct exporting *exporting, const struct store_row *account)
{
    const struct store_read *read = &exporting->read;
    struct buf *out = &exporting->xml;
    xml_write_open(out, "user", str_none);
    xml_write_attr(out, "name", jid_local(&exporting->request->jid));
    buf_add_char(out, '>');
    write_credentials(out, account->value, &exporting->arena);
    for (size_t i = 0; i < COUNT_OF(wrappers); i++)
        write_rows(exporting, read, &wrappers[i]);
    for (size_t i = 0; i < read->count; i++)
        if (str_starts(read->rows[i].kind, STR("pubsub")))
            nodes_load_row(&exporting->nodes, &read->rows[i], &exporting->arena);
}

static void rows_read(struct store_read *read)
{
    struct exporting *exporting = CONTAINER_OF(read, struct exporting, read);
    struct shard *shard = shard_of(exporting);
    enum err err = read->err;
    shard_enter(shard);
    const struct store_row *account = account_of(read);
    if (account)
        write_account(exporting, account);
    store_read_fini(read);
    if (account)
        ask_messages(exporting);
    else
        finish(exporting, err == OK ? "there is no such account" : err_text(err));
    shard_leave(shard);
}

void portable_export(struct request *request)
{
    struct shard *shard = request->shard;
    if (!request_account(request))
        return;
    struct exporting *exporting = ARENA_NEW(&request->arena, struct exporting);
    *exporting = (struct exporting){ .request = request, .read.done = rows_read };
    buf_init(&exporting->xml, USER_MAX);
    arena_init(&exporting->arena, 4096);
    shard_commit_began(shard);
    store_get_all(shard->server->store, shard->loop, request->jid.full, str_from(KINDS), &exporting->read);
}
