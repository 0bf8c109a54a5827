/* SPDX-License-Identifier: MIT */
/* XEP-0133 1.3.1, what concerns a host as a whole: how many users are registered, disabled, online, active
 * and idle (§4.12 to 4.16), and who they are (§4.17 to 4.21). Sections are of XEP-0133.
 *
 * Online is who has a session. Of these who has a client that nobody looks at, as all of the user's clients
 * say (XEP-0352), is idle; the others are active.
 *
 * Accounts are counted by a walk through the store, page by page, and for the disabled ones each is looked
 * at: on a large host that takes a while, in which everybody else is served. A list ends after as many as
 * were asked for, at LIST_MAX at the latest. */
#include "extensions/adhoc.h"
#include "extensions/client_state.h"

#include "server/account.h"
#include "server/tour.h"

#include <inttypes.h>
#include <stdlib.h>

#define NS_ADMIN "http://jabber.org/protocol/admin"

enum { PAGE = 500, LIST_MAX = 1000, NAMES_MAX = 4 << 20 };

enum figure { REGISTERED, DISABLED, ONLINE, ACTIVE, IDLE, FIGURES };

#define NUMBER_NODE(id) NS_ADMIN "#get-" id "-users-num"
#define LIST_NODE(id)   NS_ADMIN "#get-" id "-users-list"
#define FIELDS(id)                                                                                           \
    {                                                                                                        \
        NUMBER_NODE(id), id "usersnum", "The number of " id " users", LIST_NODE(id), id "userjids",          \
            "The list of " id " users"                                                                       \
    }

static const struct {
    const char *number_node, *number, *number_label, *list_node, *list, *list_label;
} fields[FIGURES] = {
    [REGISTERED] = FIELDS("registered"), [DISABLED] = FIELDS("disabled"), [ONLINE] = FIELDS("online"),
    [ACTIVE] = FIELDS("active"),         [IDLE] = FIELDS("idle"),
};

struct values {
    unsigned most; /* of the form: which choice */
    enum figure figure;
    bool lists;
    uint64_t count, limit;
    struct buf names; /* each with a newline */
    struct buf page;  /* the same, of accounts that are yet to be looked at */
    size_t at;        /* in it */
    size_t last;      /* how long the last one of it is */
    bool more;        /* pages */
    struct tour tour;
    struct ext_op *op;
};

static const struct form_option mosts[] = { { "25", "25" },     { "50", "50" },
                                            { "75", "75" },     { "100", "100" },
                                            { "150", "150" },   { "200", "200" },
                                            { "none", "None" }, { 0 } };
static const unsigned limits[] = { 25, 50, 75, 100, 150, 200, LIST_MAX };
static const struct form_row list_rows[] = { { "max_items", FIELD_LIST_SINGLE,
                                               "Maximum number of items to show",
                                               FORM_CHOICE(struct values, most), .options = mosts } };
static const struct form_table list = { NS_ADMIN, FORM_ROWS(list_rows), .title = "Requesting a List of Users",
                                        .instructions =
                                            "Fill out this form to request users of this service." };
static const struct form_table *const list_forms[] = { &list, NULL };

/* ---- The answer
 * --------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

static void write_names(struct values *values, struct arena *arena, struct buf *out)
{
    str *names = arena_alloc(arena, LIST_MAX * sizeof *names), rest = buf_str(&values->names);
    size_t count = 0;
    while (rest.len && count < LIST_MAX)
        names[count++] = str_cut(&rest, '\n');
    qsort(names, count, sizeof *names, compare);
    form_field_open(out, fields[values->figure].list, FIELD_JID_MULTI, true,
                    fields[values->figure].list_label);
    for (size_t i = 0; i < count; i++)
        form_value(out, names[i]);
    form_field_close(out);
}

static void finish(struct ext_op *op, struct iq_event *event, bool ok)
{
    struct values *values = adhoc_values(op);
    struct arena *arena = &event->shard->arena;
    struct buf out;
    buf_init(&out, NAMES_MAX);
    form_open(&out, FORM_RESULT);
    form_ns(&out, NS_ADMIN);
    if (values->lists)
        write_names(values, arena, &out);
    else
        form_add(&out, fields[values->figure].number, FIELD_TEXT_SINGLE, fields[values->figure].number_label,
                 arena_printf(arena, "%" PRIu64, values->count));
    form_close(&out);
    if (ok)
        adhoc_done(event, op, &out);
    else
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "try again later");
    buf_fini(&out);
    buf_fini(&values->names);
    buf_fini(&values->page);
}

/* Counts it; false: no more are wanted. */
static bool add(struct values *values, str name)
{
    if (values->count == values->limit)
        return false;
    values->count++;
    if (values->lists) {
        buf_add(&values->names, name);
        buf_add_char(&values->names, '\n');
    }
    return true;
}

/* ---- Accounts
 * ------------------------------------------------------------------------------------------------------ */

static bool is_of(const struct host *host, str bare)
{
    str rest = bare;
    str_cut(&rest, '@');
    return str_eq(rest, str_from(host->name));
}

static void next_account(struct ext_op *op, struct iq_event *event);

