/* SPDX-License-Identifier: MIT */
/* Stream management, what the client sends (XEP-0198 §4, §5).
 *
 * Each stanza gets a number and a receipt (receipt.h). `h`, which we acknowledge, is the highest number up to
 * which all receipts are complete: so an acknowledged stanza has been answered, delivered to a device, or is
 * on disk; not merely read. Of a session that may be resumed the number must be on disk too before we say it:
 * after a crash the client sends what comes behind the last `h` that it has heard, and nothing else can tell
 * us what that is. Most stanzas bring their number to the disk with their effect (receipt_mark()); for the
 * others it is written when the client asks.
 *
 * A request for acknowledgement waits for all that, but not for long (§4: it may be withheld for a timeout
 * alone): then it is told what is safe by then, and the rest when it is so.
 *
 * After a resumption the client sends again what was not acknowledged. Those that had come already are known
 * by their number and skipped: their receipts are under way, or, after a restart, they had been handled
 * before it.
 *
 * What is sent to the client: sm_out.c. In the store: sm_store.c, and from there: sm_restore.c. The end of a
 * session: sm_end.c. */
#include "server/sm/sm_impl.h"

#include "base/planted.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

enum { LATE_MS = 500, NONZA_MAX = 4096 };

struct item {
    struct receipt receipt;
    struct list link;
    struct sm *sm;
    uint64_t number;
    bool done;
};

void sm_add_number(struct sm_numbers *numbers, uint64_t number)
{
    if ((numbers->count & (numbers->count - 1)) == 0) {
        unsigned room = numbers->count ? numbers->count * 2 : 1;
        numbers->items = xrealloc(numbers->items, room * sizeof *numbers->items);
    }
    numbers->items[numbers->count++] = number;
}

static bool take_number(struct sm_numbers *numbers, uint64_t number)
{
    for (unsigned i = 0; i < numbers->count; i++) {
        if (numbers->items[i] != number)
            continue;
        numbers->items[i] = numbers->items[--numbers->count];
        return true;
    }
    return false;
}

void sm_ref(struct sm *sm)
{
    sm->refs++;
}

/* What is stored of a session goes only when nobody can note anything for it any more. */
void sm_unref(struct sm *sm)
{
    if (sm->refs == 1 && sm->ended) {
        sm->ended = false;
        sm_store_gone(sm);
    }
    if (--sm->refs)
        return;
    free(sm->owner);
    free(sm->marks.items);
    free(sm->known.items);
    free(sm);
}

/* ---- Acknowledging
 * -------------------------------------------------------------------------------------------------- */

static struct link *link_of(const struct sm *sm)
{
    return sm->session ? sm->session->link : NULL;
}

static void write_ack(struct sm *sm)
{
    char text[64];
    uint64_t h = PLANTED(PLANTED_EARLY_ACK) ? sm->in : sm->firm;
    int length = snprintf(text, sizeof text, "<a xmlns='" NS_SM "' h='%u'/>", (uint32_t)h);
    link_of(sm)->ops->write(link_of(sm), str_of(text, (size_t)length));
}

/* Has the number of safe stanzas written, unless that is under way: sm_firm() follows. */
static void make_firm(struct sm *sm)
{
    if (!sm->firming && sm->firm < sm->safe)
        sm_store_firm(sm, sm->safe);
}

static void answer_if_due(struct sm *sm)
{
    if (!sm->owed || sm->safe < sm->owed)
        return;
    if (sm->firm < sm->owed) {
        make_firm(sm);
        return;
    }
    sm->owed = 0;
    timer_stop(&sm->late);
    write_ack(sm);
}

static void resume_now(struct sm *sm);

