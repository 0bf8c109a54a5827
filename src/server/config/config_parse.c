/* SPDX-License-Identifier: MIT */
/* libconfuse takes the file apart. So that one run shows all mistakes and each with its line, every key is
 * given to it as a list of texts without a default: it hands each value to keep_line(), which puts the line
 * before it, and types and bounds are judged afterwards (config.c). A key that libconfuse does not know ends
 * its run; the statement is then blanked in the text and the run begins again, as often as there is room for
 * errors.
 *
 * libconfuse's callbacks carry no pointer of ours and its lexer is global: `parsing` says whose run it is. */
#include "server/config/config_parse.h"

#include "base/buf.h"
#include "base/mem.h"
#include "server/config/config_suggest.h"
#include "server/config/config_text.h"

#include <stdlib.h>

enum { VALUE_MAX = 4 << 20, TITLED = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES | CFGF_NODEFAULT };

struct parse {
    const char *file;
    struct config_errors *errors;
    struct buf value; /* what keep_line() returns last */
    char unknown[64]; /* the key that ended the run; "": none */
    unsigned unknown_line;
    bool failed;
};

static struct parse *parsing;

/* ---- What is wrong, in our words ---- */

static const struct {
    const char *begins, *advice;
} advices[] = {
    { "found duplicate title", "put the keys of both sections into one" },
    { "missing closing", "write the missing } or )" },
    { "missing equal sign", "write NAME = VALUE" },
    { "missing opening brace", "write NAME { ... }" },
    { "missing title", "write the name in quotes, as in host \"example.org\" { ... }" },
    { "premature end", "write the value that is missing" },
    { "unexpected closing brace", "take it away, or open its section with {" },
    { "the value of", "write a shorter one" },
    { "unexpected token", "write NAME = VALUE, NAME = { VALUE, VALUE } or NAME { ... }" },
};

static const char *advice_for(const char *format)
{
    for (size_t i = 0; i < COUNT_OF(advices); i++)
        if (!strncmp(format, advices[i].begins, strlen(advices[i].begins)))
            return advices[i].advice;
    return "compare with jabirud --print-default-config";
}

static const char *nearest(cfg_t *section, const char *name)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (cfg_opt_t *option = section->opts; option->name; option++) {
        size_t distance = config_name_distance(name, option->name);
        if (distance >= best_distance)
            continue;
        best = option->name;
        best_distance = distance;
    }
    return config_name_is_near(name, best_distance) ? best : NULL;
}

static bool has_key(const struct config_section *section, const char *name)
{
    for (const struct config_key *key = section->keys; key->name; key++)
        if (!strcmp(key->name, name))
            return true;
    return false;
}

/* Another section of the server that has such a key, or NULL. */
static const struct config_section *home_of(const char *name)
{
    for (const struct config_section *section = config_sections; section->name; section++)
        if (has_key(section, name))
            return section;
    if (has_key(&config_host_section, name))
        return &config_host_section;
    return has_key(&config_component_section, name) ? &config_component_section : NULL;
}

static void unknown_key(cfg_t *section, const char *name)
{
    unsigned line = (unsigned)section->line;
    const char *near = nearest(section, name);
    const struct config_section *home = home_of(name);
    str_copy(str_from(name), parsing->unknown, sizeof parsing->unknown);
    parsing->unknown_line = line;
    if (home && *home->name)
        config_errors_add(parsing->errors, parsing->file, line,
                          "\"%s\" is not known here: put it into %s { ... }", parsing->unknown, home->name);
    else if (home)
        config_errors_add(parsing->errors, parsing->file, line,
                          "\"%s\" is not known here: put it at the top level, in no section",
                          parsing->unknown);
    else if (near)
        config_errors_add(parsing->errors, parsing->file, line, "\"%s\" is not known: write %s",
                          parsing->unknown, near);
    else
        config_errors_add(parsing->errors, parsing->file, line,
                          "\"%s\" is not known: take it away, or look for its name in jabirud "
                          "--print-default-config",
                          parsing->unknown);
}

/* ---- libconfuse's callbacks ---- */

