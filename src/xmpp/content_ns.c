/* SPDX-License-Identifier: MIT */
/* Moving a stanza from one content namespace to another.
 *
 * Nearly every stanza names its content namespace nowhere: its elements have it from the stream header, so
 * the same bytes mean the right thing behind another header. That is the fast path: a search for the
 * namespace's name, and no copy. Where the name does occur, a walk over the tags (the scanner has passed the
 * bytes, so there is nothing in them but tags, text and CDATA sections) replaces it in the declarations, and
 * only there.
 *
 * Inwards all declarations are replaced: what a component calls jabber:component:accept has no other name
 * here. Outwards those of the stanza's own elements are (its body, its error), not those within an element of
 * an extension: a message that is forwarded in one is in jabber:client for everybody (XEP-0297 §3).
 *
 * What not: a namespace that is written with character references is left as it is. Nobody writes that; it
 * names then an element that nobody knows, which is harmless. */
#include "xmpp/content_ns.h"

#include "xmpp/ns.h"

#include <string.h>

/* One replacement, and where it is written to. */
struct change {
    str from, to;
    char *out;
    size_t len;
};

static size_t find(str in, str what, size_t at)
{
    for (; at + what.len <= in.len; at++) {
        const char *next = memchr(in.p + at, what.p[0], in.len - at);
        if (!next)
            break;
        at = (size_t)(next - in.p);
        if (str_starts(str_sub(in, at, in.len), what))
            return at;
    }
    return in.len;
}

static bool mentions(str text, str ns)
{
    return text.len && find(text, ns, 0) < text.len;
}

/* Room for `text` with every mention replaced. */
static void change_init(struct change *change, str text, struct arena *arena)
{
    size_t mentioned = 0;
    for (size_t at = find(text, change->from, 0); at < text.len; at = find(text, change->from, at + 1))
        mentioned++;
    change->out = arena_alloc(arena, text.len + mentioned * change->to.len);
    change->len = 0;
}

static void put(struct change *change, str bytes)
{
    if (bytes.len)
        memcpy(change->out + change->len, bytes.p, bytes.len);
    change->len += bytes.len;
}

static bool is_declaration(const struct xml_attr *attr)
{
    return str_is(attr->prefix, "xmlns") || (!attr->prefix.len && str_is(attr->name, "xmlns"));
}

static void put_attrs(struct change *change, str attrs)
{
    const struct xml_node tag = { .attrs = attrs };
    struct xml_attr attr;
    size_t at = 0, done = 0;
    while (xml_attr_next(&tag, &at, &attr)) {
        if (!is_declaration(&attr) || !str_eq(attr.raw, change->from))
            continue;
        size_t value = (size_t)(attr.raw.p - attrs.p);
        put(change, str_sub(attrs, done, value));
        put(change, change->to);
        done = value + attr.raw.len;
    }
    put(change, str_sub(attrs, done, attrs.len));
}

static str changed_attrs(str attrs, str from, str to, struct arena *arena)
{
    struct change change = { .from = from, .to = to };
    if (!mentions(attrs, from))
        return attrs;
    change_init(&change, attrs, arena);
    put_attrs(&change, attrs);
    return str_of(change.out, change.len);
}

/* ---- The payload
 * ------------------------------------------------------------------------------------------------ */

/* Where the markup that begins at `at` ends. */
static size_t markup_end(str xml, size_t at)
{
    char quote = '\0';
    if (str_starts(str_sub(xml, at, xml.len), STR("<![CDATA[")))
        return find(xml, STR("]]>"), at) + 3;
    for (; at < xml.len && (quote || xml.p[at] != '>'); at++) {
        if (quote)
            quote = xml.p[at] == quote ? '\0' : quote;
        else if (xml.p[at] == '\'' || xml.p[at] == '"')
            quote = xml.p[at];
    }
    return at + 1;
}

struct tag {
    str name, attrs; /* the name with its prefix; what stands behind it, up to '>' or '/>' */
    bool is_start, is_empty;
};

