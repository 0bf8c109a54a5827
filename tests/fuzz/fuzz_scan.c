/* SPDX-License-Identifier: MIT */
/* Any bytes as a stream: the scanner, fed whole and in pieces, and expat are of one mind, and the cursor sees
 * in each element what expat reports of it. */
#include "xml/oracle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str input = str_of((const char *)data, size);
    if (size && (!oracle_agrees(input, size, 1) || !oracle_agrees(input, 1 + size / 3, 1)))
        abort();
    return 0;
}
