/* SPDX-License-Identifier: MIT */
/* Bringing an SQLite file to the schema that this program knows. */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include "base/err.h"

#include <sqlite3.h>
#include <stddef.h>

/* Runs those of `steps` (SQL; step i leads from version i to i + 1; the version is SQLite's user_version)
 * that the database still needs, in one transaction, after a copy was made beside the file at `path`, named
 * "PATH.v<old version>.backup". A new, empty file gets all steps and no copy. On error nothing was changed
 * and `why` gets a sentence: ERR_UNSUPPORTED (written by a newer program), ERR_INVALID (not a database, or
 * not one of ours), ERR_FULL, ERR_IO. */
enum err migrate(sqlite3 *db, const char *path, const char *const *steps, int step_count, char *why,
                 size_t why_room);

/* Makes sure that the names in the folder of `path` are on disk. */
enum err migrate_sync_folder(const char *path);

#endif
