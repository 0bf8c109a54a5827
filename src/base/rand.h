/* SPDX-License-Identifier: MIT */
/* Random bytes from the kernel: the only source of randomness in the tree (tests hand in their own where a
 * protocol part takes random bytes as a parameter). */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>

/* Fills `size` bytes at `to`; ends the process when the kernel has none to give. */
void rand_bytes(void *to, size_t size);

/* Writes `size - 1` random letters and digits and a NUL to `to`: for identifiers that nobody may guess
 * (5.9 bits a character). */
void rand_token(char *to, size_t size);

#endif
