/* SPDX-License-Identifier: MIT */
/* Stream management, what the client is sent (XEP-0198 §4): kept until it is acknowledged.
 *
 * A stanza is written once into a body of bytes, and from there to the link, at once as a rule. What is
 * written and not acknowledged is limited to half of what the link's queue may hold: who reads slowly is not
 * cut off for it, the rest waits here. When more waits than the limits of the session allow, it ends, and
 * what it had goes elsewhere (sm_end.c).
 *
 * A message for a session that may be resumed is written to the store first (sm_store.c), and what comes
 * behind it waits for that: so a client never has a message of which a server that has crashed knows nothing.
 *
 * We ask for acknowledgement behind every few stanzas, and after a moment of quiet; so an idle session keeps
 * nothing. Who does not answer is not asked again before more is sent. */
#include "server/sm/sm_impl.h"

#include "base/log.h"
#include "server/session.h"
#include "xmpp/delay.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

/* From here on are the numbers of messages for a session that was restored and not resumed yet. */
#define UNCOUNTED ((uint64_t)1 << 40)

enum { ASK_EVERY = 16, ASK_QUIET_MS = 200, STANZA_MAX = 1 << 24 };

/* ---- Bodies
 * -------------------------------------------------------------------------------------------------------- */

void sm_body_unref(struct sm_body *body)
{
    if (body && !--body->refs)
        free(body);
}

struct sm_body *sm_body_new(str text, enum stanza_kind kind, int64_t time_ms)
{
    struct sm_body *body = xmalloc(sizeof *body + text.len);
    *body =
        (struct sm_body){ .refs = 1, .kind = (uint8_t)kind, .len = (uint32_t)text.len, .time_ms = time_ms };
    memcpy(body->text, text.p, text.len);
    return body;
}

static struct sm_body *body_new(const struct sm *sm, const struct stanza *stanza, const struct jid *to)
{
    struct buf text;
    buf_init(&text, STANZA_MAX);
    stanza_write(&text, stanza, to);
    struct sm_body *body = sm_body_new(buf_str(&text), stanza->kind, loop_wall_ms(sm->shard->loop));
    buf_fini(&text);
    return body;
}

/* Of a message that is handed out to several sessions, the body that the first one made. */
static struct sm_body *body_of(const struct sm *sm, const struct stanza *stanza, const struct jid *to)
{
    struct sm_copies *copies = &sm->session->user->copies;
    if (copies->of != stanza)
        return body_new(sm, stanza, to);
    if (!copies->body) {
        copies->body = body_new(sm, stanza, to);
        copies->body->safe = copies->safe;
    }
    copies->body->refs++;
    return copies->body;
}

void sm_copies_begin(struct sm_copies *copies, const struct stanza *message)
{
    *copies = (struct sm_copies){ .of = message };
}

void sm_copies_safe(struct sm_copies *copies)
{
    copies->safe = true;
    if (copies->body)
        copies->body->safe = true;
}

void sm_copies_end(struct sm_copies *copies)
{
    sm_body_unref(copies->body);
    *copies = (struct sm_copies){ 0 };
}

static bool find_stamp(const struct stanza *stanza, const struct user *user, struct xml_node *ret)
{
    struct arena *arena = &user->actor.shard->arena;
    str host = str_from(user->actor.host->name);
    for (bool more = xml_first(&stanza->node, ret); more; more = xml_next(ret))
        if (xml_is(ret, STR("delay"), STR(NS_DELAY)) && str_eq(xml_attr(ret, STR("from"), arena), host))
            return true;
    return false;
}

bool sm_stamped_at(const struct stanza *message, const struct user *user, int64_t *ret_ms)
{
    struct xml_node delay;
    return find_stamp(message, user, &delay) &&
           stamp_read(xml_attr(&delay, STR("stamp"), &user->actor.shard->arena), ret_ms);
}

void sm_stamp(struct stanza *message, int64_t time_ms, const struct user *user)
{
    struct arena *arena = &user->actor.shard->arena;
    str host = str_from(user->actor.host->name);
    struct xml_node delay;
    struct buf payload;
    if (find_stamp(message, user, &delay))
        return;
    buf_init(&payload, STANZA_MAX);
    buf_add(&payload, stanza_payload(message));
    delay_write(&payload, host, time_ms);
    message->node.content = arena_str(arena, buf_str(&payload));
    buf_fini(&payload);
}

bool sm_body_read(const struct sm_body *body, const struct user *user, struct stanza *ret)
{
    struct arena *arena = &user->actor.shard->arena;
    struct xml_node *node = ARENA_NEW(arena, struct xml_node);
    if (!xml_parse(arena_str(arena, str_of(body->text, body->len)), STR(NS_CLIENT), node) ||
        stanza_read(node, str_none, str_none, arena, ret) != STANZA_OK) {
        log_error(user, "a stanza that waited for %s can't be read", user->actor.bare);
        return false;
    }
    if (ret->kind == STANZA_MESSAGE)
        sm_stamp(ret, body->time_ms, user);
    return true;
}

