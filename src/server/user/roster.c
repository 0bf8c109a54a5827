/* SPDX-License-Identifier: MIT */
/* Rosters in memory. An item has its name and groups as the XML that clients are sent, so that a roster push
 * or result is a copy; an array sorted by JID, since rosters are read far more often than changed. RFC 6121
 * §2.1.
 *
 * What was loaded is packed into one block: fifty small ones would stand between what is allocated and freed
 * while thousands log in, and keep its pages from being given back. An item that is changed leaves the block
 * for one of its own; its place stays empty until the roster is loaded again. */
#include "server/user/roster.h"

#include "base/mem.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

static bool is_packed(const struct roster *roster, const struct roster_item *item)
{
    const char *at = (const char *)item;
    return roster->_packed && at >= roster->_packed && at < roster->_packed + roster->_packed_size;
}

static void item_free(const struct roster *roster, struct roster_item *item)
{
    free(item->request);
    if (!is_packed(roster, item))
        free(item);
}

void roster_fini(struct roster *roster)
{
    for (uint32_t i = 0; i < roster->count; i++)
        item_free(roster, roster->items[i]);
    free(roster->items);
    free(roster->_packed);
    *roster = (struct roster){ 0 };
}

static size_t packed_size(const struct roster_item *item)
{
    size_t size = sizeof *item + item->jid_len + item->name_len + item->groups_len,
           align = _Alignof(struct roster_item);
    return (size + align - 1) / align * align;
}

void roster_pack(struct roster *roster)
{
    size_t size = 0;
    for (uint32_t i = 0; i < roster->count; i++)
        size += packed_size(roster->items[i]);
    if (!size || size > UINT32_MAX)
        return;
    char *packed = xmalloc(size), *at = packed;
    for (uint32_t i = 0; i < roster->count; i++) {
        struct roster_item *item = roster->items[i];
        roster->items[i] = memcpy(at, item, sizeof *item + item->jid_len + item->name_len + item->groups_len);
        at += packed_size(item);
        item->request = NULL;
        item_free(roster, item);
    }
    free(roster->_packed);
    roster->_packed = packed;
    roster->_packed_size = (uint32_t)size;
    roster->_room = roster->count;
    roster->items = xrealloc(roster->items, roster->_room * sizeof(roster->items[0]));
}

/* Where the JID is, or where it would have to be put. */
static uint32_t position(const struct roster *roster, str jid, bool *ret_there)
{
    uint32_t low = 0, high = roster->count;
    *ret_there = false;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = str_cmp(roster_item_jid(roster->items[middle]), jid);
        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct roster_item *roster_find(const struct roster *roster, str jid)
{
    bool there;
    uint32_t at = position(roster, jid, &there);
    return there ? roster->items[at] : NULL;
}

static struct roster_item *item_new(str jid, str name, str groups)
{
    struct roster_item *item = xcalloc(1, sizeof *item + jid.len + name.len + groups.len);
    item->jid_len = (uint16_t)jid.len;
    item->name_len = (uint16_t)name.len;
    item->groups_len = (uint16_t)groups.len;
    memcpy(item->text, jid.p, jid.len);
    if (name.len)
        memcpy(item->text + jid.len, name.p, name.len);
    if (groups.len)
        memcpy(item->text + jid.len + name.len, groups.p, groups.len);
    return item;
}

static void insert(struct roster *roster, uint32_t at, struct roster_item *item)
{
    if (roster->count == roster->_room) {
        roster->_room = roster->_room ? roster->_room + roster->_room / 2 + 1 : 4;
        roster->items = xrealloc(roster->items, roster->_room * sizeof(roster->items[0]));
    }
    memmove(roster->items + at + 1, roster->items + at, (roster->count - at) * sizeof(roster->items[0]));
    roster->items[at] = item;
    roster->count++;
}

struct roster_item *roster_set(struct roster *roster, str jid, str name, str groups, uint8_t flags_if_new)
{
    bool there;
    uint32_t at = position(roster, jid, &there);
    struct roster_item *item = item_new(jid, name, groups);
    if (!there) {
        insert(roster, at, item);
        roster_set_flags(roster, item, flags_if_new);
        return item;
    }
    struct roster_item *old = roster->items[at];
    item->flags = old->flags;
    item->request = old->request;
    old->request = NULL;
    roster->items[at] = item;
    item_free(roster, old);
    return item;
}

void roster_set_flags(struct roster *roster, struct roster_item *item, uint8_t flags)
{
    roster->listed += !!(flags & ROSTER_LISTED);
    roster->listed -= !!(item->flags & ROSTER_LISTED);
    item->flags = flags;
}

void roster_set_request(struct roster_item *item, str stanza)
{
    free(item->request);
    item->request = stanza.p ? str_dup(stanza) : NULL;
}

void roster_remove(struct roster *roster, str jid)
{
    bool there;
    uint32_t at = position(roster, jid, &there);
    if (!there)
        return;
    struct roster_item *item = roster->items[at];
    roster_set_flags(roster, item, 0);
    roster->count--;
    memmove(roster->items + at, roster->items + at + 1, (roster->count - at) * sizeof(roster->items[0]));
    item_free(roster, item);
}

void roster_item_write(struct buf *out, const struct roster_item *item)
{
    static const char *const subscriptions[] = { "none", "to", "from", "both" };
    const char *rest = item->text + item->jid_len;
    buf_lit(out, "<item");
    xml_write_attr(out, "jid", roster_item_jid(item));
    buf_add(out, str_of(rest, item->name_len));
    xml_write_attr(out, "subscription", str_from(subscriptions[item->flags & (ROSTER_TO | ROSTER_FROM)]));
    if (item->flags & ROSTER_ASK)
        buf_lit(out, " ask='subscribe'");
    if (item->flags & ROSTER_APPROVED)
        buf_lit(out, " approved='true'");
    if (!item->groups_len) {
        buf_lit(out, "/>");
        return;
    }
    buf_add_char(out, '>');
    buf_add(out, str_of(rest + item->name_len, item->groups_len));
    buf_lit(out, "</item>");
}

static uint8_t read_flags(const struct xml_node *node, struct arena *arena)
{
    str subscription = xml_attr(node, STR("subscription"), arena);
    uint8_t flags = ROSTER_LISTED;
    if (str_is(subscription, "to") || str_is(subscription, "both"))
        flags |= ROSTER_TO;
    if (str_is(subscription, "from") || str_is(subscription, "both"))
        flags |= ROSTER_FROM;
    if (xml_attr(node, STR("ask"), arena).p)
        flags |= ROSTER_ASK;
    if (xml_attr(node, STR("approved"), arena).p)
        flags |= ROSTER_APPROVED;
    return flags;
}

bool roster_item_read(struct roster *roster, str jid, str value, struct arena *arena)
{
    struct xml_node node;
    struct buf name;
    if (!xml_parse(value, STR(NS_ROSTER), &node) || jid.len > UINT16_MAX || node.content.len > UINT16_MAX)
        return false;
    buf_init(&name, UINT16_MAX);
    xml_write_attr(&name, "name", xml_attr(&node, STR("name"), arena));
    uint8_t flags = read_flags(&node, arena);
    struct roster_item *item = roster_set(roster, jid, buf_str(&name), node.content, flags);
    roster_set_flags(roster, item, flags | (item->flags & ROSTER_PENDING_IN));
    buf_fini(&name);
    return true;
}
