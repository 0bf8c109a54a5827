/* SPDX-License-Identifier: MIT */
/* The list of blocked addresses, for extensions that show it in other words. */
#ifndef EXTENSIONS_BLOCKING_H
#define EXTENSIONS_BLOCKING_H

#include "server/ext.h"

struct blocklist {
    char **items; /* JIDs in normal form, sorted by bytes */
    uint32_t count;
};

/* The user's list; the user is ready. */
const struct blocklist *blocking_list(struct user *user);

#endif
