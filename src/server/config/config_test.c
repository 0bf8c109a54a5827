/* SPDX-License-Identifier: MIT */
/* The configuration by what its header and its documentation promise. Texts are loaded from memory; what is
 * wrong is compared as the administrator reads it. */
#include "server/config/config.h"

#include "base/buf.h"
#include "base/mem.h"
#include "server/config/config_suggest.h"
#include "server/config/config_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST "host \"example.org\" { }\n"

/* An extension as a later one may be. */
struct greeting {
    const char *text;
    uint64_t pause_ms;
    uint32_t bytes;
    bool loud;
    struct config_list names;
};

static const struct config_key greeting_keys[] = {
    { .name = "text",
      .type = CONFIG_STRING,
      CONFIG_FIELD(struct greeting, text),
      .default_text = "hello",
      .help = "What is said." },
    { .name = "pause",
      .type = CONFIG_DURATION,
      CONFIG_FIELD(struct greeting, pause_ms),
      .default_text = "500ms",
      .help = "The pause before it." },
    { .name = "bytes",
      .type = CONFIG_SIZE,
      CONFIG_FIELD(struct greeting, bytes),
      .default_text = "1K",
      .min = 16,
      .help = "The most that is said." },
    { .name = "loud",
      .type = CONFIG_BOOL,
      CONFIG_FIELD(struct greeting, loud),
      .default_text = "false",
      .help = "Whether it is loud." },
    { .name = "names",
      .type = CONFIG_LIST,
      CONFIG_FIELD(struct greeting, names),
      .default_text = "anna bert",
      .help = "Who is greeted." },
    { 0 },
};
static const struct config_extension greeting = { "greeting", "Says hello.", sizeof(struct greeting),
                                                  greeting_keys };
static const struct config_extension *const extensions[] = { &greeting, NULL };

/* ---- Helpers ---- */

static const struct config *load(const char *text)
{
    struct config_errors errors;
    const struct config *config = NULL;
    config_errors_init(&errors);
    enum err err = config_load_text("/etc/jabiru/test.conf", str_from(text), extensions, &errors, &config);
    config_errors_print(&errors, stderr);
    assert_int_equal(err, OK);
    assert_int_equal(errors.count, 0);
    assert_non_null(config);
    config_errors_fini(&errors);
    return config;
}

/* Loads what must fail; `expected` are the lines of errors without the file's name. */
static void fails(const char *text, const char *expected)
{
    struct config_errors errors;
    struct buf lines;
    const struct config *config = NULL;
    config_errors_init(&errors);
    buf_init(&lines, 1 << 20);
    assert_int_equal(config_load_text("t", str_from(text), extensions, &errors, &config), ERR_INVALID);
    assert_null(config);
    for (size_t i = 0; i < errors.count; i++)
        buf_addf(&lines, "%s%s", i ? "\n" : "", errors.lines[i] + 2);
    char *got = buf_take(&lines);
    assert_string_equal(got, expected);
    free(got);
    config_errors_fini(&errors);
}

static void lists_equal(struct config_list list, const char *const *items, size_t count)
{
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(list.items[i], items[i]);
}

#define assert_list(list, ...)                                                                               \
    lists_equal(list, (const char *const[]){ __VA_ARGS__ }, COUNT_OF(((const char *const[]){ __VA_ARGS__ })))

/* ---- Values ---- */

static void defaults_stand_where_nothing_is_said(void **state)
{
    (void)state;
    const struct config *config = load(HOST);
    assert_string_equal(config->data, "/var/lib/jabiru");
    assert_string_equal(config->store, "sqlite:/var/lib/jabiru/jabiru.db");
    assert_string_equal(config->control, "/var/lib/jabiru/control");
    assert_list(config->c2s.listen, "");
    assert_int_equal(config->c2s.port, 5222);
    assert_int_equal(config->c2s.tls_port, 5223);
    assert_true(config->c2s.require_tls);
    assert_false(config->c2s.insecure_login);
    assert_int_equal(config->c2s.mechanisms.count, 0);
    assert_int_equal(config->c2s.conflict, CONFLICT_REPLACE);
    assert_int_equal(config->c2s.negotiation_ms, 60000);
    assert_int_equal(config->limits_before.element_bytes, 10000);
    assert_int_equal(config->limits_after.element_bytes, 256 * 1024);
    assert_int_equal(config->limits_after.depth, config->limits.depth);
    assert_int_equal(config->log.level, LOG_INFO);
    assert_int_equal(config->host_count, 1);
    assert_string_equal(config->hosts[0].name, "example.org");
    assert_string_equal(config->hosts[0].certificate, "");
    config_unref(config);
}

