/* SPDX-License-Identifier: MIT */
/* How the store's writer reaches the write-ahead log of SQLite: a commit in few system calls. */
#ifndef STORE_WAL_FILE_H
#define STORE_WAL_FILE_H

#include <sqlite3.h>
#include <stdbool.h>

/* The name of a VFS for sqlite3_open_v2(), which differs from the default one in the files of write-ahead
 * logs alone. Registered when first asked for; on any thread. */
const char *wal_file_vfs(void);

/* For the time of a COMMIT with synchronous=FULL, and no longer: what is written to the log is gathered. */
void wal_file_gather(sqlite3 *db, bool gather);

#endif
