/* SPDX-License-Identifier: MIT */
/* A user: the actor of a bare JID with a localpart at a virtual host. It holds the roster and the sessions,
 * and what extensions keep for it. Writing and waiting are those of every actor (actor.h). */
#ifndef SERVER_USER_H
#define SERVER_USER_H

#include "server/actor.h"
#include "server/session.h"
#include "server/shard.h"
#include "server/user/roster.h"

struct catchup;
struct stanza_event;

struct user {
    struct actor actor;
    bool disabled;        /* the account is switched off: nobody may bind (account.h) */
    bool anonymous;       /* no account, but a session by SASL ANONYMOUS: nothing is kept */
    struct list sessions; /* struct session, oldest first */
    struct roster roster;
    struct catchup *catchup; /* an offline queue on its way to a session, or NULL */
    bool offline_known;      /* last_log_id and offline_count are those of the log */
    uint32_t offline_count;
    uint64_t last_log_id;      /* of the offline log; kept when it is emptied, so that ids never go back */
    uint64_t offline_moved;    /* messages up to this id are on their way out of the log, if not gone */
    unsigned appends_pending;  /* offline messages on their way to the disk */
    unsigned appends_ended;    /* how many have come to an end, either way */
    struct handover *handover; /* messages on their way from sessions that ended to that log, or NULL */
    unsigned handed_over;      /* how many writes of these have begun or ended */
    uint64_t message_serial;   /* of the message at hand: sessions that got it remember its number */
    int64_t last_seen_ms;      /* wall time at which the last session became unavailable; 0: not known */
    bool again;                /* the message at hand was acknowledged to its sender before */
    struct sm_copies copies;   /* of the message at hand */
    struct sm_saved *saved;    /* rows of sessions that are to be restored */
    unsigned restoring;        /* such sessions, on their way from the store */
    bool restore_failed;       /* one of them could not be read */
    struct sm_pasts *pasts;    /* of its sessions with stream management that have ended, or NULL */
    /* what extensions keep for it follows (ext_user()) */
};

#define USER_OF(base) CONTAINER_OF(base, struct user, actor)

static inline struct jid user_jid(const struct user *user)
{
    return actor_jid(&user->actor);
}

static inline str user_bare(const struct user *user)
{
    return actor_bare(&user->actor);
}

/* The user who is awake, or NULL. */
struct user *user_awake(struct shard *shard, str bare);

/* The user of this JID (whose home is this shard): who is awake, or begins to wake. */
struct user *user_wake(struct shard *shard, struct host *host, const struct jid *jid);

/* An actor for a login without account (SASL ANONYMOUS). */
struct user *user_make_anonymous(struct shard *shard, struct host *host, const struct jid *jid);

/* What comes from elsewhere for a user: RFC 6121 §8.5. */
void user_deliver(struct shard *shard, struct host *host, const struct delivery *delivery);

/* The same for each of a crowd, whose home is this shard. */
void user_deliver_crowd(struct shard *shard, const struct delivery *delivery);

/* What a session of the user itself sends: RFC 6120 §10, RFC 6121 §3-§5, §8.1-8.4. The user is ready. */
void user_from_session(struct user *user, struct session *session, const struct stanza *stanza);
/* One that was handled already, but not archived: see SM_UNARCHIVED. */
void archive_from_session(struct user *user, struct session *session, const struct stanza *stanza);

/* The batch that this event fills (actor_write). */
static inline struct store_batch *user_write(struct user *user, const struct stanza *cause)
{
    return actor_write(&user->actor, cause);
}

/* Ends the sessions of a resource, or all (str_none), with a stream error; returns how many. */
size_t user_kick(struct user *user, str resource, enum stream_error error, const char *text);

/* The store could not be read: nobody can go on, and who comes next makes it look again. */
void user_unreadable(struct user *user);

/* The account is gone from the store: its sessions end, and what is in memory is forgotten. */
void user_removed(struct user *user);

/* ---- The parts of a user, one file each
 * ------------------------------------------------------------------------- */