static void every_type_is_read(void **state)
{
    (void)state;
    const struct config *config =
        load("data = \"/srv/x\"\n"
             "store = \"sqlite:a/b.db\"\n"
             "control = /run/c.sock\n"
             "c2s {\n"
             "  listen = { 127.0.0.1, \"::1\" }\n"
             "  mechanisms = SCRAM-SHA-256\n"
             "  port = 0\n"
             "  require-tls = no\n"
             "  conflict = refuse\n"
             "  negotiation-time = 1500ms\n"
             "  idle-time = 2d\n"
             "  ping-time = 90\n"
             "}\n"
             "limits { stanza = 1M stanza-before-login = 12K roster-items = 7 }\n"
             "log { file = \"x.log\" format = json level = debug areas = {\"c2s=warn\"} }\n" HOST);
    assert_string_equal(config->store, "sqlite:/srv/x/a/b.db");
    assert_string_equal(config->control, "/run/c.sock");
    assert_list(config->c2s.listen, "127.0.0.1", "::1");
    assert_list(config->c2s.mechanisms, "SCRAM-SHA-256");
    assert_int_equal(config->c2s.port, 0);
    assert_false(config->c2s.require_tls);
    assert_int_equal(config->c2s.conflict, CONFLICT_REFUSE);
    assert_int_equal(config->c2s.negotiation_ms, 1500);
    assert_int_equal(config->c2s.idle_ms, 2 * 86400000);
    assert_int_equal(config->c2s.ping_ms, 90000);
    assert_int_equal(config->limits.stanza_after, 1 << 20);
    assert_int_equal(config->limits_before.element_bytes, 12 << 10);
    assert_int_equal(config->limits.roster_items, 7);
    assert_string_equal(config->log.file, "/etc/jabiru/x.log");
    assert_int_equal(config->log.format, LOG_JSON);
    assert_int_equal(config->log.level, LOG_DEBUG);
    assert_list(config->log.areas, "c2s=warn");
    config_unref(config);
}

static void wrong_values_are_named_with_line_and_remedy(void **state)
{
    (void)state;
    fails("shards = many\n"
          "# two\n"
          "c2s {\n"
          "  port = 65536 // four\n"
          "  /* five\n six */\n"
          "  require-tls = maybe\n"
          "  conflict = fight\n"
          "  negotiation-time = 2d\n"
          "  listen = { 127.0.0.1, # a comment in a list\n"
          "             localhost }\n"
          "}\n"
          "limits { stanza-before-login = 9999\n stanza = 10Q }\n"
          "log { areas = \"c2s\" }\n" HOST,
          "1: shards can't be \"many\": write a number from 0 to 256\n"
          "4: c2s.port can't be \"65536\": write a number from 0 to 65535\n"
          "7: c2s.require-tls can't be \"maybe\": write true or false\n"
          "8: c2s.conflict can't be \"fight\": write replace or refuse\n"
          "9: c2s.negotiation-time can't be \"2d\": write a time from 1s to 1h\n"
          "11: c2s.listen can't be \"localhost\": write an IP address such as \"127.0.0.1\" or \"::1\", or "
          "\"\" for "
          "all\n"
          "13: limits.stanza-before-login can't be \"9999\": write a size from 10000 to 1M\n"
          "14: limits.stanza can't be \"10Q\": write a size from 10000 to 16M\n"
          "15: log.areas can't be \"c2s\": write AREA=LEVEL such as \"c2s=debug\" (areas: main config net "
          "tls c2s s2s "
          "auth router user store control component ext; levels: error warn info debug)");
    fails("shards = \"\"\n" HOST, "1: shards can't be \"\": write a number from 0 to 256");
    fails("shards = -1\n" HOST, "1: shards can't be \"-1\": write a number from 0 to 256");
    fails("greeting { bytes = 18446744073709551615G }\n" HOST,
          "1: greeting.bytes can't be \"18446744073709551615G\": write a size from 16 to 4294967295");
    fails("greeting { text = \"a\\nb\" }\n" HOST,
          "1: greeting.text can't be \"a?b\": write UTF-8 without line ends and control characters");
    fails("greeting { text = \"a\\xFF\" }\n" HOST,
          "1: greeting.text can't be \"a\xFF\": write UTF-8 without line ends and control characters");
}

