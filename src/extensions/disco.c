/* SPDX-License-Identifier: MIT */
/* XEP-0030 2.5.0: service discovery of hosts and accounts; XEP-0115 1.6.0 and XEP-0390 0.3.2: the host's
 * capabilities in its stream features; XEP-0157 1.1.1: contact addresses as an extension of the host's
 * information (XEP-0128).
 *
 * What is told comes from the extensions' descriptors. An account's information is for who may see its
 * presence; a stranger gets service-unavailable, as from an account that does not exist (XEP-0030 §8). Nodes
 * are not known here: item-not-found. */
#include "server/component.h"
#include "server/ext.h"
#include "xml/write.h"
#include "xmpp/caps.h"

#include <stdlib.h>

#define NODE            "https://jabiru.im/"
#define NS_CONTACT_FORM "http://jabber.org/network/serverinfo"

enum { FEATURES_MAX = 256, IDENTITIES_MAX = 16, CONTACTS_MAX = 6, XML_MAX = 64 * 1024 };

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

/* All features of one kind of address, sorted. */
static void gather(const struct host *host, bool account, struct arena *arena, struct caps_info *info)
{
    info->features = arena_alloc(arena, FEATURES_MAX * sizeof *info->features);
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++) {
        if (!ext_is_on(host, *ext))
            continue;
        const char *const *list = account ? (*ext)->account_features : (*ext)->features;
        for (; list && *list && info->feature_count < FEATURES_MAX; list++)
            info->features[info->feature_count++] = str_from(*list);
    }
    qsort(info->features, info->feature_count, sizeof *info->features, by_bytes);
}

/* ---- Contact addresses ---- */

static struct form_field text_field(const char *name, const char *type, size_t count, struct arena *arena)
{
    return (struct form_field){ .name = str_from(name),
                                .type = str_from(type),
                                .values = arena_alloc(arena, count * sizeof(str)),
                                .count = count };
}

static void add_contact(struct form *form, const char *name, const struct config_list *addresses)
{
    if (!addresses->count)
        return;
    struct form_field field = text_field(name, "list-multi", addresses->count, form->arena);
    for (size_t i = 0; i < addresses->count; i++)
        field.values[i] = str_from(addresses->items[i]);
    form->fields[form->count++] = field;
}

/* XEP-0157 §2: a form in the host's information, if there is anything to tell. */
static void add_contacts(const struct config_host *config, struct arena *arena, struct caps_info *info)
{
    struct form *form = ARENA_NEW(arena, struct form);
    *form = (struct form){ .type = FORM_RESULT, .ns = STR(NS_CONTACT_FORM), .arena = arena };
    form->fields = arena_alloc(arena, (CONTACTS_MAX + 1) * sizeof *form->fields);
    form->fields[form->count++] = text_field("FORM_TYPE", "hidden", 1, arena);
    form->fields[0].values[0] = form->ns;
    add_contact(form, "abuse-addresses", &config->contact_abuse);
    add_contact(form, "admin-addresses", &config->contact_admin);
    add_contact(form, "feedback-addresses", &config->contact_feedback);
    add_contact(form, "sales-addresses", &config->contact_sales);
    add_contact(form, "security-addresses", &config->contact_security);
    add_contact(form, "support-addresses", &config->contact_support);
    if (form->count == 1)
        return;
    info->forms = form;
    info->form_count = 1;
}

/* ---- Information ---- */

static const struct ext_identity own_identities[] = {
    { TO_HOST, "server", "im", "Jabiru" },
    { TO_ACCOUNT, "account", "registered", NULL },
    { 0 },
};

static void gather_identities(const struct host *host, bool account, struct arena *arena,
                              struct caps_info *info)
{
    enum ext_target target = account ? TO_ACCOUNT : TO_HOST;
    info->identities = arena_alloc(arena, IDENTITIES_MAX * sizeof *info->identities);
    for (const struct ext *const *ext = host->server->extensions; *ext; ext++) {
        const struct ext_identity *row = ext_is_on(host, *ext) ? (*ext)->identities : NULL;
        for (; row && row->category && info->identity_count < IDENTITIES_MAX; row++)
            if (row->target == target)
                info->identities[info->identity_count++] =
                    (struct caps_identity){ .category = str_from(row->category),
                                            .type = str_from(row->type),
                                            .name = str_from(row->name) };
    }
}

static struct caps_info info_of(const struct host *host, bool account, struct arena *arena)
{
    struct caps_info info = { 0 };
    gather_identities(host, account, arena, &info);
    gather(host, account, arena, &info);
    if (!account)
        add_contacts(host->config, arena, &info);
    return info;
}

