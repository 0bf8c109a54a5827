/* SPDX-License-Identifier: MIT */
/* The one table of configuration keys. From it come the reading (config.c), the documentation and the printed
 * default (config_doc.c), and the list of what a reload can't change. To add a key: a field in config.h, a
 * row here, and `make docs`.
 *
 * The checks at the head judge single values that a type alone can't: they return what to write instead.
 * They don't look at files (config_files.c does) and not at other keys (config.c does). */
#include "server/config/config_table.h"
#include "net/dns.h"
#include "net/network.h"
#include "server/config/config.h"
#include "xmpp/jid.h"
#include "xmpp/posh.h"

#include <arpa/inet.h>

const char *config_check_address(const char *value)
{
    unsigned char address[16];
    if (!*value || inet_pton(AF_INET, value, address) == 1 || inet_pton(AF_INET6, value, address) == 1)
        return NULL;
    return "write an IP address such as \"127.0.0.1\" or \"::1\", or \"\" for all";
}

static const char *check_network(const char *value)
{
    struct network network;
    return network_parse(str_from(value), &network)
               ? NULL
               : "write an IP address or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
}

static const char *check_area_level(const char *value)
{
    str level = str_from(value), area = str_cut(&level, '=');
    if (log_area_named(area) >= 0 && level.p && log_level_named(level) >= 0)
        return NULL;
    return "write AREA=LEVEL such as \"c2s=debug\" (areas: main config net tls c2s s2s auth router user "
           "store "
           "control "
           "component ext; levels: error warn info debug)";
}

static const char *check_account(const char *value)
{
    struct arena arena;
    struct jid jid;
    arena_init(&arena, 256);
    bool good = jid_parse(str_from(value), &arena, &jid) == OK && jid.local_len && jid_is_bare(&jid);
    arena_fini(&arena);
    return good ? NULL : "write the address of an account such as \"alice@example.org\"";
}

static const char *check_uri(const char *value)
{
    size_t colon = strcspn(value, ":");
    if (colon > 0 && value[colon] == ':' && value[colon + 1])
        return NULL;
    return "write a URI such as \"mailto:abuse@example.org\" or \"xmpp:admin@example.org\"";
}

static const char *check_store(const char *value)
{
    if (!strcmp(value, "memory:") || (str_starts(str_from(value), STR("sqlite:")) && value[7]))
        return NULL;
    return "write \"sqlite:FILE\", or \"memory:\" to keep nothing";
}

static const char *check_iq_privilege(const char *value)
{
    str text = str_from(value);
    size_t equals = str_find_last(text, '=');
    str type = str_sub(text, equals + 1, text.len);
    if (equals > 0 && equals < text.len &&
        (str_is(type, "get") || str_is(type, "set") || str_is(type, "both")))
        return NULL;
    return "write NAMESPACE=TYPE such as \"http://jabber.org/protocol/pubsub=set\" (types: get set both)";
}

static const char *check_delegate(const char *value)
{
    return *value && *value != ' ' ? NULL : "write NAMESPACE, or NAMESPACE ATTRIBUTE";
}

static const char *check_not_empty(const char *value)
{
    return *value ? NULL : "write a path";
}

static const char *check_override(const char *value)
{
    return dns_override_is_valid(value) ? NULL
                                        : "write DOMAIN=ADDRESS:PORT such as \"example.org=192.0.2.1:5269\", "
                                          "with tls: before the address "
                                          "for a port that begins with TLS";
}

static const char *check_dns_server(const char *value)
{
    return dns_server_is_valid(value) ? NULL
                                      : "write an IP address, or ADDRESS:PORT, or \"\" for the system's";
}

#define IN_CONFIG(member)    CONFIG_FIELD(struct config, member)
#define IN_HOST(member)      CONFIG_FIELD(struct config_host, member)
#define IN_COMPONENT(member) CONFIG_FIELD(struct config_component, member)

