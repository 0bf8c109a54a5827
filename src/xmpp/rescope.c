/* SPDX-License-Identifier: MIT */
/* Crossing the content namespaces, fast and slow.
 *
 * The fast path is a look for three things that could make bytes mean something else on another stream: the
 * name of the content namespace itself, a namespace name with references in it (which could spell it), and an
 * element with a prefix (in which an element without one would still be in the stream's default namespace
 * though it is none of the stanza's own). The look does not parse: it may find such bytes where they mean
 * nothing, in text, and then the slow path does its work for nothing.
 *
 * The slow path walks the elements. Those in the content namespace below nothing but such are written without
 * prefix and declaration; any other is written as it stands, with a default namespace where the one around it
 * has become another. Depth is bounded by the scanner's limit.
 *
 * A component's namespace has no meaning for anybody else, so in what comes from one it is replaced wherever
 * it stands, also in a stanza that is forwarded in an element of an extension (XEP-0297).
 *
 * A declaration of the stream header is carried along only if its prefix occurs in the stanza: every server's
 * header declares `db`, and clients shall not be told in each stanza. */
#include "xmpp/rescope.h"

#include "base/mem.h"
#include "xmpp/ns.h"

enum { GROWTH_MAX = 4, GROWTH_SPARE = 4096 };

/* ---- The fast path */

static bool contains(str bytes, str part)
{
    return bytes.len >= part.len && memmem(bytes.p, bytes.len, part.p, part.len) != NULL;
}

/* Whether what may be a declaration has a reference in it. */
static bool has_obscure_namespace(str bytes)
{
    const char *p = bytes.p, *end = bytes.p + bytes.len;
    while (p < end && (p = memmem(p, (size_t)(end - p), "xmlns", 5))) {
        const char *close = memchr(p, '>', (size_t)(end - p));
        if (memchr(p, '&', (size_t)((close ? close : end) - p)))
            return true;
        p += 5;
    }
    return false;
}

static bool has_prefixed_element(str content)
{
    const char *p = content.p, *end = content.p + content.len;
    while (p < end && (p = memchr(p, '<', (size_t)(end - p)))) {
        for (p++; p < end && !strchr(" \t\r\n/>", *p); p++)
            if (*p == ':')
                return true;
    }
    return false;
}

bool rescope_is_plain(str attrs, str content, str from)
{
    return !contains(attrs, from) && !contains(content, from) && !has_obscure_namespace(attrs) &&
           !has_obscure_namespace(content) && !has_prefixed_element(content);
}

/* ---- The slow path */

struct rescope {
    struct buf out;
    struct arena *arena;
    str from, to;
    bool everywhere; /* also within elements of others */
};

static str decoded(struct rescope *rescope, str raw)
{
    return xml_decode_attr(raw, rescope->arena);
}

static void write_ns(struct rescope *rescope, str raw)
{
    char quote = str_find(raw, '\'') < raw.len ? '"' : '\'';
    buf_lit(&rescope->out, " xmlns=");
    buf_add_char(&rescope->out, quote);
    buf_add(&rescope->out, raw);
    buf_add_char(&rescope->out, quote);
}

/* The attributes, without a declaration of the default namespace if `drop`. */
static bool write_attrs(struct rescope *rescope, const struct xml_node *node, bool drop)
{
    struct xml_attr attr;
    bool declares = false;
    for (size_t at = 0; xml_attr_next(node, &at, &attr);) {
        bool is_default = !attr.prefix.len && str_is(attr.name, "xmlns");
        declares |= is_default;
        if (is_default && drop)
            continue;
        buf_add_char(&rescope->out, ' ');
        buf_add(&rescope->out, attr.bytes);
    }
    return declares;
}

static void write_children(struct rescope *rescope, const struct xml_node *node, bool own, str around);

