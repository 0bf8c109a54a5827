/* SPDX-License-Identifier: MIT */
/* The list of backends, and the way from a url to one of them. A backend is named by the scheme of the url;
 * what follows is its own business. This is the only place that knows all of them: a new one is added here
 * and to the list in driver.h. */
#include "store/driver.h"

#include <stdio.h>

static const struct store_driver *const drivers[] = { &store_sqlite, &store_memory, &store_fail };

enum err store_db_open(const char *url, char *why, size_t why_room, struct store_db **ret_db)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        str scheme = str_from(drivers[i]->scheme);
        if (str_starts(str_from(url), scheme))
            return drivers[i]->open(url + scheme.len, why, why_room, ret_db);
    }
    snprintf(why, why_room, "no kind of store is called '%s': use sqlite:PATH or memory:", url);
    return ERR_UNSUPPORTED;
}
