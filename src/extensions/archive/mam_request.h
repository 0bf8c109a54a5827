/* SPDX-License-Identifier: MIT */
/* What a query asks for (XEP-0313 §4), read from its <query/>. */
#ifndef ARCHIVE_MAM_REQUEST_H
#define ARCHIVE_MAM_REQUEST_H

#include "extensions/archive/mam.h"

enum { MAM_IDS_MAX = 250 };

struct mam_request {
    str queryid;            /* str_none: none */
    struct jid with;        /* none: any */
    uint64_t after, before; /* only ids between these, both excluded; 0: open */
    str text;               /* words; str_none: any */
    const uint64_t *ids;    /* only these, in order and each once; NULL: any */
    size_t id_count;
    uint64_t must_be[4]; /* ids that have to be there */
    size_t must_be_count;
    size_t limit;
    bool backwards;  /* the page is at the end */
    bool flip;       /* the page is sent with its last entry first */
    bool only_count; /* nothing but how many there are */
};

/* Reads it; everything is in the arena or the bytes. STANZA_ERROR_NONE, or the error to answer with, with a
 * text in
 * `*ret_why` (NULL: none). */
enum stanza_error mam_request_read(const struct xml_node *query, const struct mam_archive *archive,
                                   struct arena *arena, struct mam_request *ret, const char **ret_why);

#endif
