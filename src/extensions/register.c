/* SPDX-License-Identifier: MIT */
/* XEP-0077 2.4: accounts made in the band (before a login), changed passwords, and accounts that are given
 * up (after it). The work on accounts is account.h's.
 *
 * Who is new is let in when the host is open, or with an invitation (invite.c, XEP-0445), never else; so many
 * times for one network in a while, and with so many tries at names that the pool of threads has other things
 * to do as well. A name may be reserved by the configuration, or for somebody who was invited under it. What
 * the password is to be is checked here, before it costs anything.
 *
 * A form (XEP-0004) stands beside the old fields and either may be submitted. No submission is ever quoted in
 * an error or a log: there are passwords in it. Sections in comments are of XEP-0077. */
#include "extensions/invite.h"

#include "base/log.h"
#include "server/account.h"
#include "server/limiter.h"
#include "xml/write.h"
#include "xmpp/form_table.h"

#include <stdlib.h>

#define NS_REGISTER "jabber:iq:register"

enum { XML_MAX = 64 * 1024, EMAIL_MAX = 320, PASSWORD_MAX = 1023, TRIES_PER_ACCOUNT = 10, OLD_TRIES = 5 };

enum email_rule { EMAIL_OFF, EMAIL_OPTIONAL, EMAIL_REQUIRED };

extern const struct ext ext_register;
static struct ext_slot slot;

struct settings {
    bool open, change_password, cancel, ask_old_password, end_sessions;
    uint32_t per_network, password_length;
    uint64_t period_ms;
    enum email_rule email;
    struct config_list reserved;
    const char *instructions;
};

/* What is submitted, by fields or by a form. */
struct wish {
    str username, password, old_password, email;
};

static const struct settings *settings_of(const struct host *host)
{
    return ext_settings(host, &slot);
}

static bool take(struct shard *shard, const char *what, str who, uint64_t window_ms, uint32_t limit)
{
    struct limiter *limiter = ext_shard(shard->server->shards[0], &slot); /* one for all */
    str key = arena_printf(&shard->arena, "%s %.*s", what, STR_ARGS(who));
    return limiter_take(limiter, key, loop_now_us(shard->loop) / 1000, window_ms, limit);
}

/* ---- What is submitted
 * --------------------------------------------------------------------------------------------- */

#define USERNAME(type)                                                                                       \
    {                                                                                                        \
        "username", FIELD_TEXT_SINGLE, "Username", FORM_TEXT(struct wish, username), .required = type        \
    }
#define PASSWORD(text)                                                                                       \
    {                                                                                                        \
        "password", FIELD_TEXT_PRIVATE, text, FORM_TEXT(struct wish, password), .required = true             \
    }
#define OLD_PASSWORD                                                                                         \
    {                                                                                                        \
        "old_password", FIELD_TEXT_PRIVATE, "Old password", FORM_TEXT(struct wish, old_password),            \
            .required = true                                                                                 \
    }
#define EMAIL(must)                                                                                          \
    {                                                                                                        \
        "email", FIELD_TEXT_SINGLE, "Email address", FORM_TEXT(struct wish, email), .required = must         \
    }

/* By enum email_rule. */
static const struct form_row new_rows[] = { USERNAME(true), PASSWORD("Password") };
static const struct form_row new_rows_optional[] = { USERNAME(true), PASSWORD("Password"), EMAIL(false) };
static const struct form_row new_rows_required[] = { USERNAME(true), PASSWORD("Password"), EMAIL(true) };
static const struct form_table new_forms[] = {
    { NS_REGISTER, FORM_ROWS(new_rows), .title = "Registration" },
    { NS_REGISTER, FORM_ROWS(new_rows_optional), .title = "Registration" },
    { NS_REGISTER, FORM_ROWS(new_rows_required), .title = "Registration" },
};
static const struct form_row change_rows[] = { USERNAME(true), OLD_PASSWORD, PASSWORD("New password") };
static const struct form_table change_form = { NS_REGISTER ":changepassword", FORM_ROWS(change_rows),
                                               .title = "Password Change",
                                               .instructions = "Use this form to change your password." };

