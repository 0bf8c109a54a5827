/* SPDX-License-Identifier: MIT */
/* Free list over pages of about 16 KiB. Pages are kept until the pool ends: what was needed once at peak is
 * needed again. Under AddressSanitizer each object is its own heap object instead, so that use after free is
 * seen. */
#include "base/slab.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_SIZE = 16 * 1024, ALIGN = 16 };

#if defined(__SANITIZE_ADDRESS__)
#define PLAIN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIN_HEAP 1
#endif
#endif
#ifndef PLAIN_HEAP
#define PLAIN_HEAP 0
#endif

struct slab_page {
    struct slab_page *next;
    _Alignas(ALIGN) char bytes[];
};

struct free_object {
    struct free_object *next;
};

void slab_init(struct slab *slab, size_t object_size)
{
    object_size = (object_size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    *slab = (struct slab){ ._object_size = object_size };
}

void slab_fini(struct slab *slab)
{
    while (slab->_pages) {
        struct slab_page *next = slab->_pages->next;
        free(slab->_pages);
        slab->_pages = next;
    }
    slab_init(slab, slab->_object_size);
}

static void add_page(struct slab *slab)
{
    size_t count = PAGE_SIZE / slab->_object_size;
    if (count < 8)
        count = 8;
    struct slab_page *page = xmalloc(sizeof *page + count * slab->_object_size);
    page->next = slab->_pages;
    slab->_pages = page;
    for (size_t i = count; i-- > 0;) {
        struct free_object *object = (void *)(page->bytes + i * slab->_object_size);
        object->next = slab->_free;
        slab->_free = object;
    }
}

void *slab_alloc(struct slab *slab)
{
    slab->in_use++;
    if (PLAIN_HEAP)
        return xcalloc(1, slab->_object_size);
    if (!slab->_free)
        add_page(slab);
    struct free_object *object = slab->_free;
    slab->_free = object->next;
    return memset(object, 0, slab->_object_size);
}

void slab_free(struct slab *slab, void *memory)
{
    if (!memory)
        return;
    slab->in_use--;
    if (PLAIN_HEAP) {
        free(memory);
        return;
    }
    struct free_object *object = memory;
    object->next = slab->_free;
    slab->_free = object;
}
