/* SPDX-License-Identifier: MIT */
/* Sessions that come back from the store when their user wakes after a restart of the server (see
 * sm_store.c for what is there). They are in their user's list at once, with their presence, and wait for
 * their clients like any session that has lost its link: as long as they would have waited, counted from the
 * start of the server if it was not running, or crashed while they had a link.
 *
 * The user takes nothing before all of that is read. What can't be read belongs to the user like the roster:
 * without it there is no user for now, and who comes next makes the store look again. */
#include "server/sm/sm_impl.h"

#include "base/log.h"
#include "server/ext.h"
#include "xmpp/ns.h"

#include <stdlib.h>

struct sm_saved {
    struct sm_saved *next;
    const struct sm_limits *limits;
    char *id, *row;
};

struct restoring {
    struct store_read read;
    struct user *user;
    struct sm *sm;
    uint64_t wait_ms, in;
    uint64_t archive_first; /* of the entries that were read; 0: none was */
    unsigned archive_pages;
    uint32_t turn;
};

void sm_load_row(struct user *user, const struct store_row *row, const struct sm_limits *limits)
{
    if (sm_find(user, row->key) || sm_store_is_gone(user->actor.shard, row->key))
        return; /* the user is loaded again, and it has never gone; or it has ended */
    struct sm_saved *saved = NEW(struct sm_saved);
    saved->limits = limits;
    saved->id = str_dup(row->key);
    saved->row = str_dup(row->value);
    saved->next = user->saved;
    user->saved = saved;
}

static void saved_free(struct sm_saved *saved)
{
    free(saved->id);
    free(saved->row);
    free(saved);
}

void sm_forget_rows(struct user *user)
{
    while (user->saved) {
        struct sm_saved *saved = user->saved;
        user->saved = saved->next;
        saved_free(saved);
    }
}

/* ---- Numbers and messages
 * -------------------------------------------------------------------------------------------- */

/* Another of the same resource has begun since. */
static bool is_past(const struct session *session)
{
    list_each (at, &session->user->sessions) {
        const struct session *other = SESSION_OF(at);
        if (other == session || !str_eq(session_resource(other), session_resource(session)))
            continue;
        if (!other->sm || other->sm->began_ms > session->sm->began_ms ||
            (other->sm->began_ms == session->sm->began_ms && strcmp(other->sm->id, session->sm->id) > 0))
            return true;
    }
    return false;
}

/* Those had ended, and the disk refused to forget them (sm_store_gone): they end again, with what they still
 * have. Nobody is told: who sees the resource sees the newer one. */
static void end_past(struct user *user)
{
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (!session->sm || !session->sm->restoring || !is_past(session))
            continue;
        session->available = false;
        session_close(session);
    }
}

/* All were read, or tried. */
static void finish_all(struct user *user)
{
    bool failed = user->restore_failed;
    user->restore_failed = false;
    if (!failed)
        end_past(user);
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (!session->sm || !session->sm->restoring)
            continue;
        session->sm->restoring = false;
        if (failed)
            session_drop(session); /* all of it is in the store */
        else if (session->available && session->priority >= 0)
            offline_catch_up(user, session); /* the restart may have come in the middle of it */
    }
    if (failed)
        user_unreadable(user);
    actor_unblock(&user->actor);
}

static void finish(struct restoring *restoring)
{
    struct user *user = restoring->user;
    sm_wait(restoring->sm, restoring->wait_ms);
    shard_commit_ended(user->actor.shard);
    free(restoring);
    if (!--user->restoring)
        finish_all(user);
}

static void give_up(struct restoring *restoring)
{
    log_error(user, "a session of %s can't be read", restoring->user->actor.bare);
    restoring->user->restore_failed = true;
}

static void log_read(struct store_read *read)
{
    struct restoring *restoring = CONTAINER_OF(read, struct restoring, read);
    struct shard *shard = restoring->user->actor.shard;
    shard_enter(shard);
    if (read->err != OK)
        give_up(restoring);
    for (size_t i = 0; i < read->count; i++)
        sm_out_restore(restoring->sm, read->entries[i].id, read->entries[i].value, read->entries[i].time_ms);
    sm_out_restored(restoring->sm);
    store_read_fini(read);
    finish(restoring);
    shard_leave(shard);
}

