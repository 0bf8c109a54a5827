/* SPDX-License-Identifier: MIT */
/* XEP-0004 2.13.2 and XEP-0068 1.3.0: forms from peers. A form is read into a bounded array in two walks over
 * its bytes, one that counts and checks and one that fills, so that nothing grows.
 *
 * What a value means is known by who asks for it: types that a submission claims are kept but not believed.
 * Getters leave alone what is not there (XEP-0004 §3.6: values of omitted fields stay) and remember the first
 * bad value, so that a caller reads a dozen fields without a branch for each.
 *
 * Not read: <reported/> and <item/> (a server gets none), media elements, and XEP-0122's validation, which is
 * for who fills in a form. */
#include "xmpp/form.h"

#include "base/mem.h"
#include "xmpp/stamp.h"

static const char *const type_names[] = { "form", "submit", "cancel", "result" };

static bool read_type(const struct xml_node *x, struct arena *arena, enum form_type *ret)
{
    str type = xml_attr(x, STR("type"), arena);
    for (size_t i = 0; i < COUNT_OF(type_names); i++) {
        if (str_eq(type, str_from(type_names[i]))) {
            *ret = (enum form_type)i;
            return true;
        }
    }
    return false;
}

static bool is_form(const struct xml_node *node, str name)
{
    return xml_is(node, name, STR(NS_FORM));
}

static bool is_fixed(const struct xml_node *field, struct arena *arena)
{
    return str_is(xml_attr(field, STR("type"), arena), "fixed");
}

static size_t count_values(const struct xml_node *field)
{
    struct xml_node child;
    size_t count = 0;
    for (bool more = xml_first(field, &child); more; more = xml_next(&child))
        count += is_form(&child, STR("value"));
    return count;
}

/* How many fields there are, or what is wrong with them. */
static enum err count_fields(const struct xml_node *x, struct arena *arena, struct form *form)
{
    struct xml_node child;
    size_t values = 0;
    for (bool more = xml_first(x, &child); more; more = xml_next(&child)) {
        if (is_form(&child, STR("reported")) || is_form(&child, STR("item")))
            form->has_items = true;
        if (!is_form(&child, STR("field")) || is_fixed(&child, arena))
            continue;
        if (!xml_attr(&child, STR("var"), arena).len)
            return ERR_SYNTAX;
        values += count_values(&child);
        if (++form->count > FORM_FIELDS_MAX || values > FORM_VALUES_MAX)
            return ERR_LIMIT;
    }
    return OK;
}

static struct form_field read_field(const struct xml_node *node, struct arena *arena)
{
    struct xml_node child;
    struct form_field field = { .name = xml_attr(node, STR("var"), arena),
                                .type = xml_attr(node, STR("type"), arena) };
    field.values = arena_alloc(arena, count_values(node) * sizeof *field.values);
    for (bool more = xml_first(node, &child); more; more = xml_next(&child))
        if (is_form(&child, STR("value")))
            field.values[field.count++] = xml_text(&child, arena);
    return field;
}

static struct form_field *find(const struct form *form, str name)
{
    for (size_t i = 0; i < form->count; i++)
        if (str_eq(form->fields[i].name, name))
            return &form->fields[i];
    return NULL;
}

static enum err read_fields(const struct xml_node *x, struct arena *arena, struct form *form)
{
    struct xml_node child;
    form->fields = arena_alloc(arena, form->count * sizeof *form->fields);
    form->count = 0;
    for (bool more = xml_first(x, &child); more; more = xml_next(&child)) {
        if (!is_form(&child, STR("field")) || is_fixed(&child, arena))
            continue;
        struct form_field field = read_field(&child, arena);
        if (find(form, field.name))
            return ERR_SYNTAX;
        form->fields[form->count++] = field;
    }
    return OK;
}

enum err form_read(const struct xml_node *x, struct arena *arena, struct form *ret)
{
    struct form form = { .arena = arena };
    if (!is_form(x, STR("x")) || !read_type(x, arena, &form.type))
        return ERR_SYNTAX;
    enum err err = count_fields(x, arena, &form);
    if (!err)
        err = read_fields(x, arena, &form);
    if (err)
        return err;
    struct form_field *ns = find(&form, STR("FORM_TYPE"));
    if (ns) {
        ns->known = true;
        form.ns = ns->count ? ns->values[0] : str_none;
    }
    *ret = form;
    return OK;
}

enum err form_read_child(const struct xml_node *parent, struct arena *arena, struct form *ret)
{
    struct xml_node x;
    return xml_child(parent, STR("x"), STR(NS_FORM), &x) ? form_read(&x, arena, ret) : ERR_NOT_FOUND;
}

bool form_is(const struct form *form, const char *ns)
{
    return form->ns.p && str_eq(form->ns, str_from(ns));
}

const struct form_field *form_find(const struct form *form, const char *name)
{
    return find(form, str_from(name));
}

/* ---- Getters ---- */

void form_blame(struct form *form, const char *name, const char *what)
{
    if (!form->why)
        form->why = arena_printf(form->arena, "%s %s", name, what).p;
}

