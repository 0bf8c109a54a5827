/* SPDX-License-Identifier: MIT */
/* Offline messages (XEP-0160, XEP-0203): kept in the user's log until a client has proved that it has them.
 *
 * When a session can take messages again it gets the log in pages. Each page is followed by a ping of the
 * server's (XEP-0199): its answer, result or error, proves that the page was read, since a stream is in
 * order; only then is the page deleted. A client that dies in between gets the page again. While the log is
 * on its way, new messages go to its end, so order holds. A client that does not answer is given the new
 * messages directly after a while, and keeps the log for its next visit. A session that is kept in the
 * store itself (sm_store.c) needs no ping: a page is moved to it.
 *
 * Ids only go up, so that a page which is deleted has nothing in it that came meanwhile. What a session hands
 * over that ends (user_handover.h) is older than what the log took while that session was catching up: it has
 * the time at which it came first, and by that a page is put in order. Between two pages it is not. No page
 * is read while some of it is on its way to the disk; what the disk refuses is sent from memory. */
#include "server/hooks.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/receipt.h"
#include "server/user/user_handover.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_CHAT_STATES "http://jabber.org/protocol/chatstates"

enum {
    PAGE = 50,
    PIECES_MAX = 2 * PAGE,
    ANSWER_MS = 30 * 1000,
    AGAIN_MS = 20,
    ROOM_MS = 500,
    STANZA_MAX = 1 << 22
};

/* A page that can't be read is asked for so often. Then the log has to wait for another visit, and what is
 * new comes before it. */
enum { READS_MAX = 5, READ_AGAIN_MS = 1000 };

static const char KIND[] = "offline";

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

struct append {
    struct append_waiter waiter;
    struct user *user;
    struct stanza *message;
};

struct deletion {
    struct store_commit commit;
    struct shard *shard;
};

static str owner_of(const struct user *user)
{
    return str_of(user->actor.bare, user->actor.bare_len);
}

/* ---- Keeping
 * ------------------------------------------------------------------------------------------------------ */

/* XEP-0160 §3: chat states alone are of no use later. */
static bool is_worth_keeping(const struct stanza *message)
{
    struct xml_node child;
    bool any = false;
    for (bool more = xml_first(&message->node, &child); more; more = xml_next(&child)) {
        any = true;
        if (!str_is(child.ns, NS_CHAT_STATES) && !str_is(child.name, "thread"))
            return true;
    }
    return !any;
}

static void refuse(struct user *user, const struct stanza *message)
{
    route_error(user->actor.shard, message, STANZA_ERROR_RESOURCE_CONSTRAINT,
                "the message could not be stored");
}

static void append_failed(const struct append *append, enum err err)
{
    struct user *user = append->user;
    struct stanza *message = ARENA_NEW(&user->actor.shard->arena, struct stanza);
    user->offline_count -= user->offline_count > 0; /* it may have been counted anew meanwhile */
    log_error(store, "a message for %s was not stored: %s", user->actor.bare, err_text(err));
    *message = *append->message;
    refuse(user, message);
}

static void appended(struct shard *shard, struct append_waiter *waiter, enum err err)
{
    struct append *append = CONTAINER_OF(waiter, struct append, waiter);
    struct user *user = append->user;
    user->appends_pending--;
    user->appends_ended++;
    if (err == OK)
        receipt_stored(shard->_receipt);
    else if (err != ERR_CANCELED) /* the server ends: its sender's server or client has it still */
        append_failed(append, err);
    actor_touch(&user->actor);
    shard_free_later(shard, append->message);
    free(append);
}

/* Ids are times, and follow those of earlier runs, whatever the clock does. */
static uint64_t next_id(const struct user *user)
{
    const struct shard *shard = user->actor.shard;
    int64_t now_ms = loop_wall_ms(shard->loop), newest_ms = store_newest_ms(shard->server->store);
    uint64_t id = (uint64_t)(now_ms > newest_ms ? now_ms : newest_ms + 1) * 1000;
    return id > user->last_log_id ? id : user->last_log_id + 1;
}

void offline_append(struct user *user, const struct stanza *message, int64_t came_ms,
                    struct append_waiter *waiter)
{
    struct shard *shard = user->actor.shard;
    struct buf value;
    uint64_t id = next_id(user);
    int64_t id_ms = (int64_t)(id / 1000);
    if (came_ms == id_ms)
        id = (uint64_t)(came_ms + 1) * 1000;
    user->last_log_id = id;
    buf_init(&value, STANZA_MAX);
    stanza_write(&value, message, NULL);
    appends_add(shard, owner_of(user), str_from(KIND),
                &(struct store_entry){ .id = id,
                                       .time_ms = came_ms < id_ms ? came_ms : id_ms,
                                       .peer = jid_bare(&message->from),
                                       .value = buf_str(&value) },
                waiter);
    receipt_mark(shard, appends_batch(shard));
    buf_fini(&value);
}

