/* SPDX-License-Identifier: MIT */
/* Reading the configuration. libconfuse parses; every value reaches it as text and is checked here against
 * its row, at the moment it is parsed, because only then is its line known. What is wrong is counted and
 * reading goes on, so one run shows all mistakes. */
#include "server/config.h"

#include "base/log.h"
#include "base/mem.h"

#include <confuse.h>
#include <stdlib.h>
#include <unistd.h>

enum { SECTION_OPTIONS = 48, PROBLEMS_MAX = 20 };

/* libconfuse's callbacks carry no argument; a file is read by one thread at a time. */
static _Thread_local struct {
    FILE *problems;
    const char *name;
    unsigned count;
} reading;

static void problem(int line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(int line, const char *format, ...)
{
    va_list args;
    if (reading.count++ >= PROBLEMS_MAX)
        return;
    fprintf(reading.problems, "%s:%d: ", reading.name, line);
    va_start(args, format);
    vfprintf(reading.problems, format, args);
    va_end(args);
    fputc('\n', reading.problems);
}

/* ---- Values
 * ----------------------------------------------------------------------------------------------------------
 */

static const struct {
    enum config_type type;
    const char *suffix;
    uint64_t factor;
} units[] = {
    { CONFIG_SIZE, "K", 1024 }, { CONFIG_SIZE, "M", 1 << 20 }, { CONFIG_TIME, "ms", 1 },
    { CONFIG_TIME, "s", 1000 }, { CONFIG_TIME, "m", 60000 },   { CONFIG_TIME, "h", 3600000 },
};

static bool read_number(enum config_type type, str text, uint64_t *ret)
{
    uint64_t factor = type == CONFIG_TIME ? 1000 : 1;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        str suffix = str_from(units[i].suffix);
        if (units[i].type != type || !str_ends(text, suffix))
            continue;
        factor = units[i].factor;
        text.len -= suffix.len;
        break;
    }
    return str_to_u64(text, UINT32_MAX, ret) && (*ret *= factor, true);
}

static bool read_choice(const char *choices, str text, uint64_t *ret)
{
    str rest = str_from(choices);
    for (uint64_t i = 0; rest.p; i++) {
        if (str_eq(str_cut(&rest, '|'), text)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool read_bool(str text, uint64_t *ret)
{
    *ret = str_is(text, "true") || str_is(text, "yes") || str_is(text, "on");
    return *ret || str_is(text, "false") || str_is(text, "no") || str_is(text, "off");
}

/* Reads a value of a row that is not text; says what is wrong with it in that line (0: nowhere). */
static bool read_value(const struct config_row *row, const char *value, int line, uint64_t *ret)
{
    str text = str_from(value);
    switch (row->type) {
    case CONFIG_BOOL:
        if (read_bool(text, ret))
            return true;
        problem(line, "%s is \"%s\": write true or false", row->name, value);
        return false;
    case CONFIG_CHOICE:
        if (read_choice(row->choices, text, ret))
            return true;
        problem(line, "%s is \"%s\": write one of %s", row->name, value, row->choices);
        return false;
    default:
        if (read_number(row->type, text, ret) && *ret >= row->min && *ret <= row->max)
            return true;
        problem(line, "%s is \"%s\": write a %s from %llu to %llu", row->name, value,
                row->type == CONFIG_SIZE   ? "size in bytes (or with K or M)"
                : row->type == CONFIG_TIME ? "time with its unit (ms, s, m, h), in milliseconds"
                                           : "number",
                (unsigned long long)row->min, (unsigned long long)row->max);
        return false;
    }
}

static const struct config_row *find_row(const char *section, const char *name)
{
    for (size_t i = 0; i < config_row_count; i++)
        if (!strcmp(config_rows[i].section, section) && !strcmp(config_rows[i].name, name))
            return &config_rows[i];
    return NULL;
}

static int validate(cfg_t *cfg, cfg_opt_t *option)
{
    const char *section = cfg_name(cfg);
    const struct config_row *row = find_row(section && strcmp(section, "root") ? section : "", option->name);
    uint64_t value;
    if (!row || row->type == CONFIG_TEXT || row->type == CONFIG_LIST)
        return 0;
    read_value(row, cfg_opt_getnstr(option, cfg_opt_size(option) - 1), cfg->line, &value);
    return 0;
}

/* ---- Messages of libconfuse
 * --------------------------------------------------------------------------------------------- */

static unsigned distance(str a, str b)
{
    unsigned row[64];
    if (a.len >= COUNT_OF(row) || b.len >= COUNT_OF(row))
        return 99;
    for (unsigned i = 0; i <= b.len; i++)
        row[i] = i;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= b.len; k++) {
            unsigned best = diagonal + (a.p[i - 1] != b.p[k - 1]);
            diagonal = row[k];
            best = best < row[k] + 1 ? best : row[k] + 1;
            row[k] = best < row[k - 1] + 1 ? best : row[k - 1] + 1;
        }
    }
    return row[b.len];
}

static const char *nearest(str name)
{
    const char *best = NULL;
    unsigned least = 4;
    for (size_t i = 0; i < config_row_count; i++) {
        unsigned d = distance(name, str_from(config_rows[i].name));
        if (d < least) {
            least = d;
            best = config_rows[i].name;
        }
    }
    return best;
}

static void on_error(cfg_t *cfg, const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    str rest = str_from(text);
    if (!str_starts(rest, STR("no such option"))) {
        problem(cfg->line, "%s: see --print-default-config for how a file looks", text);
        return;
    }
    str_cut(&rest, '\'');
    str name = str_cut(&rest, '\'');
    const char *meant = nearest(name);
    if (meant)
        problem(cfg->line, "there is no key \"%.*s\" here: did you mean \"%s\"?", STR_ARGS(name), meant);
    else
        problem(cfg->line, "there is no key \"%.*s\" here: --print-default-config lists all keys",
                STR_ARGS(name));
}

/* ---- From the table to libconfuse
 * ------------------------------------------------------------------------------------------ */

static const char *const section_names[] = { "c2s", "limits", "log", "host" };

struct options {
    cfg_opt_t top[SECTION_OPTIONS];
    cfg_opt_t sections[COUNT_OF(section_names)][SECTION_OPTIONS];
};

static size_t add_rows(const char *section, cfg_opt_t *to)
{
    size_t count = 0;
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(row->section, section))
            continue;
        cfg_opt_t list = CFG_STR_LIST(row->name, (char *)row->fallback, CFGF_NONE);
        cfg_opt_t text = CFG_STR(row->name, (char *)row->fallback, CFGF_NONE);
        to[count++] = row->type == CONFIG_LIST ? list : text;
    }
    return count;
}

