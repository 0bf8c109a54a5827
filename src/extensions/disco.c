/* SPDX-License-Identifier: MIT */
/* XEP-0030 2.5rc3: service discovery of hosts and accounts; XEP-0115 1.6.0: the host's capabilities in its
 * stream features; XEP-0157 1.1.1: contact addresses as an extension of the host's information (XEP-0128).
 *
 * What is told comes from the extensions' descriptors. An account's information is for who may see its
 * presence; a stranger gets service-unavailable, as from an account that does not exist (XEP-0030 §8). Nodes
 * are not known here: item-not-found. */
#include "base/base64.h"
#include "base/digest.h"
#include "server/ext.h"
#include "xml/write.h"

#include <stdlib.h>

#define NS_INFO  "http://jabber.org/protocol/disco#info"
#define NS_ITEMS "http://jabber.org/protocol/disco#items"
#define NS_CAPS  "http://jabber.org/protocol/caps"
#define NODE     "https://jabiru.im/"

enum { FEATURES_MAX = 256, IDENTITIES_MAX = 16, XML_MAX = 64 * 1024 };

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All features of one kind of address, sorted. */
static size_t gather(const struct host *host, bool account, const char **names)
{
    size_t count = 0;
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++) {
        if (!ext_is_on(host, *ext))
            continue;
        const char *const *list = account ? (*ext)->account_features : (*ext)->features;
        for (; list && *list && count < FEATURES_MAX; list++)
            names[count++] = *list;
    }
    qsort(names, count, sizeof *names, by_bytes);
    return count;
}

/* ---- Identities
 * -------------------------------------------------------------------------------------------------- */

static const struct ext_identity own_identities[] = {
    { TO_HOST, "server", "im", "Jabiru" },
    { TO_ACCOUNT, "account", "registered", NULL },
    { 0 },
};

static int by_kind(const void *a, const void *b)
{
    const struct ext_identity *one = a, *other = b;
    int order = strcmp(one->category, other->category);
    return order ? order : strcmp(one->type, other->type);
}

/* All of one kind of address, in the order that XEP-0115 wants. */
static size_t gather_identities(const struct host *host, bool account, struct ext_identity *list)
{
    enum ext_target target = account ? TO_ACCOUNT : TO_HOST;
    size_t count = 0;
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++) {
        const struct ext_identity *row = ext_is_on(host, *ext) ? (*ext)->identities : NULL;
        for (; row && row->category && count < IDENTITIES_MAX; row++)
            if (row->target == target)
                list[count++] = *row;
    }
    qsort(list, count, sizeof *list, by_kind);
    return count;
}

/* ---- Contact addresses
 * ----------------------------------------------------------------------------------------------- */

struct contact {
    const char *field;
    const struct config_list *addresses;
};

enum { CONTACTS = 6 };

/* In the order of their names, as XEP-0115 wants them. */
static void contacts(const struct config_host *config, struct contact to[CONTACTS])
{
    to[0] = (struct contact){ "abuse-addresses", &config->contact_abuse };
    to[1] = (struct contact){ "admin-addresses", &config->contact_admin };
    to[2] = (struct contact){ "feedback-addresses", &config->contact_feedback };
    to[3] = (struct contact){ "sales-addresses", &config->contact_sales };
    to[4] = (struct contact){ "security-addresses", &config->contact_security };
    to[5] = (struct contact){ "support-addresses", &config->contact_support };
}

static bool has_contacts(const struct contact list[CONTACTS])
{
    for (size_t i = 0; i < CONTACTS; i++)
        if (list[i].addresses->count)
            return true;
    return false;
}

static void write_contacts(struct buf *xml, const struct config_host *config)
{
    struct contact list[CONTACTS];
    contacts(config, list);
    if (!has_contacts(list))
        return;
    buf_lit(xml, "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
                 "<value>http://jabber.org/network/serverinfo</value></field>");
    for (size_t i = 0; i < CONTACTS; i++) {
        if (!list[i].addresses->count)
            continue;
        buf_addf(xml, "<field var='%s' type='list-multi'>", list[i].field);
        for (size_t k = 0; k < list[i].addresses->count; k++)
            xml_write_element(xml, "value", str_none, str_from(list[i].addresses->items[k]));
        buf_lit(xml, "</field>");
    }
    buf_lit(xml, "</x>");
}

/* ---- Capabilities (XEP-0115 §5.1)
 * -------------------------------------------------------------------------------------- */

static void hash_contacts(struct buf *text, const struct config_host *config, struct arena *arena)
{
    struct contact list[CONTACTS];
    contacts(config, list);
    if (!has_contacts(list))
        return;
    buf_lit(text, "http://jabber.org/network/serverinfo<");
    for (size_t i = 0; i < CONTACTS; i++) {
        size_t count = list[i].addresses->count;
        if (!count)
            continue;
        const char **values = arena_alloc(arena, count * sizeof *values);
        for (size_t k = 0; k < count; k++)
            values[k] = list[i].addresses->items[k];
        qsort(values, count, sizeof *values, by_bytes);
        buf_addf(text, "%s<", list[i].field);
        for (size_t k = 0; k < count; k++)
            buf_addf(text, "%s<", values[k]);
    }
}

