/* SPDX-License-Identifier: MIT */
/* The extensions that are built in: a new one is a file and a line here. */
#include "extensions/list.h"

#include "server/ext.h"

/* clang-format off */
#define EXTENSIONS(X) \
    X(disco)          \
    X(ping)           \
    X(version)        \
    X(last)           \
    X(time)           \
    X(privilege)      \
    X(delegation)
/* clang-format on */

#define X(name) extern const struct ext ext_##name;
EXTENSIONS(X)
#undef X

#define X(name) &ext_##name,
const struct ext *const extension_list[] = { EXTENSIONS(X) NULL };
#undef X
