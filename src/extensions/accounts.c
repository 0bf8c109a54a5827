/* SPDX-License-Identifier: MIT */
/* XEP-0133 1.3.1, what concerns single accounts: add, delete, disable and re-enable them, end their sessions,
 * change a password, look at a roster, at the last login and at what a user does now. Each is a command
 * (adhoc.h) for the administrators of the host; the work on accounts is that of account.h.
 *
 * A password is never shown (§4.6 was retracted; none is kept). Names and e-mail addresses of people are not
 * asked for, but for the e-mail address that registration keeps too. A command for several accounts works
 * through them one by one and says at the end which of them it could not serve; what was done stays done.
 *
 * Last logins: a row `login` of the account holds the time of the newest, written at most once an hour.
 * Figures of the whole host: figures.c. Announcements, shutdown: announce.c. Sections are of XEP-0133. */
#include "extensions/adhoc.h"

#include "server/account.h"
#include "server/user/user_call.h"
#include "xml/write.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

#define NS_ADMIN "http://jabber.org/protocol/admin"

enum { RESULT_MAX = 1 << 20, LOGIN_EVERY_MS = 3600 * 1000, EMAIL_MAX = 320 };

extern const struct ext ext_accounts;
static struct ext_slot slot;

/* What the forms fill, and what the work needs beside. */
struct values {
    struct jid account;
    struct form_jids accounts;
    str password, verify, email;
    size_t at; /* of `accounts` */
    unsigned done;
    struct buf missed; /* those that could not be served, with why */
    struct buf result;
    struct account_job job;
    struct user_call call;
    struct ext_op *op;
};

/* ---- Forms
 * ---------------------------------------------------------------------------------------------------------
 */

#define ONE(text)                                                                                            \
    {                                                                                                        \
        "accountjid", FIELD_JID_SINGLE, text, FORM_JID(struct values, account), .required = true             \
    }
#define MANY(text)                                                                                           \
    {                                                                                                        \
        "accountjids", FIELD_JID_MULTI, text, FORM_JIDS(struct values, accounts), .required = true           \
    }
#define TABLE(name, rows, title_text, help)                                                                  \
    static const struct form_table name = { NS_ADMIN, FORM_ROWS(rows), .title = title_text,                  \
                                            .instructions = help };                                          \
    static const struct form_table *const name##_forms[] = { &name, NULL }

static const struct form_row add_rows[] = {
    ONE("The Jabber ID for the account to be added"),
    { "password", FIELD_TEXT_PRIVATE, "The password for this account", FORM_TEXT(struct values, password),
      .required = true },
    { "password-verify", FIELD_TEXT_PRIVATE, "Retype password", FORM_TEXT(struct values, verify) },
    { "email", FIELD_TEXT_SINGLE, "Email address", FORM_TEXT(struct values, email) },
};
TABLE(add, add_rows, "Adding a User", "Fill out this form to add a user.");

static const struct form_row delete_rows[] = { MANY("The Jabber ID(s) to delete") };
TABLE(delete, delete_rows, "Deleting a User", "Fill out this form to delete a user.");

static const struct form_row disable_rows[] = { MANY("The Jabber ID(s) to disable") };
TABLE(disable, disable_rows, "Disabling a User", "Fill out this form to disable a user.");

static const struct form_row enable_rows[] = { MANY("The Jabber ID(s) to re-enable") };
TABLE(enable, enable_rows, "Re-Enabling a User", "Fill out this form to re-enable a user.");

static const struct form_row end_rows[] = { MANY("The Jabber ID(s) for which to end sessions") };
TABLE(end, end_rows, "Ending a User Session", "Fill out this form to end a user's session.");

static const struct form_row password_rows[] = {
    ONE("The Jabber ID for this account"),
    { "password", FIELD_TEXT_PRIVATE, "The password for this account", FORM_TEXT(struct values, password),
      .required = true },
};
TABLE(password, password_rows, "Changing a User Password", "Fill out this form to change a user's password.");

static const struct form_row roster_rows[] = { MANY("The Jabber ID(s) for which to retrieve the roster") };
TABLE(roster, roster_rows, "Getting a User's Roster", "Fill out this form to get a user's roster.");

static const struct form_row login_rows[] = { MANY(
    "The Jabber ID(s) for which to retrieve the last login time") };
TABLE(login, login_rows, "Getting User's Last Login Time",
      "Fill out this form to get a user's last login time.");

static const struct form_row stats_rows[] = { ONE("The Jabber ID for statistics") };
TABLE(stats, stats_rows, "Getting User Statistics", "Fill out this form to gather user statistics.");

