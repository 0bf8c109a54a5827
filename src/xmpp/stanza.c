/* SPDX-License-Identifier: MIT */
/* Stanzas: the head is read and rewritten, the payload is carried along as bytes.
 *
 * A stanza leaves as `<kind ATTRS from='' to=''>PAYLOAD</kind>`, where ATTRS are the sender's own attributes,
 * to and from apart, as they stood. That keeps attributes and prefix declarations that we do not know (RFC
 * 6120 §8.4), and costs one copy. What a prefix in the payload refers to, if it was declared on the sender's
 * stream header, is declared again on the stanza, so the bytes mean the same on every stream. */
#include "xmpp/stanza.h"

#include "base/mem.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

static const struct {
    const char *name;
    enum stanza_kind kind;
} type_table[] = {
    /* clang-format off */
    [TYPE_NONE] = { NULL, 0 },
    [TYPE_ERROR] = { "error", 0 },
    [TYPE_NORMAL] = { "normal", STANZA_MESSAGE },
    [TYPE_CHAT] = { "chat", STANZA_MESSAGE },
    [TYPE_GROUPCHAT] = { "groupchat", STANZA_MESSAGE },
    [TYPE_HEADLINE] = { "headline", STANZA_MESSAGE },
    [TYPE_UNAVAILABLE] = { "unavailable", STANZA_PRESENCE },
    [TYPE_SUBSCRIBE] = { "subscribe", STANZA_PRESENCE },
    [TYPE_SUBSCRIBED] = { "subscribed", STANZA_PRESENCE },
    [TYPE_UNSUBSCRIBE] = { "unsubscribe", STANZA_PRESENCE },
    [TYPE_UNSUBSCRIBED] = { "unsubscribed", STANZA_PRESENCE },
    [TYPE_PROBE] = { "probe", STANZA_PRESENCE },
    [TYPE_GET] = { "get", STANZA_IQ },
    [TYPE_SET] = { "set", STANZA_IQ },
    [TYPE_RESULT] = { "result", STANZA_IQ },
    [TYPE_UNKNOWN] = { NULL, 0 },
    /* clang-format on */
};

static const str kind_names[] = { STR_INIT("message"), STR_INIT("presence"), STR_INIT("iq") };

const char *stanza_kind_name(enum stanza_kind kind)
{
    return kind_names[kind].p;
}

const char *stanza_type_name(enum stanza_type type)
{
    return type_table[type].name;
}

static enum stanza_type type_named(enum stanza_kind kind, str name)
{
    if (!name.p)
        return TYPE_NONE;
    for (enum stanza_type type = TYPE_ERROR; type < TYPE_UNKNOWN; type++)
        if ((type == TYPE_ERROR || type_table[type].kind == kind) &&
            str_eq(name, str_from(type_table[type].name)))
            return type;
    /* RFC 6121 §5.2.2: a message of a type that is not known is a normal one */
    return kind == STANZA_MESSAGE ? TYPE_NORMAL : TYPE_UNKNOWN;
}

static bool read_kind(const struct xml_node *node, enum stanza_kind *ret)
{
    if (!str_is(node->ns, NS_CLIENT))
        return false;
    for (size_t i = 0; i < COUNT_OF(kind_names); i++) {
        if (str_eq(node->name, kind_names[i])) {
            *ret = (enum stanza_kind)i;
            return true;
        }
    }
    return false;
}

/* The attributes that routing reads, as they stand. */
struct head {
    str from, to, type;
    bool has_lang;
};

static void copy_bytes(char **at, str s)
{
    if (s.len)
        memcpy(*at, s.p, s.len);
    *at += s.len;
}

static bool has_attribute(const struct xml_node *node, const struct xml_attr *wanted)
{
    struct xml_attr attr;
    size_t at = 0;
    while (xml_attr_next(node, &at, &attr))
        if (str_eq(attr.prefix, wanted->prefix) && str_eq(attr.name, wanted->name))
            return true;
    return false;
}

