/* SPDX-License-Identifier: MIT */
/* A commit is, to SQLite, two writes for each page that it has changed: the head of a frame and the page. All
 * of them follow one another in the file. A commit of archives changes hundreds of pages, and so many calls
 * cost more than all that SQLite does for it. Here they are gathered, and written when there is no more room,
 * when the gathered part is read, and before the file is synced.
 *
 * Why nothing is risked: with synchronous=FULL the frames of a commit, and a header that begins the log anew,
 * are synced before any other connection is told of them. When what was gathered cannot be written, the call
 * that found out fails, and with it the commit; what then is left is dropped. Outside of a commit every call
 * goes through as it comes, so nothing is held over the end of a transaction, when another program may
 * write. */
#include "store/wal_file.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { GATHERED_MAX = 120 * 1024 }; /* more than 131,071 bytes at once SQLite does not write */

struct wal_file {
    sqlite3_file file;  /* what SQLite sees */
    sqlite3_file *real; /* stands behind this struct */
    bool gathers;
    sqlite3_int64 at;        /* where the gathered bytes belong */
    int len;                 /* how many they are */
    unsigned char *gathered; /* GATHERED_MAX of room; NULL before the first commit */
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
} gathering;

static struct wal_file *wal_of(sqlite3_file *file)
{
    return (struct wal_file *)file;
}

static int flush(struct wal_file *wal)
{
    int len = wal->len;
    wal->len = 0; /* also when it fails: its transaction is lost */
    return len ? wal->real->pMethods->xWrite(wal->real, wal->gathered, len, wal->at) : SQLITE_OK;
}

static int wal_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct wal_file *wal = wal_of(file);
    bool follows = at == wal->at + wal->len && len <= GATHERED_MAX - wal->len;
    int rc = follows ? SQLITE_OK : flush(wal);
    if (rc != SQLITE_OK)
        return rc;
    if (!wal->gathers || len > GATHERED_MAX)
        return wal->real->pMethods->xWrite(wal->real, bytes, len, at);
    if (!wal->len)
        wal->at = at;
    memcpy(wal->gathered + wal->len, bytes, (size_t)len);
    wal->len += len;
    return SQLITE_OK;
}

static int wal_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    struct wal_file *wal = wal_of(file);
    bool is_gathered = at < wal->at + wal->len && wal->at < at + len;
    int rc = is_gathered ? flush(wal) : SQLITE_OK;
    return rc == SQLITE_OK ? wal->real->pMethods->xRead(wal->real, to, len, at) : rc;
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct wal_file *wal = wal_of(file);
    int rc = flush(wal);
    return rc == SQLITE_OK ? wal->real->pMethods->xTruncate(wal->real, size) : rc;
}

static int wal_sync(sqlite3_file *file, int flags)
{
    struct wal_file *wal = wal_of(file);
    int rc = flush(wal);
    return rc == SQLITE_OK ? wal->real->pMethods->xSync(wal->real, flags) : rc;
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    struct wal_file *wal = wal_of(file);
    int rc = flush(wal);
    return rc == SQLITE_OK ? wal->real->pMethods->xFileSize(wal->real, ret) : rc;
}

static int wal_control(sqlite3_file *file, int op, void *arg)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xFileControl(wal->real, op, arg);
}

static int wal_sector_size(sqlite3_file *file)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xSectorSize(wal->real);
}

static int wal_device(sqlite3_file *file)
{
    struct wal_file *wal = wal_of(file);
    return wal->real->pMethods->xDeviceCharacteristics(wal->real);
}

static int wal_close(sqlite3_file *file)
{
    struct wal_file *wal = wal_of(file);
    free(wal->gathered);
    return wal->real->pMethods->xClose(wal->real);
}

/* Locks are taken on the database's file alone. */
static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_size,
    .xDeviceCharacteristics = wal_device,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    sqlite3_vfs *real = gathering.real;
    struct wal_file *wal = wal_of(file);
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return real->xOpen(real, name, file, flags, ret_flags);
    *wal = (struct wal_file){ .real = (sqlite3_file *)(wal + 1) };
    int rc = real->xOpen(real, name, wal->real, flags, ret_flags);
    if (wal->real->pMethods) /* it is to be closed then, also after an error */
        wal->file.pMethods = &wal_methods;
    return rc;
}

static void register_vfs(void)
{
    gathering.real = sqlite3_vfs_find(NULL);
    gathering.vfs = *gathering.real;
    gathering.vfs.zName = "gathering";
    gathering.vfs.pNext = NULL;
    gathering.vfs.szOsFile += (int)sizeof(struct wal_file);
    gathering.vfs.xOpen = open_file;
    sqlite3_vfs_register(&gathering.vfs, 0);
}

const char *wal_file_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_vfs);
    return gathering.vfs.zName;
}

void wal_file_gather(sqlite3 *db, bool gather)
{
    sqlite3_file *file = NULL;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (!file || file->pMethods != &wal_methods)
        return;
    struct wal_file *wal = wal_of(file);
    if (!wal->gathered)
        wal->gathered = xmalloc(GATHERED_MAX);
    wal->gathers = gather;
    wal->len = 0;
}