/* ---- Asking
 * -------------------------------------------------------------------------------------------------------- */

static void ask(struct sm *sm)
{
    struct link *link = sm->session->link;
    sm->asked = sm->sent;
    timer_stop(&sm->timer);
    link->ops->write(link, STR("<r xmlns='" NS_SM "'/>"));
}

/* `full`: no more may be sent before an answer. */
static void ask_in_time(struct sm *sm, bool full)
{
    if (sm->sent == sm->asked)
        return;
    if (sm->sent - sm->asked >= ASK_EVERY || full)
        ask(sm);
    else if (!timer_running(&sm->timer))
        timer_start(sm->shard->loop, &sm->timer, ASK_QUIET_MS);
}

/* Also the end of a session without a link. */
static void timer_fired(struct timer *timer)
{
    struct sm *sm = CONTAINER_OF(timer, struct sm, timer);
    struct shard *shard = sm->shard;
    shard_enter(shard);
    if (!sm->session->link)
        session_close(sm->session);
    else if (sm->sent > sm->acked)
        ask(sm);
    shard_leave(shard);
}

/* ---- The queue
 * ------------------------------------------------------------------------------------------------------- */

static void end_now(struct task *task)
{
    struct sm *sm = CONTAINER_OF(task, struct sm, end_task);
    struct session *session = sm->session;
    struct shard *shard = sm->shard;
    shard_enter(shard);
    log_debug(user, "%s: too much waits for acknowledgement", session->full);
    if (session->link)
        session->link->ops->close(session->link, STREAM_ERROR_RESOURCE_CONSTRAINT,
                                  "too many stanzas are not acknowledged");
    else
        session_close(session);
    shard_leave(shard);
}

void sm_out_init(struct sm *sm)
{
    list_init(&sm->queue);
    list_init(&sm->again);
    sm->next = &sm->queue;
    sm->timer.fired = timer_fired;
    sm->end_task.run = end_now;
}

static size_t window(const struct sm *sm)
{
    return sm->shard->server->config->limits.output_bytes / 2;
}

/* `again`: it has waited for a resumption, or was written before; a message is stamped then. */
static void write_entry(struct sm *sm, const struct sm_body *body, bool again)
{
    struct link *link = sm->session->link;
    struct stanza stanza;
    if (again && body->kind == STANZA_MESSAGE && sm_body_read(body, sm->session->user, &stanza))
        link->ops->send(link, &stanza, NULL);
    else
        link->ops->write(link, str_of(body->text, body->len));
}

static bool may_be_sent(const struct sm *sm, const struct sm_entry *entry, bool *ret_full)
{
    if (entry->logged && entry->number > sm->durable)
        return false;
    *ret_full = sm->sent_bytes && sm->sent_bytes + entry->body->len > window(sm);
    return !*ret_full;
}

void sm_out_flush(struct sm *sm)
{
    bool full = false;
    if (!sm->session || !sm->session->link || sm->resuming)
        return;
    while (sm->next != &sm->queue) {
        const struct sm_entry *entry = LIST_ITEM(sm->next, struct sm_entry, link);
        if (!may_be_sent(sm, entry, &full))
            break;
        sm->next = sm->next->next;
        sm->sent++;
        sm->sent_bytes += entry->body->len;
        sm->shard->counters.stanzas_out++;
        write_entry(sm, entry->body, sm->sent <= sm->stamp_to);
    }
    ask_in_time(sm, full);
}

static struct sm_entry *append(struct sm *sm, struct sm_body *body, uint64_t number, bool logged)
{
    struct sm_entry *entry = xmalloc(sizeof *entry);
    *entry = (struct sm_entry){ .body = body, .number = number, .logged = logged };
    list_append(&sm->queue, &entry->link);
    if (sm->next == &sm->queue)
        sm->next = &entry->link;
    sm->queue_bytes += body->len;
    return entry;
}

static void entry_free(struct sm *sm, struct sm_entry *entry)
{
    sm->queue_bytes -= entry->body->len;
    sm_body_unref(entry->body);
    receipt_release(sm->shard, entry->receipt);
    free(entry);
}

void sm_send(struct sm *sm, const struct stanza *stanza, const struct jid *to)
{
    /* a room has many receivers: no single one of them stands for all */
    bool primary = sm->session->user->copies.of == stanza && stanza->type != TYPE_GROUPCHAT;
    bool logged = sm->owner && stanza->kind == STANZA_MESSAGE;
    struct sm_entry *entry = append(sm, body_of(sm, stanza, to), ++sm->out, logged);
    if (logged)
        sm_store_message(sm, entry->number, entry->body, primary);
    sm_out_flush(sm);
    if (sm->out - sm->acked > sm->limits->stanzas || sm->queue_bytes > sm->limits->bytes)
        sm_overflow(sm);
}

void sm_overflow(struct sm *sm)
{
    sm->over = true;
    loop_defer(sm->shard->loop, &sm->end_task);
}

size_t sm_weight(const struct sm *sm)
{
    return sm->over ? 0 : sm->queue_bytes;
}