static const struct config_key top_keys[] = {
    { .name = "data",
      .type = CONFIG_PATH,
      .effect = ON_RESTART,
      IN_CONFIG(data),
      .default_text = "/var/lib/jabiru",
      .check = check_not_empty,
      .help = "The folder for all that the server keeps." },
    { .name = "shards",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      IN_CONFIG(shards),
      .default_text = "0",
      .max = 256,
      .unit = "threads",
      .help = "Threads that serve users; 0: one for each processor core." },
    { .name = "store",
      .type = CONFIG_STRING,
      .effect = ON_RESTART,
      IN_CONFIG(store),
      .default_text = "sqlite:jabiru.db",
      .check = check_store,
      .help =
          "Where accounts, rosters and messages are kept: sqlite:FILE (a relative one starts in the data\n"
          "folder), or memory: for tests, which keeps nothing." },
    { .name = "user",
      .type = CONFIG_STRING,
      .effect = ON_RESTART,
      IN_CONFIG(user),
      .default_text = "",
      .help = "The user to become when it is started as root, before any file of the store is opened; empty: "
              "none.\n"
              "The data folder, certificates and keys must be readable by this user." },
    { .name = "confine",
      .type = CONFIG_BOOL,
      .effect = ON_RESTART,
      IN_CONFIG(confine),
      .default_text = "true",
      .help = "Whether the process gives up what it does not need (Landlock, seccomp): other files than its "
              "own,\n"
              "starting programs, odd sockets. Files that a later reload names must lie in folders named at "
              "the start." },
    { .name = "control",
      .type = CONFIG_DATA_PATH,
      .effect = ON_RESTART,
      IN_CONFIG(control),
      .default_text = "control",
      .help = "The local socket for jabiructl; a relative one starts in the data folder; empty: none." },
    { 0 },
};

static const struct config_key c2s_keys[] = {
    { .name = "listen",
      .type = CONFIG_LIST,
      .effect = ON_RESTART,
      IN_CONFIG(c2s.listen),
      .default_text = "\"\"",
      .check = config_check_address,
      .help = "The IP addresses to listen on; an empty one means all, IPv4 and IPv6." },
    { .name = "port",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      IN_CONFIG(c2s.port),
      .default_text = "5222",
      .help = "The port for clients that begin in plain text and switch to TLS (STARTTLS); 0: off." },
    { .name = "tls-port",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      IN_CONFIG(c2s.tls_port),
      .default_text = "5223",
      .help = "The port for clients that begin with TLS (XEP-0368); 0: off." },
    { .name = "require-tls",
      .type = CONFIG_BOOL,
      IN_CONFIG(c2s.require_tls),
      .default_text = "true",
      .help = "Whether clients must use TLS before they log in (RFC 7590)." },
    { .name = "allow-plain",
      .type = CONFIG_BOOL,
      IN_CONFIG(c2s.allow_plain),
      .default_text = "true",
      .help = "Whether the SASL mechanism PLAIN is offered, under TLS only. Few clients need it." },
    { .name = "insecure-login",
      .type = CONFIG_BOOL,
      IN_CONFIG(c2s.insecure_login),
      .default_text = "false",
      .help = "Whether logins without TLS are taken, PLAIN among them: passwords can be read on the way.\n"
              "For benchmarks and tests on the loopback interface. Needs require-tls = false, too." },
    { .name = "mechanisms",
      .type = CONFIG_LIST,
      IN_CONFIG(c2s.mechanisms),
      .default_text = "",
      .help = "The SASL mechanisms to offer, such as \"SCRAM-SHA-256-PLUS\"; empty: all that are possible." },
    { .name = "scram-iterations",
      .type = CONFIG_INT,
      IN_CONFIG(c2s.scram_iterations),
      .default_text = "10000",
      .min = 4096,
      .max = 10000000,
      .unit = "rounds",
      .help =
          "Hash rounds for passwords that are set from now on. More rounds slow down guessing, and logins." },
    { .name = "token-lifetime",
      .type = CONFIG_DURATION,
      IN_CONFIG(c2s.token_lifetime_ms),
      .default_text = "21d",
      .max = 366 * 86400000ull,
      .help = "How long a client that was away can log in with the token that it was given instead of its\n"
              "password (XEP-0484); 0: no tokens." },
    { .name = "token-renewal",
      .type = CONFIG_DURATION,
      IN_CONFIG(c2s.token_renewal_ms),
      .default_text = "1d",
      .min = 60000,
      .max = 366 * 86400000ull,
      .help = "The age at which a token that is used is replaced by a new one." },
    { .name = "token-clients",
      .type = CONFIG_INT,
      IN_CONFIG(c2s.token_clients),
      .default_text = "16",
      .min = 1,
      .max = 1000,
      .unit = "clients",
      .help = "Clients of one account that may have tokens; one more takes the place of the one whose\n"
              "token ends first." },
    { .name = "token-key",
      .type = CONFIG_DATA_PATH,
      .effect = ON_RESTART,
      IN_CONFIG(c2s.token_key),
      .default_text = "token.key",
      .check = check_not_empty,
      .help = "The file with the key from which tokens are made; it is made when it is not there. Without\n"
              "it, a copy of the store is of no use for logging in. Removing it ends all tokens." },
    { .name = "conflict",
      .type = CONFIG_CHOICE,
      IN_CONFIG(c2s.conflict),
      .default_text = "replace",
      .choices = "replace refuse",
      .help = "When a client asks for a resource that is in use: replace ends the old session,\n"
              "refuse turns the new one away (RFC 6120 section 7.7.2.2)." },
    { .name = "max-resources",
      .type = CONFIG_INT,
      IN_CONFIG(c2s.max_resources),
      .default_text = "10",
      .min = 1,
      .max = 1000,
      .unit = "sessions",
      .help = "Sessions of one user at the same time." },
    { .name = "login-tries",
      .type = CONFIG_INT,
      IN_CONFIG(c2s.login_tries),
      .default_text = "5",
      .min = 1,
      .max = 100,
      .unit = "tries",
      .help = "Failed logins on one stream before it is closed." },
    { .name = "negotiation-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(c2s.negotiation_ms),
      .default_text = "1m",
      .min = 1000,
      .max = 3600000,
      .help = "The time from connecting until a session is bound; slower clients are closed." },
    { .name = "idle-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(c2s.idle_ms),
      .default_text = "1h",
      .max = 7 * 86400000ull,
      .help = "The silence after which a client is asked for a sign of life (XEP-0199); 0: never." },
    { .name = "ping-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(c2s.ping_ms),
      .default_text = "1m",
      .min = 1000,
      .max = 3600000,
      .help = "The time for that sign of life; then the connection counts as lost." },
    { .name = "rate-stanzas",
      .type = CONFIG_INT,
      IN_CONFIG(c2s.rate_stanzas),
      .default_text = "1000",
      .max = 10000000,
      .unit = "stanzas",
      .help =
          "Stanzas a second that one client may send in the long run, and ten times as many at once; then it "
          "is\n"
          "read more slowly. A tenth of those whom its presence goes to count, too. 0: any number." },
    { .name = "rate-bytes",
      .type = CONFIG_SIZE,
      IN_CONFIG(c2s.rate_bytes),
      .default_text = "1M",
      .max = 1 << 30,
      .help = "And its bytes." },
    { .name = "max-connections",
      .type = CONFIG_INT,
      IN_CONFIG(c2s.max_connections),
      .default_text = "1000000",
      .min = 1,
      .unit = "connections",
      .help = "Connections of clients at the same time." },
    { .name = "max-unauthenticated",
      .type = CONFIG_INT,
      IN_CONFIG(c2s.max_unauthenticated),
      .default_text = "10000",
      .min = 1,
      .unit = "connections",
      .help = "Connections that have not logged in yet, at the same time." },
    { 0 },
};