/* ---- One account
 * --------------------------------------------------------------------------------------------------- */

static bool is_ours(const struct host *host, const struct jid *jid)
{
    return jid->local_len && jid_is_bare(jid) && str_eq(jid_domain(jid), str_from(host->name));
}

static void job_done(struct account_job *job)
{
    ext_op_resume(CONTAINER_OF(job, struct values, job)->op);
}

static void start_job(struct ext_op *op, const struct jid *jid, enum account_task task, ext_step *then)
{
    struct values *values = adhoc_values(op);
    struct account_job *job = &values->job;
    values->op = op;
    job->shard = op->shard;
    job->host = op->host;
    job->jid = *jid;
    job->done = job_done;
    ext_op_wait(op, then);
    account_start(job, task);
}

static void one_done(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    switch (values->job.err) {
    case OK:
        adhoc_done(event, op, NULL);
        return;
    case ERR_EXISTS:
        ext_error(event, STANZA_ERROR_CONFLICT, "the account exists already");
        return;
    case ERR_NOT_FOUND:
        ext_error(event, STANZA_ERROR_ITEM_NOT_FOUND, "there is no such account");
        return;
    default:
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "the change could not be stored");
    }
}

/* Its form is good: an account of this host, and a password that can be one. */
static bool ready_for_password(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (!is_ours(op->host, &values->account)) {
        adhoc_refuse(event, "accountjid must be the address of an account of this host");
        return false;
    }
    if (jid_prepare_password(values->password, &event->shard->arena, &values->job.password) != OK ||
        !values->job.password.len) {
        adhoc_refuse(event, "password is empty or has characters that are not allowed in one");
        return false;
    }
    return true;
}

static void run_add(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (values->verify.len && !str_eq(values->verify, values->password)) {
        adhoc_refuse(event, "the passwords differ");
        return;
    }
    if (values->email.len > EMAIL_MAX) {
        adhoc_refuse(event, "email is too long");
        return;
    }
    if (!ready_for_password(op, event))
        return;
    if (values->email.len) {
        values->job.rows = store_batch_new();
        store_put(values->job.rows, values->account.full, STR("account"), STR("email"), values->email);
    }
    start_job(op, &values->account, ACCOUNT_MAKE, one_done);
}

static void run_password(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (!ready_for_password(op, event))
        return;
    values->job.end_sessions = true;
    start_job(op, &values->account, ACCOUNT_PASSWORD, one_done);
}

/* ---- Several accounts
 * ---------------------------------------------------------------------------------------------- */

static void miss(struct values *values, const struct jid *jid, const char *why)
{
    if (!values->missed.len)
        buf_init(&values->missed, RESULT_MAX);
    buf_addf(&values->missed, "%s%.*s: %s", values->missed.len ? "; " : "", STR_ARGS(jid->full), why);
}

/* All have had their turn. */
static void sum_up(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (values->missed.len) {
        str text = arena_str(&event->shard->arena, buf_str(&values->missed));
        buf_fini(&values->missed);
        adhoc_failed(event, op, text.p);
    } else {
        adhoc_done(event, op, NULL);
    }
}

static enum account_task task_of(const struct ext_op *op)
{
    const char *node = adhoc_command(op)->node;
    return !strcmp(node, NS_ADMIN "#delete-user")    ? ACCOUNT_REMOVE
           : !strcmp(node, NS_ADMIN "#disable-user") ? ACCOUNT_DISABLE
                                                     : ACCOUNT_ENABLE;
}

static void next_job(struct ext_op *op, struct iq_event *event);

static void job_counted(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (values->job.err != OK)
        miss(values, &values->accounts.list[values->at],
             values->job.err == ERR_NOT_FOUND ? "no such account" : err_text(values->job.err));
    values->at++;
    next_job(op, event);
}

static void next_job(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    for (; values->at < values->accounts.count; values->at++) {
        const struct jid *jid = &values->accounts.list[values->at];
        if (is_ours(op->host, jid)) {
            start_job(op, jid, task_of(op), job_counted);
            return;
        }
        miss(values, jid, "not an account of this host");
    }
    sum_up(op, event);
}

/* ---- Calls to users
 * ------------------------------------------------------------------------------------------------ */

static void call_done(struct user_call *call)
{
    ext_op_resume(CONTAINER_OF(call, struct values, call)->op);
}

