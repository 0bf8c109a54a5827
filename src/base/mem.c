/* SPDX-License-Identifier: MIT */
/* Allocation that cannot fail, and the two operations that secrets need: wiping, and comparison in constant
 * time. A server that has no memory left can keep no promise; it says so and stops, and the store's log makes
 * the restart whole. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
    if (memory || !size)
        return memory;
    fprintf(stderr, "out of memory (%zu bytes)\n", size);
    abort();
}

void *xmalloc(size_t size)
{
    return checked(malloc(size), size);
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count, size), count * size);
}

void *xrealloc(void *memory, size_t size)
{
    return checked(realloc(memory, size), size);
}

void mem_wipe(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}

int mem_equal_secret(const void *a, const void *b, size_t size)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned char difference = 0;
    for (size_t i = 0; i < size; i++)
        difference |= x[i] ^ y[i];
    return difference == 0;
}
