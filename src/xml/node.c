/* SPDX-License-Identifier: MIT */
/* The cursor: walks over bytes that the scanner has passed, and so may believe them. A child is found by its
 * '<', and its end by counting tags; nothing recurses, and nothing is kept but the views that the caller
 * holds. Text between tags is passed by memchr.
 *
 * Namespaces are resolved while a start tag is walked through anyway: an element without a prefix takes its
 * own xmlns, or else its parent's default namespace. Only prefixes ask the ancestors (Namespaces in XML 1.0
 * §6). */
#include "xml/node.h"

#include "base/utf8.h"
#include "xml/chars.h"
#include "xml/decode.h"
#include "xml/scan_state.h"

#define NS_XML   STR("http://www.w3.org/XML/1998/namespace")
#define NS_XMLNS STR("http://www.w3.org/2000/xmlns/")

static bool is_space(char c)
{
    return chars_is(c, CHAR_SPACE);
}

static const char *find(const char *p, const char *end, char c)
{
    return memchr(p, c, (size_t)(end - p));
}

/* Cuts a name in two at its colon. */
static void split(str name, str *ret_prefix, str *ret_local)
{
    size_t colon = str_find(name, ':');
    if (colon == name.len) {
        *ret_prefix = str_of(name.p, 0);
        *ret_local = name;
        return;
    }
    *ret_prefix = str_sub(name, 0, colon);
    *ret_local = str_sub(name, colon + 1, name.len);
}

static bool next_attr(str attrs, size_t *at, struct xml_attr *ret)
{
    const char *p = attrs.p + *at, *end = attrs.p + attrs.len;
    while (p < end && is_space(*p))
        p++;
    if (p >= end)
        return false;
    const char *start = p;
    while (*p != '=' && !is_space(*p))
        p++;
    split(str_of(start, (size_t)(p - start)), &ret->prefix, &ret->name);
    while (*p != '"' && *p != '\'')
        p++;
    const char *close = find(p + 1, end, *p);
    ret->raw = str_of(p + 1, (size_t)(close - p) - 1);
    ret->bytes = str_of(start, (size_t)(close + 1 - start));
    *at = (size_t)(close + 1 - attrs.p);
    return true;
}

bool xml_attr_next(const struct xml_node *node, size_t *at, struct xml_attr *ret)
{
    return next_attr(node->attrs, at, ret);
}

/* The declaration of a prefix ("" for the default namespace) among attributes. */
static bool declared(str attrs, str prefix, str *ret)
{
    struct xml_attr attr;
    for (size_t at = 0; next_attr(attrs, &at, &attr);) {
        bool is_default = !attr.prefix.len && str_is(attr.name, "xmlns");
        bool is_prefix = str_is(attr.prefix, "xmlns");
        if (prefix.len ? is_prefix && str_eq(attr.name, prefix) : is_default) {
            *ret = attr.raw;
            return true;
        }
    }
    return false;
}

/* What a first-level element has from outside. */
static str inherited(const struct xml_node *first, str prefix)
{
    str from = first->inherited, ns;
    bool bare = from.len && from.p[0] != ' ';
    if (!prefix.len && bare)
        return from;
    if (!bare && declared(from, prefix, &ns))
        return ns;
    return prefix.len ? str_none : STR("");
}

str xml_ns_of(const struct xml_node *node, str prefix)
{
    if (str_is(prefix, "xml"))
        return NS_XML;
    if (str_is(prefix, "xmlns"))
        return NS_XMLNS;
    for (;; node = node->parent) {
        str ns;
        if (declared(node->attrs, prefix, &ns))
            return ns;
        if (!node->parent)
            return inherited(node, prefix);
    }
}

/* The '>' that ends the start tag in whose midst `p` stands, between attributes. */
static const char *tag_end(const char *p, const char *end)
{
    for (; *p != '>'; p++)
        if (*p == '"' || *p == '\'')
            p = find(p + 1, end, *p);
    return p;
}

/* Behind the CDATA section that begins at `p`. */
static const char *pass_cdata(const char *p, const char *end)
{
    return (const char *)memmem(p, (size_t)(end - p), "]]>", 3) + 3;
}

/* The '<' of the end tag that closes the element in whose content `p` stands. */
static const char *content_end(const char *p, const char *end)
{
    for (size_t depth = 1;;) {
        p = find(p, end, '<');
        if (p[1] == '/') {
            if (--depth == 0)
                return p;
            p += 2;
        } else if (p[1] == '!') {
            p = pass_cdata(p, end);
        } else {
            p = tag_end(p, end);
            depth += p[-1] != '/';
        }
    }
}

static void set_tag(struct xml_node *node, const char *start, const char *name_end, const char *close)
{
    bool empty = close[-1] == '/';
    split(str_of(start + 1, (size_t)(name_end - start) - 1), &node->prefix, &node->name);
    node->attrs = str_of(name_end, (size_t)(close - name_end) - empty);
    node->content = str_of(close + 1, 0);
}

static void set_ns(struct xml_node *node)
{
    const struct xml_node *parent = node->parent;
    if (node->prefix.len)
        node->ns = xml_ns_of(node, node->prefix);
    else if (!node->attrs.len || !declared(node->attrs, STR(""), &node->ns))
        node->ns = parent->prefix.len ? xml_ns_of(parent, STR("")) : parent->ns;
}

