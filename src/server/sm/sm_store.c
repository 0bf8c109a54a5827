/* SPDX-License-Identifier: MIT */
/* Stream management in the store: a session that may be resumed survives a crash of the server.
 *
 * What is kept, all with the user as owner; ID is the session's:
 *   map `sm`, key ID                resource, times, and the last presence that was broadcast
 *   map `sm-ID`, key `in`           so many stanzas of the client are handled: TURN.NUMBER (sm.c); behind a
 *                                   space, the least id of the others in the archive (sm_archive.c)
 *   map `sm-ID`, key TURN.NUMBER    this one too, with its digest: noted in the batch that makes its effect
 *                                   durable, often by another shard; behind a space, its id there
 *   log `sm-ID`, id a number        a message for the client, not acknowledged yet; on disk before it is sent
 *
 * So after a crash we know what the client has handed over, though it may not have heard that, and all that
 * it may not have got. Presence, requests and answers are not kept: they are of no use later.
 *
 * What one turn of a loop has to write is one batch, with the entries that messages have in archives
 * (appends.h). Deletions ride along. */
#include "server/ext.h"
#include "server/sm/sm_impl.h"

#include "xml/write.h"

#include <stdio.h>
#include <stdlib.h>

enum { KIND_SIZE = SM_ID_SIZE + 3, COUNT_SIZE = 64, ROW_MAX = 1 << 22, REMAINS_A_BATCH = 100 };

struct note {
    struct append_waiter waiter;
    void (*done)(struct note *note, bool ok);
    struct sm *sm;
    uint64_t number;
    struct receipt *receipt;
    unsigned epoch; /* of the number; or the turn in which it counts */
    bool primary;
};

static str kind_of(const struct sm *sm, char room[KIND_SIZE])
{
    snprintf(room, KIND_SIZE, "sm-%s", sm->id);
    return str_from(room);
}

static str count_text(uint32_t turn, uint64_t number, char room[COUNT_SIZE])
{
    snprintf(room, COUNT_SIZE, "%u.%llu", turn, (unsigned long long)number);
    return str_from(room);
}

/* ---- The batch of a turn of the loop
 * ---------------------------------------------------------------------------------------------- */

static void remove_remains(struct shard *shard);

struct store_batch *sm_store_batch(struct shard *shard)
{
    uint64_t serial = appends_hurry(shard);
    if (shard->_sm_serial != serial) {
        shard->_sm_serial = serial;
        remove_remains(shard);
    }
    return appends_batch(shard);
}

bool sm_store_drop(struct shard *shard)
{
    bool any = !list_empty(&shard->_sm_remains);
    struct list *link;
    while ((link = list_shift(&shard->_sm_remains)))
        sm_unref(LIST_ITEM(link, struct sm, link));
    return any;
}

/* Dropped: the server ends, and the next one finds what is there. */
static void written(struct shard *shard, struct append_waiter *waiter, enum err err)
{
    struct note *note = CONTAINER_OF(waiter, struct note, waiter);
    if (err == ERR_CANCELED)
        receipt_release(shard, note->receipt);
    else
        note->done(note, err == OK);
    sm_unref(note->sm);
    free(note);
}

static struct note *add_note(struct sm *sm, void (*done)(struct note *note, bool ok), uint64_t number)
{
    struct note *note = NEW(struct note);
    note->waiter.done = written;
    note->done = done;
    note->sm = sm;
    note->number = number;
    sm_ref(sm);
    sm_store_batch(sm->shard);
    appends_wait(sm->shard, &note->waiter);
    return note;
}

/* ---- The session
 * ------------------------------------------------------------------------------------------------------- */

static void write_row(struct buf *out, const struct sm *sm)
{
    struct session *session = sm->session;
    struct arena *arena = &sm->shard->arena;
    int64_t until_ms = loop_wall_ms(sm->shard->loop) + sm->resume_ms;
    buf_lit(out, "<session");
    xml_write_attr(out, "resource", session_resource(session));
    buf_addf(out, " resume-ms='%u' began='%lld'", sm->resume_ms, (long long)sm->began_ms);
    if (!session->link)
        buf_addf(out, " until='%lld'", (long long)until_ms);
    if (session->interested)
        buf_lit(out, " interested='1'");
    buf_lit(out, ">");
    if (session->available)
        stanza_write(out, session_presence(session, arena), NULL);
    fire_session_save(session->user->actor.host, &(struct session_state_event){ session, out, NULL });
    buf_lit(out, "</session>");
}

static void row_written(struct note *note, bool ok)
{
    note->sm->row_stored |= ok;
}

void sm_store_row(struct sm *sm)
{
    struct buf row;
    if (!sm->owner || !sm->session || sm->session->closing)
        return;
    buf_init(&row, ROW_MAX);
    write_row(&row, sm);
    store_put(sm_store_batch(sm->shard), str_from(sm->owner), STR("sm"), str_from(sm->id), buf_str(&row));
    buf_fini(&row);
    if (!sm->row_stored)
        add_note(sm, row_written, 0);
}

/* ---- The end of a session
 * ------------------------------------------------------------------------------------------------ */

static void gone(struct note *note, bool ok)
{
    struct sm *sm = note->sm;
    sm->leaving = false;
    if (!ok)
        return;
    list_remove(&sm->link);
    sm_unref(sm);
}

