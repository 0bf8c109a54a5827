/* SPDX-License-Identifier: MIT */
/* What stanzas bring to the disk: entries of logs (archives, histories, what waits for a client), and the ids
 * of such entries.
 *
 * What a shard appends is gathered: the entries of a turn of the loop are one batch, and while a batch is on
 * its way to the disk the next one gathers, so the busier a shard is the less each entry costs. Batches go in
 * order. The receipt of the stanza at hand is held until its entry is on disk.
 *
 * All that a stanza adds in one event is in one batch: its entry in an archive, what keeps it for its
 * receiver, and the note that it was handled (receipt_mark()). So a crash leaves all of that or nothing.
 *
 * All that is on its way in the whole server is counted. Above the limit `store-queue` a client that says a
 * message is not read until half of it is on disk: who sends waits for the disk, not we for memory. */
#ifndef SERVER_APPENDS_H
#define SERVER_APPENDS_H

#include "base/list.h"
#include "loop/loop.h"
#include "store/store.h"

struct append_batch;
struct receipt;
struct shard;

/* The log of what a user sent and got, where an extension keeps one. */
#define APPENDS_ARCHIVE "archive"

enum { APPEND_RANDOM = 32 };

/* Of a shard. */
struct appends {
    struct append_batch *_gathering; /* or NULL */
    struct task _task;               /* sends it off */
    struct timer _timer;             /* looks whether clients may be read again */
    unsigned _under_way;             /* batches */
    uint64_t _serial, _done;         /* of the batch that gathers, and of the last that came back */
    int64_t _newest_ms;              /* of all ids so far */
    unsigned _random_left;           /* of the numbers below */
    uint32_t _random[APPEND_RANDOM];
};

/* Who wants to know how it went; the caller's memory until `done`, which runs in an event. */
struct append_waiter {
    struct list _link;
    struct receipt *_receipt;
    void (*done)(struct shard *shard, struct append_waiter *append, enum err err);
};

void appends_init(struct shard *shard);

/* No loop runs any more: forgets what was gathered (ERR_CANCELED); false if that was nothing. */
bool appends_drop(struct shard *shard);

/* Appends an entry; copies all it is given. `append` may be NULL. Returns the serial number of its batch. */
uint64_t appends_add(struct shard *shard, str owner, str kind, const struct store_entry *entry,
                     struct append_waiter *append);

/* The batch that gathers, for whatever else is to be written with it; and one more who waits for it, with no
 * receipt. */
struct store_batch *appends_batch(struct shard *shard);
void appends_wait(struct shard *shard, struct append_waiter *append);

/* It leaves when this turn ends, whatever is under way: a client waits for it. Returns its serial number. */
uint64_t appends_hurry(struct shard *shard);

/* Whether the batch of this number has come back (0 has). A read that must see what is not there yet: send
 * off what was gathered, commit an empty batch, which is done when all before it is, and read then. */
bool appends_are_done(const struct shard *shard, uint64_t serial);
/* Whether it still gathers: what is added now is in it. */
bool appends_is_gathering(const struct shard *shard, uint64_t serial);
void appends_flush(struct shard *shard);

/* Whether a client must wait before it may send more: its link is to be left `waiting`, and is resumed. */
bool appends_hold_back(struct shard *shard);

/* ---- Ids of entries: milliseconds since 1970, and random bits below, so that nobody knows the next one.
 * They rise, also when the clock is set back. */

enum { APPEND_ID_BITS = 21 };

/* A new one, greater than `last` (of the same log; 0: not known, greater than all of earlier runs). */
uint64_t append_id(struct shard *shard, uint64_t last);

/* When it was given. */
static inline int64_t append_id_ms(uint64_t id)
{
    return (int64_t)(id >> APPEND_ID_BITS);
}

/* The least id of that time or later; moments that no id has give the nearest bound. */
uint64_t append_id_from(int64_t ms);

#endif
