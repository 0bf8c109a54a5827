/* SPDX-License-Identifier: MIT */
/* The server's control socket, from outside. */
#ifndef JABIRUCTL_DOOR_H
#define JABIRUCTL_DOOR_H

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_SERVER = 3 };

/* Connects; on failure says why on standard error and returns -1. */
int door_connect(const char *path);

bool door_write(int fd, const char *bytes, size_t length);

#endif