/* user_deliver.c: what the actor is given */
void user_receive(struct actor *actor, const struct delivery *delivery);
void user_refuse(struct actor *actor, const struct delivery *delivery);

/* user_presence.c: RFC 6121 §4 */
void presence_from_session(struct user *user, struct session *session, const struct stanza *presence);
void presence_session_lost(struct user *user, struct session *session);
/* A session that was away during a restart: everybody hears of it, and it of everybody, again. */
void presence_refresh(struct user *user, struct session *session);
void presence_to_user(struct user *user, const struct delivery *delivery);
void presence_show_to(struct user *user,
                      const struct jid *contact); /* the current presence of each available session */
void presence_hide_from(struct user *user,
                        const struct jid *contact); /* unavailable of each available session */

/* The same to those who got directed presence and may not be reached any more (the hook may_reach). */
void presence_hide_directed(struct user *user);

/* user_subscription.c: RFC 6121 §3 and appendix A */
void subscription_from_session(struct user *user, const struct stanza *presence);
void subscription_to_user(struct user *user, const struct stanza *presence);
void subscription_remind(struct user *user, struct session *session);

/* Rosters that a crash has left in disagreement are mended: when a session comes online, those are asked
 * again who have not answered (RFC 6121 §3.1.2); and who shows himself to a user who does not see him hears
 * of that (§3.3.2). */
void subscription_ask_again(struct user *user);
void subscription_end(struct user *user, const struct jid *contact);
void subscription_removed(struct user *user, const struct roster_item *item, const struct stanza *iq);

/* user_roster.c: RFC 6121 §2 */
void roster_iq(struct user *user, struct session *session, const struct stanza *iq,
               const struct xml_node *query);
void roster_store(struct user *user, const struct roster_item *item, const struct stanza *cause);
void roster_store_gone(struct user *user, str jid, const struct stanza *cause);
void roster_push(struct user *user, const struct roster_item *item);

/* user_message.c: RFC 6121 §8.5, messages */
void message_to_user(struct user *user, const struct delivery *delivery);
/* Whether the message at hand is answered with an error, or dropped: nobody gets it and nothing keeps it. */
bool message_is_refused(struct user *user, const struct stanza_event *event);
/* One that a session had and did not acknowledge: by the same rules, but extensions have seen it already. */
void message_again(struct user *user, const struct delivery *delivery);

/* user_offline.c: XEP-0160. Before a message that is to be stored is given to anybody: whether the end of the
 * log has to be looked for; then it is delivered when that is known. */
bool offline_looks_first(struct user *user, const struct delivery *delivery);
void offline_store(struct user *user, const struct stanza *message);
/* Adds one that came then (INT64_MAX: now) to what the shard appends; `waiter` may be NULL, and the serial
 * number of its batch is returned (appends.h). And when so many that were handed over are on disk. */
uint64_t offline_append(struct user *user, const struct stanza *message, int64_t came_ms,
                        struct append_waiter *waiter);
void offline_took(struct user *user, size_t count);

/* user_catchup.c: what was kept is sent */
void offline_catch_up(struct user *user, struct session *session);
bool offline_is_for_log(const struct user *user);
bool offline_is_read(const struct user *user); /* a page is on its way from the disk */
/* Whether the session is being sent what was kept, with what is added meanwhile. */
bool offline_is_coming(const struct session *session);
/* Whether this message to this very session has to wait in the log: what came earlier is still on its way to
 * it, and is not overtaken (RFC 6120 §10.1). */
bool offline_comes_first(const struct session *session, const struct stanza *message);
bool offline_answer(struct user *user, struct session *session, const struct stanza *iq);
void offline_session_lost(struct user *user, struct session *session);
void offline_drop(struct user *user); /* it is freed */

/* user_iq.c: RFC 6120 §8.2.3, RFC 6121 §8.5 */
void iq_from_session(struct user *user, struct session *session, const struct stanza *iq);
void iq_to_user(struct user *user, const struct delivery *delivery);

#endif
