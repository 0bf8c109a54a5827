/* SPDX-License-Identifier: MIT */
/* Asking an archive (XEP-0313): the engine that serves the archives of users and of rooms alike. It knows
 * logs whose ids are those of append_id(): their time is in them. Who may ask is the caller's business. */
#ifndef ARCHIVE_MAM_H
#define ARCHIVE_MAM_H

#include "server/ext_op.h"

#define NS_MAM      "urn:xmpp:mam:2"
#define NS_FULLTEXT "urn:xmpp:fulltext:0"

enum { MAM_ID_SIZE = 14 };

/* The text of an id, which says nothing to others; and back: false for a text that is none of ours. */
str mam_id_write(uint64_t id, char to[MAM_ID_SIZE]);
bool mam_id_read(str text, uint64_t *ret);

/* What a query has brought. */
struct mam_page {
    uint64_t first, last;   /* of the page; 0: it is empty */
    uint64_t after, before; /* it has all that is between the page and these, both excluded; 0: the ends */
    bool filtered;          /* by address, text or ids: there is more between first and last */
};

struct mam_archive {
    str owner, kind;       /* the log; texts are copied */
    const struct jid *jid; /* whose archive it is: results come from there */
    uint64_t serial;       /* of its last append (appends.h): a query sees that too */
    size_t page, page_max; /* how many results, when the asker does not say, and at most */
    bool searches;         /* entries have a text */
    /* What is forwarded for an entry: a message as text. NULL: the entry's value. In the arena. */
    str (*show)(struct iq_event *event, const struct store_entry *entry);
    /* After the results, before the end is told. May be NULL. */
    void (*told)(struct iq_event *event, const struct mam_page *page);
};

/* Answers an iq of type set with a <query/>; later. The archive's description is copied. */
void mam_query(struct iq_event *event, const struct mam_archive *archive);

/* Answers an iq of type get with a <query/>: the form. */
void mam_form(struct iq_event *event, const struct mam_archive *archive);

/* Answers an iq of type get with a <metadata/>; later. */
void mam_metadata(struct iq_event *event, const struct mam_archive *archive);

/* Writes the <metadata/>: `first` and `last` are log reads of one entry each (see store_log_find). */
void mam_metadata_write(struct buf *xml, uint64_t first, uint64_t last, struct arena *arena);

#endif
