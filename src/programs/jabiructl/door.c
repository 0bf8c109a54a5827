/* SPDX-License-Identifier: MIT */
/* The socket that jabirud listens on for its administrator (server/control.h has the protocol): one request a
 * connection. */
#include "door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return errno = ENAMETOOLONG, -1;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int door_connect(const char *path)
{
    int fd = connect_to(path);
    if (fd < 0)
        fprintf(stderr, "jabiructl: can't reach the server at %s: %s; is it running, and are you its user?\n",
                path, strerror(errno));
    return fd;
}

bool door_write(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t wrote = send(fd, bytes, length, MSG_NOSIGNAL);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        bytes += wrote;
        length -= (size_t)wrote;
    }
    return true;
}
