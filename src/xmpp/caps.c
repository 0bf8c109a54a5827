/* SPDX-License-Identifier: MIT */
/* XEP-0115 1.6.0 and XEP-0390 0.3.2: capability hashes. Both hash a sorted rendering of the same lists; they
 * differ in separators, in order, and in how they treat what is odd.
 *
 * XEP-0115 joins with '<', which XML lets an attribute hold as a reference. A peer could so make a list that
 * renders as another one's and poison what we remember under that hash (§8); a list with '<' in it is
 * therefore called ill-formed. XEP-0390's separators cannot occur in XML.
 *
 * caps_read() and caps_write() handle the <query/> itself; a list of our own is hashed by the same code. */
#include "xmpp/caps.h"

#include "base/base64.h"
#include "base/mem.h"
#include "xml/write.h"

#include <stdlib.h>

enum { INPUT_MAX = 1024 * 1024 };

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

static str *sorted(const str *list, size_t count, struct arena *arena)
{
    str *copy = arena_alloc(arena, count * sizeof *copy);
    if (count) {
        memcpy(copy, list, count * sizeof *copy);
        qsort(copy, count, sizeof *copy, by_text);
    }
    return copy;
}

/* Sorts texts that were made for it and appends them. */
static void join_sorted(struct buf *to, str *parts, size_t count)
{
    if (count)
        qsort(parts, count, sizeof *parts, by_text);
    for (size_t i = 0; i < count; i++)
        buf_add(to, parts[i]);
}

static bool has_twice(const str *list, size_t count, struct arena *arena)
{
    str *order = sorted(list, count, arena);
    for (size_t i = 1; i < count; i++)
        if (str_eq(order[i - 1], order[i]))
            return true;
    return false;
}

/* ---- XEP-0115 §5.1 ---- */

/* "category/type/lang/name<" */
static str identity_text(const struct caps_identity *identity, struct arena *arena)
{
    return arena_printf(arena, "%.*s/%.*s/%.*s/%.*s<", STR_ARGS(identity->category), STR_ARGS(identity->type),
                        STR_ARGS(identity->lang), STR_ARGS(identity->name));
}

/* By category, type and language, as §5.1 has it: by the whole text would differ where one is another's
 * beginning. */
static int by_identity(const void *a, const void *b)
{
    const struct caps_identity *left = a, *right = b;
    int order = str_cmp(left->category, right->category);
    if (!order)
        order = str_cmp(left->type, right->type);
    if (!order)
        order = str_cmp(left->lang, right->lang);
    return order ? order : str_cmp(left->name, right->name);
}

static void add_identities(const struct caps_info *info, struct arena *arena, struct buf *to)
{
    size_t count = info->identity_count;
    struct caps_identity *order = arena_alloc(arena, count * sizeof *order);
    if (count) {
        memcpy(order, info->identities, count * sizeof *order);
        qsort(order, count, sizeof *order, by_identity);
    }
    for (size_t i = 0; i < count; i++)
        buf_add(to, identity_text(&order[i], arena));
}

static void add_each(struct buf *to, const str *list, size_t count, char separator)
{
    for (size_t i = 0; i < count; i++) {
        buf_add(to, list[i]);
        buf_add_char(to, separator);
    }
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct form_field *)a)->name, ((const struct form_field *)b)->name);
}

static int by_ns(const void *a, const void *b)
{
    return str_cmp(((const struct form *)a)->ns, ((const struct form *)b)->ns);
}

static void add_form(const struct form *form, struct arena *arena, struct buf *to)
{
    struct form_field *fields = arena_alloc(arena, form->count * sizeof *fields);
    memcpy(fields, form->fields, form->count * sizeof *fields);
    qsort(fields, form->count, sizeof *fields, by_name);
    buf_add(to, form->ns);
    buf_add_char(to, '<');
    for (size_t i = 0; i < form->count; i++) {
        if (str_is(fields[i].name, "FORM_TYPE"))
            continue;
        buf_add(to, fields[i].name);
        buf_add_char(to, '<');
        add_each(to, sorted(fields[i].values, fields[i].count, arena), fields[i].count, '<');
    }
}

void caps_ver_input(const struct caps_info *info, struct arena *arena, struct buf *to)
{
    struct form *forms = arena_alloc(arena, info->form_count * sizeof *forms);
    add_identities(info, arena, to);
    add_each(to, sorted(info->features, info->feature_count, arena), info->feature_count, '<');
    if (info->form_count) {
        memcpy(forms, info->forms, info->form_count * sizeof *forms);
        qsort(forms, info->form_count, sizeof *forms, by_ns);
    }
    for (size_t i = 0; i < info->form_count; i++)
        add_form(&forms[i], arena, to);
}

/* ---- XEP-0390 §4.1 ---- */

/* The separators, from the innermost out. */
#define UNIT   "\x1f"
#define RECORD "\x1e"
#define GROUP  "\x1d"
#define FILE_  "\x1c"

