/* SPDX-License-Identifier: MIT */
/* Every key of the configuration: its place, type, default, bounds, and what it is for. Nothing else knows a
 * key's name. */
#include "server/config.h"

#include <stddef.h>

#define TOP(member)  offsetof(struct config, member)
#define HOST(member) offsetof(struct config_host, member)

/* clang-format off */
const struct config_row config_rows[] = {
    { "", "data", CONFIG_TEXT, TOP(data), "/var/lib/jabiru", 0, 0, NULL, false, "folder for the store and the control socket" },
    { "", "shards", CONFIG_NUMBER, TOP(shards), "0", 0, 256, NULL, false, "threads that serve clients; 0: one for each core" },
    { "", "store", CONFIG_TEXT, TOP(store), "", 0, 0, NULL, false, "where accounts, rosters and messages are kept, as sqlite:FILE; empty: the file jabiru.db in the data folder" },
    { "", "control", CONFIG_TEXT, TOP(control), "", 0, 0, NULL, false, "path of the socket for jabiructl; empty: the file control in the data folder" },

    { "c2s", "listen", CONFIG_LIST, TOP(c2s.listen), "{\"\"}", 0, 0, NULL, false, "addresses to take clients on; an empty one means all, IPv4 and IPv6" },
    { "c2s", "port", CONFIG_NUMBER, TOP(c2s.port), "5222", 0, 65535, NULL, false, "port for clients that begin in plain text and switch to TLS (STARTTLS); 0: none" },
    { "c2s", "tls-port", CONFIG_NUMBER, TOP(c2s.tls_port), "5223", 0, 65535, NULL, false, "port for clients that begin with TLS; 0: none" },
    { "c2s", "require-tls", CONFIG_BOOL, TOP(c2s.require_tls), "true", 0, 0, NULL, true, "whether a client must use TLS before it logs in" },
    { "c2s", "allow-plain", CONFIG_BOOL, TOP(c2s.allow_plain), "true", 0, 0, NULL, true, "whether the mechanism PLAIN is offered (inside TLS)" },
    { "c2s", "insecure-login", CONFIG_BOOL, TOP(c2s.insecure_login), "false", 0, 0, NULL, true, "whether passwords may cross the wire without TLS; only for tests on one machine" },
    { "c2s", "conflict", CONFIG_CHOICE, TOP(c2s.conflict), "replace", 0, 0, "replace|refuse", true, "what happens when a client wants a resource that is in use: the old session ends, or the new one is refused" },
    { "c2s", "max-resources", CONFIG_NUMBER, TOP(c2s.max_resources), "10", 1, 1000, NULL, true, "sessions that one account may have at a time" },
    { "c2s", "login-tries", CONFIG_NUMBER, TOP(c2s.login_tries), "5", 1, 100, NULL, true, "failed logins on one connection before it is closed" },
    { "c2s", "negotiation-time", CONFIG_TIME, TOP(c2s.negotiation_ms), "60s", 1000, 3600000, NULL, true, "time from connecting to a bound resource" },
    { "c2s", "max-connections", CONFIG_NUMBER, TOP(c2s.max_connections), "1000000", 1, 100000000, NULL, true, "connections of clients at a time" },
    { "c2s", "max-unauthenticated", CONFIG_NUMBER, TOP(c2s.max_unauthenticated), "10000", 1, 100000000, NULL, true, "connections at a time that have not logged in yet" },
    { "c2s", "scram-iterations", CONFIG_NUMBER, TOP(c2s.scram_iterations), "10000", 4096, 1000000, NULL, true, "rounds of hashing for new passwords" },

    { "limits", "stanza-before-login", CONFIG_SIZE, TOP(limits.stanza_before), "10K", 10000, 1 << 20, NULL, true, "size of one element before authentication" },
    { "limits", "stanza", CONFIG_SIZE, TOP(limits.stanza_after), "256K", 10000, 16 << 20, NULL, true, "size of one stanza after authentication" },
    { "limits", "depth", CONFIG_NUMBER, TOP(limits.depth), "64", 8, 1000, NULL, true, "depth of elements in a stanza" },
    { "limits", "attributes", CONFIG_NUMBER, TOP(limits.attributes), "64", 8, 1000, NULL, true, "attributes of one element" },
    { "limits", "name", CONFIG_SIZE, TOP(limits.name_bytes), "256", 64, 4096, NULL, true, "length of an element's or attribute's name" },
    { "limits", "output", CONFIG_SIZE, TOP(limits.output_bytes), "8M", 65536, 1 << 30, NULL, true, "bytes that may wait for a slow client before it is disconnected" },
    { "limits", "roster-items", CONFIG_NUMBER, TOP(limits.roster_items), "1000", 1, 100000, NULL, true, "contacts in one roster" },
    { "limits", "offline-messages", CONFIG_NUMBER, TOP(limits.offline_messages), "1000", 0, 1000000, NULL, true, "messages kept for one account while it is offline" },

    { "log", "file", CONFIG_TEXT, TOP(log.file), "", 0, 0, NULL, true, "file to append to; empty: standard error" },
    { "log", "format", CONFIG_CHOICE, TOP(log.format), "text", 0, 0, "text|json", true, "form of a line" },
    { "log", "level", CONFIG_TEXT, TOP(log.level), "info", 0, 0, NULL, true, "error, warn, info or debug" },
    { "log", "areas", CONFIG_LIST, TOP(log.areas), "{}", 0, 0, NULL, true, "levels of single areas, as {\"c2s=debug\", \"store=warn\"}" },

    { "host", "certificate", CONFIG_TEXT, HOST(certificate), "", 0, 0, NULL, true, "file with the certificate chain, PEM, the host's own first; empty: no TLS" },
    { "host", "key", CONFIG_TEXT, HOST(key), "", 0, 0, NULL, true, "file with its private key, PEM" },
    { "host", "client-ca", CONFIG_TEXT, HOST(client_ca), "", 0, 0, NULL, true, "file with the CAs of client certificates (SASL EXTERNAL); empty: none are asked for" },
    { "host", "anonymous", CONFIG_BOOL, HOST(anonymous), "false", 0, 0, NULL, true, "whether clients may log in without an account (SASL ANONYMOUS)" },
    { "host", "contact-abuse", CONFIG_LIST, HOST(contact_abuse), "{}", 0, 0, NULL, true, "addresses (URIs) to report abuse to; shown to clients (XEP-0157), as the next ones" },
    { "host", "contact-admin", CONFIG_LIST, HOST(contact_admin), "{}", 0, 0, NULL, true, "addresses of the administrators" },
    { "host", "contact-feedback", CONFIG_LIST, HOST(contact_feedback), "{}", 0, 0, NULL, true, "addresses for feedback" },
    { "host", "contact-sales", CONFIG_LIST, HOST(contact_sales), "{}", 0, 0, NULL, true, "addresses of the sales department" },
    { "host", "contact-security", CONFIG_LIST, HOST(contact_security), "{}", 0, 0, NULL, true, "addresses to report weaknesses to" },
    { "host", "contact-support", CONFIG_LIST, HOST(contact_support), "{}", 0, 0, NULL, true, "addresses for support" },
};
/* clang-format on */

const size_t config_row_count = sizeof config_rows / sizeof config_rows[0];
