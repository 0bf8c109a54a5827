/* SPDX-License-Identifier: MIT */
/* A login by SASL2 at its user's home: what the client asked for in one step with it.
 *
 * First the login is settled: tokens that are given, used for the first time, counted or ended (XEP-0484),
 * and keys that a task has added (XEP-0480), are written. The user takes nothing else meanwhile, so of two
 * logins that use one counter one fails. Then a session is resumed (XEP-0198 §8), or if that is not asked for
 * or not possible, a resource is bound (XEP-0386), with the extensions' part in it (`bind2` of ext.h), and
 * all of it is said in <success/>. Who asks for nothing of all that stays where it came in.
 *
 * XEP-0386 §3.2 has the offline messages cleared, since the client will find them in its archive. Here it
 * gets them as ever, but for those that it has fetched from there (the hook kept_stanza). */
#include "server/c2s/c2s_auth.h"
#include "server/ext.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/ns.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

enum { BOUND_MAX = 64 * 1024, TAG_MAX = 64, STABLE_BYTES = 9 };

/* ---- Success (XEP-0388 §2.6.1)
 * ------------------------------------------------------------------------------------------- */

static str identity(const struct c2s *c2s, struct arena *arena)
{
    if (c2s->session)
        return session_jid(c2s->session).full;
    return jid_make(str_from(c2s->local), str_from(c2s->host->name), str_of("", 0), arena).full;
}

static void write_token(const struct sasl2 *request, struct arena *arena, struct buf *out)
{
    if (!*request->token)
        return;
    buf_lit(out, "<token xmlns='" NS_FAST "'");
    xml_write_attr(out, "expiry", str_from(stamp_seconds(request->token_expires_s * 1000, arena)));
    xml_write_attr(out, "token", str_from(request->token));
    buf_lit(out, "/>");
}

void c2s_sasl2_succeed(struct c2s *c2s, str inside)
{
    struct sasl2 *request = c2s->sasl2;
    struct arena *arena = &c2s->link.shard->arena;
    struct buf *out = conn_out(&c2s->conn);
    buf_lit(out, "<success xmlns='" NS_SASL2 "'>");
    if (request->has_out) {
        buf_lit(out, "<additional-data>");
        base64_encode(out, request->out);
        buf_lit(out, "</additional-data>");
    }
    xml_write_element(out, "authorization-identifier", str_none, identity(c2s, arena));
    buf_add(out, request->not_resumed);
    buf_add(out, inside);
    write_token(request, arena, out);
    buf_lit(out, "</success>");
    conn_wrote(&c2s->conn);
    c2s_sasl2_free(request);
    c2s->sasl2 = NULL;
    c2s_send_features(c2s);
}

/* What was proved is worth nothing any more, or can't be kept. */
static void refuse(struct c2s *c2s, enum sasl_failure failure)
{
    c2s->authenticated = false;
    c2s_auth_failed(c2s, failure);
    c2s_end(c2s);
}

/* ---- Binding (XEP-0386)
 * ------------------------------------------------------------------------------------------------ */

/* A name for this client that is always the same and does not show its id (§3.2.1). */
static void stable_name(const struct c2s *c2s, char *ret, size_t room)
{
    const struct server *server = c2s->link.shard->server;
    struct arena *arena = &c2s->link.shard->arena;
    unsigned char mac[DIGEST_MAX_SIZE];
    const char *client = c2s->sasl2->fast.client;
    if (!*client || c2s->anonymous) {
        rand_token(ret, STABLE_BYTES + 4);
        return;
    }
    str text = arena_printf(arena, "resource %s %s@%s", client, c2s->local, c2s->host->name);
    digest_hmac(DIGEST_SHA256, str_of((const char *)server->token_key, sizeof server->token_key), text, mac);
    str_copy(base64_encode_arena(arena, str_of((const char *)mac, STABLE_BYTES)), ret, room);
    for (char *at = ret; *at; at++)
        *at = *at == '/' ? '-' : *at == '+' ? '_' : *at;
}

