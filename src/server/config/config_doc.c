/* SPDX-License-Identifier: MIT */
/* The table for people: `jabirud --print-default-config` prints a configuration file that loads as it is,
 * with every key commented out at its default; docs/configuration.md is the same as a page. Both are made of
 * the rows alone and come out the same at every run, so that CI can compare the page with what is in the
 * repository. */
#include "server/config/config.h"
#include "server/config/config_value.h"

struct printer {
    FILE *file;
    struct buf text; /* of the value at hand */
};

/* ---- The default file ---- */

/* A text of several lines, each with these characters before it. */
static void print_lines(FILE *file, const char *before, const char *text)
{
    str rest = str_from(text);
    while (rest.len > 0) {
        str line = str_cut(&rest, '\n');
        fprintf(file, "%s%.*s\n", before, STR_ARGS(line));
    }
}

static void print_bounds(struct printer *printer, const char *indent, const struct config_key *key)
{
    buf_clear(&printer->text);
    config_value_add_range(key, &printer->text);
    fprintf(printer->file, "%s# (%.*s%s%s%s)\n", indent, STR_ARGS(buf_str(&printer->text)),
            key->unit ? " " : "", key->unit ? key->unit : "",
            key->effect == ON_RESTART ? "; takes effect at a restart" : "");
}

static void print_keys(struct printer *printer, const char *indent, const struct config_key *keys)
{
    char before[16];
    snprintf(before, sizeof before, "%s# ", indent);
    for (const struct config_key *key = keys; key->name; key++) {
        print_lines(printer->file, before, key->help);
        print_bounds(printer, indent, key);
        buf_clear(&printer->text);
        config_value_add_default(key, &printer->text);
        if (key->shipped)
            fprintf(printer->file, "%s%s = %s\n", indent, key->name, key->shipped);
        else
            fprintf(printer->file, "%s#%s = %.*s\n", indent, key->name, STR_ARGS(buf_str(&printer->text)));
        if (key[1].name)
            fputc('\n', printer->file);
    }
}

static void print_section(struct printer *printer, const char *name, const char *help,
                          const struct config_key *keys)
{
    fprintf(printer->file, "\n");
    print_lines(printer->file, "# ", help);
    fprintf(printer->file, "%s {\n", name);
    print_keys(printer, "    ", keys);
    fprintf(printer->file, "}\n");
}

static void printer_init(struct printer *printer, FILE *file)
{
    printer->file = file;
    buf_init(&printer->text, 4096);
}

void config_print_default(FILE *file, const struct config_extension *const *extensions)
{
    struct printer printer;
    printer_init(&printer, file);
    fputs("# The configuration of jabirud. Keys that are commented out stand at their defaults. Check "
          "changes with\n"
          "# jabirud --check-config; apply them with jabiructl reload. Values with other characters than "
          "letters,\n"
          "# digits, '-', '.', '_', ':' and '/' stand in quotes. A relative path starts in this file's "
          "folder.\n\n",
          file);
    print_keys(&printer, "", config_sections[0].keys);
    for (const struct config_section *section = config_sections + 1; section->name; section++)
        print_section(&printer, section->name, section->help, section->keys);
    for (; extensions && *extensions; extensions++)
        print_section(&printer, (*extensions)->name, (*extensions)->help, (*extensions)->keys);
    print_section(&printer, "host \"localhost\"", config_host_section.help, config_host_section.keys);
    fputs("\n", file);
    print_lines(file, "# ", config_component_section.help);
    fputs("# component \"irc.localhost\" {\n", file);
    print_keys(&printer, "#     ", config_component_section.keys);
    fputs("# }\n", file);
    buf_fini(&printer.text);
}

/* ---- The page ---- */

/* In a cell of a table a line end is a space and '|' would end the cell. */
static void print_cell(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', file);
        fputc(*text == '\n' ? ' ' : *text, file);
    }
}

static void print_row(struct printer *printer, const struct config_key *key)
{
    struct buf *text = &printer->text;
    buf_clear(text);
    config_value_add_default(key, text);
    fprintf(printer->file, "| `%s` | `%.*s` | ", key->name, STR_ARGS(buf_str(text)));
    buf_clear(text);
    config_value_add_range(key, text);
    fprintf(printer->file, "%.*s%s%s | %s | ", STR_ARGS(buf_str(text)), key->unit ? " " : "",
            key->unit ? key->unit : "", key->effect == ON_RESTART ? "restart" : "reload");
    print_cell(printer->file, key->help);
    fputs(" |\n", printer->file);
}

static void print_table(struct printer *printer, const char *title, const char *help,
                        const struct config_key *keys)
{
    fprintf(printer->file, "\n## %s\n\n%s\n\n| key | default | values | applied at | what it is for |\n",
            title, help);
    fputs("| --- | --- | --- | --- | --- |\n", printer->file);
    for (const struct config_key *key = keys; key->name; key++)
        print_row(printer, key);
}

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "This page is made by `jabirud --print-config-reference` from the table in "
    "`src/server/config/config_table.c`.\n"
    "\n"
    "The server reads one file. `jabirud --print-default-config` prints a complete one with every key at its "
    "default;\n"
    "`jabirud --check-config` says what is wrong with yours, with line and remedy. `jabiructl reload`, or "
    "the signal\n"
    "HUP, reads it again; a file with a mistake changes nothing.\n"
    "\n"
    "```\n"
    "data = \"/var/lib/jabiru\"\n"
    "\n"
    "c2s {\n"
    "    idle-time = 30m\n"
    "}\n"
    "\n"
    "host \"example.org\" {\n"
    "    certificate = \"/etc/jabiru/example.org.pem\"\n"
    "    key = \"/etc/jabiru/example.org.key\"\n"
    "}\n"
    "```\n"
    "\n"
    "- A comment begins with `#` or `//` and ends with the line, or stands between `/*` and `*/`.\n"
    "- A text stands in quotes; they may be left out around letters, digits, `-`, `.`, `_`, `:` and `/`. In "
    "double\n"
    "  quotes `${NAME}` is the environment variable NAME, and `${NAME:-text}` is `text` where it is not "
    "set.\n"
    "- A list stands in braces: `{ \"a\", \"b\" }`. A list of one may go without.\n"
    "- A size is in bytes, or has `K`, `M` or `G` behind it (1024 bytes, and so on).\n"
    "- A time is in seconds, or has `ms`, `s`, `m`, `h` or `d` behind it.\n"
    "- A relative path starts in the folder of the configuration file, that of `control` and of `store` in "
    "the data\n"
    "  folder.\n"
    "- Each key may be set once in its section.\n";

void config_print_markdown(FILE *file, const struct config_extension *const *extensions)
{
    struct printer printer;
    printer_init(&printer, file);
    fputs(introduction, file);
    print_table(&printer, "Top level", config_sections[0].help, config_sections[0].keys);
    char title[80];
    for (const struct config_section *section = config_sections + 1; section->name; section++) {
        snprintf(title, sizeof title, "%s { }", section->name);
        print_table(&printer, title, section->help, section->keys);
    }
    print_table(&printer, "host \"NAME\" { }", config_host_section.help, config_host_section.keys);
    print_table(&printer, "component \"NAME\" { }", config_component_section.help,
                config_component_section.keys);
    for (; extensions && *extensions; extensions++) {
        snprintf(title, sizeof title, "%s { }", (*extensions)->name);
        print_table(&printer, title, (*extensions)->help, (*extensions)->keys);
        fputs("\nThe same section within a host sets what shall differ there.\n", file);
    }
    buf_fini(&printer.text);
}
