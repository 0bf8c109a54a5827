/* SPDX-License-Identifier: MIT */
/* The command line: one table of options, from which the parser and the help are made. */
#include "programs/jabiru-load/options.h"

#include "programs/jabiru-load/modes.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { USER_PREFIX_MAX = 32, STANZA_BYTES = 512, IN_FLIGHT_MAX = 8 * 1024 * 1024 };

#define OPTIONS(X)                                                                                           \
    X(HOST, "host", "ADDRESS", "server's address or name (127.0.0.1)")                                       \
    X(PORT, "port", "PORT", "server's port (5222)")                                                          \
    X(DOMAIN, "domain", "NAME", "domain to log in to (localhost)")                                           \
    X(TLS, "tls", "KIND", "none, starttls or direct (none)")                                                 \
    X(CA, "ca", "FILE", "check the server's certificate against these CAs (not checked)")                    \
    X(MECHANISM, "mechanism", "NAME", "the one SASL mechanism to use (the strongest)")                       \
    X(USERS, "users", "N", "number of users (100)")                                                          \
    X(PAIRS, "pairs", "N", "number of pairs, instead of --users")                                            \
    X(FIRST, "first", "N", "number of the first user (0)")                                                   \
    X(USER_PREFIX, "user-prefix", "NAME", "user n is NAMEn (user)")                                          \
    X(PASSWORD, "password", "TEXT", "password of all users")                                                 \
    X(WINDOW, "window", "W", "in flight for each user, pair or room (1); logins at a time (16)")             \
    X(RATE, "rate", "R", "pairs, ping, mix: so many a second in all, whatever comes back")                   \
    X(SECONDS, "seconds", "S", "how long to count, after a second of warming up (10)")                       \
    X(EVERY, "every", "S", "report each stretch of S seconds of these, as a JSON object")                    \
    X(SEED, "seed", "N", "mix: of what is chosen at random (1)")                                             \
    X(AWAY, "away", "S", "mix: who leaves comes again within S seconds (60)")                                \
    X(BODY, "body", "BYTES", "length of a message's body (100)")                                             \
    X(ROSTER, "roster", "N", "presence, pep: contacts of each user, in blocks of N + 1 neighbours (20)")     \
    X(ROOM, "room", "N", "rooms, mix: occupants of each room (100)")                                         \
    X(FLOOD, "flood", "N", "rooms: so many of each room send all they can; what is refused is no error (0)") \
    X(SERVICE, "service", "NAME", "rooms: their domain (conference. and the domain)")                        \
    X(SUBSCRIBE, "subscribe", NULL, "presence: make these rosters first")                                    \
    X(PARALLEL, "parallel", "N", "users that log in, enter or publish at a time before work (64)")           \
    X(NO_PRESENCE, "no-presence", NULL, "idle, logins: send no initial presence")                            \
    X(SM, "sm", NULL, "idle: enable stream management")                                                      \
    X(PEP, "pep", "N", "idle: each publishes at N nodes of its account (0)")                                 \
    X(INSTANT, "instant", NULL, "log in by SASL2, Bind 2 and, from the second time on, tokens")              \
    X(COMPRESS, "compress", NULL, "compress all streams (XEP-0138); a server must offer it")                 \
    X(FAR_PORT, "far-port", "PORT", "pairs: the receivers log in to another server, at this port")           \
    X(FAR_DOMAIN, "far-domain", "NAME", "pairs: and to this domain")                                         \
    X(RELAY, "relay", NULL, "pairs, logins: the peer joins connections by a line 'PAIR n', no XMPP")         \
    X(JSON, "json", NULL, "print the result as one JSON object")                                             \
    X(HELP, "help", NULL, "print this text")                                                                 \
    X(VERSION, "version", NULL, "print the version")

enum {
    OPTION_BASE = 255,
#define X(id, name, argument, help) OPTION_##id,
    OPTIONS(X)
#undef X
};

static void print_help(FILE *to)
{
    static const struct {
        const char *name, *argument, *help;
    } lines[] = {
#define X(id, option, value, text) { option, value, text },
        OPTIONS(X)
#undef X
    };
    fputs("usage: jabiru-load MODE [options]\nPuts an XMPP server to work and measures it.\n\nModes:\n", to);
    for (const struct mode *const *mode = modes; *mode; mode++)
        fprintf(to, "  %-10s %s\n", (*mode)->name, (*mode)->help);
    fputs("\nOptions:\n", to);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        char left[32];
        snprintf(left, sizeof left, "--%s %s", lines[i].name, lines[i].argument ? lines[i].argument : "");
        fprintf(to, "  %-22s %s\n", left, lines[i].help);
    }
    fputs("\nExit status: 0 all went well, 1 wrong usage, 2 could not connect or log in, 3 something was "
          "lost.\n",
          to);
}

static _Noreturn void bad(const char *option, const char *value)
{
    fprintf(stderr, "jabiru-load: --%s: not a valid value: %s\n", option, value);
    exit(EXIT_USAGE);
}

static unsigned number(const char *option, const char *value, unsigned min, unsigned max)
{
    uint64_t result;
    if (!str_to_u64(str_from(value), max, &result) || result < min)
        bad(option, value);
    return (unsigned)result;
}

static enum client_tls tls_kind(const char *value)
{
    static const char *const names[] = { "none", "starttls", "direct" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(value, names[i]) == 0)
            return (enum client_tls)i;
    bad("tls", value);
}

static unsigned mechanism_bit(const char *value)
{
    int id = sasl_mechanism_named(str_from(value));
    if (id < 0)
        bad("mechanism", value);
    return 1u << id;
}

