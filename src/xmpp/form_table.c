/* SPDX-License-Identifier: MIT */
/* Forms by table: one switch that reads a value, one that writes it, one that compares, and loops over rows.
 * Rooms, pubsub nodes, archive queries, commands and registration describe their forms and none of them walks
 * through one. See XEP-0004 §3.1-§3.6; what the fields mean is said by the extension that has the table. */
#include "xmpp/form_table.h"

#include "xml/write.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

/* Room for the value of any row. */
union value {
    str text;
    bool yes;
    uint64_t number;
    unsigned choice;
    uint32_t choices;
    int64_t ms;
    struct jid jid;
    struct form_jids jids;
    struct form_texts texts;
};

static void *member(const struct form_row *row, const void *values)
{
    return (char *)values + row->offset;
}

/* ---- Writing ---- */

static void write_lines(struct buf *to, str lines)
{
    while (lines.p) {
        str line = str_cut(&lines, '\n');
        form_value(to, line);
    }
}

static void write_number(struct buf *to, const struct form_row *row, uint64_t number)
{
    if (number == UINT64_MAX && row->word)
        form_value(to, str_from(row->word));
    else
        buf_addf(to, "<value>%llu</value>", (unsigned long long)number);
}

static void write_choices(struct buf *to, const struct form_row *row, uint32_t bits)
{
    for (unsigned i = 0; row->options[i].value; i++)
        if (bits & 1u << i)
            form_value(to, str_from(row->options[i].value));
}

static void write_stamp(struct buf *to, int64_t ms)
{
    struct arena arena;
    if (ms == INT64_MIN)
        return;
    arena_init(&arena, 128);
    form_value(to, str_from(stamp_millis(ms, &arena)));
    arena_fini(&arena);
}

static void write_jids(struct buf *to, const struct form_jids *jids)
{
    for (size_t i = 0; i < jids->count; i++)
        form_value(to, jids->list[i].full);
}

static void write_texts(struct buf *to, const struct form_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        form_value(to, texts->list[i]);
}

static void write_text(struct buf *to, str text)
{
    if (text.p)
        form_value(to, text);
}

static void write_value(struct buf *to, const struct form_row *row, const void *at)
{
    switch (row->as) {
    case FORM_AS_NOTHING:
        return;
    case FORM_AS_TEXT:
        return write_text(to, *(const str *)at);
    case FORM_AS_LINES:
        return write_lines(to, *(const str *)at);
    case FORM_AS_BOOL:
        return form_value(to, *(const bool *)at ? STR("1") : STR("0"));
    case FORM_AS_NUMBER:
        return write_number(to, row, *(const uint64_t *)at);
    case FORM_AS_CHOICE:
        return form_value(to, str_from(row->options[*(const unsigned *)at].value));
    case FORM_AS_CHOICES:
        return write_choices(to, row, *(const uint32_t *)at);
    case FORM_AS_STAMP:
        return write_stamp(to, *(const int64_t *)at);
    case FORM_AS_JID:
        return write_text(to, ((const struct jid *)at)->full);
    case FORM_AS_JIDS:
        return write_jids(to, at);
    case FORM_AS_TEXTS:
        return write_texts(to, at);
    }
}

static void write_row(struct buf *to, const struct form_row *row, enum form_type type, const void *values)
{
    bool submit = type == FORM_SUBMIT;
    if (row->as == FORM_AS_NOTHING) {
        if (!submit)
            form_add(to, row->name, FIELD_FIXED, NULL, str_from(row->label));
        return;
    }
    form_field_open(to, row->name, row->type, !submit, submit ? NULL : row->label);
    if (type == FORM_ASKS && row->desc)
        xml_write_element(to, "desc", str_none, str_from(row->desc));
    if (type == FORM_ASKS && row->required)
        buf_lit(to, "<required/>");
    if (values)
        write_value(to, row, member(row, values));
    if (type == FORM_ASKS && row->options)
        form_options(to, row->options);
    form_field_close(to);
}

void form_write_rows(struct buf *to, const struct form_table *table, enum form_type type, const void *values)
{
    for (size_t i = 0; i < table->count; i++)
        write_row(to, &table->rows[i], type, values);
}

void form_write(struct buf *to, const struct form_table *table, enum form_type type, const void *values)
{
    form_open(to, type);
    if (type != FORM_SUBMIT)
        form_title(to, table->title, table->instructions);
    form_ns(to, table->ns);
    form_write_rows(to, table, type, values);
    form_close(to);
}

void form_write_reported(struct buf *to, const struct form_table *table)
{
    buf_lit(to, "<reported>");
    form_write_rows(to, table, FORM_RESULT, NULL);
    buf_lit(to, "</reported>");
}

void form_write_item(struct buf *to, const struct form_table *table, const void *values)
{
    buf_lit(to, "<item>");
    form_write_rows(to, table, FORM_SUBMIT, values);
    buf_lit(to, "</item>");
}

