/* SPDX-License-Identifier: MIT */
#include "extensions/list.h"

#include "server/ext.h"

#define X(name) extern const struct ext ext_##name;
#include "extensions/list.def"
#undef X

#define X(name) &ext_##name,
const struct ext *const extension_list[] = {
#include "extensions/list.def"
    NULL
};
#undef X
