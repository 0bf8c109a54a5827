/* SPDX-License-Identifier: MIT */
/* Invitations. XEP-0401 0.6.0: commands that make them, for contacts and for new accounts. XEP-0445 0.2.0: a
 * token shown before a login lets its owner register (register.c does that). XEP-0379 0.3.3, the server's
 * part: a subscription request with the token of an invitation is approved, and answered with one.
 *
 * A token is the time of its end (eight hexadecimal digits, seconds since 1970) and 142 random bits. Rows:
 *   host, `invite`, token       what it is for; gone when it is used
 *   inviter, `invited`, token   so that it goes with the account of who made it; the value is "used" then.
 *                               An inviter's rows are in the user's memory, and how many are open is limited.
 *                               Invitations of the host itself have the host as owner
 *   host, `invite-used`, token  made new by whoever uses it: of two, the store lets one through
 *   name@host, `reserved`, ""   the token: a name is kept for whom was invited under it
 * Rows of tokens that have expired are deleted when their inviter makes the next one.
 *
 * The page that an https link leads to is somebody else's: the configuration has its address. */
#include "extensions/invite.h"

#include "base/rand.h"
#include "extensions/adhoc.h"
#include "server/control/control_request.h"
#include "server/user/user_call.h"
#include "xml/write.h"
#include "xmpp/stamp.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_INVITE "urn:xmpp:invite"
#define NS_PARS   "urn:xmpp:pars:0"

enum {
    TIME_DIGITS = 8,
    TOKEN_LEN = TIME_DIGITS + 24,
    ROWS_MAX = 2000, /* of one inviter, used and expired ones among them */
    GUESSES_MAX = 5, /* on one stream */
    XML_MAX = 16 * 1024,
};

extern const struct ext ext_invite;
static struct ext_slot slot;

struct settings {
    bool users, users_register, registers;
    uint64_t life_ms;
    uint32_t open;
    const char *landing;
};

static const struct settings *settings_of(const struct host *host)
{
    return ext_settings(host, &slot);
}

bool invite_registers(const struct host *host)
{
    return ext_is_on(host, &ext_invite) && settings_of(host)->registers;
}

/* ---- Tokens and rows
 * ------------------------------------------------------------------------------------------------ */