/* `own`: what is around is the stanza's own vocabulary; `around`: the default namespace as written there. */
static void write_element(struct rescope *rescope, const struct xml_node *node, bool own, str around)
{
    struct buf *out = &rescope->out;
    str ns = decoded(rescope, node->ns);
    own = (own || rescope->everywhere) && str_eq(ns, rescope->from);
    bool prefixed = node->prefix.len && !own;
    str name = prefixed ? str_of(node->prefix.p, (size_t)(node->name.p + node->name.len - node->prefix.p))
                        : node->name;
    buf_add_char(out, '<');
    buf_add(out, name);
    bool declares = write_attrs(rescope, node, own);
    if (own) {
        if (!str_eq(around, rescope->to))
            write_ns(rescope, rescope->to);
        around = rescope->to;
    } else if (declares) {
        around = decoded(rescope, xml_ns_of(node, STR("")));
    } else if (!prefixed && !str_eq(ns, around)) {
        write_ns(rescope, node->ns);
        around = ns;
    }
    if (!node->content.len) {
        buf_lit(out, "/>");
        return;
    }
    buf_add_char(out, '>');
    write_children(rescope, node, own, around);
    buf_lit(out, "</");
    buf_add(out, name);
    buf_add_char(out, '>');
}

static void write_children(struct rescope *rescope, const struct xml_node *node, bool own, str around)
{
    struct xml_node child;
    const char *at = node->content.p, *end = node->content.p + node->content.len;
    for (bool more = xml_first(node, &child); more; more = xml_next(&child)) {
        buf_add(&rescope->out, str_of(at, (size_t)(child.bytes.p - at)));
        write_element(rescope, &child, own, around);
        at = child.bytes.p + child.bytes.len;
    }
    buf_add(&rescope->out, str_of(at, (size_t)(end - at)));
}

str rescope_content(const struct xml_node *stanza, str from, str to, struct arena *arena)
{
    struct rescope rescope = {
        .arena = arena,
        .from = from,
        .to = to,
        .everywhere = str_is(from, NS_COMPONENT) /* nobody else knows it */
    };
    /* a long namespace name that many children would have to repeat must not make much of little */
    buf_init(&rescope.out, GROWTH_MAX * stanza->content.len + GROWTH_SPARE);
    write_children(&rescope, stanza, true, to);
    str content = rescope.out.len ? arena_str(arena, buf_str(&rescope.out)) : STR("");
    if (buf_failed(&rescope.out))
        content = str_none;
    buf_fini(&rescope.out);
    return content;
}

/* ---- In and out */

/* Those of the stream header's declarations whose prefix occurs in the element. */
static str used_declarations(const struct xml_node *node, str declarations, struct arena *arena)
{
    const struct xml_node header = { .attrs = declarations };
    struct xml_attr attr;
    char *used = NULL;
    size_t len = 0;
    for (size_t at = 0; declarations.len && xml_attr_next(&header, &at, &attr);) {
        str prefix = arena_printf(arena, "%.*s:", STR_ARGS(attr.name));
        if (!contains(node->bytes, prefix))
            continue;
        if (!used)
            used = arena_alloc(arena, declarations.len);
        used[len++] = ' ';
        memcpy(used + len, attr.bytes.p, attr.bytes.len);
        len += attr.bytes.len;
    }
    return str_of(used ? used : "", len);
}

enum stanza_fault rescope_read(const struct xml_node *node, str ns, str declarations, str lang,
                               struct arena *arena, struct stanza *ret)
{
    struct xml_node as_client = *node;
    str used = used_declarations(node, declarations, arena);
    if (!str_eq(node->ns, ns)) {
        *ret = (struct stanza){ .node = *node };
        return STANZA_UNKNOWN;
    }
    as_client.ns = STR(NS_CLIENT);
    enum stanza_fault fault = stanza_read(&as_client, used, lang, arena, ret);
    if (fault == STANZA_UNKNOWN)
        return fault;
    bool plain = rescope_is_plain(node->attrs, node->content, ns) && !contains(used, ns);
    if (!plain) {
        ret->node.content = rescope_content(node, ns, STR(NS_CLIENT), arena);
        if (!ret->node.content.p)
            return STANZA_BAD_REQUEST;
        ret->node.attrs = ret->attrs;
        ret->node.bytes = str_none;
    }
    ret->node.inherited = used.len ? arena_printf(arena, " xmlns='" NS_CLIENT "'%.*s", STR_ARGS(used))
                                   : STR(" xmlns='" NS_CLIENT "'");
    return fault;
}

bool rescope_write(struct buf *out, const struct stanza *stanza, const struct jid *to, str ns,
                   struct arena *arena)
{
    struct stanza crossed = *stanza;
    if (!rescope_is_plain(stanza->attrs, stanza_payload(stanza), STR(NS_CLIENT)))
        crossed.node.content = rescope_content(&stanza->node, STR(NS_CLIENT), ns, arena);
    if (!crossed.node.content.p)
        return false;
    stanza_write(out, &crossed, to);
    return true;
}
