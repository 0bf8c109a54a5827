/* SPDX-License-Identifier: MIT */
/* What a stream's start tag leaves to the elements in it: a default namespace and prefixes, and the name that
 * the end tag must have. Nearly every stream begins in one of three ways (its content namespace, and `stream`
 * for RFC 6120's own), for which there are constants; another header (dialback's prefix, a prefix of the
 * client's taste) is kept in one block of memory as long as the stream. */
#include "base/mem.h"
#include "xml/chars.h"
#include "xml/decode.h"
#include "xml/scan_state.h"

#include <stdlib.h>

#define NS_STREAMS     "http://etherx.jabber.org/streams"
#define DECLARE_STREAM " xmlns:stream='" NS_STREAMS "'"

static const struct scan_binding stream_binding[] = { {
    .prefix = sizeof " xmlns:" - 1,
    .prefix_len = sizeof "stream" - 1,
    .value = sizeof " xmlns:stream='" - 1,
    .value_len = sizeof NS_STREAMS - 1,
    .hash = 0x332FAEABu, /* decode_attr_hash() of the value; a test holds them together */
    .inherited = true,
} };

/* The declaration of `stream` stands first: its place is the binding's. */
#define USUAL(ns)                                                                                            \
    {                                                                                                        \
        .name = STR_INIT("stream:stream"), .inherited = STR_INIT(DECLARE_STREAM " xmlns='" ns "'"),          \
        .declared = STR_INIT(""), .default_ns = STR_INIT(ns), .bindings = stream_binding, .count = 1,        \
    }

static const struct scan_header usual[] = {
    USUAL("jabber:client"),
    USUAL("jabber:server"),
    USUAL("jabber:component:accept"),
};

static bool is_default(const struct xml_attr *attr)
{
    return !attr->prefix.len && str_is(attr->name, "xmlns");
}

static bool is_prefix(const struct xml_attr *attr)
{
    return str_is(attr->prefix, "xmlns");
}

static bool is_stream(const struct xml_attr *attr)
{
    return str_is(attr->name, "stream") && str_is(attr->raw, NS_STREAMS);
}

static const struct scan_header *find_usual(const struct xml_node *node)
{
    bool stream = false;
    str ns = str_none;
    struct xml_attr attr;
    for (size_t at = 0; xml_attr_next(node, &at, &attr);) {
        if (is_default(&attr))
            ns = attr.raw;
        else if (is_prefix(&attr) && !is_stream(&attr))
            return NULL;
        else if (is_prefix(&attr))
            stream = true;
    }
    if (!stream || !str_is(node->prefix, "stream") || !str_is(node->name, "stream"))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        if (str_eq(ns, usual[i].default_ns))
            return &usual[i];
    return NULL;
}

/* A header's block of memory: itself, its bindings, its text. */
struct kept {
    struct scan_header header;
    struct scan_binding bindings[SCAN_PREFIXES_MAX];
    char text[];
};

/* The binding that was made of this attribute while the tag was checked; NULL for the prefix xml. */
static const struct scan_binding *binding_of(const struct scan *s, const struct xml_attr *attr)
{
    for (unsigned i = 0; i < s->core.bindings; i++)
        if (s->base + s->binding[i].prefix == attr->name.p)
            return &s->binding[i];
    return NULL;
}

/* Copies the attribute, with a space before it, to the end of the declarations. */
static void keep(const struct scan *s, struct kept *kept, const struct xml_attr *attr)
{
    struct scan_header *header = &kept->header;
    char *to = kept->text + header->inherited.len;
    *to = ' ';
    memcpy(to + 1, attr->bytes.p, attr->bytes.len);
    uint32_t front = (uint32_t)header->inherited.len + 1;
    header->inherited.len += attr->bytes.len + 1;
    uint32_t value = front + (uint32_t)(attr->raw.p - attr->bytes.p);
    const struct scan_binding *binding = binding_of(s, attr);
    if (is_default(attr)) {
        header->default_ns = str_of(kept->text + value, attr->raw.len);
    } else if (binding) {
        struct scan_binding *copy = &kept->bindings[header->count++];
        *copy = *binding;
        copy->inherited = true;
        copy->prefix = front + (uint32_t)(attr->name.p - attr->bytes.p);
        copy->value = value;
    }
}

/* Numbers the bindings anew, in the order in which they were kept. */
static void number_again(struct kept *kept)
{
    const char *text = kept->text;
    struct scan_binding *list = kept->bindings;
    for (uint8_t i = 0; i < kept->header.count; i++) {
        uint8_t id = 0;
        str value = str_of(text + list[i].value, list[i].value_len);
        while (id < i && (list[id].hash != list[i].hash ||
                          !decode_attr_same(value, str_of(text + list[id].value, list[id].value_len))))
            id++;
        list[i].id = id;
    }
}

/* Two rounds, so that the prefixes to be handed on stand first. */
static void keep_all(const struct scan *s, struct kept *kept, const struct xml_node *node)
{
    struct xml_attr attr;
    for (size_t at = 0; xml_attr_next(node, &at, &attr);)
        if (is_prefix(&attr) && !is_stream(&attr))
            keep(s, kept, &attr);
    kept->header.declared = kept->header.inherited;
    for (size_t at = 0; xml_attr_next(node, &at, &attr);)
        if (is_default(&attr) || (is_prefix(&attr) && is_stream(&attr)))
            keep(s, kept, &attr);
    number_again(kept);
}

const struct scan_header *scan_header_keep(const struct scan *s, const struct xml_node *node)
{
    const struct scan_header *constant = find_usual(node);
    if (constant)
        return constant;
    size_t name_len = s->core.first_name;
    struct kept *kept = xmalloc(sizeof *kept + name_len + node->attrs.len + 1);
    char *name = kept->text + node->attrs.len + 1;
    memcpy(name, node->bytes.p + 1, name_len);
    kept->header = (struct scan_header){
        .name = str_of(name, name_len),
        .inherited = str_of(kept->text, 0),
        .default_ns = STR(""),
        .bindings = kept->bindings,
        .on_heap = true,
    };
    keep_all(s, kept, node);
    return &kept->header;
}

void scan_header_free(const struct scan_header *header)
{
    if (header && header->on_heap)
        free(CONTAINER_OF(header, struct kept, header));
}
