/* SPDX-License-Identifier: MIT */
/* XEP-0133 1.3.1, what is said to everybody: announcements to who is online (§4.23), a message of the day
 * (§4.24-4.26), a welcome (§4.27, §4.28), and shutting down (§4.32), which is jabiructl's stop after a while.
 *
 * Texts are rows of the host (kind `announce`; the message of the day begins with its version). A shard reads
 * a host's the first time that somebody becomes available, and is told of changes by a tour. Who has seen
 * which version is a row of the user (kind `notices`, key `motd`), on disk before the message is sent; a new
 * account has the row `new` until it was welcomed. Edited is not new: an edit keeps the version, so that it
 * is for those who have not seen it. All go to single sessions, so no archive, offline store or carbon has
 * them. */
#include "extensions/adhoc.h"

#include "base/utf8.h"

#include "server/control/control_request.h"
#include "server/user/user_call.h"
#include "xml/write.h"

#include <stdlib.h>

#define NS_ADMIN "http://jabber.org/protocol/admin"

enum { TEXT_MAX = 16 * 1024, XML_MAX = 6 * TEXT_MAX + 1024 };

extern const struct ext ext_announce;
static struct ext_slot slot;

/* What a shard knows of a host's texts. */
struct texts {
    struct texts *next;
    const struct host *host;
    bool known, reading;
    unsigned changes; /* since the start: what was read before the last one is old */
    uint64_t version; /* of the message of the day; 0: there is none */
    char *motd, *welcome;
};

struct at_shard {
    struct texts *texts;
    struct timer stop;
    struct server *server;
};

struct at_user {
    uint64_t seen;
    bool is_new;
};

static struct texts *texts_of(struct shard *shard, const struct host *host)
{
    struct at_shard *at = ext_shard(shard, &slot);
    for (struct texts *texts = at->texts; texts; texts = texts->next)
        if (texts->host == host)
            return texts;
    struct texts *texts = NEW(struct texts);
    texts->host = host;
    texts->next = at->texts;
    return at->texts = texts;
}

static void forget(struct texts *texts)
{
    free(texts->motd);
    free(texts->welcome);
    texts->motd = texts->welcome = NULL;
    texts->version = 0;
    texts->known = false;
}

static void shard_fini(struct shard *shard)
{
    struct at_shard *at = ext_shard(shard, &slot);
    timer_stop(&at->stop);
    while (at->texts) {
        struct texts *texts = at->texts;
        at->texts = texts->next;
        forget(texts);
        free(texts);
    }
}

static void learn(struct texts *texts, str key, str value)
{
    if (str_is(key, "welcome")) {
        free(texts->welcome);
        texts->welcome = str_dup(value);
    } else if (str_is(key, "motd")) {
        free(texts->motd);
        texts->motd = NULL;
        if (str_to_u64(str_cut(&value, '\n'), INT64_MAX, &texts->version))
            texts->motd = str_dup(value);
    }
}

/* ---- Saying
 * ------------------------------------------------------------------------------------------------------- */

/* To one session, whatever its priority. */
static void say(struct session *session, str text)
{
    struct user *user = session->user;
    struct shard *shard = user->actor.shard;
    struct stanza *message = ARENA_NEW(&shard->arena, struct stanza);
    struct buf body;
    buf_init(&body, XML_MAX);
    xml_write_element(&body, "body", str_none, text);
    *message = stanza_make(STANZA_MESSAGE, TYPE_NONE, str_none, arena_str(&shard->arena, buf_str(&body)),
                           &shard->arena);
    buf_fini(&body);
    message->from = jid_make(STR(""), str_from(user->actor.host->name), STR(""), &shard->arena);
    struct jid bare = user_jid(user);
    message->to = jid_make(jid_local(&bare), jid_domain(&bare), session_resource(session), &shard->arena);
    route_to(shard, message, &message->to, DELIVER_SESSION);
}

static void say_to_available(struct user *user, str text)
{
    list_each (at, &user->sessions)
        if (SESSION_OF(at)->available && !SESSION_OF(at)->closing)
            say(SESSION_OF(at), text);
}

static bool has_available(const struct user *user)
{
    list_each (at, &user->sessions)
        if (SESSION_OF(at)->available)
            return true;
    return false;
}

/* Calls `each` for users of the host (NULL: of all) who are awake at the shard. */
static void for_online(struct shard *shard, const struct host *host,
                       void (*each)(struct user *user, void *with), void *with)
{
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&shard->actors, &walk))) {
        struct user *user = user_awake(shard, actor_key(node));
        if (user && (!host || user->actor.host == host) && has_available(user))
            each(user, with);
    }
}

static void announce_to(struct user *user, void *with)
{
    say_to_available(user, *(const str *)with);
}

/* ---- What a user has not seen
 * ------------------------------------------------------------------------------------------ */

