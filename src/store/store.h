/* SPDX-License-Identifier: MIT */
/* The store: two shapes hold all that the server keeps.
 *   A map: (owner, kind, key) -> value          roster items, accounts, settings
 *   A log: (owner, kind), ordered by id -> value, with a time and a peer     offline messages, archives
 * An owner is a bare JID (or a domain, or "" for the server itself) in normal form; a kind is a short name
 * that an extension declares. Values are text, mostly XML, so that they can be read with the database's own
 * shell.
 *
 * Writes are gathered in a batch that is applied whole or not at all; batches of many callers share one
 * commit (group commit). A batch is on disk when its completion says OK. Batches that one thread commits are
 * applied in that order. Reads see every batch whose completion was delivered before the read was asked for.
 *
 * Completions come exactly once, on the loop that asked, never inside the call. Blocking work runs on threads
 * of the store's own. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "loop/loop.h"

struct store;
struct store_driver;

/* Opens a store. `url`: "sqlite:PATH" (a file, made if it is not there, mode 0600, migrated forward after a
 * backup beside it), "memory:" (lost at the end), and for tests "fail:" before another (see fail.h). On error
 * `why` gets a sentence for the administrator. With `inline_loop` not NULL the store has no threads:
 * everything happens in turns of loops (for simulations). */
enum err store_open(const char *url, struct loop *inline_loop, char *why, size_t why_room,
                    struct store **ret);

/* Waits until all that was asked for is done and completed into the loops' mailboxes, then closes. NULL is
 * allowed. */
void store_close(struct store *store);

/* The time of the newest log entry that was there when the store was opened; 0 for none. Any thread. */
int64_t store_newest_ms(const struct store *store);

/* For the metrics, and for whoever must stop asking when too much waits. */
struct store_stats {
    uint64_t batches;  /* completed, with whatever result */
    uint64_t commits;  /* transactions that are on disk: fewer than batches when many came at once */
    uint64_t failures; /* batches that the backend could not keep (ERR_FULL, ERR_IO) */
    uint64_t reads;    /* completed */
    size_t queued_batches, queued_bytes, queued_reads; /* asked for and not completed */
};

/* The counters as they are now. Any thread. */
void store_stats(struct store *store, struct store_stats *ret);

/* ---- Writing ----------------------------------------------------------------------------------------------
 */

/* Copies all it is given. Something that no backend can keep (a NUL byte in a text, an empty kind, an id that
 * is 0 or above INT64_MAX) is no programming error: the commit answers ERR_INVALID. */
struct store_batch;

struct store_batch *store_batch_new(void);
void store_batch_free(struct store_batch *batch); /* only one that was not committed */

/* Sets the value of a key. */
void store_put(struct store_batch *batch, str owner, str kind, str key, str value);
/* Sets it only where it is not there yet: otherwise the whole batch fails with ERR_EXISTS. */
void store_put_new(struct store_batch *batch, str owner, str kind, str key, str value);
/* Removes a key; one that is not there is no error. */
void store_del(struct store_batch *batch, str owner, str kind, str key);
/* Removes the keys of a kind that begin with `prefix`. */
void store_del_prefix(struct store_batch *batch, str owner, str kind, str prefix);
/* Removes all keys of a kind, and all its log entries; an empty kind means all kinds of the owner. */
void store_del_all(struct store_batch *batch, str owner, str kind);

struct store_entry {
    uint64_t id; /* 1..INT64_MAX, chosen by the caller, greater than the last of this (owner, kind); appending
                    one that is there does nothing */
    int64_t time_ms; /* since 1970 */
    str peer;        /* a bare JID or "" */
    str value;
    str text; /* words by which the entry can be found; kept for that alone and not read back; may be none */
};

/* Appends to a log. */
void store_append(struct store_batch *batch, str owner, str kind, const struct store_entry *entry);
/* Removes entries with first_id <= id <= last_id. */
void store_log_del(struct store_batch *batch, str owner, str kind, uint64_t first_id, uint64_t last_id);
/* Removes the entries of a log that are older than `before_ms`. For those of all owners: page through them
 * with store_log_owners(), so that the work is done in slices of the caller's size. */