/* The stream header's declarations, but for the prefixes that the stanza declares anew. */
static void copy_declarations(char **to, const struct xml_node *node, str declarations)
{
    const struct xml_node header = { .attrs = declarations };
    struct xml_attr attr;
    size_t at = 0;
    while (declarations.len && xml_attr_next(&header, &at, &attr)) {
        if (has_attribute(node, &attr))
            continue;
        *(*to)++ = ' ';
        copy_bytes(to, attr.bytes);
    }
}

/* Sorts the attributes: those for routing into `head`, all others into stanza->attrs. */
static void read_attributes(const struct xml_node *node, str declarations, str lang, struct arena *arena,
                            struct stanza *ret, struct head *head)
{
    size_t at = 0;
    struct xml_attr attr;
    char *attrs =
        arena_alloc(arena, 2 * node->attrs.len + declarations.len + lang.len + sizeof " xml:lang=''");
    char *end = attrs;
    while (xml_attr_next(node, &at, &attr)) {
        if (attr.prefix.len == 0) {
            if (str_is(attr.name, "to")) {
                head->to = attr.raw;
                continue;
            }
            if (str_is(attr.name, "from")) {
                head->from = attr.raw;
                continue;
            }
            if (str_is(attr.name, "xmlns"))
                continue;
            if (str_is(attr.name, "type"))
                head->type = attr.raw;
            else if (str_is(attr.name, "id"))
                ret->id = attr.raw;
        } else if (str_is(attr.prefix, "xml") && str_is(attr.name, "lang")) {
            head->has_lang = true;
        }
        *end++ = ' ';
        copy_bytes(&end, attr.bytes);
    }
    copy_declarations(&end, node, declarations);
    if (lang.len && !head->has_lang && ret->kind != STANZA_IQ) {
        copy_bytes(&end, STR(" xml:lang='"));
        copy_bytes(&end, lang);
        *end++ = '\'';
    }
    ret->attrs = str_of(attrs, (size_t)(end - attrs));
}

static bool has_valid_shape(const struct stanza *stanza)
{
    if (stanza->type == TYPE_UNKNOWN)
        return false;
    if (stanza->kind != STANZA_IQ)
        return true;
    struct xml_node child;
    unsigned children = 0;
    for (bool more = xml_first(&stanza->node, &child); more && children < 2; more = xml_next(&child))
        children++;
    if (!stanza->id.len || stanza->type == TYPE_NONE)
        return false;
    if (stanza->type == TYPE_GET || stanza->type == TYPE_SET)
        return children == 1;
    return stanza->type == TYPE_ERROR || children <= 1;
}

static bool read_jid(str raw, struct arena *arena, struct jid *ret)
{
    if (!raw.p)
        return true;
    return jid_parse(xml_decode_attr(raw, arena), arena, ret) == OK;
}

enum stanza_fault stanza_read(const struct xml_node *node, str declarations, str lang, struct arena *arena,
                              struct stanza *ret)
{
    struct head head = { 0 };
    *ret = (struct stanza){ .node = *node };
    if (!read_kind(node, &ret->kind))
        return STANZA_UNKNOWN;
    read_attributes(node, declarations, lang, arena, ret, &head);
    ret->type = type_named(ret->kind, head.type);
    if (!read_jid(head.from, arena, &ret->from))
        return STANZA_BAD_FROM;
    if (!read_jid(head.to, arena, &ret->to))
        return STANZA_BAD_TO;
    return has_valid_shape(ret) ? STANZA_OK : STANZA_BAD_REQUEST;
}

struct stanza stanza_make(enum stanza_kind kind, enum stanza_type type, str id, str payload,
                          struct arena *arena)
{
    struct stanza stanza = { .kind = kind, .type = type, .id = id };
    const char *name = stanza_type_name(type);
    str typed = name ? arena_printf(arena, " type='%s'", name) : str_of("", 0);
    /* quotes of an id are those that its sender did not need to escape: both kinds must be looked for */
    char quote = id.len && str_find(id, '\'') < id.len ? '"' : '\'';
    stanza.attrs =
        id.p ? arena_printf(arena, "%.*s id=%c%.*s%c", STR_ARGS(typed), quote, STR_ARGS(id), quote) : typed;
    stanza.node = (struct xml_node){
        .prefix = STR(""),
        .name = kind_names[kind],
        .ns = STR(NS_CLIENT),
        .attrs = stanza.attrs,
        .content = payload.p ? payload : str_of("", 0),
        .inherited = STR(" xmlns='" NS_CLIENT "'"),
    };
    return stanza;
}