static void bounds_are_in(void **state)
{
    (void)state;
    const struct config *config = load("c2s { port = 65535 tls-port = 0 negotiation-time = 1h }\n"
                                       "limits { stanza-before-login = 10000 stanza = 16M }\n" HOST);
    assert_int_equal(config->c2s.port, 65535);
    assert_int_equal(config->c2s.negotiation_ms, 3600000);
    assert_int_equal(config->limits.stanza_after, 16 << 20);
    config_unref(config);
}

static void one_value_is_not_a_list(void **state)
{
    (void)state;
    fails("shards = {1, 2}\n" HOST, "1: shards can't be a list: write one value");
    fails("c2s {\n port = {}\n}\n" HOST, "3: c2s.port can't be a list: write one value");
}

/* Whoever is on the way to a name server can speak in its name. */
static void dane_needs_a_name_server_nearby(void **state)
{
    static const char error[] =
        " s2s.dane needs a name server on this machine that validates with DNSSEC: write its "
        "address into s2s.dns-server, such as \"127.0.0.1\"";
    (void)state;
    fails("s2s { dane = true }\n" HOST, error);
    fails("s2s { dane = true dns-server = \"192.0.2.1\" }\n" HOST, error);
    config_unref(load("s2s { dane = true dns-server = \"127.0.0.1:5353\" }\n" HOST));
    config_unref(load("s2s { dane = true dns-server = \"::1\" }\n" HOST));
}

static void an_empty_list_empties_the_default(void **state)
{
    (void)state;
    const struct config *config = load("greeting { names = {} }\n" HOST);
    const struct greeting *settings = config_extension_settings(&config->hosts[0], 0);
    assert_int_equal(settings->names.count, 0);
    config_unref(config);
}

static void a_key_stands_once(void **state)
{
    (void)state;
    fails("c2s { port = 1 }\nc2s {\n port = 2 }\n" HOST,
          "3: port is set for the second time: keep one of the two");
    fails("greeting { names = {a, b}\n names = {c} }\n" HOST,
          "2: names is set for the second time: keep one of the two");
}

/* ---- Names ---- */

static void unknown_keys_are_all_named_with_the_nearest(void **state)
{
    (void)state;
    fails("dta = \"/x\"\n"
          "c2s {\n"
          "  tls_port = 5\n"
          "  roster-items = 5\n"
          "  wobble = { a, b }\n"
          "}\n"
          "rooms { port = 5 { x } }\n"
          "node \"a\" { port = 5\n}\n"
          "certificate = x\n"
          "host \"example.org\" { shards = 3\n nonsense = 1\n port = x }\n",
          "1: \"dta\" is not known: write data\n"
          "3: \"tls_port\" is not known: write tls-port\n"
          "4: \"roster-items\" is not known here: put it into limits { ... }\n"
          "5: \"wobble\" is not known: take it away, or look for its name in jabirud --print-default-config\n"
          "7: \"rooms\" is not known: take it away, or look for its name in jabirud --print-default-config\n"
          "8: \"node\" is not known: take it away, or look for its name in jabirud --print-default-config\n"
          "10: \"certificate\" is not known here: put it into host { ... }\n"
          "11: \"shards\" is not known here: put it at the top level, in no section\n"
          "12: \"nonsense\" is not known: take it away, or look for its name in jabirud "
          "--print-default-config\n"
          "13: \"port\" is not known here: put it into c2s { ... }");
}

