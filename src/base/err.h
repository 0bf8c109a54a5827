/* SPDX-License-Identifier: MIT */
/* The one shape of an error: a negative `enum err`; 0 is success. The list below is the only place where a
 * code and its words meet. No errno crosses a module: what the system says is translated where it is met. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERRORS(X)                                                                                            \
    X(ERR_AGAIN, "not now, try again")                                                                       \
    X(ERR_CANCELED, "canceled")                                                                              \
    X(ERR_CLOSED, "closed by the other side")                                                                \
    X(ERR_EXISTS, "exists already")                                                                          \
    X(ERR_FULL, "no room left")                                                                              \
    X(ERR_INVALID, "invalid value")                                                                          \
    X(ERR_IO, "input or output failed")                                                                      \
    X(ERR_LIMIT, "limit exceeded")                                                                           \
    X(ERR_NOT_FOUND, "not found")                                                                            \
    X(ERR_PERMISSION, "not permitted")                                                                       \
    X(ERR_REFUSED, "refused")                                                                                \
    X(ERR_SYNTAX, "malformed")                                                                               \
    X(ERR_TIMEOUT, "timed out")                                                                              \
    X(ERR_TLS, "TLS failed")                                                                                 \
    X(ERR_UNSUPPORTED, "not supported")

enum err_index {
#define X(code, text) code##_INDEX,
    ERRORS(X)
#undef X
};

enum err {
    OK = 0,
#define X(code, text) code = -(code##_INDEX + 1),
    ERRORS(X)
#undef X
};

/* The words for a code, for people; never NULL. */
const char *err_text(enum err err);

/* The code nearest to a system errno value (positive). */
enum err err_from_errno(int number);

#endif
