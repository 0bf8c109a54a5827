/* SPDX-License-Identifier: MIT */
/* The end of a start tag, when all its attributes are known: no attribute twice, prefixes declared, the rules
 * of Namespaces in XML 1.0 (§3: xml and xmlns are reserved; §5: each prefix is declared, and cannot be
 * undeclared; §6.3: no attribute twice by its expanded name). A tag without prefixes costs a few
 * instructions.
 *
 * Prefixes in scope stand on a stack of bounded height, and each carries the number of the lowest one that
 * means the same namespace: so expanded names are compared without comparing long namespace names over and
 * over, and hostile input gains nothing by many or long declarations. */
#include "xml/chars.h"
#include "xml/decode.h"
#include "xml/scan_state.h"

#define NS_XML   STR("http://www.w3.org/XML/1998/namespace")
#define NS_XMLNS STR("http://www.w3.org/2000/xmlns/")

enum { ID_XML = 254, ID_NONE = 255 };
_Static_assert((int)SCAN_PREFIXES_MAX < (int)ID_XML, "a binding's number fits beside the two special ones");

static str name_of(const struct scan_attr *attr)
{
    return str_of(attr->name, attr->name_len);
}

static str prefix_of(const struct scan_attr *attr)
{
    return str_of(attr->name, attr->prefix_len);
}

static str local_of(const struct scan_attr *attr)
{
    return attr->prefix_len ? str_sub(name_of(attr), attr->prefix_len + 1u, attr->name_len) : name_of(attr);
}

static str value_of(const struct scan_attr *attr)
{
    return str_of(attr->value, attr->value_len);
}

static bool any_twice(const struct scan_attrs *attrs)
{
    for (unsigned i = 1; i < attrs->count; i++)
        for (unsigned j = 0; j < i; j++)
            if (str_eq(name_of(&attrs->list[i]), name_of(&attrs->list[j])))
                return true;
    return false;
}

static const char *base_of(const struct scan *s, const struct scan_binding *binding)
{
    return binding->inherited ? s->header->inherited.p : s->base;
}

static uint8_t id_of_prefix(const struct scan *s, str prefix)
{
    for (unsigned i = s->core.bindings; i-- > 0;) {
        const struct scan_binding *b = &s->binding[i];
        if (str_eq(prefix, str_of(base_of(s, b) + b->prefix, b->prefix_len)))
            return b->id;
    }
    return str_is(prefix, "xml") ? ID_XML : ID_NONE;
}

static uint8_t id_of_value(const struct scan *s, str value, uint32_t hash)
{
    unsigned i = 0;
    for (; i < s->core.bindings; i++) {
        const struct scan_binding *b = &s->binding[i];
        if (b->hash == hash && decode_attr_same(value, str_of(base_of(s, b) + b->value, b->value_len)))
            break;
    }
    return (uint8_t)i;
}

static bool reserved(str ns)
{
    if (!ns.len || (ns.p[0] != 'h' && ns.p[0] != '&'))
        return false;
    if (!memchr(ns.p, '&', ns.len))
        return str_eq(ns, NS_XML) || str_eq(ns, NS_XMLNS);
    return decode_attr_same(ns, NS_XML) || decode_attr_same(ns, NS_XMLNS);
}

static bool refuse(struct scan *s, enum scan_error error)
{
    scan_fail(s, error, NULL);
    return false;
}

/* xmlns:prefix='value' */
static bool declare(struct scan *s, const struct scan_attr *attr)
{
    str prefix = local_of(attr), value = value_of(attr);
    if (str_is(prefix, "xml"))
        return decode_attr_same(value, NS_XML) || refuse(s, SCAN_ERROR_NOT_WELL_FORMED);
    if (str_is(prefix, "xmlns") || !value.len || reserved(value))
        return refuse(s, SCAN_ERROR_NOT_WELL_FORMED);
    if (s->core.bindings == SCAN_PREFIXES_MAX)
        return refuse(s, SCAN_ERROR_LIMIT);
    uint32_t hash = decode_attr_hash(value);
    s->binding[s->core.bindings] = (struct scan_binding){
        .prefix = scan_at(s, prefix.p),
        .prefix_len = (uint16_t)prefix.len,
        .value = scan_at(s, value.p),
        .value_len = (uint32_t)value.len,
        .hash = hash,
        .id = id_of_value(s, value, hash),
    };
    s->core.bindings++;
    return true;
}

