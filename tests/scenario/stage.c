/* SPDX-License-Identifier: MIT */
/* The simulated world around the real server. Nothing here waits: each step drives the simulation until it is
 * quiet, with a little virtual time for timers of a millisecond. The server's loops are made anew with each
 * server; the clients' and the store's outlive it. */
#include "neighbour.h"

#include "base/mem.h"
#include "server/ext.h"
#include "server/user/user.h"
#include "try.h"
#include "xmpp/sasl.h"

#include <stdio.h>
#include <stdlib.h>

enum { TURNS_MAX = 100000, INCOMING_MAX = 64 << 20, CONFIG_MAX = 64 * 1024, STOP_MS = 15000 };

static const char config_base[] = "c2s {\n listen = {\"\"}\n port = \"5222\"\n tls-port = \"0\"\n "
                                  "require-tls = \"false\"\n insecure-login = \"true\"\n}\n"
                                  "host \"second.example\" {}\n";
/* Unless the script has a section that begins so. */
static const char *const sections_base[][2] = {
    { "host \"localhost\" {", "}" },
    { "archive {", "\n default = \"never\"\n}" },
};

/* All that came at once: expat puts off looking at a token that came in pieces. */
static void read_incoming(struct player *player)
{
    str bytes = buf_str(&player->incoming);
    if (player->port)
        return;
    const char *wrong = bytes.len ? tree_reader_feed(&player->reader, bytes) : NULL;
    if (wrong && !player->wrong[0])
        snprintf(player->wrong, sizeof player->wrong, "%s in %.*s", wrong,
                 (int)(bytes.len < 80 ? bytes.len : 80), bytes.p);
    buf_clear(&player->incoming);
}

void stage_settle(struct stage *stage)
{
    sim_settle(stage->sim, TURNS_MAX);
    sim_advance(stage->sim, 5);
    sim_settle(stage->sim, TURNS_MAX);
    list_each (at, &stage->players)
        read_incoming(LIST_ITEM(at, struct player, link));
}

enum { ITERATIONS = 1 }; /* nobody guesses here, and each login has to compute them */

static char *make_keys(void)
{
    static char *made;
    struct scram_keys keys;
    struct arena arena;
    if (made)
        return made;
    arena_init(&arena, 1024);
    scram_keys_make(STR("secret"), STR("0123456789abcdef"), ITERATIONS, &keys);
    made = str_dup(scram_keys_write(&keys, &arena));
    arena_fini(&arena);
    return made;
}

void stage_open(struct stage *stage, unsigned shards, const struct stage_faults *faults)
{
    *stage = (struct stage){ .shards = shards, .crumbs = faults && faults->crumbs, .keys = make_keys() };
    stage->sim = sim_new(1);
    if (stage->crumbs)
        sim_set_faults(stage->sim, &(struct sim_faults){ .chunk_max = 300, .short_write_percent = 20 });
    stage->client_loop = sim_loop_new(stage->sim);
    stage->store_loop = sim_loop_new(stage->sim);
    list_init(&stage->players);
    buf_init(&stage->config_more, CONFIG_MAX);
    buf_init(&stage->stream_ids, INCOMING_MAX);
    if (store_open("fail:memory:", stage->store_loop, stage->why, sizeof stage->why, &stage->store) != OK)
        abort();
    if (faults && faults->nth && faults->stays)
        store_fail_from(stage->store, faults->call, faults->nth, ERR_FULL);
    else if (faults && faults->nth)
        store_fail_nth(stage->store, faults->call, faults->nth, ERR_IO);
}

/* ---- The server
 * ------------------------------------------------------------------------------------------------------- */

static bool has_section(const struct buf *config, const char *start)
{
    return config->len && memmem(config->p, config->len, start, strlen(start));
}

