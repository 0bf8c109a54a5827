/* SPDX-License-Identifier: MIT */
/* SASL on a client's stream (RFC 6120 §6): elements to and from the exchange in xmpp/sasl.h, which asks for
 * what it needs: the account's keys (from the store) and slow hashing (on the pool). While either is under
 * way the client is not read. The same exchanges serve the profile of XEP-0388, whose elements c2s_sasl2.c
 * reads; a stream has one profile, the one that it began with.
 *
 * A client has a number of tries; then the stream ends (§6.4.5). What fails before any key was looked up (a
 * channel binding that cannot be had, a mechanism that is not offered) guesses no password: clients that go
 * down a list of mechanisms have more of those. Unknown users get keys that nobody has the password of, so
 * all that they see is what a wrong password gives. */
#include "server/c2s/c2s_auth.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "xmpp/ns.h"

#include <stdio.h>
#include <stdlib.h>

enum { SLIPS_MAX = 20 };

void c2s_login_free(struct c2s_login *login)
{
    mem_wipe(&login->sasl, sizeof login->sasl);
    arena_fini(&login->arena);
    free(login);
}

void c2s_auth_free(struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    c2s->login = NULL;
    if (!login)
        return;
    login->c2s = NULL;
    if (!login->away)
        c2s_login_free(login);
}

static str binding(struct sasl_server *sasl, str type)
{
    struct c2s_login *login = CONTAINER_OF(sasl, struct c2s_login, sasl);
    enum channel_binding kind = str_is(type, "tls-exporter")           ? BINDING_TLS_EXPORTER
                                : str_is(type, "tls-server-end-point") ? BINDING_TLS_SERVER_END_POINT
                                : str_is(type, "tls-unique")           ? BINDING_TLS_UNIQUE
                                                                       : BINDING_NONE;
    if (kind == BINDING_NONE || !login->c2s)
        return str_none;
    return conn_channel_binding(&login->c2s->conn, kind, &login->arena);
}

/* ---- Answers
 * ------------------------------------------------------------------------------------------------------ */

static void send_data(struct c2s *c2s, const char *name, bool has_data, str bytes)
{
    struct buf *out = conn_out(&c2s->conn);
    if (c2s->sasl2) {
        c2s_sasl2_write_data(out, name, bytes);
    } else if (!has_data) {
        buf_addf(out, "<%s xmlns='" NS_SASL "'/>", name);
    } else {
        buf_addf(out, "<%s xmlns='" NS_SASL "'>", name);
        if (bytes.len)
            base64_encode(out, bytes);
        else
            buf_add_char(out, '=');
        buf_addf(out, "</%s>", name);
    }
    conn_wrote(&c2s->conn);
}

static void send_failure(struct c2s *c2s, enum sasl_failure failure)
{
    struct buf *out = conn_out(&c2s->conn);
    const char *name = sasl_failure_name(failure);
    if (c2s->profile == C2S_PROFILE_SASL2)
        buf_addf(out, "<failure xmlns='" NS_SASL2 "'><%s xmlns='" NS_SASL "'/></failure>", name);
    else
        buf_addf(out, "<failure xmlns='" NS_SASL "'><%s/></failure>", name);
    conn_wrote(&c2s->conn);
}

void c2s_auth_failed(struct c2s *c2s, enum sasl_failure failure)
{
    char address[SOCKET_ADDRESS_MAX];
    bool guess = c2s->login && c2s->login->guessed;
    c2s_auth_free(c2s);
    c2s_sasl2_free(c2s->sasl2);
    c2s->sasl2 = NULL;
    free(c2s->local);
    c2s->local = NULL;
    c2s->link.shard->counters.login_failures++;
    conn_peer(&c2s->conn, address);
    log_info(auth, "login from %s failed: %s", address, sasl_failure_name(failure));
    send_failure(c2s, failure);
    c2s->state = C2S_NEGOTIATING;
    c2s->tries += guess;
    if (c2s->tries >= c2s_config(c2s)->c2s.login_tries || ++c2s->slips >= SLIPS_MAX)
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "too many failed logins");
}

void c2s_authenticated(struct c2s *c2s)
{
    c2s_newcomer_free(c2s);
    if (c2s->counted) {
        atomic_fetch_sub(&c2s->link.shard->server->unauthenticated, 1);
        gate_known(c2s->link.shard->server, conn_mark(&c2s->conn));
    }
    c2s->counted = false;
    c2s->link.shard->counters.logins++;
    c2s->authenticated = true;
    c2s->tries = 0;
    c2s->scanner.limits = &c2s_config(c2s)->limits_after;
}

static void choose_name(struct c2s *c2s)
{
    const struct c2s_login *login = c2s->login;
    char token[25];
    c2s->anonymous = login->sasl.mechanism == SASL_ANONYMOUS;
    if (c2s->anonymous) {
        rand_token(token, sizeof token);
        for (char *at = token; *at; at++)
            *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    }
    c2s->local = str_dup(c2s->anonymous ? str_from(token) : login->sasl.authcid);
}

