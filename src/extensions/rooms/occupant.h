/* SPDX-License-Identifier: MIT */
/* Who is in a room: an occupant has a nick, and a seat for each of his clients that came with it (XEP-0045
 * §7.2.8). And what the others are told of them.
 *
 * A seat keeps the presence that its client sent, made ready for all that will ever be shown it: one block,
 * in which the payload stands with what the room adds, once for who may see addresses and once for others. So
 * who enters is told of N occupants without a copy, and they of him by one stanza to each shard. */
#ifndef ROOMS_OCCUPANT_H
#define ROOMS_OCCUPANT_H

#include "room.h"

/* A presence with what the room says of its sender: attributes, and two payloads that begin alike. */
struct view {
    uint32_t attrs_len, own_len; /* own_len: of the payload that the client sent */
    uint32_t len[CLASSES];
    char text[]; /* attributes, then the payloads in the order of the classes */
};

struct seat {
    struct map_node _in_room;
    struct list _in_occupant;
    struct occupant *occupant;
    struct view *view;
    struct jid jid; /* of the client */
    unsigned shard; /* of its user, if he is ours */
    bool is_local;
    uint32_t number;
    char text[];
};

#define SEAT_OF(link) LIST_ITEM(link, struct seat, _in_occupant)

enum { OCCUPANT_ID_SIZE = 41 };

struct occupant {
    struct map_node _in_room;
    struct list _in_order;
    struct room *room;
    struct list seats; /* the one that changed last comes first: its presence is shown */
    struct jid jid;    /* room@service/nick, on the heap */
    uint32_t number;   /* the group in crowds */
    enum role role;
    enum role role_before; /* the affiliation changed: if the disk refuses that, this is it again */
    enum affiliation affiliation;
    uint32_t seats_kept; /* seats, and those that have departed */
    bool is_shown;       /* to all; else only to moderators, and to himself */
    char id[OCCUPANT_ID_SIZE];
};

#define OCCUPANT_OF(link) LIST_ITEM(link, struct occupant, _in_order)

static inline str occupant_nick(const struct occupant *occupant)
{
    return jid_resource(&occupant->jid);
}

static inline struct seat *occupant_seat(const struct occupant *occupant)
{
    return SEAT_OF(occupant->seats.next);
}

/* Status codes (§15.6), in ascending order. */
#define STATUS_CODES(X)                                                                                      \
    X(100)                                                                                                   \
    X(104) X(110) X(170) X(171) X(172) X(173) X(201) X(210) X(301) X(303) X(307) X(321) X(322) X(332) X(333)

enum status_bit {
#define X(code) STATUS_BIT_##code,
    STATUS_CODES(X)
#undef X
};
enum {
#define X(code) STATUS_##code = 1 << STATUS_BIT_##code,
    STATUS_CODES(X)
#undef X
};

/* XEP-0421 §4: the same for a user whenever he comes, and telling nothing. */
void occupant_id(const struct room *room, const struct jid *who, char ret[OCCUPANT_ID_SIZE]);

/* room_notify.c: tells members who are away that a message to all mentions them. */
void room_notify(const struct occupant *by, const struct stanza *message);

void occupants_init(struct room *room);
void occupants_fini(struct room *room); /* nobody is told */

struct occupant *occupant_find(const struct room *room, str nick);
struct seat *seat_find(const struct room *room, const struct jid *full);

/* §16.1: a nick by which one can be seen, and not too long. */
bool nick_is_good(const struct room *room, str nick);

/* §7.2.8: nobody but this user has it, or has it kept for himself. */
bool nick_is_free(const struct room *room, str nick, const struct jid *who);

/* Takes a seat under this nick, with an occupant who is there already (of the same user) or a new one. The
 * role is for a new one. */
struct seat *seat_take(struct room *room, str nick, const struct jid *jid, enum affiliation affiliation,
                       enum role role);

/* Gives it back; the last one frees the occupant. Nobody is told. While a write is under way they are kept
 * aside: if the disk refuses it, they have not left. */
void seat_leave(struct seat *seat);

/* Those who have departed are gone; or they are back. */
void occupants_part(struct room *room);
void occupants_return(struct room *room);

/* Another affiliation and role, by what is being written. */
void occupant_become(struct occupant *occupant, enum affiliation affiliation, enum role role);

