/* SPDX-License-Identifier: MIT */
/* Offline messages (XEP-0160, XEP-0203) on their way to a client.
 *
 * When a session can take messages again it gets the log in pages. Each page is followed by a ping of the
 * server's (XEP-0199): its answer, result or error, proves that the page was read, since a stream is in
 * order; only then is the page deleted. A client that dies in between gets the page again. While the log is
 * on its way, new messages go to its end, so order holds. A client that does not answer is given the new
 * messages directly after a while, and keeps the log for its next visit. A session that is kept in the
 * store itself (sm_store.c) needs no ping: a page is moved to it.
 *
 * No page is read while some of it is on its way to the disk; what the disk refuses is sent from memory. */
#include "base/log.h"
#include "base/rand.h"
#include "server/receipt.h"
#include "server/user/user_offline.h"
#include "server/user/user_page.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

enum { ANSWER_MS = 30 * 1000, AGAIN_MS = 20, ROOM_MS = 500 };

/* A page that can't be read is asked for so often. Then the log has to wait for another visit, and what is
 * new comes before it. */
enum { READS_MAX = 5, READ_AGAIN_MS = 1000 };

struct catchup {
    struct store_read read;
    struct user *user;
    struct session *session; /* NULL: it has gone meanwhile */
    struct timer timer;
    uint64_t first, last; /* ids of the page that was sent */
    unsigned failed;      /* reads, one after another */
    unsigned ended;       /* user->appends_ended when the read began */
    unsigned handed;      /* the same of user->handed_over */
    bool reading;
    bool moves; /* the session is kept in the store itself: pages go over to it */
    char ping[21];
};

struct deletion {
    struct store_commit commit;
    struct shard *shard;
};

bool offline_is_for_log(const struct user *user)
{
    return user->catchup != NULL;
}

bool offline_is_read(const struct user *user)
{
    return user->catchup && user->catchup->reading;
}

bool offline_is_coming(const struct session *session)
{
    return session->user->catchup && session->user->catchup->session == session;
}

bool offline_comes_first(const struct session *session, const struct stanza *message)
{
    const struct user *user = session->user;
    bool kept = message->type != TYPE_HEADLINE && message->type != TYPE_GROUPCHAT &&
                message->type != TYPE_ERROR && offline_is_worth_keeping(message);
    /* while the first page is read nobody may know yet whether there is one: most often there is none. One
     * that is moved to the session comes without delay. */
    return kept && offline_is_coming(session) &&
           (user->catchup->last || (user->offline_known && user->offline_count) ||
            (session->sm && sm_is_stored(session->sm)));
}

/* One whose session went away is taken over by another that came meanwhile and found it under way; also if
 * that has lost its link since and waits for its client. */
static void finish(struct catchup *catchup)
{
    struct user *user = catchup->user;
    bool lost = !catchup->session;
    timer_stop(&catchup->timer);
    user->catchup = NULL;
    free(catchup);
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (lost && session->available && session->priority >= 0) {
            offline_catch_up(user, session);
            return;
        }
    }
    actor_touch(&user->actor);
}

/* `kept`: the log has it until the page is deleted. */
static void send_message(struct catchup *catchup, struct stanza *message, int64_t time_ms, bool kept)
{
    struct user *user = catchup->user;
    struct kept_event event = { user, catchup->session, message };
    if (fire_kept_stanza(user->actor.host, &event) == HOOK_DONE)
        return;
    sm_stamp(message, time_ms, user);
    sm_copies_begin(&user->copies, message);
    if (kept)
        sm_copies_safe(&user->copies);
    session_send(catchup->session, message, NULL);
    sm_copies_end(&user->copies);
}

static void send_entry(struct catchup *catchup, const struct store_entry *entry)
{
    struct user *user = catchup->user;
    struct xml_node node;
    struct stanza message;
    if (!xml_parse(entry->value, STR(NS_CLIENT), &node) ||
        stanza_read(&node, str_none, str_none, &user->actor.shard->arena, &message) != STANZA_OK)
        log_error(user, "offline message %llu of %s can't be read", (unsigned long long)entry->id,
                  user->actor.bare);
    else
        send_message(catchup, &message, entry->time_ms, !catchup->moves);
}

static void send_ping(struct catchup *catchup)
{
    struct user *user = catchup->user;
    struct jid to = session_jid(catchup->session);
    rand_token(catchup->ping, sizeof catchup->ping);
    struct stanza ping = stanza_make(STANZA_IQ, TYPE_GET, str_from(catchup->ping),
                                     STR("<ping xmlns='urn:xmpp:ping'/>"), &user->actor.shard->arena);
    ping.from = (struct jid){ str_from(user->actor.host->name), 0, (uint16_t)strlen(user->actor.host->name) };
    session_send(catchup->session, &ping, &to);
    timer_start(user->actor.shard->loop, &catchup->timer, ANSWER_MS);
}

static void read_page(struct catchup *catchup);

/* In one batch the page leaves the log and enters the session's own (sm_store.c): nothing is left to prove.
 */
static void move_page(struct catchup *catchup)
{
    struct user *user = catchup->user;
    struct shard *shard = user->actor.shard;
    store_log_del(sm_store_batch(shard), offline_owner(user), STR(OFFLINE_KIND), catchup->first,
                  catchup->last);
    user->offline_known = false;
    user->offline_moved = catchup->last;
    timer_start(shard->loop, &catchup->timer, AGAIN_MS);
}

static void send_piece(struct catchup *catchup, const struct page_piece *piece)
{
    struct user *user = catchup->user;
    struct shard *shard = user->actor.shard;
    if (piece->entry) {
        send_entry(catchup, piece->entry);
        return;
    }
    struct receipt *before = receipt_enter(shard, piece->item->receipt);
    send_message(catchup, stanza_copy_arena(piece->item->message, &shard->arena), piece->came_ms, false);
    receipt_leave(shard, before);
    handover_given(user, piece->item);
}

