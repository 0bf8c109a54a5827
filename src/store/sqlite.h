/* SPDX-License-Identifier: MIT */
/* The schema of the SQLite backend, as migrate() takes it, and the statements that work on it. Shown for the
 * tests of migration and of query plans. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

enum { SCHEMA_VERSION = 3 }; /* what this program writes */

extern const char *const sqlite_schema[SCHEMA_VERSION];
extern const char *const sqlite_statements[]; /* ended by NULL */

#endif