static str choose_resource(const struct c2s *c2s, const struct xml_node *bind)
{
    struct arena *arena = &c2s->link.shard->arena;
    char name[32];
    str prepared, tag = xml_child_text(bind, STR("tag"), STR(NS_BIND2), arena);
    stable_name(c2s, name, sizeof name);
    str plain = arena_str(arena, str_from(name));
    if (!tag.len || tag.len > TAG_MAX)
        return plain;
    str wished = arena_printf(arena, "%.*s/%s", STR_ARGS(tag), name);
    return jid_prepare_resource(wished, arena, &prepared) == OK ? arena_str(arena, prepared) : plain;
}

/* §3.2: earlier sessions of the same client end. */
static void end_earlier(struct user *user, uint64_t client)
{
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        struct link *link = session->link;
        if (!client || session->client != client)
            continue;
        if (link)
            link->ops->close(link, STREAM_ERROR_CONFLICT, "the client has connected anew");
        else
            session_close(session);
    }
}

static uint64_t client_hash(const struct sasl2 *request)
{
    unsigned char hash[DIGEST_MAX_SIZE];
    uint64_t number;
    if (!*request->fast.client)
        return 0;
    digest_hash(DIGEST_SHA256, str_from(request->fast.client), hash);
    memcpy(&number, hash, sizeof number);
    return number | 1;
}

static void bind(struct user *user, struct c2s *c2s, const struct xml_node *element)
{
    struct shard *shard = c2s->link.shard;
    uint64_t client = client_hash(c2s->sasl2);
    struct buf bound;
    end_earlier(user, client);
    str resource = choose_resource(c2s, element);
    if (!c2s_make_room(user, c2s, resource, session_find(user, resource) && client)) {
        c2s_fail(c2s, STREAM_ERROR_RESOURCE_CONSTRAINT, "too many resources are connected");
        return;
    }
    struct session *session = c2s->session = session_open(user, resource, &c2s->link);
    session->client = client;
    c2s->state = C2S_BOUND;
    c2s_watch(c2s);
    buf_init(&bound, BOUND_MAX);
    buf_lit(&bound, "<bound xmlns='" NS_BIND2 "'>");
    ext_bind2(session, element, &bound);
    buf_lit(&bound, "</bound>");
    str text = arena_str(&shard->arena, buf_str(&bound));
    buf_fini(&bound);
    c2s_sasl2_succeed(c2s, text);
    fire_session_bound(user->actor.host, &(struct session_event){ user, session, NULL });
    log_debug(c2s, "%s is bound", session->full);
}

/* ---- Resumption (XEP-0198 §8.2)
 * ----------------------------------------------------------------------------------------- */

/* False: it is not possible, and why is noted for <success/>. */
static bool resume(struct user *user, struct c2s *c2s, const struct xml_node *element)
{
    struct sasl2 *request = c2s->sasl2;
    struct buf failed;
    buf_init(&failed, 1024);
    bool over = c2s_resume(user, c2s, element, &failed);
    if (!over)
        request->not_resumed = arena_str(&request->arena, buf_str(&failed));
    buf_fini(&failed);
    return over;
}

/* ---- What extensions read before a binding
 * ---------------------------------------------------------------------------------- */

struct reading {
    struct bind2_wait wait;
    struct user *user;
    struct passport *passport;
};

static void all_read(struct bind2_wait *wait)
{
    struct reading *reading = CONTAINER_OF(wait, struct reading, wait);
    struct user *user = reading->user;
    if (reading->passport->c2s)
        reading->passport->c2s->sasl2->read = true;
    actor_unblock(&user->actor);
    passport_return(user, reading->passport);
    actor_unpin(&user->actor);
    free(reading);
}

/* False: there is nothing to wait for. */
static bool read_first(struct user *user, struct passport *passport)
{
    struct reading *reading = NEW(struct reading);
    reading->user = user;
    reading->passport = passport;
    if (!ext_bind2_read(&reading->wait, user, all_read)) {
        free(reading);
        return false;
    }
    passport_stay(passport);
    actor_pin(&user->actor);
    actor_block(&user->actor);
    return true;
}