static void distances_are_of_edits(void **state)
{
    (void)state;
    assert_int_equal(config_name_distance("", ""), 0);
    assert_int_equal(config_name_distance("kitten", "sitting"), 3);
    assert_int_equal(config_name_distance("a_b", "a-b"), 0);
    assert_int_equal(config_name_distance("abc", ""), 3);
    assert_true(config_name_is_near("prot", 2));
    assert_false(config_name_is_near("ab", 2));
}

/* ---- Syntax ---- */

static void syntax_errors_have_their_line(void **state)
{
    (void)state;
    fails("# one\nc2s\nport = 3\n", "3: missing opening brace for section 'c2s': write NAME { ... }");
    fails("#\n#\nshards 3\n" HOST, "3: missing equal sign after option 'shards': write NAME = VALUE");
    fails("shards =\n", "2: premature end of file: write the value that is missing");
    fails("}\n", "1: unexpected closing brace: take it away, or open its section with {");
    fails(
        "host { }\n",
        "1: missing title for section 'host': write the name in quotes, as in host \"example.org\" { ... }");
    fails(HOST "\n" HOST, "3: found duplicate title 'example.org': put the keys of both sections into one");
}

static void what_is_not_closed_is_named_where_it_opens(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) { /* the lexer must not remember */
        fails("\n\nc2s {\n port = 3\n", "3: this { is not closed: write } after what belongs to it");
        fails("\ndata = \"/x\n", "2: a text whose quote is not closed: end it with the same quote");
        fails("\ndata = '/x\\'\n", "2: a text whose quote is not closed: end it with the same quote");
        fails("\n/* x\n", "2: a comment that is not closed: end it with */");
        fails("data = \"${HOME\"\n", "1: a variable that is not closed: write ${NAME} on one line");
        fails("data = \"\\777\"\n", "1: a backslash before a digit: write \\x and two hexadecimal digits");
        fails("c2s { listen = * }\n", "1: a + or * outside of quotes: write the value in quotes");
        fails("a{a{a{a{a{a{a{a{a{", "1: too many braces within each other: close some with }");
    }
    config_unref(load(HOST));
}

static void comments_stand_anywhere(void **state)
{
    (void)state;
    const struct config *config =
        load("# a \" quote\n// b '\n/* { */ shards = 3 # x\n"
             "data = \"/a#b//c/*d\" /**/ # }\n"
             "greeting { names = { # first\n x, // second\n y /* third */ } }\n" HOST "#");
    assert_string_equal(config->data, "/a#b//c/*d");
    assert_int_equal(config->shards, 3);
    const struct greeting *settings = config_extension_settings(&config->hosts[0], 0);
    assert_list(settings->names, "x", "y");
    config_unref(config);
}

static void variables_of_the_environment_are_put_in(void **state)
{
    (void)state;
    setenv("JABIRU_TEST_FOLDER", "/from/here", 1);
    const struct config *config = load("data = \"${JABIRU_TEST_FOLDER}/x\"\n"
                                       "greeting { text = \"${JABIRU_TEST_NOT_SET:-else}\" }\n" HOST);
    assert_string_equal(config->data, "/from/here/x");
    const struct greeting *settings = config_extension_settings(&config->hosts[0], 0);
    assert_string_equal(settings->text, "else");
    config_unref(config);
}

static void errors_are_bounded(void **state)
{
    (void)state;
    struct config_errors errors;
    struct buf text;
    const struct config *config = NULL;
    config_errors_init(&errors);
    buf_init(&text, 1 << 16);
    for (int i = 0; i < 100; i++)
        buf_addf(&text, "unknown-%d = 1\n", i);
    assert_int_equal(config_load_text("t", buf_str(&text), NULL, &errors, &config), ERR_INVALID);
    assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
    assert_true(errors.dropped > 0);
    buf_fini(&text);
    config_errors_fini(&errors);
}