static str verification(const struct host *host, struct arena *arena)
{
    struct caps_info info = info_of(host, false, arena);
    return caps_ver(&info, DIGEST_SHA1, arena);
}

static str capability_hash(const struct host *host, struct arena *arena)
{
    struct caps_info info = info_of(host, false, arena);
    return caps_hash(&info, DIGEST_SHA256, arena);
}

static void stream_features(struct host *host, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, 1024);
    struct caps_info info = info_of(host, false, &arena);
    str ver = caps_ver(&info, DIGEST_SHA1, &arena), hash = caps_hash(&info, DIGEST_SHA256, &arena);
    buf_addf(out, "<c xmlns='" NS_CAPS "' hash='sha-1' node='" NODE "' ver='%.*s'/>", STR_ARGS(ver));
    buf_addf(out, "<c xmlns='" NS_CAPS2 "'><hash xmlns='" NS_HASHES "' algo='sha-256'>%.*s</hash></c>",
             STR_ARGS(hash));
    arena_fini(&arena);
}

/* ---- Answers ---- */

/* Who we are: the address itself, without a node or with that of our capabilities. */
static void write_self(struct iq_event *event, struct buf *xml)
{
    struct caps_info info = info_of(event->host, event->user != NULL, &event->shard->arena);
    for (size_t i = 0; event->user && event->user->anonymous && i < info.identity_count; i++)
        if (str_is(info.identities[i].category, "account"))
            info.identities[i].type = STR("anonymous"); /* XEP-0175 §5 */
    caps_write_content(xml, &info);
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
    if (disco.error)
        ext_error(event, disco.error, NULL);
    else if (disco.known)
        ext_result(event, &xml);
    else
        ext_error(event, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    buf_fini(&xml);
}

/* XEP-0115 §6.3, XEP-0390 §4.5 */
static bool is_own_caps_node(struct iq_event *event, str node)
{
    struct arena *arena = &event->shard->arena;
    str old = STR(NODE "#"), new = STR(CAPS2_NODE "sha-256.");
    if (event->user)
        return false;
    if (str_starts(node, old))
        return str_eq(str_sub(node, old.len, node.len), verification(event->host, arena));
    return str_starts(node, new) &&
           str_eq(str_sub(node, new.len, node.len), capability_hash(event->host, arena));
}

static void info(struct iq_event *event)
{
    str node = xml_attr(&event->child, STR("node"), &event->shard->arena);
    if (event->user && !ext_may_see(event))
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        answer(event, NS_DISCO_INFO, node, !node.len || is_own_caps_node(event, node), fire_disco_info);
}

static void items(struct iq_event *event)
{
    str node = xml_attr(&event->child, STR("node"), &event->shard->arena);
    if (event->user && !ext_may_see(event))
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        answer(event, NS_DISCO_ITEMS, node, !node.len, fire_disco_items);
}

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "query", NS_DISCO_INFO, info },
    { TYPE_GET, TO_HOST, "query", NS_DISCO_ITEMS, items },
    { TYPE_GET, TO_ACCOUNT, "query", NS_DISCO_INFO, info },
    { TYPE_GET, TO_ACCOUNT, "query", NS_DISCO_ITEMS, items },
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

static enum hook_ret list_components(struct host *host, struct disco_event *event)
{
    if (!event->request->user && !event->node.len)
        component_write_items(host, event->xml);
    return HOOK_NEXT;
}

static const struct ext_hook hooks[] = { HOOK(disco_items, PHASE_STAMP, list_services),
                                         HOOK(disco_items, PHASE_STAMP, list_components),
                                         { 0 } };

extern const struct ext ext_disco;
static struct ext_slot slot;
const struct ext ext_disco = {
    .slot = &slot,
    .name = "disco",
    .title = "Service Discovery",
    .xep = { 30, "2.5.0" },
    .more =
        (const struct ext_xep[]){
            { 115, "1.6.0" }, { 128, "1.0.1" }, { 157, "1.1.1" }, { 390, "0.3.2" }, { 0 } },
    .features = (const char *const[]){ NS_DISCO_INFO, NS_DISCO_ITEMS, NS_CAPS, NS_CAPS2, "msgoffline", NULL },
    .account_features = (const char *const[]){ NS_DISCO_INFO, NS_DISCO_ITEMS, NULL },
    .identities = own_identities,
    .iqs = iqs,
    .hooks = hooks,
    .stream_features = stream_features,
};
