/* SPDX-License-Identifier: MIT */
/* The administrator's door: a local socket that jabiructl talks to.
 *
 * A request is a line with the command and its words, further lines where the command needs them (a
 * password), and an empty line. The answer is text, then a line "ok" or "error: ...", then the end of the
 * connection. The socket's file is readable and writable by its owner only. */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include "server/server.h"

struct control;

/* What only the program can do. Called on the first shard's thread. */
struct control_calls {
    enum err (*reload)(char *why, size_t why_room); /* reads the configuration again and applies it */
    void (*stop)(void);                             /* begins an orderly stop */
};

/* Listens on `path` (a socket left over there is replaced), served by the first shard. To be called before
 * the loops run. */
enum err control_open(struct server *server, const char *path, const struct control_calls *calls,
                      struct control **ret);

/* Closes; the loops have stopped. NULL is allowed. */
void control_close(struct control *control);

#endif
