/* SPDX-License-Identifier: MIT */
/* The memory of the whole process (`limits.memory`). Five times a second what is allocated is compared with
 * it. While it is too much, whoever wants to log in is refused with resource-constraint, and those for whom
 * most is kept (output that they do not read, stanzas that they do not acknowledge, an element that they do
 * not end) are ended, the greediest first, until what they held makes up for it. Who holds little is never
 * touched. And when much that was allocated is free again, it is given back to the kernel.
 *
 * It looks at the real allocator and the real machine, so simulations have none. */
#ifndef SERVER_BUDGET_H
#define SERVER_BUDGET_H

#include <stddef.h>

struct budget;
struct server;

/* On shard 0, before its loop runs. */
struct budget *budget_start(struct server *server);

/* After the loops have stopped, and before they are freed. NULL is allowed. */
void budget_free(struct budget *budget);

/* Bytes that the process has allocated, and how many it may; any thread. */
size_t budget_used(void);
size_t budget_limit(const struct server *server);

#endif
