/* SPDX-License-Identifier: MIT */
/* Data forms (XEP-0004, XEP-0068): reading one that a peer has sent, and writing by hand. For forms of our
 * own, whose fields are those of a structure, see form_table.h. */
#ifndef XMPP_FORM_H
#define XMPP_FORM_H

#include "base/buf.h"
#include "xml/node.h"
#include "xmpp/jid.h"

#define NS_FORM "jabber:x:data"

enum { FORM_FIELDS_MAX = 256, FORM_VALUES_MAX = 4096 /* of all fields together */ };

enum form_type { FORM_ASKS /* "form" */, FORM_SUBMIT, FORM_CANCEL, FORM_RESULT };

enum field_type {
    FIELD_TEXT_SINGLE,
    FIELD_TEXT_MULTI,
    FIELD_TEXT_PRIVATE,
    FIELD_BOOLEAN,
    FIELD_LIST_SINGLE,
    FIELD_LIST_MULTI,
    FIELD_JID_SINGLE,
    FIELD_JID_MULTI,
    FIELD_HIDDEN,
    FIELD_FIXED,
};

struct form_field {
    str name; /* never empty */
    str type; /* as it was said; str_none if not */
    str *values;
    size_t count; /* of values; 0: there, but empty */
    bool known;   /* some getter, or a table, has asked for it */
};

/* A form that was read. Everything in it is in the arena or the bytes that were read. */
struct form {
    enum form_type type;
    str ns; /* the value of FORM_TYPE; str_none without one */
    struct form_field *fields;
    size_t count;
    bool has_items;  /* it has <reported/> or <item/>: they are not read */
    const char *why; /* what is wrong with the first bad value that a getter met, for people; NULL: nothing */
    struct arena *arena;
};

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

/* Reads an <x xmlns='jabber:x:data'/>. Fields of type fixed are passed over. ERR_SYNTAX: another element, an
 * unknown type, a field without a name or twice; ERR_LIMIT: more fields or values than above. `arena` must
 * live as long as the form. */
enum err form_read(const struct xml_node *x, struct arena *arena, struct form *ret);

/* Reads the form among the children of `parent`; ERR_NOT_FOUND if there is none. */
enum err form_read_child(const struct xml_node *parent, struct arena *arena, struct form *ret);

/* Whether its FORM_TYPE is this one. */
bool form_is(const struct form *form, const char *ns);

/* The field of this name, NULL if it is not there. */
const struct form_field *form_find(const struct form *form, const char *name);

/* Getters, one for each kind of value. True: the field is there and good, and `*ret` is written. False: it is
 * not there, or it is bad, and then form->why says what is wrong (unless something was wrong before). So ask
 * for all fields first and look at form->why once. */

/* One text; "" for a field without a value. */
bool form_text(struct form *form, const char *name, str *ret);
/* All values as lines with LF between them. */
bool form_lines(struct form *form, const char *name, str *ret);
/* true, 1, false or 0. */
bool form_bool(struct form *form, const char *name, bool *ret);
/* A decimal number from min to max. */
bool form_u64(struct form *form, const char *name, uint64_t min, uint64_t max, uint64_t *ret);
/* A moment (XEP-0082), in milliseconds since 1970. */
bool form_stamp(struct form *form, const char *name, int64_t *ret_ms);
/* An address; an empty value gives none (jid_is_none). */
bool form_jid(struct form *form, const char *name, struct jid *ret);

struct form_jids {
    struct jid *list;
    size_t count;
};
/* Addresses, each once (XEP-0004 §3.3: duplicates are ignored); empty values are passed over. */
bool form_jids(struct form *form, const char *name, struct form_jids *ret);

struct form_texts {
    str *list;
    size_t count;
};
/* All values. */
bool form_texts(struct form *form, const char *name, struct form_texts *ret);

struct form_option {
    const char *value, *label; /* a NULL value ends the list; a NULL label: none */
};
/* Which of the options, counted from 0. */
bool form_choice(struct form *form, const char *name, const struct form_option *options, unsigned *ret);
/* Which of the options, one bit for each (32 at most). */
bool form_choices(struct form *form, const char *name, const struct form_option *options, uint32_t *ret);

/* Notes what is wrong with a field, for checks of the caller's own; the first note stays. `what` goes behind
 * the field's name, as in "must be ...". `name` and `what` are the program's, never a peer's. */
void form_blame(struct form *form, const char *name, const char *what);

/* ---- Writing ----------------------------------------------------------------------------------------------
 */

/* <x type='...'>; its title and instructions (NULL: none); its FORM_TYPE (NULL: none). In this order. */
void form_open(struct buf *to, enum form_type type);
void form_title(struct buf *to, const char *title, const char *instructions);
void form_ns(struct buf *to, const char *ns);
void form_close(struct buf *to);

/* The start tag of a field, left open for values, and its end. `label` NULL: none; `type` is written if
 * `typed`. */
void form_field_open(struct buf *to, const char *name, enum field_type type, bool typed, const char *label);
void form_value(struct buf *to, str value);
void form_options(struct buf *to, const struct form_option *options);
void form_field_close(struct buf *to);

/* A field with its type and one value in one call. */
void form_add(struct buf *to, const char *name, enum field_type type, const char *label, str value);

/* "text-single" and so on. */
const char *field_type_name(enum field_type type);

/* A form as it stands in memory, FORM_TYPE and all: names, types and values. */
void form_write_data(struct buf *to, const struct form *form);

#endif
