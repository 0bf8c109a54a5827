/* SPDX-License-Identifier: MIT */
/* The run: who logs in when, what phase it is, what is counted. The modes say what is sent.
 *
 * One thread does everything, and a tenth of a second is the grain of the phases: a timer looks whether the
 * phase at hand is over. Only what is sent and comes back while PHASE_COUNT lasts counts for rates and
 * latencies; losses are counted from the first stanza to the last, and the end waits until all has come back,
 * or the server has answered each user's last ping and nothing more comes.
 *
 * Sections: users, the phases, the beginning and the end. */
#include "programs/jabiru-load/load.h"

#include "programs/jabiru-load/modes.h"
#include "programs/jabiru-load/report.h"
#include "programs/jabiru-load/stamp.h"
#include "xmpp/jid.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LAST_ID "last"

enum {
    TICK_MS = 100,
    TICKS_A_SECOND = 10,
    SETTLED_TICKS = 10,
    SETTLE_TICKS_MAX = 600,
    SETTLE_TICKS_LONG = 6000, /* of a mode that knows when it has settled */
    DRAINED_TICKS = 20,       /* without a word, before what has not come back is given up */
    DRAIN_TICKS_LONG = 1200,  /* for users who are away and come again */
    LEAVE_TICKS_MAX = 100,
    ARENA_BLOCK = 4096,
    FILES_SPARE = 32,
};

uint64_t load_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- Users */

static void enter(struct load *load, enum phase phase);

void load_fail(struct load *load, const struct user *user, enum err why)
{
    if (load->phase >= PHASE_LEAVE)
        return;
    const char *reason = client_reason(&user->client);
    fprintf(stderr, "jabiru-load: %s: %s%s%s\n", user->name, err_text(why), *reason ? ": " : "", reason);
    load->exit_code = EXIT_NO_LOGIN;
    enter(load, PHASE_LEAVE);
}

void load_send_presence(struct user *user)
{
    const struct options *options = &user->load->options;
    if (options->mode->with_presence && !options->no_presence && !options->relay)
        client_send(&user->client, STR("<presence/>"));
}

static void next_login(struct load *load)
{
    if (load->phase == PHASE_LOGIN && load->started < load->options.users)
        load_start_user(load, &load->users[load->started++]);
}

static void user_ready(struct client *client)
{
    struct user *user = CONTAINER_OF(client, struct user, client);
    struct load *load = user->load;
    user->online = true;
    load->online++;
    load->ready++;
    load->last_cache = user->cache;
    if (load->options.relay) {
        char hello[32]; /* one who logs in again and again is joined with nobody */
        unsigned pair = load->options.mode->in_pairs ? user->index / 2 : user->index;
        snprintf(hello, sizeof hello, "PAIR %u\n", pair);
        client_send(client, str_from(hello));
    }
    if (load->options.mode->ready)
        load->options.mode->ready(user);
    if (load->options.mode->logs_in_itself)
        return;
    load_send_presence(user);
    if (load->phase == PHASE_LOGIN && load->ready == load->options.users)
        enter(load, load->options.mode->settles ? PHASE_SETTLE : PHASE_WARM);
    else
        next_login(load);
}

static const struct client_settings *settings_of(const struct user *user)
{
    const struct load *load = user->load;
    return load->options.far_port && user->index % 2 ? &load->far_settings : &load->settings;
}

/* The last that a user says: when the server has answered, it has dealt with all that was said before. */
static void say_last(struct user *user)
{
    struct load *load = user->load;
    arena_reset(&load->arena);
    client_send(&user->client,
                arena_printf(&load->arena,
                             "<iq type='get' id='" LAST_ID "' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>",
                             settings_of(user)->domain));
    user->waits_for_last = true;
    load->unanswered++;
}

static void last_came(struct user *user)
{
    user->load->unanswered -= user->waits_for_last;
    user->waits_for_last = false;
}

/* Not where the peer answers nothing, nor where who says much is made to wait for long. */
static bool says_last(const struct load *load)
{
    const struct mode *mode = load->options.mode;
    return !load->options.relay && !load->options.flood && !mode->logs_in_itself && !mode->holds &&
           !mode->is_whole;
}

/* A server may ask whether a client is there, and hold back what it has for one who does not answer. */
static void answer(struct user *user, const struct xml_node *iq)
{
    struct arena *arena = &user->load->arena;
    arena_reset(arena);
    str from = xml_attr(iq, STR("from"), arena), id = xml_attr(iq, STR("id"), arena);
    if (!str_is(xml_attr(iq, STR("type"), arena), "get"))
        return;
    str to = from.p ? arena_printf(arena, " to='%.*s'", STR_ARGS(from)) : STR("");
    client_send(&user->client,
                arena_printf(arena, "<iq type='result' id='%.*s'%.*s/>", STR_ARGS(id), STR_ARGS(to)));
}