static const struct config_key compression_keys[] = {
    { .name = "enabled",
      .type = CONFIG_BOOL,
      IN_CONFIG(compression.enabled),
      .default_text = "false",
      .help =
          "Whether clients that have logged in may compress their streams with zlib. It saves bytes on the\n"
          "way and costs memory; what else it may cost, docs/security.md says." },
    { .name = "level",
      .type = CONFIG_INT,
      IN_CONFIG(compression.level),
      .default_text = "6",
      .min = 1,
      .max = 9,
      .help = "From 1 (fast) to 9 (small)." },
    { .name = "window-bits",
      .type = CONFIG_INT,
      IN_CONFIG(compression.window_bits),
      .default_text = "13",
      .min = 9,
      .max = 15,
      .help =
          "How far back repetitions are looked for, as a power of two: each stream takes 4 times as many\n"
          "bytes of memory (13: 32 KiB)." },
    { .name = "memory-level",
      .type = CONFIG_INT,
      IN_CONFIG(compression.memory_level),
      .default_text = "5",
      .min = 1,
      .max = 9,
      .help = "Each stream takes another 2 to the power of this and 9 bytes (5: 16 KiB)." },
    { .name = "ratio",
      .type = CONFIG_INT,
      IN_CONFIG(compression.ratio),
      .default_text = "100",
      .min = 10,
      .max = 1100,
      .help =
          "How many bytes one byte of a client may become; zlib can do about 1000. Who sends what becomes\n"
          "more in the long run is closed." },
    { .name = "burst",
      .type = CONFIG_SIZE,
      IN_CONFIG(compression.burst),
      .default_text = "1M",
      .min = 64 << 10,
      .max = 1 << 30,
      .help = "How many bytes more than that may come at once." },
    { .name = "max-streams",
      .type = CONFIG_INT,
      IN_CONFIG(compression.max_streams),
      .default_text = "1000",
      .min = 1,
      .unit = "streams",
      .help = "Compressed streams at the same time: each takes about 100 KiB." },
    { 0 },
};