static str field(const struct xml_node *query, const char *name, struct arena *arena)
{
    str text = xml_child_text(query, str_from(name), STR(NS_REGISTER), arena);
    return text.p ? text : STR("");
}

/* The form if there is one, else the fields. False: a form that is none of these. */
static bool read_wish(const struct xml_node *query, const struct form_table *table, struct arena *arena,
                      struct wish *ret)
{
    struct form *form = ARENA_NEW(arena, struct form);
    enum err err = form_read_child(query, arena, form);
    *ret = (struct wish){ 0 };
    if (err == OK)
        return form_apply(table, form, ret);
    if (err != ERR_NOT_FOUND)
        return false;
    ret->username = field(query, "username", arena);
    ret->password = field(query, "password", arena);
    ret->email = field(query, "email", arena);
    return true;
}

static size_t characters(str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (text.p[i] & 0xc0) != 0x80;
    return count;
}

/* The one place that says which passwords may be. NULL: this one may. */
static const char *password_fault(const struct settings *settings, str password, struct arena *arena,
                                  str *ret_prepared)
{
    if (!password.len || password.len > PASSWORD_MAX ||
        jid_prepare_password(password, arena, ret_prepared) != OK)
        return "the password is empty or has characters that are not allowed in one";
    if (characters(*ret_prepared) < settings->password_length)
        return "the password is too short";
    return NULL;
}

/* ---- Before a login (§3.1)
 * ------------------------------------------------------------------------------------------ */

/* What is being registered, while the store and the pool have it. */
struct signup {
    struct newcomer *newcomer;
    struct stanza *iq;
    struct jid jid; /* in the arena, as all texts here */
    str password, email;
    struct arena arena;
    struct store_read read;
    struct invite invite;
    bool invited;
    struct account_job job;
};

static void signup_end(struct signup *signup, enum stanza_error error, const char *text)
{
    struct newcomer *newcomer = signup->newcomer;
    if (error)
        newcomer_error(newcomer, signup->iq, error, text);
    else
        newcomer_result(newcomer, signup->iq, str_of("", 0));
    newcomer_go_on(newcomer);
    mem_wipe((char *)signup->password.p, signup->password.len);
    mem_wipe(signup->iq, stanza_copy_size(signup->iq));
    free(signup->iq);
    arena_fini(&signup->arena);
    free(signup);
}

static void signed_up(struct account_job *job)
{
    struct signup *signup = CONTAINER_OF(job, struct signup, job);
    struct newcomer *newcomer = signup->newcomer;
    switch (job->err) {
    case OK:
        newcomer->made++;
        log_info(auth, "%.*s was registered from %s%s", STR_ARGS(signup->jid.full), newcomer->address,
                 signup->invited ? " by invitation" : "");
        if (signup->invited)
            invite_befriend(newcomer->shard, newcomer->host, &signup->jid, &signup->invite);
        signup_end(signup, STANZA_ERROR_NONE, NULL);
        return;
    case ERR_EXISTS: /* since we looked: the name, or the invitation, was taken */
        signup_end(signup, STANZA_ERROR_CONFLICT, NULL);
        return;
    default:
        signup_end(signup, STANZA_ERROR_RESOURCE_CONSTRAINT, "the account could not be stored");
    }
}

static void make_account(struct signup *signup)
{
    struct newcomer *newcomer = signup->newcomer;
    struct shard *shard = newcomer->shard;
    const struct settings *settings = settings_of(newcomer->host);
    str network = newcomer_network(newcomer->address, &shard->arena);
    if (!take(shard, "made", network, settings->period_ms, settings->per_network)) {
        signup_end(signup, STANZA_ERROR_NOT_ACCEPTABLE, "too many accounts were made from here lately");
        return;
    }
    struct store_batch *rows = store_batch_new();
    str owner = jid_bare(&signup->jid);
    if (signup->email.len)
        store_put(rows, owner, STR("account"), STR("email"), signup->email);
    store_del_all(rows, owner, STR("reserved"));
    if (signup->invited)
        invite_use(rows, newcomer->host, &signup->invite);
    signup->job = (struct account_job){ .shard = shard,
                                        .host = newcomer->host,
                                        .jid = signup->jid,
                                        .password = signup->password,
                                        .rows = rows,
                                        .done = signed_up };
    account_start(&signup->job, ACCOUNT_MAKE);
}

