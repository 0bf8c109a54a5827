/* SPDX-License-Identifier: MIT */
/* XEP-0203 2.0: the note that a stanza was held up, written by whoever held it. There may be several of them
 * on a message that went a long way; who reads decides whom to believe. The older jabber:x:delay (XEP-0091,
 * obsolete) is neither read nor written. */
#include "xmpp/delay.h"

#include "base/mem.h"
#include "xml/write.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

void delay_write(struct buf *to, str from, int64_t ms)
{
    struct arena arena;
    arena_init(&arena, 128);
    xml_write_open(to, "delay", STR(NS_DELAY));
    xml_write_attr(to, "from", from);
    xml_write_attr(to, "stamp", str_from(stamp_millis(ms, &arena)));
    buf_lit(to, "/>");
    arena_fini(&arena);
}

static struct jid said_by(const struct xml_node *delay, struct arena *arena)
{
    struct jid from;
    return jid_parse(xml_attr(delay, STR("from"), arena), arena, &from) == OK ? from : (struct jid){ 0 };
}

bool delay_read(const struct xml_node *stanza, struct arena *arena, struct delay *ret)
{
    struct xml_node child;
    for (bool more = xml_first(stanza, &child); more; more = xml_next(&child)) {
        int64_t ms;
        if (!xml_is(&child, STR("delay"), STR(NS_DELAY)) ||
            !stamp_read(xml_attr(&child, STR("stamp"), arena), &ms))
            continue;
        *ret = (struct delay){ ms, said_by(&child, arena) };
        return true;
    }
    return false;
}

struct by_sayer {
    struct payload_filter filter;
    const struct jid *from;
};

static bool is_forged(const struct payload_filter *filter, const struct xml_node *child, struct arena *arena)
{
    if (!xml_is(child, STR("delay"), STR(NS_DELAY)))
        return false;
    struct jid from = said_by(child, arena);
    return jid_eq(&from, CONTAINER_OF(filter, struct by_sayer, filter)->from);
}

str delay_strip(const struct stanza *stanza, const struct jid *from, struct arena *arena)
{
    struct by_sayer ours = { { is_forged }, from };
    if (!(payload_facts(stanza) & PAYLOAD_DELAY))
        return stanza->node.content;
    return payload_without(&stanza->node, &ours.filter, arena);
}
