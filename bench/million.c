/* SPDX-License-Identifier: MIT */
/* How much memory a session takes, and how fast stanzas are routed, with more sessions than this machine has
 * sockets: the real server in a simulated world, where the network is memory. Each user has so many contacts,
 * subscribed both ways, and is online with one client.
 *
 * Memory a session is what the heap grew by from the first login to the last, less the clients' own ends of
 * the connections; the server's ends of them are counted, as they would be without a simulation, and the rows
 * of the store are not. The routing rate is CPU time of everything: the server on one thread, the clients,
 * and the network between them.
 *
 * usage: million [SESSIONS [CONTACTS]] */
#include "base/base64.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "extensions/list.h"
#include "loop/sim_impl.h"
#include "server/ext.h"
#include "store/store.h"
#include "xmpp/sasl.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    AT_ONCE = 500, /* who log in, or speak, before the world is left to settle */
    TURNS_MAX = 1000000,
    ROWS_A_BATCH = 20000,
    MESSAGES_MAX = 2000000,
    CHANGES_MAX = 100000
};

static const char config_text[] =
    "c2s {\n listen = {\"\"}\n port = 5222\n tls-port = 0\n require-tls = false\n insecure-login = true\n"
    " max-connections = 4000000\n}\n"
    "addresses {\n connections = 4000000\n unauthenticated = 4000000\n rate = 4000000000\n}\n"
    "host \"localhost\" {\n extensions-off = {\"archive\"}\n}\n";

/* What a client says, and what must have come before it says the next thing. */
enum step { HEADER, AUTH, SECOND_HEADER, BIND, ROSTER, ONLINE };

static const char *const awaited[] = {
    [HEADER] = "</stream:features>", [AUTH] = "<success", [SECOND_HEADER] = "</stream:features>",
    [BIND] = "</bind></iq>",         [ROSTER] = "</iq>",
};

struct person {
    struct socket_owner owner;
    struct socket *socket;
    uint32_t number;
    uint8_t step;
};

static struct {
    struct sim *sim;
    struct loop *server_loop, *client_loop;
    struct store *store;
    const struct config *config;
    struct server *server;
    struct person *people;
    uint32_t count, contacts, to_say, to_change;
    uint64_t online, messages, presences;
} world;

static void fail(const char *what)
{
    fprintf(stderr, "million: %s\n", what);
    exit(1);
}