/* The view of the element at `start`, a child of `parent`. */
static void view(const char *start, const char *end, const struct xml_node *parent, struct xml_node *ret)
{
    const char *name_end = start + 1;
    while (!is_space(*name_end) && *name_end != '>' && *name_end != '/')
        name_end++;
    const char *close = tag_end(name_end, end);
    *ret = (struct xml_node){ .parent = parent };
    set_tag(ret, start, name_end, close);
    set_ns(ret);
    const char *behind = close + 1;
    if (close[-1] != '/') {
        const char *stop = content_end(close + 1, end);
        ret->content.len = (size_t)(stop - ret->content.p);
        behind = find(stop, end, '>') + 1;
    }
    ret->bytes = str_of(start, (size_t)(behind - start));
}

/* The first child element of `parent` from `p` on. */
static bool child_from(const char *p, const struct xml_node *parent, struct xml_node *ret)
{
    const char *end = parent->content.p + parent->content.len;
    while (p < end && (p = find(p, end, '<'))) {
        if (p[1] != '!') {
            view(p, end, parent, ret);
            return true;
        }
        p = pass_cdata(p, end);
    }
    return false;
}

bool xml_first(const struct xml_node *parent, struct xml_node *ret)
{
    return parent->content.len && child_from(parent->content.p, parent, ret);
}

bool xml_next(struct xml_node *node)
{
    return node->parent && child_from(node->bytes.p + node->bytes.len, node->parent, node);
}

bool xml_is(const struct xml_node *node, str name, str ns)
{
    return str_eq(node->name, name) && decode_attr_same(node->ns, ns);
}

bool xml_child(const struct xml_node *parent, str name, str ns, struct xml_node *ret)
{
    struct xml_node child;
    for (bool more = xml_first(parent, &child); more; more = xml_next(&child)) {
        if (ns.p ? xml_is(&child, name, ns) : str_eq(child.name, name)) {
            *ret = child;
            return true;
        }
    }
    return false;
}

str xml_decode_attr(str raw, struct arena *arena)
{
    if (!decode_attr_needed(raw))
        return raw;
    char *to = arena_alloc(arena, raw.len);
    return str_of(to, decode_attr(raw, to));
}

static str attr_value(const struct xml_node *node, str prefix, str name, struct arena *arena)
{
    struct xml_attr attr;
    for (size_t at = 0; next_attr(node->attrs, &at, &attr);)
        if (str_eq(attr.name, name) && str_eq(attr.prefix, prefix))
            return xml_decode_attr(attr.raw, arena);
    return str_none;
}

str xml_attr(const struct xml_node *node, str name, struct arena *arena)
{
    return attr_value(node, STR(""), name, arena);
}

str xml_lang(const struct xml_node *node, struct arena *arena)
{
    return attr_value(node, STR("xml"), STR("lang"), arena);
}

/* Copies text up to `end`, with line ends as XML 1.0 §2.11 wants them; returns where it ends at `to`. */
static char *copy_lines(char *to, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p == '\r') {
            *to++ = '\n';
            p += p + 1 < end && p[1] == '\n';
        } else {
            *to++ = *p;
        }
    }
    return to;
}

/* Passes what stands at `*p` (a '<' or '&'), and writes the text that it means. */
static char *copy_special(char *to, const char **p, const char *end)
{
    uint32_t code;
    size_t used;
    if (**p == '&' && (used = decode_ref(*p, end, &code))) {
        *p += used;
        return to + utf8_put(to, code);
    }
    if ((*p)[1] == '!') {
        const char *start = *p + sizeof "<![CDATA[" - 1;
        *p = pass_cdata(*p, end);
        return copy_lines(to, start, *p - 3);
    }
    const char *close = tag_end(*p, end);
    if (close[-1] != '/')
        close = find(content_end(close + 1, end), end, '>');
    *p = close + 1;
    return to;
}

str xml_text(const struct xml_node *node, struct arena *arena)
{
    str content = node->content;
    if (!content.len)
        return STR("");
    const char *p = content.p, *end = p + content.len;
    if (!find(p, end, '<') && !find(p, end, '&') && !find(p, end, '\r'))
        return content;
    char *text = arena_alloc(arena, content.len), *to = text;
    while (p < end) {
        const char *stop = p;
        while (stop < end && *stop != '<' && *stop != '&')
            stop++;
        to = copy_lines(to, p, stop);
        p = stop;
        if (p < end)
            to = copy_special(to, &p, end);
    }
    return str_of(text, (size_t)(to - text));
}

str xml_child_text(const struct xml_node *parent, str name, str ns, struct arena *arena)
{
    struct xml_node child;
    return xml_child(parent, name, ns, &child) ? xml_text(&child, arena) : str_none;
}

bool xml_parse(str bytes, str ns, struct xml_node *ret)
{
    str given = ns.p ? ns : STR("");
    const struct scan_header header = {
        .name = STR(""), .inherited = given, .declared = STR(""), .default_ns = given
    };
    return scan_alone(bytes, &header, ret);
}

/* The same slice of a copy of the bytes, if it is one of the bytes. */
static str moved(str slice, str from, const char *to)
{
    bool inside = slice.p >= from.p && slice.p + slice.len <= from.p + from.len;
    return slice.p && inside ? str_of(to + (slice.p - from.p), slice.len) : slice;
}

void xml_keep(const struct xml_node *node, struct arena *arena, struct xml_node *ret)
{
    str bytes = arena_str(arena, node->bytes), inherited = arena_str(arena, node->inherited);
    *ret = (struct xml_node){
        .bytes = bytes,
        .prefix = moved(node->prefix, node->bytes, bytes.p),
        .name = moved(node->name, node->bytes, bytes.p),
        .ns = moved(moved(node->ns, node->bytes, bytes.p), node->inherited, inherited.p),
        .attrs = moved(node->attrs, node->bytes, bytes.p),
        .content = moved(node->content, node->bytes, bytes.p),
        .inherited = inherited,
    };
}
