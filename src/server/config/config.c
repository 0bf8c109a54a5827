/* SPDX-License-Identifier: MIT */
/* Reading the configuration: from the file to the structure. config_text.c readies the text, config_parse.c
 * makes a tree of it with libconfuse, and here every row of config_table.c takes its value from that tree or
 * its default, is judged, and is put into its field. Reading goes on after a mistake, so that one run shows
 * all of them.
 *
 * A value comes from, in this order: the host's section; for extensions, the section of that name at the top
 * level; the default. Everything lies in one arena that goes with the last reference.
 *
 * What not: files that the configuration names are not looked at (config_files.c), and nothing is applied. */
#include "server/config/config.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "net/dns.h"
#include "server/config/config_parse.h"
#include "server/config/config_text.h"
#include "server/config/config_value.h"
#include "xmpp/jid.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TEXT_MAX = 1 << 20, LIST_MAX = 1000, HOSTS_MAX = 10000, COMPONENTS_MAX = 1000, RANGE_MAX = 200 };

/* What a `struct config` stands in. */
struct loaded {
    struct config config;
    atomic_uint refs;
    struct arena arena;
};

struct reader {
    const char *file;
    str folder; /* of the file, with its slash; empty: the working folder */
    const struct config_extension *const *extensions;
    struct config_errors *errors;
    struct config *config;
    struct arena *arena;
    bool whole; /* libconfuse came to the end of the file */
};

/* Where keys are read from and put to. */
struct place {
    cfg_t *section;     /* NULL: not in the file */
    void *base;         /* the structure of settings */
    const char *prefix; /* for messages: "c2s.", "host \"x\": " */
};

/* ---- One value ---- */

static void wrong_value(struct reader *reader, const struct place *place, const struct config_key *key,
                        unsigned line, str value, const char *advice)
{
    struct buf range;
    if (key->secret)
        value = STR("...");
    buf_init(&range, RANGE_MAX);
    config_value_add_range(key, &range);
    if (advice)
        config_errors_add(reader->errors, reader->file, line, "%s%s can't be \"%.*s\": %s", place->prefix,
                          key->name, STR_ARGS(value), advice);
    else
        config_errors_add(reader->errors, reader->file, line, "%s%s can't be \"%.*s\": write %.*s",
                          place->prefix, key->name, STR_ARGS(value), STR_ARGS(buf_str(&range)));
    buf_fini(&range);
}

/* Fit to be written into logs and stanzas. */
static bool is_clean(str value)
{
    if (!utf8_valid(value))
        return false;
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7F)
            return false;
    return true;
}

/* Judges a text or an item of a list. */
static bool check_text(struct reader *reader, const struct place *place, const struct config_key *key,
                       unsigned line, str value)
{
    const char *advice = is_clean(value) ? NULL : "write UTF-8 without line ends and control characters";
    if (!advice && key->check)
        advice = key->check(arena_str(reader->arena, value).p);
    if (advice)
        wrong_value(reader, place, key, line, value, advice);
    return !advice;
}

static const char *resolved(struct reader *reader, enum config_type type, str path)
{
    str folder = type == CONFIG_PATH ? reader->folder : str_none;
    bool in_data = type == CONFIG_DATA_PATH && reader->config->data;
    if (path.len == 0 || path.p[0] == '/' || type == CONFIG_STRING)
        return arena_str(reader->arena, path).p;
    if (in_data)
        return arena_printf(reader->arena, "%s/%.*s", reader->config->data, STR_ARGS(path)).p;
    return arena_printf(reader->arena, "%.*s%.*s", STR_ARGS(folder), STR_ARGS(path)).p;
}

static void set_text(struct reader *reader, const struct place *place, const struct config_key *key,
                     str value)
{
    *(const char **)((char *)place->base + key->offset) = resolved(reader, key->type, value);
}

static void set_list(const struct place *place, const struct config_key *key, const char **items,
                     size_t count)
{
    *(struct config_list *)((char *)place->base + key->offset) = (struct config_list){ items, count };
}