int64_t invite_expiry(str token)
{
    uint64_t seconds = 0;
    if (token.len != TOKEN_LEN)
        return 0;
    for (size_t i = 0; i < TIME_DIGITS; i++) {
        char c = token.p[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return 0;
        seconds = seconds * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return (int64_t)seconds * 1000;
}

static void make_token(int64_t expires_ms, char token[TOKEN_LEN + 1])
{
    snprintf(token, TIME_DIGITS + 1, "%08x", (unsigned)(expires_ms / 1000));
    rand_token(token + TIME_DIGITS, TOKEN_LEN + 1 - TIME_DIGITS);
}

static str value_of(const struct invite *invite, struct arena *arena)
{
    struct buf xml;
    buf_init(&xml, XML_MAX);
    xml_write_open(&xml, "invite", str_none);
    if (!jid_is_none(&invite->inviter))
        xml_write_attr(&xml, "inviter", invite->inviter.full);
    if (invite->name.len)
        xml_write_attr(&xml, "name", invite->name);
    buf_addf(&xml, " contact='%d' account='%d'/>", invite->contact, invite->account);
    str value = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return value;
}

bool invite_read(str token, str value, struct arena *arena, struct invite *ret)
{
    struct xml_node node;
    *ret = (struct invite){ .token = arena_str(arena, token) };
    if (!xml_parse(arena_str(arena, value), str_none, &node))
        return false;
    str inviter = xml_attr(&node, STR("inviter"), arena);
    if (inviter.len && jid_parse(inviter, arena, &ret->inviter) != OK)
        return false;
    ret->name = xml_attr(&node, STR("name"), arena);
    ret->contact = str_is(xml_attr(&node, STR("contact"), arena), "1");
    ret->account = str_is(xml_attr(&node, STR("account"), arena), "1");
    return ret->account;
}

static str lister(const struct host *host, const struct jid *inviter)
{
    return jid_is_none(inviter) ? str_from(host->name) : inviter->full;
}

static void put_used(struct store_batch *batch, const struct host *host, str owner, str token)
{
    store_put_new(batch, str_from(host->name), STR("invite-used"), token, STR(""));
    store_del(batch, str_from(host->name), STR("invite"), token);
    store_put(batch, owner, STR("invited"), token, STR("used"));
}

void invite_use(struct store_batch *batch, const struct host *host, const struct invite *invite)
{
    put_used(batch, host, lister(host, &invite->inviter), invite->token);
}

/* ---- What a user's memory has
 * --------------------------------------------------------------------------------------- */

/* The open invitations that a user has made. */
struct mine {
    char **tokens;
    size_t count;
};

static void remember(struct user *user, str token)
{
    struct mine *mine = ext_user(user, &slot);
    mine->tokens = xrealloc(mine->tokens, (mine->count + 1) * sizeof *mine->tokens);
    mine->tokens[mine->count++] = str_dup(token);
}

static void load_row(struct user *user, const struct store_row *row)
{
    if (!row->value.len && invite_expiry(row->key) > loop_wall_ms(user->actor.shard->loop))
        remember(user, row->key);
}

static void user_reset(struct user *user)
{
    struct mine *mine = ext_user(user, &slot);
    for (size_t i = 0; i < mine->count; i++)
        free(mine->tokens[i]);
    free(mine->tokens);
}

/* Takes a token out of memory; false if it was not there. */
static bool forget(struct user *user, str token)
{
    struct mine *mine = ext_user(user, &slot);
    for (size_t i = 0; i < mine->count; i++) {
        if (mine->tokens[i] && strlen(mine->tokens[i]) == token.len &&
            mem_equal_secret(mine->tokens[i], token.p, token.len)) {
            free(mine->tokens[i]);
            mine->tokens[i] = mine->tokens[--mine->count];
            return true;
        }
    }
    return false;
}

/* ---- Subscriptions (XEP-0379 §3.4, XEP-0401 §5.5)
 * ------------------------------------------------------------------- */

/* What the user would do by hand: the contact may see it (already, or once it asks), and is asked. */
static void embrace(struct user *user, const struct jid *contact)
{
    static const enum stanza_type says[] = { TYPE_SUBSCRIBED, TYPE_SUBSCRIBE };
    struct arena *arena = &user->actor.shard->arena;
    for (size_t i = 0; i < COUNT_OF(says); i++) {
        struct stanza *presence = ARENA_NEW(arena, struct stanza);
        *presence = stanza_make(STANZA_PRESENCE, says[i], str_none, str_none, arena);
        presence->from = user_jid(user);
        presence->to = jid_copy(contact, arena);
        presence->to = jid_to_bare(&presence->to);
        subscription_from_session(user, presence);
    }
}

static bool has_room(const struct user *user)
{
    return user->roster.listed < user->actor.shard->server->config->limits.roster_items;
}

static enum hook_ret arrived(struct host *host, struct stanza_event *event)
{
    const struct stanza *presence = event->stanza;
    struct user *user = event->user;
    struct xml_node preauth;
    if (presence->kind != STANZA_PRESENCE || presence->type != TYPE_SUBSCRIBE ||
        !xml_child(&presence->node, STR("preauth"), STR(NS_PARS), &preauth))
        return HOOK_NEXT;
    str token = xml_attr(&preauth, STR("token"), &event->shard->arena);
    if (invite_expiry(token) <= loop_wall_ms(event->shard->loop) || !has_room(user) || !forget(user, token))
        return HOOK_NEXT; /* XEP-0379 §4.1: as if there were none */
    put_used(user_write(user, presence), host, user_bare(user), token);
    embrace(user, &presence->from);
    return HOOK_NEXT;
}

struct friend_call {
    struct user_call call;
    char *contact;
    str token;
    char text[TOKEN_LEN + 1];
};

static void befriend(struct shard *shard, struct user *user, struct user_call *base)
{
    struct friend_call *call = CONTAINER_OF(base, struct friend_call, call);
    struct jid contact;
    if (user)
        forget(user, call->token);
    if (user && has_room(user) && jid_parse(str_from(call->contact), &shard->arena, &contact) == OK)
        embrace(user, &contact);
    free(call->contact);
}

static void call_friend(struct shard *shard, struct host *host, const struct jid *user,
                        const struct jid *contact, str token)
{
    struct friend_call *call = NEW(struct friend_call);
    call->call = (struct user_call){ .shard = shard, .host = host, .jid = *user, .run = befriend };
    call->contact = str_dup(contact->full);
    str_copy(token, call->text, sizeof call->text);
    call->token = str_from(call->text);
    user_call_start(&call->call);
}

void invite_befriend(struct shard *shard, struct host *host, const struct jid *guest,
                     const struct invite *invite)
{
    if (!invite->contact || jid_is_none(&invite->inviter))
        return;
    call_friend(shard, host, guest, &invite->inviter, invite->token);
    call_friend(shard, host, &invite->inviter, guest, invite->token);
}

/* ---- A token before a login (XEP-0445 §4)
 * --------------------------------------------------------------------------- */

struct showing {
    struct newcomer *newcomer;
    struct stanza *iq;
    struct store_read read;
    char token[TOKEN_LEN + 1];
    bool found; /* the invitation; next its inviter's row */
};

static void shown(struct showing *showing, bool good, bool broken)
{
    struct newcomer *newcomer = showing->newcomer;
    if (good) {
        free(newcomer->token);
        newcomer->token = str_dup(str_from(showing->token));
        newcomer_result(newcomer, showing->iq, str_of("", 0));
    } else if (broken) {
        newcomer_error(newcomer, showing->iq, STANZA_ERROR_RESOURCE_CONSTRAINT, "try again later");
    } else {
        newcomer->failures++;
        newcomer_error(newcomer, showing->iq, STANZA_ERROR_ITEM_NOT_FOUND,
                       "The provided token is invalid or expired");
    }
    newcomer_go_on(newcomer);
    free(showing->iq);
    free(showing);
}

/* First the invitation, then the row of who made it, which is gone with its account. */
static void token_read(struct store_read *read)
{
    struct showing *showing = CONTAINER_OF(read, struct showing, read);
    struct newcomer *newcomer = showing->newcomer;
    struct shard *shard = newcomer->shard;
    struct invite invite;
    shard_enter(shard);
    shard_commit_ended(shard);
    bool good = read->err == OK && read->count == 1, broken = read->err != OK;
    bool first = !showing->found;
    if (first && good)
        good = invite_read(read->rows[0].key, read->rows[0].value, &shard->arena, &invite);
    else if (good)
        good = !read->rows[0].value.len;
    store_read_fini(read);
    if (first && good) {
        showing->found = true;
        showing->read = (struct store_read){ .done = token_read };
        shard_commit_began(shard);
        store_get(shard->server->store, shard->loop, lister(newcomer->host, &invite.inviter), STR("invited"),
                  str_from(showing->token), &showing->read);
    } else {
        shown(showing, good, broken);
    }
    shard_leave(shard);
}

static enum hook_ret newcomer_request(struct host *host, struct newcomer_event *event)
{
    struct newcomer *newcomer = event->newcomer;
    struct shard *shard = event->shard;
    if (!xml_is(&event->child, STR("preauth"), STR(NS_PARS)) || event->iq->type != TYPE_SET)
        return HOOK_NEXT;
    str token = xml_attr(&event->child, STR("token"), &shard->arena);
    bool may = settings_of(host)->registers && newcomer->failures < GUESSES_MAX;
    if (!may || invite_expiry(token) <= loop_wall_ms(shard->loop)) {
        newcomer->failures++;
        newcomer_error(newcomer, event->iq, STANZA_ERROR_ITEM_NOT_FOUND,
                       "The provided token is invalid or expired");
        return HOOK_DONE;
    }
    struct showing *showing = NEW(struct showing);
    showing->newcomer = newcomer;
    showing->iq = stanza_copy(event->iq);
    showing->read.done = token_read;
    str_copy(token, showing->token, sizeof showing->token);
    newcomer_wait(newcomer);
    shard_commit_began(shard);
    store_get(shard->server->store, shard->loop, str_from(host->name), STR("invite"), token, &showing->read);
    return HOOK_DONE;
}

static void early_features(struct host *host, struct buf *out)
{
    if (settings_of(host)->registers)
        buf_lit(out, "<register xmlns='urn:xmpp:ibr-token:0'/>");
}

/* ---- Links
 * ---------------------------------------------------------------------------------------------------------
 */

/* RFC 5122 §2.2: what is not unreserved is percent-encoded. */
static void add_encoded(struct buf *out, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c));
        if (plain)
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

/* XEP-0401 §5.1, §5.4; without the scheme. */
static str uri_of(const struct host *host, const struct invite *invite, struct arena *arena)
{
    struct buf uri;
    bool roster = invite->contact && !jid_is_none(&invite->inviter) && !invite->name.len;
    str local = roster ? jid_local(&invite->inviter) : invite->name;
    buf_init(&uri, XML_MAX);
    add_encoded(&uri, local);
    if (local.len)
        buf_add_char(&uri, '@');
    add_encoded(&uri, str_from(host->name));
    buf_addf(&uri, "?%s;preauth=%.*s%s", roster ? "roster" : "register", STR_ARGS(invite->token),
             roster && invite->account ? ";ibr=y" : "");
    str text = arena_str(arena, buf_str(&uri));
    buf_fini(&uri);
    return text;
}

/* The address of the configuration with {token} and {uri} filled in; "" if there is none. */
static str landing_of(const struct host *host, const struct invite *invite, struct arena *arena)
{
    struct buf url;
    str rest = str_from(settings_of(host)->landing);
    buf_init(&url, XML_MAX);
    while (rest.len) {
        if (str_starts(rest, STR("{token}"))) {
            buf_add(&url, invite->token);
            rest = str_sub(rest, strlen("{token}"), rest.len);
        } else if (str_starts(rest, STR("{uri}"))) {
            buf_add(&url, uri_of(host, invite, arena));
            rest = str_sub(rest, strlen("{uri}"), rest.len);
        } else {
            buf_add_char(&url, *rest.p);
            rest = str_sub(rest, 1, rest.len);
        }
    }
    str text = url.len ? arena_str(arena, buf_str(&url)) : STR("");
    buf_fini(&url);
    return text;
}

/* ---- Making one
 * ----------------------------------------------------------------------------------------------------- */

/* Fills the token, and the batch that keeps the invitation. `rows`: the inviter's, of which those that have
 * expired are deleted. False if too many are open; `limit` 0: any number. */
static bool prepare(struct shard *shard, const struct host *host, const struct store_read *rows,
                    uint32_t limit, struct invite *invite, char token[TOKEN_LEN + 1],
                    struct store_batch *batch)
{
    int64_t now = loop_wall_ms(shard->loop);
    str owner = lister(host, &invite->inviter), at = str_from(host->name);
    size_t open = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct store_row *row = &rows->rows[i];
        open += invite_expiry(row->key) > now && !row->value.len;
        if (invite_expiry(row->key) > now)
            continue;
        store_del(batch, owner, STR("invited"), row->key);
        store_del(batch, at, STR("invite"), row->key);
        store_del(batch, at, STR("invite-used"), row->key);
    }
    if ((limit && open >= limit) || rows->count == ROWS_MAX)
        return false;
    make_token(now + (int64_t)settings_of(host)->life_ms, token);
    invite->token = str_from(token);
    store_put(batch, at, STR("invite"), invite->token, value_of(invite, &shard->arena));
    store_put(batch, owner, STR("invited"), invite->token, STR(""));
    if (invite->name.len) {
        struct jid jid = jid_make(invite->name, at, STR(""), &shard->arena);
        store_put(batch, jid.full, STR("reserved"), STR(""), invite->token);
    }
    return true;
}