static void go_on(struct user *user, struct passport *passport)
{
    struct c2s *c2s = passport->c2s;
    struct sasl2 *request = c2s->sasl2;
    struct xml_node child;
    if (!request->read && xml_child(&request->authenticate, STR("resume"), STR(NS_SM), &child) &&
        resume(user, c2s, &child))
        return;
    if (xml_child(&request->authenticate, STR("bind"), STR(NS_BIND2), &child)) {
        if (request->read || !read_first(user, passport))
            bind(user, c2s, &child);
        return;
    }
    c2s->state = C2S_AUTHENTICATED;
    c2s_sasl2_succeed(c2s, STR(""));
}

/* ---- Settling
 * ------------------------------------------------------------------------------------------------------ */

struct settling {
    struct store_read read;
    struct store_commit commit;
    struct user *user;
    struct shard *shard;
    struct passport *passport;
    char token[FAST_TOKEN_SIZE];
    int64_t token_expires_s;
};

/* The user goes on, and with it the client, if it has not left. */
static void settled(struct settling *settling, enum sasl_failure failure, bool ok)
{
    struct user *user = settling->user;
    struct passport *passport = settling->passport;
    struct c2s *c2s = passport->c2s;
    if (c2s && ok) {
        c2s->sasl2->must_settle = false;
        memcpy(c2s->sasl2->token, settling->token, sizeof settling->token);
        c2s->sasl2->token_expires_s = settling->token_expires_s;
    } else if (c2s) {
        refuse(c2s, failure); /* which takes it off the passport */
    }
    mem_wipe(settling->token, sizeof settling->token);
    actor_unblock(&user->actor);
    passport_return(user, passport);
    actor_unpin(&user->actor);
    free(settling);
}

static void written(struct store_commit *commit)
{
    struct settling *settling = CONTAINER_OF(commit, struct settling, commit);
    struct shard *shard = settling->shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    settled(settling, SASL_TEMPORARY_AUTH_FAILURE, commit->err == OK);
    shard_leave(shard);
}

/* What the store has of the account now. */
struct account {
    str owner;
    bool is_there;
    str row;
    struct fast_client tokens;
    size_t others; /* clients with tokens, besides this one */
    str oldest;    /* the one of them whose token ends first */
    int64_t oldest_s;
};

static int64_t end_of(const struct fast_client *client)
{
    return client->fresh.expires_s > client->current.expires_s ? client->fresh.expires_s
                                                               : client->current.expires_s;
}

static void take_row(struct account *account, const struct sasl2 *request, const struct store_row *row)
{
    struct fast_client other = { 0 };
    if (str_is(row->kind, "account") && !row->key.len) {
        account->is_there = true;
        account->row = row->value;
    } else if (!str_is(row->kind, "fast")) {
        return;
    } else if (str_eq(row->key, str_from(request->fast.client))) {
        if (!fast_read(row->value, &account->tokens))
            account->tokens = (struct fast_client){ 0 };
    } else {
        if (!fast_read(row->value, &other))
            other = (struct fast_client){ 0 };
        if (!account->others++ || end_of(&other) < account->oldest_s) {
            account->oldest = row->key;
            account->oldest_s = end_of(&other);
        }
    }
}

/* Whether the password is still the one that the login was judged by. */
static bool is_current(const struct account *account, const struct sasl2 *request)
{
    struct scram_keys keys;
    unsigned char seal[FAST_SEAL_SIZE];
    if (!account->is_there || !scram_keys_read(account->row, &keys))
        return false;
    fast_seal(&keys, seal);
    mem_wipe(&keys, sizeof keys);
    return mem_equal_secret(seal, request->seal, sizeof seal);
}