/* The user is ready; what is said waits until it is noted. */
static void show(struct user *user)
{
    struct at_user *at = ext_user(user, &slot);
    struct shard *shard = user->actor.shard;
    struct texts *texts = texts_of(shard, user->actor.host);
    if (!texts->known || user->anonymous || !has_available(user))
        return;
    if (at->is_new) {
        at->is_new = false;
        store_del(user_write(user, NULL), user_bare(user), STR("notices"), STR("new"));
        if (texts->welcome)
            say_to_available(user, arena_str(&shard->arena, str_from(texts->welcome)));
    }
    if (texts->motd && texts->version > at->seen) {
        at->seen = texts->version;
        store_put(user_write(user, NULL), user_bare(user), STR("notices"), STR("motd"),
                  arena_printf(&shard->arena, "%llu", (unsigned long long)at->seen));
        say_to_available(user, arena_str(&shard->arena, str_from(texts->motd)));
    }
}

static void show_at_home(struct shard *shard, struct user *user, struct user_call *call)
{
    (void)shard;
    (void)call;
    if (user)
        show(user);
}

static void show_later(struct user *user, void *with)
{
    struct user_call *call = NEW(struct user_call);
    (void)with;
    *call = (struct user_call){
        .shard = user->actor.shard, .host = user->actor.host, .jid = user_jid(user), .run = show_at_home
    };
    user_call_start(call);
}

struct reading {
    struct store_read read;
    struct shard *shard;
    struct host *host;
    unsigned changes;
};

static void read_texts(struct shard *shard, struct host *host);

/* Everybody who came meanwhile is shown what there is. */
static void texts_read(struct store_read *read)
{
    struct reading *reading = CONTAINER_OF(read, struct reading, read);
    struct shard *shard = reading->shard;
    struct texts *texts = texts_of(shard, reading->host);
    bool stale = texts->changes != reading->changes;
    shard_enter(shard);
    texts->reading = false;
    if (read->err == OK && !stale) {
        for (size_t i = 0; i < read->count; i++)
            learn(texts, read->rows[i].key, read->rows[i].value);
        texts->known = true;
        for_online(shard, reading->host, show_later, NULL);
    } else if (stale) {
        read_texts(shard, reading->host);
    }
    store_read_fini(read);
    free(reading);
    shard_commit_ended(shard);
    shard_leave(shard);
}

static void read_texts(struct shard *shard, struct host *host)
{
    struct texts *texts = texts_of(shard, host);
    if (texts->reading)
        return;
    struct reading *reading = NEW(struct reading);
    *reading =
        (struct reading){ .read.done = texts_read, .shard = shard, .host = host, .changes = texts->changes };
    texts->reading = true;
    shard_commit_began(shard);
    store_get_all(shard->server->store, shard->loop, str_from(host->name), STR("announce"), &reading->read);
}

static enum hook_ret available(struct host *host, struct session_event *event)
{
    struct user *user = event->user;
    struct shard *shard = user->actor.shard;
    if (texts_of(shard, host)->known)
        show(user);
    else if (!user->anonymous)
        read_texts(shard, host);
    return HOOK_NEXT;
}

static void noted(struct store_commit *commit)
{
    free(commit);
}

/* Nobody waits for this row: without it somebody is not welcomed. */
static enum hook_ret made(struct host *host, struct account_event *event)
{
    struct shard *shard = event->shard;
    struct user *user = user_awake(shard, event->jid.full);
    struct store_batch *batch = store_batch_new();
    struct store_commit *commit = NEW(struct store_commit);
    (void)host;
    if (user)
        ((struct at_user *)ext_user(user, &slot))->is_new = true;
    store_put(batch, event->jid.full, STR("notices"), STR("new"), STR(""));
    commit->done = noted;
    store_commit(shard->server->store, shard->loop, batch, commit);
    return HOOK_NEXT;
}

static void load_row(struct user *user, const struct store_row *row)
{
    struct at_user *at = ext_user(user, &slot);
    if (str_is(row->key, "new"))
        at->is_new = true;
    else
        str_to_u64(row->value, INT64_MAX, &at->seen);
}

static void user_reset(struct user *user)
{
    *(struct at_user *)ext_user(user, &slot) = (struct at_user){ 0 };
}

/* ---- Commands
 * ---------------------------------------------------------------------------------------------------- */

struct values {
    str announcement, motd, welcome;
    unsigned delay;
    uint64_t version; /* of the message that is edited */
    struct tour tour;
    struct ext_op *op;
};

#define LINES(name, text, needed)                                                                            \
    {                                                                                                        \
#name, FIELD_TEXT_MULTI, text, FORM_LINES(struct values, name), .required = needed                   \
    }
