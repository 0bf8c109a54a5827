/* SPDX-License-Identifier: MIT */
/* A room of XEP-0045: the actor of a bare JID at a service's domain. Who is in it stands in occupant.h; each
 * group of use cases has a file of its own.
 *
 * What is kept of a persistent room: rows of kind `room` (key "": its configuration, a form; `subject`;
 * `secret`: for the occupants' ids) and `affiliation` (key: a bare JID or a domain). A temporary room has no
 * rows and ends with its last occupant. Before anything that is kept is said to anybody it is on disk. */
#ifndef ROOMS_ROOM_H
#define ROOMS_ROOM_H

#include "room_config.h"
#include "room_watch.h"
#include "server/actor.h"
#include "server/ext.h"
#include "xmpp/payload.h"
#include "xmpp/sid.h"

#define NS_MUC         "http://jabber.org/protocol/muc"
#define NS_MUC_USER    NS_MUC "#user"
#define NS_MUC_ADMIN   NS_MUC "#admin"
#define NS_MUC_OWNER   NS_MUC "#owner"
#define NS_OCCUPANT_ID "urn:xmpp:occupant-id:0"
#define NS_RETRACT     "urn:xmpp:message-retract:1"
#define NS_MODERATE    "urn:xmpp:message-moderate:1"
#define NS_HATS        "urn:xmpp:hats:0"
#define NS_COMMANDS    "http://jabber.org/protocol/commands"
#define ROOM_ARCHIVE   "archive" /* kind of the log */

/* In the order of their power (§5.1, §5.2). */
enum role { ROLE_NONE, ROLE_VISITOR, ROLE_PARTICIPANT, ROLE_MODERATOR };
enum affiliation {
    AFFILIATION_OUTCAST,
    AFFILIATION_NONE,
    AFFILIATION_MEMBER,
    AFFILIATION_ADMIN,
    AFFILIATION_OWNER
};

const char *role_name(enum role role);
const char *room_affiliation_name(enum affiliation affiliation);
bool role_named(str name, enum role *ret);
bool room_affiliation_named(str name, enum affiliation *ret);

/* Who has an affiliation other than none. One block, freed with free(). */
struct affiliated {
    struct map_node _node;
    struct list asks; /* of the room's, if he wants to hear of mentions while he is away */
    enum affiliation affiliation;
    bool is_asking;
    str jid;    /* bare, or a domain */
    str nick;   /* that is kept for him, or "" (§7.10) */
    str reason; /* given with it, or "" */
    char text[];
};

struct subject {
    str xml;        /* the payload: <subject/> elements and what came with them; none if it was never set */
    str nick;       /* who set it */
    int64_t set_ms; /* when */
};

/* Settings of the service, by the configuration. */
struct rooms_settings {
    const char *domain, *name;
    struct config_list creators, admins;
    uint32_t max_occupants, max_extra, max_affiliations, nick_bytes, presence_bytes, quiet_size;
    uint32_t user_rate, user_burst, room_rate, same_text_rooms, log_entries, log_days;
    struct config_list ban_lists;
    bool locks;
};

enum room_class { CLASS_PLAIN, CLASS_MODERATORS, CLASSES }; /* who sees what of the others */

struct history;
struct remote;

/* room_activity.c: messages of each hour, the running one first (XEP-0502). */
enum { ACTIVITY_HOURS = 25 };
struct activity {
    uint32_t said[ACTIVITY_HOURS];
    int64_t hour;  /* the running one, since 1970; 0: not begun */
    uint32_t full; /* hours that are known whole */
};

struct room {
    struct actor actor;
    struct room_config *config, *_config_before; /* before: of a room that is not stored yet */
    struct map affiliations;                     /* struct affiliated by jid */
    struct list asks_for_notice;                 /* struct affiliated, room_notify.c */
    uint32_t owners, nicks;                      /* among them: owners, and those with a nick */
    bool is_stored, _was_stored;                 /* has rows; had them before the write under way */
    bool is_locked, _was_locked;                 /* made, and not configured yet (§10.1) */
    bool has_ended;                              /* destroyed, or left by the last: nothing more is kept */
    char secret[33];
    char *avatar;             /* hashes of the photos in its vCard, with spaces between, or NULL */
    struct activity activity; /* messages of the last hours */
    struct subject subject;
    struct map occupants;                     /* struct occupant by nick */
    struct map seats;                         /* struct seat by full JID */
    struct list order;                        /* of occupants, as they came */
    struct list departed;                     /* seats of who has left, by a change that is being written */
    uint32_t last_number;                     /* of an occupant or a seat */
    uint32_t hidden;                          /* occupants whose presence only moderators see */
    struct room_watch watch;                  /* who comes and speaks */
    struct debt handed_out, came_in, applied; /* deliveries; newcomers; applications for membership */
    struct crowd **_crowds;                   /* of each shard, CLASSES of them; NULL: to be made */
    struct seat **_remote;                    /* who is not reached by a crowd */
    uint32_t _remote_count;
    struct history *history;
    uint64_t last_id;         /* of a message */
    uint64_t archive_serial;  /* of the last append (appends.h) */
    uint64_t last_log_id;     /* of an entry of the moderation log */
    uint32_t logged;          /* entries since it woke */
    uint32_t holds;           /* what it waits for before it takes anything (room_hold()) */
    struct map hats, wearers; /* room_hats.c */
    struct list follows;      /* ban lists (room_bans.c) */
    struct list ban_news;     /* changes of its bans that are being written */
    bool is_reading_history;
};