static void read_list(struct reader *reader, const struct place *place, const struct config_key *key,
                      size_t count)
{
    const char **items = arena_zalloc(reader->arena, (count + 1) * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        unsigned line;
        str value = config_parsed_value(place->section, key->name, i, &line);
        items[i] = arena_str(reader->arena, value).p;
        if (i == LIST_MAX)
            wrong_value(reader, place, key, line, value, "write no more than 1000 values");
        if (i >= LIST_MAX)
            continue;
        check_text(reader, place, key, line, value);
    }
    set_list(place, key, items, count);
}

static void read_single(struct reader *reader, const struct place *place, const struct config_key *key,
                        size_t count)
{
    unsigned line = (unsigned)place->section->line;
    uint64_t number;
    str value = STR("");
    if (count > 0)
        value = config_parsed_value(place->section, key->name, count - 1, &line);
    if (count != 1)
        config_errors_add(reader->errors, reader->file, line, "%s%s can't be a list: write one value",
                          place->prefix, key->name);
    else if (!config_value_is_number(key) && check_text(reader, place, key, line, value))
        set_text(reader, place, key, value);
    else if (config_value_is_number(key) && config_value_parse(key, value, &number))
        config_value_set(key, place->base, number);
    else if (config_value_is_number(key))
        wrong_value(reader, place, key, line, value, NULL);
}

/* ---- All keys of a section ---- */

static void set_default(struct reader *reader, const struct place *place, const struct config_key *key)
{
    str rest = str_from(key->default_text), item;
    uint64_t number = 0;
    if (config_value_is_number(key)) {
        bool good = config_value_parse(key, rest, &number);
        assert(good); /* the row contradicts itself */
        (void)good;
        config_value_set(key, place->base, number);
        return;
    }
    if (key->type != CONFIG_LIST) {
        set_text(reader, place, key, rest);
        return;
    }
    const char **items = arena_zalloc(reader->arena, (rest.len + 1) * sizeof *items);
    size_t count = 0;
    while (config_value_next_item(&rest, &item))
        items[count++] = arena_str(reader->arena, item).p;
    set_list(place, key, items, count);
}

static void read_key(struct reader *reader, const struct place *place, const struct config_key *key)
{
    bool is_set;
    size_t count = config_parsed_values(place->section, key->name, &is_set);
    if (!is_set || (count == 0 && !reader->whole)) /* not set, or the syntax error stands in its value */
        return;
    if (key->type == CONFIG_LIST)
        read_list(reader, place, key, count);
    else
        read_single(reader, place, key, count);
}

/* In the order of the rows: a path in the data folder finds that folder set. */
static void read_keys(struct reader *reader, const struct place *place, const struct config_key *keys,
                      bool with_defaults)
{
    for (const struct config_key *key = keys; key->name; key++) {
        if (with_defaults)
            set_default(reader, place, key);
        if (place->section)
            read_key(reader, place, key);
    }
}

/* The section of this name within `tree`, or NULL. */
static cfg_t *section_in(cfg_t *tree, const char *name)
{
    return cfg_size(tree, name) > 0 ? cfg_getsec(tree, name) : NULL;
}

/* Whose word about DNSSEC is taken must not be far away: anybody on the way could speak in its name. */
static void check_dane(struct reader *reader)
{
    const struct config_s2s *s2s = &reader->config->s2s;
    if (s2s->dane && !dns_server_is_local(s2s->dns_server))
        config_errors_add(
            reader->errors, reader->file, 0,
            "s2s.dane needs a name server on this machine that validates with DNSSEC: write its "
            "address into s2s.dns-server, such as \"127.0.0.1\"");
}

static void read_sections(struct reader *reader, cfg_t *tree)
{
    for (const struct config_section *section = config_sections; section->name; section++) {
        struct place place = { tree, reader->config, "" };
        if (*section->name) {
            place.section = section_in(tree, section->name);
            place.prefix = arena_printf(reader->arena, "%s.", section->name).p;
        }
        read_keys(reader, &place, section->keys, true);
    }
    check_dane(reader);
}