static void looked_at(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (op->read.err != OK) {
        finish(op, event, false);
        return;
    }
    if (op->read.count && account_is_disabled(op->read.rows[0].value))
        add(values, op->read.rows[0].owner);
    next_account(op, event);
}

static void page_read(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (op->read.err != OK) {
        finish(op, event, false);
        return;
    }
    buf_fini(&values->page);
    buf_init(&values->page, NAMES_MAX);
    values->at = 0;
    values->more = op->read.count == PAGE;
    for (size_t i = 0; i < op->read.count; i++) {
        buf_add(&values->page, op->read.rows[i].owner);
        buf_add_char(&values->page, '\n');
    }
    if (op->read.count)
        values->last = op->read.rows[op->read.count - 1].owner.len;
    next_account(op, event);
}

/* Behind the last account of the page before. */
static void next_page(struct ext_op *op)
{
    struct values *values = adhoc_values(op);
    str page = buf_str(&values->page);
    str after = page.len ? str_sub(page, page.len - 1 - values->last, page.len - 1) : STR("");
    store_owners(ext_op_store(op), op->shard->loop, STR("account"), STR(""), after, PAGE,
                 ext_op_read(op, page_read));
}

/* Of those of the page that were not looked at. */
static void next_account(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    bool full = values->count == values->limit;
    while (!full && values->at < values->page.len) {
        str rest = str_sub(buf_str(&values->page), values->at, values->page.len), name = str_cut(&rest, '\n');
        values->at += name.len + 1;
        if (!is_of(op->host, name))
            continue;
        if (values->figure == DISABLED) {
            store_get(ext_op_store(op), op->shard->loop, name, STR("account"), STR(""),
                      ext_op_read(op, looked_at));
            return;
        }
        full = !add(values, name);
    }
    if (full || !values->more)
        finish(op, event, true);
    else
        next_page(op);
}

/* ---- Sessions
 * ------------------------------------------------------------------------------------------------------ */

static bool is_looked_at(const struct user *user)
{
    list_each (at, &user->sessions)
        if (!client_state_is_inactive(SESSION_OF(at)))
            return true;
    return false;
}

static bool counts(const struct user *user, enum figure figure)
{
    if (list_empty(&user->sessions))
        return false;
    return figure == ONLINE || is_looked_at(user) == (figure == ACTIVE);
}

static void visit(struct shard *shard, struct tour *tour)
{
    struct values *values = CONTAINER_OF(tour, struct values, tour);
    struct map_walk walk = { 0 };
    struct map_node *node;
    while ((node = map_next(&shard->actors, &walk))) {
        struct user *user = user_awake(shard, actor_key(node));
        if (user && user->actor.host == values->op->host && counts(user, values->figure) &&
            !add(values, user_bare(user)))
            return;
    }
}

static void visited(struct tour *tour)
{
    ext_op_resume(CONTAINER_OF(tour, struct values, tour)->op);
}

static void toured(struct ext_op *op, struct iq_event *event)
{
    finish(op, event, true);
}

/* ---- The tables
 * ---------------------------------------------------------------------------------------------------- */

/* Which of them it is, is in the command's node. */
static void run(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    const char *node = adhoc_command(op)->node;
    (void)event;
    values->op = op;
    while (strcmp(node, fields[values->figure].number_node) && strcmp(node, fields[values->figure].list_node))
        values->figure++;
    values->lists = !strcmp(node, fields[values->figure].list_node);
    values->limit = values->lists ? limits[values->most] : UINT64_MAX;
    buf_init(&values->names, NAMES_MAX);
    buf_init(&values->page, NAMES_MAX);
    if (values->figure == REGISTERED || values->figure == DISABLED) {
        next_page(op);
        return;
    }
    values->tour = (struct tour){ .home = op->shard, .visit = visit, .done = visited };
    ext_op_wait(op, toured);
    tour_start(&values->tour);
}

#define NUMBER(id, title_text)                                                                               \
    {                                                                                                        \
        .node = NUMBER_NODE(id), .name = title_text, .who = ADHOC_ADMINS, .size = sizeof(struct values),     \
        .run = run                                                                                           \
    }
#define LIST(id, title_text)                                                                                 \
    {                                                                                                        \
        .node = LIST_NODE(id), .name = title_text, .who = ADHOC_ADMINS, .size = sizeof(struct values),       \
        .forms = list_forms, .run = run                                                                      \
    }

static const struct adhoc_command commands[] = {
    NUMBER("registered", "Get Number of Registered Users"),
    NUMBER("disabled", "Get Number of Disabled Users"),
    NUMBER("online", "Get Number of Online Users"),
    NUMBER("active", "Get Number of Active Users"),
    NUMBER("idle", "Get Number of Idle Users"),
    LIST("registered", "Get List of Registered Users"),
    LIST("disabled", "Get List of Disabled Users"),
    LIST("online", "Get List of Online Users"),
    LIST("active", "Get List of Active Users"),
    LIST("idle", "Get List of Idle Users"),
    { 0 },
};

static struct ext_slot slot;
extern const struct ext ext_figures;
const struct ext ext_figures = {
    .slot = &slot,
    .name = "figures",
    .title = "Service Administration: numbers and lists of users",
    .xep = { 133, "1.3.1", .partial = true },
    .adhoc = commands,
};