static void size_and_bytes_of_the_text_are_bounded(void **state)
{
    (void)state;
    struct config_errors errors;
    const struct config *config = NULL;
    config_errors_init(&errors);
    size_t size = (1 << 20) + 1;
    char *spaces = xmalloc(size);
    memset(spaces, ' ', size);
    assert_int_equal(config_load_text("t", str_of(spaces, size), NULL, &errors, &config), ERR_LIMIT);
    assert_int_equal(config_load_text("t", str_of("a\0b", 3), NULL, &errors, &config), ERR_INVALID);
    assert_int_equal(config_load_text("t", str_none, NULL, &errors, &config), ERR_INVALID);
    assert_int_equal(errors.count, 3);
    free(spaces);
    config_errors_fini(&errors);
}

/* ---- Hosts and extensions ---- */

static void hosts_have_their_own_keys(void **state)
{
    (void)state;
    const struct config *config =
        load("host \"Example.ORG\" {\n certificate = \"certs/a.pem\"\n key = \"/k.pem\"\n anonymous = true\n"
             " contact-abuse = { \"mailto:abuse@example.org\" }\n}\n"
             "host \"b\xc3\xbc"
             "cher.example\" { extensions-off = { version } }\n");
    const struct config_host *host = config_host_named(config, STR("example.org"));
    assert_ptr_equal(host, &config->hosts[0]);
    assert_string_equal(host->certificate, "/etc/jabiru/certs/a.pem");
    assert_string_equal(host->key, "/k.pem");
    assert_true(host->anonymous);
    assert_list(host->contact_abuse, "mailto:abuse@example.org");
    assert_list(config->hosts[1].extensions_off, "version");
    assert_non_null(config_host_named(config, STR("b\xc3\xbc"
                                                  "cher.example")));
    assert_null(config_host_named(config, STR("example.com")));
    config_unref(config);
}

static void wrong_hosts_are_named(void **state)
{
    (void)state;
    fails("''\n",
          " this is no configuration: look for a stray quote, or begin with jabirud --print-default-config");
    fails("data = /x\n", " there is no host: write host \"example.org\" { ... } with the domain to serve");
    fails("host \"a.example\" { }\nhost \"A.example\" { }\n",
          "2: host \"a.example\" is there twice, see line 1: put the keys of both into one");
    fails("host \"a b\" { }\n", "1: \"a b\" is no domain: write host \"example.org\" { ... }");
    fails("host \"a.example\" {\n key = k }\n",
          "1: host \"a.example\" has a key without a certificate: write both or none");
}

static void components_are_read(void **state)
{
    (void)state;
    const struct config *config = load(HOST "components { port = 5000 }\n"
                                            "component \"IRC.localhost\" { secret = \"one\" }\n"
                                            "component \"mail.localhost\" {\n secret = two\n"
                                            " conflict = replace\n}\n");
    assert_int_equal(config->components.port, 5000);
    assert_list(config->components.listen, "127.0.0.1");
    assert_int_equal(config->component_count, 2);
    assert_string_equal(config->component_list[0].name, "irc.localhost");
    assert_string_equal(config->component_list[0].secret, "one");
    assert_int_equal(config->component_list[0].conflict, CONFLICT_REFUSE);
    assert_ptr_equal(config_component_named(config, STR("mail.localhost")), &config->component_list[1]);
    assert_int_equal(config->component_list[1].conflict, CONFLICT_REPLACE);
    assert_null(config_component_named(config, STR("two.localhost")));
    config_unref(config);
}

static void wrong_components_are_named(void **state)
{
    (void)state;
    fails("host \"a.example\" {}\ncomponent \"A.example\" { secret = x }\n",
          "2: component \"a.example\" is a host already, see line 1: give the component a name of its own");
    fails(HOST "component \"b.example\" { secret = x }\ncomponent \"B.example\" { secret = x }\n",
          "3: component \"b.example\" is there twice, see line 2: keep one of them");
    fails(HOST "component \"b.example\" {}\n",
          "2: component \"b.example\" has no secret: set the one that the component has, too");
    fails(HOST "component \"a b\" { secret = x }\n",
          "2: \"a b\" is no domain: write component \"example.org\" { ... }");
    fails(HOST "secret = x\n", "2: \"secret\" is not known here: put it into component { ... }");
}

