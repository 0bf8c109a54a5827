/* SPDX-License-Identifier: MIT */
/* Counted bytes. The count is atomic since the references of one payload live on several shards. */
#include "base/blob.h"

#include "base/mem.h"

#include <stdlib.h>

struct blob *blob_new(str bytes)
{
    struct blob *blob = xmalloc(sizeof *blob + bytes.len);
    atomic_init(&blob->_refs, 1);
    blob->len = bytes.len;
    if (bytes.len)
        memcpy(blob->bytes, bytes.p, bytes.len);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->_refs, 1, memory_order_relaxed);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob && atomic_fetch_sub_explicit(&blob->_refs, 1, memory_order_acq_rel) == 1)
        free(blob);
}