static const struct config_key components_keys[] = {
    { .name = "listen",
      .type = CONFIG_LIST,
      .effect = ON_RESTART,
      IN_CONFIG(components.listen),
      .default_text = "127.0.0.1",
      .check = config_check_address,
      .help = "The IP addresses to listen on. The secret is all that protects a component's stream: other\n"
              "addresses than those of this machine belong behind a tunnel." },
    { .name = "port",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      IN_CONFIG(components.port),
      .default_text = "5347",
      .help = "The port for components; 0: off. It is opened only where there is a component section." },
    { .name = "handshake-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(components.handshake_ms),
      .default_text = "30s",
      .min = 1000,
      .max = 3600000,
      .help = "The time from connecting until the handshake is done; slower components are closed." },
    { .name = "keepalive",
      .type = CONFIG_DURATION,
      IN_CONFIG(components.keepalive_ms),
      .default_text = "5m",
      .max = 7 * 86400000ull,
      .help = "The silence after which a space is sent, so that a dead connection is noticed; 0: never." },
    { .name = "max-unauthenticated",
      .type = CONFIG_INT,
      IN_CONFIG(components.max_unauthenticated),
      .default_text = "100",
      .min = 1,
      .unit = "connections",
      .help = "Connections that have not done the handshake yet, at the same time." },
    { 0 },
};