static bool declare_all(struct scan *s, const struct scan_attrs *attrs)
{
    for (unsigned i = 0; i < attrs->count; i++) {
        const struct scan_attr *attr = &attrs->list[i];
        if (str_is(prefix_of(attr), "xmlns")) {
            if (!declare(s, attr))
                return false;
        } else if (!attr->prefix_len && str_is(name_of(attr), "xmlns")) {
            if (reserved(value_of(attr)))
                return refuse(s, SCAN_ERROR_NOT_WELL_FORMED);
            if (s->core.depth == 0) {
                s->core.first_has_ns = true;
                s->core.first_ns = scan_at(s, attr->value);
                s->core.first_ns_len = attr->value_len;
            }
        }
    }
    return true;
}

/* Every prefix of an attribute is declared, and no two prefixed names mean the same. */
static bool prefixes_hold(struct scan *s, const struct scan_attrs *attrs)
{
    uint8_t ids[SCAN_ATTRIBUTES_MAX];
    for (unsigned i = 0; i < attrs->count; i++) {
        const struct scan_attr *attr = &attrs->list[i];
        ids[i] = ID_NONE;
        if (!attr->prefix_len || str_is(prefix_of(attr), "xmlns"))
            continue;
        ids[i] = id_of_prefix(s, prefix_of(attr));
        if (ids[i] == ID_NONE)
            return false;
        for (unsigned j = 0; j < i; j++)
            if (ids[j] == ids[i] && str_eq(local_of(&attrs->list[j]), local_of(attr)))
                return false;
    }
    return true;
}

static const char *enter(struct scan *s, bool empty, uint16_t bindings, const char *p)
{
    struct scan_core *core = &s->core;
    core->place = IN_CONTENT;
    if (!s->header) {
        core->empty = empty;
        s->event = SCAN_OPEN;
        return p;
    }
    if (empty) {
        core->bindings = bindings;
        s->event = core->depth ? SCAN_MORE : SCAN_ELEMENT;
        return p;
    }
    s->open[core->depth++] =
        (struct scan_open){ .name = core->name, .len = core->name_len, .bindings = bindings };
    return p;
}

const char *scan_tag_done(struct scan *s, const struct scan_attrs *attrs, bool empty, const char *p)
{
    struct scan_core *core = &s->core;
    uint16_t bindings = core->bindings;
    if (attrs->twins && any_twice(attrs))
        return scan_fail(s, SCAN_ERROR_NOT_WELL_FORMED, p);
    if (attrs->special && !declare_all(s, attrs))
        return p;
    uint16_t prefix_len = core->prefix_len;
    if (prefix_len && id_of_prefix(s, str_of(s->base + core->name, prefix_len)) == ID_NONE)
        return scan_fail(s, SCAN_ERROR_NOT_WELL_FORMED, p);
    if (attrs->special && !prefixes_hold(s, attrs))
        return scan_fail(s, SCAN_ERROR_NOT_WELL_FORMED, p);
    if (core->depth == 0) {
        core->first_prefix = prefix_len;
        core->first_name = core->name_len;
        core->first_end = scan_at(s, p);
    }
    return enter(s, empty, bindings, p);
}

const char *scan_tag_close(struct scan *s, const char *p)
{
    struct scan_core *core = &s->core;
    core->place = IN_CONTENT;
    if (core->depth == 0) {
        s->event = SCAN_CLOSE;
        return p;
    }
    core->bindings = s->open[--core->depth].bindings;
    if (core->depth == 0)
        s->event = SCAN_ELEMENT;
    return p;
}
