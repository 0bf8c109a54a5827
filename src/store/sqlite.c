/* SPDX-License-Identifier: MIT */
/* The store in one SQLite file: the default, which needs no set-up.
 *
 * The file is in WAL mode, so readers neither wait for the writer nor hold it up, with synchronous=FULL: a
 * commit is an fsync of the write-ahead log, and what it answered survives a power cut. The log is folded
 * back into the file by the writer, each CHECKPOINT_PAGES, and is cut to WAL_KEPT after it has been longer.
 *
 * The map has no row ids: what is read together (an owner's kind) stands together on the pages, and a row is
 * written once. Entries of logs are written far more often than they are read, so they stand in the order in
 * which they come, with numbers for their log and their peer, and in one narrow index: (log, id, peer). An
 * archive's writes are then one page in many places and not three, and twice to six times as many entries a
 * second were written (bench/store_bench). What that costs: the entries of one peer are found by walking
 * through the index of the log; and an entry of a time by looking at its row, so who
 * has many entries gives them ids by which the time is found. `log` is a view that shows all as text.
 *
 * Which index serves a query is said in the query (INDEXED BY): the planner has no statistics here, and a
 * plan that changes by itself is a surprise at night.
 *
 * A checkpoint writes each page once however often it was changed, so few of them are cheaper: with one each
 * 1,000 pages, 1,000 batches at once cost a checkpoint a commit; 4,000 gave a fifth to a third more batches a
 * second and cost 16 MiB of disk (bench/store_bench).
 *
 * Memory is kept small: a page cache of CACHE_KIB a connection, no memory map, a small lookaside; statements
 * are compiled when first used. Nothing is scanned at start. The writer has WRITER_CACHE_KIB: with less, a
 * group of messages to a few hundred archives does not fit, and its pages go to the log and back while it is
 * applied (a third of what the kernel does for it). A connection that rests keeps no page.
 *
 * Errors: a full disk is ERR_FULL, all else ERR_IO; a change of the state of affairs is logged once. Waiting
 * for a lock happens only when another program (an administrator's shell) writes to the file, and is bounded
 * by BUSY_MS. */
#include "store/sqlite.h"
#include "store/driver.h"
#include "store/migrate.h"
#include "store/numbers.h"
#include "store/wal_file.h"

#include "base/buf.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT(number)   #number
#define NUMBER(number) TEXT(number)

#define CACHE_KIB        1000
#define WRITER_CACHE_KIB 8000
#define CHECKPOINT_PAGES 4000
#define WAL_KEPT         33554432

enum { BUSY_MS = 5000, LOOKASIDE_SLOT = 512, LOOKASIDE_SLOTS = 64, PLACE_SIZE = 18, HEIGHTS = 4096 };

const char *const sqlite_schema[SCHEMA_VERSION] = {
    "CREATE TABLE map ("
    " owner TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (owner, kind, key)) WITHOUT ROWID;"
    "CREATE INDEX map_owners ON map (kind, owner) WHERE key = '';"
    "CREATE TABLE log ("
    " owner TEXT NOT NULL, kind TEXT NOT NULL, id INTEGER NOT NULL, time INTEGER NOT NULL,"
    " peer TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (owner, kind, id)) WITHOUT ROWID;"
    "CREATE INDEX log_time ON log (owner, kind, time);"
    "CREATE INDEX log_peer ON log (owner, kind, peer);",

    "CREATE TABLE search_entry ("
    " doc INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, id INTEGER NOT NULL,"
    " UNIQUE (owner, kind, id));"
    "CREATE VIRTUAL TABLE search USING fts5 (place, text, detail = full,"
    " tokenize = 'unicode61 remove_diacritics 2');",

    /* Documents keep their numbers, as those of their entries. */
    "CREATE TABLE logs ("
    " id INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, UNIQUE (owner, kind));"
    "CREATE INDEX logs_kind ON logs (kind, owner);"
    "CREATE TABLE peers (id INTEGER PRIMARY KEY, jid TEXT NOT NULL UNIQUE);"
    "CREATE TABLE entries ("
    " seq INTEGER PRIMARY KEY, log INTEGER NOT NULL, id INTEGER NOT NULL, time INTEGER NOT NULL,"
    " peer INTEGER NOT NULL, value TEXT NOT NULL);"
    "INSERT INTO logs (kind, owner) SELECT DISTINCT kind, owner FROM log;"
    "INSERT INTO peers (jid) SELECT DISTINCT peer FROM log;"
    "INSERT INTO entries SELECT doc, logs.id, log.id, time, peers.id, value FROM search_entry AS e"
    " JOIN log ON log.owner = e.owner AND log.kind = e.kind AND log.id = e.id"
    " JOIN logs ON logs.owner = log.owner AND logs.kind = log.kind JOIN peers ON jid = peer;"
    "INSERT INTO entries (log, id, time, peer, value) SELECT logs.id, log.id, time, peers.id, value FROM log"
    " JOIN logs ON logs.owner = log.owner AND logs.kind = log.kind JOIN peers ON jid = peer"
    " WHERE NOT EXISTS (SELECT 1 FROM search_entry AS e"
    "  WHERE e.owner = log.owner AND e.kind = log.kind AND e.id = log.id) ORDER BY time, log.id;"
    "CREATE INDEX entries_id ON entries (log, id, peer);"
    "DROP TABLE search_entry;"
    "DROP TABLE log;"
    "CREATE VIEW log AS SELECT owner, kind, entries.id, time, jid AS peer, value, seq"
    " FROM entries JOIN logs ON logs.id = log JOIN peers ON peers.id = peer;",
};