void offline_took(struct user *user, size_t count)
{
    user->offline_count += (uint32_t)count;
    user->appends_ended += (unsigned)count;
    user->actor.shard->counters.offline_stored += count;
}

static void append_message(struct user *user, const struct stanza *message)
{
    struct shard *shard = user->actor.shard;
    struct append *append;
    if (user->offline_count >= shard->server->config->limits.offline_messages) {
        route_error(shard, message, STANZA_ERROR_SERVICE_UNAVAILABLE,
                    "the receiver's store of messages is full");
        return;
    }
    append = NEW(struct append);
    append->user = user;
    append->message = stanza_copy(message);
    append->waiter.done = appended;
    user->appends_pending++;
    user->offline_count++;
    shard->counters.offline_stored++;
    offline_append(user, message, INT64_MAX, &append->waiter);
}

/* The first message since the user woke: the end of the log must be known, for ids and for the limit. It
 * is known before anybody sees the message, so that what is written of it is written at once. */
struct first {
    struct store_read read;
    struct user *user;
    struct stanza *message;
    struct receipt *receipt;
    enum deliver how;
    struct jid to;
    char text[];
};

static void note_end(struct user *user, const struct store_read *read)
{
    user->offline_known = true;
    user->offline_count = (uint32_t)read->total;
    if (read->count && read->entries[read->count - 1].id > user->last_log_id)
        user->last_log_id = read->entries[read->count - 1].id;
}

static void go_on(const struct first *first, enum err err)
{
    struct user *user = first->user;
    struct arena *arena = &user->actor.shard->arena;
    struct delivery delivery = { .stanza = stanza_copy_arena(first->message, arena),
                                 .to = jid_copy(&first->to, arena),
                                 .how = first->how };
    if (err != OK)
        refuse(user, delivery.stanza);
    else if (!user->actor.exists)
        route_error(user->actor.shard, delivery.stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        message_to_user(user, &delivery);
}

static void end_known(struct store_read *read)
{
    struct first *first = CONTAINER_OF(read, struct first, read);
    struct user *user = first->user;
    struct shard *shard = user->actor.shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    user->appends_pending--;
    if (read->err == OK && user->actor.exists)
        note_end(user, read);
    struct receipt *before = receipt_enter(shard, first->receipt);
    go_on(first, read->err);
    receipt_leave(shard, before);
    receipt_release(shard, first->receipt);
    store_read_fini(read);
    actor_unblock(&user->actor);
    shard_leave(shard);
    free(first->message);
    free(first);
}

bool offline_looks_first(struct user *user, const struct delivery *delivery)
{
    const struct jid *to = &delivery->to;
    if (user->offline_known || user->anonymous || !is_worth_keeping(delivery->stanza))
        return false;
    struct first *first = xcalloc(1, sizeof *first + to->full.len);
    first->user = user;
    first->message = stanza_copy(delivery->stanza);
    first->receipt = receipt_hold(user->actor.shard);
    first->how = delivery->how;
    first->to = *to;
    memcpy(first->text, to->full.p, to->full.len);
    first->to.full.p = first->text;
    first->read.done = end_known;
    user->appends_pending++; /* a client that catches up waits for this one too */
    actor_block(&user->actor);
    shard_commit_began(user->actor.shard); /* a stop waits for reads too */
    store_log_find(user->actor.shard->server->store, user->actor.shard->loop, owner_of(user), str_from(KIND),
                   &(struct store_log_query){ .peer = str_none, .limit = 1, .last = true, .count = true },
                   &first->read);
    return true;
}

/* It was accepted: the limit is for what is new. */
static void hand_over(struct user *user, const struct stanza *message)
{
    int64_t came_ms;
    handover_add(user, message, sm_stamped_at(message, user, &came_ms) ? came_ms : INT64_MAX);
}

void offline_store(struct user *user, const struct stanza *message)
{
    if (user->anonymous)
        route_error(user->actor.shard, message, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else if (is_worth_keeping(message))
        (user->again ? hand_over : append_message)(user, message);
}

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
                message->type != TYPE_ERROR && is_worth_keeping(message);
    /* while the first page is read nobody may know yet whether there is one: most often there is none. One
     * that is moved to the session comes without delay. */
    return kept && offline_is_coming(session) &&
           (user->catchup->last || (user->offline_known && user->offline_count) ||
            (session->sm && sm_is_stored(session->sm)));
}

/* ---- Catching up
 * -------------------------------------------------------------------------------------------------- */

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
    store_log_del(sm_store_batch(shard), owner_of(user), str_from(KIND), catchup->first, catchup->last);
    user->offline_known = false;
    user->offline_moved = catchup->last;
    timer_start(shard->loop, &catchup->timer, AGAIN_MS);
}