static void user_stanza(struct client *client, const struct xml_node *node)
{
    struct user *user = CONTAINER_OF(client, struct user, client);
    user->load->heard++;
    if (user->waits_for_last && str_is(load_read_head(node).id, LAST_ID)) {
        last_came(user);
        return;
    }
    if (str_is(node->name, "iq") && !user->load->options.mode->answers && !user->load->options.relay)
        answer(user, node);
    if (user->load->options.mode->stanza)
        user->load->options.mode->stanza(user, node);
}

static void user_closed(struct client *client, enum err why)
{
    struct user *user = CONTAINER_OF(client, struct user, client);
    struct load *load = user->load;
    if (user->online)
        load->online--;
    user->online = false;
    last_came(user);
    if (load->phase >= PHASE_LEAVE)
        return;
    load->tally.errors += why != OK;
    if (load->options.mode->closed)
        load->options.mode->closed(user, why);
    else if (load->phase <= PHASE_SETTLE)
        load_fail(load, user, why);
}

static const struct client_events user_events = {
    .ready = user_ready,
    .stanza = user_stanza,
    .closed = user_closed,
};

void load_start_user(struct load *load, struct user *user)
{
    if (!user->cache.iterations)
        user->cache = load->last_cache;
    user->client.user = str_from(user->name);
    user->client.password = load->password;
    user->client.resource = STR("load");
    user->client.cache = &user->cache;
    user->client.instant = user->instant;
    client_start(&user->client, settings_of(user), &user_events);
}

void load_cut(struct user *user)
{
    client_fini(&user->client);
    user->load->online -= user->online;
    user->online = false;
}

void load_send_stamped(struct user *user, size_t at, uint64_t now)
{
    if (!user->online)
        return;
    struct buf *out = client_out(&user->client);
    size_t begin = out->len;
    buf_add(out, str_of(user->text, user->text_len));
    if (!buf_failed(out))
        stamp_write(out->p + begin + at, now);
    client_wrote(&user->client);
}

struct head load_read_head(const struct xml_node *node)
{
    struct head head = { str_none, str_none, str_none };
    struct xml_attr attr;
    size_t at = 0;
    while (xml_attr_next(node, &at, &attr)) {
        if (attr.prefix.len)
            continue;
        if (str_is(attr.name, "id"))
            head.id = attr.raw;
        else if (str_is(attr.name, "type"))
            head.type = attr.raw;
        else if (str_is(attr.name, "from"))
            head.from = attr.raw;
    }
    return head;
}

/* ---- The phases */

static void say_last_words(struct load *load)
{
    for (unsigned i = 0; says_last(load) && i < load->options.users; i++)
        if (load->users[i].online)
            say_last(&load->users[i]);
}

static void say_ready(const struct load *load)
{
    printf("ready %u\n", load->options.users);
    fflush(stdout);
}

static void leave_all(struct load *load)
{
    for (unsigned i = 0; i < load->options.users; i++)
        if (load->users[i].online)
            client_close(&load->users[i].client);
}

static void enter(struct load *load, enum phase phase)
{
    const struct mode *mode = load->options.mode;
    if (phase == PHASE_WARM && mode->holds)
        phase = PHASE_COUNT;
    load->phase = phase;
    load->ticks = load->quiet = 0;
    if (phase >= PHASE_DRAIN && mode->end)
        mode->end(load);
    switch (phase) {
    case PHASE_SETTLE:
        load->settling = load_now();
        mode->prepare(load);
        break;
    case PHASE_WARM:
        mode->begin(load);
        break;
    case PHASE_COUNT:
        load->count_began = load->stretch.began = load_now();
        say_ready(load);
        break;
    case PHASE_DRAIN:
        load->count_ended = load_now();
        say_last_words(load);
        break;
    case PHASE_LEAVE:
        leave_all(load);
        break;
    case PHASE_OVER:
        loop_stop(load->loop);
        break;
    case PHASE_LOGIN:
        break;
    }
}

static bool counted_enough(const struct load *load)
{
    return load_now() - load->count_began >= load->options.seconds * (uint64_t)1000000000;
}

static void look_at_settling(struct load *load)
{
    const struct mode *mode = load->options.mode;
    bool still = mode->is_settled && !mode->is_settled(load);
    if (still && load->ticks >= SETTLE_TICKS_LONG)
        load_fail(load, &load->users[0], ERR_TIMEOUT);
    else if (!still && (load->quiet >= SETTLED_TICKS || load->ticks >= SETTLE_TICKS_MAX))
        enter(load, PHASE_WARM);
}

/* Silence is the end when the server has read all, and all are there for whom something may wait. */
static void look_at_draining(struct load *load)
{
    const struct mode *mode = load->options.mode;
    bool still = load->unanswered || (mode->is_whole && !mode->is_whole(load));
    bool all_back = load->tally.all_expected <= load->tally.all_received;
    if ((!still || load->ticks >= DRAIN_TICKS_LONG) && (all_back || load->quiet >= DRAINED_TICKS))
        enter(load, PHASE_LEAVE);
}

static void look_at_stretch(struct load *load)
{
    uint64_t every = load->options.every * (uint64_t)1000000000;
    if (every && load_now() - load->stretch.began >= every)
        report_stretch(load);
}