/* ---- Statements ---- */

/* The parameters of log queries: ?1 owner, ?2 kind, ?3..?4 ids, ?5..?6 times (NULL: open, and the row need
 * not be looked at), ?7 limit, ?8 peer (which the index has). */
#define THE_LOG     "(SELECT id FROM logs WHERE kind = ?2 AND owner = ?1)"
#define OWNERS_LOGS "IN (SELECT id FROM logs WHERE owner = ?1)"
#define IN_LOG      "log = " THE_LOG
#define LOG_ROW     "SELECT id, time, (SELECT jid FROM peers WHERE id = entries.peer), value FROM entries "
#define TIMES       "(?5 IS NULL OR time BETWEEN ?5 AND ?6)"
#define BY_ID       "INDEXED BY entries_id WHERE " IN_LOG " AND id BETWEEN ?3 AND ?4 AND " TIMES
#define BY_PEER     BY_ID " AND peer = (SELECT id FROM peers WHERE jid = ?8)"
#define FIRST       " ORDER BY id LIMIT ?7"
#define LAST        " ORDER BY id DESC LIMIT ?7"
#define LOG_COUNT   "SELECT count(*) FROM entries "
/* ?9: words and place. Documents have the numbers of their entries, so their order is that of ids. */
#define BY_TEXT                                                                                              \
    "FROM search CROSS JOIN entries ON entries.seq = search.rowid WHERE search MATCH ?9"                     \
    " AND " IN_LOG " AND entries.id BETWEEN ?3 AND ?4 AND " TIMES                                            \
    " AND (?8 IS NULL OR peer = (SELECT id FROM peers WHERE jid = ?8))"
#define TEXT_ROW  "SELECT entries.id, time, (SELECT jid FROM peers WHERE id = entries.peer), value " BY_TEXT
#define RANGE     " WHERE owner = ?1 AND kind = ?2 AND key >= ?3 AND key < ?4 AND key IS NOT ?5"
#define RANGE_ROW "SELECT owner, kind, key, iif(?7, NULL, value) FROM map" RANGE
/* What is removed from a log is removed from the search first. */
#define OF_KIND          " FROM entries INDEXED BY entries_id WHERE " IN_LOG
#define OF_OWNER         " FROM entries INDEXED BY entries_id WHERE log " OWNERS_LOGS
#define OF_IDS           OF_KIND " AND id BETWEEN ?3 AND ?4"
#define OLD              OF_KIND " AND time < ?3"
#define TEXT_OF(entries) "DELETE FROM search WHERE rowid IN (SELECT seq" entries ")"