/* Another nick, that is free. */
void occupant_rename(struct occupant *occupant, str nick);

/* Keeps a client's presence (without what is not a client's to say), to be shown from now on. */
void seat_show(struct seat *seat, const struct stanza *presence);

/* Makes what is shown anew, after a change of role, affiliation or nick, or of who may see addresses. */
void occupant_refresh(struct occupant *occupant);

/* §5.1.2: the role of one who enters with this affiliation. */
enum role role_by_default(const struct room *room, enum affiliation affiliation);

/* The same for one who comes back: voice that was given to him, or taken, stays so while the room is awake
 * (§5.1). And to remember it; ROLE_NONE: not any more. */
enum role role_at_door(struct room *room, const struct jid *who, enum affiliation affiliation);
void role_remember(struct room *room, const struct jid *who, enum role role);

/* Whether all are to see his presence, by role and size of the room. */
bool occupant_may_be_shown(const struct occupant *occupant);

/* Of a room with more occupants newcomers are not shown; 0: always. */
uint64_t room_quiet_size(const struct room *room);

/* What a client may say in a presence. */
str presence_filter(const struct stanza *presence, struct arena *arena);

/* The class of what an occupant sees, and whether it shows addresses. */
static inline enum room_class class_of(const struct occupant *occupant)
{
    return occupant->role == ROLE_MODERATOR ? CLASS_MODERATORS : CLASS_PLAIN;
}

/* room_hats.c: <hats/> of who wears any. */
void hats_write(struct buf *to, const struct occupant *occupant);

/* ---- fanout.c: telling them -------------------------------------------------------------------------------
 */

/* What is said of an occupant beside what is always said. */
struct notice {
    enum stanza_type type; /* TYPE_NONE or TYPE_UNAVAILABLE */
    uint32_t status;       /* STATUS_; 110 is added where it is due */
    enum role role;
    str attrs, own; /* of a client's presence that goes with it, filtered already; str_none: there is none */
    str new_nick;   /* with 303 */
    str actor, reason; /* who did it, and why; str_none: not said */
    str inside;        /* more XML for the <x/> */
};

/* Who came or went: the crowds are made anew when they are needed. */
void crowds_changed(struct room *room);

/* To all, or to one class; `except`: an occupant who is left out, or NULL. The stanza has no `to`. */
void room_say(struct room *room, const struct stanza *stanza);
void room_say_to(struct room *room, const struct stanza *stanza, enum room_class class,
                 const struct occupant *except);

/* To one seat, as it stands but for the `to`. */
void seat_tell(const struct seat *seat, const struct stanza *stanza);

/* The presence of an occupant as a class sees it; lives as long as the event. */
const struct stanza *occupant_presence(const struct occupant *occupant, enum room_class class);

/* Shows an occupant's present state to the others, and to his own seats with 110 and `status`. */
void occupant_announce(struct occupant *occupant, uint32_t status, str actor, str reason);

/* The same for a notice, in two parts. */
void notice_to_others(const struct occupant *occupant, const struct notice *notice);
void notice_to_seat(const struct seat *seat, const struct notice *notice);
void notice_to_own(const struct occupant *occupant, const struct notice *notice);

/* A message of the room itself with these codes to all (§10.3). */
void room_say_status(struct room *room, uint32_t status);

/* room_guard.c: whether he may say this now, and whether somebody may enter now; both answer if not. And
 * whether a presence may be shown to all now. */
bool guard_lets_say(struct seat *seat, const struct stanza *message);
bool guard_lets_show(struct seat *seat, const struct stanza *presence);
bool guard_lets_in(struct room *room, const struct stanza *presence, enum affiliation affiliation);

/* room_retract.c: one who has said something takes it back (XEP-0424); the message goes out as any other. */
void room_retract(struct occupant *occupant, const struct stanza *message);

/* ---- Going ------------------------------------------------------------------------------------------------
 */

/* A seat goes by itself or is lost: all are told; ends a temporary room with its last. */
void seat_go(struct seat *seat, struct notice *notice);

/* Removes an occupant with all his seats. The first part tells him, the second the others, and he is gone. */
void occupant_remove_own(struct occupant *occupant, const struct notice *notice);
void occupant_remove_others(struct occupant *occupant, const struct notice *notice);

/* Ends a room that has nobody left, if it is to end then. */
void room_emptied(struct room *room, const struct stanza *cause);

#endif