#define TABLE(name, rows, title_text, help)                                                                  \
    static const struct form_table name = { NS_ADMIN, FORM_ROWS(rows), .title = title_text,                  \
                                            .instructions = help };                                          \
    static const struct form_table *const name##_forms[] = { &name, NULL }

static const struct form_row announce_rows[] = { LINES(announcement, "Announcement", true) };
TABLE(announce, announce_rows, "Making an Announcement",
      "Fill out this form to make an announcement to all active users of this service.");

static const struct form_row motd_rows[] = { LINES(motd, "Message of the Day", true) };
TABLE(motd, motd_rows, "Setting the Message of the Day", "Fill out this form to set the message of the day.");

static const struct form_row welcome_rows[] = { LINES(welcome, "Welcome Message", true) };
TABLE(welcome, welcome_rows, "Setting Welcome Message",
      "Fill out this form to set the welcome message for this service.");

static const struct form_option delays[] = { { "30", "30 seconds" }, { "60", "60 seconds" },
                                             { "90", "90 seconds" }, { "120", "2 minutes" },
                                             { "180", "3 minutes" }, { "240", "4 minutes" },
                                             { "300", "5 minutes" }, { 0 } };
static const unsigned delay_s[] = { 30, 60, 90, 120, 180, 240, 300 };
static const struct form_row shutdown_rows[] = {
    { "delay", FIELD_LIST_SINGLE, "Time delay before shutting down", FORM_CHOICE(struct values, delay),
      .options = delays },
    LINES(announcement, "Announcement", false),
};
TABLE(shutdown, shutdown_rows, "Shutting Down the Service", "Fill out this form to shut down the service.");

static bool is_short(struct iq_event *event, str text)
{
    if (text.len <= TEXT_MAX)
        return true;
    adhoc_refuse(event, "the text is too long");
    return false;
}

static void tour_done(struct tour *tour)
{
    ext_op_resume(CONTAINER_OF(tour, struct values, tour)->op);
}

static void start_tour(struct ext_op *op, void (*visit)(struct shard *, struct tour *), ext_step *then)
{
    struct values *values = adhoc_values(op);
    values->op = op;
    values->tour = (struct tour){ .home = op->shard, .visit = visit, .done = tour_done };
    ext_op_wait(op, then);
    tour_start(&values->tour);
}

static void toured(struct ext_op *op, struct iq_event *event)
{
    adhoc_done(event, op, NULL);
}

static void announce_here(struct shard *shard, struct tour *tour)
{
    struct values *values = CONTAINER_OF(tour, struct values, tour);
    for_online(shard, values->op->host, announce_to, &values->announcement);
}

/* §4.23 */
static void run_announce(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (is_short(event, values->announcement))
        start_tour(op, announce_here, toured);
}

/* ---- Texts that stay
 * --------------------------------------------------------------------------------------------- */

static void change_here(struct shard *shard, struct tour *tour)
{
    struct values *values = CONTAINER_OF(tour, struct values, tour);
    struct texts *texts = texts_of(shard, values->op->host);
    forget(texts);
    texts->changes++;
    read_texts(shard, values->op->host);
}

static void written(struct ext_op *op, struct iq_event *event)
{
    if (op->commit.err == OK)
        start_tour(op, change_here, toured);
    else
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "the change could not be stored");
}

/* A value of str_none: the row goes. */
static void change(struct ext_op *op, str key, str value)
{
    struct store_batch *batch = store_batch_new();
    str host = str_from(op->host->name);
    if (value.p)
        store_put(batch, host, STR("announce"), key, value);
    else
        store_del(batch, host, STR("announce"), key);
    ext_op_write(op, batch, written);
}

static void set_motd(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    uint64_t version = values->version ? values->version : (uint64_t)loop_wall_ms(event->shard->loop);
    if (is_short(event, values->motd))
        change(op, STR("motd"),
               arena_printf(&event->shard->arena, "%llu\n%.*s", (unsigned long long)version,
                            STR_ARGS(values->motd)));
}

static void set_welcome(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (is_short(event, values->welcome))
        change(op, STR("welcome"), values->welcome);
}

static void delete_motd(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    change(op, STR("motd"), str_none);
}

static void delete_welcome(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    change(op, STR("welcome"), str_none);
}

/* The form shows what there is. The text is the reader's only, and is read anew from what is submitted. */
static void ask_with(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    for (size_t i = 0; op->read.err == OK && i < op->read.count; i++) {
        str text = op->read.rows[i].value;
        if (str_is(op->read.rows[i].key, "welcome"))
            values->welcome = text;
        else if (str_to_u64(str_cut(&text, '\n'), INT64_MAX, &values->version))
            values->motd = text.p ? text : STR("");
    }
    if (op->read.err == OK)
        adhoc_ask(op, event);
    else
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "try again later");
    values->motd = values->welcome = str_none;
}