#define STATEMENTS(X)                                                                                        \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                                        \
    X(BEGIN_READ, "BEGIN")                                                                                   \
    X(COMMIT, "COMMIT")                                                                                      \
    X(ROLLBACK, "ROLLBACK")                                                                                  \
    X(BATCH, "SAVEPOINT batch")                                                                              \
    X(UNDO_BATCH, "ROLLBACK TO batch")                                                                       \
    X(END_BATCH, "RELEASE batch")                                                                            \
    X(PUT, "INSERT INTO map VALUES (?1, ?2, ?3, ?4)"                                                         \
           " ON CONFLICT (owner, kind, key) DO UPDATE SET value = excluded.value")                           \
    X(PUT_NEW, "INSERT INTO map VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")                             \
    X(DEL, "DELETE FROM map WHERE owner = ?1 AND kind = ?2 AND key = ?3")                                    \
    X(DEL_KIND_MAP, "DELETE FROM map WHERE owner = ?1 AND kind = ?2")                                        \
    X(LOG_OF, "SELECT id FROM logs WHERE kind = ?2 AND owner = ?1")                                          \
    X(LOG_NEW, "INSERT INTO logs (owner, kind) VALUES (?1, ?2)")                                             \
    X(PEER_OF, "SELECT id FROM peers WHERE jid = ?1")                                                        \
    X(PEER_NEW, "INSERT INTO peers (jid) VALUES (?1)")                                                       \
    X(HIGHEST, "SELECT max(id) FROM entries INDEXED BY entries_id WHERE log = ?1")                           \
    X(IS_THERE, "SELECT 1 FROM entries INDEXED BY entries_id WHERE log = ?1 AND id = ?2")                    \
    X(APPEND, "INSERT INTO entries (log, id, time, peer, value) VALUES (?1, ?2, ?3, ?4, ?5)")                \
    X(LOG_DEL, "DELETE" OF_IDS)                                                                              \
    X(EXPIRE, "DELETE" OLD)                                                                                  \
    X(DEL_KIND_LOG, "DELETE" OF_KIND)                                                                        \
    X(DEL_OWNER_LOG, "DELETE" OF_OWNER)                                                                      \
    X(FORGET_KIND, "DELETE FROM logs WHERE kind = ?2 AND owner = ?1")                                        \
    X(FORGET_OWNER, "DELETE FROM logs WHERE owner = ?1")                                                     \
    X(TEXT_DEL_OWNER, TEXT_OF(OF_OWNER))                                                                     \
    X(TEXT_DEL_KIND, TEXT_OF(OF_KIND))                                                                       \
    X(TEXT_DEL_IDS, TEXT_OF(OF_IDS))                                                                         \
    X(TEXT_EXPIRE, TEXT_OF(OLD))                                                                             \
    X(ONE_ID, LOG_ROW "INDEXED BY entries_id WHERE " IN_LOG " AND id = ?3")                                  \
    X(LOG_OWNERS,                                                                                            \
      "SELECT owner, kind, '' FROM logs INDEXED BY logs_kind WHERE kind = ?2 AND owner > ?1 AND EXISTS"      \
      " (SELECT 1 FROM entries INDEXED BY entries_id WHERE log = logs.id)"                                   \
      " ORDER BY owner LIMIT ?4")                                                                            \
    X(NEWEST, "SELECT max(time) FROM (SELECT time FROM entries ORDER BY seq DESC LIMIT 1000)")               \
    X(DEL_OWNER_MAP, "DELETE FROM map WHERE owner = ?1")                                                     \
    X(DEL_RANGE, "DELETE FROM map WHERE owner = ?1 AND kind = ?2 AND key >= ?3 AND key < ?4")                \
    X(TEXT_ADD, "INSERT INTO search (rowid, place, text) VALUES (?1, ?2, ?3)")                               \
    X(RANGE_FIRST, RANGE_ROW " ORDER BY key LIMIT ?6")                                                       \
    X(RANGE_LAST, RANGE_ROW " ORDER BY key DESC LIMIT ?6")                                                   \
    X(RANGE_COUNT, "SELECT count(*) FROM map" RANGE)                                                         \
    X(TEXT_FIRST, TEXT_ROW " ORDER BY search.rowid LIMIT ?7")                                                \
    X(TEXT_LAST, TEXT_ROW " ORDER BY search.rowid DESC LIMIT ?7")                                            \
    X(TEXT_COUNT, "SELECT count(*) " BY_TEXT)                                                                \
    X(GET, "SELECT owner, kind, key, value FROM map WHERE owner = ?1 AND kind = ?2 AND key = ?3")            \
    X(GET_KIND, "SELECT owner, kind, key, value FROM map WHERE owner = ?1 AND kind = ?2 ORDER BY key")       \
    X(OWNERS, "SELECT owner, kind, key FROM map INDEXED BY map_owners"                                       \
              " WHERE kind = ?2 AND key = '' AND owner > ?1 ORDER BY owner LIMIT ?4")                        \
    X(OWNERS_ANY_KEY, "WITH RECURSIVE walk (at) AS (SELECT min(owner) FROM map WHERE owner > ?1 UNION ALL"   \
                      " SELECT (SELECT min(owner) FROM map WHERE owner > at) FROM walk WHERE at NOTNULL)"    \
                      " SELECT at, ?2, ?3 FROM walk WHERE at NOTNULL AND EXISTS"                             \
                      " (SELECT 1 FROM map WHERE owner = at AND kind = ?2 AND key = ?3) LIMIT ?4")           \
    X(ID_FIRST, LOG_ROW BY_ID FIRST)                                                                         \
    X(ID_LAST, LOG_ROW BY_ID LAST)                                                                           \
    X(PEER_FIRST, LOG_ROW BY_PEER FIRST)                                                                     \
    X(PEER_LAST, LOG_ROW BY_PEER LAST)                                                                       \
    X(COUNT, LOG_COUNT BY_ID)                                                                                \
    X(COUNT_PEER, LOG_COUNT BY_PEER)

enum statement {
#define X(name, sql) SQL_##name,
    STATEMENTS(X)
#undef X
        STATEMENT_COUNT
};

const char *const sqlite_statements[STATEMENT_COUNT + 1] = {
#define X(name, sql) sql,
    STATEMENTS(X)
#undef X
};

struct sqlite {
    struct store_db db;
    char *path;
};

/* No entry of this log has a greater id. */
struct height {
    int64_t log;
    uint64_t id;
};

struct sqlite_conn {
    struct store_conn conn;
    struct sqlite *file;
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct numbers logs, peers; /* of the writer: what was found or made, also in this transaction */
    struct height *heights;     /* of the writer: HEIGHTS, each log has one place */
    int trouble;                /* the last result that was no success, until one is */
};

/* Translates a result, and logs when things turn bad or good again: once, not for each stanza. */
static enum err result(struct sqlite_conn *sc, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return OK;
    if (rc != sc->trouble)
        log_error(store, "'%s': %s (%d)", sc->file->path, sqlite3_errmsg(sc->handle),
                  sqlite3_extended_errcode(sc->handle));
    sc->trouble = rc;
    return rc == SQLITE_FULL ? ERR_FULL : ERR_IO;
}

static void went_well(struct sqlite_conn *sc)
{
    if (sc->trouble)
        log_info(store, "'%s' works again", sc->file->path);
    sc->trouble = SQLITE_OK;
}

