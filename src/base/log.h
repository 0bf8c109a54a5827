/* SPDX-License-Identifier: MIT */
/* The log: one line an event, to standard error or a file, as text or JSON, with a level for each area.
 * Never hand a secret, a SASL payload or a stanza's content to it: names and addresses only. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_AREAS(X)                                                                                         \
    X(main)                                                                                                  \
    X(config) X(net) X(tls) X(c2s) X(s2s) X(auth) X(router) X(user) X(store) X(control) X(component) X(ext)

enum log_area {
#define X(name) LOG_##name,
    LOG_AREAS(X)
#undef X
        LOG_AREA_COUNT
};

enum log_format { LOG_TEXT, LOG_JSON };

/* Where and how lines are written; `path` NULL or "" is standard error. Call before threads start, or from
 * one thread at a reload. Returns false when the file can't be opened (the old target stays). */
bool log_open(const char *path, enum log_format format);

/* Sets the level of one area, or of all with LOG_AREA_COUNT. */
void log_set_level(enum log_area area, enum log_level level);

/* The level (LOG_ERROR..LOG_DEBUG) or the area of a name; -1 when there is none. */
int log_level_named(str name);
int log_area_named(str name);

/* Whether a line of this area and level would be written. */
bool log_wants(enum log_area area, enum log_level level);

/* Writes a line. Control characters in it are escaped, so no peer can forge a line of ours. */
void log_write(enum log_area area, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(area, ...) log_write(LOG_##area, LOG_ERROR, __VA_ARGS__)
#define log_warn(area, ...)  log_write(LOG_##area, LOG_WARN, __VA_ARGS__)
#define log_info(area, ...)  log_write(LOG_##area, LOG_INFO, __VA_ARGS__)
#define log_debug(area, ...)                                                                                 \
    do {                                                                                                     \
        if (log_wants(LOG_##area, LOG_DEBUG))                                                                \
            log_write(LOG_##area, LOG_DEBUG, __VA_ARGS__);                                                   \
    } while (0)

#endif
