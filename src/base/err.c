/* SPDX-License-Identifier: MIT */
/* Error codes and their words, both made from the one list in err.h. */
#include "base/err.h"

#include <errno.h>

const char *err_text(enum err err)
{
    switch (err) {
    case OK:
        return "success";
#define X(code, text)                                                                                        \
    case code:                                                                                               \
        return text;
        ERRORS(X)
#undef X
    }
    return "unknown error";
}

enum err err_from_errno(int number)
{
    switch (number) {
    case 0:
        return OK;
    case EAGAIN:
    case EINTR:
        return ERR_AGAIN;
    case EACCES:
    case EPERM:
        return ERR_PERMISSION;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
    case EADDRINUSE:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
        return ERR_FULL;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EINVAL:
        return ERR_INVALID;
    default:
        return ERR_IO;
    }
}
