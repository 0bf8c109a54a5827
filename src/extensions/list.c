/* SPDX-License-Identifier: MIT */
/* The extensions that are built in: a new one is a file and two lines here. */
#include "extensions/list.h"

#include "server/ext.h"

extern const struct ext ext_disco, ext_ping, ext_version, ext_last, ext_time;

const struct ext *const extension_list[] = {
    &ext_disco, &ext_ping, &ext_version, &ext_last, &ext_time, NULL,
};