static bool write_tokens(struct settling *settling, struct c2s *c2s, struct account *account,
                         struct store_batch *batch)
{
    struct sasl2 *request = c2s->sasl2;
    struct arena *arena = &c2s->link.shard->arena;
    struct fast_rules rules = c2s_fast_rules(c2s);
    const struct fast_token *given;
    str client = str_from(request->fast.client);
    struct jid jid = user_jid(settling->user);
    if (!fast_apply(&request->fast, &rules, &account->tokens, &given))
        return false;
    if (account->tokens.fresh.is_there || account->tokens.current.is_there)
        store_put(batch, account->owner, STR("fast"), client, fast_write(&account->tokens, arena));
    else
        store_del(batch, account->owner, STR("fast"), client);
    if (!given)
        return true;
    if (account->others >= c2s_config(c2s)->c2s.token_clients)
        store_del(batch, account->owner, STR("fast"), account->oldest);
    c2s_token_text(c2s->link.shard->server, &jid, request, given, settling->token);
    settling->token_expires_s = given->expires_s;
    return true;
}

/* False: the login fails. */
static bool fill(struct settling *settling, struct c2s *c2s, struct store_batch *batch)
{
    struct sasl2 *request = c2s->sasl2;
    struct account account = { .owner = user_bare(settling->user) };
    for (size_t i = 0; i < settling->read.count; i++)
        take_row(&account, request, &settling->read.rows[i]);
    if (!is_current(&account, request))
        return false;
    if (request->upgraded && str_eq(account.row, request->account))
        store_put(batch, account.owner, STR("account"), STR(""),
                  scram_keys_write(&request->keys, &c2s->link.shard->arena));
    return !*request->fast.client || (!request->fast.uses && request->fast.wanted < 0) ||
           write_tokens(settling, c2s, &account, batch);
}

static void rows_read(struct store_read *read)
{
    struct settling *settling = CONTAINER_OF(read, struct settling, read);
    struct shard *shard = settling->shard;
    struct c2s *c2s = settling->passport->c2s;
    struct store_batch *batch = store_batch_new();
    bool broken = read->err != OK;
    shard_enter(shard);
    shard_commit_ended(shard);
    bool ok = c2s && !broken && fill(settling, c2s, batch);
    store_read_fini(read);
    if (ok) {
        settling->commit.done = written;
        shard_commit_began(shard);
        store_commit(shard->server->store, shard->loop, batch, &settling->commit);
    } else {
        store_batch_free(batch);
        settled(settling, broken ? SASL_TEMPORARY_AUTH_FAILURE : SASL_NOT_AUTHORIZED, false);
    }
    shard_leave(shard);
}

static void settle(struct user *user, struct passport *passport)
{
    struct settling *settling = NEW(struct settling);
    struct shard *shard = user->actor.shard;
    settling->user = user;
    settling->shard = shard;
    settling->passport = passport;
    settling->read.done = rows_read;
    passport_stay(passport);
    actor_pin(&user->actor);
    actor_block(&user->actor);
    shard_commit_began(shard);
    store_get_all(shard->server->store, shard->loop, user_bare(user), STR("account,fast"), &settling->read);
}

static void arrived(struct user *user, struct passport *passport)
{
    struct c2s *c2s = passport->c2s;
    if (c2s->sasl2->must_settle)
        settle(user, passport);
    else
        go_on(user, passport);
}

void c2s_sasl2_finish(struct c2s *c2s)
{
    struct sasl2 *request = c2s->sasl2;
    struct xml_node child;
    if (!request->has_account || c2s->anonymous) /* nothing to tie a token to */
        request->fast.wanted = -1;
    request->must_settle |= request->fast.wanted >= 0;
    c2s_authenticated(c2s);
    if (request->must_settle || xml_child(&request->authenticate, STR("bind"), STR(NS_BIND2), &child) ||
        xml_child(&request->authenticate, STR("resume"), STR(NS_SM), &child)) {
        c2s_go_home(c2s, passport_new(arrived));
        return;
    }
    c2s->state = C2S_AUTHENTICATED;
    c2s_sasl2_succeed(c2s, STR(""));
}