static void remove_rows(struct sm *sm)
{
    char kind[KIND_SIZE];
    struct store_batch *batch = sm_store_batch(sm->shard);
    if (sm->leaving) /* this batch is new, and has begun with it */
        return;
    sm->leaving = true;
    store_del(batch, str_from(sm->owner), STR("sm"), str_from(sm->id));
    store_del_all(batch, str_from(sm->owner), kind_of(sm, kind));
    add_note(sm, gone, 0);
}

void sm_store_gone(struct sm *sm)
{
    if (!sm->owner)
        return;
    sm_ref(sm);
    list_remove(&sm->link);
    list_append(&sm->shard->_sm_remains, &sm->link);
    remove_rows(sm);
}

/* What the disk refused goes with the next batch. */
static void remove_remains(struct shard *shard)
{
    unsigned count = 0;
    list_each_safe (at, &shard->_sm_remains) {
        struct sm *sm = LIST_ITEM(at, struct sm, link);
        if (!sm->leaving && ++count <= REMAINS_A_BATCH)
            remove_rows(sm);
    }
}

static bool is_among(const struct list *sessions, str id)
{
    list_each (at, sessions)
        if (str_eq(str_from(LIST_ITEM(at, const struct sm, link)->id), id))
            return true;
    return false;
}

bool sm_store_is_gone(const struct shard *shard, str id)
{
    return is_among(&shard->_sm_ending, id) || is_among(&shard->_sm_remains, id);
}

/* ---- From the client
 * --------------------------------------------------------------------------------------------------- */

static void firmed(struct note *note, bool ok)
{
    note->sm->firming = false;
    if (ok)
        sm_firm(note->sm, note->epoch, note->number);
}

static void unmark(const struct sm *sm, uint32_t turn, uint64_t number, struct store_batch *batch)
{
    char kind[KIND_SIZE], text[COUNT_SIZE];
    store_del(batch, str_from(sm->owner), kind_of(sm, kind), count_text(turn, number, text));
}

void sm_store_unmark(const struct sm_item *item, struct store_batch *batch)
{
    unmark(item->sm, item->row_turn, item->row_number, batch);
}

void sm_store_firm(struct sm *sm, uint32_t turn, uint64_t to)
{
    char kind[KIND_SIZE], text[COUNT_SIZE];
    struct store_batch *batch = sm_store_batch(sm->shard);
    snprintf(text, sizeof text, "%u.%llu %llu", turn, (unsigned long long)to,
             (unsigned long long)sm_archive_from(sm, to));
    store_put(batch, str_from(sm->owner), kind_of(sm, kind), STR("in"), str_from(text));
    for (uint64_t number = sm->counted + 1; number <= sm->firm; number++)
        unmark(sm, sm->counted_turn, number, batch);
    list_each (at, &sm->received) {
        const struct sm_item *item = LIST_ITEM(at, struct sm_item, link);
        if (item->number > to)
            break;
        if (item->stored)
            sm_store_unmark(item, batch);
    }
    sm->firming = true;
    add_note(sm, firmed, to)->epoch = turn;
}

void sm_store_mark(const struct sm_item *item, struct store_batch *batch)
{
    char kind[KIND_SIZE], text[COUNT_SIZE], digest[48];
    int length = snprintf(digest, sizeof digest, "%llu", (unsigned long long)item->digest);
    if (item->receipt.archived)
        snprintf(digest + length, sizeof digest - (size_t)length, " %llu",
                 (unsigned long long)item->receipt.archived);
    store_put(batch, str_from(item->sm->owner), kind_of(item->sm, kind),
              count_text(item->row_turn, item->row_number, text), str_from(digest));
}

/* ---- To the client
 * ------------------------------------------------------------------------------------------------------ */

static void message_stored(struct note *note, bool ok)
{
    struct sm *sm = note->sm;
    bool same = note->epoch == sm->epoch;
    if (ok && note->primary)
        receipt_stored(note->receipt);
    if (ok && same)
        sm_out_stored(sm, note->number);
    if (!ok && same)
        sm_out_not_stored(sm, note->number, note->receipt);
    else
        receipt_release(sm->shard, note->receipt);
}

void sm_store_message(struct sm *sm, uint64_t number, const struct sm_body *body, bool primary)
{
    char kind[KIND_SIZE];
    if (!sm->row_stored) /* or nobody would look for it after a crash */
        sm_store_row(sm);
    struct note *note = add_note(sm, message_stored, number);
    struct store_batch *batch = sm_store_batch(sm->shard);
    store_append(batch, str_from(sm->owner), kind_of(sm, kind),
                 &(struct store_entry){ .id = number,
                                        .time_ms = body->time_ms,
                                        .peer = STR(""),
                                        .value = str_of(body->text, body->len) });
    note->primary = primary;
    note->epoch = sm->epoch;
    note->receipt = receipt_hold(sm->shard);
    if (primary)
        receipt_mark(sm->shard, batch);
}

void sm_store_forget(struct sm *sm, uint64_t to)
{
    char kind[KIND_SIZE];
    if (sm->owner)
        store_log_del(sm_store_batch(sm->shard), str_from(sm->owner), kind_of(sm, kind), 0, to);
}

void sm_store_forget_one(const struct sm *sm, uint64_t number, struct store_batch *batch)
{
    char kind[KIND_SIZE];
    if (sm->owner)
        store_log_del(batch, str_from(sm->owner), kind_of(sm, kind), number, number);
}
