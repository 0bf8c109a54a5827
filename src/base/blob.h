/* SPDX-License-Identifier: MIT */
/* Bytes that are shared and counted: a payload that goes to many receivers, on any thread. Unchangeable once
 * made. */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/str.h"

#include <stdatomic.h>

struct blob {
    atomic_uint _refs;
    size_t len;
    char bytes[];
};

/* A copy of `bytes` with one reference, the caller's. */
struct blob *blob_new(str bytes);

struct blob *blob_ref(struct blob *blob);

/* Gives a reference back; the last one frees. NULL is allowed. */
void blob_unref(struct blob *blob);

static inline str blob_str(const struct blob *blob)
{
    return str_of(blob->bytes, blob->len);
}

#endif