static const struct config_key s2s_keys[] = {
    { .name = "listen",
      .type = CONFIG_LIST,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.listen),
      .default_text = "\"\"",
      .check = config_check_address,
      .help = "The IP addresses to listen on; an empty one means all, IPv4 and IPv6." },
    { .name = "port",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.port),
      .default_text = "0",
      .shipped = "5269",
      .help =
          "The port for other servers that begin in plain text and switch to TLS; usually 5269. While this\n"
          "and tls-port are 0 there is no federation, in neither direction." },
    { .name = "tls-port",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.tls_port),
      .default_text = "0",
      .help = "The port for other servers that begin with TLS (XEP-0368), usually 5270; 0: off." },
    { .name = "require-tls",
      .type = CONFIG_BOOL,
      IN_CONFIG(s2s.require_tls),
      .default_text = "true",
      .help = "Whether other servers must use TLS (RFC 7590)." },
    { .name = "without-tls",
      .type = CONFIG_LIST,
      IN_CONFIG(s2s.without_tls),
      .default_text = "",
      .help =
          "Domains that may do without, such as \"old.example\", or \"*.old.example\" for all below it." },
    { .name = "require-certificate",
      .type = CONFIG_BOOL,
      IN_CONFIG(s2s.require_certificate),
      .default_text = "false",
      .help =
          "Whether other servers must show a certificate of a CA that we trust, with their domain in it.\n"
          "Else those that have none may prove their domain by dialback (XEP-0220), which trusts DNS." },
    { .name = "with-certificate",
      .type = CONFIG_LIST,
      IN_CONFIG(s2s.with_certificate),
      .default_text = "",
      .help = "Domains that must, when not all have to." },
    { .name = "dialback",
      .type = CONFIG_BOOL,
      IN_CONFIG(s2s.dialback),
      .default_text = "true",
      .help = "Whether dialback is used and taken at all." },
    { .name = "bidi",
      .type = CONFIG_BOOL,
      IN_CONFIG(s2s.bidi),
      .default_text = "true",
      .help = "Whether one connection may serve both directions (XEP-0288)." },
    { .name = "stream-management",
      .type = CONFIG_BOOL,
      IN_CONFIG(s2s.sm),
      .default_text = "true",
      .help = "Whether other servers acknowledge what they get, and we what we get (XEP-0198)." },
    { .name = "multicast",
      .type = CONFIG_BOOL,
      IN_CONFIG(s2s.multicast),
      .default_text = "true",
      .help = "Whether presence, events and what is said in rooms go out as one stanza for many addresses\n"
              "to servers that take that (XEP-0033)." },
    { .name = "resume-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.resume_ms),
      .default_text = "2m",
      .min = 1000,
      .max = 3600000,
      .help = "How long a stream that broke may be resumed." },
    { .name = "ack-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.ack_ms),
      .default_text = "30s",
      .min = 1000,
      .max = 600000,
      .help = "A server that does not acknowledge within this time is taken for dead." },
    { .name = "ca",
      .type = CONFIG_PATH,
      IN_CONFIG(s2s.ca),
      .default_text = "",
      .help = "The file with the CAs that other servers' certificates must chain to; empty: the system's." },
    { .name = "crl",
      .type = CONFIG_PATH,
      IN_CONFIG(s2s.crl),
      .default_text = "",
      .help = "The file with lists of certificates that CAs have revoked (CRL, in PEM); empty: none. A list "
              "that is past\n"
              "its time refuses all of its CA: fetch it anew, and reload. CAs without a list there are not "
              "affected." },
    { .name = "dialback-secret",
      .type = CONFIG_STRING,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.secret),
      .default_text = "",
      .help =
          "What dialback keys are made of, the same on all servers of one domain; empty: a new one is made\n"
          "at each start." },
    { .name = "block",
      .type = CONFIG_LIST,
      IN_CONFIG(s2s.block),
      .default_text = "",
      .help = "Domains with which nothing is exchanged." },
    { .name = "allow",
      .type = CONFIG_LIST,
      IN_CONFIG(s2s.allow),
      .default_text = "",
      .help = "When not empty: the only domains with which anything is exchanged." },
    { .name = "dns-server",
      .type = CONFIG_STRING,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.dns_server),
      .default_text = "",
      .check = check_dns_server,
      .help = "The name server to ask, as ADDRESS or ADDRESS:PORT; empty: the system's." },
    { .name = "dane",
      .type = CONFIG_BOOL,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.dane),
      .default_text = "false",
      .help =
          "Whether TLSA records that DNSSEC vouches for say which certificate another server must have "
          "(DANE,\n"
          "RFC 7673). dns-server must then be a name server on this machine that validates with DNSSEC." },
    { .name = "posh",
      .type = CONFIG_BOOL,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.posh),
      .default_text = "false",
      .help = "Whether another domain's web server is asked when its certificate is not good by itself: what "
              "is named\n"
              "at https://DOMAIN" POSH_PATH_SERVER " is taken (POSH, RFC 7711), both of servers that we\n"
              "connect to and of those that connect to us." },
    { .name = "posh-port",
      .type = CONFIG_INT,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.posh_port),
      .default_text = "443",
      .min = 1,
      .max = UINT16_MAX,
      .help = "The port of these web servers; no other one is asked." },
    { .name = "dns-time",
      .type = CONFIG_DURATION,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.dns_ms),
      .default_text = "10s",
      .min = 100,
      .max = 60000,
      .help = "The time for an answer of the name server, with all tries." },
    { .name = "addresses",
      .type = CONFIG_LIST,
      .effect = ON_RESTART,
      IN_CONFIG(s2s.addresses),
      .default_text = "",
      .check = check_override,
      .help = "Servers that DNS is not asked for, as \"DOMAIN=ADDRESS:PORT\"." },
    { .name = "connect-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.connect_ms),
      .default_text = "20s",
      .min = 100,
      .max = 300000,
      .help = "The time for a connection to another server to be there." },
    { .name = "negotiation-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.negotiation_ms),
      .default_text = "30s",
      .min = 1000,
      .max = 300000,
      .help = "The time from the connection to a proven domain." },
    { .name = "wait-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.wait_ms),
      .default_text = "1m",
      .min = 1000,
      .max = 3600000,
      .help = "How long a stanza waits for its server to be reached; then its sender gets an error." },
    { .name = "queue-stanzas",
      .type = CONFIG_INT,
      IN_CONFIG(s2s.queue_stanzas),
      .default_text = "1000",
      .min = 1,
      .max = 1000000,
      .unit = "stanzas",
      .help = "Stanzas that may wait from one host of ours to one other domain." },
    { .name = "queue-bytes",
      .type = CONFIG_SIZE,
      IN_CONFIG(s2s.queue_bytes),
      .default_text = "4M",
      .min = 64 << 10,
      .max = 1 << 30,
      .help = "And their bytes." },
    { .name = "retry-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.retry_ms),
      .default_text = "5s",
      .min = 100,
      .max = 3600000,
      .help =
          "After a failure a domain is left alone for this long, twice as long after the next one, and so\n"
          "on; what is sent to it meanwhile is answered with the same error at once." },
    { .name = "retry-time-max",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.retry_max_ms),
      .default_text = "5m",
      .min = 100,
      .max = 86400000,
      .help = "The longest such time." },
    { .name = "idle-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.idle_ms),
      .default_text = "10m",
      .min = 1000,
      .max = 7 * 86400000ull,
      .help = "A stream on which no stanza went for so long is closed." },
    { .name = "ping-time",
      .type = CONFIG_DURATION,
      IN_CONFIG(s2s.ping_ms),
      .default_text = "2m",
      .min = 1000,
      .max = 86400000,
      .help = "After so long without a byte a space is sent, so that a dead connection is noticed." },
    { .name = "max-connections",
      .type = CONFIG_INT,
      IN_CONFIG(s2s.max_connections),
      .default_text = "10000",
      .min = 1,
      .unit = "connections",
      .help = "Connections from other servers at the same time." },
    { .name = "max-domain-connections",
      .type = CONFIG_INT,
      IN_CONFIG(s2s.max_domain_connections),
      .default_text = "20",
      .min = 1,
      .max = 100000,
      .unit = "connections",
      .help = "And connections on which one and the same domain was proved first." },
    { .name = "max-domains",
      .type = CONFIG_INT,
      IN_CONFIG(s2s.max_domains),
      .default_text = "10000",
      .min = 1,
      .unit = "domains",
      .help = "Other domains that one thread deals with at the same time." },
    { .name = "max-pairs",
      .type = CONFIG_INT,
      IN_CONFIG(s2s.max_pairs),
      .default_text = "100",
      .min = 1,
      .max = 10000,
      .unit = "pairs",
      .help = "Pairs of domains that one stream may serve (XEP-0220's multiplexing)." },
    { .name = "max-verifications",
      .type = CONFIG_INT,
      IN_CONFIG(s2s.max_verifications),
      .default_text = "200",
      .min = 1,
      .max = 100000,
      .unit = "verifications",
      .help = "Dialback keys that are being checked at the same time; others are told to come again." },
    { .name = "rate-stanzas",
      .type = CONFIG_INT,
      IN_CONFIG(s2s.rate_stanzas),
      .default_text = "1000",
      .max = 10000000,
      .unit = "stanzas",
      .help =
          "Stanzas a second that another domain may bring in the long run, on all its streams together, and\n"
          "ten times as many at once; then they are read more slowly. 0: any number." },
    { .name = "rate-bytes",
      .type = CONFIG_SIZE,
      IN_CONFIG(s2s.rate_bytes),
      .default_text = "4M",
      .max = 1 << 30,
      .help = "And its bytes." },
    { .name = "rate-exempt",
      .type = CONFIG_LIST,
      IN_CONFIG(s2s.rate_exempt),
      .default_text = "",
      .help =
          "Domains that these rates are not for, such as \"*.example.org\": other servers of one's own." },
    { 0 },
};