static bool read_config(struct stage *stage)
{
    struct buf text;
    struct config_errors errors;
    config_errors_init(&errors);
    buf_init(&text, CONFIG_MAX);
    for (size_t i = 0; i < COUNT_OF(sections_base); i++)
        if (!has_section(&stage->config_more, sections_base[i][0]))
            buf_addf(&text, "%s%s\n", sections_base[i][0], sections_base[i][1]);
    buf_add(&text, str_from(config_base));
    buf_add(&text, buf_str(&stage->config_more));
    if (config_load_text("config", buf_str(&text), ext_configs(try_extensions()), &errors, &stage->config) !=
        OK)
        snprintf(stage->why, sizeof stage->why, "%s", errors.lines[0]);
    config_errors_fini(&errors);
    buf_fini(&text);
    return stage->config != NULL;
}

bool stage_raise(struct stage *stage)
{
    if (stage->server)
        return true;
    if (!read_config(stage))
        return false;
    for (unsigned i = 0; i < stage->shards; i++)
        stage->loops[i] = sim_loop_new(stage->sim);
    stage->server = server_new(stage->config, try_extensions(), stage->store, stage->loops, stage->shards,
                               stage->why, sizeof stage->why);
    if (!stage->server)
        return false;
    memset(stage->server->token_key, 7, sizeof stage->server->token_key); /* outlives a restart */
    return server_listen(stage->server, stage->why, sizeof stage->why) == OK;
}

static unsigned long sessions_left(const struct shard *shard)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    unsigned long count = 0;
    while ((node = map_next(&shard->actors, &walk))) {
        struct user *user = user_awake((struct shard *)shard, actor_key(node));
        if (!user)
            continue;
        list_each (at, &user->sessions)
            count += !SESSION_OF(at)->sm || SESSION_OF(at)->link; /* one may wait for its resumption */
    }
    return count;
}

static bool is_clean(struct stage *stage)
{
    struct server *server = stage->server;
    unsigned long links = 0, sessions = 0;
    for (unsigned i = 0; i < server->shard_count; i++) {
        list_each (at, &server->shards[i]->links)
            links++;
        sessions += sessions_left(server->shards[i]);
    }
    if (!links && !sessions && !server->connections && !server->unauthenticated && !server->commits &&
        !sim_bytes_in_flight(stage->sim))
        return true;
    snprintf(stage->why, sizeof stage->why,
             "when all clients were gone: %lu links, %lu sessions, %u connections, %u unauthenticated, %u "
             "commits, %zu bytes in flight",
             links, sessions, server->connections, server->unauthenticated, server->commits,
             sim_bytes_in_flight(stage->sim));
    return false;
}

bool stage_strike(struct stage *stage)
{
    if (!stage->server)
        return true;
    server_stop(stage->server);
    stage_settle(stage);
    sim_advance(stage->sim, STOP_MS);
    stage_settle(stage);
    bool clean = is_clean(stage);
    if (clean && stage->server->s2s_connections) {
        snprintf(stage->why, sizeof stage->why, "streams with servers are left after the stop");
        clean = false;
    }
    server_free(stage->server);
    stage->server = NULL;
    for (unsigned i = 0; i < stage->shards; i++)
        loop_free(stage->loops[i]);
    config_unref(stage->config);
    stage->config = NULL;
    return clean;
}

static void player_end(struct player *player);

bool stage_close(struct stage *stage)
{
    struct list *link;
    list_each (at, &stage->players)
        player_end(LIST_ITEM(at, struct player, link));
    stage_settle(stage);
    sim_advance(stage->sim, STOP_MS);
    bool clean = !stage->server || is_clean(stage);
    clean = stage_strike(stage) && clean;
    clean = neighbour_strike(stage) && clean;
    neighbour_free(stage);
    while ((link = list_shift(&stage->players))) {
        struct player *player = LIST_ITEM(link, struct player, link);
        player_forget(player);
        watch_fini(&player->watch);
        tree_reader_fini(&player->reader);
        buf_fini(&player->incoming);
        zip_free(player->zip);
        tree_free(player->header);
        free(player->name);
        noted_fini(&player->noted);
        free(player->jid);
        free(player->last_id);
        free(player);
    }
    stage->failures = store_fail_failures(stage->store);
    store_close(stage->store);
    loop_free(stage->store_loop);
    loop_free(stage->client_loop);
    sim_free(stage->sim);
    buf_fini(&stage->config_more);
    buf_fini(&stage->stream_ids);
    if (clean && stage->stream_id_wrong)
        snprintf(stage->why, sizeof stage->why, "a stream had no id, or that of another stream");
    return clean && !stage->stream_id_wrong;
}

