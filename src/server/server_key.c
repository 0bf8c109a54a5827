/* SPDX-License-Identifier: MIT */
/* The key of tokens (fast.h): random bytes in a file of their own beside the store, so that a copy of the
 * store is of no use without it. It is written once, and is on disk before the first token is given. */
#include "server/server.h"

#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err sync_folder(const char *path)
{
    char folder[4096];
    str whole = str_from(path);
    size_t slash = str_find_last(whole, '/');
    str_copy(slash == whole.len ? STR(".") : str_sub(whole, 0, slash ? slash : 1), folder, sizeof folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = fsync(fd) == 0 ? OK : err_from_errno(errno);
    close(fd);
    return err;
}

/* Under another name first: a file that is there is whole. */
static enum err make(const char *path, const unsigned char *key, size_t size)
{
    char other[4096];
    if (snprintf(other, sizeof other, "%s.new", path) >= (int)sizeof other)
        return ERR_INVALID;
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_from_errno(errno);
    bool written = write(fd, key, size) == (ssize_t)size && fsync(fd) == 0;
    enum err err = written ? OK : ERR_IO;
    close(fd);
    if (err == OK && rename(other, path) != 0)
        err = err_from_errno(errno);
    return err == OK ? sync_folder(path) : err;
}

static enum err read_or_make(const char *path, unsigned char *key, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return make(path, key, size);
    if (fd < 0)
        return err_from_errno(errno);
    unsigned char bytes[64];
    ssize_t count = read(fd, bytes, sizeof bytes);
    close(fd);
    if (count != (ssize_t)size)
        return count < 0 ? ERR_IO : ERR_INVALID;
    memcpy(key, bytes, size);
    mem_wipe(bytes, sizeof bytes);
    return OK;
}

enum err server_read_key(struct server *server, char *why, size_t why_room)
{
    const char *path = server->config->c2s.token_key;
    enum err err = read_or_make(path, server->token_key, sizeof server->token_key);
    if (err != OK)
        snprintf(why, why_room, "c2s.token-key: %s can't be read or made: %s", path, err_text(err));
    return err;
}
