/* SPDX-License-Identifier: MIT */
/* Counts what a server in its steady state asks of the heap for each stanza that it routes: nothing, and this
 * program fails if it does.
 *
 * The real server with all its extensions stands in this process: two shards on threads of their own, real
 * sockets, the store in memory. The main thread plays clients that block. Calls of malloc and its kin are
 * counted on the shards' threads alone, whoever makes them: by the sanitizer's hooks where there is one, else
 * by standing in front of the C library's.
 *
 * After a warm-up each case sends so many stanzas, in bursts of different lengths, and reads all that comes.
 * A few calls are allowed in each case, for what goes by the clock and not by the stanza. A change of
 * presence is shown, and not judged: who gets it on another shard is a list of its own. */
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "extensions/list.h"
#include "loop/loop.h"
#include "server/ext.h"
#include "server/server.h"
#include "server/shard.h"
#include "xmpp/sasl.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SHARDS = 2,
    USERS = 16,
    STANZAS = 4096,
    BURST_MAX = 64,
    PATIENCE_MS = 30000,
    BY_THE_CLOCK = 8, /* calls of a whole case that are allowed */
};

/* ---- The counter ---- */

static _Thread_local bool counted_thread;
static atomic_bool counting;
static atomic_ullong calls, bytes;

static void count(size_t size)
{
    if (!counted_thread || !atomic_load_explicit(&counting, memory_order_relaxed))
        return;
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#ifdef SANITIZED

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    count(size);
}

static void on_free(const volatile void *memory)
{
    (void)memory;
}

static bool open_counter(void)
{
    return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    count(size);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    count(number * size);
    return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
    count(size);
    return __libc_realloc(memory, size);
}

static bool open_counter(void)
{
    return true;
}

#endif

/* ---- The world ---- */

static struct {
    const struct config *config;
    struct store *store;
    struct loop *loops[SHARDS];
    pthread_t threads[SHARDS];
    struct server *server;
    uint16_t port;
} world;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "allocations: %s\n", what);
    exit(1);
}

static void committed(struct store_commit *commit)
{
    if (commit->err != OK)
        fail("the store took no account");
    loop_stop(world.loops[0]);
}

static void add_accounts(void)
{
    struct scram_keys keys;
    struct arena arena;
    struct store_batch *batch = store_batch_new();
    struct store_commit commit = { .done = committed };
    arena_init(&arena, 1024);
    scram_keys_make(STR("secret"), STR("0123456789abcdef"), 4096, &keys);
    str row = scram_keys_write(&keys, &arena);
    for (unsigned i = 0; i < USERS; i++) {
        str owner = arena_printf(&arena, "user%u@localhost", i);
        store_put(batch, owner, STR("account"), STR(""), row);
        for (unsigned other = 0; other < USERS; other++) {
            str jid = arena_printf(&arena, "user%u@localhost", other);
            str item = arena_printf(&arena, "<item jid='%.*s' subscription='both'/>", STR_ARGS(jid));
            if (other != i)
                store_put(batch, owner, STR("roster"), jid, item);
        }
    }
    store_commit(world.store, world.loops[0], batch, &commit);
    loop_run(world.loops[0]);
    arena_fini(&arena);
}

static void *run(void *loop)
{
    counted_thread = true;
    loop_run(loop);
    return NULL;
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, size) || getsockname(fd, (struct sockaddr *)&address, &size))
        fail("no port is free");
    close(fd);
    return ntohs(address.sin_port);
}

static void read_config(void)
{
    char text[512];
    struct config_errors errors;
    snprintf(
        text, sizeof text,
        "c2s { listen = {\"127.0.0.1\"} port = %u tls-port = 0 require-tls = false insecure-login = true "
        "rate-stanzas = 0 rate-bytes = 0 }\n"
        "host \"localhost\" { archive { default = \"never\" } }\n",
        world.port);
    config_errors_init(&errors);
    if (config_load_text("allocations", str_from(text), ext_configs(extension_list), &errors,
                         &world.config) != OK)
        fail(errors.lines[0]);
    config_errors_fini(&errors);
}

