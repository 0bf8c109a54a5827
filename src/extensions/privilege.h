/* SPDX-License-Identifier: MIT */
/* XEP-0356: what the two files of it share. */
#ifndef EXTENSIONS_PRIVILEGE_H
#define EXTENSIONS_PRIVILEGE_H

#include "server/ext.h"

#define NS_PRIVILEGE "urn:xmpp:privilege:2"
#define NS_FORWARD   "urn:xmpp:forward:0"

/* What a user's actor keeps: requests made in its name that are not answered yet. */
struct privilege_user {
    struct list asked; /* struct asked; not initialised before the first */
    unsigned count;
};

extern struct ext_slot privilege_slot;

/* Whether the component may send this kind of request, with this payload. */
bool privilege_allows(const struct config_component *config, enum stanza_type type, str ns);

/* privilege_iq.c: a request in the name of the user; and an answer to one. */
void privilege_ask(struct stanza_event *event, const struct config_component *config,
                   const struct xml_node *wrapper);
bool privilege_answer(struct stanza_event *event);
void privilege_forget(struct user *user); /* all that is open: nobody is answered */

#endif