static void look_at_phase(struct load *load)
{
    switch (load->phase) {
    case PHASE_SETTLE:
        look_at_settling(load);
        break;
    case PHASE_WARM:
        if (load->ticks >= TICKS_A_SECOND)
            enter(load, PHASE_COUNT);
        break;
    case PHASE_COUNT:
        look_at_stretch(load);
        if (counted_enough(load))
            enter(load, PHASE_DRAIN);
        break;
    case PHASE_DRAIN:
        look_at_draining(load);
        break;
    case PHASE_LEAVE:
        if (!load->online || load->ticks >= LEAVE_TICKS_MAX)
            enter(load, PHASE_OVER);
        break;
    case PHASE_LOGIN:
    case PHASE_OVER:
        break;
    }
}

static void tick(struct timer *timer)
{
    struct load *load = CONTAINER_OF(timer, struct load, tick);
    load->ticks++;
    load->quiet = load->heard == load->heard_before ? load->quiet + 1 : 0;
    load->heard_before = load->heard;
    if (load->ticks % TICKS_A_SECOND == 0)
        report_progress(load);
    if (load_working(load) && load->options.mode->tick)
        load->options.mode->tick(load);
    look_at_phase(load);
    timer_start(load->loop, timer, TICK_MS);
}

/* ---- The beginning and the end */

static _Noreturn void usage(const char *what, const char *why)
{
    fprintf(stderr, "jabiru-load: %s: %s\n", what, why);
    exit(EXIT_USAGE);
}

/* Each user takes a file. */
static void allow_files(unsigned users)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < users + FILES_SPARE)
        usage("--users", "more than the limit of open files (ulimit -Hn) allows");
}

static const char *resolve(const char *host, struct arena *arena)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    char address[64];
    int failed = getaddrinfo(host, NULL, &hints, &found);
    if (failed)
        usage(host, gai_strerror(failed));
    failed = getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    if (failed)
        usage(host, gai_strerror(failed));
    return arena_str(arena, str_from(address)).p;
}

static void prepare_settings(struct load *load)
{
    const struct options *options = &load->options;
    struct client_settings *settings = &load->settings;
    char why[256];
    client_settings_init(settings, load->loop);
    settings->address = resolve(options->host, &load->keep);
    settings->port = options->port;
    settings->domain = options->domain;
    settings->tls = options->tls;
    settings->mechanisms = options->mechanisms;
    settings->plain_in_clear = true;
    settings->bare = options->relay;
    settings->compress = options->compress;
    if (options->tls && tls_client_context(options->ca, options->ca, why, sizeof why, &settings->tls_context))
        usage("TLS", why);
    load->far_settings = *settings;
    load->far_settings.port = options->far_port;
    load->far_settings.domain = options->far_domain;
    if (options->password && jid_prepare_password(str_from(options->password), &load->keep, &load->password))
        usage("--password", "not a password");
}

static void prepare_users(struct load *load)
{
    load->users = xcalloc(load->options.users, sizeof *load->users);
    for (unsigned i = 0; i < load->options.users; i++) {
        struct user *user = &load->users[i];
        user->load = load;
        user->index = i;
        snprintf(user->name, sizeof user->name, "%s%u", load->options.user_prefix, load->options.first + i);
        if (!load->options.instant)
            continue;
        user->instant = NEW(struct client_instant);
        snprintf(user->instant->id, sizeof user->instant->id, "00000000-0000-4000-8000-%012x", i);
    }
}

static void clean_up(struct load *load)
{
    timer_stop(&load->tick);
    if (load->options.mode->close)
        load->options.mode->close(load);
    for (unsigned i = 0; i < load->options.users; i++) {
        client_fini(&load->users[i].client);
        free(load->users[i].text);
        free(load->users[i].instant);
    }
    free(load->users);
    tls_context_unref(load->settings.tls_context);
    arena_fini(&load->arena);
    arena_fini(&load->keep);
    loop_free(load->loop);
}

enum exit_code load_run(const struct options *options)
{
    static struct load load; /* too large for a stack */
    load.options = *options;
    load.loop = loop_new();
    load.tick.fired = tick;
    arena_init(&load.arena, ARENA_BLOCK);
    arena_init(&load.keep, ARENA_BLOCK);
    allow_files(options->users);
    prepare_settings(&load);
    prepare_users(&load);
    timer_start(load.loop, &load.tick, TICK_MS);
    if (options->mode->open)
        options->mode->open(&load);
    if (options->mode->logs_in_itself)
        enter(&load, PHASE_WARM);
    for (unsigned i = 0; i < options->parallel; i++)
        next_login(&load);
    loop_run(load.loop);
    if (load.exit_code == EXIT_OK) {
        report_result(&load);
        if (load.tally.all_expected > load.tally.all_received || load.tally.errors || load.tally.doubled)
            load.exit_code = EXIT_LOSSES;
    }
    clean_up(&load);
    return load.exit_code;
}
