/* SPDX-License-Identifier: MIT */
/* The power goes: a disk that has nothing but what was synced. The places of fsync(2) and fdatasync(2) are
 * taken here; each notes what the file holds at that moment. What is noted when a commit has been answered,
 * and at each step of a checkpoint, is what a machine would find after it lost its power then: it must open,
 * be whole, and have all that was answered. Not played: writes that reached the disk though nobody asked for
 * it, and torn ones, against which SQLite has checksums. */
#include "store/testkit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { COMMITS = 110, VALUE = 180000, FILES = 2, MOMENTS_MAX = 64 };

static const struct kit_config config = { "sqlite inline", "sqlite:", true };

/* What was synced of the store's file and of its log; a moment of it is a copy. */
static const char *const names[FILES] = { "store.db", "store.db-wal" };

struct image {
    char *bytes;
    size_t len;
};

struct moment {
    struct image of[FILES];
    unsigned answered;
};

static struct {
    char folder[64]; /* "" while nobody looks */
    struct image synced[FILES];
    unsigned answered;
    struct moment moments[MOMENTS_MAX];
    size_t moment_count, before; /* of them: before the commits that are looked at */
} disk;

static struct image image_copy(const struct image *image)
{
    struct image copy = { malloc(image->len + 1), image->len };
    if (image->len)
        memcpy(copy.bytes, image->bytes, image->len);
    return copy;
}

static void note_moment(void)
{
    if (disk.moment_count == MOMENTS_MAX)
        return;
    struct moment *moment = &disk.moments[disk.moment_count++];
    moment->answered = disk.answered;
    for (size_t i = 0; i < FILES; i++)
        moment->of[i] = image_copy(&disk.synced[i]);
}

/* Returns which of the files this is; FILES: none of them. */
static size_t which(int fd)
{
    char link[32], path[160], wanted[160];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    for (size_t i = 0; i < FILES; i++) {
        snprintf(wanted, sizeof wanted, "%s/%s", disk.folder, names[i]);
        if (!strcmp(path, wanted))
            return i;
    }
    return FILES;
}

static int sync_file(int fd)
{
    struct stat info;
    size_t at = *disk.folder ? which(fd) : FILES;
    if (at == FILES || fstat(fd, &info) != 0)
        return 0;
    struct image *image = &disk.synced[at];
    image->len = (size_t)info.st_size;
    image->bytes = realloc(image->bytes, image->len + 1);
    if (pread(fd, image->bytes, image->len, 0) != info.st_size)
        abort();
    if (at == 0)
        note_moment();
    return 0;
}

/* Seen by SQLite's library, too, before those of the C library. */
__attribute__((visibility("default"))) int fsync(int fd)
{
    return sync_file(fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return sync_file(fd);
}

/* ---- After the power is back */

static void write_out(const char *folder, const char *name, const struct image *image)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->bytes, image->len), image->len);
    close(fd);
}

static char *ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    char *text = str_dup(str_from((const char *)sqlite3_column_text(stmt, 0)));
    sqlite3_finalize(stmt);
    return text;
}

static void remove_all(const char *folder)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char path[160];
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        snprintf(path, sizeof path, "%s/store.db%s", folder, ends[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void check(const struct image *images, unsigned answered)
{
    char folder[] = "/tmp/store-power-XXXXXX", path[160];
    sqlite3 *db;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < FILES; i++)
        write_out(folder, names[i], &images[i]);
    snprintf(path, sizeof path, "%s/store.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *whole = ask(db, "PRAGMA quick_check");
    char *count = ask(db, "SELECT count(*) FROM map WHERE kind = 'number'");
    assert_string_equal(whole, "ok");
    if (strtoul(count, NULL, 10) < answered)
        fail_msg("%u were answered, %s are there", answered, count);
    free(whole);
    free(count);
    sqlite3_close(db);
    remove_all(folder);
}

static void put(struct kit *kit, const char *value)
{
    char key[24];
    snprintf(key, sizeof key, "%u", disk.answered);
    assert_int_equal(kit_put(kit, "a@x", "number", key, value), OK);
    disk.answered++;
}

static void what_was_answered_outlives_the_power(void **state)
{
    struct kit *kit = *state;
    static char value[VALUE + 1];
    memset(value, 'v', VALUE);
    for (unsigned i = 0; i < COMMITS; i++) {
        put(kit, value);
        if (i % 10 == 0 || i == COMMITS - 1)
            check(disk.synced, disk.answered);
    }
    assert_true(disk.moment_count > disk.before); /* the log was taken into the file meanwhile */
    for (size_t i = 0; i < disk.moment_count; i++)
        check(disk.moments[i].of, disk.moments[i].answered);
}

static int set_up(void **state)
{
    static struct kit kit;
    kit_init(&kit, &config);
    put(&kit, "the first");
    snprintf(disk.folder, sizeof disk.folder, "%s", kit.folder);
    kit_reopen(&kit); /* takes the log into the file: what it holds is known from here on */
    disk.before = disk.moment_count;
    *state = &kit;
    return 0;
}

static int tear_down(void **state)
{
    disk.folder[0] = '\0';
    kit_fini(*state);
    for (size_t i = 0; i < FILES; i++)
        free(disk.synced[i].bytes);
    for (size_t i = 0; i < disk.moment_count; i++)
        for (size_t at = 0; at < FILES; at++)
            free(disk.moments[i].of[at].bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_answered_outlives_the_power, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