static void read_rows(struct shard *shard, str owner, struct store_read *read)
{
    struct store_map_query query = { .limit = ROWS_MAX };
    store_get_range(shard->server->store, shard->loop, owner, STR("invited"), &query, read);
}

/* ---- By commands (XEP-0401 §5)
 * -------------------------------------------------------------------------------------- */

struct values {
    str username;
    bool roster_subscription;
    struct invite invite;
    char token[TOKEN_LEN + 1];
};

static const struct form_row account_rows[] = {
    { "username", FIELD_TEXT_SINGLE, "Username", FORM_TEXT(struct values, username) },
    { "roster-subscription", FIELD_BOOLEAN, "Roster subscription",
      FORM_BOOL(struct values, roster_subscription) },
};
static const struct form_table account_form = { NULL, FORM_ROWS(account_rows), .title = "Invite a new user" };
static const struct form_table *const account_forms[] = { &account_form, NULL };

/* Who invites whom; for the event, whose memory it is in. The form was looked at before. An administrator
 * who lives elsewhere invites in the host's name. */
static void set_names(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    struct jid bare = jid_to_bare(&event->iq->from);
    bool ours = str_eq(jid_domain(&bare), str_from(op->host->name));
    values->invite.inviter = ours ? bare : (struct jid){ 0 };
    if (!values->username.len ||
        jid_prepare_local(values->username, &event->shard->arena, &values->invite.name) != OK)
        values->invite.name = STR("");
}