static void succeeded(struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    choose_name(c2s);
    log_info(auth, "%s@%s logged in by %s", c2s->local, c2s->host->name,
             sasl_mechanism_name(login->sasl.mechanism));
    if (c2s->sasl2) {
        c2s_sasl2_proved(c2s);
        return;
    }
    send_data(c2s, "success", login->sasl.has_out, login->sasl.out);
    c2s_auth_free(c2s);
    c2s_restart(c2s);
    c2s_authenticated(c2s);
}

/* ---- What the exchange asks for
 * ------------------------------------------------------------------------------------ */

/* Keys that nobody has the password of, as lasting as those of an account: made from the file of the tokens'
 * key, so a restart changes nothing, and for one host, since an account is at one. */
static void fake_keys(struct c2s *c2s, struct scram_keys *ret)
{
    struct c2s_login *login = c2s->login;
    struct server *server = c2s->link.shard->server;
    str secret = str_of((const char *)server->token_key, sizeof server->token_key);
    struct jid jid = jid_make(login->sasl.authcid, str_from(c2s->host->name), str_of("", 0), &login->arena);
    scram_keys_fake(secret, jid.full, c2s_config(c2s)->c2s.scram_iterations, ret);
}

static void keys_read(struct store_read *read)
{
    struct c2s_login *login = CONTAINER_OF(read, struct c2s_login, read);
    struct c2s *c2s = login->c2s;
    struct scram_keys keys;
    shard_commit_ended(login->shard);
    login->away = false;
    if (!c2s) {
        store_read_fini(read);
        c2s_login_free(login);
        return;
    }
    struct shard *shard = c2s->link.shard;
    bool broken = read->err != OK;
    bool known = !broken && read->count == 1 && scram_keys_read(read->rows[0].value, &keys);
    if (known && c2s->sasl2)
        c2s_note_account(c2s->sasl2, read->rows[0].value);
    if (!known)
        fake_keys(c2s, &keys);
    store_read_fini(read);
    shard_enter(shard);
    if (broken)
        c2s_auth_failed(c2s, SASL_TEMPORARY_AUTH_FAILURE);
    else
        c2s_auth_advance(c2s, sasl_server_keys(&login->sasl, &keys, known));
    mem_wipe(&keys, sizeof keys);
    if (!c2s->login || !c2s->login->away)
        c2s_go_on(c2s);
    shard_leave(shard);
}

static void want_keys(struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    struct shard *shard = c2s->link.shard;
    struct jid jid = jid_make(login->sasl.authcid, str_from(c2s->host->name), str_of("", 0), &login->arena);
    login->guessed = true;
    login->away = c2s->busy = true;
    shard_commit_began(shard); /* a stop waits for it */
    login->read = (struct store_read){ .done = keys_read };
    store_get(shard->server->store, shard->loop, jid.full, STR("account"), STR(""), &login->read);
}

static void work_run(struct work *work)
{
    sasl_server_work(&CONTAINER_OF(work, struct c2s_login, work)->sasl);
}

static void work_done(struct work *work)
{
    struct c2s_login *login = CONTAINER_OF(work, struct c2s_login, work);
    struct c2s *c2s = login->c2s;
    shard_commit_ended(login->shard);
    login->away = false;
    if (!c2s) {
        c2s_login_free(login);
        return;
    }
    struct shard *shard = c2s->link.shard;
    shard_enter(shard);
    c2s_auth_advance(c2s, sasl_server_worked(&login->sasl));
    c2s_go_on(c2s);
    shard_leave(shard);
}

static void want_work(struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    login->away = c2s->busy = true;
    shard_commit_began(login->shard);
    login->work = (struct work){ .run = work_run, .done = work_done };
    loop_work(c2s->link.shard->loop, &login->work);
}

void c2s_auth_advance(struct c2s *c2s, enum sasl_status status)
{
    switch (status) {
    case SASL_CHALLENGE:
        send_data(c2s, "challenge", c2s->login->sasl.out.len > 0, c2s->login->sasl.out);
        return;
    case SASL_WANT_KEYS:
        want_keys(c2s);
        return;
    case SASL_WANT_TOKENS:
        c2s_want_tokens(c2s);
        return;
    case SASL_WANT_WORK:
        want_work(c2s);
        return;
    case SASL_DONE:
        succeeded(c2s);
        return;
    case SASL_FAILED:
        c2s_auth_failed(c2s, c2s->login->sasl.failure);
        return;
    }
}

/* ---- Elements
 * ------------------------------------------------------------------------------------------------------ */

/* The data of <auth/> or <response/>: "=" is data of no bytes (§6.4.2). False if it is not base64. */
static bool read_data(const struct xml_node *node, struct arena *arena, bool *ret_has, str *ret_bytes)
{
    str text = xml_text(node, arena);
    *ret_has = text.len > 0;
    *ret_bytes = str_of("", 0);
    return !text.len || str_is(text, "=") || base64_decode(arena, text, ret_bytes);
}

