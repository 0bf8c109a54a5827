/* SPDX-License-Identifier: MIT */
/* Any bytes: what they are encoded to decodes to them, and whatever can be decoded has no other spelling. */
#include "base/base64.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    str input = str_of((const char *)data, size), bytes;
    arena_init(&arena, 4096);
    if (base64_decode(&arena, input, &bytes) && !str_eq(base64_encode_arena(&arena, bytes), input))
        abort();
    if (!base64_decode(&arena, base64_encode_arena(&arena, input), &bytes) || !str_eq(bytes, input))
        abort();
    arena_fini(&arena);
    return 0;
}
