/* SPDX-License-Identifier: MIT */
/* Commands that people run from their clients (XEP-0050), as data: an extension has a table of them in its
 * descriptor (ext.adhoc), and adhoc.c does the rest: discovery, who may, stages, sessions, errors.
 *
 * A command asks with its forms, in order; all of them fill one structure of values. When the last form is
 * there, `run` does the work, as an operation (ext_op.h): it ends by calling one of the functions below,
 * once, now or in a later step. */
#ifndef EXTENSIONS_ADHOC_H
#define EXTENSIONS_ADHOC_H

#include "server/ext_op.h"
#include "xmpp/form_table.h"

#define NS_COMMANDS "http://jabber.org/protocol/commands"

enum adhoc_who {
    ADHOC_USERS,  /* who has an account at the host */
    ADHOC_ADMINS, /* whom the host's configuration names */
};

struct adhoc_command {
    const char *node, *name; /* a NULL node ends a list; the name is for people */
    enum adhoc_who who;
    size_t size;                            /* of the values: zeroed before the first form */
    const struct form_table *const *forms;  /* the stages, NULL-terminated; NULL: nothing is asked */
    bool (*is_on)(const struct host *host); /* whether it is there at all; NULL: always */
    /* Prepares what the first form shows; ends with adhoc_ask(), or with an error. NULL: nothing to do. */
    ext_step *begin;
    ext_step *run;
};

/* The values; they and what they point to live as long as the operation. */
void *adhoc_values(struct ext_op *op);

/* The operation's command, and who runs it (in the arena of the event). */
const struct adhoc_command *adhoc_command(const struct ext_op *op);

/* Shows the first form, from `begin`. */
void adhoc_ask(struct ext_op *op, struct iq_event *event);

/* It is done: with elements to show (a form of type result; NULL: none), or a note for people. */
void adhoc_done(struct iq_event *event, struct ext_op *op, const struct buf *payload);
void adhoc_note(struct iq_event *event, struct ext_op *op, const char *text);

/* It is done and has failed (XEP-0050 §4.6): completed, with a note of type error. */
void adhoc_failed(struct iq_event *event, struct ext_op *op, const char *text);

/* A value is not acceptable: bad-payload. The session ends. */
void adhoc_refuse(struct iq_event *event, const char *text);

#endif
