/* SPDX-License-Identifier: MIT */
/* The one list of the extensions that are built in. Handlers and stream features come in this order. */
#ifndef EXTENSIONS_LIST_H
#define EXTENSIONS_LIST_H

struct ext;

extern const struct ext *const extension_list[]; /* NULL-terminated */

#endif