/* The field, now known; NULL if it is not there. */
static const struct form_field *take(struct form *form, const char *name)
{
    struct form_field *field = find(form, str_from(name));
    if (field)
        field->known = true;
    return field;
}

/* The one value of a field that has at most one. */
static bool take_one(struct form *form, const char *name, str *ret)
{
    const struct form_field *field = take(form, name);
    if (!field)
        return false;
    if (field->count > 1) {
        form_blame(form, name, "must have one value");
        return false;
    }
    *ret = field->count ? field->values[0] : STR("");
    return true;
}

bool form_text(struct form *form, const char *name, str *ret)
{
    return take_one(form, name, ret);
}

bool form_lines(struct form *form, const char *name, str *ret)
{
    const struct form_field *field = take(form, name);
    size_t len = 0;
    if (!field)
        return false;
    for (size_t i = 0; i < field->count; i++)
        len += field->values[i].len + 1;
    char *lines = arena_alloc(form->arena, len), *at = lines;
    for (size_t i = 0; i < field->count; i++) {
        str line = field->values[i];
        if (i)
            *at++ = '\n';
        if (line.len)
            memcpy(at, line.p, line.len);
        at += line.len;
    }
    *ret = str_of(lines, (size_t)(at - lines));
    return true;
}

bool form_bool(struct form *form, const char *name, bool *ret)
{
    str value;
    if (!take_one(form, name, &value))
        return false;
    value = str_trim(value);
    bool yes = str_is(value, "1") || str_is(value, "true");
    if (!yes && !str_is(value, "0") && !str_is(value, "false")) {
        form_blame(form, name, "must be true or false");
        return false;
    }
    *ret = yes;
    return true;
}

bool form_u64(struct form *form, const char *name, uint64_t min, uint64_t max, uint64_t *ret)
{
    str value;
    uint64_t number;
    if (!take_one(form, name, &value))
        return false;
    if (!str_to_u64(str_trim(value), max, &number) || number < min) {
        str what = arena_printf(form->arena, "must be a number from %llu to %llu", (unsigned long long)min,
                                (unsigned long long)max);
        form_blame(form, name, what.p);
        return false;
    }
    *ret = number;
    return true;
}

bool form_stamp(struct form *form, const char *name, int64_t *ret_ms)
{
    str value;
    if (!take_one(form, name, &value))
        return false;
    if (stamp_read(str_trim(value), ret_ms))
        return true;
    form_blame(form, name, "must be a time such as 2026-11-23T10:00:00Z");
    return false;
}

static bool read_jid(struct form *form, const char *name, str value, struct jid *ret)
{
    if (jid_parse(str_trim(value), form->arena, ret) == OK)
        return true;
    form_blame(form, name, "must be an XMPP address");
    return false;
}

bool form_jid(struct form *form, const char *name, struct jid *ret)
{
    str value;
    if (!take_one(form, name, &value))
        return false;
    if (str_trim(value).len)
        return read_jid(form, name, value, ret);
    *ret = (struct jid){ 0 };
    return true;
}

static bool has_jid(const struct form_jids *jids, const struct jid *jid)
{
    for (size_t i = 0; i < jids->count; i++)
        if (jid_eq(&jids->list[i], jid))
            return true;
    return false;
}

bool form_jids(struct form *form, const char *name, struct form_jids *ret)
{
    const struct form_field *field = take(form, name);
    if (!field)
        return false;
    struct form_jids jids = { arena_alloc(form->arena, field->count * sizeof(struct jid)), 0 };
    for (size_t i = 0; i < field->count; i++) {
        struct jid jid;
        if (!str_trim(field->values[i]).len)
            continue;
        if (!read_jid(form, name, field->values[i], &jid))
            return false;
        if (!has_jid(&jids, &jid))
            jids.list[jids.count++] = jid;
    }
    *ret = jids;
    return true;
}

bool form_texts(struct form *form, const char *name, struct form_texts *ret)
{
    const struct form_field *field = take(form, name);
    if (!field)
        return false;
    *ret = (struct form_texts){ field->values, field->count };
    return true;
}

static bool pick(struct form *form, const char *name, const struct form_option *options, str value,
                 unsigned *ret)
{
    for (unsigned i = 0; options[i].value; i++) {
        if (str_eq(value, str_from(options[i].value))) {
            *ret = i;
            return true;
        }
    }
    form_blame(form, name, "must be one of the options");
    return false;
}

bool form_choice(struct form *form, const char *name, const struct form_option *options, unsigned *ret)
{
    str value;
    return take_one(form, name, &value) && pick(form, name, options, value, ret);
}

bool form_choices(struct form *form, const char *name, const struct form_option *options, uint32_t *ret)
{
    const struct form_field *field = take(form, name);
    uint32_t bits = 0;
    unsigned option;
    if (!field)
        return false;
    for (size_t i = 0; i < field->count; i++) {
        if (!pick(form, name, options, field->values[i], &option))
            return false;
        bits |= 1u << option;
    }
    *ret = bits;
    return true;
}