static void make_options(struct options *options)
{
    cfg_opt_t end = CFG_END();
    size_t count = add_rows("", options->top);
    for (size_t i = 0; i < COUNT_OF(section_names); i++) {
        options->sections[i][add_rows(section_names[i], options->sections[i])] = end;
        bool is_host = !strcmp(section_names[i], "host");
        cfg_opt_t section =
            CFG_SEC(section_names[i], options->sections[i], is_host ? CFGF_MULTI | CFGF_TITLE : CFGF_NONE);
        options->top[count++] = section;
    }
    options->top[count] = end;
}

static void watch_values(cfg_t *cfg)
{
    char path[128];
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        snprintf(path, sizeof path, "%s%s%s", row->section, *row->section ? "|" : "", row->name);
        cfg_set_validate_func(cfg, path, validate);
    }
}

/* ---- From libconfuse to the structure
 * ---------------------------------------------------------------------------------------- */

static const char *keep(struct config *config, const char *text)
{
    return arena_str(&config->_arena, str_from(text ? text : "")).p;
}

static void fill_list(struct config *config, cfg_t *cfg, const struct config_row *row, struct config_list *to)
{
    to->count = cfg_size(cfg, row->name);
    to->items = arena_zalloc(&config->_arena, (to->count + 1) * sizeof(char *));
    for (size_t i = 0; i < to->count; i++)
        to->items[i] = keep(config, cfg_getnstr(cfg, row->name, (unsigned)i));
}

static void fill_row(struct config *config, cfg_t *cfg, const struct config_row *row, void *base)
{
    char *at = (char *)base + row->offset;
    uint64_t value = 0;
    if (row->type == CONFIG_LIST) {
        fill_list(config, cfg, row, (struct config_list *)(void *)at);
        return;
    }
    const char *text = cfg_getstr(cfg, row->name);
    if (row->type == CONFIG_TEXT) {
        *(const char **)(void *)at = keep(config, text);
        return;
    }
    if (!read_value(row, text ? text : row->fallback, cfg->line, &value))
        return;
    if (row->type == CONFIG_BOOL)
        *(bool *)at = value;
    else
        *(unsigned *)(void *)at = (unsigned)value;
}

static void fill_section(struct config *config, cfg_t *cfg, const char *section, void *base)
{
    for (size_t i = 0; i < config_row_count; i++)
        if (!strcmp(config_rows[i].section, section))
            fill_row(config, cfg, &config_rows[i], base);
}