static void start_call(struct ext_op *op, const struct jid *jid,
                       void (*run)(struct shard *, struct user *, struct user_call *), ext_step *then)
{
    struct values *values = adhoc_values(op);
    values->op = op;
    values->call = (struct user_call){
        .shard = op->shard, .host = op->host, .jid = *jid, .run = run, .done = call_done
    };
    ext_op_wait(op, then);
    user_call_start(&values->call);
}

static const char *call_failed(const struct values *values)
{
    return values->call.err == ERR_NOT_FOUND ? "no such account" : err_text(values->call.err);
}

static void next_end(struct ext_op *op, struct iq_event *event);

static void end_at_home(struct shard *shard, struct user *user, struct user_call *call)
{
    struct values *values = CONTAINER_OF(call, struct values, call);
    (void)shard;
    if (user)
        values->done += (unsigned)user_kick(user, jid_resource(&values->accounts.list[values->at]),
                                            STREAM_ERROR_POLICY_VIOLATION, "closed by the administrator");
}

static void ended(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (values->call.err != OK)
        miss(values, &values->accounts.list[values->at], call_failed(values));
    values->at++;
    next_end(op, event);
}

/* §4.5: all sessions of a bare JID, one of a full JID. */
static void next_end(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    for (; values->at < values->accounts.count; values->at++) {
        const struct jid *jid = &values->accounts.list[values->at];
        struct jid bare = jid_to_bare(jid);
        if (is_ours(op->host, &bare)) {
            start_call(op, jid, end_at_home, ended);
            return;
        }
        miss(values, jid, "not an account of this host");
    }
    sum_up(op, event);
}

/* Begins the form of a result, with the accounts that were asked for. */
static void open_result(struct values *values)
{
    struct buf *out = &values->result;
    buf_init(out, RESULT_MAX);
    form_open(out, FORM_RESULT);
    form_ns(out, NS_ADMIN);
}

static void name_accounts(struct values *values)
{
    struct buf *out = &values->result;
    form_field_open(out, "accountjids", FIELD_JID_MULTI, true, NULL);
    for (size_t i = 0; i < values->accounts.count; i++)
        form_value(out, values->accounts.list[i].full);
    form_field_close(out);
}

static void close_result(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    form_close(&values->result);
    adhoc_done(event, op, &values->result);
    buf_fini(&values->result);
}

/* Of a command that shows one account (the first of the list). */
static bool shows_one(struct ext_op *op, struct iq_event *event)
{
    const struct values *values = adhoc_values(op);
    if (values->accounts.count == 1 && is_ours(op->host, &values->accounts.list[0]))
        return true;
    adhoc_refuse(event, "accountjids must be the address of one account of this host");
    return false;
}

/* Whether the user was had; else says why not. */
static bool was_had(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (values->call.err == OK)
        return true;
    buf_fini(&values->result);
    ext_error(event,
              values->call.err == ERR_NOT_FOUND ? STANZA_ERROR_ITEM_NOT_FOUND
                                                : STANZA_ERROR_RESOURCE_CONSTRAINT,
              call_failed(values));
    return false;
}

static void roster_at_home(struct shard *shard, struct user *user, struct user_call *call)
{
    struct values *values = CONTAINER_OF(call, struct values, call);
    struct buf *out = &values->result;
    (void)shard;
    if (!user)
        return;
    buf_lit(out, "<query xmlns='" NS_ROSTER "'>");
    for (uint32_t i = 0; i < user->roster.count; i++)
        if (user->roster.items[i]->flags & ROSTER_LISTED)
            roster_item_write(out, user->roster.items[i]);
    buf_lit(out, "</query>");
}

static void shown(struct ext_op *op, struct iq_event *event)
{
    if (was_had(op, event))
        close_result(op, event);
}

static void run_roster(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (!shows_one(op, event))
        return;
    open_result(values);
    name_accounts(values);
    start_call(op, &values->accounts.list[0], roster_at_home, shown);
}

/* ---- Statistics (§4.9)
 * --------------------------------------------------------------------------------------------- */

static void stats_at_home(struct shard *shard, struct user *user, struct user_call *call)
{
    struct values *values = CONTAINER_OF(call, struct values, call);
    struct buf *out = &values->result;
    if (!user)
        return;
    form_field_open(out, "ipaddresses", FIELD_TEXT_MULTI, true, "The IP addresses of the user's sessions");
    list_each (at, &user->sessions) {
        struct link *link = SESSION_OF(at)->link;
        str about = link ? link->ops->describe(link, &shard->arena) : str_none;
        if (link)
            form_value(out, str_cut(&about, ' '));
    }
    form_field_close(out);
    form_field_open(out, "rostersize", FIELD_TEXT_SINGLE, true, "The number of items in the roster");
    form_value(out, arena_printf(&shard->arena, "%u", user->roster.listed));
    form_field_close(out);
    form_field_open(out, "onlineresources", FIELD_TEXT_MULTI, true, "The resources that are online");
    list_each (at, &user->sessions)
        form_value(out, session_resource(SESSION_OF(at)));
    form_field_close(out);
}