static void on_error(cfg_t *section, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_error(cfg_t *section, const char *format, va_list args)
{
    parsing->failed = true;
    if (!strncmp(format, "no such option", 14)) {
        unknown_key(section, va_arg(args, const char *));
        return;
    }
    char what[200];
    vsnprintf(what, sizeof what, format, args);
    config_errors_add(parsing->errors, parsing->file, (unsigned)section->line, "%s: %s", what,
                      advice_for(format));
}

/* The first value of an assignment marks the key as set, in the option's comment, which is not used
 * otherwise. */
static int keep_line(cfg_t *section, cfg_opt_t *option, const char *value, void *result)
{
    static char mark[] = "set";
    if (option->nvalues == 1 && option->comment)
        config_errors_add(parsing->errors, parsing->file, (unsigned)section->line,
                          "%s is set for the second time: keep one of the two", option->name);
    cfg_opt_setcomment(option, mark);
    buf_clear(&parsing->value);
    buf_addf(&parsing->value, "%d:", section->line);
    buf_add(&parsing->value, str_from(value));
    buf_add_char(&parsing->value, '\0');
    if (buf_failed(&parsing->value)) {
        cfg_error(section, "the value of %s is too long", option->name);
        return -1;
    }
    *(const char **)result = parsing->value.p;
    return 0;
}

/* ---- The table as libconfuse wants it ---- */

static size_t count_keys(const struct config_key *keys)
{
    size_t count = 0;
    while (keys[count].name)
        count++;
    return count;
}

/* Room for these keys and `more` options and the end; the keys are filled in, the rest is the end. */
static cfg_opt_t *options_for(struct arena *arena, const struct config_key *keys, size_t more)
{
    size_t count = count_keys(keys);
    cfg_opt_t *options = arena_zalloc(arena, (count + more + 1) * sizeof *options);
    for (size_t i = 0; i < count; i++)
        options[i] = (cfg_opt_t)CFG_STR_LIST_CB(keys[i].name, NULL, CFGF_NODEFAULT, keep_line);
    return options;
}

static cfg_opt_t *add_extensions(struct arena *arena, cfg_opt_t *end,
                                 const struct config_extension *const *extensions)
{
    for (; extensions && *extensions; extensions++) {
        cfg_opt_t *keys = options_for(arena, (*extensions)->keys, 0);
        *end++ = (cfg_opt_t)CFG_SEC((*extensions)->name, keys, CFGF_NODEFAULT);
    }
    return end;
}

static cfg_opt_t *all_options(struct arena *arena, const struct config_extension *const *extensions)
{
    size_t sections = 0, count = 0;
    while (config_sections[sections + 1].name)
        sections++;
    while (extensions && extensions[count])
        count++;
    cfg_opt_t *host = options_for(arena, config_host_section.keys, count);
    add_extensions(arena, host + count_keys(config_host_section.keys), extensions);

    cfg_opt_t *component = options_for(arena, config_component_section.keys, 0);

    cfg_opt_t *top = options_for(arena, config_sections[0].keys, sections + count + 2);
    cfg_opt_t *end = top + count_keys(config_sections[0].keys);
    for (size_t i = 1; i <= sections; i++) {
        cfg_opt_t *keys = options_for(arena, config_sections[i].keys, 0);
        *end++ = (cfg_opt_t)CFG_SEC(config_sections[i].name, keys, CFGF_NODEFAULT);
    }
    end = add_extensions(arena, end, extensions);
    *end++ = (cfg_opt_t)CFG_SEC("host", host, TITLED);
    *end = (cfg_opt_t)CFG_SEC("component", component, TITLED);
    return top;
}

/* ---- Running it ---- */

/* One run from the beginning. What an earlier run said already is not said twice: config_errors_add() sees to
 * it. */
static cfg_t *run(struct parse *parse, const char *text, cfg_opt_t *options)
{
    parse->unknown[0] = '\0';
    parse->failed = false;
    cfg_t *tree = cfg_init(options, CFGF_NONE);
    if (!tree)
        abort(); /* out of memory is the only reason */
    cfg_set_error_function(tree, on_error);
    parse->failed |= cfg_parse_buf(tree, text) != CFG_SUCCESS;
    return tree;
}

cfg_t *config_parse(char *text, const char *file, const struct config_extension *const *extensions,
                    struct config_errors *errors, bool *ret_whole)
{
    struct parse parse = { .file = file, .errors = errors };
    struct arena arena;
    arena_init(&arena, 8192);
    buf_init(&parse.value, VALUE_MAX);
    cfg_opt_t *options = all_options(&arena, extensions);
    parsing = &parse;
    cfg_t *tree = run(&parse, text, options);
    for (int again = 0; again < CONFIG_ERRORS_MAX && parse.unknown[0]; again++) {
        if (!config_text_blank(text, parse.unknown_line, parse.unknown))
            break;
        cfg_free(tree);
        tree = run(&parse, text, options);
    }
    parsing = NULL;
    *ret_whole = !parse.failed;
    buf_fini(&parse.value);
    arena_fini(&arena);
    return tree;
}

size_t config_parsed_values(cfg_t *section, const char *name, bool *ret_set)
{
    cfg_opt_t *option = cfg_getopt(section, name);
    *ret_set = option->flags & CFGF_MODIFIED;
    return cfg_opt_size(option);
}

str config_parsed_value(cfg_t *section, const char *name, size_t index, unsigned *ret_line)
{
    str value = str_from(cfg_opt_getnstr(cfg_getopt(section, name), (unsigned)index));
    str line = str_cut(&value, ':');
    uint64_t number = 0;
    str_to_u64(line, INT32_MAX, &number);
    *ret_line = (unsigned)number;
    return value.p ? value : STR("");
}