/* ---- Extensions ---- */

static size_t extension_count(const struct reader *reader)
{
    size_t count = 0;
    while (reader->extensions && reader->extensions[count])
        count++;
    return count;
}

/* What the top level says; hosts begin with a copy. */
static void **read_extensions(struct reader *reader, cfg_t *tree)
{
    size_t count = extension_count(reader);
    void **settings = arena_zalloc(reader->arena, (count + 1) * sizeof *settings);
    for (size_t i = 0; i < count; i++) {
        const struct config_extension *extension = reader->extensions[i];
        settings[i] = arena_zalloc(reader->arena, extension->size);
        struct place place = { section_in(tree, extension->name), settings[i],
                               arena_printf(reader->arena, "%s.", extension->name).p };
        read_keys(reader, &place, extension->keys, true);
    }
    return settings;
}

static void read_host_extensions(struct reader *reader, cfg_t *section, const char *prefix,
                                 void *const *common, struct config_host *host)
{
    size_t count = extension_count(reader);
    void **settings = arena_zalloc(reader->arena, (count + 1) * sizeof *settings);
    for (size_t i = 0; i < count; i++) {
        const struct config_extension *extension = reader->extensions[i];
        settings[i] = common[i];
        cfg_t *own = section_in(section, extension->name);
        if (!own)
            continue;
        settings[i] = arena_alloc(reader->arena, extension->size);
        memcpy(settings[i], common[i], extension->size);
        struct place place = { own, settings[i],
                               arena_printf(reader->arena, "%s%s.", prefix, extension->name).p };
        read_keys(reader, &place, extension->keys, false);
    }
    host->_settings = (const void *const *)settings;
}

/* ---- Hosts ---- */

static void check_host(struct reader *reader, const struct config_host *host)
{
    for (const struct config_host *other = reader->config->hosts; other < host; other++)
        if (!strcmp(other->name, host->name))
            config_errors_add(reader->errors, reader->file, host->_line,
                              "host \"%s\" is there twice, see line %u: put the keys of both into one",
                              host->name, other->_line);
    if (!*host->certificate != !*host->key)
        config_errors_add(reader->errors, reader->file, host->_line,
                          "host \"%s\" has a %s without a %s: write both or none", host->name,
                          *host->key ? "key" : "certificate", *host->key ? "certificate" : "key");
}

/* The domain in a section's title, in normal form. */
static const char *read_domain(struct reader *reader, const char *title, const char *kind, unsigned line)
{
    str name = str_none;
    if (jid_prepare_domain(str_from(title), reader->arena, &name) != OK) {
        config_errors_add(reader->errors, reader->file, line,
                          "\"%s\" is no domain: write %s \"example.org\" { ... }", title, kind);
        name = str_from(title);
    }
    return arena_str(reader->arena, name).p;
}

static void read_host(struct reader *reader, cfg_t *section, void *const *common, struct config_host *host)
{
    const char *title = cfg_title(section);
    if (!title)
        title = "";
    host->name = read_domain(reader, title, "host", host->_line);
    const char *prefix = arena_printf(reader->arena, "host \"%s\": ", title).p;
    struct place place = { section, host, prefix };
    read_keys(reader, &place, config_host_section.keys, true);
    read_host_extensions(reader, section, prefix, common, host);
    check_host(reader, host);
}

