/* SPDX-License-Identifier: MIT */
/* An account on its way in: what import.c and import_archive.c share. */
#ifndef EXTENSIONS_PORTABLE_IMPORT_H
#define EXTENSIONS_PORTABLE_IMPORT_H

#include "extensions/archive/archive.h"
#include "extensions/portable/portable.h"

struct importing {
    struct request *request;
    struct arena *arena;
    struct host *host;
    struct store_batch *batch;
    struct nodes nodes;
    struct scram_keys keys;
    bool has_keys, disabled;
    unsigned notes, roster_items;
    uint64_t last_id;      /* of an offline message */
    uint64_t last_archive; /* of a message of the archive */
    int64_t now_ms;
};

/* The account, and owner of its rows. */
static inline str import_owner(const struct importing *importing)
{
    return importing->request->jid.full;
}

/* Something is left out. */
void import_note(struct importing *importing, const char *what, str about);

/* A stanza for or from the user; false if it is none of this kind, or from nobody. */
bool import_stanza(struct importing *importing, const struct xml_node *node, enum stanza_kind kind,
                   struct stanza *ret);

/* It as a row, to this address (NULL: its own); in the arena. */
str import_row(struct importing *importing, struct stanza *stanza, const struct jid *to);

/* Finds the user in the document, and its address; false if that is answered. */
bool import_find_user(struct importing *importing, const struct xml_node *root, struct xml_node *ret_host,
                      struct xml_node *ret_user);

/* import_archive.c: puts the messages of an <archive/> into the batch. */
void import_archive(struct importing *importing, const struct xml_node *archive);

#endif
