/* SPDX-License-Identifier: MIT */
/* The configuration: one file in libconfuse's syntax, read into a structure that never changes afterwards. A
 * reload makes a new one and swaps the pointer; whoever still works with the old one holds a reference. Every
 * key, with its default, bounds, unit and words, stands in config_table.c and nowhere else.
 *
 * Loading runs in one thread at a time (libconfuse's lexer is global); reading and counting in any. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "server/config/config_table.h"
#include "xml/scan.h"

#include <stdio.h>

enum config_conflict { CONFLICT_REPLACE, CONFLICT_REFUSE };
enum config_access { ACCESS_NONE, ACCESS_GET, ACCESS_SET, ACCESS_BOTH };

/* A virtual host. Paths are absolute or start in the working folder; "" is "not set". */
struct config_host {
    const char *name; /* in normal form (RFC 7622) */
    const char *certificate, *key, *client_ca, *client_crl;
    bool anonymous;
    struct config_list admins; /* bare JIDs */
    struct config_list extensions_off;
    /* Addresses for people, as URIs (XEP-0157); empty lists are not published. */
    struct config_list contact_abuse, contact_admin, contact_feedback, contact_sales, contact_security,
        contact_support;
    const void *const *_settings; /* of the extensions, in the order that was given to config_load_ */
    unsigned _line;
};

/* An external component (XEP-0114): a domain that another program serves. */
struct config_component {
    const char *name; /* its domain, in normal form */
    const char *secret;
    enum config_conflict conflict;
    /* What it may do for users of its hosts (XEP-0356). */
    enum config_access privilege_roster;
    bool privilege_roster_push, privilege_message, privilege_presence;
    struct config_list privilege_iq; /* "NAMESPACE=get", "=set", "=both" */
    struct config_list delegate;     /* "NAMESPACE" or "NAMESPACE ATTRIBUTE..." (XEP-0355) */
    unsigned _line;
};

/* Where components connect to. */
struct config_components {
    struct config_list listen; /* IP addresses */
    uint16_t port;             /* 0: off */
    uint64_t handshake_ms, keepalive_ms;
    uint32_t max_unauthenticated;
};

struct config_c2s {
    struct config_list listen; /* IP addresses */
    uint16_t port, tls_port;   /* 0: off */
    bool require_tls, allow_plain, insecure_login;
    struct config_list mechanisms; /* empty: all */
    uint32_t scram_iterations;
    uint64_t token_lifetime_ms, token_renewal_ms; /* lifetime 0: no tokens */
    uint32_t token_clients;                       /* of one account, that may have tokens */
    const char *token_key;                        /* a file */
    enum config_conflict conflict;
    uint32_t max_resources;                    /* of one user */
    uint32_t login_tries;                      /* on one stream */
    uint64_t negotiation_ms, idle_ms, ping_ms; /* idle_ms 0: never closed for silence */
    uint32_t rate_stanzas, rate_bytes;         /* a second, of one stream; 0: any number */
    uint32_t max_connections, max_unauthenticated;
};

/* Stream compression for clients that have logged in (XEP-0138). */
struct config_compression {
    bool enabled;
    uint8_t level, window_bits, memory_level; /* of zlib */
    uint32_t ratio, burst;                    /* bounds for what comes in (net/conn.h) */
    uint32_t max_streams;
};

/* Streams with other servers. */
struct config_s2s {
    struct config_list listen;
    uint16_t port, tls_port; /* both 0: no federation */
    bool require_tls, require_certificate, dialback, bidi, sm, multicast;
    struct config_list without_tls, with_certificate, block, allow; /* domains, "*.example.org", or "*" */
    const char *ca;                                                 /* "": the system's */
    const char *crl;                                                /* "": none */
    const char *secret;                                             /* of dialback; "": made at the start */
    const char *dns_server;
    bool dane, posh;
    uint16_t posh_port;
    struct config_list addresses; /* "DOMAIN=ADDRESS:PORT" */
    uint64_t dns_ms, connect_ms, negotiation_ms, wait_ms, retry_ms, retry_max_ms, idle_ms, ping_ms, resume_ms,
        ack_ms;
    uint32_t queue_stanzas, queue_bytes; /* that wait for one domain */
    uint32_t max_connections, max_domain_connections, max_domains, max_pairs, max_verifications;
    uint32_t rate_stanzas, rate_bytes; /* a second, of one domain; 0: any */
    struct config_list rate_exempt;    /* domains that these are not for */
};

