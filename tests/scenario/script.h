/* SPDX-License-Identifier: MIT */
/* A scenario's text, cut into its steps. README.md describes the language. */
#ifndef SCENARIO_SCRIPT_H
#define SCENARIO_SCRIPT_H

#include "base/str.h"

struct step {
    unsigned line;
    char *
        text; /* its words, and the indented lines below it; of a config step: the lines between the braces */
    bool is_config, is_neighbour; /* a config step: of the server, or of its neighbour */
};

struct script {
    char *file;
    struct step *steps;
    size_t count;
};

/* False, with a message on stderr, when the file can't be read or its form is wrong. */
bool script_read(const char *file, struct script *ret);
void script_free(struct script *script);

#endif
