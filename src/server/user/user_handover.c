/* SPDX-License-Identifier: MIT */
/* Why a line of its own: what sessions hand over keeps its order only if the disk takes the first before the
 * second. So one write is under way at a time, with all that has come by then. What a session hands over at
 * its end is in one batch: else a crash could leave the first of it in the log, and the session, which comes
 * back with the others, would be given that behind them. What the disk refuses stays at the head of the line
 * and is tried again in a while, with what has come behind it; a session that reads the log meanwhile is
 * given it from here, so a disk that is full delays no one who is there.
 *
 * Nobody is told: the senders were told that these are safe, and may be gone; and they are, in the rows of
 * the session that had them, which go in the batch that makes the message safe elsewhere. So a stop does not
 * wait for them either. */
#include "server/user/user_handover.h"

#include "server/ext.h"
#include "server/receipt.h"

#include <stdlib.h>

enum { AGAIN_MS = 1000, READING_MS = 100, WAITING_MAX = 10000 };

struct handover {
    struct user *user;
    struct list items; /* struct handover_item */
    size_t count;
    size_t writing; /* the first so many are on their way to the disk */
    uint64_t batch; /* the serial number of their batch (appends.h) */
    size_t refused; /* so many count as waiting (shard->again_count) */
    struct timer timer;
    struct append_waiter waiter;
};

static void remove_item(struct handover *handover, struct handover_item *item)
{
    struct shard *shard = handover->user->actor.shard;
    list_remove(&item->link);
    handover->count--;
    shard->again_count -= handover->refused > 0;
    handover->refused -= handover->refused > 0;
    receipt_release(shard, item->receipt);
    free(item->message);
    free(item);
}

static void end_if_empty(struct handover *handover)
{
    struct user *user = handover->user;
    if (handover->count || handover->writing)
        return;
    timer_stop(&handover->timer);
    user->handover = NULL;
    free(handover);
    actor_touch(&user->actor);
}

/* ---- Writing
 * -------------------------------------------------------------------------------------------------------- */

static void write_all(struct handover *handover);

static void wait_a_while(struct handover *handover)
{
    struct shard *shard = handover->user->actor.shard;
    shard->again_count += (unsigned)(handover->count - handover->refused);
    handover->refused = handover->count;
    timer_start(shard->loop, &handover->timer, AGAIN_MS);
}

static void take_over(struct handover *handover, size_t count)
{
    offline_took(handover->user, count);
    while (count--) {
        struct handover_item *item = LIST_ITEM(handover->items.next, struct handover_item, link);
        receipt_stored(item->receipt);
        remove_item(handover, item);
    }
}

static void written(struct shard *shard, struct append_waiter *waiter, enum err err)
{
    struct handover *handover = CONTAINER_OF(waiter, struct handover, waiter);
    size_t count = handover->writing;
    (void)shard;
    handover->writing = 0;
    handover->user->handed_over++;
    if (err == ERR_CANCELED) /* the server ends */
        return;
    if (err != OK)
        wait_a_while(handover);
    else
        take_over(handover, count);
    if (err == OK && handover->count)
        write_all(handover);
    end_if_empty(handover);
}

static void write_item(struct handover *handover, const struct handover_item *item)
{
    struct user *user = handover->user;
    struct shard *shard = user->actor.shard;
    struct receipt *before = receipt_enter(shard, item->receipt);
    handover->batch = offline_append(user, item->message, item->came_ms, NULL);
    handover->writing++;
    receipt_leave(shard, before);
}

/* One batch, since they are added in one event. */
static void write_all(struct handover *handover)
{
    list_each (at, &handover->items)
        write_item(handover, LIST_ITEM(at, const struct handover_item, link));
    appends_wait(handover->user->actor.shard, &handover->waiter);
    handover->user->handed_over++;
}

static void refuse_all(struct handover *handover)
{
    struct shard *shard = handover->user->actor.shard;
    while (handover->count) {
        struct handover_item *item = LIST_ITEM(handover->items.next, struct handover_item, link);
        struct receipt *before = receipt_enter(shard, item->receipt);
        route_error(shard, stanza_copy_arena(item->message, &shard->arena), STANZA_ERROR_SERVICE_UNAVAILABLE,
                    NULL);
        receipt_leave(shard, before);
        remove_item(handover, item);
    }
    end_if_empty(handover);
}

/* Not while the log is read: what is read then would not be in order. */
static void try_again(struct timer *timer)
{
    struct handover *handover = CONTAINER_OF(timer, struct handover, timer);
    struct user *user = handover->user;
    struct shard *shard = user->actor.shard;
    if (shard->stopping)
        return;
    shard_enter(shard);
    if (actor_is_missing(&user->actor))
        refuse_all(handover);
    else if (offline_is_read(user))
        timer_start(shard->loop, timer, READING_MS);
    else
        write_all(handover);
    shard_leave(shard);
}

/* ---- Coming and going
 * ------------------------------------------------------------------------------------------------ */

static struct handover *handover_of(struct user *user)
{
    if (user->handover)
        return user->handover;
    user->handover = NEW(struct handover);
    user->handover->user = user;
    user->handover->timer.fired = try_again;
    user->handover->waiter.done = written;
    list_init(&user->handover->items);
    return user->handover;
}

void handover_add(struct user *user, const struct stanza *message, int64_t came_ms)
{
    struct shard *shard = user->actor.shard;
    struct handover *handover = handover_of(user);
    bool waits = timer_running(&handover->timer);
    if (waits && shard->again_count >= WAITING_MAX) {
        route_error(shard, message, STANZA_ERROR_RESOURCE_CONSTRAINT, "the message could not be stored");
        return;
    }
    struct handover_item *item = NEW(struct handover_item);
    item->message = stanza_copy(message);
    item->receipt = receipt_hold(shard);
    item->came_ms = came_ms;
    list_append(&handover->items, &item->link);
    handover->count++;
    handover->refused += waits;
    shard->again_count += waits;
    if (handover->writing && appends_is_gathering(shard, handover->batch))
        write_item(handover, item);
    else if (!handover->writing && !waits)
        write_all(handover);
}

bool handover_is_writing(const struct user *user)
{
    return user->handover && user->handover->writing;
}

const struct list *handover_refused(const struct user *user)
{
    struct handover *handover = user->handover;
    return handover && handover->count && !handover->writing ? &handover->items : NULL;
}

void handover_given(struct user *user, struct handover_item *item)
{
    remove_item(user->handover, item);
    end_if_empty(user->handover);
}

void handover_drop(struct user *user)
{
    struct handover *handover = user->handover;
    if (!handover)
        return;
    while (handover->count)
        remove_item(handover, LIST_ITEM(handover->items.next, struct handover_item, link));
    timer_stop(&handover->timer);
    user->handover = NULL;
    free(handover);
}