/* No more than a part of what may wait for the client: a queue that overflows would end the connection, at
 * each visit again. */
static size_t page_room(const struct catchup *catchup)
{
    return catchup->user->actor.shard->server->config->limits.output_bytes / 4;
}

static size_t page_count(const struct catchup *catchup)
{
    const struct store_read *read = &catchup->read;
    size_t room = page_room(catchup), count = 0;
    for (size_t bytes = 0; count < read->count; count++) {
        bytes += read->entries[count].value.len;
        if (count && bytes > room)
            break;
    }
    return count;
}

/* A message of a page: of the log, or one that the disk refused to take into it. */
struct piece {
    const struct store_entry *entry;
    struct handover_item *item;
    int64_t came_ms;
    bool handed_over;
};

/* What was handed over has an id of a later millisecond than that in which it came (offline_append), and then
 * it was there before what the log took. */
static bool comes_before(const struct piece *one, const struct piece *other)
{
    if (one->came_ms != other->came_ms)
        return one->came_ms < other->came_ms;
    return one->handed_over && !other->handed_over;
}

static void put_piece(struct piece *pieces, size_t count, struct piece piece)
{
    while (count && comes_before(&piece, &pieces[count - 1])) {
        pieces[count] = pieces[count - 1];
        count--;
    }
    pieces[count] = piece;
}

static size_t put_entries(struct piece *pieces, const struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_piece(pieces, i,
                  (struct piece){ .entry = &entries[i],
                                  .came_ms = entries[i].time_ms,
                                  .handed_over = entries[i].id / 1000 > (uint64_t)entries[i].time_ms });
    return count;
}

/* The first so many of these, but for those that came behind the end of a page that is not the last one. */
static size_t put_refused(struct piece *pieces, size_t count, const struct list *items, size_t fit, bool last)
{
    int64_t end_ms = last || !count ? INT64_MAX : pieces[count - 1].came_ms;
    const struct list *at = items->next;
    for (size_t i = 0; i < fit; i++, at = at->next) {
        struct handover_item *item = LIST_ITEM(at, struct handover_item, link);
        if (item->came_ms <= end_ms)
            put_piece(pieces, count++,
                      (struct piece){ .item = item, .came_ms = item->came_ms, .handed_over = true });
    }
    return count;
}

/* How many of these are as much as a page. */
static size_t refused_count(const struct catchup *catchup, const struct list *items, bool *ret_all)
{
    size_t room = page_room(catchup), count = 0;
    const struct list *at = items->next;
    for (size_t bytes = 0; at != items && count < PAGE; at = at->next, count++) {
        bytes += stanza_copy_size(LIST_ITEM(at, struct handover_item, link)->message);
        if (count && bytes > room)
            break;
    }
    *ret_all = at == items;
    return count;
}

/* Where more of these wait they go alone, since they are the older ones. */
static size_t put_together(const struct catchup *catchup, struct piece *pieces, size_t *entries)
{
    const struct store_read *read = &catchup->read;
    const struct list *items = handover_refused(catchup->user);
    bool all = true, last = *entries == read->count && read->count < PAGE;
    size_t fit = items ? refused_count(catchup, items, &all) : 0;
    if (!all)
        *entries = 0;
    size_t count = put_entries(pieces, read->entries, *entries);
    return fit ? put_refused(pieces, count, items, fit, last) : count;
}

static void send_piece(struct catchup *catchup, const struct piece *piece)
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
    size_t entries = page_count(catchup);
    struct piece *pieces = arena_alloc(&user->actor.shard->arena, PIECES_MAX * sizeof *pieces);
    size_t count = put_together(catchup, pieces, &entries);
    catchup->moves = sm && sm_is_stored(sm);
    if (entries) {
        catchup->first = of_log[0].id;
        catchup->last = of_log[entries - 1].id;
    }
    for (size_t i = 0; i < count; i++)
        send_piece(catchup, &pieces[i]);
    if (!entries)
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
    struct store_log_query query = { .after_id = catchup->last, .peer = str_none, .limit = PAGE };
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
    store_log_find(user->actor.shard->server->store, user->actor.shard->loop, owner_of(user), str_from(KIND),
                   &query, &catchup->read);
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
    store_log_del(batch, owner_of(user), str_from(KIND), catchup->first, catchup->last);
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
