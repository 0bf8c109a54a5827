/* SPDX-License-Identifier: MIT */
/* The configuration's documentation, printed from its table: as a file to begin with, and as a Markdown page.
 */
#include "server/config.h"

#include <string.h>

static const char *quoted(const struct config_row *row)
{
    return row->type == CONFIG_TEXT ? "\"" : "";
}

static void print_key(FILE *to, const struct config_row *row)
{
    bool top = !*row->section;
    fprintf(to, "%s# %s%s\n", top ? "" : "    ", row->help, row->live ? "" : " (needs a restart)");
    fprintf(to, "%s# %s = %s%s%s\n", top ? "" : "    ", row->name, quoted(row), row->fallback, quoted(row));
}

void config_print_default(FILE *to)
{
    const char *section = "";
    fprintf(to, "# The configuration of jabirud. Every key is shown at its default.\n\n");
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(row->section, section)) {
            fprintf(to, "%s\n%s %s{\n", *section ? "}\n" : "", row->section,
                    strcmp(row->section, "host") ? "" : "\"localhost\" ");
            section = row->section;
        }
        print_key(to, row);
    }
    fprintf(to, "}\n");
}

static void print_bounds(FILE *to, const struct config_row *row)
{
    switch (row->type) {
    case CONFIG_NUMBER:
        fprintf(to, "number, %llu to %llu", (unsigned long long)row->min, (unsigned long long)row->max);
        return;
    case CONFIG_SIZE:
        fprintf(to, "bytes (K, M), %llu to %llu", (unsigned long long)row->min, (unsigned long long)row->max);
        return;
    case CONFIG_TIME:
        fprintf(to, "time (ms, s, m, h), %llu to %llu ms", (unsigned long long)row->min,
                (unsigned long long)row->max);
        return;
    case CONFIG_BOOL:
        fprintf(to, "true or false");
        return;
    case CONFIG_LIST:
        fprintf(to, "list of texts");
        return;
    case CONFIG_TEXT:
        fprintf(to, "text");
        return;
    case CONFIG_CHOICE:
        for (const char *at = row->choices; *at; at++)
            fputs(*at == '|' ? " or " : (char[]){ *at, '\0' }, to);
        return;
    }
}

void config_print_markdown(FILE *to)
{
    const char *section = "-";
    fprintf(to, "# Configuration\n\nThis page is made from the server's own table of keys: `jabirud "
                "--print-config-reference`.\n"
                "`jabirud --print-default-config` prints a file to begin with, `jabirud --check-config` says "
                "what is wrong in one.\n"
                "A reload (SIGHUP, or `jabiructl reload`) applies the keys that do not say \"restart\".\n");
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(row->section, section)) {
            section = row->section;
            if (!*section)
                fprintf(to, "\n## Top level\n");
            else
                fprintf(to, "\n## %s { }\n", strcmp(section, "host") ? section : "host \"example.org\"");
            fprintf(to,
                    "\n| key | value | default | applies | what for |\n| --- | --- | --- | --- | --- |\n");
        }
        fprintf(to, "| `%s` | ", row->name);
        print_bounds(to, row);
        fprintf(to, " | `%s%s%s` | %s | %s |\n", quoted(row), row->fallback, quoted(row),
                row->live ? "reload" : "restart", row->help);
    }
}
