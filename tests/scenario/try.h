/* SPDX-License-Identifier: MIT */
/* What no extension of the server does and the scenarios want to see: an extension of their own. */
#ifndef SCENARIO_TRY_H
#define SCENARIO_TRY_H

struct ext;

/* The server's extensions and this one; NULL-terminated. */
const struct ext *const *try_extensions(void);

#endif