static void add_features2(const struct caps_info *info, struct arena *arena, struct buf *to)
{
    str *parts = arena_alloc(arena, info->feature_count * sizeof *parts);
    for (size_t i = 0; i < info->feature_count; i++)
        parts[i] = arena_printf(arena, "%.*s" UNIT, STR_ARGS(info->features[i]));
    join_sorted(to, parts, info->feature_count);
    buf_lit(to, FILE_);
}

static void add_identities2(const struct caps_info *info, struct arena *arena, struct buf *to)
{
    str *parts = arena_alloc(arena, info->identity_count * sizeof *parts);
    for (size_t i = 0; i < info->identity_count; i++) {
        const struct caps_identity *identity = &info->identities[i];
        str lang = identity->lang.p ? identity->lang : info->lang;
        parts[i] = arena_printf(arena, "%.*s" UNIT "%.*s" UNIT "%.*s" UNIT "%.*s" UNIT RECORD,
                                STR_ARGS(identity->category), STR_ARGS(identity->type), STR_ARGS(lang),
                                STR_ARGS(identity->name));
    }
    join_sorted(to, parts, info->identity_count);
    buf_lit(to, FILE_);
}

/* What was built, in the arena; the builder is empty again. */
static str finish(struct buf *buf, struct arena *arena)
{
    str text = arena_str(arena, buf_str(buf));
    buf_clear(buf);
    return text;
}

static str field2(const struct form_field *field, struct buf *scratch, struct arena *arena)
{
    str *values = arena_alloc(arena, field->count * sizeof *values);
    for (size_t i = 0; i < field->count; i++)
        values[i] = arena_printf(arena, "%.*s" UNIT, STR_ARGS(field->values[i]));
    buf_add(scratch, field->name);
    buf_lit(scratch, UNIT);
    join_sorted(scratch, values, field->count);
    buf_lit(scratch, RECORD);
    return finish(scratch, arena);
}

static str form2(const struct form *form, struct buf *scratch, struct arena *arena)
{
    str *fields = arena_alloc(arena, form->count * sizeof *fields);
    for (size_t i = 0; i < form->count; i++)
        fields[i] = field2(&form->fields[i], scratch, arena);
    join_sorted(scratch, fields, form->count);
    buf_lit(scratch, GROUP);
    return finish(scratch, arena);
}

static void add_forms2(const struct caps_info *info, struct arena *arena, struct buf *to)
{
    str *parts = arena_alloc(arena, info->form_count * sizeof *parts);
    struct buf scratch;
    buf_init(&scratch, INPUT_MAX);
    for (size_t i = 0; i < info->form_count; i++)
        parts[i] = form2(&info->forms[i], &scratch, arena);
    join_sorted(to, parts, info->form_count);
    buf_lit(to, FILE_);
    buf_fini(&scratch);
}

void caps_hash_input(const struct caps_info *info, struct arena *arena, struct buf *to)
{
    add_features2(info, arena, to);
    add_identities2(info, arena, to);
    add_forms2(info, arena, to);
}

/* ---- Hashing ---- */

static str hash(enum digest digest, str input, struct arena *arena)
{
    unsigned char bytes[DIGEST_MAX_SIZE];
    digest_hash(digest, input, bytes);
    return base64_encode_arena(arena, str_of((char *)bytes, digest_size(digest)));
}

str caps_ver(const struct caps_info *info, enum digest digest, struct arena *arena)
{
    struct buf input;
    buf_init(&input, INPUT_MAX);
    caps_ver_input(info, arena, &input);
    str ver = hash(digest, buf_str(&input), arena);
    buf_fini(&input);
    return ver;
}

str caps_hash(const struct caps_info *info, enum digest digest, struct arena *arena)
{
    struct buf input;
    if (info->is_extended)
        return str_none;
    buf_init(&input, INPUT_MAX);
    caps_hash_input(info, arena, &input);
    str text = hash(digest, buf_str(&input), arena);
    buf_fini(&input);
    return text;
}

static const char *const algorithms[] = {
    [DIGEST_SHA1] = "sha-1",
    [DIGEST_SHA256] = "sha-256",
    [DIGEST_SHA512] = "sha-512",
};

const char *caps_algorithm(enum digest digest)
{
    return algorithms[digest];
}

bool caps_digest(str algorithm, enum digest *ret)
{
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        if (str_eq(algorithm, str_from(algorithms[i]))) {
            *ret = (enum digest)i;
            return true;
        }
    }
    return false;
}

bool caps_has(const struct caps_info *info, str feature)
{
    for (size_t i = 0; i < info->feature_count; i++)
        if (str_eq(info->features[i], feature))
            return true;
    return false;
}

/* ---- Reading ---- */

/* In a name or value it would pass for the end of it (XEP-0115 §8). */
static bool is_sly(str text)
{
    return text.len && str_find(text, '<') < text.len;
}

static enum err read_identity(const struct xml_node *node, struct arena *arena, struct caps_info *info)
{
    struct caps_identity identity = {
        .category = xml_attr(node, STR("category"), arena),
        .type = xml_attr(node, STR("type"), arena),
        .lang = xml_lang(node, arena),
        .name = xml_attr(node, STR("name"), arena),
    };
    if (info->identity_count == CAPS_IDENTITIES_MAX)
        return ERR_LIMIT;
    if (is_sly(identity.category) || is_sly(identity.type) || is_sly(identity.lang) || is_sly(identity.name))
        return ERR_SYNTAX;
    info->identities[info->identity_count++] = identity;
    return OK;
}