/* The invitation as the store has it. When it expires was looked at when it was shown, and not again
 * (XEP-0445 §4); but it may have been used meanwhile. */
static void invitation_read(struct store_read *read)
{
    struct signup *signup = CONTAINER_OF(read, struct signup, read);
    struct shard *shard = signup->newcomer->shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    enum err err = read->err;
    signup->invited = err == OK && read->count == 1 &&
                      invite_read(read->rows[0].key, read->rows[0].value, &signup->arena, &signup->invite);
    store_read_fini(read);
    str name = signup->invited ? signup->invite.name : str_none;
    if (err != OK)
        signup_end(signup, STANZA_ERROR_RESOURCE_CONSTRAINT, "try again later");
    else if (!signup->invited)
        signup_end(signup, STANZA_ERROR_FORBIDDEN, "the invitation was used already");
    else if (name.len && !str_eq(name, jid_local(&signup->jid)))
        signup_end(signup, STANZA_ERROR_NOT_ACCEPTABLE, "the invitation is for another name");
    else
        make_account(signup);
    shard_leave(shard);
}

static void read_invitation(struct signup *signup)
{
    struct shard *shard = signup->newcomer->shard;
    shard_commit_began(shard);
    signup->read = (struct store_read){ .done = invitation_read };
    store_get(shard->server->store, shard->loop, str_from(signup->newcomer->host->name), STR("invite"),
              str_from(signup->newcomer->token), &signup->read);
}

/* Whether the name is free: no account, and not kept for somebody else's invitation (XEP-0401 §8.2). */
static void name_read(struct store_read *read)
{
    struct signup *signup = CONTAINER_OF(read, struct signup, read);
    struct newcomer *newcomer = signup->newcomer;
    struct shard *shard = newcomer->shard;
    int64_t now = loop_wall_ms(shard->loop);
    bool taken = false;
    shard_enter(shard);
    shard_commit_ended(shard);
    enum err err = read->err;
    for (size_t i = 0; err == OK && i < read->count; i++) {
        const struct store_row *row = &read->rows[i];
        bool mine = newcomer->token && str_eq(row->value, str_from(newcomer->token));
        if (str_is(row->kind, "account"))
            taken = taken || !row->key.len;
        else
            taken = taken || (!mine && invite_expiry(row->value) > now);
    }
    store_read_fini(read);
    if (err != OK)
        signup_end(signup, STANZA_ERROR_RESOURCE_CONSTRAINT, "try again later");
    else if (taken)
        signup_end(signup, STANZA_ERROR_CONFLICT, NULL);
    else if (newcomer->token)
        read_invitation(signup);
    else
        make_account(signup);
    shard_leave(shard);
}

static void begin_signup(struct newcomer_event *event, const struct jid *jid, str password, str email)
{
    struct shard *shard = event->shard;
    struct signup *signup = NEW(struct signup);
    arena_init(&signup->arena, 1024);
    signup->newcomer = event->newcomer;
    signup->iq = stanza_copy(event->iq);
    signup->jid = jid_copy(jid, &signup->arena);
    signup->password = arena_str(&signup->arena, password);
    signup->email = arena_str(&signup->arena, email);
    newcomer_wait(event->newcomer);
    shard_commit_began(shard);
    signup->read.done = name_read;
    store_get_all(shard->server->store, shard->loop, signup->jid.full, STR("account,reserved"),
                  &signup->read);
}

static bool is_reserved(const struct settings *settings, str name)
{
    for (size_t i = 0; i < settings->reserved.count; i++)
        if (str_eq_nocase(str_from(settings->reserved.items[i]), name))
            return true;
    return false;
}