static void made(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    struct arena *arena = &event->shard->arena;
    set_names(op, event);
    struct user *user = user_awake(event->shard, jid_bare(&event->iq->from));
    struct buf out;
    if (op->commit.err != OK) {
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "the invitation could not be stored");
        return;
    }
    if (user && user->actor.exists && !jid_is_none(&values->invite.inviter))
        remember(user, values->invite.token);
    str uri = uri_of(op->host, &values->invite, arena), url = landing_of(op->host, &values->invite, arena);
    buf_init(&out, XML_MAX);
    form_open(&out, FORM_RESULT);
    form_ns(&out, NS_INVITE "#invitation");
    form_add(&out, "uri", FIELD_TEXT_SINGLE, "Invitation", arena_printf(arena, "xmpp:%.*s", STR_ARGS(uri)));
    if (url.len)
        form_add(&out, "landing-url", FIELD_TEXT_SINGLE, "Page", url);
    form_add(&out, "expire", FIELD_TEXT_SINGLE, "Valid until",
             str_from(stamp_seconds(invite_expiry(values->invite.token), arena)));
    form_close(&out);
    adhoc_done(event, op, &out);
    buf_fini(&out);
}

static void rows_read(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    struct store_batch *batch = store_batch_new();
    bool good = op->read.err == OK;
    set_names(op, event);
    if (good && prepare(event->shard, op->host, &op->read, settings_of(op->host)->open, &values->invite,
                        values->token, batch)) {
        ext_op_write(op, batch, made);
        return;
    }
    store_batch_free(batch);
    ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT,
              good ? "too many of your invitations are open" : "try again later");
}