struct row_commit {
    struct store_commit commit;
    bool done;
};

static void row_kept(struct store_commit *base)
{
    CONTAINER_OF(base, struct row_commit, commit)->done = base->err == OK;
}

void stage_add_row(struct stage *stage, str owner, str kind, str key, str value)
{
    struct row_commit commit = { .commit.done = row_kept };
    struct store_batch *batch = store_batch_new();
    store_put(batch, owner, kind, key, value);
    store_fail_pause(stage->store, true);
    store_commit(neighbour_store_of(stage, owner), stage->store_loop, batch, &commit.commit);
    stage_settle(stage);
    store_fail_pause(stage->store, false);
    if (!commit.done)
        abort();
}

void stage_add_account(struct stage *stage, str bare)
{
    stage_add_row(stage, bare, STR("account"), STR(""), str_from(stage->keys));
}

/* ---- Clients
 * ----------------------------------------------------------------------------------------------------------
 */

static struct player *player_at(struct tree_reader *reader)
{
    return CONTAINER_OF(reader, struct player, reader);
}

/* RFC 6120 §4.7.3: each stream has an id, unlike that of any other. */
static void note_stream_id(struct stage *stage, const char *id)
{
    char between[64];
    snprintf(between, sizeof between, " %s ", id ? id : "");
    buf_add_char(&stage->stream_ids, '\0');
    bool again = strstr(stage->stream_ids.p, between) != NULL;
    stage->stream_ids.len--;
    stage->stream_id_wrong |= !id || !*id || again;
    buf_add(&stage->stream_ids, str_from(between));
}

static void header_came(struct tree_reader *reader, struct tree *root)
{
    struct player *player = player_at(reader);
    tree_free(player->header);
    player->header = tree_head(root);
    if (!player->was_called) /* who opens a stream names none (§4.7.3) */
        note_stream_id(player->stage, tree_attr(root, "id"));
}

static void element_came(struct tree_reader *reader, struct tree *tree)
{
    struct player *player = player_at(reader);
    watch_came(&player->watch, tree);
    fill_note(&player->noted, tree);
    if (player->last)
        player->last = player->last->next = tree;
    else
        player->first = player->last = tree;
}

static void stream_ended(struct tree_reader *reader)
{
    player_at(reader)->stream_ended = true;
}

static const struct tree_events stream_events = { header_came, element_came, stream_ended };

static void take_in(struct player *player, str bytes)
{
    if (!player->zip)
        buf_add(&player->incoming, bytes);
    else if (!zip_inflate(player->zip, bytes, &player->incoming))
        snprintf(player->wrong, sizeof player->wrong, "no zlib stream");
}

static void ready(struct socket_owner *owner, unsigned events)
{
    struct player *player = CONTAINER_OF(owner, struct player, owner);
    char bytes[16384];
    size_t len;
    enum err err;
    if (events & SOCKET_WRITABLE)
        socket_want(player->socket, owner, SOCKET_READABLE);
    while ((err = socket_read(player->socket, bytes, sizeof bytes, &len)) == OK)
        take_in(player, str_of(bytes, len));
    if (err != ERR_AGAIN)
        player_leave(player);
}

struct player *player_of(struct stage *stage, str name)
{
    list_each (at, &stage->players) {
        struct player *player = LIST_ITEM(at, struct player, link);
        if (str_eq(str_from(player->name), name))
            return player;
    }
    struct player *player = NEW(struct player);
    player->stage = stage;
    player->name = str_dup(name);
    player->owner.ready = ready;
    buf_init(&player->incoming, INCOMING_MAX);
    list_append(&stage->players, &player->link);
    return player;
}

