/* SPDX-License-Identifier: MIT */
/* The list of modes. */
#include "programs/jabiru-load/modes.h"

const struct mode *const modes[] = { &mode_idle,     &mode_logins, &mode_pairs,
                                     &mode_presence, &mode_ping,   &mode_rooms,
                                     &mode_pep,      &mode_mix,    NULL };

const struct mode *mode_named(const char *name)
{
    for (const struct mode *const *mode = modes; *mode; mode++)
        if (strcmp((*mode)->name, name) == 0)
            return *mode;
    return NULL;
}
