/* SPDX-License-Identifier: MIT */
/* Commands of a room (XEP-0050): tables of them, which room_command.c serves. Each asks with one form at
 * most, so no session is kept between asking and doing. */
#ifndef ROOMS_ROOM_COMMAND_H
#define ROOMS_ROOM_COMMAND_H

#include "room.h"
#include "xmpp/form.h"

struct room_command {
    const char *node, *name; /* a NULL node ends a list; the name is for people */
    enum affiliation least;  /* who may; AFFILIATION_MEMBER: whoever is in, too */
    /* Appends the form to fill in; NULL: nothing is asked. */
    void (*ask)(struct room_request *request, struct buf *xml);
    /* Does it, with the form that was submitted (NULL: none is asked for), and answers, now or later. */
    void (*run)(struct room_request *request, struct form *form);
};

extern const struct room_command room_hat_commands[]; /* room_hats.c */
extern const struct room_command room_log_commands[]; /* room_log.c */

/* Answers that it is done, with more to show (none: str_none), or that a value is not acceptable. */
void room_command_done(struct room_request *request, str payload);
void room_command_refuse(struct room_request *request, const char *text);

/* The <command/> of an answer; lives as long as the event. */
str room_command_answer(struct room_request *request, const char *status, str payload);

/* disco#items and disco#info of the nodes of commands; false if the node is none of them. */
bool room_command_items(struct room_request *request, str node);
bool room_command_info(struct room_request *request, str node);

#endif
