/* SPDX-License-Identifier: MIT */
/* Heap memory that is there or the process ends: out of memory is not an error that a caller handles. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(0 [array]))

/* The structure that embeds `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Memory of `size` bytes, not cleared; never NULL. The caller frees it with free(). */
void *xmalloc(size_t size);

/* Zeroed memory for `count` objects of `size` bytes; never NULL. */
void *xcalloc(size_t count, size_t size);

/* `memory` grown or shrunk to `size` bytes; never NULL. */
void *xrealloc(void *memory, size_t size);

/* A zeroed object of a type, the caller's to free(). */
#define NEW(type) ((type *)xcalloc(1, sizeof(type)))

/* Overwrites `size` bytes in a way that the compiler keeps: for keys and passwords. */
void mem_wipe(void *memory, size_t size);

/* Whether two byte strings are equal, in time that depends on the length alone. */
int mem_equal_secret(const void *a, const void *b, size_t size);

#endif