/* The compiled statement; NULL after an error, which binding and stepping take and answer. */
static sqlite3_stmt *statement(struct sqlite_conn *sc, enum statement which)
{
    sqlite3_stmt **stmt = &sc->statements[which];
    if (!*stmt)
        sqlite3_prepare_v3(sc->handle, sqlite_statements[which], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
    return *stmt;
}

/* Text stays the caller's until the statement is reset. One that SQLite refuses (too long) leaves NULL, which
 * no column takes and no key equals. */
static void bind(sqlite3_stmt *stmt, int index, str text)
{
    sqlite3_bind_text64(stmt, index, text.p, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int step_to_end(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    int reset = sqlite3_reset(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset ? reset : rc;
}

static enum err run(struct sqlite_conn *sc, enum statement which)
{
    sqlite3_stmt *stmt = statement(sc, which);
    return result(sc, stmt ? step_to_end(stmt) : sqlite3_errcode(sc->handle));
}

/* The first number of the first row; DONE: there is none. */
static int read_count(struct sqlite_conn *sc, sqlite3_stmt *stmt, uint64_t *ret)
{
    int rc = stmt ? sqlite3_step(stmt) : sqlite3_errcode(sc->handle);
    if (rc == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return rc;
}

/* ---- Writing ---- */

static enum err sqlite_begin(struct store_conn *conn)
{
    return run((struct sqlite_conn *)conn, SQL_BEGIN_WRITE);
}

/* The map statements have owner, kind, key and value as ?1..?4. */
static enum err change_map(struct sqlite_conn *sc, enum statement which, const struct store_change *change)
{
    sqlite3_stmt *stmt = statement(sc, which);
    bind(stmt, 1, change->owner);
    bind(stmt, 2, change->kind);
    bind(stmt, 3, change->key);
    if (which == SQL_PUT || which == SQL_PUT_NEW)
        bind(stmt, 4, change->value);
    return run(sc, which);
}

static enum err put_new(struct sqlite_conn *sc, const struct store_change *change)
{
    enum err err = change_map(sc, SQL_PUT_NEW, change);
    return !err && sqlite3_changes(sc->handle) == 0 ? ERR_EXISTS : err;
}

/* Runs the statements, which share their first parameters: ?1 owner, ?2 kind, ?3 and ?4 numbers, as many as
 * `params`. */
static enum err run_each(struct sqlite_conn *sc, const enum statement *which, size_t count, int params,
                         const struct store_change *change, int64_t third, int64_t fourth)
{
    enum err err = OK;
    for (size_t i = 0; i < count && !err; i++) {
        sqlite3_stmt *stmt = statement(sc, which[i]);
        bind(stmt, 1, change->owner);
        if (params > 1)
            bind(stmt, 2, change->kind);
        if (params > 2)
            sqlite3_bind_int64(stmt, 3, third);
        if (params > 3)
            sqlite3_bind_int64(stmt, 4, fourth);
        err = run(sc, which[i]);
    }
    return err;
}

/* The search goes first: it is found through the entries. */
static enum err del_all(struct sqlite_conn *sc, const struct store_change *change)
{
    static const enum statement owner[] = { SQL_TEXT_DEL_OWNER, SQL_DEL_OWNER_MAP, SQL_DEL_OWNER_LOG,
                                            SQL_FORGET_OWNER };
    static const enum statement kind[] = { SQL_TEXT_DEL_KIND, SQL_DEL_KIND_MAP, SQL_DEL_KIND_LOG,
                                           SQL_FORGET_KIND };
    numbers_clear(&sc->logs);
    return change->kind.len ? run_each(sc, kind, COUNT_OF(kind), 2, change, 0, 0)
                            : run_each(sc, owner, COUNT_OF(owner), 1, change, 0, 0);
}

static enum err log_del(struct sqlite_conn *sc, const struct store_change *change)
{
    static const enum statement all[] = { SQL_TEXT_DEL_IDS, SQL_LOG_DEL };
    return run_each(sc, all, COUNT_OF(all), 4, change, (int64_t)change->id, (int64_t)change->last_id);
}

static enum err log_expire(struct sqlite_conn *sc, const struct store_change *change)
{
    static const enum statement all[] = { SQL_TEXT_EXPIRE, SQL_EXPIRE };
    return run_each(sc, all, COUNT_OF(all), 3, change, change->time_ms, 0);
}

static enum err del_prefix(struct sqlite_conn *sc, const struct store_change *change)
{
    struct buf end;
    sqlite3_stmt *stmt = statement(sc, SQL_DEL_RANGE);
    buf_init(&end, change->key.len + 1);
    buf_add(&end, change->key);
    buf_add_char(&end, '\xff');
    bind(stmt, 1, change->owner);
    bind(stmt, 2, change->kind);
    bind(stmt, 3, change->key);
    bind(stmt, 4, buf_str(&end));
    enum err err = run(sc, SQL_DEL_RANGE);
    buf_fini(&end);
    return err;
}

/* A word that stands for a log in the index, so that a search walks through the entries of one log and not of
 * all. Two logs may share one (FNV-1a): the query looks at the owner too. */
static str place_word(str owner, str kind, char to[PLACE_SIZE])
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < owner.len; i++)
        hash = (hash ^ (unsigned char)owner.p[i]) * 1099511628211u;
    hash = hash * 1099511628211u; /* a NUL between them */
    for (size_t i = 0; i < kind.len; i++)
        hash = (hash ^ (unsigned char)kind.p[i]) * 1099511628211u;
    snprintf(to, PLACE_SIZE, "p%016llx", (unsigned long long)hash);
    return str_from(to);
}

static enum err append_text(struct sqlite_conn *sc, const struct store_change *change)
{
    char place[PLACE_SIZE];
    sqlite3_stmt *stmt = statement(sc, SQL_TEXT_ADD);
    sqlite3_bind_int64(stmt, 1, sqlite3_last_insert_rowid(sc->handle));
    bind(stmt, 2, place_word(change->owner, change->kind, place));
    bind(stmt, 3, change->text);
    return run(sc, SQL_TEXT_ADD);
}

/* The number of a text, made if it has none: `find` and `make` have the text as ?1 and its realm as ?2. */
static enum err number_of(struct sqlite_conn *sc, struct numbers *known, enum statement find,
                          enum statement make, str of, str text, int64_t *ret)
{
    *ret = numbers_get(known, of, text);
    if (*ret)
        return OK;
    sqlite3_stmt *stmt = statement(sc, find);
    bind(stmt, 1, text);
    if (of.len)
        bind(stmt, 2, of);
    int rc = stmt ? sqlite3_step(stmt) : sqlite3_errcode(sc->handle);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    enum err err = result(sc, rc);
    if (!err && !*ret) {
        stmt = statement(sc, make);
        bind(stmt, 1, text);
        if (of.len)
            bind(stmt, 2, of);
        err = run(sc, make);
        *ret = sqlite3_last_insert_rowid(sc->handle);
    }
    if (!err)
        numbers_put(known, of, text, *ret);
    return err;
}

/* The number that a statement answers about a log, and an id if it takes one; 0: none. */
static enum err ask_log(struct sqlite_conn *sc, enum statement which, int64_t log, uint64_t id, uint64_t *ret)
{
    sqlite3_stmt *stmt = statement(sc, which);
    sqlite3_bind_int64(stmt, 1, log);
    if (id)
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)id);
    *ret = 0;
    return result(sc, read_count(sc, stmt, ret));
}

/* Asked apart: an INSERT that asks has SQLite make a table in memory for each row. And seldom: the ids of a
 * log rise, so most are above its height. Of a height that is not true any more (its transaction was undone,
 * its log removed) the worst that comes is a question. */
static enum err is_there(struct sqlite_conn *sc, int64_t log, uint64_t id, bool *ret)
{
    struct height *height = &sc->heights[log % HEIGHTS];
    uint64_t found;
    if (height->log != log) {
        enum err err = ask_log(sc, SQL_HIGHEST, log, 0, &found);
        if (err)
            return err;
        *height = (struct height){ log, found };
    }
    *ret = false;
    if (id > height->id) {
        height->id = id;
        return OK;
    }
    enum err err = ask_log(sc, SQL_IS_THERE, log, id, &found);
    *ret = found > 0;
    return err;
}

static enum err append(struct sqlite_conn *sc, const struct store_change *change)
{
    int64_t log = 0, peer = 0;
    enum err err = number_of(sc, &sc->logs, SQL_LOG_OF, SQL_LOG_NEW, change->kind, change->owner, &log);
    if (!err)
        err = number_of(sc, &sc->peers, SQL_PEER_OF, SQL_PEER_NEW, STR(""), change->peer, &peer);
    if (err)
        return err;
    bool there;
    err = is_there(sc, log, change->id, &there);
    if (err || there)
        return err;
    sqlite3_stmt *stmt = statement(sc, SQL_APPEND);
    sqlite3_bind_int64(stmt, 1, log);
    sqlite3_bind_int64(stmt, 2, (sqlite3_int64)change->id);
    sqlite3_bind_int64(stmt, 3, change->time_ms);
    sqlite3_bind_int64(stmt, 4, peer);
    bind(stmt, 5, change->value);
    err = run(sc, SQL_APPEND);
    return !err && change->text.len ? append_text(sc, change) : err;
}

static enum err change_one(struct sqlite_conn *sc, const struct store_change *change)
{
    switch (change->op) {
    case STORE_PUT:
        return change_map(sc, SQL_PUT, change);
    case STORE_PUT_NEW:
        return put_new(sc, change);
    case STORE_DEL:
        return change_map(sc, SQL_DEL, change);
    case STORE_DEL_PREFIX:
        return del_prefix(sc, change);
    case STORE_DEL_ALL:
        return del_all(sc, change);
    case STORE_APPEND:
        return append(sc, change);
    case STORE_LOG_DEL:
        return log_del(sc, change);
    case STORE_LOG_EXPIRE:
        return log_expire(sc, change);
    }
    return ERR_UNSUPPORTED;
}

/* Those that an undone transaction has made are none. */
static void forget_numbers(struct sqlite_conn *sc)
{
    numbers_clear(&sc->logs);
    numbers_clear(&sc->peers);
}

/* Only a batch that may have to be undone alone pays for a savepoint. */
static enum err sqlite_apply(struct store_conn *conn, const struct store_batch *batch)
{
    struct sqlite_conn *sc = (struct sqlite_conn *)conn;
    enum err err = batch->has_put_new ? run(sc, SQL_BATCH) : OK;
    for (struct store_change *change = batch->first; change && !err; change = change->next)
        err = change_one(sc, change);
    if (!batch->has_put_new || (err && err != ERR_EXISTS))
        return err;
    if (err)
        forget_numbers(sc);
    enum err undone = err ? run(sc, SQL_UNDO_BATCH) : OK;
    enum err ended = undone ? undone : run(sc, SQL_END_BATCH);
    return ended ? ended : err;
}

static enum err sqlite_commit(struct store_conn *conn)
{
    struct sqlite_conn *sc = (struct sqlite_conn *)conn;
    wal_file_gather(sc->handle, true);
    enum err err = run(sc, SQL_COMMIT);
    wal_file_gather(sc->handle, false);
    if (!err)
        went_well(sc);
    return err;
}

/* SQLite has rolled back by itself after some errors. */
static void sqlite_rollback(struct store_conn *conn)
{
    struct sqlite_conn *sc = (struct sqlite_conn *)conn;
    forget_numbers(sc);
    if (!sqlite3_get_autocommit(sc->handle))
        run(sc, SQL_ROLLBACK);
}

/* ---- Reading ---- */

static str column(sqlite3_stmt *stmt, int index)
{
    const char *text = (const char *)sqlite3_column_text(stmt, index);
    return text ? str_of(text, (size_t)sqlite3_column_bytes(stmt, index)) : STR("");
}

/* Rows are owner, kind, key and, where the statement has it, value. */
static int read_rows(sqlite3_stmt *stmt, struct store_read *read)
{
    int rc;
    bool has_value = sqlite3_column_count(stmt) > 3;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct store_row row = { column(stmt, 0), column(stmt, 1), column(stmt, 2),
                                 has_value ? column(stmt, 3) : str_none };
        store_read_add_row(read, &row);
    }
    sqlite3_reset(stmt);
    return rc;
}