static void read_hosts(struct reader *reader, cfg_t *tree, const char *text)
{
    void **common = read_extensions(reader, tree);
    size_t count = cfg_size(tree, "host");
    if (count > HOSTS_MAX) {
        config_errors_add(reader->errors, reader->file, 0, "there are too many hosts: keep 10000");
        count = HOSTS_MAX;
    }
    struct config_host *hosts = arena_zalloc(reader->arena, (count + 1) * sizeof *hosts);
    reader->config->hosts = hosts;
    reader->config->host_count = count;
    unsigned *lines = arena_zalloc(reader->arena, (count + 1) * sizeof *lines);
    config_text_section_lines(text, "host", lines, count);
    for (size_t i = 0; i < count; i++) {
        hosts[i]._line = lines[i];
        read_host(reader, cfg_getnsec(tree, "host", (unsigned)i), common, &hosts[i]);
    }
    if (count == 0 && reader->whole)
        config_errors_add(reader->errors, reader->file, 0,
                          "there is no host: write host \"example.org\" { ... } with the domain to serve");
}

/* ---- Components ---- */

static void check_component(struct reader *reader, const struct config_component *component)
{
    const struct config_component *other = reader->config->component_list;
    const struct config_host *host = config_host_named(reader->config, str_from(component->name));
    for (; other < component; other++)
        if (!strcmp(other->name, component->name))
            config_errors_add(reader->errors, reader->file, component->_line,
                              "component \"%s\" is there twice, see line %u: keep one of them",
                              component->name, other->_line);
    if (host)
        config_errors_add(
            reader->errors, reader->file, component->_line,
            "component \"%s\" is a host already, see line %u: give the component a name of its own",
            component->name, host->_line);
    if (!*component->secret && reader->whole)
        config_errors_add(reader->errors, reader->file, component->_line,
                          "component \"%s\" has no secret: set the one that the component has, too",
                          component->name);
}

static void read_components(struct reader *reader, cfg_t *tree, const char *text)
{
    size_t count = cfg_size(tree, "component");
    if (count > COMPONENTS_MAX) {
        config_errors_add(reader->errors, reader->file, 0, "there are too many components: keep 1000");
        count = COMPONENTS_MAX;
    }
    struct config_component *list = arena_zalloc(reader->arena, (count + 1) * sizeof *list);
    unsigned *lines = arena_zalloc(reader->arena, (count + 1) * sizeof *lines);
    reader->config->component_list = list;
    reader->config->component_count = count;
    config_text_section_lines(text, "component", lines, count);
    for (size_t i = 0; i < count; i++) {
        struct place place = { cfg_getnsec(tree, "component", (unsigned)i), &list[i], "" };
        const char *title = cfg_title(place.section);
        list[i]._line = lines[i];
        list[i].name = read_domain(reader, title ? title : "", "component", lines[i]);
        place.prefix = arena_printf(reader->arena, "component \"%s\": ", list[i].name).p;
        read_keys(reader, &place, config_component_section.keys, true);
        check_component(reader, &list[i]);
    }
}

/* ---- The whole ---- */

/* What follows from several keys. */
static void finish(struct reader *reader)
{
    struct config *config = reader->config;
    const struct config_limits *limits = &config->limits;
    config->limits_before =
        (struct scan_limits){ limits->stanza_before, limits->depth, limits->attributes, limits->name_bytes };
    config->limits_after = config->limits_before;
    config->limits_after.element_bytes = limits->stanza_after;
    str path = str_from(config->store);
    if (!str_starts(path, STR("sqlite:")))
        return;
    path = str_sub(path, strlen("sqlite:"), path.len);
    config->store = arena_printf(reader->arena, "sqlite:%s", resolved(reader, CONFIG_DATA_PATH, path)).p;
}

static void read_tree(struct reader *reader, char *text)
{
    cfg_t *tree = config_parse(text, reader->file, reader->extensions, reader->errors, &reader->whole);
    read_sections(reader, tree);
    read_hosts(reader, tree, text);
    read_components(reader, tree, text);
    finish(reader);
    cfg_free(tree);
}

static size_t error_count(const struct config_errors *errors)
{
    return errors->count + errors->dropped;
}

static struct loaded *loaded_new(void)
{
    struct loaded *loaded = NEW(struct loaded);
    arena_init(&loaded->arena, 8192);
    atomic_init(&loaded->refs, 1);
    return loaded;
}

