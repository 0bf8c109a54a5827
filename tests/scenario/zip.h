/* SPDX-License-Identifier: MIT */
/* A client's end of a compressed stream (XEP-0138): zlib by itself, none of the server's code. */
#ifndef SCENARIO_ZIP_H
#define SCENARIO_ZIP_H

#include "base/buf.h"

struct zip;

struct zip *zip_new(void);
void zip_free(struct zip *zip); /* NULL is allowed */

/* Adds what these bytes become. */
void zip_deflate(struct zip *zip, str bytes, struct buf *out);
bool zip_inflate(struct zip *zip, str bytes, struct buf *out); /* false: that is no zlib stream */

#endif