static int read_map(struct sqlite_conn *sc, enum statement which, const struct store_request *request,
                    str kind)
{
    sqlite3_stmt *stmt = statement(sc, which);
    bind(stmt, 1, request->owner);
    bind(stmt, 2, kind);
    if (which == SQL_GET || which == SQL_OWNERS_ANY_KEY)
        bind(stmt, 3, request->key);
    if (which == SQL_OWNERS || which == SQL_OWNERS_ANY_KEY || which == SQL_LOG_OWNERS)
        sqlite3_bind_int64(stmt, 4, (sqlite3_int64)request->limit);
    return stmt ? read_rows(stmt, request->read) : sqlite3_errcode(sc->handle);
}

static sqlite3_stmt *range_statement(struct sqlite_conn *sc, enum statement which,
                                     const struct store_request *request)
{
    sqlite3_stmt *stmt = statement(sc, which);
    bind(stmt, 1, request->owner);
    bind(stmt, 2, request->kind);
    bind(stmt, 3, request->first_key);
    bind(stmt, 4, request->last_key);
    bind(stmt, 5, request->not_key);
    return stmt;
}

static void reverse_rows(struct store_row *rows, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct store_row row = rows[i];
        rows[i] = rows[count - 1 - i];
        rows[count - 1 - i] = row;
    }
}