/* Something was handled, or became firm. A session without a link is prepared for its resumption. */
static void settle(struct sm *sm)
{
    if (!sm->session)
        return;
    if (link_of(sm) && !sm->resuming)
        answer_if_due(sm);
    else if (sm->resuming && sm->firm == sm->in)
        loop_defer(sm->shard->loop,
                   &sm->resume_task); /* its client's stanzas are not for the event at hand */
    else if (sm->safe == sm->in)
        make_firm(sm);
}

void sm_firm(struct sm *sm, uint64_t to)
{
    if (to > sm->firm)
        sm->firm = to;
    settle(sm);
}

static void late(struct timer *timer)
{
    struct sm *sm = CONTAINER_OF(timer, struct sm, late);
    struct shard *shard = sm->shard;
    shard_enter(shard);
    if (sm->resuming)
        resume_now(sm);
    else if (link_of(sm) && sm->owed)
        write_ack(sm);
    shard_leave(shard);
}

void sm_asked(struct sm *sm)
{
    sm->owed = sm->in;
    if (sm->firm == sm->in || PLANTED(PLANTED_EARLY_ACK)) {
        sm->owed = 0;
        write_ack(sm);
        return;
    }
    if (!timer_running(&sm->late))
        timer_start(sm->shard->loop, &sm->late, LATE_MS);
    answer_if_due(sm);
}

/* ---- Receiving
 * ------------------------------------------------------------------------------------------------------ */

/* One more is safe. `stored`: a row says so of it alone. */
static void advance(struct sm *sm, uint64_t number, bool stored)
{
    if (!sm->owner || (stored && sm->firm == number - 1))
        sm->firm = number;
    if (sm->owner && stored)
        sm_add_number(&sm->marks, number);
    sm->safe = number;
}

static void collect(struct sm *sm)
{
    sm_ref(sm); /* it stays until we are through */
    while (!list_empty(&sm->receipts)) {
        struct item *first = LIST_ITEM(sm->receipts.next, struct item, link);
        if (!first->done)
            break;
        advance(sm, first->number, receipt_is_stored(&first->receipt));
        list_remove(&first->link);
        free(first);
        sm_unref(sm);
    }
    if (sm->session && sm->owner && sm->marks.count >= SM_MARKS_MAX && !sm->firming)
        sm_store_firm(sm, sm->safe);
    settle(sm);
    sm_unref(sm);
}

static void item_done(struct receipt *receipt)
{
    struct item *item = CONTAINER_OF(receipt, struct item, receipt);
    item->done = true;
    collect(item->sm);
}

static void item_mark(const struct receipt *receipt, struct store_batch *batch)
{
    const struct item *item = CONTAINER_OF(receipt, struct item, receipt);
    sm_store_mark(item->sm, item->number, batch);
}

bool sm_receive(struct sm *sm, struct receipt **ret_receipt)
{
    if (++sm->seen <= sm->in && !PLANTED(PLANTED_DOUBLE))
        return false;
    struct item *item = xmalloc(sizeof *item);
    *item = (struct item){ .sm = sm, .number = ++sm->in };
    receipt_init(&item->receipt, sm->shard, item_done, sm->owner ? item_mark : NULL);
    list_append(&sm->receipts, &item->link);
    sm_ref(sm);
    if (sm->known.count && take_number(&sm->known, item->number)) {
        receipt_stored(&item->receipt);
        item->done = true;
        collect(sm);
        return false;
    }
    *ret_receipt = &item->receipt;
    return true;
}

/* ---- Beginning, leaving and coming back
 * ------------------------------------------------------------------------------- */

static void resume_task(struct task *task);

struct sm *sm_new(struct session *session, unsigned resume_ms, const struct sm_limits *limits)
{
    struct user *user = session->user;
    struct sm *sm = NEW(struct sm);
    sm->session = session;
    sm->shard = user->actor.shard;
    sm->limits = limits;
    sm->refs = 1;
    sm->resume_ms = resume_ms;
    sm->late.fired = late;
    sm->resume_task.run = resume_task;
    if (resume_ms && !user->anonymous)
        sm->owner = str_dup(user_bare(user));
    list_init(&sm->receipts);
    sm_out_init(sm);
    session->sm = sm;
    return sm;
}

