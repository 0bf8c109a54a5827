/* SPDX-License-Identifier: MIT */
/* Objects of one size for one thread, from pages that are shared by many: no header an object, no lock. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

struct slab_page;

struct slab {
    size_t _object_size;
    struct slab_page *_pages;
    void *_free;
    size_t in_use; /* objects given out and not yet back */
};

/* A pool of objects of `object_size` bytes; allocates nothing yet. Use it from one thread only. */
void slab_init(struct slab *slab, size_t object_size);

/* Frees all pages. Objects still given out become invalid. */
void slab_fini(struct slab *slab);

/* A zeroed object; never NULL. */
void *slab_alloc(struct slab *slab);

/* Gives an object back to the pool that it came from. NULL is allowed. */
void slab_free(struct slab *slab, void *object);

#endif