static enum err read_feature(const struct xml_node *node, struct arena *arena, struct caps_info *info)
{
    str feature = xml_attr(node, STR("var"), arena);
    if (info->feature_count == CAPS_FEATURES_MAX)
        return ERR_LIMIT;
    if (!feature.len || is_sly(feature))
        return ERR_SYNTAX;
    info->features[info->feature_count++] = feature;
    return OK;
}

static bool is_sly_form(const struct form *form)
{
    for (size_t i = 0; i < form->count; i++) {
        if (is_sly(form->fields[i].name))
            return true;
        for (size_t k = 0; k < form->fields[i].count; k++)
            if (is_sly(form->fields[i].values[k]))
                return true;
    }
    return false;
}

/* §5.4 rule 3.5: a FORM_TYPE of two minds. */
static bool is_ambiguous(const struct form_field *type)
{
    for (size_t i = 1; i < type->count; i++)
        if (!str_eq(type->values[i], type->values[0]))
            return true;
    return false;
}

static enum err read_form(const struct xml_node *node, struct arena *arena, struct caps_info *info)
{
    struct form form;
    if (info->form_count == CAPS_FORMS_MAX)
        return ERR_LIMIT;
    enum err err = form_read(node, arena, &form);
    if (err)
        return err;
    const struct form_field *type = form_find(&form, "FORM_TYPE");
    if (is_sly_form(&form) || (type && is_ambiguous(type)))
        return ERR_SYNTAX;
    info->is_extended |= form.has_items;
    if (!type || !type->count || !str_is(type->type, "hidden")) {
        info->is_extended = true; /* rule 3.6: passed over; XEP-0390 §4.1 rule 3: no hash */
        return OK;
    }
    info->is_extended |= type->count > 1;
    info->forms[info->form_count++] = form;
    return OK;
}

static enum err read_child(const struct xml_node *child, struct arena *arena, struct caps_info *info)
{
    if (xml_is(child, STR("identity"), STR(NS_DISCO_INFO)))
        return read_identity(child, arena, info);
    if (xml_is(child, STR("feature"), STR(NS_DISCO_INFO)))
        return read_feature(child, arena, info);
    if (xml_is(child, STR("x"), STR(NS_FORM)))
        return read_form(child, arena, info);
    info->is_extended = true;
    return OK;
}

/* Whether anything is there that may be there but once (§5.4 rules 3.3 to 3.5). */
static bool has_doubles(const struct caps_info *info, struct arena *arena)
{
    str identities[CAPS_IDENTITIES_MAX], forms[CAPS_FORMS_MAX];
    for (size_t i = 0; i < info->identity_count; i++)
        identities[i] = identity_text(&info->identities[i], arena);
    for (size_t i = 0; i < info->form_count; i++)
        forms[i] = info->forms[i].ns;
    return has_twice(identities, info->identity_count, arena) ||
           has_twice(info->features, info->feature_count, arena) || has_twice(forms, info->form_count, arena);
}

enum err caps_read(const struct xml_node *query, str lang, struct arena *arena, struct caps_info *ret)
{
    struct caps_info info = { .lang = xml_lang(query, arena) };
    struct xml_node child;
    enum err err = OK;
    if (!info.lang.p)
        info.lang = lang;
    info.identities = arena_alloc(arena, CAPS_IDENTITIES_MAX * sizeof *info.identities);
    info.features = arena_alloc(arena, CAPS_FEATURES_MAX * sizeof *info.features);
    info.forms = arena_alloc(arena, CAPS_FORMS_MAX * sizeof *info.forms);
    for (bool more = xml_first(query, &child); more && !err; more = xml_next(&child))
        err = read_child(&child, arena, &info);
    if (!err && has_doubles(&info, arena))
        err = ERR_SYNTAX;
    if (!err)
        *ret = info;
    return err;
}

/* ---- Writing ---- */

void caps_write_content(struct buf *to, const struct caps_info *info)
{
    for (size_t i = 0; i < info->identity_count; i++) {
        const struct caps_identity *identity = &info->identities[i];
        buf_lit(to, "<identity");
        xml_write_attr(to, "category", identity->category);
        xml_write_attr(to, "type", identity->type);
        xml_write_attr(to, "xml:lang", identity->lang);
        xml_write_attr(to, "name", identity->name);
        buf_lit(to, "/>");
    }
    for (size_t i = 0; i < info->feature_count; i++) {
        buf_lit(to, "<feature");
        xml_write_attr(to, "var", info->features[i]);
        buf_lit(to, "/>");
    }
    for (size_t i = 0; i < info->form_count; i++)
        form_write_data(to, &info->forms[i]);
}

void caps_write(struct buf *to, const struct caps_info *info, str node)
{
    xml_write_open(to, "query", STR(NS_DISCO_INFO));
    xml_write_attr(to, "node", node);
    buf_add_char(to, '>');
    caps_write_content(to, info);
    buf_lit(to, "</query>");
}