static void read_inviter(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    set_names(op, event);
    read_rows(event->shard, lister(op->host, &values->invite.inviter), ext_op_read(op, rows_read));
}

static void run_invite(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    const struct settings *settings = settings_of(op->host);
    values->invite.contact = true;
    values->invite.account = settings->registers && settings->users_register;
    read_inviter(op, event);
}

static void name_read(struct ext_op *op, struct iq_event *event)
{
    int64_t now = loop_wall_ms(event->shard->loop);
    bool taken = false;
    for (size_t i = 0; op->read.err == OK && i < op->read.count; i++) {
        const struct store_row *row = &op->read.rows[i];
        taken = taken || (str_is(row->kind, "account") ? !row->key.len : invite_expiry(row->value) > now);
    }
    if (op->read.err != OK)
        ext_error(event, STANZA_ERROR_RESOURCE_CONSTRAINT, "try again later");
    else if (taken)
        ext_error(event, STANZA_ERROR_CONFLICT, "the name is taken");
    else
        read_inviter(op, event);
}

static void run_account(struct ext_op *op, struct iq_event *event)
{
    struct values *values = adhoc_values(op);
    struct arena *arena = &event->shard->arena;
    str name;
    values->invite.account = true;
    values->invite.contact = values->roster_subscription;
    if (!values->username.len) {
        read_inviter(op, event);
        return;
    }
    if (jid_prepare_local(values->username, arena, &name) != OK) {
        adhoc_refuse(event, "username is none that an address can have");
        return;
    }
    struct jid jid = jid_make(name, str_from(op->host->name), STR(""), arena);
    store_get_all(ext_op_store(op), op->shard->loop, jid.full, STR("account,reserved"),
                  ext_op_read(op, name_read));
}