static void set_text(struct options *options, int option, const char *value)
{
    switch (option) {
    case OPTION_HOST:
        options->host = value;
        break;
    case OPTION_DOMAIN:
        options->domain = value;
        break;
    case OPTION_FAR_DOMAIN:
        options->far_domain = value;
        break;
    case OPTION_CA:
        options->ca = value;
        break;
    case OPTION_SERVICE:
        options->service = value;
        break;
    case OPTION_USER_PREFIX:
        options->user_prefix = value;
        break;
    case OPTION_PASSWORD:
        options->password = value;
        break;
    case OPTION_TLS:
        options->tls = tls_kind(value);
        break;
    case OPTION_MECHANISM:
        options->mechanisms = mechanism_bit(value);
        break;
    }
}

static void set_number(struct options *options, int option, const char *value)
{
    switch (option) {
    case OPTION_PORT:
        options->port = (uint16_t)number("port", value, 1, 65535);
        break;
    case OPTION_FAR_PORT:
        options->far_port = (uint16_t)number("far-port", value, 1, 65535);
        break;
    case OPTION_USERS:
        options->users = number("users", value, 1, 1000000);
        break;
    case OPTION_PAIRS:
        options->users = 2 * number("pairs", value, 1, 500000);
        break;
    case OPTION_WINDOW:
        options->window = number("window", value, 1, 100000);
        break;
    case OPTION_RATE:
        options->rate = number("rate", value, 1, 10000000);
        break;
    case OPTION_SECONDS:
        options->seconds = number("seconds", value, 1, 1000000);
        break;
    case OPTION_PEP:
        options->pep = number("pep", value, 0, 1000);
        break;
    case OPTION_EVERY:
        options->every = number("every", value, 1, 1000000);
        break;
    case OPTION_AWAY:
        options->away = number("away", value, 1, 100000);
        break;
    case OPTION_SEED:
        options->seed = number("seed", value, 0, UINT32_MAX);
        break;
    case OPTION_BODY:
        options->body = number("body", value, 0, 60000);
        break;
    case OPTION_FIRST:
        options->first = number("first", value, 0, 1000000);
        break;
    case OPTION_ROOM:
        options->room = number("room", value, 1, 1000000);
        break;
    case OPTION_FLOOD:
        options->flood = number("flood", value, 0, 100000);
        break;
    case OPTION_ROSTER:
        options->roster = number("roster", value, 1, 10000);
        break;
    case OPTION_PARALLEL:
        options->parallel = number("parallel", value, 1, 10000);
        break;
    }
}

static void set_flag(struct options *options, int option)
{
    switch (option) {
    case OPTION_SUBSCRIBE:
        options->subscribe = true;
        break;
    case OPTION_SM:
        options->sm = true;
        break;
    case OPTION_INSTANT:
        options->instant = true;
        break;
    case OPTION_COMPRESS:
        options->compress = true;
        break;
    case OPTION_NO_PRESENCE:
        options->no_presence = true;
        break;
    case OPTION_RELAY:
        options->relay = true;
        break;
    case OPTION_JSON:
        options->json = true;
        break;
    case OPTION_HELP:
        print_help(stdout);
        exit(EXIT_OK);
    case OPTION_VERSION:
        puts("jabiru-load " JABIRU_VERSION);
        exit(EXIT_OK);
    }
}

static void check(const struct options *options)
{
    const char *wrong = NULL;
    if (!options->mode)
        wrong = "there is no such mode";
    else if (!options->relay && !options->password)
        wrong = "--password is needed";
    else if (options->relay && !options->mode->in_pairs && !options->mode->logs_in_itself)
        wrong = "--relay is for pairs and logins";
    else if (!options->mode->takes_rate && options->rate)
        wrong = "--rate is for pairs, ping and mix";
    else if (!options->far_port != !options->far_domain || (options->far_port && !options->mode->in_pairs))
        wrong = "--far-port and --far-domain go together, for pairs";
    else if (options->relay && options->tls == CLIENT_TLS_STARTTLS)
        wrong = "a relay knows no STARTTLS";
    else if (options->compress && (options->relay || options->instant))
        wrong = "compression has no place with --relay and --instant";
    else if (options->mode->in_pairs && options->users % 2)
        wrong = "pairs need an even number of users";
    else if ((uint64_t)options->window * (options->body + STANZA_BYTES) > IN_FLIGHT_MAX)
        wrong = "--window with this --body is more than a connection may hold";
    else if (strlen(options->user_prefix) > USER_PREFIX_MAX)
        wrong = "--user-prefix is too long";
    if (!wrong)
        return;
    fprintf(stderr, "jabiru-load: %s; see jabiru-load --help\n", wrong);
    exit(EXIT_USAGE);
}

void options_read(int argc, char **argv, struct options *ret)
{
    static const struct option known[] = {
#define X(id, name, argument, help) { name, argument ? required_argument : no_argument, NULL, OPTION_##id },
        OPTIONS(X)
#undef X
            { 0 },
    };
    struct options options = {
        .host = "127.0.0.1",
        .domain = "localhost",
        .user_prefix = "user",
        .port = 5222,
        .users = 100,
        .seconds = 10,
        .seed = 1,
        .away = 60,
        .body = 100,
        .roster = 20,
        .room = 100,
        .parallel = 64,
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?')
            exit(EXIT_USAGE);
        set_text(&options, option, optarg);
        set_number(&options, option, optarg);
        set_flag(&options, option);
    }
    if (optind != argc - 1) {
        print_help(stderr);
        exit(EXIT_USAGE);
    }
    options.mode = mode_named(argv[optind]);
    check(&options);
    *ret = options;
}
