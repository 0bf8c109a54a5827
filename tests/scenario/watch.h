/* SPDX-License-Identifier: MIT */
/* What a client may expect whatever a script says: each request is answered once, and the roster that it was
 * told is the one that is kept. Looks on from when its connection begins. */
#ifndef SCENARIO_WATCH_H
#define SCENARIO_WATCH_H

#include "tree.h"

struct watch_request {
    char *id;
    unsigned asked, answered;
};

struct watch_item {
    char *jid, *text; /* the <item/>, laid out */
};

struct watch {
    struct watch_request *requests; /* that the server has to answer */
    size_t request_count;
    bool knows_roster; /* it has asked for it; from then on `items` is the roster */
    struct watch_item *items;
    size_t item_count;
};

/* Forgets all. */
void watch_fini(struct watch *watch);

void watch_sent(struct watch *watch, str xml); /* whole elements; others are not looked at */
void watch_came(struct watch *watch, const struct tree *tree);

/* The id of a request that was not answered as often as it was asked, or NULL. */
const char *watch_unanswered(const struct watch *watch);

/* Whether the item of the roster that it was told is this one: an <item/> as it is kept. */
bool watch_has_item(const struct watch *watch, str item_xml);

#endif