static void a_wrong_secret_is_not_shown(void **state)
{
    (void)state;
    fails(HOST "component \"b.example\" { secret = \"pass\\x01word\" }\n",
          "2: component \"b.example\": secret can't be \"...\": write UTF-8 without line ends and control "
          "characters\n"
          "2: component \"b.example\" has no secret: set the one that the component has, too");
}

static void extensions_have_keys_for_all_and_for_a_host(void **state)
{
    (void)state;
    const struct config *config =
        load("greeting { text = \"hi\" loud = true }\n"
             "host \"a.example\" { greeting { text = \"moin\" pause = 2 names = {c} } }\n"
             "host \"b.example\" { }\n");
    const struct greeting *a = config_extension_settings(&config->hosts[0], 0);
    const struct greeting *b = config_extension_settings(&config->hosts[1], 0);
    assert_string_equal(a->text, "moin");
    assert_int_equal(a->pause_ms, 2000);
    assert_int_equal(a->bytes, 1024);
    assert_true(a->loud);
    assert_list(a->names, "c");
    assert_string_equal(b->text, "hi");
    assert_int_equal(b->pause_ms, 500);
    assert_true(b->loud);
    assert_list(b->names, "anna", "bert");
    config_unref(config);
    fails("host \"a.example\" { greeting {\n bytes = 1\n txt = 1 } }\n",
          "2: host \"a.example\": greeting.bytes can't be \"1\": write a size from 16 to 4294967295\n"
          "3: \"txt\" is not known: write text");
}

/* ---- References, files, restarts ---- */

static void the_last_reference_frees(void **state)
{
    (void)state;
    const struct config *config = load(HOST);
    assert_ptr_equal(config_ref(config), config);
    config_unref(config);
    assert_string_equal(config->hosts[0].name, "example.org");
    config_unref(config); /* the leak checker sees the rest */
    config_unref(NULL);
}

static void files_are_read_and_looked_at(void **state)
{
    (void)state;
    char folder[] = "/tmp/jabiru-config-XXXXXX", path[64], text[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.conf", folder);
    struct config_errors errors;
    const struct config *config = NULL;
    config_errors_init(&errors);
    assert_int_equal(config_load_file(path, NULL, &errors, &config), ERR_NOT_FOUND);
    assert_int_equal(errors.count, 1);
    assert_int_equal(config_load_file(folder, NULL, &errors, &config), ERR_IO);

    FILE *file = fopen(path, "w");
    assert_non_null(file);
    snprintf(text, sizeof text, "data = .\nhost \"a.example\" { certificate = x.conf key = \"none.pem\" }\n");
    fputs(text, file);
    fclose(file);
    config_errors_fini(&errors);
    config_errors_init(&errors);
    assert_int_equal(config_load_file(path, NULL, &errors, &config), OK);
    assert_string_equal(config->hosts[0].certificate, path);
    assert_false(config_check_files(config, path, &errors));
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.lines[0], "x.conf:2: host \"a.example\": key can't be read, "));
    config_unref(config);
    config_errors_fini(&errors);
    unlink(path);
    rmdir(folder);
}

static void changes_that_need_a_restart_are_named(void **state)
{
    (void)state;
    const struct config *old = load("c2s { port = 1 max-resources = 3 listen = \"::1\" }\n" HOST);
    const struct config *new = load("shards = 2\nc2s { port = 2 max-resources = 4 listen = \"::1\" }\n"
                                    "host \"b.example\" { }\n");
    struct buf names;
    buf_init(&names, 1024);
    assert_int_equal(config_needs_restart(old, old, &names), 0);
    assert_int_equal(config_needs_restart(old, new, &names), 4);
    assert_true(str_is(buf_str(&names), "shards, c2s.port, host \"example.org\", host \"b.example\""));
    buf_fini(&names);
    config_unref(old);
    config_unref(new);
}

