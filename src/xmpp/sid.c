/* SPDX-License-Identifier: MIT */
/* XEP-0359 0.7.0: ids that an archive or a room gives to a message, and ids that its sender gave. An id
 * counts by who has given it (`by`), so what others claim in our name is taken out before we add ours; all of
 * it, not the first alone. Addresses are compared in normal form, since that is how a reader will compare
 * them. */
#include "xmpp/sid.h"

#include "base/mem.h"
#include "xml/write.h"

static bool is_by(const struct xml_node *child, const struct jid *by, struct arena *arena)
{
    struct jid claimed;
    return xml_is(child, STR("stanza-id"), STR(NS_SID)) &&
           jid_parse(xml_attr(child, STR("by"), arena), arena, &claimed) == OK && jid_eq(&claimed, by);
}

static str id_of(const struct xml_node *child, struct arena *arena)
{
    str id = xml_attr(child, STR("id"), arena);
    return id.len ? id : str_none;
}

void sid_write(struct buf *to, const struct jid *by, str id)
{
    xml_write_open(to, "stanza-id", STR(NS_SID));
    xml_write_attr(to, "by", by->full);
    xml_write_attr(to, "id", id);
    buf_lit(to, "/>");
}

str sid_read(const struct xml_node *stanza, const struct jid *by, struct arena *arena)
{
    struct xml_node child;
    for (bool more = xml_first(stanza, &child); more; more = xml_next(&child))
        if (is_by(&child, by, arena))
            return id_of(&child, arena);
    return str_none;
}

str sid_read_origin(const struct xml_node *stanza, struct arena *arena)
{
    struct xml_node child;
    bool found = xml_child(stanza, STR("origin-id"), STR(NS_SID), &child);
    return found ? id_of(&child, arena) : str_none;
}

struct by_giver {
    struct payload_filter filter;
    const struct jid *by;
};

static bool is_forged(const struct payload_filter *filter, const struct xml_node *child, struct arena *arena)
{
    return is_by(child, CONTAINER_OF(filter, struct by_giver, filter)->by, arena);
}

str sid_strip(const struct stanza *stanza, const struct jid *by, struct arena *arena)
{
    struct by_giver ours = { { is_forged }, by };
    if (!(payload_facts(stanza) & PAYLOAD_STANZA_ID))
        return stanza->node.content;
    return payload_without(&stanza->node, &ours.filter, arena);
}
