/* SPDX-License-Identifier: MIT */
/* Cutting a script into steps: a step begins at the left margin and goes on over the indented lines below it;
 * blank lines and lines that begin with # mean nothing; `config {` and `neighbour {` go on to a lone }. What
 * a step means is play.c's business. */
#include "script.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 20, STEPS_MAX = 5000 };

static void add(struct script *script, unsigned line, bool is_config, bool is_neighbour, struct buf *text)
{
    if (!text->len && !is_config)
        return;
    script->steps = xrealloc(script->steps, (script->count + 1) * sizeof(struct step));
    script->steps[script->count++] = (struct step){ line, buf_take(text), is_config, is_neighbour };
}

static bool read_file(const char *file, struct buf *into)
{
    FILE *in = fopen(file, "r");
    char piece[4096];
    size_t got;
    while (in && (got = fread(piece, 1, sizeof piece, in)) > 0)
        buf_add(into, str_of(piece, got));
    bool ok = in && !ferror(in) && !buf_failed(into);
    if (in)
        fclose(in);
    return ok;
}

static bool cut(struct script *script, str rest)
{
    struct buf step;
    unsigned line = 0, began = 0;
    bool in_config = false, is_neighbour = false;
    buf_init(&step, FILE_MAX);
    while (rest.len && script->count < STEPS_MAX) {
        str text = str_cut(&rest, '\n');
        str trimmed = str_trim(text);
        line++;
        if (in_config && str_is(trimmed, "}") && text.p[0] == '}') {
            add(script, began, true, is_neighbour, &step);
            in_config = false;
        } else if (in_config) {
            buf_add(&step, text);
            buf_add_char(&step, '\n');
        } else if (!trimmed.len || trimmed.p[0] == '#') {
            continue;
        } else if (text.p[0] == ' ' || text.p[0] == '\t') {
            buf_add_char(&step, '\n');
            buf_add(&step, trimmed);
        } else {
            add(script, began, false, false, &step);
            began = line;
            is_neighbour = str_is(trimmed, "neighbour {");
            in_config = is_neighbour || str_is(trimmed, "config {");
            if (!in_config)
                buf_add(&step, trimmed);
        }
    }
    add(script, began, false, false, &step);
    buf_fini(&step);
    return !in_config;
}

bool script_read(const char *file, struct script *ret)
{
    struct script script = { .file = str_dup(str_from(file)) };
    struct buf text;
    buf_init(&text, FILE_MAX);
    bool ok = read_file(file, &text) && cut(&script, buf_str(&text));
    buf_fini(&text);
    if (ok && script.count) {
        *ret = script;
        return true;
    }
    fprintf(stderr, "%s: it can't be read, or has no steps, or a config that does not end\n", file);
    script_free(&script);
    return false;
}

void script_free(struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        free(script->steps[i].text);
    free(script->steps);
    free(script->file);
}
