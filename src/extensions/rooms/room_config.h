/* SPDX-License-Identifier: MIT */
/* The configuration of a room (XEP-0045 §10.2 and §15.5.3): a structure, and the form that shows it. */
#ifndef ROOMS_ROOM_CONFIG_H
#define ROOMS_ROOM_CONFIG_H

#include "xmpp/form_table.h"

#define NS_MUC_CONFIG "http://jabber.org/protocol/muc#roomconfig"

enum whois { WHOIS_MODERATORS, WHOIS_ANYONE };
enum room_registration { REGISTRATION_OPEN, REGISTRATION_APPROVED, REGISTRATION_CLOSED };
enum allow_pm { PM_ANYONE, PM_PARTICIPANTS, PM_MODERATORS, PM_NOBODY };

/* Bits of the lists of roles, in the order of enum role without none. */
enum { ROLE_BIT_MODERATOR = 1, ROLE_BIT_PARTICIPANT = 2, ROLE_BIT_VISITOR = 4, ROLE_BITS = 7 };

struct room_config {
    struct arena arena; /* of its texts */
    str name, description, language, pubsub, logs, password;
    bool is_public, is_persistent, is_moderated, is_members_only, has_password;
    bool may_change_subject, may_invite; /* mere occupants */
    bool is_logged;                      /* publicly, by somebody: occupants are warned */
    bool is_archived;                    /* XEP-0313 */
    unsigned whois;                      /* enum whois */
    unsigned allow_pm;                   /* enum allow_pm */
    unsigned registration;               /* enum room_registration */
    uint32_t broadcast;                  /* ROLE_BIT_: whose presence everybody sees */
    uint32_t member_list;                /* ROLE_BIT_: who may ask for the list of members */
    uint64_t max_occupants;              /* UINT64_MAX: as many as the service allows */
    uint64_t history;                    /* messages that are kept to be shown on entering */
    uint64_t quiet_size;                 /* UINT64_MAX: that of the service */
    uint64_t slow_mode_s;                /* between two messages of one user; 0: off (XEP-0500) */
    uint64_t joins_a_minute;             /* of strangers; 0: any number */
    uint64_t newcomer_minutes;           /* so long strangers may send no links */
    bool shares_bans;                    /* other rooms may follow its bans */
    str ban_lists;                       /* rooms whose bans hold here, LF between them */
    str words;                           /* that strangers may not say, LF between them */
    struct form_jids admins, owners;     /* only while a form is read or written */
};

extern const struct form_table room_config_form;

/* The defaults; and a copy with texts of its own. Both on the heap. */
struct room_config *room_config_new(void);
struct room_config *room_config_copy(const struct room_config *config);

/* Gives its texts memory of its own after a form was applied to it (form_apply() leaves them in the form). */
void room_config_own(struct room_config *config);

/* NULL is allowed. */
void room_config_free(struct room_config *config);

/* What is wrong with the whole, for people; NULL if it is good (XEP-0045 §10.1.3). */
const char *room_config_fault(const struct room_config *config);

/* As it is kept in the store, and back: false if it can't be read. */
void room_config_save(const struct room_config *config, struct buf *to);
bool room_config_load(str text, struct room_config *config, struct arena *arena);

#endif
