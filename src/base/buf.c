/* SPDX-License-Identifier: MIT */
/* The byte builder. Doubles its memory; the maximum is the caller's promise about the worst case. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){ ._max = max };
}

void buf_fini(struct buf *buf)
{
    free(buf->p);
    buf_init(buf, buf->_max);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->_failed = false;
}

static void grow(struct buf *buf, size_t needed)
{
    size_t room = buf->_room ? buf->_room : 128;
    while (room < needed)
        room *= 2;
    if (room > buf->_max)
        room = buf->_max;
    buf->p = xrealloc(buf->p, room);
    buf->_room = room;
}

bool buf_reserve(struct buf *buf, size_t more)
{
    if (buf->_room - buf->len >= more)
        return true;
    if (more > buf->_max - buf->len) {
        buf->_failed = true;
        return false;
    }
    grow(buf, buf->len + more);
    return true;
}

void buf_add(struct buf *buf, str s)
{
    if (!s.len || !buf_reserve(buf, s.len))
        return;
    memcpy(buf->p + buf->len, s.p, s.len);
    buf->len += s.len;
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, str_of(&c, 1));
}

void buf_addf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (buf_reserve(buf, (size_t)length + 1)) {
        vsnprintf(buf->p + buf->len, (size_t)length + 1, format, again);
        buf->len += (size_t)length;
    }
    va_end(again);
}

void buf_consume(struct buf *buf, size_t count)
{
    if (count > buf->len)
        count = buf->len;
    buf->len -= count;
    if (buf->len && count)
        memmove(buf->p, buf->p + count, buf->len);
}

char *buf_take(struct buf *buf)
{
    char *text = xrealloc(buf->p, buf->len + 1);
    text[buf->len] = '\0';
    buf_init(buf, buf->_max);
    return text;
}
