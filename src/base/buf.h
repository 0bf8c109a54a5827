/* SPDX-License-Identifier: MIT */
/* A builder of bytes: grows on the heap up to a maximum that is given at birth. An append that would pass it
 * changes nothing and sets a flag that stays: check buf_failed() once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    char *p;      /* the bytes; NULL while nothing was appended */
    size_t len;   /* bytes in use */
    size_t _room; /* bytes allocated */
    size_t _max;
    bool _failed;
};

/* An empty builder that never holds more than `max` bytes. Allocates nothing yet. */
void buf_init(struct buf *buf, size_t max);

/* Frees the bytes; the builder is empty again and keeps its maximum. */
void buf_fini(struct buf *buf);

/* Empties it, keeps the memory, forgets a failure. */
void buf_clear(struct buf *buf);

/* Makes sure that `more` bytes can be written at buf->p + buf->len; false (and failed) when that passes the
 * maximum. */
bool buf_reserve(struct buf *buf, size_t more);

void buf_add(struct buf *buf, str s);
void buf_add_char(struct buf *buf, char c);
void buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Removes the first `count` bytes (at most all). */
void buf_consume(struct buf *buf, size_t count);

/* What was built; valid until the next change. */
static inline str buf_str(const struct buf *buf)
{
    return str_of(buf->p, buf->len);
}

static inline bool buf_failed(const struct buf *buf)
{
    return buf->_failed;
}

/* Gives the bytes away as a NUL-terminated heap string (the caller frees it); the builder is empty
 * afterwards. */
char *buf_take(struct buf *buf);

#define buf_lit(buf, literal) buf_add((buf), STR(literal))

#endif
