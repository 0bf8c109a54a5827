/* SPDX-License-Identifier: MIT */
/* Stream management (XEP-0198 1.6.3) of a session: what was received is numbered and acknowledged when it is
 * safe, what is sent is kept until the client has acknowledged it, and the session outlives its link. */
#ifndef SERVER_SM_H
#define SERVER_SM_H

#include "base/buf.h"
#include "server/link.h"
#include "xmpp/error.h"

#include <stdint.h>

#define NS_SM "urn:xmpp:sm:3"

struct host;
struct session;
struct sm;
struct sm_body;
struct user;

/* Limits of one session: what may wait for acknowledgement. One more, and it ends. */
struct sm_limits {
    unsigned stanzas, bytes;
};

/* Begins it for a bound session that has none; adds <enabled/>, which has to be sent before anything else.
 * `resume_ms`: how long it may outlive its link; 0: not at all. `limits` must outlive the session. */
void sm_begin(struct session *session, unsigned resume_ms, const struct sm_limits *limits, struct buf *out);

/* Adds <failed/>. */
void sm_write_failed(struct buf *out, enum stanza_error error);

/* ---- What the client says
 * ---------------------------------------------------------------------------------------------- */

/* <r/>: answered when what has come until now is safe, or after a short while with what is. */
void sm_asked(struct sm *sm);

/* <a h=''/>: the client has so many of our stanzas. More than it was sent ends its stream. */
void sm_acked(struct sm *sm, uint32_t h);

enum sm_news {
    SM_NEW,
    SM_KNOWN,      /* it was sent again after a resumption: not to be handled */
    SM_UNARCHIVED, /* the same, but its sender's archive lacks it (a crash, or the disk): only that is to do
                    */
};

/* One more stanza of the client: `*ret_receipt` is its receipt, held once; not set for one that is SM_KNOWN.
 * Of one that is SM_UNARCHIVED, sm_archived() says that it was archived, in the same event. */
struct receipt;
enum sm_news sm_receive(struct sm *sm, const struct stanza *stanza, struct receipt **ret_receipt);
void sm_archived(struct sm *sm, struct receipt *receipt);

/* ---- What the session says
 * --------------------------------------------------------------------------------------------- */

/* Sends a stanza, now or after a resumption; `to` as in stanza_write(). */
void sm_send(struct sm *sm, const struct stanza *stanza, const struct jid *to);

/* The message that a user hands out to several of its sessions: its bytes are kept once, and when such a
 * session ends, the message has got lost only if no other one had it. Embedded in the user; zero between
 * messages. */
struct sm_copies {
    const struct stanza *of;
    struct sm_body *body;
    bool safe; /* a session without stream management has it, or the offline store keeps it */
};

void sm_copies_begin(struct sm_copies *copies, const struct stanza *message);
void sm_copies_safe(struct sm_copies *copies);
void sm_copies_end(struct sm_copies *copies);

/* Notes on a message when it came (XEP-0203), if the host has not done so already. */
void sm_stamp(struct stanza *message, int64_t time_ms, const struct user *user);
/* When it came, if that is noted. */
bool sm_stamped_at(const struct stanza *message, const struct user *user, int64_t *ret_ms);

/* ---- Without a link
 * -------------------------------------------------------------------------------------------------------- */

/* Whether the session may outlive its link. */
bool sm_is_resumable(const struct sm *sm);

/* The link is gone: from now on all waits, until somebody resumes or the time is over. */
void sm_detach(struct sm *sm);

/* The user's session with this id (of <enabled/>), or NULL. */
struct session *sm_find(const struct user *user, str id);

/* Whether a client of this session can have got `h` stanzas; how many it was sent. */
bool sm_may_have_got(const struct sm *sm, uint32_t h);
uint32_t sm_sent_count(const struct sm *sm);

/* A new link takes the session over, of which the client has got `h` stanzas: writes <resumed/>, and what it
 * has not got. session->link is set already. Now or in a moment; session_resumed() is called then. */
void sm_resume(struct sm *sm, uint32_t h);

/* Between the two: the client's stanzas must wait. */
bool sm_is_resuming(const struct sm *sm);

/* Whether its messages are on disk before they are sent, so that they need not be kept elsewhere; and whether
 * there is room for some more. */
bool sm_is_stored(const struct sm *sm);
bool sm_has_room(const struct sm *sm);
/* Bytes that wait for its client, for people the session's address, and its end because they are too many. */
size_t sm_weight(const struct sm *sm);
const char *sm_name(const struct sm *sm);
void sm_overflow(struct sm *sm);
/* Half of the bytes that it may keep are not acknowledged. */
bool sm_is_behind(const struct sm *sm);
/* Something of what the store has of the session is different (session_changed()). */
void sm_changed(struct sm *sm);

/* The batch of this turn of the loop (appends.h), in which messages go to the store; what is added is written
 * with them. */
struct shard;
struct store_batch *sm_store_batch(struct shard *shard);

/* The server ends: forgets what was to be removed; false if that was nothing. */
bool sm_store_drop(struct shard *shard);

/* While a user wakes: one of its rows of kind `sm`; and when all are there: its sessions are made again, and
 * the user is blocked until they are. */
struct store_row;
void sm_load_row(struct user *user, const struct store_row *row, const struct sm_limits *limits);
void sm_restore(struct user *user);
void sm_forget_rows(struct user *user);

/* Ends a stream whose client has acknowledged more than it was sent (XEP-0198 §6). */
void sm_fail_count(struct link *link, uint32_t h, uint32_t sent);

/* The session ends for good, and is no longer among the user's: what was not acknowledged goes where a
 * stanza to an unavailable resource goes (§4). */
void sm_end(struct sm *sm);

/* The server ends: frees it and its session without a word to anybody. */
void sm_drop(struct sm *sm);

/* By which a stanza is known that is sent again after a resumption. */
uint64_t sm_digest(const struct stanza *stanza);

/* How many stanzas of the client an ended session has handled, for <failed h=''/>; false if it is not known.
 */
bool sm_past(const struct user *user, str id, uint32_t *ret_h);

#endif