static int read_range(struct sqlite_conn *sc, const struct store_request *request, struct store_read *read)
{
    const struct store_map_query *range = &request->range;
    sqlite3_stmt *stmt = range_statement(sc, range->last ? SQL_RANGE_LAST : SQL_RANGE_FIRST, request);
    sqlite3_bind_int64(stmt, 6, (sqlite3_int64)request->limit);
    sqlite3_bind_int(stmt, 7, range->keys_only);
    int rc = stmt ? read_rows(stmt, read) : sqlite3_errcode(sc->handle);
    if (range->last)
        reverse_rows(read->rows, read->count);
    if (rc != SQLITE_DONE || !range->count)
        return rc;
    return read_count(sc, range_statement(sc, SQL_RANGE_COUNT, request), &read->total);
}

/* "place : pXX AND text : ("one" AND "two")" */
static str match_of(const struct store_request *request)
{
    char place[PLACE_SIZE];
    struct arena *arena = &request->read->arena;
    place_word(request->owner, request->kind, place);
    str match = arena_printf(arena, "place : %s", place);
    for (size_t i = 0; i < request->word_count; i++)
        match = arena_printf(arena, "%s AND text : \"%.*s\"", match.p, STR_ARGS(request->words[i]));
    return match;
}

static sqlite3_stmt *log_statement(struct sqlite_conn *sc, enum statement which,
                                   const struct store_request *request)
{
    sqlite3_stmt *stmt = statement(sc, which);
    bind(stmt, 1, request->owner);
    bind(stmt, 2, request->kind);
    sqlite3_bind_int64(stmt, 3, (sqlite3_int64)request->first_id);
    sqlite3_bind_int64(stmt, 4, (sqlite3_int64)request->last_id);
    if (request->query.from_ms || request->query.to_ms) {
        sqlite3_bind_int64(stmt, 5, request->first_ms);
        sqlite3_bind_int64(stmt, 6, request->last_ms);
    } else {
        sqlite3_bind_null(stmt, 5);
    }
    if (which != SQL_COUNT && which != SQL_COUNT_PEER && which != SQL_TEXT_COUNT)
        sqlite3_bind_int64(stmt, 7, (sqlite3_int64)request->limit);
    if (request->query.peer.p || request->query.text.p)
        bind(stmt, 8, request->query.peer);
    if (request->query.text.p)
        bind(stmt, 9, match_of(request));
    return stmt;
}

static void reverse(struct store_entry *entries, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct store_entry entry = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = entry;
    }
}

