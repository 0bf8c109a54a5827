/* SPDX-License-Identifier: MIT */
/* A user: the actor of a bare JID with a localpart. It wakes when it is addressed (loads account and roster
 * from the store, while what comes in waits in order), acts on memory, and is dropped when nobody is
 * connected and nothing has come for a while.
 *
 * A handler that changes what the store keeps calls user_write(): from there on all that the event says is
 * held back, and the user is *busy* (takes no further stanza) until the write is on disk. If the disk
 * refuses, what was held is forgotten, the sender gets an error, and memory is read again from the store:
 * memory is a cache of the disk, never ahead of it. */
#ifndef SERVER_USER_H
#define SERVER_USER_H

#include "server/roster.h"
#include "server/session.h"
#include "server/shard.h"

struct parked {
    struct list link;
    void (*run)(struct user *user, struct parked *parked); /* the user is ready; frees `parked` */
    void (*drop)(struct user *user,
                 struct parked *parked); /* there is no such account, or no way to load it; frees it too */
};

enum user_state { USER_LOADING, USER_READY, USER_BUSY };

struct user_load;
struct user_commit;
struct catchup;

struct user {
    struct map_node _node;
    struct shard *shard;
    struct host *host;
    char *bare; /* the bare JID's text */
    uint16_t bare_len, local_len;
    uint8_t state;
    bool exists;    /* there is an account */
    bool anonymous; /* no account, but a session by SASL ANONYMOUS: nothing is kept */
    uint16_t parked_count;
    struct list parked;   /* struct parked, waiting for USER_READY */
    struct list sessions; /* struct session, oldest first */
    struct roster roster;
    struct user_load *_load;
    struct user_commit *_commit;
    struct catchup *catchup; /* an offline queue on its way to a session, or NULL */
    bool offline_known;      /* last_log_id and offline_count are those of the log */
    uint32_t offline_count;
    uint64_t last_log_id;     /* of the offline log; kept when it is emptied, so that ids never go back */
    unsigned appends_pending; /* offline messages on their way to the disk */
    int64_t last_seen_ms;     /* wall time at which the last session became unavailable; 0: not known */
    struct timer idle;
};

/* For the shard: key of the map, size of the slab's objects; and the end. */
str user_key(const struct map_node *node);
size_t user_size(void);
void users_drop_all(struct shard *shard);

struct jid user_jid(const struct user *user);

/* The user who is awake, or NULL. */
struct user *user_awake(struct shard *shard, str bare);

/* Calls parked->run when the user of this JID (whose home is this shard) is awake and not busy: now, if it is
 * so already, or later. */
void user_when_ready(struct shard *shard, struct host *host, const struct jid *jid, struct parked *parked);

/* An actor for a login without account (SASL ANONYMOUS). */
struct user *user_make_anonymous(struct shard *shard, struct host *host, const struct jid *jid);

/* What comes from elsewhere for a user: RFC 6121 §8.5. */
void user_deliver(struct shard *shard, struct host *host, const struct delivery *delivery);

/* What a session of the user itself sends: RFC 6120 §10, RFC 6121 §3-§5, §8.1-8.4. The user is ready. */
void user_from_session(struct user *user, struct session *session, const struct stanza *stanza);

/* The batch that this event fills; the first call makes the user busy until it is on disk. `stanza`: whom to
 * tell if that fails. */
struct store_batch *user_write(struct user *user, const struct stanza *stanza);

/* Ends a handler: sends off the batch if there is one. Every caller of handlers does this. */
void user_handled(struct user *user);

/* Makes the user busy, and ready again; for waits other than writes. */
void user_block(struct user *user);
void user_unblock(struct user *user);

/* Something happened: the user stays awake a while longer; drops it if nothing holds it. */
void user_touch(struct user *user);

/* Ends the sessions of a resource, or all (str_none), with a stream error; returns how many. */
size_t user_kick(struct user *user, str resource, enum stream_error error, const char *text);

/* The account is gone from the store: its sessions end, and what is in memory is forgotten. */
void user_removed(struct user *user);

/* ---- The parts of a user, one file each
 * ------------------------------------------------------------------------- */

/* user_presence.c: RFC 6121 §4 */
void presence_from_session(struct user *user, struct session *session, const struct stanza *presence);
void presence_session_lost(struct user *user, struct session *session);
void presence_to_user(struct user *user, const struct delivery *delivery);
void presence_show_to(struct user *user,
                      const struct jid *contact); /* the current presence of each available session */
void presence_hide_from(struct user *user,
                        const struct jid *contact); /* unavailable of each available session */

/* user_subscription.c: RFC 6121 §3 and appendix A */
void subscription_from_session(struct user *user, const struct stanza *presence);
void subscription_to_user(struct user *user, const struct stanza *presence);
void subscription_remind(struct user *user, struct session *session);
void subscription_removed(struct user *user, const struct roster_item *item, const struct stanza *iq);

/* user_roster.c: RFC 6121 §2 */
void roster_iq(struct user *user, struct session *session, const struct stanza *iq,
               const struct xml_node *query);
void roster_store(struct user *user, const struct roster_item *item, const struct stanza *cause);
void roster_store_gone(struct user *user, str jid, const struct stanza *cause);
void roster_push(struct user *user, const struct roster_item *item);

/* "2026-11-23T10:00:00Z" (XEP-0082), NUL-terminated, in the arena. */
const char *time_stamp(int64_t wall_ms, struct arena *arena);

/* user_message.c: RFC 6121 §8.5, messages */
void message_to_user(struct user *user, const struct delivery *delivery);

/* user_offline.c: XEP-0160 */
void offline_store(struct user *user, const struct stanza *message);
void offline_catch_up(struct user *user, struct session *session);
bool offline_is_for_log(const struct user *user);
bool offline_answer(struct user *user, struct session *session, const struct stanza *iq);
void offline_session_lost(struct user *user, struct session *session);

/* user_iq.c: RFC 6120 §8.2.3, RFC 6121 §8.5 */
void iq_from_session(struct user *user, struct session *session, const struct stanza *iq);
void iq_to_user(struct user *user, const struct delivery *delivery);

#endif