static void send_page(struct catchup *catchup)
{
    struct user *user = catchup->user;
    const struct store_entry *of_log = catchup->read.entries;
    struct sm *sm = catchup->session->sm;
    struct page page = page_make(user, &catchup->read);
    catchup->moves = sm && sm_is_stored(sm);
    if (page.entries) {
        catchup->first = of_log[0].id;
        catchup->last = of_log[page.entries - 1].id;
    }
    for (size_t i = 0; i < page.count; i++)
        send_piece(catchup, &page.pieces[i]);
    if (!page.entries)
        timer_start(user->actor.shard->loop, &catchup->timer, AGAIN_MS);
    else if (catchup->moves)
        move_page(catchup);
    else
        send_ping(catchup);
}

/* On its way to the log, or behind what was read. */
static bool more_may_be_there(const struct catchup *catchup)
{
    const struct user *user = catchup->user;
    return user->appends_pending || user->appends_ended != catchup->ended || user->handover;
}

static void page_read(struct store_read *read)
{
    struct catchup *catchup = CONTAINER_OF(read, struct catchup, read);
    struct user *user = catchup->user;
    struct shard *shard = user->actor.shard;
    bool in_order = user->handed_over == catchup->handed;
    bool more = catchup->session && read->err == OK;
    bool sent = more && in_order && (read->count || handover_refused(user));
    shard_enter(shard);
    shard_commit_ended(shard);
    catchup->reading = false;
    catchup->failed = read->err == OK ? 0 : catchup->failed + 1;
    if (sent || (catchup->session && catchup->failed == READS_MAX && handover_refused(user)))
        send_page(catchup);
    store_read_fini(read);
    if (more && !sent && (!in_order || more_may_be_there(catchup))) /* look again */
        timer_start(shard->loop, &catchup->timer, AGAIN_MS);
    else if (catchup->session && catchup->failed && catchup->failed < READS_MAX)
        timer_start(shard->loop, &catchup->timer, READ_AGAIN_MS);
    else if (!sent)
        finish(catchup);
    shard_leave(shard);
}

static void read_page(struct catchup *catchup)
{
    struct user *user = catchup->user;
    struct store_log_query query = { .after_id = catchup->last, .peer = str_none, .limit = PAGE_ENTRIES };
    if (handover_is_writing(user)) {
        timer_start(user->actor.shard->loop, &catchup->timer, AGAIN_MS);
        return;
    }
    catchup->reading = true;
    catchup->ended = user->appends_ended;
    catchup->handed = user->handed_over;
    catchup->ping[0] = '\0';
    catchup->read.done = page_read;
    shard_commit_began(user->actor.shard);
    store_log_find(user->actor.shard->server->store, user->actor.shard->loop, offline_owner(user),
                   STR(OFFLINE_KIND), &query, &catchup->read);
}

static void timer_fired(struct timer *timer)
{
    struct catchup *catchup = CONTAINER_OF(timer, struct catchup, timer);
    struct shard *shard = catchup->user->actor.shard;
    shard_enter(shard);
    if (catchup->ping[0] || !catchup->session)
        finish(catchup);
    else if (shard->stopping)
        timer_stop(timer); /* the rest is there at the next start */
    else if (catchup->moves && !sm_has_room(catchup->session->sm))
        timer_start(shard->loop, timer, ROOM_MS); /* it does not keep up, or is away */
    else
        read_page(catchup);
    shard_leave(shard);
}

void offline_catch_up(struct user *user, struct session *session)
{
    if (user->catchup || user->anonymous || user->actor.shard->stopping)
        return;
    struct catchup *catchup = NEW(struct catchup);
    catchup->user = user;
    catchup->session = session;
    catchup->last = user->offline_moved;
    catchup->timer.fired = timer_fired;
    user->catchup = catchup;
    read_page(catchup);
}

static void deleted(struct store_commit *commit)
{
    struct deletion *deletion = CONTAINER_OF(commit, struct deletion, commit);
    shard_commit_ended(deletion->shard);
    if (commit->err != OK) /* they will be sent once more */
        log_error(store, "delivered offline messages were not deleted: %s", err_text(commit->err));
    free(deletion);
}

static void delete_page(struct catchup *catchup)
{
    struct user *user = catchup->user;
    struct deletion *deletion = NEW(struct deletion);
    struct store_batch *batch = store_batch_new();
    deletion->shard = user->actor.shard;
    deletion->commit.done = deleted;
    store_log_del(batch, offline_owner(user), STR(OFFLINE_KIND), catchup->first, catchup->last);
    shard_commit_began(user->actor.shard);
    user->offline_known = false; /* count and end are asked for again when they are needed */
    store_commit(user->actor.shard->server->store, user->actor.shard->loop, batch, &deletion->commit);
}

bool offline_answer(struct user *user, struct session *session, const struct stanza *iq)
{
    struct catchup *catchup = user->catchup;
    if (!catchup || catchup->session != session || !catchup->ping[0] ||
        !str_eq(iq->id, str_from(catchup->ping)))
        return false;
    timer_stop(&catchup->timer);
    delete_page(catchup);
    read_page(catchup);
    return true;
}

void offline_drop(struct user *user)
{
    if (user->catchup)
        timer_stop(&user->catchup->timer);
    free(user->catchup);
    user->catchup = NULL;
}

void offline_session_lost(struct user *user, struct session *session)
{
    struct catchup *catchup = user->catchup;
    if (!catchup || catchup->session != session)
        return;
    catchup->session = NULL;
    if (!catchup->reading)
        finish(catchup);
}
