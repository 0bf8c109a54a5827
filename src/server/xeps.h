/* SPDX-License-Identifier: MIT */
/* What the server implements without an extension. */
#ifndef SERVER_XEPS_H
#define SERVER_XEPS_H

#include "server/ext.h"

extern const struct ext_xep server_xeps[];

#endif
