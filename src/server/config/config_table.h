/* SPDX-License-Identifier: MIT */
/* The shape of the configuration's one table. Extensions declare keys of their own with the same rows. */
#ifndef SERVER_CONFIG_TABLE_H
#define SERVER_CONFIG_TABLE_H

#include "base/str.h"

/* Each type with the field in the structure that it fills. Unsigned fields may have 1, 2, 4 or 8 bytes. */
enum config_type {
    CONFIG_STRING,    /* const char *, never NULL */
    CONFIG_PATH,      /* const char *; relative ones start in the folder of the configuration file */
    CONFIG_DATA_PATH, /* const char *; relative ones start in the data folder */
    CONFIG_BOOL,      /* bool */
    CONFIG_INT,       /* unsigned */
    CONFIG_SIZE,      /* unsigned, bytes; written with K, M or G (of 1024) */
    CONFIG_DURATION,  /* unsigned, milliseconds; written with ms, s, m, h or d */
    CONFIG_CHOICE,    /* an enum, the position in `choices` */
    CONFIG_LIST,      /* struct config_list */
};

enum config_effect { ON_RELOAD, ON_RESTART };

struct config_list {
    const char *const *items;
    size_t count;
};

/* One key. Get type, offset and width right with CONFIG_FIELD(). */
struct config_key {
    const char *name;
    enum config_type type;
    enum config_effect effect;
    size_t offset, width; /* of the field in the structure of settings */
    const char
        *default_text;   /* as one would write it without quotes; the items of a list with spaces between */
    const char *shipped; /* what the printed configuration sets it to; NULL: nothing */
    uint64_t min, max;   /* of int, size (bytes) and duration (ms); max 0: what the field holds */
    const char *unit;    /* of an int, for people; NULL: none */
    const char *choices; /* of a choice, with spaces between */
    /* For strings and items of lists: NULL when it is good, else what to write instead. May be NULL. */
    const char *(*check)(const char *value);
    const char *help; /* one or two lines */
    bool secret;      /* its value is never shown, not even a wrong one */
};

#define CONFIG_FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)

/* A section of the file with its keys, which end with a row without a name. */
struct config_section {
    const char *name; /* "": the top level */
    const char *help;
    const struct config_key *keys;
};

/* The server's own sections; the last row has no name (NULL). Offsets are in struct config. */
extern const struct config_section config_sections[];

/* The section `host`; offsets are in struct config_host. */
extern const struct config_section config_host_section;

/* The section `component`; offsets are in struct config_component. */
extern const struct config_section config_component_section;

/* Keys of an extension: a section with its name, at the top level for all hosts, and within a host to differ.
 */
struct config_extension {
    const char *name;
    const char *help;
    size_t size; /* of its structure of settings */
    const struct config_key *keys;
};

/* A check: an IP address to listen on, or "" for all. */
const char *config_check_address(const char *value);

#endif