/* What one address may do: an IPv4 address, or an IPv6 network. */
struct config_addresses {
    uint32_t connections, unauthenticated, rate; /* rate: connections a minute */
    uint8_t ipv6_bits;
    struct config_list exempt; /* networks */
};

struct config_limits {
    uint32_t stanza_before, stanza_after; /* before and after login */
    uint16_t depth, attributes, name_bytes;
    uint64_t memory;       /* of the process; 0: three quarters of what there is */
    uint32_t output_bytes; /* queued for one connection */
    uint32_t store_queue;  /* bytes of log entries on their way to the disk, in all */
    uint32_t roster_items, offline_messages, subscription_requests; /* of one user */
};

struct config_log {
    const char *file; /* "": standard error */
    enum log_format format;
    enum log_level level;
    struct config_list areas; /* "area=level" */
};

struct config {
    const char *data;    /* folder */
    uint32_t shards;     /* 0: one for each core */
    const char *store;   /* for store_open(), with the data folder put in */
    const char *control; /* path of the control socket; "": none */
    const char *user;    /* to run as when started as root; "": stay */
    bool confine;
    struct config_c2s c2s;
    struct config_compression compression;
    struct config_components components;
    struct config_s2s s2s;
    struct config_addresses addresses;
    struct config_limits limits;
    struct scan_limits limits_before, limits_after; /* the scanner's part of `limits`, ready to use */
    struct config_log log;
    const struct config_host *hosts;
    size_t host_count;
    const struct config_component *component_list;
    size_t component_count;
};

/* What is wrong with a file, in the order of its lines, each as "file:line: what is wrong: what to write
 * instead". Bounded: what is too much is counted only. */
enum { CONFIG_ERRORS_MAX = 20 };
struct config_errors {
    const char *lines[CONFIG_ERRORS_MAX];
    size_t count;   /* of `lines` */
    size_t dropped; /* errors beyond */
    unsigned _line[CONFIG_ERRORS_MAX];
    struct arena _arena;
};

void config_errors_init(struct config_errors *errors);
void config_errors_fini(struct config_errors *errors);

/* Adds an error, once; `line` 0: it concerns the file as a whole. */
void config_errors_add(struct config_errors *errors, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Prints them, a line each, and how many were dropped. */
void config_errors_print(const struct config_errors *errors, FILE *file);

/* Reads a configuration. `extensions`: NULL-terminated, or NULL for none; they must outlive the result.
 * Relative paths in it start in the folder of `path` (of `name`). Returns OK and a reference in `ret`, or,
 * with at least one error added: ERR_NOT_FOUND, ERR_PERMISSION or ERR_IO (the file can't be read), ERR_LIMIT
 * (too large), ERR_INVALID. */
enum err config_load_file(const char *path, const struct config_extension *const *extensions,
                          struct config_errors *errors, const struct config **ret);
enum err config_load_text(const char *name, str text, const struct config_extension *const *extensions,
                          struct config_errors *errors, const struct config **ret);

/* One more reference; returns `config`. Any thread. */
const struct config *config_ref(const struct config *config);

/* Gives a reference back; the last frees. NULL is allowed. Any thread. */
void config_unref(const struct config *config);

/* Looks at what the configuration points to: certificates, keys and CA files can be read, the folders of
 * data, log and control socket are there. Blocks. Adds errors; returns true when there was none. `file` is
 * named in them. */
bool config_check_files(const struct config *config, const char *file, struct config_errors *errors);

/* The host of this name in normal form, or NULL. */
const struct config_host *config_host_named(const struct config *config, str name);

/* The component of this domain in normal form, or NULL. */
const struct config_component *config_component_named(const struct config *config, str name);

/* The settings of the extension with this index in the array given at loading, for this host: a block of its
 * declared size. Never NULL. */
const void *config_extension_settings(const struct config_host *host, size_t index);

/* The keys whose value differs and that take effect at a restart only, added to `names` as "c2s.port" with ",
 * " between; a host that came or went is named `host "example.org"`. Returns how many there are. */
size_t config_needs_restart(const struct config *old, const struct config *new, struct buf *names);

/* Prints a complete commented configuration file, every key with its default, which loads as it is. */
void config_print_default(FILE *file, const struct config_extension *const *extensions);

/* Prints docs/configuration.md. */
void config_print_markdown(FILE *file, const struct config_extension *const *extensions);

#endif