static enum err check_length(const char *name, str text, struct config_errors *errors)
{
    if (text.len > TEXT_MAX) {
        config_errors_add(errors, name, 0, "the file is larger than 1 MiB: make it shorter");
        return ERR_LIMIT;
    }
    if (text.len > 0 && memchr(text.p, '\0', text.len)) {
        config_errors_add(errors, name, 0, "the file has a NUL byte in it: write text only");
        return ERR_INVALID;
    }
    return OK;
}

enum err config_load_text(const char *name, str text, const struct config_extension *const *extensions,
                          struct config_errors *errors, const struct config **ret)
{
    size_t before = error_count(errors), slash = str_find_last(str_from(name), '/');
    enum err err = check_length(name, text, errors);
    if (err)
        return err;
    struct loaded *loaded = loaded_new();
    struct reader reader = { .file = name,
                             .extensions = extensions,
                             .errors = errors,
                             .config = &loaded->config,
                             .arena = &loaded->arena };
    if (name[slash] == '/')
        reader.folder = str_of(name, slash + 1);
    char *copy = str_dup(text);
    if (config_text_prepare(copy, name, errors))
        read_tree(&reader, copy);
    mem_wipe(copy, text.len); /* secrets of components */
    free(copy);
    if (!reader.whole && error_count(errors) == before) /* libconfuse gave up without a word */
        config_errors_add(
            errors, name, 0,
            "this is no configuration: look for a stray quote, or begin with jabirud --print-default-config");
    if (error_count(errors) > before) {
        config_unref(&loaded->config);
        return ERR_INVALID;
    }
    *ret = &loaded->config;
    return OK;
}

/* The whole file, at most a byte more than is allowed. */
static enum err read_file(const char *path, struct buf *to)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_from_errno(errno);
    size_t count = 1;
    while (count > 0 && to->len <= TEXT_MAX && buf_reserve(to, 4096)) {
        count = fread(to->p + to->len, 1, 4096, file);
        to->len += count;
    }
    enum err err = ferror(file) ? ERR_IO : OK;
    fclose(file);
    return err;
}

enum err config_load_file(const char *path, const struct config_extension *const *extensions,
                          struct config_errors *errors, const struct config **ret)
{
    struct buf text;
    buf_init(&text, TEXT_MAX + 8192);
    enum err err = read_file(path, &text);
    if (err)
        config_errors_add(errors, path, 0,
                          "the file can't be read (%s): name another with --config, or make one with jabirud "
                          "--print-default-config",
                          err_text(err));
    else
        err = config_load_text(path, buf_str(&text), extensions, errors, ret);
    buf_fini(&text);
    return err;
}

/* ---- References and look-up ---- */

static struct loaded *loaded_of(const struct config *config)
{
    return CONTAINER_OF(config, struct loaded, config);
}

const struct config *config_ref(const struct config *config)
{
    atomic_fetch_add_explicit(&loaded_of(config)->refs, 1, memory_order_relaxed);
    return config;
}

void config_unref(const struct config *config)
{
    if (!config || atomic_fetch_sub_explicit(&loaded_of(config)->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct loaded *loaded = loaded_of(config);
    for (size_t i = 0; i < config->component_count; i++)
        mem_wipe((char *)config->component_list[i].secret, strlen(config->component_list[i].secret));
    arena_fini(&loaded->arena);
    free(loaded);
}

const struct config_host *config_host_named(const struct config *config, str name)
{
    for (size_t i = 0; i < config->host_count; i++)
        if (str_eq(str_from(config->hosts[i].name), name))
            return &config->hosts[i];
    return NULL;
}

const struct config_component *config_component_named(const struct config *config, str name)
{
    for (size_t i = 0; i < config->component_count; i++)
        if (str_eq(str_from(config->component_list[i].name), name))
            return &config->component_list[i];
    return NULL;
}

const void *config_extension_settings(const struct config_host *host, size_t index)
{
    return host->_settings[index];
}
