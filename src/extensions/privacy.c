/* SPDX-License-Identifier: MIT */
/* XEP-0016 1.7, as far as old clients still need it: they can read what is blocked. The blocklist (XEP-0191)
 * is shown as the one list that there is, and as the default one (XEP-0191 §5); a client may choose it, since
 * it applies anyway. Privacy lists can't be written, nor refused, and are not advertised: blocking.c has the
 * data and does the work. */
#include "extensions/blocking.h"
#include "xml/write.h"

#define NS_PRIVACY "jabber:iq:privacy"

enum { XML_MAX = 1 << 28 };

static const char NAME[] = "blocklist";

static bool has_list(struct iq_event *event)
{
    return blocking_list(event->user)->count > 0;
}

static void answer_names(struct iq_event *event)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_PRIVACY "'>");
    if (has_list(event))
        buf_addf(&xml, "<default name='%s'/><list name='%s'/>", NAME, NAME);
    buf_lit(&xml, "</query>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

static void answer_list(struct iq_event *event)
{
    const struct blocklist *list = blocking_list(event->user);
    struct buf xml;
    buf_init(&xml, XML_MAX);
    buf_addf(&xml, "<query xmlns='" NS_PRIVACY "'><list name='%s'>", NAME);
    for (uint32_t i = 0; i < list->count; i++) {
        buf_lit(&xml, "<item type='jid'");
        xml_write_attr(&xml, "value", str_from(list->items[i]));
        buf_addf(&xml, " action='deny' order='%u'/>", i + 1);
    }
    buf_lit(&xml, "</list></query>");
    ext_result(event, &xml);
    buf_fini(&xml);
}

/* The one child of the query; an error if there are more. */
static bool only_child(struct iq_event *event, struct xml_node *ret)
{
    struct xml_node second;
    if (!xml_first(&event->child, ret))
        return false;
    second = *ret;
    return !xml_next(&second);
}

static bool names_ours(struct iq_event *event, const struct xml_node *element)
{
    return has_list(event) && str_eq(xml_attr(element, STR("name"), &event->shard->arena), str_from(NAME));
}

static void get(struct iq_event *event)
{
    struct xml_node child;
    if (!event->session)
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
    else if (!xml_first(&event->child, &child))
        answer_names(event);
    else if (!only_child(event, &child) || !str_is(child.name, "list")) /* §2.3: one list at a time */
        ext_error(event, STANZA_ERROR_BAD_REQUEST, NULL);
    else if (!names_ours(event, &child))
        ext_error(event, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else
        answer_list(event);
}

/* To make it active, or the default, changes nothing; to have no active one (§2.5) neither: the default
 * applies. */
static void set(struct iq_event *event)
{
    struct xml_node child;
    struct buf nothing = { 0 };
    if (!event->session) {
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
    } else if (!only_child(event, &child)) {
        ext_error(event, STANZA_ERROR_BAD_REQUEST, NULL);
    } else if (str_is(child.name, "list")) {
        ext_error(event, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED, "use the blocking command (XEP-0191)");
    } else {
        bool named = xml_attr(&child, STR("name"), &event->shard->arena).p != NULL;
        bool declines = !named && (str_is(child.name, "active") || !has_list(event));
        if (declines || names_ours(event, &child))
            ext_result(event, &nothing);
        else
            ext_error(event, named ? STANZA_ERROR_ITEM_NOT_FOUND : STANZA_ERROR_NOT_ALLOWED, NULL);
    }
}

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_ACCOUNT, "query", NS_PRIVACY, get },
    { TYPE_SET, TO_ACCOUNT, "query", NS_PRIVACY, set },
    { 0 },
};

extern const struct ext ext_privacy;
static struct ext_slot slot;
const struct ext ext_privacy = {
    .slot = &slot,
    .name = "privacy",
    .title = "Privacy Lists",
    .xep = { 16, "1.7", true },
    .iqs = iqs,
};