static enum statement log_path(const struct store_request *request)
{
    bool last = request->query.last;
    if (request->query.text.p)
        return last ? SQL_TEXT_LAST : SQL_TEXT_FIRST;
    if (request->query.peer.p)
        return last ? SQL_PEER_LAST : SQL_PEER_FIRST;
    return last ? SQL_ID_LAST : SQL_ID_FIRST;
}

static int read_entries(sqlite3_stmt *stmt, struct store_read *read)
{
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct store_entry entry = { .id = (uint64_t)sqlite3_column_int64(stmt, 0),
                                     .time_ms = sqlite3_column_int64(stmt, 1),
                                     .peer = column(stmt, 2),
                                     .value = column(stmt, 3) };
        store_read_add_entry(read, &entry);
    }
    sqlite3_reset(stmt);
    return rc;
}

static int find_ids(struct sqlite_conn *sc, const struct store_request *request, struct store_read *read)
{
    int rc = SQLITE_DONE;
    for (size_t i = 0; i < request->query.id_count && rc == SQLITE_DONE && read->count < request->limit;
         i++) {
        sqlite3_stmt *stmt = statement(sc, SQL_ONE_ID);
        bind(stmt, 1, request->owner);
        bind(stmt, 2, request->kind);
        sqlite3_bind_int64(stmt, 3, (sqlite3_int64)request->query.ids[i]);
        rc = stmt ? read_entries(stmt, read) : sqlite3_errcode(sc->handle);
    }
    return rc;
}

static int find_entries(struct sqlite_conn *sc, const struct store_request *request, struct store_read *read)
{
    if (!request->limit)
        return SQLITE_DONE;
    sqlite3_stmt *stmt = log_statement(sc, log_path(request), request);
    int rc = stmt ? read_entries(stmt, read) : sqlite3_errcode(sc->handle);
    if (request->query.last)
        reverse(read->entries, read->count);
    return rc;
}

static int count_entries(struct sqlite_conn *sc, const struct store_request *request, uint64_t *ret)
{
    const struct store_log_query *query = &request->query;
    enum statement which = query->text.p ? SQL_TEXT_COUNT : query->peer.p ? SQL_COUNT_PEER : SQL_COUNT;
    return read_count(sc, log_statement(sc, which, request), ret);
}

static int read_log(struct sqlite_conn *sc, const struct store_request *request, struct store_read *read)
{
    if (request->query.ids) {
        int rc = find_ids(sc, request, read);
        read->total = read->count;
        return rc;
    }
    if (request->query.text.p && !request->word_count)
        return SQLITE_DONE;
    int rc = find_entries(sc, request, read);
    return rc == SQLITE_DONE && request->query.count ? count_entries(sc, request, &read->total) : rc;
}

static int read_some(struct sqlite_conn *sc, const struct store_request *request, struct store_read *read)
{
    int rc = SQLITE_DONE;
    switch (request->ask) {
    case STORE_GET:
        return read_map(sc, SQL_GET, request, request->kind);
    case STORE_GET_ALL:
        for (size_t i = 0; i < request->kind_count && rc == SQLITE_DONE; i++)
            rc = read_map(sc, SQL_GET_KIND, request, request->kinds[i]);
        return rc;
    case STORE_OWNERS:
        return read_map(sc, request->key.len ? SQL_OWNERS_ANY_KEY : SQL_OWNERS, request, request->kind);
    case STORE_GET_RANGE:
        return read_range(sc, request, read);
    case STORE_LOG_OWNERS:
        return read_map(sc, SQL_LOG_OWNERS, request, request->kind);
    case STORE_LOG_FIND:
        return read_log(sc, request, read);
    }
    return rc;
}

/* Several queries of one request must see one state; a single one does by itself. */
static enum err sqlite_read(struct store_conn *conn, const struct store_request *request,
                            struct store_read *read)
{
    struct sqlite_conn *sc = (struct sqlite_conn *)conn;
    bool several = request->kind_count > 1 || request->query.count || request->range.count ||
                   request->query.id_count > 1;
    enum err err = several ? run(sc, SQL_BEGIN_READ) : OK;
    if (err)
        return err;
    err = result(sc, read_some(sc, request, read));
    if (several && !sqlite3_get_autocommit(sc->handle))
        run(sc, SQL_COMMIT);
    if (!err)
        went_well(sc);
    return err;
}

/* Entries are numbered as they come; a clock that goes back now and then is why it looks at some. */
static int64_t sqlite_newest_ms(struct store_conn *conn)
{
    struct sqlite_conn *sc = (struct sqlite_conn *)conn;
    sqlite3_stmt *stmt = statement(sc, SQL_NEWEST);
    int64_t newest = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_reset(stmt);
    return newest;
}

static void sqlite_rest(struct store_conn *conn)
{
    sqlite3_db_release_memory(((struct sqlite_conn *)conn)->handle);
}

/* ---- Opening and closing ---- */