static const char *email_fault(const struct settings *settings, str email)
{
    size_t at = str_find(email, '@');
    if (!email.len)
        return settings->email == EMAIL_REQUIRED ? "an e-mail address is required" : NULL;
    return email.len > EMAIL_MAX || !at || at + 1 >= email.len ? "that is no e-mail address" : NULL;
}

/* §3.1: all that can be said without the store. */
static void sign_up(struct newcomer_event *event)
{
    struct newcomer *newcomer = event->newcomer;
    const struct settings *settings = settings_of(newcomer->host);
    struct arena *arena = &event->shard->arena;
    str network = newcomer_network(newcomer->address, arena), name, password;
    struct wish wish;
    const char *fault = NULL;
    if (!read_wish(&event->child, &new_forms[settings->email], arena, &wish) || !wish.username.len)
        fault = "a name and a password are required";
    else if (jid_prepare_local(wish.username, arena, &name) != OK || is_reserved(settings, name))
        fault = "this name can't be registered";
    else
        fault = password_fault(settings, wish.password, arena, &password);
    if (!fault)
        fault = email_fault(settings, wish.email);
    if (!fault && newcomer->made)
        fault = "one account has been registered on this stream";
    uint32_t tries = settings->per_network * TRIES_PER_ACCOUNT;
    if (!fault && !take(event->shard, "tries", network, settings->period_ms, tries))
        fault = "too many names were tried from here lately";
    if (fault) {
        newcomer_error(newcomer, event->iq, STANZA_ERROR_NOT_ACCEPTABLE, fault);
        return;
    }
    struct jid jid = jid_make(name, str_from(newcomer->host->name), STR(""), arena);
    begin_signup(event, &jid, password, settings->email == EMAIL_OFF ? STR("") : wish.email);
}

static void write_fields(struct buf *out, const struct settings *settings, const char *registered_as)
{
    buf_lit(out, "<query xmlns='" NS_REGISTER "'>");
    if (*settings->instructions)
        xml_write_element(out, "instructions", str_none, str_from(settings->instructions));
    if (registered_as)
        buf_lit(out, "<registered/>");
    if (registered_as)
        xml_write_element(out, "username", str_none, str_from(registered_as));
    else
        buf_lit(out, "<username/>");
    buf_lit(out, "<password/>");
    if (settings->email != EMAIL_OFF && !registered_as)
        buf_lit(out, "<email/>");
    if (!registered_as)
        form_write(out, &new_forms[settings->email], FORM_ASKS, NULL);
    buf_lit(out, "</query>");
}

static enum hook_ret newcomer_request(struct host *host, struct newcomer_event *event)
{
    const struct settings *settings = settings_of(host);
    if (!xml_is(&event->child, STR("query"), STR(NS_REGISTER)))
        return HOOK_NEXT;
    if (!settings->open && !event->newcomer->token) {
        newcomer_error(event->newcomer, event->iq, STANZA_ERROR_SERVICE_UNAVAILABLE,
                       "accounts are made by the administrators, or by invitation");
    } else if (event->iq->type == TYPE_GET) {
        struct buf out;
        buf_init(&out, XML_MAX);
        write_fields(&out, settings, NULL);
        newcomer_result(event->newcomer, event->iq, buf_str(&out));
        buf_fini(&out);
    } else {
        struct xml_node first;
        if (xml_child(&event->child, STR("remove"), STR(NS_REGISTER), &first)) /* §3.2 */
            newcomer_error(event->newcomer, event->iq, STANZA_ERROR_UNEXPECTED_REQUEST, NULL);
        else
            sign_up(event);
    }
    return HOOK_DONE;
}

static void early_features(struct host *host, struct buf *out)
{
    if (settings_of(host)->open || invite_registers(host))
        buf_lit(out, "<register xmlns='http://jabber.org/features/iq-register'/>");
}

/* ---- After a login
 * ------------------------------------------------------------------------------------------------ */

struct change {
    struct ext_op op;
    struct account_job job;
    struct stanza *iq;
    char *password, *old_password; /* what is wished; what has to be the old one */
    struct scram_keys keys, tried;
    struct work work;
};

