/* SPDX-License-Identifier: MIT */
/* The gathering of a commit's writes, on a disk that counts them and fails as told: the place of pwrite(2) in
 * SQLite is taken. */
#include "store/wal_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 500, ROW = 1000 }; /* some 125 pages */

static struct {
    int writes;  /* so far */
    int fail_at; /* the number of the write that fails; 0: none does */
} disk;

static ssize_t counted_write(int fd, const void *bytes, size_t len, off_t at)
{
    if (++disk.writes == disk.fail_at) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, bytes, len, at);
}

static void take_writes(sqlite3_syscall_ptr with)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    vfs->xSetSystemCall(vfs, "pwrite", with);
    vfs->xSetSystemCall(vfs, "pwrite64", with);
    disk.writes = disk.fail_at = 0;
}

struct base {
    char folder[64], path[80];
    sqlite3 *db;     /* gathers */
    sqlite3 *beside; /* another program's */
};

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static sqlite3 *open_base(const char *path, const char *vfs)
{
    sqlite3 *db;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_int_equal(sqlite3_open_v2(path, &db, flags, vfs), SQLITE_OK);
    assert_int_equal(run(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = full;"
                             "PRAGMA wal_autocheckpoint = 0"),
                     SQLITE_OK);
    return db;
}

static int set_up(void **state)
{
    struct base *base = calloc(1, sizeof *base);
    snprintf(base->folder, sizeof base->folder, "/tmp/wal-file.XXXXXX");
    assert_non_null(mkdtemp(base->folder));
    snprintf(base->path, sizeof base->path, "%s/db", base->folder);
    base->db = open_base(base->path, wal_file_vfs());
    assert_int_equal(run(base->db, "CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)"), SQLITE_OK);
    base->beside = open_base(base->path, NULL);
    *state = base;
    return 0;
}

static int tear_down(void **state)
{
    struct base *base = *state;
    take_writes(NULL);
    sqlite3_close(base->db);
    sqlite3_close(base->beside);
    unlink(base->path);
    rmdir(base->folder);
    free(base);
    return 0;
}

static int commit(sqlite3 *db)
{
    wal_file_gather(db, true);
    int rc = run(db, "COMMIT");
    wal_file_gather(db, false);
    return rc;
}

/* Begins a transaction of ROWS rows, which is not committed. */
static int begin_many(sqlite3 *db)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE; INSERT INTO t (text) WITH RECURSIVE n (i) AS"
             " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT hex(zeroblob(%d)) FROM n",
             ROWS, ROW / 2);
    return run(db, sql);
}

static int add_many(sqlite3 *db)
{
    int rc = begin_many(db);
    return rc == SQLITE_OK ? commit(db) : rc;
}

static void roll_back(sqlite3 *db)
{
    if (!sqlite3_get_autocommit(db))
        assert_int_equal(run(db, "ROLLBACK"), SQLITE_OK);
}

static void expect(sqlite3 *db, const char *sql, const char *text)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(stmt, 0), text);
    sqlite3_finalize(stmt);
}

static void expect_rows(const struct base *base, int rows)
{
    char text[16];
    snprintf(text, sizeof text, "%d", rows);
    expect(base->beside, "SELECT count(*) FROM t", text);
    expect(base->db, "SELECT count(*) FROM t", text);
    expect(base->beside, "PRAGMA integrity_check", "ok");
}

static void a_commit_of_many_pages_is_few_writes_and_seen_by_others(void **state)
{
    struct base *base = *state;
    assert_int_equal(begin_many(base->db), SQLITE_OK);
    take_writes((sqlite3_syscall_ptr)counted_write);
    assert_int_equal(commit(base->db), SQLITE_OK);
    assert_in_range(disk.writes, 2, 10);
    expect_rows(base, ROWS);
}

static void what_does_not_fit_in_memory_is_read_back_and_undone(void **state)
{
    struct base *base = *state;
    assert_int_equal(run(base->db, "PRAGMA cache_size = 10"), SQLITE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(begin_many(base->db), SQLITE_OK);
        assert_int_equal(run(base->db, "SAVEPOINT s; UPDATE t SET text = 'short'; ROLLBACK TO s;"
                                       "UPDATE t SET text = text || n; DELETE FROM t WHERE n > 500"),
                         SQLITE_OK);
        assert_int_equal(commit(base->db), SQLITE_OK);
    }
    expect_rows(base, ROWS);
    expect(base->beside, "SELECT length(text) FROM t WHERE n = 7", "1003");
}

static void the_log_begins_anew_and_grows_again(void **state)
{
    struct base *base = *state;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(add_many(base->db), SQLITE_OK);
        assert_int_equal(run(base->db, "PRAGMA wal_checkpoint(RESTART)"), SQLITE_OK);
        expect_rows(base, i * ROWS);
    }
}

/* Whichever write fails: the commit says so, what was there stays, and another program's rows and the next
 * commit stand beside it unharmed. */
static void a_commit_whose_write_fails_leaves_nothing_behind(void **state)
{
    struct base *base = *state;
    int rows = 0, failures = 0;
    for (int fail_at = 1; failures == fail_at - 1; fail_at++) {
        assert_int_equal(begin_many(base->db), SQLITE_OK);
        take_writes((sqlite3_syscall_ptr)counted_write);
        disk.fail_at = fail_at;
        int rc = commit(base->db);
        take_writes(NULL);
        failures += rc == SQLITE_FULL;
        assert_true(rc == SQLITE_OK || rc == SQLITE_FULL);
        rows += rc == SQLITE_OK ? ROWS : 0;
        roll_back(base->db);
        expect_rows(base, rows);
        assert_int_equal(run(base->beside, "INSERT INTO t (text) VALUES ('from beside')"), SQLITE_OK);
        assert_int_equal(add_many(base->db), SQLITE_OK);
        rows += 1 + ROWS;
        expect_rows(base, rows);
    }
    assert_true(failures > 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_commit_of_many_pages_is_few_writes_and_seen_by_others),
        CASE(what_does_not_fit_in_memory_is_read_back_and_undone),
        CASE(the_log_begins_anew_and_grows_again),
        CASE(a_commit_whose_write_fails_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
