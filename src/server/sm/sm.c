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
 * by their digest and skipped: their receipts are under way, or, after a restart, they had been handled
 * before it. By their digest and not by their number alone, since there are clients that send them again in
 * another order (aioxmpp turns them round), and from then on count them in that one. The digest is made of
 * what a client does not change meanwhile: it may add a stamp to the payload. So numbers count in *turns*:
 * each resumption for which something is known begins a new one at the `h` that it tells, and a number that
 * was noted in an earlier turn says only that this stanza is known, not that all before it are.
 *
 * What the client's archive has of them after a restart: sm_archive.c. What is sent to the client: sm_out.c.
 * In the store: sm_store.c, and from there: sm_restore.c. The end of a session: sm_end.c. */
#include "server/sm/sm_impl.h"

#include "base/map.h"
#include "base/planted.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

enum { LATE_MS = 500, COUNT_EVERY = 64, KNOWN_MAX = 1000 };

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
    free(sm);
}

static void item_drop(struct sm_item *item)
{
    list_remove(&item->link);
    if (item->done)
        free(item); /* else when it is */
}

void sm_items_fini(struct sm *sm)
{
    while (!list_empty(&sm->received))
        item_drop(LIST_ITEM(sm->received.next, struct sm_item, link));
    while (!list_empty(&sm->known))
        item_drop(LIST_ITEM(sm->known.next, struct sm_item, link));
    sm_archive_fini(sm);
    sm->unsafe = &sm->received;
}