static const struct config_key addresses_keys[] = {
    { .name = "connections",
      .type = CONFIG_INT,
      IN_CONFIG(addresses.connections),
      .default_text = "1000",
      .min = 1,
      .unit = "connections",
      .help =
          "Connections from one address at the same time, to all ports: of clients, servers and components.\n"
          "Many people may share one address." },
    { .name = "unauthenticated",
      .type = CONFIG_INT,
      IN_CONFIG(addresses.unauthenticated),
      .default_text = "100",
      .min = 1,
      .unit = "connections",
      .help = "Connections from one address that have not logged in (or proved who they are) yet." },
    { .name = "rate",
      .type = CONFIG_INT,
      IN_CONFIG(addresses.rate),
      .default_text = "1000",
      .min = 1,
      .unit = "connections a minute",
      .help = "How often one address may connect." },
    { .name = "ipv6-bits",
      .type = CONFIG_INT,
      IN_CONFIG(addresses.ipv6_bits),
      .default_text = "64",
      .min = 16,
      .max = 128,
      .unit = "bits",
      .help = "How much of an IPv6 address counts as one address: a household has 64 bits to choose from." },
    { .name = "exempt",
      .type = CONFIG_LIST,
      IN_CONFIG(addresses.exempt),
      .default_text = "127.0.0.0/8 ::1",
      .check = check_network,
      .help = "Networks that these limits are not for, such as \"10.0.0.0/8\": this machine, a proxy, a "
              "gateway." },
    { 0 },
};