static void open_world(void)
{
    char why[512] = "";
    world.port = free_port();
    read_config();
    for (unsigned i = 0; i < SHARDS; i++)
        world.loops[i] = loop_new();
    if (store_open("memory:", NULL, why, sizeof why, &world.store) != OK)
        fail(why);
    add_accounts();
    world.server =
        server_new(world.config, extension_list, world.store, world.loops, SHARDS, why, sizeof why);
    if (!world.server || server_listen(world.server, why, sizeof why) != OK)
        fail(why);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_create(&world.threads[i], NULL, run, world.loops[i]);
}

static void close_world(void)
{
    server_stop(world.server);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_join(world.threads[i], NULL);
    store_close(world.store);
    server_free(world.server);
    for (unsigned i = 0; i < SHARDS; i++)
        loop_free(world.loops[i]);
    config_unref(world.config);
}

/* ---- Clients ---- */

static struct client {
    int fd;
    size_t len;
    char text[1 << 16];
} clients[USERS];

static void say(const struct client *client, const char *text, size_t len)
{
    while (len) {
        ssize_t wrote = send(client->fd, text, len, MSG_NOSIGNAL);
        if (wrote <= 0)
            fail("a stream ended");
        text += wrote;
        len -= (size_t)wrote;
    }
}

static void say_text(const struct client *client, const char *text)
{
    say(client, text, strlen(text));
}

static unsigned take(struct client *client, const char *word)
{
    unsigned found = 0;
    size_t word_len = strlen(word);
    char *at = client->text, *end = client->text + client->len, *next;
    for (; (next = memmem(at, (size_t)(end - at), word, word_len)); at = next + word_len)
        found++;
    size_t rest = (size_t)(end - at) < word_len ? (size_t)(end - at) : word_len - 1;
    memmove(client->text, end - rest, rest);
    client->len = rest;
    return found;
}

/* Reads until the word has come so often; what stands before its last coming is gone then. */
static void await(struct client *client, const char *word, unsigned times)
{
    for (unsigned found = take(client, word); found < times; found += take(client, word)) {
        struct pollfd wait = { .fd = client->fd, .events = POLLIN };
        if (poll(&wait, 1, PATIENCE_MS) != 1)
            fail(word);
        ssize_t got = recv(client->fd, client->text + client->len, sizeof client->text - client->len, 0);
        if (got <= 0)
            fail("a stream ended");
        client->len += (size_t)got;
    }
}