static bool users_may(const struct host *host)
{
    return settings_of(host)->users;
}

static const struct adhoc_command commands[] = {
    { .node = NS_INVITE "#invite",
      .name = "Invite user",
      .who = ADHOC_USERS,
      .size = sizeof(struct values),
      .is_on = users_may,
      .run = run_invite },
    { .node = NS_INVITE "#create-account",
      .name = "Create account",
      .who = ADHOC_ADMINS,
      .size = sizeof(struct values),
      .is_on = invite_registers,
      .forms = account_forms,
      .run = run_account },
    { 0 },
};

/* ---- By jabiructl
 * --------------------------------------------------------------------------------------------------- */

struct ctl {
    struct host *host;
    struct invite invite;
    struct store_commit commit;
    struct request *request;
    char token[TOKEN_LEN + 1];
};

static void ctl_made(struct store_commit *commit)
{
    struct ctl *ctl = CONTAINER_OF(commit, struct ctl, commit);
    struct request *request = ctl->request;
    struct arena *arena = &request->arena;
    shard_commit_ended(request->shard);
    if (commit->err == OK) {
        str uri = uri_of(ctl->host, &ctl->invite, arena), url = landing_of(ctl->host, &ctl->invite, arena);
        buf_addf(&request->answer, "xmpp:%.*s\n", STR_ARGS(uri));
        if (url.len)
            buf_addf(&request->answer, "%.*s\n", STR_ARGS(url));
        buf_addf(&request->answer, "valid until %s\n",
                 stamp_seconds(invite_expiry(ctl->invite.token), arena));
    }
    request_done(request, commit->err == OK ? NULL : err_text(commit->err));
}

static struct ctl *ctl_of(struct store_read *read)
{
    return CONTAINER_OF(read, struct request, read)->own;
}

static void ctl_rows(struct store_read *read)
{
    struct ctl *ctl = ctl_of(read);
    struct request *request = ctl->request;
    struct shard *shard = request->shard;
    struct store_batch *batch = store_batch_new();
    enum err err = read->err;
    shard_enter(shard);
    bool good = err == OK && prepare(shard, ctl->host, read, 0, &ctl->invite, ctl->token, batch);
    store_read_fini(read);
    if (good) {
        ctl->commit.done = ctl_made;
        shard_commit_began(shard);
        store_commit(shard->server->store, shard->loop, batch, &ctl->commit);
    } else {
        store_batch_free(batch);
        request_done(request, err == OK ? "too many invitations are kept" : err_text(err));
    }
    shard_leave(shard);
}

static void ctl_read_rows(struct request *request, struct ctl *ctl)
{
    request->read = (struct store_read){ .done = ctl_rows };
    read_rows(request->shard, str_from(ctl->host->name), &request->read);
}

static void ctl_name(struct store_read *read)
{
    struct ctl *ctl = ctl_of(read);
    struct request *request = ctl->request;
    int64_t now = loop_wall_ms(request->shard->loop);
    bool taken = false;
    enum err err = read->err;
    for (size_t i = 0; err == OK && i < read->count; i++)
        taken = taken || (str_is(read->rows[i].kind, "account") ? !read->rows[i].key.len
                                                                : invite_expiry(read->rows[i].value) > now);
    store_read_fini(read);
    if (err != OK || taken)
        request_done(request, taken ? "the name is taken" : err_text(err));
    else
        ctl_read_rows(request, ctl);
}