static const struct config_key limits_keys[] = {
    { .name = "stanza-before-login",
      .type = CONFIG_SIZE,
      IN_CONFIG(limits.stanza_before),
      .default_text = "10000",
      .min = 10000,
      .max = 1 << 20,
      .help = "The largest element from a client that has not logged in. RFC 6120 section 13.12\n"
              "asks for at least 10000." },
    { .name = "stanza",
      .type = CONFIG_SIZE,
      IN_CONFIG(limits.stanza_after),
      .default_text = "256K",
      .min = 10000,
      .max = 16 << 20,
      .help = "The largest stanza from a client." },
    { .name = "depth",
      .type = CONFIG_INT,
      IN_CONFIG(limits.depth),
      .default_text = "64",
      .min = 8,
      .max = 1024,
      .unit = "areas",
      .help = "How deeply elements may be nested within a stanza." },
    { .name = "attributes",
      .type = CONFIG_INT,
      IN_CONFIG(limits.attributes),
      .default_text = "64",
      .min = 8,
      .max = 1024,
      .unit = "attributes",
      .help = "Attributes of one element, namespace declarations included." },
    { .name = "name",
      .type = CONFIG_SIZE,
      IN_CONFIG(limits.name_bytes),
      .default_text = "256",
      .min = 64,
      .max = 4096,
      .help = "The longest name of an element or attribute, with its prefix." },
    { .name = "memory",
      .type = CONFIG_SIZE,
      IN_CONFIG(limits.memory),
      .default_text = "0",
      .max = (uint64_t)1 << 50,
      .help = "What the whole process may allocate; 0: three quarters of the machine's memory, or of the "
              "control\n"
              "group's. Beyond it logins are refused, and those for whom most is kept are ended first." },
    { .name = "output",
      .type = CONFIG_SIZE,
      IN_CONFIG(limits.output_bytes),
      .default_text = "4M",
      .min = 64 << 10,
      .max = 1 << 30,
      .help = "What may wait to be sent to one connection; a client that reads more slowly is closed." },
    { .name = "store-queue",
      .type = CONFIG_SIZE,
      IN_CONFIG(limits.store_queue),
      .default_text = "16M",
      .min = 64 << 10,
      .max = 1 << 30,
      .help = "What may wait to be written to archives, in the whole server; above it who sends a message is "
              "not read." },
    { .name = "roster-items",
      .type = CONFIG_INT,
      IN_CONFIG(limits.roster_items),
      .default_text = "1000",
      .min = 1,
      .max = 100000,
      .unit = "contacts",
      .help = "Contacts in one user's roster." },
    { .name = "offline-messages",
      .type = CONFIG_INT,
      IN_CONFIG(limits.offline_messages),
      .default_text = "1000",
      .max = 1000000,
      .unit = "messages",
      .help = "Messages kept for one user who is away (XEP-0160); 0: none are." },
    { .name = "subscription-requests",
      .type = CONFIG_INT,
      IN_CONFIG(limits.subscription_requests),
      .default_text = "100",
      .min = 1,
      .max = 10000,
      .unit = "requests",
      .help = "Subscription requests to one user that wait for an answer." },
    { 0 },
};

static const struct config_key log_keys[] = {
    { .name = "file",
      .type = CONFIG_PATH,
      IN_CONFIG(log.file),
      .default_text = "",
      .help = "The file to append to; empty: standard error. A reload opens it anew." },
    { .name = "format",
      .type = CONFIG_CHOICE,
      IN_CONFIG(log.format),
      .default_text = "text",
      .choices = "text json",
      .help = "One line an event, as text or as JSON." },
    { .name = "level",
      .type = CONFIG_CHOICE,
      IN_CONFIG(log.level),
      .default_text = "info",
      .choices = "error warn info debug",
      .help = "What is worth a line." },
    { .name = "areas",
      .type = CONFIG_LIST,
      IN_CONFIG(log.areas),
      .default_text = "",
      .check = check_area_level,
      .help = "Other levels for single areas, such as \"c2s=debug\"." },
    { 0 },
};

const struct config_section config_sections[] = {
    { "", "At the top of the file, in no section.", top_keys },
    { "c2s", "Connections of clients, and their logins.", c2s_keys },
    { "compression", "Compression of clients' streams (XEP-0138).", compression_keys },
    { "s2s", "Streams with other servers: federation.", s2s_keys },
    { "components", "Where external components connect to (XEP-0114).", components_keys },
    { "addresses", "What one address may do, whoever it is that connects from there.", addresses_keys },
    { "limits", "How much of anything one peer may ask of the server.", limits_keys },
    { "log", "What the server tells its administrator.", log_keys },
    { 0 },
};

#define CONTACT(kind, whom)                                                                                  \
    {                                                                                                        \
        .name = "contact-" #kind, .type = CONFIG_LIST, IN_HOST(contact_##kind), .default_text = "",          \
        .check = check_uri, .help = "URIs of " whom ", published by XEP-0157."                               \
    }

