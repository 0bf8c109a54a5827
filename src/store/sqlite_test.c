/* SPDX-License-Identifier: MIT */
/* What is of SQLite alone: the file, its mode and what stands beside it, migration, damage, a full disk, a
 * file that another program holds, and that queries are answered by the index that is meant for them. */
#include "store/driver.h"
#include "store/migrate.h"
#include "store/sqlite.h"
#include "store/testkit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const struct kit_config config = { "sqlite inline", "sqlite:", true };

static const char *path_of(const struct kit *kit)
{
    return kit->url + strlen("sqlite:");
}

static int set_up(void **state)
{
    struct kit *kit = NEW(struct kit);
    kit_init(kit, &config);
    *state = kit;
    return 0;
}

static int set_up_threads(void **state)
{
    static const struct kit_config threads = { "sqlite", "sqlite:", false };
    struct kit *kit = NEW(struct kit);
    kit_init(kit, &threads);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    kit_fini(*state);
    free(*state);
    return 0;
}

static sqlite3 *open_beside(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    return db;
}

/* Runs SQL in a connection of its own, as an administrator's shell does. */
static void shell(const char *path, const char *sql)
{
    sqlite3 *db = open_beside(path);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* The first column of the first row, as text on the heap. */
static char *shell_text(const char *path, const char *sql)
{
    sqlite3 *db = open_beside(path);
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    char *text = str_dup(str_from((const char *)sqlite3_column_text(stmt, 0)));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return text;
}

static void expect_text(const char *path, const char *sql, const char *expected)
{
    char *text = shell_text(path, sql);
    assert_string_equal(text, expected);
    free(text);
}

static void expect_mode(const char *path, const char *suffix)
{
    char name[160];
    struct stat info;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    assert_int_equal(stat(name, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

/* Opening is refused with this error and a sentence that has this in it. */
static void expect_refused(struct kit *kit, enum err err, const char *words)
{
    struct store *store = NULL;
    char why[300] = "";
    assert_int_equal(store_open(kit->url, kit->loop, why, sizeof why, &store), err);
    assert_non_null(strstr(why, words));
    assert_null(store);
}

static void close_store(struct kit *kit)
{
    store_close(kit->store);
    kit->store = NULL;
}

static void the_file_is_its_owners_and_readable_in_the_shell(void **state)
{
    struct kit *kit = *state;
    kit_put(kit, "a@x", "roster", "b@y", "<item name='Ann'/>");
    expect_mode(path_of(kit), "");
    expect_mode(path_of(kit), "-wal");
    expect_mode(path_of(kit), "-shm");
    expect_text(path_of(kit), "SELECT owner || kind || key || value || typeof(value) FROM map",
                "a@xrosterb@y<item name='Ann'/>text");
    expect_text(path_of(kit), "PRAGMA journal_mode", "wal");
    kit_reopen(kit);
    assert_true(kit_has(kit, "a@x", "roster", "b@y", "<item name='Ann'/>"));
}

static void the_log_beside_the_file_stays_small(void **state)
{
    struct kit *kit = *state;
    enum { ROUNDS = 200, VALUE = 256 * 1024 };
    char *value = xmalloc(VALUE + 1), name[160];
    memset(value, 'v', VALUE);
    value[VALUE] = '\0';
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(kit_put(kit, "a@x", "big", "key", value), OK);
    free(value);
    struct stat info;
    snprintf(name, sizeof name, "%s-wal", path_of(kit));
    assert_int_equal(stat(name, &info), 0);
    assert_true(info.st_size < 24 * 1024 * 1024);
}

/* ---- Migration ---- */

static const char add_column[] = "ALTER TABLE map ADD COLUMN made_up TEXT NOT NULL DEFAULT 'new'";
static const char fill_column[] = "UPDATE map SET made_up = upper(value)";

enum { NEXT = SCHEMA_VERSION + 1, AFTER = SCHEMA_VERSION + 2 };

static enum err migrate_to(const char *path, int version, const char *last_step, char why[300])
{
    const char *steps[AFTER];
    for (int i = 0; i < SCHEMA_VERSION; i++)
        steps[i] = sqlite_schema[i];
    steps[SCHEMA_VERSION] = add_column;
    steps[NEXT] = last_step;
    sqlite3 *db = open_beside(path);
    enum err err = migrate(db, path, steps, version, why, 300);
    sqlite3_close(db);
    return err;
}

static void name_backup(char to[160], const char *path)
{
    snprintf(to, 160, "%s.v%d.backup", path, SCHEMA_VERSION);
}

static void an_older_schema_is_brought_forward_after_a_backup(void **state)
{
    struct kit *kit = *state;
    char why[300] = "", backup[160];
    kit_put(kit, "a@x", "k", "key", "value");
    close_store(kit);
    name_backup(backup, path_of(kit));
    assert_int_equal(migrate_to(path_of(kit), AFTER, fill_column, why), OK);
    expect_text(path_of(kit), "SELECT made_up FROM map", "VALUE");
    expect_text(path_of(kit), "PRAGMA user_version", "5");
    expect_mode(path_of(kit), ".v3.backup");
    expect_text(backup, "SELECT value FROM map", "value");
    expect_text(backup, "PRAGMA user_version", "3");
    expect_text(backup, "SELECT count(*) FROM pragma_table_info('map') WHERE name = 'made_up'", "0");
    expect_refused(kit, ERR_UNSUPPORTED, "newer version");
    /* the backup does what it is for */
    assert_int_equal(rename(backup, path_of(kit)), 0);
    kit_reopen(kit);
    assert_true(kit_has(kit, "a@x", "k", "key", "value"));
}

static void a_step_that_fails_changes_nothing(void **state)
{
    struct kit *kit = *state;
    char why[300] = "";
    kit_put(kit, "a@x", "k", "key", "value");
    close_store(kit);
    assert_int_equal(migrate_to(path_of(kit), AFTER, "SELECT * FROM nowhere", why), ERR_IO);
    assert_non_null(strstr(why, "no such table"));
    expect_text(path_of(kit), "PRAGMA user_version", "3");
    assert_int_equal(migrate_to(path_of(kit), AFTER, fill_column, why),
                     OK); /* a backup that is there is no harm */
    expect_text(path_of(kit), "SELECT made_up FROM map", "VALUE");
}

static void without_a_backup_nothing_is_migrated(void **state)
{
    struct kit *kit = *state;
    char why[300] = "", in_the_way[170];
    close_store(kit);
    snprintf(in_the_way, sizeof in_the_way, "%s.v3.backup.part", path_of(kit));
    assert_int_equal(mkdir(in_the_way, 0700), 0);
    assert_int_equal(migrate_to(path_of(kit), NEXT, NULL, why), ERR_IO);
    assert_non_null(strstr(why, "backup"));
    assert_int_equal(rmdir(in_the_way), 0);
    expect_text(path_of(kit), "PRAGMA user_version", "3");
}

/* What a user of the first schema has: it is all there, and can be searched from now on. */
static void the_first_schema_is_brought_forward(void **state)
{
    struct kit *kit = *state;
    char sql[4096];
    close_store(kit);
    assert_int_equal(unlink(path_of(kit)), 0);
    int fd = open(path_of(kit), O_RDWR | O_CREAT, 0600);
    close(fd);
    snprintf(sql, sizeof sql,
             "%s; INSERT INTO map VALUES ('a@x', 'k', 'key', 'old'); PRAGMA user_version = 1",
             sqlite_schema[0]);
    shell(path_of(kit), sql);
    kit_reopen(kit);
    assert_true(kit_has(kit, "a@x", "k", "key", "old"));
    struct store_entry entry = { .id = 1, .value = STR("v"), .text = STR("hello") };
    struct store_batch *batch = store_batch_new();
    store_append(batch, STR("a@x"), STR("k"), &entry);
    assert_int_equal(kit_commit(kit, batch), OK);
    close_store(kit);
    expect_text(path_of(kit), "SELECT count(*) FROM search WHERE search MATCH 'hello'", "1");
    expect_text(path_of(kit), "PRAGMA user_version", "3");
}

/* Logs of the second schema: entries keep what they are, and are found by what they were found by. */
static void the_logs_of_the_second_schema_are_brought_forward(void **state)
{
    struct kit *kit = *state;
    char sql[4096];
    close_store(kit);
    assert_int_equal(unlink(path_of(kit)), 0);
    int fd = open(path_of(kit), O_RDWR | O_CREAT, 0600);
    close(fd);
    snprintf(sql, sizeof sql,
             "%s;%s; INSERT INTO log VALUES ('a@x', 'offline', 5, 1005, 'b@y', 'one'),"
             " ('a@x', 'archive', 7, 1007, 'c@y', 'two'), ('a@x', 'archive', 9, 1002, '', 'three');"
             "INSERT INTO search_entry VALUES (3, 'a@x', 'archive', 9);"
             "INSERT INTO search (rowid, place, text) VALUES (3, 'p0', 'needle'); PRAGMA user_version = 2",
             sqlite_schema[0], sqlite_schema[1]);
    shell(path_of(kit), sql);
    kit_reopen(kit);
    assert_int_equal(store_newest_ms(kit->store), 1007);
    close_store(kit);
    expect_text(path_of(kit),
                "SELECT group_concat(owner || kind || id || '-' || time || peer || value, ' ') FROM"
                " (SELECT * FROM log ORDER BY id)",
                "a@xoffline5-1005b@yone a@xarchive7-1007c@ytwo a@xarchive9-1002three");
    expect_text(path_of(kit),
                "SELECT value FROM log WHERE seq = (SELECT rowid FROM search"
                " WHERE search MATCH 'needle')",
                "three");
}

/* Nothing stays in the index of what is gone from the logs. */
static void what_is_removed_cannot_be_found(void **state)
{
    struct kit *kit = *state;
    struct store_batch *batch = store_batch_new();
    for (uint64_t id = 1; id <= 40; id++) {
        struct store_entry entry = {
            .id = id, .time_ms = (int64_t)id, .value = STR("v"), .text = STR("secret words")
        };
        str owner = id <= 10 ? STR("a@x") : id <= 20 ? STR("b@x") : id <= 30 ? STR("c@x") : STR("d@x");
        store_append(batch, owner, STR("archive"), &entry);
        store_append(batch, owner, STR("archive"), &entry);
    }
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_text(path_of(kit), "SELECT count(*) FROM search WHERE search MATCH 'secret'", "40");
    batch = store_batch_new();
    store_del_all(batch, STR("a@x"), STR(""));
    store_del_all(batch, STR("b@x"), STR("archive"));
    store_log_del(batch, STR("c@x"), STR("archive"), 1, 25);
    store_log_expire(batch, STR("d@x"), STR("archive"), 36);
    assert_int_equal(kit_commit(kit, batch), OK);
    expect_text(path_of(kit), "SELECT count(*) FROM search WHERE search MATCH 'secret'", "10");
    expect_text(path_of(kit), "SELECT count(*) FROM search_content", "10");
    expect_text(path_of(kit), "SELECT count(*) FROM log", "10");
    expect_text(path_of(kit), "SELECT count(*) FROM search", "10");
}

/* ---- What is not ours, and damage ---- */

static void another_programs_database_is_refused(void **state)
{
    struct kit *kit = *state;
    close_store(kit);
    shell(path_of(kit), "DROP TABLE map; PRAGMA user_version = 0");
    expect_refused(kit, ERR_INVALID, "another program");
}

static void overwrite(const char *path, off_t offset, size_t size, int byte)
{
    char *junk = xmalloc(size);
    memset(junk, byte, size);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, size, offset), (ssize_t)size);
    close(fd);
    free(junk);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct kit *kit = *state;
    close_store(kit);
    overwrite(path_of(kit), 0, 4096, 'x');
    expect_refused(kit, ERR_INVALID, "damaged");
}

static void a_damaged_page_is_an_error_not_an_answer(void **state)
{
    struct kit *kit = *state;
    struct kit_read read;
    for (int i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        kit_put(kit, "a@x", "k", key, "a value that takes some room on its page, so that there are many");
    }
    close_store(kit);
    overwrite(path_of(kit), 4096, 4096, 0xFF); /* the first page after the schema: the root of the map */
    char why[300];
    if (store_open(kit->url, kit->loop, why, sizeof why, &kit->store) != OK)
        return;
    kit_get(kit, "a@x", "k", "7", &read);
    assert_int_equal(read.read.err, ERR_IO);
    assert_int_equal(read.read.count, 0);
    store_read_fini(&read.read);
    assert_int_equal(kit_put(kit, "a@x", "k", "7", "new"), ERR_IO);
}

/* ---- A full disk ---- */

static int small_disk(sqlite3 *db, char **error, const void *api)
{
    (void)error, (void)api;
    return sqlite3_exec(db, "PRAGMA max_page_count = 100", NULL, NULL, NULL);
}

static void a_full_disk_is_said_and_room_is_used_again(void **state)
{
    struct kit *kit = *state;
    enum { VALUE = 10000, MANY = 100 };
    char value[VALUE + 1], key[16];
    enum err err = OK;
    int kept = 0;
    memset(value, 'v', VALUE);
    value[VALUE] = '\0';
    close_store(kit);
    sqlite3_auto_extension((void (*)(void))small_disk);
    kit_reopen(kit);
    for (; kept < MANY && !err; kept += !err) {
        snprintf(key, sizeof key, "%d", kept);
        err = kit_put(kit, "a@x", "k", key, value);
    }
    assert_int_equal(err, ERR_FULL);
    assert_true(kept > 5 && kept < 50);
    assert_true(kit_has(kit, "a@x", "k", key, NULL));
    for (int i = 0; i < kept; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_true(kit_has(kit, "a@x", "k", key, value));
    }
    struct store_batch *batch = store_batch_new();
    store_del_all(batch, STR("a@x"), STR("k"));
    assert_int_equal(kit_commit(kit, batch), OK);
    assert_int_equal(kit_put(kit, "a@x", "k", "key", value), OK);
    sqlite3_cancel_auto_extension((void (*)(void))small_disk);
}

/* One batch too large for the disk does not take the others of its group along. */
static void a_batch_that_finds_no_room_fails_alone(void **state)
{
    struct kit *kit = *state;
    enum { VALUE = 1000000 };
    char *value = xmalloc(VALUE);
    struct kit_commit commits[3];
    memset(value, 'v', VALUE);
    close_store(kit);
    sqlite3_auto_extension((void (*)(void))small_disk);
    kit_reopen(kit);
    for (int i = 0; i < 3; i++) {
        struct store_batch *batch = store_batch_new();
        store_put(batch, STR("a@x"), STR("k"),
                  i == 0   ? STR("0")
                  : i == 1 ? STR("1")
                           : STR("2"),
                  str_of(value, i == 1 ? VALUE : 10));
        kit_commit_start(kit, &commits[i], batch);
    }
    free(value);
    kit_wait(kit);
    assert_int_equal(commits[0].commit.err, OK);
    assert_int_equal(commits[1].commit.err, ERR_FULL);
    assert_int_equal(commits[2].commit.err, OK);
    assert_true(kit_has(kit, "a@x", "k", "1", NULL));
    assert_true(kit_has(kit, "a@x", "k", "2", "vvvvvvvvvv"));
    sqlite3_cancel_auto_extension((void (*)(void))small_disk);
}

/* ---- Another program at the file ---- */

static void a_shell_that_reads_is_in_nobodys_way(void **state)
{
    struct kit *kit = *state;
    kit_put(kit, "a@x", "k", "key", "old");
    sqlite3 *db = open_beside(path_of(kit));
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM map", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(kit_put(kit, "a@x", "k", "key", "new"), OK);
    assert_true(kit_has(kit, "a@x", "k", "key", "new"));
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    assert_int_equal(sqlite3_exec(db, "UPDATE map SET value = 'edited'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_true(kit_has(kit, "a@x", "k", "key", "edited"));
}

/* ---- Plans ---- */

static void no_statement_scans_a_table(void **state)
{
    struct kit *kit = *state;
    sqlite3 *db = open_beside(path_of(kit));
    for (size_t i = 0; sqlite_statements[i]; i++) {
        sqlite3_stmt *stmt;
        char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite_statements[i]);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(stmt, 3);
            bool newest = strstr(sqlite_statements[i], "ORDER BY seq DESC LIMIT 1000");
            if (strstr(detail, "SCAN map") || strstr(detail, "SCAN logs") || strstr(detail, "SCAN peers") ||
                (strstr(detail, "SCAN entries") && !newest))
                fail_msg("%s: %s", sqlite_statements[i], detail);
            if (strstr(detail, "TEMP B-TREE"))
                fail_msg("%s: %s", sqlite_statements[i], detail);
        }
        sqlite3_finalize(stmt);
        sqlite3_free(sql);
    }
    sqlite3_close(db);
}

/* Which SQLite makes for an INSERT that reads its own table, and anew for each row. */
static void no_insert_makes_a_table_in_memory(void **state)
{
    struct kit *kit = *state;
    sqlite3 *db = open_beside(path_of(kit));
    for (size_t i = 0; sqlite_statements[i]; i++) {
        sqlite3_stmt *stmt;
        char *sql = sqlite3_mprintf("EXPLAIN %s", sqlite_statements[i]);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        while (strncmp(sqlite_statements[i], "INSERT", 6) == 0 && sqlite3_step(stmt) == SQLITE_ROW)
            assert_string_not_equal(sqlite3_column_text(stmt, 1), "OpenEphemeral");
        sqlite3_finalize(stmt);
        sqlite3_free(sql);
    }
    sqlite3_close(db);
}

static atomic_uint rests;

static void counted_rest(struct store_conn *conn)
{
    store_sqlite.rest(conn);
    rests++;
}

/* The one that writes and the one that read, each once; and they work as before. */
static void connections_without_work_rest(void **state)
{
    struct kit *kit = *state;
    const struct timespec moment = { .tv_nsec = 10000000 };
    struct store_driver driver = store_sqlite;
    struct store_db *db;
    char why[256];
    store_close(kit->store);
    assert_int_equal(store_db_open(kit->url, why, sizeof why, &db), OK);
    driver.rest = counted_rest;
    db->driver = &driver;
    assert_int_equal(store_open_db(db, NULL, &kit->store), OK);
    assert_int_equal(kit_put(kit, "a@x", "k", "key", "v"), OK);
    assert_true(kit_has(kit, "a@x", "k", "key", "v"));
    for (int i = 0; i < 3000 && rests < 2; i++)
        nanosleep(&moment, NULL);
    assert_int_equal(rests, 2);
    assert_int_equal(kit_put(kit, "a@x", "k", "key", "w"), OK);
    assert_true(kit_has(kit, "a@x", "k", "key", "w"));
    store_close(kit->store);
    kit->store = NULL;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_file_is_its_owners_and_readable_in_the_shell),
        CASE(the_log_beside_the_file_stays_small),
        CASE(an_older_schema_is_brought_forward_after_a_backup),
        CASE(the_first_schema_is_brought_forward),
        CASE(the_logs_of_the_second_schema_are_brought_forward),
        CASE(what_is_removed_cannot_be_found),
        CASE(a_step_that_fails_changes_nothing),
        CASE(without_a_backup_nothing_is_migrated),
        CASE(another_programs_database_is_refused),
        CASE(a_file_that_is_no_database_is_refused),
        CASE(a_damaged_page_is_an_error_not_an_answer),
        CASE(a_full_disk_is_said_and_room_is_used_again),
        CASE(a_batch_that_finds_no_room_fails_alone),
        CASE(a_shell_that_reads_is_in_nobodys_way),
        CASE(no_statement_scans_a_table),
        CASE(no_insert_makes_a_table_in_memory),
        cmocka_unit_test_setup_teardown(connections_without_work_rest, set_up_threads, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