/* ---- Reading ---- */

static bool read_number(struct form *form, const struct form_row *row, uint64_t *ret)
{
    const struct form_field *field = form_find(form, row->name);
    uint64_t max = row->max ? row->max : UINT64_MAX - 1;
    str word = str_from(row->word);
    if (!field || !word.p || field->count != 1 || !str_eq(field->values[0], word))
        return form_u64(form, row->name, row->min, max, ret);
    str ignored;
    *ret = UINT64_MAX;
    return form_text(form, row->name, &ignored);
}

static bool read_stamp(struct form *form, const struct form_row *row, int64_t *ret)
{
    const struct form_field *field = form_find(form, row->name);
    str ignored;
    if (!field || (field->count && field->values[0].len))
        return form_stamp(form, row->name, ret);
    *ret = INT64_MIN;
    return form_text(form, row->name, &ignored);
}

/* True if what stands at `at` was written: the field is there and good. */
static bool read_value(struct form *form, const struct form_row *row, void *at)
{
    switch (row->as) {
    case FORM_AS_NOTHING:
        return false;
    case FORM_AS_TEXT:
        return form_text(form, row->name, at);
    case FORM_AS_LINES:
        return form_lines(form, row->name, at);
    case FORM_AS_BOOL:
        return form_bool(form, row->name, at);
    case FORM_AS_NUMBER:
        return read_number(form, row, at);
    case FORM_AS_CHOICE:
        return form_choice(form, row->name, row->options, at);
    case FORM_AS_CHOICES:
        return form_choices(form, row->name, row->options, at);
    case FORM_AS_STAMP:
        return read_stamp(form, row, at);
    case FORM_AS_JID:
        return form_jid(form, row->name, at);
    case FORM_AS_JIDS:
        return form_jids(form, row->name, at);
    case FORM_AS_TEXTS:
        return form_texts(form, row->name, at);
    }
    return false;
}

static bool is_for(const struct form_table *table, struct form *form)
{
    if (!form->ns.p || !table->ns || form_is(form, table->ns))
        return true;
    form_blame(form, "FORM_TYPE", "is that of another form");
    return false;
}

bool form_apply(const struct form_table *table, struct form *form, void *values)
{
    if (!is_for(table, form))
        return false;
    for (size_t i = 0; i < table->count; i++) {
        const struct form_row *row = &table->rows[i];
        bool there = read_value(form, row, member(row, values));
        if (row->required && !there)
            form_blame(form, row->name, "is required");
    }
    return !form->why;
}

/* ---- Comparing ---- */

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

static str *sorted(struct arena *arena, struct form_texts texts)
{
    str *list = arena_alloc(arena, texts.count * sizeof *list);
    if (texts.count) {
        memcpy(list, texts.list, texts.count * sizeof *list);
        qsort(list, texts.count, sizeof *list, by_text);
    }
    return list;
}

/* Lists are equal as sets of texts: their order means nothing to a precondition. */
static bool same_texts(struct arena *arena, struct form_texts a, struct form_texts b)
{
    str *left = sorted(arena, a), *right = sorted(arena, b);
    if (a.count != b.count)
        return false;
    for (size_t i = 0; i < a.count; i++)
        if (!str_eq(left[i], right[i]))
            return false;
    return true;
}

static struct form_texts full_of(struct arena *arena, const struct form_jids *jids)
{
    struct form_texts texts = { arena_alloc(arena, jids->count * sizeof(str)), jids->count };
    for (size_t i = 0; i < jids->count; i++)
        texts.list[i] = jids->list[i].full;
    return texts;
}

static bool same(struct arena *arena, const struct form_row *row, const void *a, const void *b)
{
    switch (row->as) {
    case FORM_AS_NOTHING:
        return true;
    case FORM_AS_TEXT:
    case FORM_AS_LINES:
        return str_eq(*(const str *)a, *(const str *)b);
    case FORM_AS_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case FORM_AS_NUMBER:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case FORM_AS_CHOICE:
        return *(const unsigned *)a == *(const unsigned *)b;
    case FORM_AS_CHOICES:
        return *(const uint32_t *)a == *(const uint32_t *)b;
    case FORM_AS_STAMP:
        return *(const int64_t *)a == *(const int64_t *)b;
    case FORM_AS_JID:
        return jid_eq(a, b);
    case FORM_AS_JIDS:
        return same_texts(arena, full_of(arena, a), full_of(arena, b));
    case FORM_AS_TEXTS:
        return same_texts(arena, *(const struct form_texts *)a, *(const struct form_texts *)b);
    }
    return true;
}

const struct form_row *form_differs(const struct form_table *table, struct form *form, const void *values)
{
    const struct form_row *found = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct form_row *row = &table->rows[i];
        union value wanted;
        if (read_value(form, row, &wanted) && !found && !same(form->arena, row, &wanted, member(row, values)))
            found = row;
    }
    return found;
}