static void wipe_text(char *text)
{
    if (text)
        mem_wipe(text, strlen(text));
    free(text);
}

static void change_fini(struct ext_op *op)
{
    struct change *change = CONTAINER_OF(op, struct change, op);
    wipe_text(change->password);
    wipe_text(change->old_password);
    mem_wipe(&change->keys, sizeof change->keys);
    mem_wipe(&change->tried, sizeof change->tried);
    free(change->iq);
}

/* The user does not stay awake for it: it may be going away. */
static struct change *change_new(const struct iq_event *event)
{
    struct iq_event alone = *event;
    alone.user = NULL;
    alone.actor = NULL;
    alone.session = NULL;
    struct change *change = ext_op_new(&alone, sizeof *change);
    change->op.fini = change_fini;
    change->iq = stanza_copy(event->iq);
    return change;
}

static void job_done(struct account_job *job)
{
    ext_op_resume(&CONTAINER_OF(job, struct change, job)->op);
}

static void start_job(struct change *change, enum account_task task, ext_step *then)
{
    struct account_job *job = &change->job;
    struct jid own = jid_to_bare(&change->iq->from);
    job->shard = change->op.shard;
    job->host = change->op.host;
    job->jid = own;
    job->done = job_done;
    ext_op_wait(&change->op, then);
    account_start(job, task);
}

/* §3.2: the answer goes out before the sessions end. */
static void gone(struct shard *shard, struct account_job *job)
{
    struct change *change = CONTAINER_OF(job, struct change, job);
    route_result(shard, stanza_copy_arena(change->iq, &shard->arena), str_of("", 0));
}

static void removed(struct ext_op *op, struct iq_event *event)
{
    struct change *change = CONTAINER_OF(op, struct change, op);
    if (change->job.err == ERR_NOT_FOUND)
        ext_error(event, STANZA_ERROR_REGISTRATION_REQUIRED, NULL);
    else if (change->job.err != OK)
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "the change could not be stored");
    else
        log_info(auth, "%.*s was given up by its owner", STR_ARGS(jid_bare(&event->iq->from)));
}

static void step_remove(struct ext_op *op, struct iq_event *event)
{
    struct change *change = CONTAINER_OF(op, struct change, op);
    (void)event;
    change->job.gone = gone;
    start_job(change, ACCOUNT_REMOVE, removed);
}

static void remove_account(struct iq_event *event)
{
    struct xml_node only;
    xml_first(&event->child, &only);
    if (!settings_of(event->host)->cancel)
        ext_error(event, STANZA_ERROR_NOT_ALLOWED, NULL);
    else if (!xml_is(&only, STR("remove"), STR(NS_REGISTER)) || xml_next(&only))
        ext_error(event, STANZA_ERROR_BAD_REQUEST, NULL);
    else
        ext_op_start(&change_new(event)->op, event, step_remove);
}

static void changed(struct ext_op *op, struct iq_event *event)
{
    const struct change *change = CONTAINER_OF(op, struct change, op);
    struct buf nothing = { 0 };
    if (change->job.err == OK)
        ext_result(event, &nothing);
    else
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "the change could not be stored");
}

static void change_now(struct ext_op *op, struct iq_event *event)
{
    struct change *change = CONTAINER_OF(op, struct change, op);
    change->job.password = str_from(change->password);
    change->job.end_sessions = settings_of(op->host)->end_sessions;
    change->job.keep = jid_resource(&event->iq->from);
    start_job(change, ACCOUNT_PASSWORD, changed);
}

/* ---- The old password, where it is asked for (§3.3) ---- */

static void hash_old(struct work *work)
{
    struct change *change = CONTAINER_OF(work, struct change, work);
    const struct scram_key *key = &change->keys.key[DIGEST_SHA256];
    scram_keys_make(str_from(change->old_password), str_of((const char *)key->salt, key->salt_len),
                    key->iterations, &change->tried);
}

static void old_hashed(struct work *work)
{
    ext_op_resume(&CONTAINER_OF(work, struct change, work)->op);
}