/* invite HOST, or invite NAME@HOST. */
static void ctl_invite(struct request *request)
{
    struct ctl *ctl = arena_zalloc(&request->arena, sizeof *ctl);
    struct server *server = request->shard->server;
    struct jid jid;
    ctl->request = request;
    request->own = ctl;
    if (jid_parse(request->word, &request->arena, &jid) != OK || !jid_is_bare(&jid) ||
        !(ctl->host = server_host(server, jid_domain(&jid)))) {
        request_done(request, "write a host that is served here, or name@host to keep that name");
        return;
    }
    if (!invite_registers(ctl->host)) {
        request_done(request, "invitations are switched off there");
        return;
    }
    ctl->invite.account = true;
    ctl->invite.name = jid_local(&jid);
    if (!jid.local_len) {
        ctl_read_rows(request, ctl);
        return;
    }
    request->read = (struct store_read){ .done = ctl_name };
    store_get_all(server->store, request->shard->loop, jid.full, STR("account,reserved"), &request->read);
}

static const struct control_command control_commands[] = {
    { "invite", true, ctl_invite,
      "invite [NAME@]HOST    make an invitation for a new account, of this name or any" },
    { 0 },
};

/* ---- The tables
 * ---------------------------------------------------------------------------------------------------- */

#define IN(member) CONFIG_FIELD(struct settings, member)

static const char *check_landing(const char *value)
{
    bool good = !*value || (str_starts(str_from(value), STR("https://")) &&
                            (strstr(value, "{token}") || strstr(value, "{uri}")));
    return good ? NULL : "write an address such as \"https://example.org/invite/#{token}\"";
}

static const struct config_key keys[] = {
    { .name = "users",
      .type = CONFIG_BOOL,
      IN(users),
      .default_text = "true",
      .help = "Whether everybody can invite contacts." },
    { .name = "users-register",
      .type = CONFIG_BOOL,
      IN(users_register),
      .default_text = "false",
      .help = "Whether these contacts may also make an account here." },
    { .name = "registers",
      .type = CONFIG_BOOL,
      IN(registers),
      .default_text = "true",
      .help = "Whether an invitation lets anybody register at all, those of administrators among them." },
    { .name = "life",
      .type = CONFIG_DURATION,
      IN(life_ms),
      .default_text = "7d",
      .min = 60000,
      .max = 365 * UINT64_C(86400000),
      .help = "How long an invitation is good." },
    { .name = "open",
      .type = CONFIG_INT,
      IN(open),
      .default_text = "20",
      .min = 1,
      .max = 1000,
      .unit = "invitations",
      .help = "Invitations of one user that are open at the same time." },
    { .name = "landing",
      .type = CONFIG_STRING,
      IN(landing),
      .default_text = "",
      .check = check_landing,
      .help = "The web page for who is invited, with {token}, or {uri} (without \"xmpp:\"), where it goes." },
    { 0 },
};

static const struct config_extension config = { "invite", "Invitations (XEP-0401, XEP-0445, XEP-0379).",
                                                sizeof(struct settings), keys };

static const struct ext_hook hooks[] = { HOOK(newcomer_request, PHASE_DELIVER, newcomer_request),
                                         HOOK(stanza_to_user, PHASE_DELIVER, arrived),
                                         { 0 } };

const struct ext ext_invite = {
    .slot = &slot,
    .name = "invite",
    .title = "Invitations",
    .xep = { 401, "0.6.0" },
    .more = (const struct ext_xep[]){ { 445, "0.2.0" }, { 379, "0.3.3", .partial = true }, { 0 } },
    .hooks = hooks,
    .adhoc = commands,
    .commands = control_commands,
    .config = &config,
    .user_size = sizeof(struct mine),
    .user_rows = "invited",
    .load_row = load_row,
    .user_reset = user_reset,
    .early_features = early_features,
};
