/* SPDX-License-Identifier: MIT */
/* The profile of SASL for XMPP that takes everything in one step (XEP-0388): what the client sends until it
 * is authenticated, and the tasks behind a proof, of which we have those that add missing keys to an account
 * (XEP-0480).
 *
 * A request is read when it comes and kept as it is; nothing in it is done before the client has proved who
 * it is (§2.6.2). What is done then, resumption or binding and the tokens of XEP-0484, has to be done at the
 * user's home: c2s_sasl2_home.c. The exchange itself is that of c2s_auth.c.
 *
 * Upgrade tasks are offered to everybody, since an offer that depended on the account would tell who has one;
 * who asks for one that the account does not need is not given it. The client's salted password can't be
 * checked against the keys that are there; who proved them may replace them anyway. */
#include "server/c2s/c2s_auth.h"

#include "base/base64.h"
#include "base/log.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <ctype.h>
#include <stdlib.h>

void c2s_sasl2_free(struct sasl2 *request)
{
    if (!request)
        return;
    arena_fini(&request->arena);
    mem_wipe(request, sizeof *request);
    free(request);
}

void c2s_sasl2_write_data(struct buf *out, const char *name, str bytes)
{
    buf_addf(out, "<%s xmlns='" NS_SASL2 "'>", name);
    base64_encode(out, bytes);
    buf_addf(out, "</%s>", name);
}

/* ---- Tasks (XEP-0388 §2.6.3, XEP-0480)
 * ---------------------------------------------------------------------------------- */

static const struct {
    str name;
    enum digest digest;
} tasks[] = { { STR_INIT("UPGR-SCRAM-SHA-256"), DIGEST_SHA256 },
              { STR_INIT("UPGR-SCRAM-SHA-512"), DIGEST_SHA512 } };

static size_t next_task(const struct sasl2 *request)
{
    size_t at = 0;
    while (at < COUNT_OF(tasks) && !(request->upgrades >> tasks[at].digest & 1))
        at++;
    return at;
}

/* Those that were asked for, less those that the account has no need of. */
static void read_upgrades(struct sasl2 *request)
{
    struct xml_node child;
    for (bool more = xml_first(&request->authenticate, &child); more; more = xml_next(&child)) {
        if (!xml_is(&child, STR("upgrade"), STR(NS_UPGRADE)))
            continue;
        str name = str_trim(xml_text(&child, &request->arena));
        for (size_t i = 0; i < COUNT_OF(tasks); i++)
            if (str_eq(name, tasks[i].name) && !request->keys.key[tasks[i].digest].iterations)
                request->upgrades |= 1u << tasks[i].digest;
    }
}

static void go_on(struct c2s *c2s)
{
    struct sasl2 *request = c2s->sasl2;
    struct buf *out = conn_out(&c2s->conn);
    size_t task = next_task(request);
    if (task == COUNT_OF(tasks)) {
        request->step = SASL2_DONE;
        c2s_sasl2_finish(c2s);
        return;
    }
    request->step = SASL2_NEXT;
    buf_lit(out, "<continue xmlns='" NS_SASL2 "'>");
    if (request->has_out) {
        buf_lit(out, "<additional-data>");
        base64_encode(out, request->out);
        buf_lit(out, "</additional-data>");
        request->has_out = false;
    }
    buf_addf(out, "<tasks><task>%.*s</task></tasks></continue>", STR_ARGS(tasks[task].name));
    conn_wrote(&c2s->conn);
}

/* §2.4: who is authenticated is whom the stream's header came from, if that was said. */
static bool is_who_was_said(const struct c2s *c2s)
{
    str rest = str_from(c2s->wished ? c2s->wished : ""), local = str_cut(&rest, '@');
    return !rest.p || c2s->anonymous ||
           (str_eq(local, str_from(c2s->local)) && str_eq(rest, str_from(c2s->host->name)));
}

void c2s_sasl2_proved(struct c2s *c2s)
{
    struct sasl2 *request = c2s->sasl2;
    struct c2s_login *login = c2s->login;
    request->mechanism = login->sasl.mechanism;
    request->has_out = login->sasl.has_out;
    request->out = arena_str(&request->arena, login->sasl.out);
    c2s_auth_free(c2s);
    if (!is_who_was_said(c2s)) {
        c2s_auth_failed(c2s, SASL_INVALID_AUTHZID);
        return;
    }
    if (request->has_account && !sasl_is_token(request->mechanism))
        read_upgrades(request);
    go_on(c2s);
}

static void next(struct c2s *c2s, const struct xml_node *node)
{
    struct sasl2 *request = c2s->sasl2;
    struct arena *arena = &c2s->link.shard->arena;
    struct buf *out = conn_out(&c2s->conn);
    size_t task = next_task(request);
    if (!str_eq(xml_attr(node, STR("task"), arena), tasks[task].name)) {
        c2s_auth_failed(c2s, SASL_MALFORMED_REQUEST);
        return;
    }
    request->step = SASL2_HASH;
    const struct scram_key *key =
        scram_keys_prepare(&request->keys, tasks[task].digest, c2s_config(c2s)->c2s.scram_iterations);
    buf_addf(out, "<task-data xmlns='" NS_SASL2 "'><salt xmlns='" NS_SCRAM_UPGRADE "' iterations='%u'>",
             key->iterations);
    base64_encode(out, str_of((const char *)key->salt, key->salt_len));
    buf_lit(out, "</salt></task-data>");
    conn_wrote(&c2s->conn);
}

