/* SPDX-License-Identifier: MIT */
/* The configuration: one libconfuse file, read into one structure that does not change any more. Every key
 * has its row in config_table.c, from which reading, checking, --print-default-config and
 * docs/configuration.md are made. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "xml/scan.h"

#include <stdio.h>

struct config_list {
    size_t count;
    const char **items;
};

enum config_conflict { CONFLICT_REPLACE, CONFLICT_REFUSE };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

struct config_host {
    const char *name; /* a domain in normal form */
    const char *certificate, *key, *client_ca;
    bool anonymous;
    struct config_list contact_abuse, contact_admin, contact_feedback, contact_sales, contact_security,
        contact_support;
};

struct config {
    const char *data;    /* folder */
    unsigned shards;     /* 0: one a core */
    const char *store;   /* URL; "": sqlite in the data folder */
    const char *control; /* path of the control socket; "": in the data folder */
    struct {
        struct config_list listen;
        unsigned port, tls_port;
        bool require_tls, allow_plain, insecure_login;
        unsigned conflict; /* enum config_conflict */
        unsigned max_resources, login_tries, negotiation_ms, max_connections, max_unauthenticated,
            scram_iterations;
    } c2s;
    struct {
        unsigned stanza_before, stanza_after, depth, attributes, name_bytes, output_bytes, roster_items,
            offline_messages;
    } limits;
    struct {
        const char *file;
        unsigned format; /* enum config_log_format */
        const char *level;
        struct config_list areas;
    } log;
    size_t host_count;
    struct config_host *hosts;
    struct scan_limits limits_before, limits_after; /* made of limits */
    struct arena _arena;
};

/* Reads a file, or text (`name` stands for it in messages). Everything that is wrong is written to
 * `problems`, a line each: "file:line: what: what to do". Returns the configuration (config_free() it), or
 * NULL when anything is wrong. */
struct config *config_load(const char *path, FILE *problems);
struct config *config_load_text(const char *name, const char *text, FILE *problems);
void config_free(struct config *config);

/* Says what the files that it names (certificates, keys) lack, in the same form; true if nothing. */
bool config_check_files(const struct config *config, FILE *problems);

/* A complete file with every key, commented out at its default; and the same as a Markdown page. */
void config_print_default(FILE *to);
void config_print_markdown(FILE *to);

/* ---- The table
 * ----------------------------------------------------------------------------------------------------------
 */

enum config_type {
    CONFIG_TEXT,
    CONFIG_NUMBER,
    CONFIG_BOOL,
    CONFIG_SIZE,
    CONFIG_TIME,
    CONFIG_LIST,
    CONFIG_CHOICE
};

struct config_row {
    const char *section; /* "" for the top level; "host" for a host's */
    const char *name;
    enum config_type type; /* CONFIG_SIZE in bytes (K, M), CONFIG_TIME in milliseconds (ms, s, m, h) */
    size_t offset;         /* in struct config, or in struct config_host */
    const char *fallback;  /* as it would stand in a file */
    uint64_t min, max;     /* of numbers, sizes, times */
    const char *choices;   /* of CONFIG_CHOICE: "replace|refuse" */
    bool live;             /* a reload applies it; else it needs a restart */
    const char *help;
};

extern const struct config_row config_rows[];
extern const size_t config_row_count;

#endif
