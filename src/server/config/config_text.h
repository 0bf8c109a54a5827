/* SPDX-License-Identifier: MIT */
/* Makes a configuration's text fit for libconfuse, so that its line numbers are true and its lexer can't
 * trip. */
#ifndef SERVER_CONFIG_TEXT_H
#define SERVER_CONFIG_TEXT_H

#include "server/config/config.h"

/* Blanks the comments of the NUL-terminated `text` in place. Returns false, with an error added that names
 * `file`, when a quote, comment or brace is not closed or a character would be misread. */
bool config_text_prepare(char *text, const char *file, struct config_errors *errors);

/* Blanks the statement (key with value, or section) that begins with `name` on this line of a prepared text.
 * False when there is none. */
bool config_text_blank(char *text, unsigned line, const char *name);

/* The lines on which the sections of this name begin at the top level of a prepared text; at most `room` are
 * written. (libconfuse knows only where a section ends.) */
void config_text_section_lines(const char *text, const char *name, unsigned *lines, size_t room);

#endif
