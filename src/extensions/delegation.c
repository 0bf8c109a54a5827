/* SPDX-License-Identifier: MIT */
/* XEP-0355 0.5, admin mode (§4): requests in namespaces that the configuration names are answered by an
 * external component instead of the server, whether they are made to a host or to the account of one of its
 * users.
 *
 * Nothing is remembered of a request that was handed on. The id of what goes to the component says whom to
 * answer, and carries a code that only this server, in this run, can make; so an answer is believed if it
 * brings back such an id and fits what the id says, wherever in the server it arrives, and however long it
 * took.
 *
 * What the component asks itself is answered by the server (§4.3.1): with a privilege (XEP-0356) it can act
 * on what it decides.
 *
 * What not: client mode (§5), and the nesting of service discovery (§7.2): what a component knows of itself
 * is not in our own lists. */
#include "base/base64.h"
#include "base/digest.h"
#include "server/ext.h"
#include "xml/write.h"
#include "xmpp/inner.h"
#include "xmpp/ns.h"

#define NS_DELEGATION "urn:xmpp:delegation:2"
#define NS_FORWARD    "urn:xmpp:forward:0"

enum { XML_MAX = 64 << 20, ID_MAX = 16 * 1024 };

/* Who asked what, as it stands in an id. */
struct origin {
    struct jid from, to; /* to: none if there was none */
    str id;
};

/* ---- What is delegated
 * ----------------------------------------------------------------------------------------------- */

/* "NAMESPACE ATTRIBUTE...": whether the request's child fits. */
static bool fits(str rule, const struct xml_node *child, struct arena *arena)
{
    if (!str_eq(str_cut(&rule, ' '), child->ns))
        return false;
    while (rule.p) {
        str name = str_cut(&rule, ' ');
        if (name.len && !xml_attr(child, name, arena).p)
            return false;
    }
    return true;
}

static bool is_delegated(const struct component_domain *domain, const struct iq_event *event)
{
    const struct config_component *config = domain->config;
    if (!config || !component_belongs(event->host, domain))
        return false;
    for (size_t i = 0; i < config->delegate.count; i++)
        if (fits(str_from(config->delegate.items[i]), &event->child, &event->shard->arena))
            return true;
    return false;
}

/* ---- Telling it (§4.2)
 * ----------------------------------------------------------------------------------------------- */

static struct jid domain_jid(const char *name)
{
    return (struct jid){ str_from(name), 0, (uint16_t)strlen(name) };
}

static void write_rule(struct buf *xml, str rule)
{
    buf_lit(xml, "<delegated");
    xml_write_attr(xml, "namespace", str_cut(&rule, ' '));
    buf_add_char(xml, '>');
    while (rule.p) {
        str name = str_cut(&rule, ' ');
        if (!name.len)
            continue;
        buf_lit(xml, "<attribute");
        xml_write_attr(xml, "name", name);
        buf_lit(xml, "/>");
    }
    buf_lit(xml, "</delegated>");
}