static void run_stats(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (!is_ours(op->host, &values->account)) {
        adhoc_refuse(event, "accountjid must be the address of an account of this host");
        return;
    }
    open_result(values);
    form_add(&values->result, "accountjid", FIELD_JID_SINGLE, NULL, values->account.full);
    start_call(op, &values->account, stats_at_home, shown);
}

/* ---- Last logins (§4.8)
 * -------------------------------------------------------------------------------------------- */

/* What is kept with a user. */
struct login {
    int64_t written_ms;
};

static void load_row(struct user *user, const struct store_row *row)
{
    struct login *mine = ext_user(user, &slot);
    uint64_t ms;
    if (!row->key.len && str_to_u64(row->value, INT64_MAX, &ms))
        mine->written_ms = (int64_t)ms;
}

static void login_written(struct store_commit *commit)
{
    free(commit);
}

/* Nobody waits for it; if the disk refuses, the next login writes it. */
static enum hook_ret bound(struct host *host, struct session_event *event)
{
    struct user *user = event->user;
    struct login *mine = ext_user(user, &slot);
    struct shard *shard = user->actor.shard;
    int64_t now = loop_wall_ms(shard->loop);
    (void)host;
    if (user->anonymous || (mine->written_ms && now - mine->written_ms < LOGIN_EVERY_MS))
        return HOOK_NEXT;
    mine->written_ms = now;
    struct store_batch *batch = store_batch_new();
    struct store_commit *commit = NEW(struct store_commit);
    store_put(batch, user_bare(user), STR("login"), STR(""),
              arena_printf(&shard->arena, "%lld", (long long)now));
    commit->done = login_written;
    store_commit(shard->server->store, shard->loop, batch, commit);
    return HOOK_NEXT;
}

static void login_at_home(struct shard *shard, struct user *user, struct user_call *call)
{
    struct values *values = CONTAINER_OF(call, struct values, call);
    if (!user)
        return;
    const struct login *mine = ext_user(user, &slot);
    int64_t ms = mine->written_ms;
    list_each (at, &user->sessions) /* bound_us is on the loop's clock */
        ms =
            loop_wall_ms(shard->loop) - (int64_t)(loop_now_us(shard->loop) - SESSION_OF(at)->bound_us) / 1000;
    if (ms)
        form_add(&values->result, "lastlogin", FIELD_TEXT_SINGLE, "Last login time",
                 str_from(stamp_seconds(ms, &shard->arena)));
}

static void run_login(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    if (!shows_one(op, event))
        return;
    open_result(values);
    name_accounts(values);
    start_call(op, &values->accounts.list[0], login_at_home, shown);
}

/* ---- The tables
 * ---------------------------------------------------------------------------------------------------- */

#define COMMAND(id, title_text, table, step)                                                                 \
    {                                                                                                        \
        .node = NS_ADMIN "#" id, .name = title_text, .who = ADHOC_ADMINS, .size = sizeof(struct values),     \
        .forms = table##_forms, .run = step                                                                  \
    }

static const struct adhoc_command commands[] = {
    COMMAND("add-user", "Add User", add, run_add),
    COMMAND("delete-user", "Delete User", delete, next_job),
    COMMAND("disable-user", "Disable User", disable, next_job),
    COMMAND("reenable-user", "Re-Enable User", enable, next_job),
    COMMAND("end-user-session", "End User Session", end, next_end),
    COMMAND("change-user-password", "Change User Password", password, run_password),
    COMMAND("get-user-roster", "Get User Roster", roster, run_roster),
    COMMAND("get-user-lastlogin", "Get User Last Login Time", login, run_login),
    COMMAND("user-stats", "Get User Statistics", stats, run_stats),
    { 0 },
};

static const struct ext_hook hooks[] = { HOOK(session_bound, PHASE_OBSERVE, bound), { 0 } };

const struct ext ext_accounts = {
    .slot = &slot,
    .name = "accounts",
    .title = "Service Administration: accounts",
    .xep = { 133, "1.3.1", .partial = true },
    .adhoc = commands,
    .hooks = hooks,
    .user_size = sizeof(struct login),
    .user_rows = "login",
    .load_row = load_row,
};