static const struct config_key host_keys[] = {
    { .name = "certificate",
      .type = CONFIG_PATH,
      IN_HOST(certificate),
      .default_text = "",
      .help = "The file with the certificate chain in PEM, the host's own first; empty: no TLS." },
    { .name = "key",
      .type = CONFIG_PATH,
      IN_HOST(key),
      .default_text = "",
      .help = "The file with the certificate's private key in PEM." },
    { .name = "client-ca",
      .type = CONFIG_PATH,
      IN_HOST(client_ca),
      .default_text = "",
      .help = "The file with the CAs whose client certificates log users in (SASL EXTERNAL); empty: off." },
    { .name = "client-crl",
      .type = CONFIG_PATH,
      IN_HOST(client_crl),
      .default_text = "",
      .help = "The file with lists of clients' certificates that were revoked, as s2s.crl." },
    { .name = "anonymous",
      .type = CONFIG_BOOL,
      IN_HOST(anonymous),
      .default_text = "false",
      .help = "Whether guests may log in without an account (SASL ANONYMOUS)." },
    { .name = "admins",
      .type = CONFIG_LIST,
      IN_HOST(admins),
      .default_text = "",
      .check = check_account,
      .help =
          "The addresses of those who may administer the host with commands of their clients (XEP-0133)." },
    { .name = "extensions-off",
      .type = CONFIG_LIST,
      IN_HOST(extensions_off),
      .default_text = "",
      .help = "Extensions to switch off that are on by default." },
    CONTACT(abuse, "those who deal with abuse"),
    CONTACT(admin, "the administrators"),
    CONTACT(feedback, "those who take feedback"),
    CONTACT(sales, "those who sell"),
    CONTACT(security, "those who take reports of vulnerabilities"),
    CONTACT(support, "those who help users"),
    { 0 },
};

const struct config_section config_host_section = {
    "host", "A virtual host: one section for each domain that is served, with its name as title.", host_keys
};

static const struct config_key component_keys[] = {
    { .name = "secret",
      .type = CONFIG_STRING,
      IN_COMPONENT(secret),
      .default_text = "",
      .secret = true,
      .help = "The secret that the component proves to know; it must be set. A long random one is best." },
    { .name = "conflict",
      .type = CONFIG_CHOICE,
      IN_COMPONENT(conflict),
      .default_text = "refuse",
      .choices = "replace refuse",
      .help = "When a component connects whose domain is served by another connection: replace ends the\n"
              "old one, refuse turns the new one away." },
    { .name = "privilege-roster",
      .type = CONFIG_CHOICE,
      IN_COMPONENT(privilege_roster),
      .default_text = "none",
      .choices = "none get set both",
      .help =
          "What the component may do with the rosters of the users of its hosts (XEP-0356). Its hosts are\n"
          "the one that its domain lies below, or else all." },
    { .name = "privilege-roster-push",
      .type = CONFIG_BOOL,
      IN_COMPONENT(privilege_roster_push),
      .default_text = "true",
      .help = "Whether it is told of changes to rosters that it may get." },
    { .name = "privilege-message",
      .type = CONFIG_BOOL,
      IN_COMPONENT(privilege_message),
      .default_text = "false",
      .help = "Whether it may send messages in the name of these hosts and their users (XEP-0356)." },
    { .name = "privilege-presence",
      .type = CONFIG_BOOL,
      IN_COMPONENT(privilege_presence),
      .default_text = "false",
      .help = "Whether it is told of the presence of these users (XEP-0356)." },
    { .name = "privilege-iq",
      .type = CONFIG_LIST,
      IN_COMPONENT(privilege_iq),
      .default_text = "",
      .check = check_iq_privilege,
      .help = "Requests that it may make in the name of these users (XEP-0356), such as\n"
              "\"http://jabber.org/protocol/pubsub=set\"; get, set or both." },
    { .name = "delegate",
      .type = CONFIG_LIST,
      IN_COMPONENT(delegate),
      .default_text = "",
      .check = check_delegate,
      .help =
          "Namespaces of requests to these hosts and their users that the component answers instead of the\n"
          "server (XEP-0355), each with the attributes, if any, that a request must have: \"urn:xmpp:mam:2 "
          "node\"." },
    { 0 },
};

const struct config_section config_component_section = {
    "component",
    "An external component (XEP-0114): one section for each domain that another program serves, with its "
    "name "
    "as title.",
    component_keys
};