#define ROOM_OF(base) CONTAINER_OF(base, struct room, actor)

static inline struct shard *room_shard(const struct room *room)
{
    return room->actor.shard;
}

static inline struct arena *room_arena(const struct room *room)
{
    return &room->actor.shard->arena;
}

static inline struct jid room_jid(const struct room *room)
{
    return actor_jid(&room->actor);
}

/* What the extension keeps with each shard. */
struct rooms_shard {
    struct list banlists;
    bool is_ready;
};

/* service.c */
struct rooms_shard *rooms_shard(struct shard *shard);
const struct rooms_settings *room_settings(const struct room *room);
bool service_is_admin(const struct room *room, const struct jid *who);
bool service_may_create(const struct room *room, const struct jid *who);

/* The room is listed as it is now, or not any more. */
void service_list_room(struct room *room);

/* spam.c: whether this text has just been said in more rooms than the service allows. */
bool spam_is_everywhere(const struct room *room, str body);

/* ---- room.c: its life and its rows ------------------------------------------------------------------------
 */

/* What is sent to a room or an occupant; wakes it when that can matter. */
void room_deliver(struct shard *shard, struct host *host, const struct delivery *delivery);

/* It begins to exist, with the defaults. */
void room_create(struct room *room);

/* It ends: nothing is left of it in the store, and it sleeps when it is empty. */
void room_end(struct room *room, const struct stanza *cause);

/* Writes its configuration if it is persistent; all of it, or away with all, when that has changed. */
void room_save_config(struct room *room, const struct stanza *cause);
void room_save_subject(struct room *room, const struct stanza *cause);

/* Answers with an error that names the room (`by`, §7.2); `type` NULL: the one of the condition. */
void room_refuse(struct room *room, const struct stanza *stanza, enum stanza_error error, const char *type,
                 const char *text);

/* ---- room_affiliation.c -----------------------------------------------------------------------------------
 */
void affiliations_init(struct room *room);
void affiliations_fini(struct room *room);
bool affiliation_load(struct room *room, const struct store_row *row);

/* The row of exactly this JID, or NULL. */
struct affiliated *affiliation_find(const struct room *room, str jid);

/* Of a user: the service's admins are owners; what the domain has counts for who has none of his own (§9.2).
 */
enum affiliation affiliation_of(const struct room *room, const struct jid *jid);

/* Sets or, with AFFILIATION_NONE, removes one, and writes it; `nick` and `reason` may be empty. */
void affiliation_set(struct room *room, str jid, enum affiliation affiliation, str nick, str reason,
                     const struct stanza *cause);
/* Whether he hears of mentions while he is away; a new affiliation from member on keeps it. */
void affiliation_ask(struct room *room, str jid, bool is_asking, const struct stanza *cause);
void affiliations_save(const struct room *room, struct store_batch *batch);

/* Who has kept this nick for himself, or NULL. */
const struct affiliated *affiliation_with_nick(const struct room *room, str nick);

/* ---- What comes in, a file each ---------------------------------------------------------------------------
 */
void room_presence(struct room *room, const struct delivery *delivery); /* room_presence.c */
void room_enter(struct room *room, const struct stanza *presence, const struct xml_node *muc);
void room_message(struct room *room, const struct delivery *delivery); /* room_message.c */
void room_iq(struct room *room, const struct delivery *delivery);      /* room_iq.c */

/* A request to the room itself. */
struct room_request {
    struct room *room;
    const struct stanza *iq;
    struct xml_node child;
};
void room_result(struct room_request *request, const struct buf *payload); /* NULL: empty */
void room_error(struct room_request *request, enum stanza_error error, const char *text);