/* ---- Printing ---- */

static char *printed(void (*print)(FILE *file, const struct config_extension *const *extensions))
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    print(file, extensions);
    fclose(file);
    return text;
}

/* Takes the '#' from before each key, so that the printed defaults themselves are read. */
static void uncomment_keys(char *text)
{
    for (char *c = text; *c; c++)
        if (*c == '#' && c[1] >= 'a' && c[1] <= 'z')
            *c = ' ';
}

static void keys_equal(const struct config_key *key, const void *a, const void *b)
{
    for (; key->name; key++)
        if (!config_value_equal(key, a, b))
            fail_msg("%s differs", key->name);
}

static void all_keys_equal(const struct config *a, const struct config *b)
{
    for (const struct config_section *section = config_sections; section->name; section++)
        keys_equal(section->keys, a, b);
    assert_int_equal(a->host_count, b->host_count);
    for (size_t i = 0; i < a->host_count; i++) {
        assert_string_equal(a->hosts[i].name, b->hosts[i].name);
        keys_equal(config_host_section.keys, &a->hosts[i], &b->hosts[i]);
        keys_equal(greeting_keys, config_extension_settings(&a->hosts[i], 0),
                   config_extension_settings(&b->hosts[i], 0));
    }
}

static void the_printed_default_is_the_default(void **state)
{
    (void)state;
    char *text = printed(config_print_default), *again = printed(config_print_default);
    assert_string_equal(text, again);
    const struct config *built_in = load("s2s { port = 5269 }\nhost \"localhost\" { }\n"),
                        *commented = load(text);
    assert_non_null(strstr(text, "\n    #port = 5222\n"));
    uncomment_keys(text);
    assert_null(strstr(text, "#port"));
    const struct config *written = load(text);
    all_keys_equal(built_in, commented);
    all_keys_equal(built_in, written);
    config_unref(built_in);
    config_unref(commented);
    config_unref(written);
    free(text);
    free(again);
}

static void the_page_names_every_key(void **state)
{
    (void)state;
    char *text = printed(config_print_markdown), row[128];
    for (const struct config_section *section = config_sections; section->name; section++) {
        for (const struct config_key *key = section->keys; key->name; key++) {
            snprintf(row, sizeof row, "\n| `%s` | `", key->name);
            assert_non_null(strstr(text, row));
        }
    }
    assert_non_null(strstr(text, "\n| `port` | `5222` | a number from 0 to 65535 | restart | "));
    assert_non_null(strstr(text, "\n| `pause` | `500ms` | a time from 0 to "));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_where_nothing_is_said),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(wrong_values_are_named_with_line_and_remedy),
        cmocka_unit_test(bounds_are_in),
        cmocka_unit_test(one_value_is_not_a_list),
        cmocka_unit_test(dane_needs_a_name_server_nearby),
        cmocka_unit_test(an_empty_list_empties_the_default),
        cmocka_unit_test(a_key_stands_once),
        cmocka_unit_test(unknown_keys_are_all_named_with_the_nearest),
        cmocka_unit_test(distances_are_of_edits),
        cmocka_unit_test(syntax_errors_have_their_line),
        cmocka_unit_test(what_is_not_closed_is_named_where_it_opens),
        cmocka_unit_test(comments_stand_anywhere),
        cmocka_unit_test(variables_of_the_environment_are_put_in),
        cmocka_unit_test(errors_are_bounded),
        cmocka_unit_test(size_and_bytes_of_the_text_are_bounded),
        cmocka_unit_test(hosts_have_their_own_keys),
        cmocka_unit_test(wrong_hosts_are_named),
        cmocka_unit_test(components_are_read),
        cmocka_unit_test(wrong_components_are_named),
        cmocka_unit_test(a_wrong_secret_is_not_shown),
        cmocka_unit_test(extensions_have_keys_for_all_and_for_a_host),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(files_are_read_and_looked_at),
        cmocka_unit_test(changes_that_need_a_restart_are_named),
        cmocka_unit_test(the_printed_default_is_the_default),
        cmocka_unit_test(the_page_names_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
