/* SPDX-License-Identifier: MIT */
/* An account on its way in: what import.c, import_user.c and import_archive.c share. */
#ifndef EXTENSIONS_PORTABLE_IMPORT_H
#define EXTENSIONS_PORTABLE_IMPORT_H

#include "extensions/archive/archive.h"
#include "extensions/portable/portable.h"

/* A document with one host and one user. The nodes refer to each other: it stays where it is. */
struct import_document {
    struct xml_node root, host, user;
};

/* What is read of the user, and what it needs for that. */
struct importing {
    struct arena *arena;
    struct jid jid;            /* the account */
    struct buf *answer;        /* what is left out is named there */
    struct store_batch *batch; /* the rows */
    struct nodes nodes;        /* to be freed by nodes_fini() */
    struct scram_keys keys;
    bool has_keys, disabled, has_search;
    unsigned notes, roster_items, roster_max;
    uint64_t last_id;      /* of an offline message */
    uint64_t last_archive; /* of a message of the archive */
    int64_t now_ms;
};

/* The account, and owner of its rows. */
static inline str import_owner(const struct importing *importing)
{
    return importing->jid.full;
}

/* Something is left out. */
void import_note(struct importing *importing, const char *what, str about);

/* A stanza for or from the user; false if it is none of this kind, or from nobody. */
bool import_stanza(struct importing *importing, const struct xml_node *node, enum stanza_kind kind,
                   struct stanza *ret);

/* It as a row, to this address (NULL: its own); in the arena. */
str import_row(struct importing *importing, struct stanza *stanza, const struct jid *to);

/* import_user.c: finds the user in the text, which must live as long as the document, and its address as it
 * is written there. NULL, or what is wrong. */
const char *import_document_read(str text, struct arena *arena, struct import_document *ret,
                                 str *ret_address);

/* Puts all that is said of the user into the batch. */
void import_user(struct importing *importing, const struct xml_node *user);

/* import_archive.c: puts the messages of an <archive/> into the batch. */
void import_archive(struct importing *importing, const struct xml_node *archive);

/* import.c: reads the document that came with the request; false if that is answered. */
bool import_begin(struct request *request, struct import_document *document, struct importing *ret);

#endif