/* The store is the only user of SQLite here: its memory counters are a lock that all threads would share. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int open_handle(const char *path, bool writes, sqlite3 **handle)
{
    int flags = SQLITE_OPEN_NOMUTEX | (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    int rc = sqlite3_open_v2(path, handle, flags, writes ? wal_file_vfs() : NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_busy_timeout(*handle, BUSY_MS);
    sqlite3_extended_result_codes(*handle, 0);
    sqlite3_db_config(*handle, SQLITE_DBCONFIG_LOOKASIDE, NULL, LOOKASIDE_SLOT, LOOKASIDE_SLOTS);
    return sqlite3_exec(*handle,
                        "PRAGMA cache_size = -" NUMBER(CACHE_KIB) ";"
                                                                  "PRAGMA temp_store = memory;"
                                                                  "PRAGMA trusted_schema = off;",
                        NULL, NULL, NULL);
}

static int set_up_writer(sqlite3 *handle)
{
    return sqlite3_exec(
        handle,
        "PRAGMA journal_mode = wal;"
        "PRAGMA synchronous = full;"
        "PRAGMA cache_size = -" NUMBER(
            WRITER_CACHE_KIB) ";"
                              "PRAGMA wal_autocheckpoint = " NUMBER(
                                  CHECKPOINT_PAGES) ";"
                                                    "PRAGMA journal_size_limit = " NUMBER(WAL_KEPT) ";",
        NULL, NULL, NULL);
}

/* Made before SQLite sees it, so that only its owner may read it; what SQLite puts beside it gets the same
 * mode. */
static enum err make_file(const char *path, char *why, size_t why_room)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return OK;
    enum err err = fd < 0 ? err_from_errno(errno) : migrate_sync_folder(path);
    if (fd >= 0)
        close(fd);
    if (err)
        snprintf(why, why_room, "the store's file '%s' cannot be made: %s", path, err_text(err));
    return err;
}

static enum err cannot_open(sqlite3 *handle, const char *path, char *why, size_t why_room)
{
    int code = sqlite3_errcode(handle);
    bool damaged = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
    snprintf(why, why_room,
             damaged ? "'%s' is no SQLite database or is damaged: put a backup in its place (%s)"
                     : "the store's file '%s' cannot be opened: %s",
             path, sqlite3_errmsg(handle));
    return damaged ? ERR_INVALID : code == SQLITE_FULL ? ERR_FULL : ERR_IO;
}

/* SQLite opens a file that it may not write as one to read, and goes on without a write-ahead log where the
 * file system cannot share memory: both without an error. */
static enum err check_handle(sqlite3 *handle, const char *path, char *why, size_t why_room)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_db_readonly(handle, "main")) {
        snprintf(why, why_room, "the store's file '%s' may not be written", path);
        return ERR_PERMISSION;
    }
    bool wal = sqlite3_prepare_v2(handle, "PRAGMA journal_mode", -1, &stmt, NULL) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW && str_is(column(stmt, 0), "wal");
    sqlite3_finalize(stmt);
    if (wal)
        return OK;
    snprintf(why, why_room, "'%s' cannot have a write-ahead log: is it on a network file system?", path);
    return ERR_UNSUPPORTED;
}

/* Checks and migrates with a connection of its own, that is gone afterwards. */
static enum err prepare_file(const char *path, char *why, size_t why_room)
{
    sqlite3 *handle = NULL;
    enum err err = make_file(path, why, why_room);
    if (err)
        return err;
    if (open_handle(path, true, &handle) != SQLITE_OK)
        err = cannot_open(handle, path, why, why_room);
    if (!err)
        err = migrate(handle, path, sqlite_schema, SCHEMA_VERSION, why, why_room);
    if (!err && set_up_writer(handle) != SQLITE_OK)
        err = cannot_open(handle, path, why, why_room);
    if (!err)
        err = check_handle(handle, path, why, why_room);
    sqlite3_close(handle);
    return err;
}

static enum err sqlite_open(const char *place, char *why, size_t why_room, struct store_db **ret_db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    enum err err = prepare_file(place, why, why_room);
    if (err)
        return err;
    struct sqlite *file = NEW(struct sqlite);
    file->db.driver = &store_sqlite;
    file->path = str_dup(str_from(place));
    *ret_db = &file->db;
    return OK;
}

static void sqlite_close(struct store_db *db)
{
    struct sqlite *file = (struct sqlite *)db;
    free(file->path);
    free(file);
}

static void sqlite_disconnect(struct store_conn *conn)
{
    struct sqlite_conn *sc = (struct sqlite_conn *)conn;
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(sc->statements[i]);
    forget_numbers(sc);
    free(sc->heights);
    sqlite3_close(sc->handle);
    free(sc);
}

static enum err sqlite_connect(struct store_db *db, bool writes, struct store_conn **ret_conn)
{
    struct sqlite_conn *sc = NEW(struct sqlite_conn);
    sc->conn.db = db;
    sc->file = (struct sqlite *)db;
    numbers_init(&sc->logs);
    numbers_init(&sc->peers);
    if (writes)
        sc->heights = xcalloc(HEIGHTS, sizeof *sc->heights);
    int rc = open_handle(sc->file->path, writes, &sc->handle);
    if (rc == SQLITE_OK && writes)
        rc = set_up_writer(sc->handle);
    enum err err = result(sc, rc);
    if (err) {
        sqlite_disconnect(&sc->conn);
        return err;
    }
    *ret_conn = &sc->conn;
    return OK;
}

const struct store_driver store_sqlite = {
    .scheme = "sqlite:",
    .open = sqlite_open,
    .close = sqlite_close,
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .read = sqlite_read,
    .rest = sqlite_rest,
    .newest_ms = sqlite_newest_ms,
};