void sm_begin(struct session *session, unsigned resume_ms, const struct sm_limits *limits, struct buf *out)
{
    struct sm *sm = sm_new(session, resume_ms, limits);
    if (!resume_ms) {
        buf_lit(out, "<enabled xmlns='" NS_SM "'/>");
        return;
    }
    rand_token(sm->id, sizeof sm->id);
    buf_addf(out, "<enabled xmlns='" NS_SM "' id='%s' resume='true' max='%u'/>", sm->id,
             (resume_ms + 999) / 1000);
    sm_store_row(sm);
}

void sm_write_failed(struct buf *out, enum stanza_error error)
{
    buf_addf(out, "<failed xmlns='" NS_SM "'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
             stanza_error_name(error));
}

bool sm_is_resumable(const struct sm *sm)
{
    return sm->resume_ms && !sm->over;
}

bool sm_is_stored(const struct sm *sm)
{
    return sm->owner && !sm->over;
}

bool sm_is_behind(const struct sm *sm)
{
    return sm->queue_bytes > sm->limits->bytes / 2;
}

bool sm_has_room(const struct sm *sm)
{
    return sm->out - sm->acked <= sm->limits->stanzas / 2 && sm->queue_bytes <= sm->limits->bytes / 2;
}

void sm_changed(struct sm *sm)
{
    sm_store_row(sm);
}

void sm_wait(struct sm *sm, uint64_t ms)
{
    sm->owed = 0;
    sm->resuming = false;
    task_cancel(&sm->resume_task);
    timer_stop(&sm->late);
    timer_start(sm->shard->loop, &sm->timer, ms ? ms : 1);
}

void sm_detach(struct sm *sm)
{
    sm_wait(sm, sm->resume_ms);
    sm_store_row(sm);
    settle(sm);
}

struct session *sm_find(const struct user *user, str id)
{
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (session->sm && sm_is_resumable(session->sm) && str_eq(str_from(session->sm->id), id))
            return session;
    }
    return NULL;
}

/* What has come and is not firm the client sends again, and it is skipped. There are clients that don't send
 * again, and would miss what they send instead: so it is worth a short wait until there is nothing such. */
static void resume_now(struct sm *sm)
{
    struct link *link = sm->session->link;
    bool restored = sm->restored;
    char text[160];
    timer_stop(&sm->late);
    task_cancel(&sm->resume_task);
    sm->resuming = false;
    sm->seen = sm->firm;
    int length = snprintf(text, sizeof text, "<resumed xmlns='" NS_SM "' previd='%s' h='%u'/>", sm->id,
                          (uint32_t)sm->firm);
    link->ops->resumed(link, str_of(text, (size_t)length));
    if (restored)
        sm_out_renumber(sm, sm->got);
    else
        sm_out_acked(sm, PLANTED(PLANTED_LOST_TAIL) ? sm->sent : sm_out_number(sm, sm->got));
    sm_out_rewind(sm);
    sm_out_flush(sm);
    sm_store_row(sm);
    session_resumed(sm->session, restored);
}

static void resume_task(struct task *task)
{
    struct sm *sm = CONTAINER_OF(task, struct sm, resume_task);
    struct shard *shard = sm->shard;
    shard_enter(shard);
    resume_now(sm);
    shard_leave(shard);
}

void sm_resume(struct sm *sm, uint32_t h)
{
    timer_stop(&sm->timer);
    sm->owed = 0;
    sm->resuming = true;
    sm->got = h;
    if (sm->firm == sm->in) {
        resume_now(sm);
        return;
    }
    timer_start(sm->shard->loop, &sm->late, LATE_MS);
    settle(sm);
}

bool sm_is_resuming(const struct sm *sm)
{
    return sm->resuming;
}
