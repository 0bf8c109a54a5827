/* SPDX-License-Identifier: MIT */
/* A form as data: a const table says which field of a form is which member of a structure, and the form is
 * written from the structure, and a submission read into it, by the table alone.
 *
 *     struct room_config { bool is_public; uint64_t max_users; enum whois whois; str name; };
 *
 *     static const struct form_row rows[] = {
 *         { "muc#roomconfig_roomname", FIELD_TEXT_SINGLE, "Name", FORM_TEXT(struct room_config, name) },
 *         { "muc#roomconfig_publicroom", FIELD_BOOLEAN, "Is it listed?", FORM_BOOL(struct room_config,
 * is_public) }, { "muc#roomconfig_maxusers", FIELD_LIST_SINGLE, "Most occupants", FORM_NUMBER(struct
 * room_config, max_users), .min = 1, .max = 10000, .word = "none", .options = sizes }, {
 * "muc#roomconfig_whois", FIELD_LIST_SINGLE, "Who sees addresses", FORM_CHOICE(struct room_config, whois),
 * .options = whois },
 *     };
 *     static const struct form_table form = { "http://jabber.org/protocol/muc#roomconfig", FORM_ROWS(rows),
 *                                             .title = "The room" };
 *
 * A member of another type than the macro wants does not compile. */
#ifndef XMPP_FORM_TABLE_H
#define XMPP_FORM_TABLE_H

#include "xmpp/form.h"

#include <stddef.h>

/* What stands in the structure. */
enum form_as {
    FORM_AS_NOTHING, /* a row of no member: fixed text (its label) */
    FORM_AS_TEXT,    /* str */
    FORM_AS_LINES,   /* str with LF between lines: for text-multi */
    FORM_AS_BOOL,    /* bool */
    FORM_AS_NUMBER,  /* uint64_t, from min to max; UINT64_MAX is written as `word` */
    FORM_AS_CHOICE,  /* unsigned or an enum: the place in `options` */
    FORM_AS_CHOICES, /* uint32_t: a bit for each of `options` */
    FORM_AS_STAMP,   /* int64_t, milliseconds since 1970; INT64_MIN: none */
    FORM_AS_JID,     /* struct jid; none */
    FORM_AS_JIDS,    /* struct form_jids */
    FORM_AS_TEXTS,   /* struct form_texts */
};

#define FORM_BIND(as, member_type, type, member)                                                             \
    as, _Generic(((type *)0)->member, member_type : offsetof(type, member))
#define FORM_TEXT(type, member)    FORM_BIND(FORM_AS_TEXT, str, type, member)
#define FORM_LINES(type, member)   FORM_BIND(FORM_AS_LINES, str, type, member)
#define FORM_BOOL(type, member)    FORM_BIND(FORM_AS_BOOL, bool, type, member)
#define FORM_NUMBER(type, member)  FORM_BIND(FORM_AS_NUMBER, uint64_t, type, member)
#define FORM_CHOICE(type, member)  FORM_BIND(FORM_AS_CHOICE, unsigned, type, member)
#define FORM_CHOICES(type, member) FORM_BIND(FORM_AS_CHOICES, uint32_t, type, member)
#define FORM_STAMP(type, member)   FORM_BIND(FORM_AS_STAMP, int64_t, type, member)
#define FORM_JID(type, member)     FORM_BIND(FORM_AS_JID, struct jid, type, member)
#define FORM_JIDS(type, member)    FORM_BIND(FORM_AS_JIDS, struct form_jids, type, member)
#define FORM_TEXTS(type, member)   FORM_BIND(FORM_AS_TEXTS, struct form_texts, type, member)

struct form_row {
    const char *name; /* NULL only for fixed text */
    enum field_type type;
    const char *label; /* NULL: none */
    enum form_as as;   /* this and the next by one of the macros above */
    size_t offset;
    const struct form_option *options; /* of lists; of a number only for show */
    uint64_t min, max;                 /* of a number; max 0: as much as there is */
    const char *word; /* of a number: how UINT64_MAX is written ("none", "max"); NULL: not allowed */
    const char *desc; /* a longer explanation, or NULL */
    bool required;    /* a submission without it is refused */
};

struct form_table {
    const char *ns; /* FORM_TYPE; NULL: none */
    const struct form_row *rows;
    size_t count;
    const char *title, *instructions; /* NULL: none */
};

#define FORM_ROWS(rows) (rows), sizeof(rows) / sizeof *(rows)

/* Appends the form. `values`: the structure, or NULL for no values. FORM_ASKS: everything; FORM_RESULT:
 * names, types, labels, values; FORM_SUBMIT: names and values. */
void form_write(struct buf *to, const struct form_table *table, enum form_type type, const void *values);

/* The same without the <x/>, for forms of several tables between form_open() and form_close(). */
void form_write_rows(struct buf *to, const struct form_table *table, enum form_type type, const void *values);

/* <reported/> (XEP-0004 §3.4), and one <item/> of it. */
void form_write_reported(struct buf *to, const struct form_table *table);
void form_write_item(struct buf *to, const struct form_table *table, const void *values);

/* Sets those members whose fields were submitted; others stay as they are. Texts and lists point into the
 * form's arena. Returns true if all is good; false if something is not (form->why says what; XEP-0004 §4
 * wants not-acceptable): `values` is then changed in part, so let it be a copy. Another FORM_TYPE than the
 * table's is refused; none at all is taken for the right one (who wants more asks form_is() before). Fields
 * that no row knows are ignored (§3.1) and have `known` unset. */
bool form_apply(const struct form_table *table, struct form *form, void *values);

/* Whether all submitted fields say what `values` has already: a precondition (XEP-0060 §7.1.5). Returns the
 * first row that does not, NULL if all do. Bad values set form->why. */
const struct form_row *form_differs(const struct form_table *table, struct form *form, const void *values);

#endif