static void read_first(struct ext_op *op, struct iq_event *event)
{
    (void)event;
    store_get_all(ext_op_store(op), op->shard->loop, str_from(op->host->name), STR("announce"),
                  ext_op_read(op, ask_with));
}

/* ---- The end (§4.32)
 * ----------------------------------------------------------------------------------------------- */

static void stop_now(struct timer *timer)
{
    CONTAINER_OF(timer, struct at_shard, stop)->server->stop();
}

static void stop_later(struct ext_op *op, struct iq_event *event)
{
    const struct values *values = adhoc_values(op);
    struct at_shard *at = ext_shard(event->shard, &slot);
    at->server = event->shard->server;
    at->stop.fired = stop_now;
    timer_start(event->shard->loop, &at->stop, delay_s[values->delay] * 1000);
    adhoc_done(event, op, NULL);
}

static void say_everywhere(struct shard *shard, struct tour *tour)
{
    struct values *values = CONTAINER_OF(tour, struct values, tour);
    for_online(shard, NULL, announce_to, &values->announcement);
}

/* It concerns the users of all hosts. */
static void run_shutdown(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (!values->announcement.len)
        stop_later(op, event);
    else if (is_short(event, values->announcement))
        start_tour(op, say_everywhere, stop_later);
}

static bool can_stop(const struct host *host)
{
    return host->server->stop != NULL;
}

#define COMMAND(id, title_text, step, ...)                                                                   \
    {                                                                                                        \
        .node = NS_ADMIN "#" id, .name = title_text, .who = ADHOC_ADMINS, .size = sizeof(struct values),     \
        .run = step, __VA_ARGS__                                                                             \
    }

static const struct adhoc_command adhoc_commands[] = {
    COMMAND("announce", "Send Announcement to Online Users", run_announce, .forms = announce_forms),
    COMMAND("set-motd", "Set Message of the Day", set_motd, .forms = motd_forms),
    COMMAND("edit-motd", "Edit Message of the Day", set_motd, .forms = motd_forms, .begin = read_first),
    COMMAND("delete-motd", "Delete Message of the Day", delete_motd, .forms = NULL),
    COMMAND("set-welcome", "Set Welcome Message", set_welcome, .forms = welcome_forms, .begin = read_first),
    COMMAND("delete-welcome", "Delete Welcome Message", delete_welcome, .forms = NULL),
    COMMAND("shutdown", "Shut Down Service", run_shutdown, .forms = shutdown_forms, .is_on = can_stop),
    { 0 },
};

/* ---- jabiructl announce HOST TEXT
 * ------------------------------------------------------------------------------------------- */

struct ctl {
    struct host *host; /* NULL: all */
    str text;
    size_t users;
};

static void count_and_announce(struct user *user, void *with)
{
    struct ctl *ctl = with;
    say_to_available(user, ctl->text);
    ctl->users++;
}

static void ctl_visit(struct shard *shard, struct request *request)
{
    struct ctl *ctl = request->own;
    for_online(shard, ctl->host, count_and_announce, ctl);
}

static void ctl_visited(struct request *request)
{
    const struct ctl *ctl = request->own;
    buf_addf(&request->answer, "%zu users\n", ctl->users);
    request_done(request, NULL);
}

/* Whether it can stand in XML. */
static bool is_text(str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < ' ' && text.p[i] != '\t')
            return false;
    return text.len && utf8_valid(text);
}

static void ctl_announce(struct request *request)
{
    struct ctl *ctl = ARENA_NEW(&request->arena, struct ctl);
    str text = request->word, name = str_cut(&text, ' ');
    request->own = ctl;
    ctl->text = str_trim(text);
    ctl->host = server_host(request->shard->server, name);
    if (!ctl->host && !str_is(name, "all"))
        request_done(request, "write a host that is served here, or all, and then the text");
    else if (!is_text(ctl->text))
        request_done(request, "there is no text, or it is not UTF-8");
    else
        request_travel(request, ctl_visit, ctl_visited);
}

static const struct control_command control_commands[] = {
    { .name = "announce",
      .words = true,
      .run = ctl_announce,
      .help = "announce HOST TEXT    send a message to who is online; HOST may be all" },
    { 0 },
};

static const struct ext_hook hooks[] = { HOOK(session_available, PHASE_OBSERVE, available),
                                         HOOK(account_made, PHASE_OBSERVE, made),
                                         { 0 } };

const struct ext ext_announce = {
    .slot = &slot,
    .name = "announce",
    .title = "Service Administration: announcements",
    .xep = { 133, "1.3.1", .partial = true },
    .adhoc = adhoc_commands,
    .commands = control_commands,
    .hooks = hooks,
    .shard_size = sizeof(struct at_shard),
    .shard_fini = shard_fini,
    .user_size = sizeof(struct at_user),
    .user_rows = "notices",
    .load_row = load_row,
    .user_reset = user_reset,
};
