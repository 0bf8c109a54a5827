/* SPDX-License-Identifier: MIT */
/* Offline messages (XEP-0160): into the user's log, until a client has proved that it has them
 * (user_catchup.c).
 *
 * Ids only go up, so that a page which is deleted has nothing in it that came meanwhile. */
#include "server/user/user_offline.h"

#include "base/log.h"
#include "server/receipt.h"
#include "server/user/user_handover.h"
#include "xmpp/ns.h"

#include <stdlib.h>

#define NS_CHAT_STATES "http://jabber.org/protocol/chatstates"

enum { STANZA_MAX = 1 << 22 };

struct append {
    struct append_waiter waiter;
    struct user *user;
    struct stanza *message;
};

str offline_owner(const struct user *user)
{
    return str_of(user->actor.bare, user->actor.bare_len);
}

bool offline_is_worth_keeping(const struct stanza *message)
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

uint64_t offline_append(struct user *user, const struct stanza *message, int64_t came_ms,
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
    uint64_t serial = appends_add(shard, offline_owner(user), STR(OFFLINE_KIND),
                                  &(struct store_entry){ .id = id,
                                                         .time_ms = came_ms < id_ms ? came_ms : id_ms,
                                                         .peer = jid_bare(&message->from),
                                                         .value = buf_str(&value) },
                                  waiter);
    receipt_mark(shard, appends_batch(shard));
    buf_fini(&value);
    return serial;
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
    struct shard *shard = user->actor.shard;
    if (user->offline_known || user->anonymous || !offline_is_worth_keeping(delivery->stanza))
        return false;
    struct first *first = xcalloc(1, sizeof *first + to->full.len);
    first->user = user;
    first->message = stanza_copy(delivery->stanza);
    first->receipt = receipt_hold(shard);
    first->how = delivery->how;
    first->to = *to;
    memcpy(first->text, to->full.p, to->full.len);
    first->to.full.p = first->text;
    first->read.done = end_known;
    user->appends_pending++; /* a client that catches up waits for this one too */
    actor_block(&user->actor);
    shard_commit_began(shard); /* a stop waits for reads too */
    store_log_find(shard->server->store, shard->loop, offline_owner(user), STR(OFFLINE_KIND),
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
    else if (offline_is_worth_keeping(message))
        (user->again ? hand_over : append_message)(user, message);
}
