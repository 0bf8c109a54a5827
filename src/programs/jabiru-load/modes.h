/* SPDX-License-Identifier: MIT */
/* The kinds of work, one file each. */
#ifndef JABIRU_LOAD_MODES_H
#define JABIRU_LOAD_MODES_H

#include "programs/jabiru-load/load.h"

struct mode {
    const char *name, *help;
    const char *unit;                            /* of what is counted */
    bool in_pairs;                               /* works with pairs of users */
    bool logs_in_itself;                         /* users are not logged in beforehand */
    bool holds;                                  /* nothing is sent: no warming up, nothing to lose */
    bool with_presence;                          /* users send initial presence */
    bool settles;                                /* waits for silence before the work begins */
    void (*prepare)(struct load *load);          /* all are in, before settling; may be NULL */
    bool (*is_settled)(const struct load *load); /* silence alone does not end settling; may be NULL */
    void (*begin)(struct load *load);            /* work begins; may be NULL */
    void (*tick)(struct load *load);             /* ten times a second while it works; may be NULL */
    void (*end)(struct load *load); /* nothing new is to be sent; may come more than once; may be NULL */
    void (*stanza)(struct user *user, const struct xml_node *node);
    void (*ready)(struct user *user);                /* of a mode that logs in itself */
    void (*closed)(struct user *user, enum err why); /* the same */
};

extern const struct mode mode_idle, mode_logins, mode_pairs, mode_presence, mode_ping, mode_rooms;

/* All, with a NULL at the end. */
extern const struct mode *const modes[];

/* NULL if there is none of that name. */
const struct mode *mode_named(const char *name);

#endif
