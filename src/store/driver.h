/* SPDX-License-Identifier: MIT */
/* What a backend of the store implements: plain synchronous calls, made from the store's own threads (or, in
 * a simulation, from the loop). For the files of src/store alone.
 *
 * A database is opened once; what works on it is a connection, used by one thread at a time: one connection
 * writes, the others read. So a backend needs no locks of its own unless its connections share memory.
 *
 * The front (store.c) promises: begin, then apply for each batch, then commit; after any error but those that
 * apply says are of one batch alone, rollback. A backend that loses its server reports ERR_IO and connects
 * again in the next begin or read. */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "store/store.h"

/* ---- What the front hands over ---- */

enum store_op {
    STORE_PUT,
    STORE_PUT_NEW,
    STORE_DEL,
    STORE_DEL_PREFIX,
    STORE_DEL_ALL,
    STORE_APPEND,
    STORE_LOG_DEL,
    STORE_LOG_EXPIRE
};

/* One change of a batch. No text has a NUL pointer or a NUL byte in it; ids are 1..INT64_MAX. */
struct store_change {
    struct store_change *next;
    enum store_op op;
    str owner, kind;
    str key, value;       /* value also of an entry; STORE_DEL_PREFIX: key is the prefix */
    str peer, text;       /* STORE_APPEND */
    int64_t time_ms;      /* STORE_APPEND; STORE_LOG_EXPIRE: what is older goes */
    uint64_t id, last_id; /* STORE_APPEND: id; STORE_LOG_DEL: id..last_id */
};

struct store_batch {
    struct list link; /* in the front's queue */
    struct arena arena;
    struct store_change *first, **end;
    size_t bytes;      /* of all texts: what the queue is measured in */
    uint64_t asked_us; /* of a store without threads: when it came to the queue */
    bool has_put_new;  /* it may fail alone, after some of it was applied */
    bool invalid;      /* something in it cannot be stored: it is never applied */
    enum err err;
    struct store_commit *commit;
};

enum store_ask { STORE_GET, STORE_GET_ALL, STORE_GET_RANGE, STORE_OWNERS, STORE_LOG_OWNERS, STORE_LOG_FIND };

/* What a read asks for; stands in the read's arena. Texts as in a change, but for query.peer, which is
 * str_none for any peer. */
struct store_request {
    struct list link; /* in the front's queue */
    enum store_ask ask;
    struct store_read *read;
    str owner; /* STORE_OWNERS, STORE_LOG_OWNERS: after this one */
    str kind, key;
    str *kinds; /* STORE_GET_ALL: in order, each once */
    size_t kind_count;
    size_t limit;                 /* of all but STORE_GET and STORE_GET_ALL */
    struct store_map_query range; /* STORE_GET_RANGE: its flags; its bounds are those below */
    str first_key, last_key;      /* the first that may match, and one beyond all that may */
    str not_key;                  /* this one does not match; str_none: no such */
    struct store_log_query query;
    str *words; /* of query.text; ids are in order, each once */
    size_t word_count;
    uint64_t first_id,
        last_id;               /* STORE_LOG_FIND: the query's bounds, both included; none when first > last */
    int64_t first_ms, last_ms; /* the same of its times */
    size_t room;               /* of the rows or entries array */
};

/* Adds a result; texts are copied into the read's arena. */
void store_read_add_row(struct store_read *read, const struct store_row *row);
void store_read_add_entry(struct store_read *read, const struct store_entry *entry);

/* ---- What a backend is ---- */

struct store_db {
    const struct store_driver *driver;
};

struct store_conn {
    struct store_db *db;
};

struct store_driver {
    const char *scheme; /* with its colon: "memory:" */

    /* Opens the database behind what follows the scheme: makes it, migrates it. `why` gets a sentence on
     * error. */
    enum err (*open)(const char *place, char *why, size_t why_room, struct store_db **ret_db);
    /* All connections were closed before. */
    void (*close)(struct store_db *db);

    enum err (*connect)(struct store_db *db, bool writes, struct store_conn **ret_conn);
    void (*disconnect)(struct store_conn *conn);

    enum err (*begin)(struct store_conn *conn);
    /* The whole batch or nothing of it. ERR_EXISTS: it alone is undone and the transaction goes on. With any
     * other error the transaction is lost and the front rolls it back. */
    enum err (*apply)(struct store_conn *conn, const struct store_batch *batch);
    /* OK: on disk, whatever happens to the machine. */
    enum err (*commit)(struct store_conn *conn);
    /* Ends what begin started, if it still stands. */
    void (*rollback)(struct store_conn *conn);

    /* Answers from one state of the database: what was committed when it began. */
    enum err (*read)(struct store_conn *conn, const struct store_request *request, struct store_read *read);

    /* The connection has had nothing to do for a while: gives back memory that only makes what comes next
     * faster. NULL: there is none. */
    void (*rest)(struct store_conn *conn);

    /* See store_newest_ms(). NULL: 0. */
    int64_t (*newest_ms)(struct store_conn *conn);
};

extern const struct store_driver store_sqlite, store_memory, store_fail;

/* Opens the database that a url names, by the driver of its scheme. */
enum err store_db_open(const char *url, char *why, size_t why_room, struct store_db **ret_db);

/* Opens the front on a database that is open already, and takes it over. */
enum err store_open_db(struct store_db *db, struct loop *inline_loop, struct store **ret);

/* ---- For fail.c, and for simulations ---- */

struct store_db *store_db_of(struct store *store);

/* Nothing is served while `held`; and serving starts `delay_ms` late. */
void store_pace(struct store *store, bool held, unsigned delay_ms);

/* Of a store without threads: serves at once so many of the batches that wait, and nothing else. */
void store_serve(struct store *store, unsigned batches);

/* Of a store without threads: when the oldest batch that waits was handed over; now, if there is none. */
uint64_t store_oldest_us(const struct store *store);

#endif