static struct tag tag_of(str markup)
{
    struct tag tag = { .is_start = markup.p[1] != '/' && markup.p[1] != '!' };
    size_t end = 1;
    if (!tag.is_start)
        return tag;
    while (!strchr(" \t\r\n/>", markup.p[end]))
        end++;
    tag.name = str_sub(markup, 1, end);
    tag.is_empty = markup.p[markup.len - 2] == '/';
    tag.attrs = str_sub(markup, end, markup.len - (tag.is_empty ? 2 : 1));
    return tag;
}

/* Whether the element is one of an extension, as far as its own tag tells: it declares another default
 * namespace, or has a prefix that it does not declare to be the content namespace. */
static bool is_foreign(const struct tag *tag, str content_ns)
{
    const struct xml_node node = { .attrs = tag->attrs };
    struct xml_attr attr;
    size_t at = 0, colon = str_find(tag->name, ':');
    str prefix = colon < tag->name.len ? str_sub(tag->name, 0, colon) : STR("");
    while (xml_attr_next(&node, &at, &attr)) {
        bool is_own = prefix.len ? str_is(attr.prefix, "xmlns") && str_eq(attr.name, prefix)
                                 : !attr.prefix.len && str_is(attr.name, "xmlns");
        if (is_own)
            return !str_eq(attr.raw, content_ns);
    }
    return prefix.len > 0;
}

struct depth {
    size_t now, foreign; /* where the element of an extension that we are in was opened; 0: in none */
};

/* Follows the tag; returns whether it stands within an element of an extension, or begins one. */
static bool follow(struct depth *depth, str markup, const struct tag *tag, str content_ns)
{
    if (!tag->is_start) {
        if (markup.p[1] == '/' && --depth->now < depth->foreign)
            depth->foreign = 0;
        return true;
    }
    bool foreign = depth->foreign || is_foreign(tag, content_ns);
    if (tag->is_empty)
        return foreign;
    depth->now++;
    if (foreign && !depth->foreign)
        depth->foreign = depth->now;
    return foreign;
}

static str changed_content(str xml, str from, str to, bool everywhere, struct arena *arena)
{
    struct change change = { .from = from, .to = to };
    struct depth depth = { 0 };
    size_t at = 0;
    if (!mentions(xml, from))
        return xml;
    change_init(&change, xml, arena);
    while (at < xml.len) {
        size_t begin = find(xml, STR("<"), at);
        put(&change, str_sub(xml, at, begin));
        if (begin == xml.len)
            break;
        at = markup_end(xml, begin);
        str markup = str_sub(xml, begin, at);
        struct tag tag = tag_of(markup);
        bool foreign = follow(&depth, markup, &tag, from);
        if (!tag.is_start || (foreign && !everywhere)) {
            put(&change, markup);
            continue;
        }
        put(&change, str_sub(markup, 0, tag.name.len + 1));
        put_attrs(&change, tag.attrs);
        put(&change, tag.is_empty ? STR("/>") : STR(">"));
    }
    return str_of(change.out, change.len);
}

/* ---- Elements
 * --------------------------------------------------------------------------------------------------- */

struct xml_node content_ns_in(const struct xml_node *node, str ns, struct arena *arena)
{
    str own = STR(NS_CLIENT);
    struct xml_node in = *node;
    if (str_eq(node->ns, ns))
        in.ns = own;
    in.attrs = changed_attrs(node->attrs, ns, own, arena);
    in.inherited = changed_attrs(node->inherited, ns, own, arena);
    in.content = changed_content(node->content, ns, own, true, arena);
    return in;
}

str content_ns_declarations(str declarations, str ns, struct arena *arena)
{
    return changed_attrs(declarations, ns, STR(NS_CLIENT), arena);
}

const struct stanza *content_ns_out(const struct stanza *stanza, str ns, struct arena *arena)
{
    str own = STR(NS_CLIENT), payload = stanza_payload(stanza);
    if (!mentions(stanza->attrs, own) && !mentions(payload, own))
        return stanza;
    struct stanza *out = arena_alloc(arena, sizeof *out);
    *out = *stanza;
    out->attrs = changed_attrs(stanza->attrs, own, ns, arena);
    out->node.attrs = out->attrs;
    out->node.content = changed_content(payload, own, ns, false, arena);
    return out;
}
