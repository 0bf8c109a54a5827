/* SPDX-License-Identifier: MIT */
/* Any lines as what clients send that have logged in, to the real server with all of its extensions in a
 * simulated world: requests whose reading is one with what is done about them. The first byte of a line says
 * whose it is. Whatever they say, what comes to anybody is well-formed, and when all have gone nothing is
 * left of them. Seeds: what clients send in the scenarios (requests_seeds). */
#include "stage.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINES_MAX = 40, INPUT_MAX = 8 * 1024, CLIENTS = 3, SHARDS = 2 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const clients[CLIENTS] = { "alice@localhost/a", "bob@localhost/b", "carol@localhost/c" };
static const char config[] = "host \"localhost\" {\n admins = {\"alice@localhost\"}\n}\narchive {\n}\n"
                             "bytestreams {\n port = 7777\n}\nregister {\n open = true\n}\n";
static const char header[] = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
                             "xmlns:stream='http://etherx.jabber.org/streams'>";

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_set_level(LOG_AREA_COUNT, LOG_ERROR);
    return 0;
}

static void begin_stream(struct player *player)
{
    player_expect_header(player);
    player_send(player, str_from(header));
}

static void say(struct player *player, struct buf *text)
{
    player_send(player, buf_str(text));
    buf_clear(text);
}

static struct player *log_in(struct stage *stage, const char *jid)
{
    str resource = str_from(jid);
    str bare = str_cut(&resource, '/'), local = bare;
    local = str_cut(&local, '@');
    struct player *player = player_of(stage, local);
    struct buf text, plain;
    buf_init(&text, 4096);
    buf_init(&plain, 256);
    buf_addf(&plain, "%c%.*s%csecret", 0, STR_ARGS(local), 0);
    stage_add_account(stage, bare);
    if (!player_connect(player))
        abort();
    begin_stream(player);
    buf_lit(&text, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>");
    base64_encode(&text, buf_str(&plain));
    buf_lit(&text, "</auth>");
    say(player, &text);
    begin_stream(player);
    buf_addf(&text,
             "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
             "<resource>%.*s</resource></bind></iq><presence/>",
             STR_ARGS(resource));
    say(player, &text);
    buf_fini(&text);
    buf_fini(&plain);
    return player;
}

static void play(struct player *players[CLIENTS], str input)
{
    for (unsigned i = 0; input.len && i < LINES_MAX; i++) {
        str line = str_cut(&input, '\n');
        if (line.len)
            player_send(players[(unsigned char)(line.p[0] - 'a') % CLIENTS], str_sub(line, 1, line.len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage stage;
    struct player *players[CLIENTS];
    if (size > INPUT_MAX)
        return -1;
    stage_open(&stage, SHARDS, NULL);
    buf_add(&stage.config_more, str_from(config));
    if (!stage_raise(&stage)) {
        fprintf(stderr, "%s\n", stage.why);
        abort();
    }
    for (size_t i = 0; i < CLIENTS; i++)
        players[i] = log_in(&stage, clients[i]);
    play(players, str_of((const char *)data, size));
    for (size_t i = 0; i < CLIENTS; i++) {
        if (players[i]->wrong[0]) {
            fprintf(stderr, "%s got what is not well-formed: %s\n", players[i]->name, players[i]->wrong);
            abort();
        }
    }
    if (!stage_close(&stage)) {
        fprintf(stderr, "%s\n", stage.why);
        abort();
    }
    return 0;
}