static void task_data(struct c2s *c2s, const struct xml_node *node)
{
    struct sasl2 *request = c2s->sasl2;
    struct arena *arena = &c2s->link.shard->arena;
    enum digest digest = tasks[next_task(request)].digest;
    str text = str_trim(xml_child_text(node, STR("hash"), STR(NS_SCRAM_UPGRADE), arena)), salted;
    if (!text.len || !base64_decode(arena, text, &salted) ||
        !scram_keys_complete(&request->keys, digest, salted)) {
        c2s_auth_failed(c2s, SASL_MALFORMED_REQUEST);
        return;
    }
    mem_wipe((char *)salted.p, salted.len);
    request->upgrades &= ~(1u << digest);
    request->upgraded = request->must_settle = true;
    go_on(c2s);
}

/* ---- The request (§2.4)
 * ------------------------------------------------------------------------------------------------ */

static bool is_true(str value)
{
    return str_is(value, "true") || str_is(value, "1");
}

/* The id, a UUID, in lower case. */
static bool read_client(str text, char *ret)
{
    if (text.len != FAST_CLIENT_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        unsigned char c = (unsigned char)text.p[i];
        if (dash ? c != '-' : !isxdigit(c))
            return false;
        ret[i] = (char)tolower(c);
    }
    ret[text.len] = '\0';
    return true;
}

/* The mechanism of the token that is asked for; -1 for none that we could give. */
static int wanted_token(struct c2s *c2s, const struct sasl2 *request)
{
    struct arena *arena = &c2s->link.shard->arena;
    const char *names[SASL_MECHANISM_COUNT];
    struct xml_node child;
    if (!*request->fast.client ||
        !xml_child(&request->authenticate, STR("request-token"), STR(NS_FAST), &child))
        return -1;
    str name = xml_attr(&child, STR("mechanism"), arena);
    for (size_t count = c2s_fast_offer(c2s, names); count--;)
        if (str_eq(name, str_from(names[count])))
            return sasl_mechanism_named(name);
    return -1;
}

/* XEP-0484 §3.4: a token is used with a client's id and an element that says so. */
static bool read_fast(struct c2s *c2s, struct sasl2 *request, bool uses)
{
    struct arena *arena = &c2s->link.shard->arena;
    struct fast_request *fast = &request->fast;
    struct xml_node child;
    fast->wanted = wanted_token(c2s, request);
    if (!xml_child(&request->authenticate, STR("fast"), STR(NS_FAST), &child))
        return !uses;
    str count = xml_attr(&child, STR("count"), arena);
    fast->uses = uses;
    fast->has_count = count.p != NULL;
    fast->invalidate = is_true(xml_attr(&child, STR("invalidate"), arena));
    return (!uses || *fast->client) && (!count.p || str_to_u64(count, INT64_MAX, &fast->count));
}

static bool read_request(struct c2s *c2s, struct sasl2 *request, bool uses_token)
{
    struct arena *arena = &c2s->link.shard->arena;
    struct xml_node agent;
    str id = xml_child(&request->authenticate, STR("user-agent"), STR(NS_SASL2), &agent)
                 ? xml_attr(&agent, STR("id"), arena)
                 : str_none;
    if (id.p && !read_client(id, request->fast.client))
        return false;
    return read_fast(c2s, request, uses_token);
}

static bool names_token(str mechanism)
{
    int id = sasl_mechanism_named(mechanism);
    return id >= 0 && sasl_is_token((enum sasl_mechanism)id);
}

static void authenticate(struct c2s *c2s, const struct xml_node *node)
{
    struct arena *arena = &c2s->link.shard->arena;
    struct sasl2 *request = NEW(struct sasl2);
    str initial, mechanism = xml_attr(node, STR("mechanism"), arena);
    arena_init(&request->arena, 2048);
    xml_keep(node, &request->arena, &request->authenticate);
    c2s->sasl2 = request;
    if (!read_request(c2s, request, names_token(mechanism))) {
        c2s_auth_failed(c2s, SASL_MALFORMED_REQUEST);
        return;
    }
    /* an empty element is an empty response, none is none (§2.3) */
    str text =
        str_trim(xml_child_text(&request->authenticate, STR("initial-response"), STR(NS_SASL2), arena));
    initial = STR("");
    bool has_initial = text.p != NULL, ok = !text.len || base64_decode(arena, text, &initial);
    if (text.len)
        memset((char *)text.p, 'A', text.len); /* the request outlives a password in it */
    if (ok)
        c2s_auth_begin(c2s, mechanism, has_initial, initial);
    else
        c2s_auth_failed(c2s, SASL_INCORRECT_ENCODING);
}

static void response(struct c2s *c2s, const struct xml_node *node)
{
    struct arena *arena = &c2s->link.shard->arena;
    str text = str_trim(xml_text(node, arena)), bytes = STR("");
    bool ok = !text.len || base64_decode(arena, text, &bytes);
    c2s_auth_respond(c2s, ok, bytes);
}

/* §2.5: whatever has no place at this step ends the stream; §5.7: so does a second request behind a proof. */
void c2s_sasl2_element(struct c2s *c2s, const struct xml_node *node)
{
    const struct sasl2 *request = c2s->sasl2;
    if (!request && str_is(node->name, "authenticate"))
        authenticate(c2s, node);
    else if (str_is(node->name, "abort"))
        c2s_auth_failed(c2s, SASL_ABORTED);
    else if (request && request->step == SASL2_EXCHANGE && str_is(node->name, "response"))
        response(c2s, node);
    else if (request && request->step == SASL2_NEXT && str_is(node->name, "next"))
        next(c2s, node);
    else if (request && request->step == SASL2_HASH && str_is(node->name, "task-data"))
        task_data(c2s, node);
    else
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "not at this step of a login");
}