const char *player_ns(const struct player *player)
{
    return player->is_component ? "jabber:component:accept"
           : player->is_server  ? "jabber:server"
                                : "jabber:client";
}

void player_expect_header(struct player *player)
{
    tree_reader_fini(&player->reader);
    tree_free(player->header);
    player->header = NULL;
    tree_reader_init(&player->reader, &stream_events);
}

void player_compress(struct player *player)
{
    zip_free(player->zip);
    player->zip = zip_new();
}

static void no_compression(struct player *player)
{
    zip_free(player->zip);
    player->zip = NULL;
}

bool player_connect(struct player *player)
{
    player_leave(player);
    no_compression(player);
    player_expect_header(player);
    player->stream_ended = player->bound = false;
    watch_fini(&player->watch);
    player->wrong[0] = '\0';
    bool far = player->jid && neighbour_has(str_from(player->jid));
    uint16_t port = player->port           ? player->port
                    : player->is_component ? 5347
                    : player->is_server    ? 5269
                    : far                  ? 6222
                                           : 5222;
    player->was_called = false;
    if (socket_connect(player->stage->client_loop, far ? NEIGHBOUR_ADDRESS : "127.0.0.1", port,
                       &player->owner, &player->socket) != OK)
        return false;
    stage_settle(player->stage);
    return true;
}

static void called(struct listener *listener, struct socket *socket)
{
    struct player *player = CONTAINER_OF(listener, struct player, listener);
    player_leave(player);
    no_compression(player);
    player_expect_header(player);
    player->stream_ended = false;
    player->was_called = true;
    player->wrong[0] = '\0';
    player->socket = socket;
    socket_want(socket, &player->owner, SOCKET_READABLE);
}

bool player_listen(struct player *player, const char *address, uint16_t port)
{
    player->listener.accepted = called;
    player->listens = listener_open(&player->listener, player->stage->client_loop, address, port) == OK;
    return player->listens;
}

static void player_end(struct player *player)
{
    player_leave(player);
    if (player->listens)
        listener_close(&player->listener);
    player->listens = false;
}

bool player_write(struct player *player, str bytes)
{
    while (bytes.len && player->socket) {
        size_t taken = 0;
        struct iovec piece = { (void *)(uintptr_t)bytes.p, bytes.len };
        if (socket_write(player->socket, &piece, 1, &taken) != OK)
            return false;
        bytes = str_sub(bytes, taken, bytes.len);
    }
    return true;
}

void player_send(struct player *player, str bytes)
{
    struct buf deflated;
    if (!player->zip) {
        player_send_as_is(player, bytes);
        return;
    }
    buf_init(&deflated, INCOMING_MAX);
    zip_deflate(player->zip, bytes, &deflated);
    player_send_as_is(player, buf_str(&deflated));
    buf_fini(&deflated);
}

void player_send_as_is(struct player *player, str bytes)
{
    while (bytes.len && player->socket) {
        size_t taken = 0;
        struct iovec piece = { (void *)(uintptr_t)bytes.p, bytes.len };
        enum err err = socket_write(player->socket, &piece, 1, &taken);
        if (err != OK && err != ERR_AGAIN)
            break;
        bytes = str_sub(bytes, taken, bytes.len);
        stage_settle(player->stage);
    }
    stage_settle(player->stage);
}

void player_leave(struct player *player)
{
    if (!player->socket)
        return;
    socket_close(player->socket);
    player->socket = NULL;
}

void player_cut(struct player *player)
{
    if (player->socket)
        sim_cut(player->socket);
    player_leave(player); /* before it may be called again */
    stage_settle(player->stage);
}

struct tree *player_take(struct player *player)
{
    struct tree *tree = player->first;
    if (!tree)
        return NULL;
    player->first = tree->next;
    if (!player->first)
        player->last = NULL;
    tree->next = NULL;
    return tree;
}

void player_forget(struct player *player)
{
    struct tree *tree;
    while ((tree = player_take(player)))
        tree_free(tree);
    if (player->port)
        buf_clear(&player->incoming);
}