static void log_in(struct client *client, unsigned number)
{
    static const char header[] = "<stream:stream to='localhost' xmlns='jabber:client' "
                                 "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    char plain[64], text[256];
    struct arena arena;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(world.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("no connection");
    say_text(client, header);
    await(client, "</stream:features>", 1);
    int length = snprintf(plain, sizeof plain, "%cuser%u%csecret", 0, number, 0);
    arena_init(&arena, 256);
    snprintf(text, sizeof text, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
             base64_encode_arena(&arena, str_of(plain, (size_t)length)).p);
    arena_fini(&arena);
    say_text(client, text);
    await(client, "<success", 1);
    say_text(client, header);
    await(client, "</stream:features>", 1);
    say_text(client,
             "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource>"
             "</bind></iq><iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>");
    await(client, "id='roster'", 1);
}

static void ping(struct client *client)
{
    say_text(client, "<iq type='get' id='done' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    await(client, "id='done'", 1);
}

/* ---- Cases ---- */

static unsigned shard_of(unsigned user)
{
    char bare[32];
    snprintf(bare, sizeof bare, "user%u@localhost", user);
    return server_home(world.server, str_from(bare))->index;
}

/* Another user on the same shard, or on another one. */
static unsigned partner_of(unsigned user, bool on_the_same)
{
    for (unsigned other = 0; other < USERS; other++)
        if (other != user && (shard_of(user) == shard_of(other)) == on_the_same)
            return other;
    fail("all are on one shard");
}

struct talk {
    const char *name;
    const char *before, *between, *behind; /* the receiver's number, and the stanza's */
    const char *word;                      /* of which one comes to the receiver for each */
    unsigned from, to;
    bool judged;
};

/* In bursts of 1, 2, 4 ... stanzas. */
static void talk(const struct talk *talk, unsigned stanzas)
{
    static char text[BURST_MAX * 512];
    for (unsigned sent = 0, burst = 1; sent < stanzas; sent += burst, burst = burst % BURST_MAX * 2) {
        size_t len = 0;
        burst = burst ? burst : 1;
        for (unsigned i = 0; i < burst; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%u%s%u%s", talk->before, talk->to,
                                    talk->between, sent + i, talk->behind);
        say(&clients[talk->from], text, len);
        await(&clients[talk->to], talk->word, burst);
    }
}

/* Whether it kept to what is allowed. */
static bool run_talk(const struct talk *one)
{
    talk(one, STANZAS);
    atomic_store(&calls, 0);
    atomic_store(&bytes, 0);
    atomic_store(&counting, true);
    talk(one, STANZAS);
    atomic_store(&counting, false);
    unsigned long long seen = atomic_load(&calls);
    printf("%-40s %6llu calls, %9llu bytes for %d stanzas%s\n", one->name, seen, atomic_load(&bytes), STANZAS,
           one->judged ? "" : " (not judged)");
    return !one->judged || seen <= BY_THE_CLOCK;
}

static bool counter_works(void)
{
    counted_thread = true;
    atomic_store(&counting, true);
    void *volatile memory = malloc(100);
    free(memory);
    atomic_store(&counting, false);
    counted_thread = false;
    return atomic_load(&calls) == 1 && atomic_load(&bytes) >= 100;
}

#define BODY                                                                                                 \
    "<body>012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"       \
    "0123456789</body>"
#define MESSAGE(to) "<message to='user", "@localhost" to "' type='chat' id='m", "'>" BODY "</message>"
#define PRESENCE    "<presence to='user", "@localhost/r' id='p", "'/>"
#define CHANGE      "<presence><status>", "-", "</status></presence>"
#define PING        "<ping xmlns='urn:xmpp:ping'/></iq>"
#define PING_CLIENT "<iq type='get' to='user", "@localhost/r' id='p", "'>" PING
#define PING_SERVER "<iq type='get' to='localhost' id='", "-", "'>" PING

int main(void)
{
    bool good = true;
    log_set_level(LOG_AREA_COUNT, LOG_ERROR);
    if (!open_counter() || !counter_works())
        fail("allocations can't be counted here");
    open_world();
    for (unsigned i = 0; i < USERS; i++)
        log_in(&clients[i], i);
    for (unsigned i = 0; i < USERS; i++)
        ping(&clients[i]);
    unsigned same = partner_of(0, true), other = partner_of(0, false);
    const struct talk talks[] = {
        { "message to a full JID, same shard", MESSAGE("/r"), "</message>", 0, same, true },
        { "message to a bare JID, same shard", MESSAGE(""), "</message>", 0, same, true },
        { "message to a full JID, other shard", MESSAGE("/r"), "</message>", 0, other, true },
        { "message to a bare JID, other shard", MESSAGE(""), "</message>", 0, other, true },
        { "directed presence, same shard", PRESENCE, "<presence", 0, same, true },
        { "ping of the server", PING_SERVER, "<iq", 0, 0, true },
        { "ping of another client, other shard", PING_CLIENT, "</iq>", 0, other, true },
        { "change of presence, 15 contacts", CHANGE, "<presence", 0, other, false },
    };
    for (size_t i = 0; i < COUNT_OF(talks); i++)
        good &= run_talk(&talks[i]);
    for (unsigned i = 0; i < USERS; i++)
        close(clients[i].fd);
    close_world();
    if (!good)
        fail("the steady state asks the heap for memory");
    return 0;
}
