/* SPDX-License-Identifier: MIT */
/* From text to libconfuse's tree, in which every value is a text with its line before it ("12:5222"). */
#ifndef SERVER_CONFIG_PARSE_H
#define SERVER_CONFIG_PARSE_H

#include "server/config/config.h"

#include <confuse.h>

/* Parses the NUL-terminated `text`, which is changed. Syntax errors, unknown keys and keys that are set twice
 * are added to `errors` with `file` as the name. `ret_whole` is set to whether the end of the text was
 * reached. Returns the tree, never NULL; the caller frees it with cfg_free(). One thread at a time. */
cfg_t *config_parse(char *text, const char *file, const struct config_extension *const *extensions,
                    struct config_errors *errors, bool *ret_whole);

/* The values of a key: their number, and whether it was set at all (an empty list has none but is set). */
size_t config_parsed_values(cfg_t *section, const char *name, bool *ret_set);

/* One of them; its line goes to `ret_line`. */
str config_parsed_value(cfg_t *section, const char *name, size_t index, unsigned *ret_line);

#endif
