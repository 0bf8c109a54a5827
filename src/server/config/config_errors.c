/* SPDX-License-Identifier: MIT */
/* The list of what is wrong with a configuration: bounded, in the order of lines, each error once, because
 * the reader may pass the same line several times. Control characters of the file do not reach the terminal
 * of whoever reads the list. */
#include "server/config/config.h"

#include <stdarg.h>

enum { ERROR_MAX = 400 };

void config_errors_init(struct config_errors *errors)
{
    *errors = (struct config_errors){ 0 };
    arena_init(&errors->_arena, 1024);
}

void config_errors_fini(struct config_errors *errors)
{
    arena_fini(&errors->_arena);
    *errors = (struct config_errors){ 0 };
}

static bool is_known(const struct config_errors *errors, str text)
{
    for (size_t i = 0; i < errors->count; i++)
        if (str_eq(str_from(errors->lines[i]), text))
            return true;
    return false;
}

static void insert(struct config_errors *errors, unsigned line, str text)
{
    size_t at = errors->count++;
    for (; at > 0 && errors->_line[at - 1] > line; at--) {
        errors->lines[at] = errors->lines[at - 1];
        errors->_line[at] = errors->_line[at - 1];
    }
    errors->lines[at] = text.p;
    errors->_line[at] = line;
}

void config_errors_add(struct config_errors *errors, const char *file, unsigned line, const char *format, ...)
{
    char what[ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    for (char *c = what; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?';
    str text = line ? arena_printf(&errors->_arena, "%s:%u: %s", file, line, what)
                    : arena_printf(&errors->_arena, "%s: %s", file, what);
    if (is_known(errors, text))
        return;
    if (errors->count == CONFIG_ERRORS_MAX)
        errors->dropped++;
    else
        insert(errors, line, text);
}

void config_errors_print(const struct config_errors *errors, FILE *file)
{
    for (size_t i = 0; i < errors->count; i++)
        fprintf(file, "%s\n", errors->lines[i]);
    if (errors->dropped)
        fprintf(file, "and %zu more\n", errors->dropped);
}