void store_log_expire(struct store_batch *batch, str owner, str kind, int64_t before_ms);

struct store_commit {
    struct mail _mail;
    struct loop *_loop;
    enum err err; /* OK: on disk. ERR_EXISTS, ERR_FULL, ERR_IO, ERR_INVALID: nothing of it was applied */
    void (*done)(struct store_commit *commit);
};

/* Commits the batch and frees it. `commit` is the caller's memory (with `done` set) and must live until done
 * is called. */
void store_commit(struct store *store, struct loop *loop, struct store_batch *batch,
                  struct store_commit *commit);

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

struct store_row {
    str owner, kind, key, value;
};

/* A reader: the caller's memory with `done` set; results live in its arena. `store_read_fini` frees them, and
 * comes before the reader is used again. */
struct store_read {
    struct mail _mail;
    struct loop *_loop;
    struct store_request *_request;
    struct arena arena;
    enum err err;                /* OK (with count 0 when nothing is there), or ERR_IO */
    struct store_row *rows;      /* of a map read, ordered by kind and key (or owner) */
    struct store_entry *entries; /* of a log read, ordered by id */
    size_t count;
    uint64_t total; /* of a read that asked for it */
    void (*done)(struct store_read *read);
};

/* All rows of an owner whose kind is one of `kinds` (comma-separated names: "account,roster"). */
void store_get_all(struct store *store, struct loop *loop, str owner, str kinds, struct store_read *read);
/* One key. */
void store_get(struct store *store, struct loop *loop, str owner, str kind, str key, struct store_read *read);
/* Owners that have this kind and key, after `after` in order of bytes, at most `limit`: pages through
 * accounts. Rows have no value. Quick with key "", of which there is an index; otherwise it looks at each
 * owner on the way. */
void store_owners(struct store *store, struct loop *loop, str kind, str key, str after, size_t limit,
                  struct store_read *read);

/* Which keys of a kind; all bounds that are given hold together. */
struct store_map_query {
    str prefix;     /* only keys that begin with it */
    str after;      /* only keys greater than this; "" or none: from the first */
    str before;     /* only keys smaller than this; "" or none: to the last */
    size_t limit;   /* at most so many; 0 only to count */
    bool last;      /* the last `limit` of them (in ascending order all the same) */
    bool keys_only; /* rows without values */
    bool count;     /* fill `total`: how many match in all */
};

/* Some keys of one owner and kind, in order of bytes. */
void store_get_range(struct store *store, struct loop *loop, str owner, str kind,
                     const struct store_map_query *query, struct store_read *read);

/* Owners that have a log of this kind, after `after` in order of bytes, at most `limit`; rows have neither
 * key nor value. It looks at each owner of any log on the way. */
void store_log_owners(struct store *store, struct loop *loop, str kind, str after, size_t limit,
                      struct store_read *read);

struct store_log_query {
    uint64_t after_id;      /* only ids greater than this; 0: from the first */
    uint64_t before_id;     /* only ids smaller than this; 0: to the last */
    int64_t from_ms, to_ms; /* only times in this range, both included; 0: open */
    str peer;               /* only this peer; str_none: any */
    const uint64_t *ids;    /* with id_count: only these; NULL: any. Nothing else but the log is looked at */
    size_t id_count;
    str text; /* only entries whose text has all of its words, in any order, whatever their case; str_none:
                 any. Words end at what is neither letter nor digit; without a word nothing matches */
    size_t limit; /* at most so many; 0 only to count */
    bool last;    /* the last `limit` of what matches, not the first (the result is in ascending order all the
                     same) */
    bool count;   /* fill `total`: how many match in all */
};

void store_log_find(struct store *store, struct loop *loop, str owner, str kind,
                    const struct store_log_query *query, struct store_read *read);

void store_read_fini(struct store_read *read);

#endif