/* The store counts them. */
static void forget_items(struct sm *sm, uint64_t to)
{
    while (sm->received.next != sm->unsafe) {
        struct sm_item *item = LIST_ITEM(sm->received.next, struct sm_item, link);
        if (item->number > to)
            return;
        sm_archive_counted(sm, item);
        item_drop(item);
    }
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
        sm_store_firm(sm, sm->turn, sm->safe);
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

static void prepare_resumption(struct sm *sm);

/* Something was handled, or became firm. A session without a link is prepared for its resumption. */
static void settle(struct sm *sm)
{
    if (!sm->session)
        return;
    if (link_of(sm) && !sm->resuming)
        answer_if_due(sm);
    else if (sm->resuming && sm->firm == sm->in)
        prepare_resumption(sm);
    else if (sm->safe == sm->in)
        make_firm(sm);
}

void sm_firm(struct sm *sm, uint32_t turn, uint64_t to)
{
    if (turn == sm->turn) {
        sm->firm = to > sm->firm ? to : sm->firm;
        sm->counted = to;
        sm->counted_turn = turn;
        forget_items(sm, to);
    }
    settle(sm);
}

static void resume_now(struct sm *sm);

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

/* One more is safe. A row that says so of it alone is as good as the count, where it is the next. */
static void advance(struct sm *sm, const struct sm_item *item)
{
    bool counts = item->stored && !item->unarchived && item->row_turn == sm->turn &&
                  sm->counted_turn == sm->turn && sm->firm == item->number - 1;
    sm->safe = item->number;
    if (sm->owner && !counts)
        return;
    sm->firm = item->number;
    forget_items(sm, sm->firm);
}

static void collect(struct sm *sm)
{
    while (sm->unsafe != &sm->received) {
        const struct sm_item *item = LIST_ITEM(sm->unsafe, struct sm_item, link);
        if (!item->done)
            break;
        sm->unsafe = sm->unsafe->next;
        advance(sm, item);
    }
    if (sm->owner && sm->safe - sm->counted >= COUNT_EVERY && !sm->firming)
        sm_store_firm(sm, sm->turn, sm->safe);
    settle(sm);
}

static void item_done(struct receipt *receipt)
{
    struct sm_item *item = CONTAINER_OF(receipt, struct sm_item, receipt);
    struct sm *sm = item->sm;
    item->done = true;
    item->stored = receipt_is_stored(receipt);
    item->unarchived = receipt->unarchived;
    if (sm->session)
        collect(sm);
    else
        free(item);
    sm_unref(sm);
}

static void item_mark(const struct receipt *receipt, struct store_batch *batch)
{
    sm_store_mark(CONTAINER_OF(receipt, struct sm_item, receipt), batch);
}

static struct sm_item *item_new(struct sm *sm, uint64_t digest)
{
    struct sm_item *item = NEW(struct sm_item);
    item->sm = sm;
    item->digest = digest;
    item->row_turn = sm->turn;
    item->row_number = sm->in + 1;
    receipt_init(&item->receipt, sm->shard, item_done, sm->owner ? item_mark : NULL);
    sm_ref(sm);
    return item;
}

/* Of a stanza with an id the payload does not count: what is sent again may have got a stamp (XEP-0203). */
uint64_t sm_digest(const struct stanza *stanza)
{
    const uint64_t factor = 0x9e3779b97f4a7c15;
    uint64_t digest = hash_stable(stanza->id.len ? stanza->id : stanza_payload(stanza));
    digest = digest * factor + hash_stable(stanza->to.full);
    return digest * factor + stanza->kind * 64u + stanza->type;
}

static struct sm_item *take_known(struct sm *sm, uint64_t digest)
{
    list_each (at, &sm->known) {
        struct sm_item *item = LIST_ITEM(at, struct sm_item, link);
        if (item->digest != digest)
            continue;
        list_remove(at);
        return item;
    }
    return NULL;
}

/* It was handled before a crash, and is to be archived still: that is what its new receipt is for. */
static void archive_anew(struct sm *sm, struct sm_item *item)
{
    item->unarchived = item->done = false;
    receipt_init(&item->receipt, sm->shard, item_done, NULL);
    if (item->stored)
        receipt_stored(&item->receipt);
    sm_ref(sm);
}

enum sm_news sm_receive(struct sm *sm, const struct stanza *stanza, struct receipt **ret_receipt)
{
    uint64_t digest = sm_digest(stanza);
    struct sm_item *known = PLANTED(PLANTED_DOUBLE) ? NULL : take_known(sm, digest);
    struct sm_item *item = known ? known : item_new(sm, digest);
    bool unarchived = known && known->unarchived;
    item->number = ++sm->in;
    list_append(&sm->received, &item->link);
    if (sm->unsafe == &sm->received)
        sm->unsafe = &item->link;
    if (unarchived)
        archive_anew(sm, item);
    else if (!known)
        item->receipt.archived = sm_archive_take(sm, digest);
    if (known && !unarchived) {
        collect(sm);
        return SM_KNOWN;
    }
    *ret_receipt = &item->receipt;
    return known ? SM_UNARCHIVED : SM_NEW;
}

void sm_archived(struct sm *sm, struct receipt *receipt)
{
    const struct sm_item *item = CONTAINER_OF(receipt, struct sm_item, receipt);
    if (receipt->archived && receipt_is_stored(receipt))
        sm_store_mark(item, sm_store_batch(sm->shard));
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
    list_init(&sm->received);
    list_init(&sm->known);
    list_init(&sm->unnoted);
    sm->unsafe = &sm->received;
    sm_out_init(sm);
    session->sm = sm;
    return sm;
}

/* Sorted by what they are called, since the store sorts names as text. */
void sm_restore_item(struct sm *sm, uint32_t turn, uint64_t number, uint64_t digest, uint64_t archived)
{
    struct sm_item *item = NEW(struct sm_item);
    struct list *after = sm->known.prev;
    *item = (struct sm_item){
        .sm = sm, .digest = digest, .row_turn = turn, .row_number = number, .done = true, .stored = true
    };
    item->receipt.archived = archived;
    for (; after != &sm->known; after = after->prev) {
        const struct sm_item *before = LIST_ITEM(after, struct sm_item, link);
        if (before->row_turn < turn || (before->row_turn == turn && before->row_number < number))
            break;
    }
    list_append(after->next, &item->link);
}

/* Those that follow what is counted, in the turn in which it is, are counted too. */
void sm_restored(struct sm *sm, uint32_t turn, uint64_t in)
{
    sm->turn = sm->counted_turn = turn;
    sm->counted = in;
    list_each_safe (at, &sm->known) {
        struct sm_item *item = LIST_ITEM(at, struct sm_item, link);
        if (item->row_turn > sm->turn)
            sm->turn = item->row_turn; /* no name is given twice */
        if (item->row_turn != turn || item->row_number != in + 1 || item->unarchived)
            continue;
        in++;
        sm_archive_counted(sm, item);
        item_drop(item);
    }
    sm->in = sm->safe = sm->firm = in;
}

void sm_begin(struct session *session, unsigned resume_ms, const struct sm_limits *limits, struct buf *out)
{
    struct sm *sm = sm_new(session, resume_ms, limits);
    if (!resume_ms) {
        buf_lit(out, "<enabled xmlns='" NS_SM "'/>");
        return;
    }
    rand_token(sm->id, sizeof sm->id);
    sm->began_ms = loop_wall_ms(sm->shard->loop);
    sm->archived_from = append_id_from(sm->began_ms);
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
    sm->resuming = sm->turned = false;
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

/* What is not acknowledged comes again, in whatever order, and is counted in that one: from now on it is
 * known by its digest alone. A write of the count that is under way belongs to the old order: it takes rows
 * away that are needed. */
static void count_anew(struct sm *sm)
{
    list_each_safe (at, &sm->received) {
        struct sm_item *item = LIST_ITEM(at, struct sm_item, link);
        list_remove(at);
        list_append(&sm->known, at);
        if (sm->firming && item->stored)
            sm_store_mark(item, sm_store_batch(sm->shard));
    }
    if (sm->owner)
        sm_store_firm(sm, sm->turn + 1, sm->firm);
    sm->turned = true;
    sm->turn++;
    sm->in = sm->safe = sm->firm;
    sm->unsafe = &sm->received;
}

/* Of a client that never sends again what it is asked for. */
static void trim_known(struct sm *sm)
{
    size_t count = 0;
    list_each (at, &sm->known)
        count++;
    list_each_safe (at, &sm->known) {
        struct sm_item *item = LIST_ITEM(at, struct sm_item, link);
        if (count <= KNOWN_MAX)
            return;
        if (!item->done)
            continue;
        if (item->stored)
            sm_store_unmark(item, sm_store_batch(sm->shard));
        item_drop(item);
        count--;
    }
}

static bool must_count_anew(const struct sm *sm)
{
    return !sm->turned && (sm->firm < sm->in || !list_empty(&sm->known));
}

/* All that has come is firm: a crash must not find the old order when the client follows the new one. */
static void prepare_resumption(struct sm *sm)
{
    if (must_count_anew(sm))
        count_anew(sm);
    if (!sm->firming)
        loop_defer(sm->shard->loop,
                   &sm->resume_task); /* its client's stanzas are not for the event at hand */
}

/* What has come and is not firm the client sends again, and it is skipped. There are clients that don't send
 * again: so it is worth a short wait until there is nothing such. */
static void resume_now(struct sm *sm)
{
    struct link *link = sm->session->link;
    bool restored = sm->restored;
    char text[160];
    timer_stop(&sm->late);
    task_cancel(&sm->resume_task);
    if (must_count_anew(sm))
        count_anew(sm);
    trim_known(sm);
    sm->resuming = sm->turned = false;
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
    if (sm->firm == sm->in && list_empty(&sm->known)) {
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
