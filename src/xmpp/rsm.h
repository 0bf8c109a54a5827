/* SPDX-License-Identifier: MIT */
/* Result set management (XEP-0059): which page of a long answer is wanted, and which one was given. */
#ifndef XMPP_RSM_H
#define XMPP_RSM_H

#include "xmpp/error.h"

#define NS_RSM "http://jabber.org/protocol/rsm"

/* What a <set/> asks for. Slices are in the arena or the bytes. */
struct rsm {
    bool is_there; /* there is a <set/> at all; everything else is as if empty if not */
    bool has_max, has_index;
    bool last;      /* the page at the end: <before/> without a UID */
    uint32_t max;   /* 0: the count alone */
    uint32_t index; /* of the first item wanted */
    str after;      /* the page behind this UID; str_none: not asked */
    str before;     /* the page before this UID (its last item stands next to it); str_none: not asked */
};

/* Reads the <set/> among the children of `query`. Returns STANZA_ERROR_NONE, also if there is none, or
 * STANZA_ERROR_BAD_REQUEST: a number that is none or above 2^31-1, an index together with a UID, one element
 * twice. `after` and `before` may both be there: the page then lies between them. An empty <after/> is as
 * none (§2.2: before the first item). */
enum stanza_error rsm_read(const struct xml_node *query, struct arena *arena, struct rsm *ret);

/* How many items to give: what was asked for but never more than `most`; `otherwise` if nothing was asked. */
size_t rsm_limit(const struct rsm *rsm, size_t otherwise, size_t most);

/* Whether the page is counted from the end: a <before/> and no <after/>. */
static inline bool rsm_is_backwards(const struct rsm *rsm)
{
    return (rsm->last || rsm->before.p) && !rsm->after.p;
}

/* What is said of a page. */
struct rsm_page {
    str first, last; /* UIDs; str_none for an empty page */
    bool has_index, has_count;
    uint64_t index; /* of `first` in the whole set */
    uint64_t count; /* of the whole set */
};

/* Appends the <set/> of an answer. */
void rsm_write(struct buf *to, const struct rsm_page *page);

#endif