static void old_compared(struct ext_op *op, struct iq_event *event)
{
    struct change *change = CONTAINER_OF(op, struct change, op);
    if (mem_equal_secret(change->keys.key[DIGEST_SHA256].stored_key,
                         change->tried.key[DIGEST_SHA256].stored_key, digest_size(DIGEST_SHA256)))
        change_now(op, event);
    else
        ext_error(event, STANZA_ERROR_NOT_AUTHORIZED, "the old password is wrong");
}

static void keys_read(struct ext_op *op, struct iq_event *event)
{
    struct change *change = CONTAINER_OF(op, struct change, op);
    if (op->read.err != OK || op->read.count != 1 ||
        !scram_keys_read(op->read.rows[0].value, &change->keys) ||
        !change->keys.key[DIGEST_SHA256].iterations) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    change->work = (struct work){ .run = hash_old, .done = old_hashed };
    ext_op_wait(op, old_compared);
    loop_work(op->shard->loop, &change->work);
}

static void step_compare(struct ext_op *op, struct iq_event *event)
{
    store_get(ext_op_store(op), op->shard->loop, jid_bare(&event->iq->from), STR("account"), STR(""),
              ext_op_read(op, keys_read));
}

/* §3.3: a form in the error asks for more. The submission is not quoted. */
static void ask_for_old(struct iq_event *event)
{
    struct shard *shard = event->shard;
    struct stanza *answer = ARENA_NEW(&shard->arena, struct stanza);
    struct wish values = { .username = jid_local(&event->iq->from) };
    struct buf out;
    *answer = stanza_error_reply(event->iq, STANZA_ERROR_NOT_AUTHORIZED, NULL, &shard->arena);
    buf_init(&out, XML_MAX);
    buf_lit(&out, "<query xmlns='" NS_REGISTER "'>");
    form_write(&out, &change_form, FORM_ASKS, &values);
    buf_lit(&out, "</query>");
    buf_add(&out, answer->node.content);
    answer->node.content = arena_str(&shard->arena, buf_str(&out));
    buf_fini(&out);
    shard->counters.errors_out++;
    route_to(shard, answer, &answer->to, DELIVER_SESSION);
}

static void change_password(struct iq_event *event)
{
    const struct settings *settings = settings_of(event->host);
    struct arena *arena = &event->shard->arena;
    struct wish wish;
    str name, password, old = str_none;
    if (!settings->change_password) {
        ext_error(event, STANZA_ERROR_NOT_ALLOWED, NULL);
        return;
    }
    if (!read_wish(&event->child, &change_form, arena, &wish) || !wish.username.len || !wish.password.len) {
        ext_error(event, STANZA_ERROR_BAD_REQUEST, "the name and the new password are required");
        return;
    }
    if (jid_prepare_local(wish.username, arena, &name) != OK || !str_eq(name, jid_local(&event->iq->from))) {
        ext_error(event, STANZA_ERROR_NOT_ALLOWED, "that is not the name of your account");
        return;
    }
    const char *fault = password_fault(settings, wish.password, arena, &password);
    if (fault) {
        ext_error(event, STANZA_ERROR_NOT_ACCEPTABLE, fault);
        return;
    }
    if (settings->ask_old_password && !wish.old_password.len) {
        ask_for_old(event);
        return;
    }
    bool compare = wish.old_password.len && jid_prepare_password(wish.old_password, arena, &old) == OK;
    if (!take(event->shard, "change", jid_bare(&event->iq->from), 3600000, OLD_TRIES)) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many changes of the password lately");
        return;
    }
    struct change *change = change_new(event);
    change->password = str_dup(password);
    change->old_password = compare ? str_dup(old) : NULL;
    ext_op_start(&change->op, event, compare ? step_compare : change_now);
}

/* Whether an account of this host asks for itself. */
static bool is_own(const struct iq_event *event)
{
    const struct jid *from = &event->iq->from;
    if (event->user && !event->session)
        return false;
    if (!from->local_len || !str_eq(jid_domain(from), str_from(event->host->name)))
        return false;
    const struct user *user = user_awake(event->shard, jid_bare(from));
    return user && user->actor.exists && !user->anonymous;
}

