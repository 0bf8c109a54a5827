/* SPDX-License-Identifier: MIT */
/* Taking a stanza out of another one, and putting one in. The bytes within stay as they are; a prefix that is
 * declared around them would be without meaning outside, and break the stream of whoever gets it, so it is
 * declared on the inner stanza. */
#include "xmpp/inner.h"

#include "base/buf.h"
#include "xmpp/ns.h"

enum { DECLARATIONS_MAX = 64 * 1024 };

static bool uses_prefix(str bytes, str prefix)
{
    for (size_t at = 0; at + prefix.len < bytes.len; at++) {
        size_t next = at + str_find(str_sub(bytes, at, bytes.len), ':');
        if (next >= bytes.len)
            return false;
        if (next >= prefix.len && str_eq(str_sub(bytes, next - prefix.len, next), prefix))
            return true;
        at = next;
    }
    return false;
}

static bool has_declaration(str declarations, str prefix)
{
    const struct xml_node node = { .attrs = declarations };
    struct xml_attr attr;
    size_t at = 0;
    while (declarations.len && xml_attr_next(&node, &at, &attr))
        if (str_eq(attr.name, prefix))
            return true;
    return false;
}

/* Adds those of a tag that the element uses and that none nearer to it has hidden. */
static void add_declarations(struct buf *to, const struct xml_node *used_in, str attrs)
{
    const struct xml_node tag = { .attrs = attrs };
    struct xml_attr attr;
    size_t at = 0;
    while (attrs.len && xml_attr_next(&tag, &at, &attr)) {
        if (!str_is(attr.prefix, "xmlns") || has_declaration(buf_str(to), attr.name) ||
            !uses_prefix(used_in->bytes, attr.name))
            continue;
        buf_add_char(to, ' ');
        buf_add(to, attr.bytes);
    }
}

enum stanza_fault inner_read(const struct xml_node *node, struct arena *arena, struct stanza *ret)
{
    struct buf declarations;
    if (node->prefix.len) {
        *ret = (struct stanza){ .node = *node };
        return STANZA_UNKNOWN;
    }
    buf_init(&declarations, DECLARATIONS_MAX);
    for (const struct xml_node *around = node->parent; around; around = around->parent) {
        add_declarations(&declarations, node, around->attrs);
        if (!around->parent && str_starts(around->inherited, STR(" "))) /* else a bare namespace (node.h) */
            add_declarations(&declarations, node, around->inherited);
    }
    enum stanza_fault fault = buf_failed(&declarations)
                                  ? STANZA_BAD_REQUEST
                                  : stanza_read(node, buf_str(&declarations), str_none, arena, ret);
    buf_fini(&declarations);
    ret->node.parent = NULL;
    ret->node.inherited = STR(" xmlns='" NS_CLIENT "'");
    ret->node.attrs = ret->attrs;
    return fault;
}

void inner_write(struct buf *out, const struct stanza *stanza)
{
    struct buf whole;
    str name = str_from(stanza_kind_name(stanza->kind));
    buf_init(&whole, SIZE_MAX / 4);
    stanza_write(&whole, stanza, NULL);
    buf_add(out, str_sub(buf_str(&whole), 0, name.len + 1));
    buf_lit(out, " xmlns='" NS_CLIENT "'");
    buf_add(out, str_sub(buf_str(&whole), name.len + 1, whole.len));
    buf_fini(&whole);
}