static enum hook_ret component_connected(struct host *host, struct component_event *event)
{
    struct arena *arena = &event->shard->arena;
    const struct config_component *config = event->domain->config;
    struct stanza *message = ARENA_NEW(arena, struct stanza);
    struct buf xml;
    if (!config || !config->delegate.count)
        return HOOK_NEXT;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<delegation xmlns='" NS_DELEGATION "'>");
    for (size_t i = 0; i < config->delegate.count; i++)
        write_rule(&xml, str_from(config->delegate.items[i]));
    buf_lit(&xml, "</delegation>");
    *message =
        stanza_make(STANZA_MESSAGE, TYPE_NONE, STR("delegation"), arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    message->from = domain_jid(host->name);
    message->to = domain_jid(event->domain->name);
    route(event->shard, message);
    return HOOK_NEXT;
}

/* ---- The id
 * ----------------------------------------------------------------------------------------------------------
 */

/* In base64: for this component and host, and nobody else. */
static str code_of(const struct host *host, str component, str told, struct arena *arena)
{
    struct server *server = host->server;
    unsigned char code[DIGEST_MAX_SIZE];
    str text =
        arena_printf(arena, "delegation %s %.*s %.*s", host->name, STR_ARGS(component), STR_ARGS(told));
    digest_hmac(DIGEST_SHA256, str_of((const char *)server->secret, sizeof server->secret), text, code);
    return base64_encode_arena(arena, str_of((const char *)code, digest_size(DIGEST_SHA256)));
}

/* "TOLD.CODE", where TOLD is the base64 of "FROM NUL TO NUL ID". */
static str make_id(const struct host *host, str component, const struct stanza *iq, struct arena *arena)
{
    struct buf text;
    buf_init(&text, ID_MAX);
    buf_add(&text, iq->from.full);
    buf_add_char(&text, '\0');
    buf_add(&text, iq->to.full);
    buf_add_char(&text, '\0');
    buf_add(&text, iq->id);
    str told = buf_failed(&text) ? str_none : base64_encode_arena(arena, buf_str(&text));
    buf_fini(&text);
    if (!told.p)
        return str_none;
    str code = code_of(host, component, told, arena);
    return arena_printf(arena, "%.*s.%.*s", STR_ARGS(told), STR_ARGS(code));
}

static bool read_origin(str text, struct arena *arena, struct origin *ret)
{
    str from = str_cut(&text, '\0');
    str to = str_cut(&text, '\0');
    *ret = (struct origin){ .id = text };
    return jid_parse(from, arena, &ret->from) == OK && (!to.len || jid_parse(to, arena, &ret->to) == OK);
}

/* Whether the id is one that we gave to this component; then what it tells. */
static bool read_id(const struct host *host, str component, str id, struct arena *arena, struct origin *ret)
{
    str code = id, text;
    str told = str_cut(&code, '.');
    str expected = code_of(host, component, told, arena);
    return code.len == expected.len && mem_equal_secret(code.p, expected.p, code.len) &&
           base64_decode(arena, told, &text) && read_origin(text, arena, ret);
}

/* ---- Handing on (§4.3)
 * ----------------------------------------------------------------------------------------------- */

static void hand_on(const struct iq_event *event, const struct component_domain *domain)
{
    struct arena *arena = &event->shard->arena;
    struct stanza *request = ARENA_NEW(arena, struct stanza);
    str id = make_id(event->host, str_from(domain->name), event->iq, arena);
    struct buf xml;
    if (!domain->is_connected || !id.p) {
        route_error(event->shard, event->iq, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<delegation xmlns='" NS_DELEGATION "'><forwarded xmlns='" NS_FORWARD "'>");
    inner_write(&xml, event->iq);
    buf_lit(&xml, "</forwarded></delegation>");
    *request = stanza_make(STANZA_IQ, TYPE_SET, id, arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    request->from = domain_jid(event->host->name);
    request->to = domain_jid(domain->name);
    route(event->shard, request); /* if it has just gone, the error comes back as the answer */
}

static enum hook_ret request(struct host *host, struct iq_event *event)
{
    const struct component_domain *domain = host->server->components;
    const struct component_domain *sender = domain ? component_sender(host, event->iq) : NULL;
    for (; domain; domain = domain->next) {
        if (domain == sender || !is_delegated(domain, event))
            continue;
        hand_on(event, domain);
        return HOOK_DONE;
    }
    return HOOK_NEXT;
}

/* ---- The answer
 * -------------------------------------------------------------------------------------------------------- */

/* Its answer in `ret`, if it fits what was asked. */
static bool read_answer(const struct stanza *outer, const struct origin *origin, struct arena *arena,
                        struct stanza *ret)
{
    struct xml_node delegation, forwarded, inner;
    return outer->type == TYPE_RESULT &&
           xml_child(&outer->node, STR("delegation"), STR(NS_DELEGATION), &delegation) &&
           xml_child(&delegation, STR("forwarded"), STR(NS_FORWARD), &forwarded) &&
           xml_child(&forwarded, STR("iq"), STR(NS_CLIENT), &inner) &&
           inner_read(&inner, arena, ret) == STANZA_OK && ret->type == TYPE_RESULT &&
           str_eq(ret->id, origin->id) && jid_eq(&ret->to, &origin->from) &&
           (jid_is_none(&origin->to) ? jid_is_none(&ret->from) || jid_eq_bare(&ret->from, &origin->from)
                                     : jid_eq(&ret->from, &origin->to));
}

static enum hook_ret answer_to_host(struct host *host, struct stanza_event *event)
{
    const struct stanza *outer = event->stanza;
    struct arena *arena = &event->shard->arena;
    const struct component_domain *sender = component_sender(host, outer);
    struct stanza *answer = ARENA_NEW(arena, struct stanza);
    struct origin origin;
    if (!sender || !read_id(host, str_from(sender->name), outer->id, arena, &origin))
        return HOOK_NEXT;
    if (!read_answer(outer, &origin, arena, answer)) {
        struct stanza asked = stanza_make(STANZA_IQ, TYPE_SET, origin.id, str_none, arena);
        asked.from = origin.from;
        asked.to = origin.to;
        *answer = stanza_error_reply(&asked, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL, arena);
    }
    route_to(event->shard, answer, &answer->to, jid_is_bare(&answer->to) ? DELIVER_ROUTE : DELIVER_SESSION);
    return HOOK_DONE;
}

static const struct ext_hook hooks[] = {
    HOOK(component_connected, PHASE_OBSERVE, component_connected),
    HOOK(request, PHASE_GUARD, request),
    HOOK(answer_to_host, PHASE_GUARD, answer_to_host),
    { 0 },
};

extern const struct ext ext_delegation;
static struct ext_slot slot;
const struct ext ext_delegation = {
    .slot = &slot,
    .name = "delegation",
    .title = "Namespace Delegation",
    .xep = { 355, "0.5", .partial = true },
    .features = (const char *const[]){ NS_DELEGATION, NULL },
    .hooks = hooks,
};
