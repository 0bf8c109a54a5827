/* SPDX-License-Identifier: MIT */
/* SASL on a client's stream (RFC 6120 §6): elements to and from the exchange in xmpp/sasl.h, which asks for
 * what it needs: the account's keys (from the store) and slow hashing (on the pool). While either is under
 * way the client is not read.
 *
 * A client has a number of tries; then the stream ends (§6.4.5). What fails before any key was looked up (a
 * channel binding that cannot be had, a mechanism that is not offered) guesses no password: clients that go
 * down a list of mechanisms have more of those. Unknown users get keys that nobody has the password of, so
 * all that they see is what a wrong password gives. */
#include "server/c2s.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "xmpp/ns.h"

#include <stdio.h>
#include <stdlib.h>

enum { SLIPS_MAX = 20 };

struct c2s_login {
    struct c2s *c2s; /* NULL: the link went away while the store or the pool had the login */
    struct shard *shard;
    struct arena arena; /* of the exchange; wiped at its end */
    struct sasl_server sasl;
    struct store_read read;
    struct work work;
    bool guessed; /* keys were looked up: a failure is one of the password's */
    bool away;    /* the store or the pool has it */
    char nonce[33];
};

static void advance(struct c2s *c2s, enum sasl_status status);

static void login_free(struct c2s_login *login)
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
        login_free(login);
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
    if (!has_data) {
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

static void failed(struct c2s *c2s, enum sasl_failure failure)
{
    struct buf *out = conn_out(&c2s->conn);
    char address[SOCKET_ADDRESS_MAX];
    bool guess = c2s->login && c2s->login->guessed;
    c2s_auth_free(c2s);
    c2s->link.shard->counters.login_failures++;
    conn_peer(&c2s->conn, address);
    log_info(auth, "login from %s failed: %s", address, sasl_failure_name(failure));
    buf_addf(out, "<failure xmlns='" NS_SASL "'><%s/></failure>", sasl_failure_name(failure));
    conn_wrote(&c2s->conn);
    c2s->state = C2S_NEGOTIATING;
    c2s->tries += guess;
    if (c2s->tries >= c2s_config(c2s)->c2s.login_tries || ++c2s->slips >= SLIPS_MAX)
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "too many failed logins");
}

static void succeeded(struct c2s *c2s)
{
    struct c2s_login *login = c2s->login;
    struct server *server = c2s->link.shard->server;
    char token[25];
    c2s->anonymous = login->sasl.mechanism == SASL_ANONYMOUS;
    if (c2s->anonymous) {
        rand_token(token, sizeof token);
        for (char *at = token; *at; at++)
            *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    }
    c2s->local = c2s->anonymous ? str_dup(str_from(token)) : str_dup(login->sasl.authcid);
    send_data(c2s, "success", login->sasl.has_out, login->sasl.out);
    log_info(auth, "%s@%s logged in by %s", c2s->local, c2s->host->name,
             sasl_mechanism_name(login->sasl.mechanism));
    c2s_auth_free(c2s);
    c2s_newcomer_free(c2s);
    c2s->link.shard->counters.logins++;
    c2s->authenticated = true;
    c2s->tries = 0;
    if (c2s->counted)
        atomic_fetch_sub(&server->unauthenticated, 1);
    c2s->counted = false;
    c2s_restart(c2s);
    c2s->scanner.limits = &c2s_config(c2s)->limits_after;
}

/* ---- What the exchange asks for
 * ------------------------------------------------------------------------------------ */

static str fake_secret(struct c2s *c2s)
{
    struct server *server = c2s->link.shard->server;
    return str_of((const char *)server->secret, sizeof server->secret);
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
        login_free(login);
        return;
    }
    struct shard *shard = c2s->link.shard;
    bool broken = read->err != OK;
    bool known = !broken && read->count == 1 && scram_keys_read(read->rows[0].value, &keys);
    if (!known)
        scram_keys_fake(fake_secret(c2s), login->sasl.authcid, c2s_config(c2s)->c2s.scram_iterations, &keys);
    store_read_fini(read);
    shard_enter(shard);
    if (broken)
        failed(c2s, SASL_TEMPORARY_AUTH_FAILURE);
    else
        advance(c2s, sasl_server_keys(&login->sasl, &keys, known));
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
        login_free(login);
        return;
    }
    struct shard *shard = c2s->link.shard;
    shard_enter(shard);
    advance(c2s, sasl_server_worked(&login->sasl));
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

static void advance(struct c2s *c2s, enum sasl_status status)
{
    switch (status) {
    case SASL_CHALLENGE:
        send_data(c2s, "challenge", c2s->login->sasl.out.len > 0, c2s->login->sasl.out);
        return;
    case SASL_WANT_KEYS:
        want_keys(c2s);
        return;
    case SASL_WANT_WORK:
        want_work(c2s);
        return;
    case SASL_DONE:
        succeeded(c2s);
        return;
    case SASL_FAILED:
        failed(c2s, c2s->login->sasl.failure);
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
    size_t type_count = c2s_binding_types(c2s, &login->arena, types);
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

static void auth(struct c2s *c2s, const struct xml_node *node)
{
    struct arena *arena = &c2s->link.shard->arena;
    const char *names[SASL_MECHANISM_COUNT];
    size_t count;
    bool has;
    str bytes, name = xml_attr(node, STR("mechanism"), arena);
    c2s_auth_free(c2s); /* §6.4.2: a second <auth/> starts anew */
    c2s_offer(c2s, arena, names, &count);
    if (!is_among(names, count, name)) {
        bool plain = str_is(name, "PLAIN") && !conn_is_secure(&c2s->conn);
        failed(c2s, plain ? SASL_ENCRYPTION_REQUIRED : SASL_INVALID_MECHANISM);
        return;
    }
    if (!read_data(node, arena, &has, &bytes)) {
        failed(c2s, SASL_INCORRECT_ENCODING);
        return;
    }
    prepare(c2s, (enum sasl_mechanism)sasl_mechanism_named(name), names, count);
    advance(c2s, sasl_server_start(&c2s->login->sasl, has, arena_str(&c2s->login->arena, bytes)));
}

static void response(struct c2s *c2s, const struct xml_node *node)
{
    bool has;
    str bytes;
    if (!c2s->login)
        failed(c2s, SASL_MALFORMED_REQUEST);
    else if (!read_data(node, &c2s->link.shard->arena, &has, &bytes))
        failed(c2s, SASL_INCORRECT_ENCODING);
    else
        advance(c2s, sasl_server_response(&c2s->login->sasl, arena_str(&c2s->login->arena, bytes)));
}

bool c2s_auth_element(struct c2s *c2s, const struct xml_node *node)
{
    if (!str_is(node->ns, NS_SASL))
        return false;
    if (str_is(node->name, "auth"))
        auth(c2s, node);
    else if (str_is(node->name, "response"))
        response(c2s, node);
    else if (str_is(node->name, "abort"))
        failed(c2s, SASL_ABORTED);
    else
        return false;
    return true;
}
