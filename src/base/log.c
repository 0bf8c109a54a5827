/* SPDX-License-Identifier: MIT */
/* One write(2) a line, so lines of several threads do not mix and none is held back in a buffer when the
 * process dies. Levels are read without a lock: they are atomic bytes, changed at reload only. */
#include "base/log.h"

#include "base/buf.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static atomic_int target = STDERR_FILENO;
static atomic_int line_format = LOG_TEXT;
static atomic_uchar levels[LOG_AREA_COUNT] = {
#define X(name) LOG_INFO,
    LOG_AREAS(X)
#undef X
};

static const char *const area_names[] = {
#define X(name) #name,
    LOG_AREAS(X)
#undef X
};
static const char *const level_names[] = { "error", "warn", "info", "debug" };

bool log_open(const char *path, enum log_format format)
{
    int fd = STDERR_FILENO;
    if (path && *path) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            return false;
    }
    int old = atomic_exchange(&target, fd);
    atomic_store(&line_format, format);
    if (old != STDERR_FILENO)
        close(old);
    return true;
}

void log_set_level(enum log_area area, enum log_level level)
{
    for (int i = 0; i < LOG_AREA_COUNT; i++)
        if (area == LOG_AREA_COUNT || (int)area == i)
            atomic_store(&levels[i], (unsigned char)level);
}

static int index_of(const char *const *names, size_t count, str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_from(names[i]), name))
            return (int)i;
    return -1;
}

int log_level_named(str name)
{
    return index_of(level_names, COUNT_OF(level_names), name);
}

int log_area_named(str name)
{
    return index_of(area_names, COUNT_OF(area_names), name);
}

bool log_wants(enum log_area area, enum log_level level)
{
    return level <= atomic_load_explicit(&levels[area], memory_order_relaxed);
}

static void add_escaped(struct buf *line, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20 || c == 0x7F)
            buf_addf(line, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            buf_addf(line, "\\%c", c);
        else
            buf_add_char(line, (char)c);
    }
}

static void add_stamp(struct buf *line)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    buf_addf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
             utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
}

void log_write(enum log_area area, enum log_level level, const char *format, ...)
{
    if (!log_wants(area, level))
        return;
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bool json = atomic_load(&line_format) == LOG_JSON;
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES * 8);
    if (json)
        buf_lit(&line, "{\"time\":\"");
    add_stamp(&line);
    buf_addf(&line,
             json ? "\",\"level\":\"%s\",\"area\":\"%s\",\"text\":\"" : " %-5s %s: ", level_names[level],
             area_names[area]);
    add_escaped(&line, str_from(text));
    buf_add(&line, json ? STR("\"}\n") : STR("\n"));
    ssize_t written = write(atomic_load(&target), line.p, line.len);
    (void)written; /* nobody is left to tell */
    buf_fini(&line);
}