static void get(struct iq_event *event)
{
    struct buf out;
    if (!is_own(event)) {
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    buf_init(&out, XML_MAX);
    str name = arena_str(&event->shard->arena, jid_local(&event->iq->from));
    write_fields(&out, settings_of(event->host), name.p);
    ext_result(event, &out);
    buf_fini(&out);
}

static void set(struct iq_event *event)
{
    struct xml_node remove;
    if (!is_own(event))
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
    else if (xml_child(&event->child, STR("remove"), STR(NS_REGISTER), &remove))
        remove_account(event);
    else
        change_password(event);
}

/* ---- The tables
 * ---------------------------------------------------------------------------------------------------- */

#define IN(member) CONFIG_FIELD(struct settings, member)

static const struct config_key keys[] = {
    { .name = "open",
      .type = CONFIG_BOOL,
      IN(open),
      .default_text = "false",
      .help = "Whether everybody can make an account. Without limits of another kind, spammers do." },
    { .name = "per-network",
      .type = CONFIG_INT,
      IN(per_network),
      .default_text = "5",
      .max = 100000,
      .unit = "accounts",
      .help = "Accounts that can be made from one IPv4 address or IPv6 network (/64) in a period, also by\n"
              "invitation; ten times as many names can be tried." },
    { .name = "period",
      .type = CONFIG_DURATION,
      IN(period_ms),
      .default_text = "1h",
      .min = 1000,
      .max = 30 * UINT64_C(86400000),
      .help = "That period." },
    { .name = "reserved",
      .type = CONFIG_LIST,
      IN(reserved),
      .default_text = "abuse admin administrator hostmaster info noreply postmaster root security support "
                      "webmaster xmpp",
      .help = "Names that nobody can register." },
    { .name = "password-length",
      .type = CONFIG_INT,
      IN(password_length),
      .default_text = "8",
      .min = 1,
      .max = 100,
      .unit = "characters",
      .help = "The shortest password that people can choose; administrators are not held to it." },
    { .name = "email",
      .type = CONFIG_CHOICE,
      IN(email),
      .default_text = "off",
      .choices = "off optional required",
      .help = "Whether an e-mail address is asked for. It is kept and not checked." },
    { .name = "instructions",
      .type = CONFIG_STRING,
      IN(instructions),
      .default_text = "Choose a name and a password.",
      .help = "What is shown to whom registers." },
    { .name = "change-password",
      .type = CONFIG_BOOL,
      IN(change_password),
      .default_text = "true",
      .help = "Whether people can change their passwords." },
    { .name = "ask-old-password",
      .type = CONFIG_BOOL,
      IN(ask_old_password),
      .default_text = "false",
      .help = "Whether the old password is asked for then. Few clients can." },
    { .name = "end-sessions",
      .type = CONFIG_BOOL,
      IN(end_sessions),
      .default_text = "true",
      .help = "Whether a new password ends the account's other sessions." },
    { .name = "cancel",
      .type = CONFIG_BOOL,
      IN(cancel),
      .default_text = "true",
      .help = "Whether people can remove their accounts." },
    { 0 },
};

static const struct config_extension config = { "register",
                                                "Accounts made and changed by clients (XEP-0077).",
                                                sizeof(struct settings), keys };

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "query", NS_REGISTER, get },
    { TYPE_SET, TO_HOST, "query", NS_REGISTER, set },
    { TYPE_GET, TO_ACCOUNT, "query", NS_REGISTER, get },
    { TYPE_SET, TO_ACCOUNT, "query", NS_REGISTER, set },
    { 0 },
};

static const struct ext_hook hooks[] = { HOOK(newcomer_request, PHASE_DELIVER, newcomer_request), { 0 } };

const struct ext ext_register = {
    .slot = &slot,
    .name = "register",
    .title = "In-Band Registration",
    .xep = { 77, "2.4" },
    .features = (const char *const[]){ NS_REGISTER, NULL },
    .iqs = iqs,
    .hooks = hooks,
    .config = &config,
    .shard_size = sizeof(struct limiter),
    .early_features = early_features,
};