static str kind_of(const struct sm *sm, struct arena *arena)
{
    return arena_printf(arena, "sm-%s", sm->id);
}

static void read_log(struct restoring *restoring)
{
    struct user *user = restoring->user;
    struct sm *sm = restoring->sm;
    restoring->read.done = log_read;
    store_log_find(sm->shard->server->store, sm->shard->loop, user_bare(user), kind_of(sm, &sm->shard->arena),
                   &(struct store_log_query){ .peer = str_none, .limit = sm->limits->stanzas * 2u + 1000 },
                   &restoring->read);
}

/* "TURN.NUMBER" */
static bool read_count(str text, uint32_t *ret_turn, uint64_t *ret_number)
{
    size_t dot = str_find(text, '.');
    uint64_t turn, number;
    if (dot >= text.len || !str_to_u64(str_sub(text, 0, dot), UINT32_MAX, &turn) ||
        !str_to_u64(str_sub(text, dot + 1, text.len), INT64_MAX, &number))
        return false;
    *ret_turn = (uint32_t)turn;
    *ret_number = number;
    return true;
}

/* What stands before the first space of a value; and behind it, into *ret_second, unless there is none. */
static str first_of(str value, uint64_t *ret_second)
{
    size_t space = str_find(value, ' ');
    if (space >= value.len)
        return value;
    str_to_u64(str_sub(value, space + 1, value.len), INT64_MAX, ret_second);
    return str_sub(value, 0, space);
}

static void take_marks(struct restoring *restoring)
{
    struct sm *sm = restoring->sm;
    const struct store_read *read = &restoring->read;
    sm->archived_from = append_id_from(sm->began_ms);
    for (size_t i = 0; i < read->count; i++) {
        const struct store_row *row = &read->rows[i];
        uint32_t turn;
        uint64_t number, digest, archived = 0;
        if (str_is(row->key, "in")) {
            sm->archived_from =
                append_id_from(loop_wall_ms(sm->shard->loop)); /* of a build that did not note it */
            read_count(first_of(row->value, &sm->archived_from), &restoring->turn, &restoring->in);
        } else if (read_count(row->key, &turn, &number) &&
                   str_to_u64(first_of(row->value, &archived), UINT64_MAX, &digest)) {
            sm_restore_item(sm, turn, number, digest, archived);
        }
    }
}

static void read_archive(struct restoring *restoring);

/* Whether there may be more. */
static bool take_page(struct restoring *restoring)
{
    const struct store_read *page = &restoring->read;
    bool full = page->count == SM_ARCHIVE_PAGE;
    sm_archive_page(restoring->sm, page);
    if (page->count)
        restoring->archive_first = page->entries[0].id;
    if (full && ++restoring->archive_pages < SM_ARCHIVE_PAGES)
        return true;
    sm_archive_restored(restoring->sm, full ? restoring->archive_first : 0);
    sm_restored(restoring->sm, restoring->turn, restoring->in);
    return false;
}

static void archive_read(struct store_read *read)
{
    struct restoring *restoring = CONTAINER_OF(read, struct restoring, read);
    struct shard *shard = restoring->sm->shard;
    bool ok = read->err == OK;
    shard_enter(shard);
    bool more = ok && take_page(restoring);
    store_read_fini(read);
    if (more) {
        read_archive(restoring);
    } else if (ok) {
        read_log(restoring);
    } else {
        sm_restored(restoring->sm, restoring->turn, restoring->in);
        give_up(restoring);
        finish(restoring);
    }
    shard_leave(shard);
}

/* A page at a time, the last one first. */
static void read_archive(struct restoring *restoring)
{
    struct sm *sm = restoring->sm;
    uint64_t from = sm->archived_from;
    restoring->read.done = archive_read;
    store_log_find(sm->shard->server->store, sm->shard->loop, user_bare(restoring->user),
                   STR(APPENDS_ARCHIVE),
                   &(struct store_log_query){ .after_id = from ? from - 1 : 0,
                                              .before_id = restoring->archive_first,
                                              .peer = str_none,
                                              .limit = SM_ARCHIVE_PAGE,
                                              .last = true },
                   &restoring->read);
}

