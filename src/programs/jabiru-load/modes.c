/* SPDX-License-Identifier: MIT */
/* The list of modes, and the one of them that does nothing. */
#include "programs/jabiru-load/modes.h"

const struct mode mode_idle = {
    .name = "idle",
    .help = "log in and hold the sessions",
    .unit = "stanzas",
    .holds = true,
    .with_presence = true,
};

const struct mode *const modes[] = { &mode_idle, &mode_logins, &mode_pairs, &mode_presence,
                                     &mode_ping, &mode_rooms,  NULL };

const struct mode *mode_named(const char *name)
{
    for (const struct mode *const *mode = modes; *mode; mode++)
        if (strcmp((*mode)->name, name) == 0)
            return *mode;
    return NULL;
}