static bool is_among(const char **names, size_t count, str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_from(names[i]), name))
            return true;
    return false;
}

static str offer(const char **names, size_t count, struct arena *arena)
{
    str list[SASL_MECHANISM_COUNT];
    for (size_t i = 0; i < count; i++)
        list[i] = str_from(names[i]);
    return sasl_offer(list, count, arena);
}

static void prepare(struct c2s *c2s, enum sasl_mechanism mechanism, const char **names, size_t count)
{
    struct c2s_login *login = NEW(struct c2s_login);
    const char *types[3];
    arena_init(&login->arena, 2048);
    rand_token(login->nonce, sizeof login->nonce);
    size_t type_count = c2s_binding_types(c2s, types);
    login->c2s = c2s;
    login->shard = c2s->link.shard;
    login->sasl = (struct sasl_server){
        .mechanism = mechanism,
        .host = str_from(c2s->host->name),
        .nonce = str_from(login->nonce),
        .plus_offered = type_count > 0,
        .offered_mechanisms = offer(names, count, &login->arena),
        .offered_bindings = offer(types, type_count, &login->arena),
        .binding = binding,
        .arena = &login->arena,
    };
    if (mechanism == SASL_EXTERNAL)
        login->sasl.certificate_addresses =
            conn_client_addresses(&c2s->conn, &login->arena, &login->sasl.certificate_address_count);
    c2s->login = login;
    c2s->state = C2S_AUTHENTICATING;
}

/* Tokens are for SASL2 alone, and are offered apart (XEP-0484 §3.1). */
static bool is_offered(struct c2s *c2s, str name, const char **names, size_t *ret_count)
{
    struct arena *arena = &c2s->link.shard->arena;
    const char *tokens[SASL_MECHANISM_COUNT];
    c2s_offer(c2s, arena, names, ret_count);
    return is_among(names, *ret_count, name) ||
           (c2s->sasl2 && is_among(tokens, c2s_fast_offer(c2s, tokens), name));
}

void c2s_auth_begin(struct c2s *c2s, str mechanism, bool has_initial, str initial)
{
    const char *names[SASL_MECHANISM_COUNT];
    size_t count;
    if (!is_offered(c2s, mechanism, names, &count)) {
        bool plain = str_is(mechanism, "PLAIN") && !conn_is_secure(&c2s->conn);
        c2s_auth_failed(c2s, plain ? SASL_ENCRYPTION_REQUIRED : SASL_INVALID_MECHANISM);
        return;
    }
    prepare(c2s, (enum sasl_mechanism)sasl_mechanism_named(mechanism), names, count);
    c2s_auth_advance(
        c2s, sasl_server_start(&c2s->login->sasl, has_initial, arena_str(&c2s->login->arena, initial)));
}

void c2s_auth_respond(struct c2s *c2s, bool has, str bytes)
{
    if (!c2s->login)
        c2s_auth_failed(c2s, SASL_MALFORMED_REQUEST);
    else if (!has)
        c2s_auth_failed(c2s, SASL_INCORRECT_ENCODING);
    else
        c2s_auth_advance(c2s, sasl_server_response(&c2s->login->sasl, arena_str(&c2s->login->arena, bytes)));
}

static void auth(struct c2s *c2s, const struct xml_node *node)
{
    struct arena *arena = &c2s->link.shard->arena;
    bool has;
    str bytes;
    c2s_auth_free(c2s); /* §6.4.2: a second <auth/> starts anew */
    if (read_data(node, arena, &has, &bytes))
        c2s_auth_begin(c2s, xml_attr(node, STR("mechanism"), arena), has, bytes);
    else
        c2s_auth_failed(c2s, SASL_INCORRECT_ENCODING);
}

static void response(struct c2s *c2s, const struct xml_node *node)
{
    bool has;
    str bytes;
    bool ok = read_data(node, &c2s->link.shard->arena, &has, &bytes);
    c2s_auth_respond(c2s, ok, bytes);
}

static bool sasl_element(struct c2s *c2s, const struct xml_node *node)
{
    if (str_is(node->name, "auth"))
        auth(c2s, node);
    else if (str_is(node->name, "response"))
        response(c2s, node);
    else if (str_is(node->name, "abort"))
        c2s_auth_failed(c2s, SASL_ABORTED);
    else
        return false;
    return true;
}

bool c2s_auth_element(struct c2s *c2s, const struct xml_node *node)
{
    bool sasl2 = xml_is(node, node->name, STR(NS_SASL2));
    if (!sasl2 && !str_is(node->ns, NS_SASL))
        return false;
    enum c2s_profile profile = sasl2 ? C2S_PROFILE_SASL2 : C2S_PROFILE_SASL;
    if (c2s->profile && c2s->profile != profile) {
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "a stream has one profile of SASL");
        return true;
    }
    c2s->profile = profile;
    if (!sasl2)
        return sasl_element(c2s, node);
    c2s_sasl2_element(c2s, node);
    return true;
}
