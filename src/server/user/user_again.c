/* SPDX-License-Identifier: MIT */
/* Why not an error to the sender: he was told that the message is safe, and may be gone; and it is, in the
 * rows of the session that had it, which stay until the message is elsewhere (sm_end.c). So all that can go
 * wrong is time.
 *
 * A stop does not wait for them: the session's rows bring them back. */
#include "server/user/user_again.h"

#include "server/receipt.h"

#include <stdlib.h>

enum { AGAIN_MS = 1000, WAITING_MAX = 10000 };

struct again_later {
    struct list link; /* shard->_again */
    struct timer timer;
    struct shard *shard;
    struct stanza *message;
    struct receipt *receipt;
    size_t to_len;
    uint16_t local_len, domain_len;
    char to[];
};

static void again_free(struct again_later *later)
{
    list_remove(&later->link);
    timer_stop(&later->timer);
    receipt_release(later->shard, later->receipt);
    later->shard->again_count--;
    free(later->message);
    free(later);
}

static void fired(struct timer *timer)
{
    struct again_later *later = CONTAINER_OF(timer, struct again_later, timer);
    struct shard *shard = later->shard;
    struct jid to = { str_of(later->to, later->to_len), later->local_len, later->domain_len };
    if (shard->stopping)
        return;
    shard_enter(shard);
    struct receipt *before = receipt_enter(shard, later->receipt);
    struct stanza *message = stanza_copy_arena(later->message, &shard->arena);
    to = jid_copy(&to, &shard->arena);
    route_to(shard, message, &to, DELIVER_AGAIN);
    receipt_leave(shard, before);
    again_free(later);
    shard_leave(shard);
}

bool again_later(struct shard *shard, const struct stanza *message, const struct jid *to)
{
    if (shard->again_count >= WAITING_MAX)
        return false;
    struct again_later *later = xcalloc(1, sizeof *later + to->full.len);
    later->timer.fired = fired;
    later->shard = shard;
    later->message = stanza_copy(message);
    later->receipt = receipt_hold(shard);
    later->to_len = to->full.len;
    later->local_len = to->local_len;
    later->domain_len = to->domain_len;
    memcpy(later->to, to->full.p, to->full.len);
    list_append(&shard->_again, &later->link);
    shard->again_count++;
    timer_start(shard->loop, &later->timer, AGAIN_MS);
    return true;
}

void again_fini(struct shard *shard)
{
    while (!list_empty(&shard->_again))
        again_free(LIST_ITEM(shard->_again.next, struct again_later, link));
}
