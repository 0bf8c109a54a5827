/* SPDX-License-Identifier: MIT */
/* XEP-0004: forms to peers, element by element. Balanced calls make a well-formed form; which fields belong
 * in it is the caller's business, or a table's (form_table.c). */
#include "xmpp/form.h"

#include "xml/write.h"

static const char *const type_names[] = { "form", "submit", "cancel", "result" };

static const char *const field_names[] = {
    [FIELD_TEXT_SINGLE] = "text-single",
    [FIELD_TEXT_MULTI] = "text-multi",
    [FIELD_TEXT_PRIVATE] = "text-private",
    [FIELD_BOOLEAN] = "boolean",
    [FIELD_LIST_SINGLE] = "list-single",
    [FIELD_LIST_MULTI] = "list-multi",
    [FIELD_JID_SINGLE] = "jid-single",
    [FIELD_JID_MULTI] = "jid-multi",
    [FIELD_HIDDEN] = "hidden",
    [FIELD_FIXED] = "fixed",
};

const char *field_type_name(enum field_type type)
{
    return field_names[type];
}

void form_open(struct buf *to, enum form_type type)
{
    xml_write_open(to, "x", STR(NS_FORM));
    xml_write_attr(to, "type", str_from(type_names[type]));
    buf_add_char(to, '>');
}

void form_ns(struct buf *to, const char *ns)
{
    if (ns)
        form_add(to, "FORM_TYPE", FIELD_HIDDEN, NULL, str_from(ns));
}

void form_title(struct buf *to, const char *title, const char *instructions)
{
    if (title)
        xml_write_element(to, "title", str_none, str_from(title));
    if (instructions)
        xml_write_element(to, "instructions", str_none, str_from(instructions));
}

void form_close(struct buf *to)
{
    buf_lit(to, "</x>");
}

static void open_field(struct buf *to, str name, str type, str label)
{
    buf_lit(to, "<field");
    xml_write_attr(to, "var", name);
    xml_write_attr(to, "type", type);
    xml_write_attr(to, "label", label);
    buf_add_char(to, '>');
}

void form_field_open(struct buf *to, const char *name, enum field_type type, bool typed, const char *label)
{
    open_field(to, str_from(name), typed ? str_from(field_names[type]) : str_none, str_from(label));
}

void form_value(struct buf *to, str value)
{
    xml_write_element(to, "value", str_none, value);
}

void form_options(struct buf *to, const struct form_option *options)
{
    for (; options->value; options++) {
        buf_lit(to, "<option");
        xml_write_attr(to, "label", str_from(options->label));
        buf_add_char(to, '>');
        form_value(to, str_from(options->value));
        buf_lit(to, "</option>");
    }
}

void form_field_close(struct buf *to)
{
    buf_lit(to, "</field>");
}

void form_add(struct buf *to, const char *name, enum field_type type, const char *label, str value)
{
    form_field_open(to, name, type, true, label);
    form_value(to, value);
    form_field_close(to);
}

void form_write_data(struct buf *to, const struct form *form)
{
    form_open(to, form->type);
    for (size_t i = 0; i < form->count; i++) {
        const struct form_field *field = &form->fields[i];
        open_field(to, field->name, field->type, str_none);
        for (size_t k = 0; k < field->count; k++)
            form_value(to, field->values[k]);
        form_field_close(to);
    }
    form_close(to);
}