const char *sm_name(const struct sm *sm)
{
    return sm->session->full;
}

/* ---- The store
 * ------------------------------------------------------------------------------------------------------- */

void sm_out_stored(struct sm *sm, uint64_t number)
{
    if (number > sm->durable)
        sm->durable = number;
    sm_out_flush(sm);
}

void sm_out_not_stored(struct sm *sm, uint64_t number, struct receipt *receipt)
{
    list_each (at, &sm->queue) {
        struct sm_entry *entry = LIST_ITEM(at, struct sm_entry, link);
        if (entry->number != number)
            continue;
        entry->logged = false;
        entry->receipt = receipt;
        sm_out_flush(sm);
        return;
    }
    if (!sm_again_waits(sm, number, receipt))
        receipt_release(sm->shard, receipt);
}

/* Until somebody resumes, `acked` says no more than how many there are. */
void sm_out_restore(struct sm *sm, uint64_t number, str text, int64_t time_ms)
{
    uint64_t count = sm->out - sm->acked + 1;
    append(sm, sm_body_new(text, STANZA_MESSAGE, time_ms), number, true);
    sm->out = sm->before = sm->durable = number;
    sm->acked = sm->sent = number - count;
}

/* What comes now is not counted by the client before it resumes, and another restart must not take it for
 * something that is. */
void sm_out_restored(struct sm *sm)
{
    uint64_t count = sm->out - sm->acked;
    if (sm->out < UNCOUNTED)
        sm->out = UNCOUNTED;
    sm->acked = sm->sent = sm->out - count;
}

static bool was_got(const struct sm *sm, const struct sm_entry *entry, uint32_t h)
{
    return entry->number <= sm->before && entry->number < UNCOUNTED &&
           (int32_t)(h - (uint32_t)entry->number) >= 0;
}

/* On disk the messages get their new numbers in one batch, and are sent when it is there: a second crash must
 * not find numbers that the client never counted. */
void sm_out_renumber(struct sm *sm, uint32_t h)
{
    sm_store_forget(sm, INT64_MAX);
    sm->epoch++;
    sm->restored = false;
    sm->acked = sm->durable = sm->out = h;
    list_each_safe (at, &sm->queue) {
        struct sm_entry *entry = LIST_ITEM(at, struct sm_entry, link);
        if (was_got(sm, entry, h)) {
            list_remove(&entry->link);
            entry_free(sm, entry);
            continue;
        }
        entry->number = ++sm->out;
        if (entry->logged)
            sm_store_message(sm, entry->number, entry->body, false);
    }
    sm->before = 0;
}

/* ---- Acknowledgements
 * ------------------------------------------------------------------------------------------------ */

uint64_t sm_out_number(const struct sm *sm, uint32_t h)
{
    return sm->acked + (uint32_t)(h - (uint32_t)sm->acked);
}

/* Who resumes may have got what was written to a link that was dead already; but not what was never written.
 */
bool sm_may_have_got(const struct sm *sm, uint32_t h)
{
    return sm->restored || sm_out_number(sm, h) <= sm->sent;
}

uint32_t sm_sent_count(const struct sm *sm)
{
    return (uint32_t)sm->sent;
}

void sm_out_acked(struct sm *sm, uint64_t to)
{
    bool logged = false;
    for (; sm->acked < to; sm->acked++) {
        struct sm_entry *entry = LIST_ITEM(list_shift(&sm->queue), struct sm_entry, link);
        logged |= entry->logged;
        sm->sent_bytes -= entry->body->len;
        entry->body->safe = true;
        entry_free(sm, entry);
    }
    if (logged)
        sm_store_forget(sm, to);
}

void sm_out_fini(struct sm *sm)
{
    struct list *link;
    while ((link = list_shift(&sm->queue)))
        entry_free(sm, LIST_ITEM(link, struct sm_entry, link));
}

void sm_out_rewind(struct sm *sm)
{
    sm->next = sm->queue.next;
    sm->sent = sm->asked = sm->acked;
    sm->stamp_to = sm->out;
    sm->sent_bytes = 0;
}

void sm_acked(struct sm *sm, uint32_t h)
{
    if (!sm_may_have_got(sm, h)) {
        sm_fail_count(sm->session->link, h, sm_sent_count(sm));
        return;
    }
    sm_out_acked(sm, sm_out_number(sm, h));
    sm_out_flush(sm);
}

void sm_fail_count(struct link *link, uint32_t h, uint32_t sent)
{
    char text[512];
    int length = snprintf(text, sizeof text,
                          "<stream:error><undefined-condition xmlns='" NS_STREAM_ERRORS "'/>"
                          "<text xmlns='" NS_STREAM_ERRORS "' xml:lang='en'>You acknowledged %u stanzas, but "
                          "only %u were sent.</text><handled-count-too-high xmlns='" NS_SM
                          "' h='%u' send-count='%u'/></stream:error>",
                          h, sent, h, sent);
    link->ops->write(link, str_of(text, (size_t)length));
    link->shard->counters.stream_errors++;
    link->ops->close(link, STREAM_ERROR_NONE, NULL);
}
