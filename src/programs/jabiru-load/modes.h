/* SPDX-License-Identifier: MIT */
/* The kinds of work, one file each. */
#ifndef JABIRU_LOAD_MODES_H
#define JABIRU_LOAD_MODES_H

#include "programs/jabiru-load/load.h"

struct mode {
    const char *name, *help;
    const char *unit;                            /* of what is counted */
    bool in_pairs;                               /* works with pairs of users */
    bool answers;                                /* to what the server asks, itself */
    bool takes_rate;                             /* --rate says how much is done */
    bool logs_in_itself;                         /* users are not logged in beforehand */
    bool holds;                                  /* nothing is sent: no warming up, nothing to lose */
    bool with_presence;                          /* users send initial presence */
    bool settles;                                /* waits for silence before the work begins */
    void (*open)(struct load *load);             /* before anybody logs in; may be NULL */
    void (*prepare)(struct load *load);          /* all are in, before settling; may be NULL */
    bool (*is_settled)(const struct load *load); /* silence alone does not end settling; may be NULL */
    void (*begin)(struct load *load);            /* work begins; may be NULL */
    void (*tick)(struct load *load);             /* ten times a second while it works; may be NULL */
    void (*end)(struct load *load); /* nothing new is to be sent; may come more than once; may be NULL */
    bool (*is_whole)(const struct load *load); /* silence alone does not end the draining; may be NULL */
    void (*close)(struct load *load);          /* all is over; may be NULL */
    void (*stanza)(struct user *user, const struct xml_node *node);
    void (*ready)(struct user *user); /* logged in; may be NULL */
    void (*closed)(struct user *user,
                   enum err why); /* not by load_cut(); NULL: nobody may be lost before work */
};

extern const struct mode mode_idle, mode_logins, mode_pairs, mode_presence, mode_ping, mode_rooms, mode_mix,
    mode_pep;

/* All, with a NULL at the end. */
extern const struct mode *const modes[];

/* NULL if there is none of that name. */
const struct mode *mode_named(const char *name);

#endif
