/* SPDX-License-Identifier: MIT */
/* The account's bookmarks as one element (XEP-0048), for private storage (XEP-0049). */
#ifndef EXTENSIONS_BOOKMARKS_H
#define EXTENSIONS_BOOKMARKS_H

#include "server/ext.h"

#define NS_OLD_BOOKMARKS "storage:bookmarks"

/* Whether this element of a request for private storage is theirs. */
bool bookmarks_take(const struct iq_event *event, const struct xml_node *element);

/* Answer such a request of a session of the account. */
void bookmarks_private_get(struct iq_event *event);
void bookmarks_private_set(struct iq_event *event);

/* private.c: answers such a get with what stands in private storage itself (of an account that was moved here
 * with it). */
void private_read(struct iq_event *event);
#define PRIVATE_BOOKMARKS NS_OLD_BOOKMARKS " storage" /* the key of its row */

#endif