static void marks_read(struct store_read *read)
{
    struct restoring *restoring = CONTAINER_OF(read, struct restoring, read);
    struct shard *shard = restoring->sm->shard;
    bool ok = read->err == OK;
    shard_enter(shard);
    take_marks(restoring);
    store_read_fini(read);
    if (ok) {
        read_archive(restoring);
    } else {
        give_up(restoring);
        finish(restoring);
    }
    shard_leave(shard);
}

/* ---- The session
 * ------------------------------------------------------------------------------------------------------- */

static void restore_presence(struct session *session, const struct xml_node *row)
{
    struct arena *arena = &session->user->actor.shard->arena;
    struct xml_node node;
    struct stanza presence;
    int priority;
    if (!xml_child(row, STR("presence"), STR(NS_CLIENT), &node) ||
        stanza_read(&node, str_none, str_none, arena, &presence) != STANZA_OK ||
        !stanza_priority(&presence, arena, &priority))
        return;
    session->available = session->strayed = true;
    session->priority = (int8_t)priority;
    session_keep_presence(session, &presence);
}

static uint64_t time_left(struct shard *shard, const struct xml_node *row, uint64_t resume_ms)
{
    uint64_t run_ms = (loop_now_us(shard->loop) - shard->server->started_us) / 1000;
    uint64_t of_run_ms = run_ms < resume_ms ? resume_ms - run_ms : 0, until_ms;
    uint64_t now_ms = (uint64_t)loop_wall_ms(shard->loop);
    str until = xml_attr(row, STR("until"), &shard->arena);
    if (str_to_u64(until, INT64_MAX, &until_ms) && until_ms > now_ms + of_run_ms)
        return until_ms - now_ms;
    return of_run_ms;
}

/* NULL: it can't be read. */
static struct sm *make_session(struct user *user, const struct sm_saved *saved, const struct xml_node *row)
{
    struct arena *arena = &user->actor.shard->arena;
    uint64_t resume_ms, began_ms = 0;
    str resource = xml_attr(row, STR("resource"), arena);
    if (!resource.len || strlen(saved->id) >= SM_ID_SIZE ||
        !str_to_u64(xml_attr(row, STR("resume-ms"), arena), UINT32_MAX, &resume_ms))
        return NULL;
    struct session *session = session_open(user, resource, NULL);
    struct sm *sm = sm_new(session, (unsigned)resume_ms, saved->limits);
    str_to_u64(xml_attr(row, STR("began"), arena), INT64_MAX, &began_ms);
    sm->began_ms = (int64_t)began_ms;
    str_copy(str_from(saved->id), sm->id, sizeof sm->id);
    session->sm = NULL; /* what is set now is in the store already */
    session->interested = xml_attr(row, STR("interested"), arena).len > 0;
    restore_presence(session, row);
    fire_session_restore(user->actor.host, &(struct session_state_event){ session, NULL, row });
    session->sm = sm;
    sm->restored = sm->restoring = sm->row_stored = true;
    return sm;
}

static void restore(struct user *user, const struct sm_saved *saved)
{
    struct shard *shard = user->actor.shard;
    struct xml_node *row = ARENA_NEW(&shard->arena, struct xml_node);
    str text = arena_str(&shard->arena, str_from(saved->row));
    struct sm *sm = xml_parse(text, STR(NS_CLIENT), row) ? make_session(user, saved, row) : NULL;
    if (!sm) {
        log_error(user, "a session of %s can't be restored", user->actor.bare);
        return;
    }
    struct restoring *restoring = NEW(struct restoring);
    restoring->user = user;
    restoring->sm = sm;
    restoring->wait_ms = time_left(shard, row, sm->resume_ms);
    restoring->read.done = marks_read;
    if (!user->restoring++)
        actor_block(&user->actor);
    shard_commit_began(shard); /* a stop waits for it */
    store_get_all(shard->server->store, shard->loop, user_bare(user), kind_of(sm, &shard->arena),
                  &restoring->read);
}

void sm_restore(struct user *user)
{
    while (user->saved) {
        struct sm_saved *saved = user->saved;
        user->saved = saved->next;
        if (user->actor.exists)
            restore(user, saved);
        saved_free(saved);
    }
}