static str verification(struct host *host, struct arena *arena)
{
    const char *names[FEATURES_MAX];
    size_t count = gather(host, false, names);
    unsigned char hash[DIGEST_MAX_SIZE];
    struct buf text;
    buf_init(&text, XML_MAX);
    struct ext_identity identities[IDENTITIES_MAX];
    size_t identity_count = gather_identities(host, false, identities);
    for (size_t i = 0; i < identity_count; i++)
        buf_addf(&text, "%s/%s//%s<", identities[i].category, identities[i].type,
                 identities[i].name ? identities[i].name : "");
    for (size_t i = 0; i < count; i++)
        buf_addf(&text, "%s<", names[i]);
    hash_contacts(&text, host->config, arena);
    digest_hash(DIGEST_SHA1, buf_str(&text), hash);
    buf_fini(&text);
    return base64_encode_arena(arena, str_of((char *)hash, digest_size(DIGEST_SHA1)));
}

static void stream_features(struct host *host, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, 1024);
    str ver = verification(host, &arena);
    buf_addf(out, "<c xmlns='" NS_CAPS "' hash='sha-1' node='" NODE "' ver='%.*s'/>", STR_ARGS(ver));
    arena_fini(&arena);
}

/* ---- Answers
 * ----------------------------------------------------------------------------------------------------------
 */

static void write_identities(struct buf *xml, const struct host *host, bool account)
{
    struct ext_identity list[IDENTITIES_MAX];
    size_t count = gather_identities(host, account, list);
    for (size_t i = 0; i < count; i++) {
        buf_addf(xml, "<identity category='%s' type='%s'", list[i].category, list[i].type);
        if (list[i].name)
            buf_addf(xml, " name='%s'", list[i].name);
        buf_lit(xml, "/>");
    }
}

/* Who we are: the address itself, without a node or with that of our capabilities. */
static void write_self(struct iq_event *event, struct buf *xml)
{
    const char *names[FEATURES_MAX];
    bool account = event->user != NULL;
    size_t count = gather(event->host, account, names);
    write_identities(xml, event->host, account);
    for (size_t i = 0; i < count; i++)
        buf_addf(xml, "<feature var='%s'/>", names[i]);
    if (!account)
        write_contacts(xml, event->host->config);
}

typedef enum hook_ret disco_fire(struct host *host, struct disco_event *event);

/* Answers with what is in the <query/> already and what the extensions know of the node. */
static void answer(struct iq_event *event, const char *ns, str node, bool self, disco_fire *fire)
{
    struct buf xml;
    struct disco_event disco = {
        .request = event, .node = node.p ? node : STR(""), .xml = &xml, .known = self
    };
    buf_init(&xml, XML_MAX);
    buf_addf(&xml, "<query xmlns='%s'", ns);
    xml_write_attr(&xml, "node", node);
    buf_lit(&xml, ">");
    if (self && fire == fire_disco_info)
        write_self(event, &xml);
    fire(event->host, &disco);
    buf_lit(&xml, "</query>");
    if (disco.known)
        ext_result(event, &xml);
    else
        ext_error(event, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    buf_fini(&xml);
}

static bool is_own_caps_node(struct iq_event *event, str node)
{
    str prefix = STR(NODE "#");
    return !event->user && str_starts(node, prefix) &&
           str_eq(str_sub(node, prefix.len, node.len), verification(event->host, &event->shard->arena));
}

static void info(struct iq_event *event)
{
    str node = xml_attr(&event->child, STR("node"), &event->shard->arena);
    if (event->user && !ext_may_see(event))
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        answer(event, NS_INFO, node, !node.len || is_own_caps_node(event, node), fire_disco_info);
}

static void items(struct iq_event *event)
{
    str node = xml_attr(&event->child, STR("node"), &event->shard->arena);
    if (event->user && !ext_may_see(event))
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        answer(event, NS_ITEMS, node, !node.len, fire_disco_items);
}

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "query", NS_INFO, info },
    { TYPE_GET, TO_HOST, "query", NS_ITEMS, items },
    { TYPE_GET, TO_ACCOUNT, "query", NS_INFO, info },
    { TYPE_GET, TO_ACCOUNT, "query", NS_ITEMS, items },
    { 0 },
};

/* The domains of services below the host. */
static enum hook_ret list_services(struct host *host, struct disco_event *event)
{
    const struct server *server = host->server;
    for (size_t i = 0; !event->request->user && !event->node.len && i < server->host_count; i++) {
        const struct host *service = server->host_list[i];
        if (service->parent == host && ext_is_on(service, service->service))
            buf_addf(event->xml, "<item jid='%s'/>", service->name);
    }
    return HOOK_NEXT;
}

static const struct ext_hook hooks[] = { HOOK(disco_items, PHASE_STAMP, list_services), { 0 } };

extern const struct ext ext_disco;
static struct ext_slot slot;
const struct ext ext_disco = {
    .slot = &slot,
    .name = "disco",
    .title = "Service Discovery",
    .xep = { 30, "2.5rc3" },
    .features = (const char *const[]){ NS_INFO, NS_ITEMS, "msgoffline", NULL },
    .account_features = (const char *const[]){ NS_INFO, NS_ITEMS, NULL },
    .identities = own_identities,
    .iqs = iqs,
    .hooks = hooks,
    .stream_features = stream_features,
};
