/* SPDX-License-Identifier: MIT */
/* getrandom(2), with a small pool for each thread: a token for every stream and push should not cost a system
 * call. Bytes are wiped from the pool as they are given out. */
#include "base/rand.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local struct {
    unsigned char bytes[256];
    size_t left;
} pool;

static void draw(unsigned char *to, size_t size)
{
    while (size) {
        ssize_t got = getrandom(to, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            perror("getrandom");
            abort();
        }
        to += got;
        size -= (size_t)got;
    }
}

void rand_bytes(void *to, size_t size)
{
    if (size > sizeof pool.bytes / 2) {
        draw(to, size);
        return;
    }
    if (pool.left < size) {
        draw(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    pool.left -= size;
    memcpy(to, pool.bytes + pool.left, size);
    mem_wipe(pool.bytes + pool.left, size);
}

void rand_token(char *to, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i + 1 < size;) {
        unsigned char byte;
        rand_bytes(&byte, 1);
        if (byte >= 248) /* 4 * 62: taking more would favour the first letters */
            continue;
        to[i++] = letters[byte % 62];
    }
    to[size - 1] = '\0';
}