void stanza_write(struct buf *out, const struct stanza *stanza, const struct jid *to)
{
    str name = kind_names[stanza->kind];
    str payload = stanza_payload(stanza);
    const struct jid *target = to ? to : &stanza->to;
    buf_add_char(out, '<');
    buf_add(out, name);
    buf_add(out, stanza->attrs);
    if (!jid_is_none(&stanza->from))
        xml_write_attr(out, "from", stanza->from.full);
    if (!jid_is_none(target))
        xml_write_attr(out, "to", target->full);
    if (!payload.len) {
        buf_lit(out, "/>");
        return;
    }
    buf_add_char(out, '>');
    buf_add(out, payload);
    buf_lit(out, "</");
    buf_add(out, name);
    buf_add_char(out, '>');
}

static str carry(char **at, str s)
{
    str moved = { s.p ? *at : NULL, s.len };
    copy_bytes(at, s);
    return moved;
}

/* What was seen in the original's payload is true of its copy. */
static void carry_facts(struct stanza *copy, const struct stanza *stanza)
{
    str seen = stanza->_facts.content, payload = stanza->node.content;
    bool known = seen.p && seen.p == payload.p && seen.len == payload.len;
    copy->_facts = known ? (struct stanza_facts){ copy->node.content, stanza->_facts.facts }
                         : (struct stanza_facts){ 0 };
}

size_t stanza_copy_size(const struct stanza *stanza)
{
    const struct xml_node *node = &stanza->node;
    return sizeof *stanza + stanza->from.full.len + stanza->to.full.len + stanza->id.len + stanza->attrs.len +
           node->content.len + node->inherited.len;
}

struct stanza *stanza_copy(const struct stanza *stanza)
{
    const struct xml_node *node = &stanza->node;
    struct stanza *copy = xmalloc(stanza_copy_size(stanza));
    char *at = (char *)(copy + 1);
    *copy = *stanza;
    copy->from.full = carry(&at, stanza->from.full);
    copy->to.full = carry(&at, stanza->to.full);
    copy->id = carry(&at, stanza->id);
    copy->attrs = carry(&at, stanza->attrs);
    copy->node = (struct xml_node){
        .prefix = STR(""),
        .name = kind_names[stanza->kind],
        .ns = STR(NS_CLIENT),
        .attrs = copy->attrs,
        .content = carry(&at, node->content),
        .inherited = carry(&at, node->inherited),
    };
    carry_facts(copy, stanza);
    return copy;
}

struct stanza *stanza_copy_arena(const struct stanza *stanza, struct arena *arena)
{
    struct stanza *copy = arena_alloc(arena, sizeof *copy);
    *copy = *stanza;
    copy->from = jid_copy(&stanza->from, arena);
    copy->to = jid_copy(&stanza->to, arena);
    copy->id = arena_str(arena, stanza->id);
    copy->attrs = arena_str(arena, stanza->attrs);
    copy->node = (struct xml_node){
        .prefix = STR(""),
        .name = kind_names[stanza->kind],
        .ns = STR(NS_CLIENT),
        .attrs = copy->attrs,
        .content = arena_str(arena, stanza->node.content),
        .inherited = arena_str(arena, stanza->node.inherited),
    };
    carry_facts(copy, stanza);
    return copy;
}

bool stanza_priority(const struct stanza *presence, struct arena *arena, int *ret)
{
    str text = xml_child_text(&presence->node, STR("priority"), STR(NS_CLIENT), arena);
    uint64_t value;
    *ret = 0;
    if (!text.p)
        return true;
    text = str_trim(text);
    bool negative = str_starts(text, STR("-"));
    if (negative || str_starts(text, STR("+")))
        text = str_sub(text, 1, text.len);
    if (!str_to_u64(text, negative ? 128 : 127, &value))
        return false;
    *ret = negative ? -(int)value : (int)value;
    return true;
}