/* A name as hosts are compared: lower-case letters, digits, dots and hyphens; others must be given as
 * A-labels. */
static bool is_host_name(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.') && !(c & 0x80))
            return false;
    }
    return name.len > 0 && name.len <= 253 && name.p[0] != '.' && name.p[name.len - 1] != '.';
}

static void fill_hosts(struct config *config, cfg_t *cfg)
{
    config->host_count = cfg_size(cfg, "host");
    config->hosts = arena_zalloc(&config->_arena, (config->host_count + 1) * sizeof(struct config_host));
    for (size_t i = 0; i < config->host_count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "host", (unsigned)i);
        struct config_host *host = &config->hosts[i];
        host->name = keep(config, cfg_title(section));
        fill_section(config, section, "host", host);
        if (!is_host_name(str_from(host->name)))
            problem(section->line,
                    "host \"%s\" is no domain name: write it in lower case, as in host \"example.org\" { }",
                    host->name);
        if (!*host->certificate != !*host->key)
            problem(section->line, "host \"%s\" has only one of certificate and key: give both, or none",
                    host->name);
    }
    if (!config->host_count)
        problem(cfg->line, "no host is served: add host \"example.org\" { }");
}

static void check_log(const struct config *config, int line)
{
    if (log_level_named(str_from(config->log.level)) < 0)
        problem(line, "log level is \"%s\": write error, warn, info or debug", config->log.level);
    for (size_t i = 0; i < config->log.areas.count; i++) {
        str level = str_from(config->log.areas.items[i]);
        str area = str_cut(&level, '=');
        if (log_area_named(area) < 0 || log_level_named(level) < 0)
            problem(line, "log area \"%s\": write it as \"c2s=debug\"", config->log.areas.items[i]);
    }
}

static struct config *fill(cfg_t *cfg)
{
    struct config *config = NEW(struct config);
    arena_init(&config->_arena, 4096);
    fill_section(config, cfg, "", config);
    for (size_t i = 0; i + 1 < COUNT_OF(section_names); i++)
        fill_section(config, cfg_getsec(cfg, section_names[i]), section_names[i], config);
    fill_hosts(config, cfg);
    check_log(config, cfg->line);
    if (!*config->store)
        config->store = arena_printf(&config->_arena, "sqlite:%s/jabiru.db", config->data).p;
    if (!*config->control)
        config->control = arena_printf(&config->_arena, "%s/control", config->data).p;
    config->limits_before =
        (struct scan_limits){ config->limits.stanza_before, (uint16_t)config->limits.depth,
                              (uint16_t)config->limits.attributes, (uint16_t)config->limits.name_bytes };
    config->limits_after = config->limits_before;
    config->limits_after.element_bytes = config->limits.stanza_after;
    return config;
}

static struct config *load(const char *name, const char *path, const char *text, FILE *problems)
{
    struct options options = { 0 };
    struct config *config = NULL;
    reading.problems = problems;
    reading.name = name;
    reading.count = 0;
    make_options(&options);
    cfg_t *cfg = cfg_init(options.top, CFGF_NONE);
    cfg_set_error_function(cfg, on_error);
    watch_values(cfg);
    int result = path ? cfg_parse(cfg, path) : cfg_parse_buf(cfg, text);
    if (result == CFG_FILE_ERROR)
        problem(0, "can't be read: check that it is there and readable");
    else if (result == CFG_SUCCESS && !reading.count)
        config = fill(cfg);
    cfg_free(cfg);
    if (config && reading.count) {
        config_free(config);
        config = NULL;
    }
    return config;
}

struct config *config_load(const char *path, FILE *problems)
{
    return load(path, path, NULL, problems);
}

struct config *config_load_text(const char *name, const char *text, FILE *problems)
{
    return load(name, NULL, text, problems);
}

void config_free(struct config *config)
{
    if (config)
        arena_fini(&config->_arena);
    free(config);
}

static bool check_file(const char *path, const char *what, const char *host, FILE *problems)
{
    if (!*path || access(path, R_OK) == 0)
        return true;
    fprintf(problems,
            "host \"%s\": the %s %s can't be read: check that it is there and that this user may read it\n",
            host, what, path);
    return false;
}

bool config_check_files(const struct config *config, FILE *problems)
{
    bool good = true;
    for (size_t i = 0; i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        good &= check_file(host->certificate, "certificate", host->name, problems);
        good &= check_file(host->key, "key", host->name, problems);
        good &= check_file(host->client_ca, "client-ca", host->name, problems);
    }
    return good;
}