void room_admin_get(struct room_request *request); /* room_admin.c */
void room_admin_set(struct room_request *request);
void room_owner_get(struct room_request *request); /* room_owner.c */
void room_owner_set(struct room_request *request);
void room_info(struct room_request *request); /* room_disco.c */
void room_items(struct room_request *request);
void room_register_get(struct room_request *request); /* room_register.c */
void room_register_set(struct room_request *request);

/* Unlocks a new room. */
void room_unlock(struct room *room);

void room_archive_query(struct room_request *request); /* room_archive.c */
void room_archive_form(struct room_request *request);
void room_archive_metadata(struct room_request *request);
void room_moderate(struct room_request *request); /* room_retract.c */

/* room_archive.c: whether what is said is kept there; keeps a message, which is shown as what `by` has said
 * (NULL: the room); and a payload of the archive without what not all may see. */
struct occupant;
bool room_is_archived(const struct room *room);
void archive_add(struct room *room, const struct stanza *message, const struct occupant *by,
                 const struct jid *who, uint64_t id);
str archive_strip(const struct stanza *message, struct arena *arena);

/* room_message.c: says a message to all under a new id, and keeps it; arguments as for history_add(). */
void room_hand_out(struct room *room, const struct stanza *message, const struct occupant *by,
                   const struct jid *who);

/* room_invite.c: invitations and declines, and voice requests; false if the message is none of them. */
bool room_invite(struct room *room, const struct stanza *message);
bool room_voice(struct room *room, const struct stanza *message);
void room_send_invitation(struct room *room, const struct jid *to, const struct jid *from, str inside,
                          const struct stanza *cause);

/* room_register.c: an admin's answer to an application (§9.9); false if the message is none. */
bool room_register_answer(struct room *room, const struct stanza *message);

/* room_command.c: commands (XEP-0050). */
void room_command(struct room_request *request);

/* room_hats.c: hats (XEP-0317): in memory, in rows, and a hash of all (none: str_none). */
void hats_init(struct room *room);
void hats_fini(struct room *room);
bool hats_load(struct room *room, const struct store_row *row);
void hats_save(const struct room *room, struct store_batch *batch);
str hats_hash(const struct room *room);

/* room_log.c: notes that the sender of `cause` has done something: to whom (a bare JID; str_none: to nobody),
 * under which nick, and why. */
void room_log(struct room *room, const struct stanza *cause, const char *action, str whom, str nick, str why);

/* room_bans.c. Follows the lists of its configuration; with `may_wait` the room is held until they are there,
 * else who is banned by them goes. */
void bans_follow(struct room *room, bool may_wait);
void bans_unfollow(struct room *room);
bool bans_hold(const struct room *room, const struct jid *who);

/* What is wrong with the lists of a new configuration, or NULL: then they are in normal form. */
const char *bans_fault(const struct room *room, struct room_config *config);

/* Of a list: a ban was set or lifted (`jid` str_none: all may be other ones). It is told when it is on disk,
 * or dropped. */
void bans_changed(struct room *room, str jid, bool is_banned, str reason);
void bans_tell_news(struct room *room);
void bans_drop_news(struct room *room);
void bans_fini_shard(struct shard *shard);

/* room.c: busy until all that it waits for is there. */
void room_hold(struct room *room);
void room_let_go(struct room *room);

/* room_vcard.c: its vCard and avatar (XEP-0054, XEP-0486). */
void room_vcard_get(struct room_request *request);
void room_vcard_set(struct room_request *request);

void room_set_avatar(struct room *room, str hashes); /* room.c: in memory */

/* room_activity.c: counts a message to all; messages an hour, negative: not known. */
void activity_begin(struct room *room);
void activity_count(struct room *room, const struct stanza *message);
double activity_rate(struct room *room);

/* ---- room_history.c ---------------------------------------------------------------------------------------
 */
struct seat;
struct occupant;
void history_fini(struct room *room);

/* Begins to read what a stored room has said; the room is busy until it is there. */
void history_load(struct room *room);

/* Keeps a message that was said now by this occupant (NULL: by the room) in memory, and in the archive if
 * there is one. `who`: the client that it comes from. */
void history_add(struct room *room, const struct stanza *message, const struct occupant *by,
                 const struct jid *who, uint64_t id);

/* In memory: is it there and of this user; it is not shown any more, true if it was there. */
bool history_is_by(const struct room *room, uint64_t id, const struct jid *who);
bool history_forget(struct room *room, uint64_t id);

/* An id for what is said now: greater than all before, its upper part the time in milliseconds. */
uint64_t room_next_id(struct room *room);

/* Sends to one who enters what he wants to see (`muc`: his <x/>, §7.2.14), and then the subject. */
void history_show(struct room *room, struct seat *seat, const struct xml_node *muc);
void room_show_subject(struct room *room, struct seat *seat);

#endif
