/* SPDX-License-Identifier: MIT */
/* Schema versions of an SQLite file only go forward, one step after the other, all in one transaction: a
 * machine that stops in between finds the old version. The copy is made first, by VACUUM INTO (which reads
 * one state of the database, with what is still in the write-ahead log), under another name, and gets its own
 * name when it is whole and on disk; so a copy that is there can be trusted, and one of an earlier try is
 * replaced.
 *
 * It does not go back: that is what the copy is for. */
#include "store/migrate.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The first column of the first row of a query, as a number. */
static int query_int(sqlite3 *db, const char *sql, int *ret)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static enum err explain(sqlite3 *db, const char *path, const char *doing, char *why, size_t why_room)
{
    int code = sqlite3_errcode(db);
    snprintf(why, why_room, "%s '%s' failed: %s", doing, path, sqlite3_errmsg(db));
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
        snprintf(why, why_room, "'%s' is no SQLite database or is damaged: put a backup in its place (%s)",
                 path, sqlite3_errmsg(db));
        return ERR_INVALID;
    }
    return code == SQLITE_FULL ? ERR_FULL : ERR_IO;
}

static enum err explain_file(const char *path, char *why, size_t why_room)
{
    enum err err = err_from_errno(errno);
    snprintf(why, why_room, "the backup '%s' cannot be written: %s", path, err_text(err));
    return err == ERR_FULL ? ERR_FULL : ERR_IO;
}

enum err migrate_sync_folder(const char *path)
{
    str folder = str_sub(str_from(path), 0, str_find_last(str_from(path), '/'));
    char *name = str_find(str_from(path), '/') == strlen(path) ? str_dup(STR("."))
                 : folder.len                                  ? str_dup(folder)
                                                               : str_dup(STR("/"));
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = fd < 0 || fsync(fd) < 0 ? err_from_errno(errno) : OK;
    if (fd >= 0)
        close(fd);
    free(name);
    return err;
}

static bool sync_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return done;
}

/* VACUUM INTO takes a file that is there when it is empty: made here, so that only its owner may read it. */
static bool make_empty(const char *path)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 && close(fd) == 0;
}

static enum err copy_to(sqlite3 *db, const char *part, const char *name, char *why, size_t why_room)
{
    if (!make_empty(part))
        return explain_file(part, why, why_room);
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", part);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) {
        enum err err = explain(db, part, "the backup to", why, why_room);
        unlink(part);
        return err;
    }
    if (!sync_file(part) || rename(part, name) < 0 || migrate_sync_folder(name) != OK)
        return explain_file(name, why, why_room);
    return OK;
}

static enum err back_up(sqlite3 *db, const char *path, int version, char *why, size_t why_room)
{
    char *name = sqlite3_mprintf("%s.v%d.backup", path, version);
    char *part = sqlite3_mprintf("%s.part", name);
    enum err err = copy_to(db, part, name, why, why_room);
    if (!err)
        log_info(store, "schema %d of '%s' was copied to '%s'", version, path, name);
    sqlite3_free(part);
    sqlite3_free(name);
    return err;
}

static int run_steps(sqlite3 *db, const char *const *steps, int from, int to)
{
    char version_sql[64];
    snprintf(version_sql, sizeof version_sql, "PRAGMA user_version = %d", to);
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (int i = from; i < to && rc == SQLITE_OK; i++)
        rc = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, version_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return rc;
}

enum err migrate(sqlite3 *db, const char *path, const char *const *steps, int step_count, char *why,
                 size_t why_room)
{
    int version = 0, tables = 0;
    if (query_int(db, "PRAGMA user_version", &version) != SQLITE_OK ||
        query_int(db, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK)
        return explain(db, path, "opening", why, why_room);
    if (version == step_count)
        return OK;
    if (version > step_count) {
        snprintf(why, why_room,
                 "'%s' was written by a newer version of the program (schema %d; this one knows %d): "
                 "install that version, or put the backup of schema %d in its place",
                 path, version, step_count, step_count);
        return ERR_UNSUPPORTED;
    }
    if (version < 0 || (version == 0 && tables > 0)) {
        snprintf(why, why_room, "'%s' is a database of another program", path);
        return ERR_INVALID;
    }
    enum err err = version ? back_up(db, path, version, why, why_room) : OK;
    if (err || run_steps(db, steps, version, step_count) == SQLITE_OK)
        return err;
    err = explain(db, path, "bringing the schema forward of", why, why_room);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}