static void settle(void)
{
    if (!sim_settle(world.sim, TURNS_MAX))
        fail("the world does not come to rest");
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* The contact with this index, 0..contacts-1: neighbours on a ring, so that everybody's contacts agree. */
static uint32_t contact_of(uint32_t number, uint32_t index)
{
    uint32_t half = world.contacts / 2, distance = index % half + 1;
    return index < half ? (number + distance) % world.count : (number + world.count - distance) % world.count;
}

/* ---- The store ---- */

static void kept(struct store_commit *commit)
{
    if (commit->err != OK)
        fail("the store took no row");
}

static void add_person(struct store_batch *batch, uint32_t number, str keys)
{
    char owner[32], key[32], item[96];
    snprintf(owner, sizeof owner, "u%u@localhost", number);
    store_put(batch, str_from(owner), STR("account"), STR(""), keys);
    for (uint32_t i = 0; i < world.contacts; i++) {
        snprintf(key, sizeof key, "u%u@localhost", contact_of(number, i));
        snprintf(item, sizeof item, "<item jid='%s' subscription='both'/>", key);
        store_put(batch, str_from(owner), STR("roster"), str_from(key), str_from(item));
    }
}

static void fill_store(void)
{
    struct scram_keys keys;
    struct arena arena;
    arena_init(&arena, 1024);
    scram_keys_make(STR("secret"), STR("0123456789abcdef"), 1, &keys);
    str row = scram_keys_write(&keys, &arena);
    uint32_t step = ROWS_A_BATCH / (world.contacts + 1) + 1;
    for (uint32_t from = 0; from < world.count; from += step) {
        struct store_commit commit = { .done = kept };
        struct store_batch *batch = store_batch_new();
        for (uint32_t i = from; i < world.count && i < from + step; i++)
            add_person(batch, i, row);
        store_commit(world.store, world.client_loop, batch, &commit);
        settle();
    }
    arena_fini(&arena);
}

/* ---- Clients ---- */

static void say(struct person *person, const struct buf *text)
{
    struct iovec piece = { text->p, text->len };
    size_t taken = 0;
    if (socket_write(person->socket, &piece, 1, &taken) != OK || taken != text->len)
        fail("a client could not write");
}

static void add_plain(struct buf *out, uint32_t number)
{
    char plain[64];
    int len = snprintf(plain, sizeof plain, "%cu%u%csecret", 0, number, 0);
    buf_lit(out, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>");
    base64_encode(out, str_of(plain, (size_t)len));
    buf_lit(out, "</auth>");
}

static void say_step(struct person *person)
{
    struct buf out;
    buf_init(&out, 1024);
    switch ((enum step)person->step) {
    case HEADER:
    case SECOND_HEADER:
        buf_lit(&out, "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
                      "xmlns:stream='http://etherx.jabber.org/streams'>");
        break;
    case AUTH:
        add_plain(&out, person->number);
        break;
    case BIND:
        buf_lit(&out, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                      "<resource>r</resource></bind></iq>");
        break;
    case ROSTER:
        buf_lit(&out, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
        break;
    case ONLINE:
        buf_lit(&out, "<presence/>");
        world.online++;
        break;
    }
    say(person, &out);
    buf_fini(&out);
}

static unsigned count_of(str bytes, const char *word)
{
    unsigned count = 0;
    size_t len = strlen(word);
    for (const char *at = bytes.p, *end = at + bytes.len; (at = memmem(at, (size_t)(end - at), word, len));
         at += len)
        count++;
    return count;
}

/* The network hands over whole writes, so what is awaited never comes in two pieces. */
static void came(struct person *person, str bytes)
{
    if (person->step == ONLINE) {
        world.messages += count_of(bytes, "</message>");
        world.presences += count_of(bytes, "<presence");
        return;
    }
    if (!memmem(bytes.p, bytes.len, awaited[person->step], strlen(awaited[person->step])))
        return;
    person->step++;
    say_step(person);
}

static void ready(struct socket_owner *owner, unsigned events)
{
    static char bytes[256 * 1024];
    struct person *person = CONTAINER_OF(owner, struct person, owner);
    size_t len;
    enum err err;
    if (events & SOCKET_WRITABLE) {
        socket_want(person->socket, owner, SOCKET_READABLE);
        say_step(person);
    }
    while ((err = socket_read(person->socket, bytes, sizeof bytes, &len)) == OK)
        came(person, str_of(bytes, len));
    if (err != ERR_AGAIN)
        fail("a stream ended");
}

static void log_in(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct person *person = &world.people[i];
        person->owner.ready = ready;
        person->number = i;
        if (socket_connect(world.client_loop, "127.0.0.1", 5222, &person->owner, &person->socket) != OK)
            fail("a client could not connect");
    }
    settle();
    sim_advance(world.sim, 1);
    settle();
}

/* ---- Work ---- */

static void speak(void)
{
    static const char body[] = "0123456789012345678901234567890123456789012345678901234567890123456789"
                               "012345678901234567890123456789";
    struct buf out;
    buf_init(&out, 1024);
    for (uint32_t i = 0; i < world.to_say; i++) {
        struct person *person = &world.people[sim_random(world.sim, world.count)];
        uint32_t to = contact_of(person->number, (uint32_t)sim_random(world.sim, world.contacts));
        buf_clear(&out);
        buf_addf(&out, "<message to='u%u@localhost/r' type='chat' id='m%u'><body>%s</body></message>", to, i,
                 body);
        say(person, &out);
        if (i % AT_ONCE == 0)
            settle();
    }
    settle();
    buf_fini(&out);
}

static void change_presence(void)
{
    struct buf out;
    buf_init(&out, 1024);
    for (uint32_t i = 0; i < world.to_change; i++) {
        buf_clear(&out);
        buf_addf(&out, "<presence><show>away</show><status>%u</status></presence>", i);
        say(&world.people[sim_random(world.sim, world.count)], &out);
        if (i % AT_ONCE == 0)
            settle();
    }
    settle();
    buf_fini(&out);
}

static void report_rate(const char *what, uint64_t done, double seconds)
{
    printf("%s: %llu in %.1f s of CPU, %.0f a second\n", what, (unsigned long long)done, seconds,
           (double)done / seconds);
    fflush(stdout);
}

static void open_world(void)
{
    char why[512];
    struct config_errors errors;
    config_errors_init(&errors);
    log_set_level(LOG_AREA_COUNT, LOG_ERROR);
    world.sim = sim_new(1);
    world.client_loop = sim_loop_new(world.sim);
    world.server_loop = sim_loop_new(world.sim);
    world.people = xcalloc(world.count, sizeof *world.people);
    if (store_open("memory:", world.client_loop, why, sizeof why, &world.store) != OK)
        fail(why);
    if (config_load_text("million", str_from(config_text), ext_configs(extension_list), &errors,
                         &world.config) != OK)
        fail(errors.lines[0]);
    config_errors_fini(&errors);
    world.server =
        server_new(world.config, extension_list, world.store, &world.server_loop, 1, why, sizeof why);
    if (!world.server || server_listen(world.server, why, sizeof why) != OK)
        fail(why);
}

static uint32_t number_of(const char *text, uint32_t lowest)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*end || number < lowest || number > 4000000)
        fail("usage: million [SESSIONS [CONTACTS]], at least 100 sessions and 2 contacts");
    return (uint32_t)number;
}

int main(int argc, char **argv)
{
    world.count = argc > 1 ? number_of(argv[1], 100) : 1000000;
    world.contacts = argc > 2 ? number_of(argv[2], 2) & ~1U : 18;
    world.to_say = world.count < MESSAGES_MAX / 20 ? world.count * 20 : MESSAGES_MAX;
    world.to_change = world.count < CHANGES_MAX ? world.count : CHANGES_MAX;
    open_world();
    fill_store();
    size_t before = heap_bytes();
    double start = cpu_seconds();
    for (uint32_t from = 0; from < world.count; from += AT_ONCE)
        log_in(from, from + AT_ONCE < world.count ? from + AT_ONCE : world.count);
    if (world.online != world.count)
        fail("somebody is not online");
    report_rate("logins", world.online, cpu_seconds() - start);
    size_t each = (heap_bytes() - before) / world.count;
    printf("memory: %zu bytes a session with a roster of %u\n", each - sim_socket_size(), world.contacts);
    start = cpu_seconds();
    speak();
    report_rate("messages", world.messages, cpu_seconds() - start);
    world.presences = 0;
    start = cpu_seconds();
    change_presence();
    report_rate("presences delivered", world.presences, cpu_seconds() - start);
    return world.messages == world.to_say ? 0 : 1;
}
