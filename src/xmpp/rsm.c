/* SPDX-License-Identifier: MIT */
/* XEP-0059 1.0: paging. Reading is strict about numbers, since a page other than the one that was meant makes
 * a client lose what lies between. Whether a UID is known, whether pages by index can be had (§2.6:
 * feature-not-implemented), and that a page not found is item-not-found (§2.4), is for who answers. */
#include "xmpp/rsm.h"

#include "xml/write.h"

static bool read_number(const struct xml_node *node, struct arena *arena, uint32_t *ret)
{
    uint64_t value;
    if (!str_to_u64(str_trim(xml_text(node, arena)), INT32_MAX, &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

enum { SEEN_MAX = 1, SEEN_INDEX = 2, SEEN_AFTER = 4, SEEN_BEFORE = 8 };

/* Which element it is, if one that we know. */
static unsigned kind_of(const struct xml_node *child)
{
    static const struct {
        str name;
        unsigned kind;
    } names[] = {
        { STR_INIT("max"), SEEN_MAX },
        { STR_INIT("index"), SEEN_INDEX },
        { STR_INIT("after"), SEEN_AFTER },
        { STR_INIT("before"), SEEN_BEFORE },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (xml_is(child, names[i].name, STR(NS_RSM)))
            return names[i].kind;
    return 0;
}

static str uid_of(const struct xml_node *child, struct arena *arena)
{
    str uid = xml_text(child, arena);
    return uid.len ? uid : str_none;
}

static bool read_child(const struct xml_node *child, unsigned kind, struct arena *arena, struct rsm *rsm)
{
    switch (kind) {
    case SEEN_MAX:
        return rsm->has_max = read_number(child, arena, &rsm->max);
    case SEEN_INDEX:
        return rsm->has_index = read_number(child, arena, &rsm->index);
    case SEEN_AFTER:
        rsm->after = uid_of(child, arena);
        return true;
    case SEEN_BEFORE:
        rsm->before = uid_of(child, arena);
        rsm->last = !rsm->before.p;
        return true;
    default:
        return true;
    }
}

enum stanza_error rsm_read(const struct xml_node *query, struct arena *arena, struct rsm *ret)
{
    struct rsm rsm = { 0 };
    struct xml_node set, child;
    unsigned seen = 0;
    rsm.is_there = xml_child(query, STR("set"), STR(NS_RSM), &set);
    for (bool more = rsm.is_there && xml_first(&set, &child); more; more = xml_next(&child)) {
        unsigned kind = kind_of(&child);
        if ((seen & kind) || !read_child(&child, kind, arena, &rsm))
            return STANZA_ERROR_BAD_REQUEST;
        seen |= kind;
    }
    /* §2.6: an index is for those who know no UID */
    if (rsm.has_index && (rsm.after.p || rsm.before.p || rsm.last))
        return STANZA_ERROR_BAD_REQUEST;
    *ret = rsm;
    return STANZA_ERROR_NONE;
}

size_t rsm_limit(const struct rsm *rsm, size_t otherwise, size_t most)
{
    size_t wanted = rsm->has_max ? rsm->max : otherwise;
    return wanted < most ? wanted : most;
}

void rsm_write(struct buf *to, const struct rsm_page *page)
{
    xml_write_open(to, "set", STR(NS_RSM));
    buf_add_char(to, '>');
    if (page->first.p) {
        buf_lit(to, "<first");
        if (page->has_index)
            buf_addf(to, " index='%llu'", (unsigned long long)page->index);
        buf_add_char(to, '>');
        xml_write_text(to, page->first);
        buf_lit(to, "</first>");
        xml_write_element(to, "last", str_none, page->last);
    }
    if (page->has_count)
        buf_addf(to, "<count>%llu</count>", (unsigned long long)page->count);
    buf_lit(to, "</set>");
}
