/* SPDX-License-Identifier: MIT */
/* Logging in: stream headers, STARTTLS, SASL, binding (RFC 6120 §4 to §7), each step an answer to what the
 * server's features or last element say.
 *
 * The strongest mechanism that both ends have is used, with channel binding where the channel has one that
 * the server knows (XEP-0440; without that list, tls-exporter on TLS 1.3 and tls-unique on 1.2, RFC 9266 §3).
 * PLAIN needs TLS unless the settings say otherwise. What was offered goes into SCRAM's check of it
 * (XEP-0474), so that nobody on the way can take the better mechanisms out of the list.
 *
 * Logins by SASL2 take another way in the middle: client_instant.c. Instead of binding, a session of before
 * may be resumed: client_resume.c.
 *
 * Sections: headers and features, mechanisms, SASL, compression, binding. */
#include "client/client_login.h"

#include "base/base64.h"
#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { ARENA_BLOCK = 4096, MECHANISMS_MAX = 32, BINDINGS_MAX = 8 };

static struct client_login *login_of(struct client *client)
{
    if (client->_login)
        return client->_login;
    client->_login = NEW(struct client_login);
    arena_init(&client->_login->arena, ARENA_BLOCK);
    return client->_login;
}

void client_login_free(struct client_login *login)
{
    if (!login)
        return;
    arena_fini(&login->arena);
    mem_wipe(login, sizeof *login);
    free(login);
}

/* ---- Headers and features */

void client_login_open(struct client *client)
{
    struct buf *out = conn_out(&client->_conn);
    scanner_restart(&client->_scanner);
    buf_lit(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAMS
                 "' version='1.0'");
    xml_write_attr(out, "to", str_from(client->_settings->domain));
    bool secure = conn_is_secure(&client->_conn) || client->_settings->tls == CLIENT_TLS_NONE;
    if (client->instant && secure) {
        str from = arena_printf(&login_of(client)->arena, "%.*s@%s", STR_ARGS(client->user),
                                client->_settings->domain);
        xml_write_attr(out, "from", from); /* XEP-0484 §4.1 */
    }
    buf_add_char(out, '>');
    conn_wrote(&client->_conn);
    client->_state = CLIENT_HEADER;
    if (client->instant && secure)
        client->_login->early = client_instant_early(client);
}

/* ---- Mechanisms */

struct offer {
    str names[MECHANISMS_MAX];
    size_t count;
    str bindings[BINDINGS_MAX];
    size_t binding_count;
    unsigned mask; /* of those that we know and may use */
    bool plus;     /* a -PLUS form is offered, whether we may use it or not */
};

enum { PLUS_MASK = 1 << SASL_SCRAM_SHA_512_PLUS | 1 << SASL_SCRAM_SHA_256_PLUS | 1 << SASL_SCRAM_SHA_1_PLUS };
enum {
    USABLE_MASK = PLUS_MASK | 1 << SASL_SCRAM_SHA_512 | 1 << SASL_SCRAM_SHA_256 | 1 << SASL_SCRAM_SHA_1 |
                  1 << SASL_PLAIN
};

static void read_mechanisms(struct client *client, const struct xml_node *list, struct offer *ret)
{
    struct xml_node item;
    const struct client_settings *settings = client->_settings;
    unsigned allowed = settings->mechanisms ? settings->mechanisms & USABLE_MASK : USABLE_MASK;
    if (!conn_is_secure(&client->_conn) && !settings->plain_in_clear)
        allowed &= ~(1u << SASL_PLAIN);
    for (bool more = xml_first(list, &item); more && ret->count < MECHANISMS_MAX; more = xml_next(&item)) {
        if (!str_is(item.name, "mechanism"))
            continue;
        str name = xml_text(&item, &client->_login->arena);
        int id = sasl_mechanism_named(name);
        ret->names[ret->count++] = name;
        ret->plus |= str_ends(name, STR("-PLUS"));
        if (id >= 0)
            ret->mask |= 1u << id & allowed;
    }
}

static void read_bindings(struct client *client, const struct xml_node *features, struct offer *ret)
{
    struct xml_node list, item;
    if (!xml_child(features, STR("sasl-channel-binding"), STR(NS_CHANNEL_BINDING), &list))
        return;
    for (bool more = xml_first(&list, &item); more && ret->binding_count < BINDINGS_MAX;
         more = xml_next(&item)) {
        str type = xml_attr(&item, STR("type"), &client->_login->arena);
        if (type.p)
            ret->bindings[ret->binding_count++] = type;
    }
}

static bool binding_announced(const struct offer *offer, str type)
{
    for (size_t i = 0; i < offer->binding_count; i++)
        if (str_eq(offer->bindings[i], type))
            return true;
    return false;
}

/* The best binding that this channel has and the server takes; false if there is none. */
static bool find_binding(struct client *client, const struct offer *offer, struct sasl_client *sasl)
{
    static const struct {
        str type;
        enum channel_binding kind;
        bool by_default; /* taken when the server announces no types */
    } kinds[] = {
        { STR_INIT("tls-exporter"), BINDING_TLS_EXPORTER, true },
        { STR_INIT("tls-unique"), BINDING_TLS_UNIQUE, true },
        { STR_INIT("tls-server-end-point"), BINDING_TLS_SERVER_END_POINT, false },
    };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (offer->binding_count ? !binding_announced(offer, kinds[i].type) : !kinds[i].by_default)
            continue;
        /* RFC 9266 §4.2: tls-exporter on TLS 1.2 needs an extension that not every peer has; tls-unique is
         * there. */
        if (kinds[i].kind == BINDING_TLS_EXPORTER && !offer->binding_count &&
            strcmp(conn_tls_version(&client->_conn), "TLSv1.3") != 0)
            continue;
        str data = conn_channel_binding(&client->_conn, kinds[i].kind, &client->_login->arena);
        if (!data.p)
            continue;
        sasl->binding_type = kinds[i].type;
        sasl->binding = data;
        return true;
    }
    return false;
}

/* The strongest of a set: the list of mechanisms is in that order. -1 if it is empty. */
static int strongest(unsigned mask)
{
    return mask ? __builtin_ctz(mask) : -1;
}

/* ---- SASL */

static void send_sasl(struct client *client, const char *name, const char *mechanism)
{
    struct client_login *login = client->_login;
    struct buf *out = conn_out(&client->_conn);
    xml_write_open(out, name, STR(NS_SASL));
    xml_write_attr(out, "mechanism", str_from(mechanism));
    buf_add_char(out, '>');
    base64_encode(out, login->sasl.out);
    buf_addf(out, "</%s>", name);
    conn_wrote(&client->_conn);
    client->_state = CLIENT_SASL;
}

bool client_login_choose(struct client *client, const struct xml_node *list, const struct xml_node *features)
{
    struct client_login *login = client->_login;
    struct sasl_client *sasl = &login->sasl;
    struct offer offer = { 0 };
    read_mechanisms(client, list, &offer);
    read_bindings(client, features, &offer);
    rand_token(login->nonce, sizeof login->nonce);
    *sasl = (struct sasl_client){
        .user = client->user,
        .password = client->password,
        .nonce = str_from(login->nonce),
        .server_has_plus = offer.plus,
        .offered_mechanisms = sasl_offer(offer.names, offer.count, &login->arena),
        .offered_bindings = sasl_offer(offer.bindings, offer.binding_count, &login->arena),
        .arena = &login->arena,
        .cache = client->cache,
    };
    sasl->can_bind = find_binding(client, &offer, sasl);
    int mechanism = strongest(sasl->can_bind ? offer.mask : offer.mask & ~(unsigned)PLUS_MASK);
    if (mechanism < 0) {
        client_end(client, ERR_UNSUPPORTED, STR("no-mechanism"));
        return false;
    }
    sasl->mechanism = (enum sasl_mechanism)mechanism;
    /* The owner allowed the plain forms alone: then we cannot bind, as far as the server is concerned. */
    if (!(1u << mechanism & PLUS_MASK) && offer.plus)
        sasl->can_bind = false;
    if (sasl_client_start(sasl) != SASL_FAILED)
        return true;
    client_end(client, ERR_INVALID, STR("bad-credentials"));
    return false;
}

static void authenticate(struct client *client, const struct xml_node *features)
{
    struct xml_node list;
    if (!xml_child(features, STR("mechanisms"), STR(NS_SASL), &list))
        client_end(client, ERR_UNSUPPORTED, STR("no-mechanism"));
    else if (client_login_choose(client, &list, features))
        send_sasl(client, "auth", sasl_mechanism_name(client->_login->sasl.mechanism));
}

/* The data of a challenge or of success. False if it is no base64. "=" is data of no bytes (RFC 6120 §6.4.2).
 */
static bool sasl_data(struct client *client, const struct xml_node *node, bool *ret_has, str *ret)
{
    str text = str_trim(xml_text(node, &client->_login->arena));
    *ret_has = text.len > 0;
    if (text.len && !str_is(text, "="))
        return base64_decode(&client->_login->arena, text, ret);
    *ret = STR("");
    return true;
}

static void sasl_failed(struct client *client, const struct xml_node *node)
{
    struct xml_node condition;
    str reason = xml_first(node, &condition) ? condition.name : STR("failure");
    if (client->cache)
        mem_wipe(client->cache, sizeof *client->cache);
    client_end(client, ERR_PERMISSION, reason);
}

static void sasl_element(struct client *client, const struct xml_node *node)
{
    struct sasl_client *sasl = &client->_login->sasl;
    bool has_data;
    str data;
    if (!str_is(node->ns, NS_SASL))
        client_end(client, ERR_SYNTAX, STR("unexpected-element"));
    else if (str_is(node->name, "failure"))
        sasl_failed(client, node);
    else if (!sasl_data(client, node, &has_data, &data))
        client_end(client, ERR_SYNTAX, STR("incorrect-encoding"));
    else if (str_is(node->name, "challenge") && sasl_client_challenge(sasl, data) == SASL_CHALLENGE)
        send_sasl(client, "response", NULL);
    else if (str_is(node->name, "success") && sasl_client_success(sasl, has_data, data) == SASL_DONE) {
        client->_login->authenticated = true;
        client_login_open(client);
    } else
        client_end(client, ERR_PERMISSION, STR("server-not-authenticated"));
}

/* ---- Compression (XEP-0138) */

static void ask_for_compression(struct client *client, const struct xml_node *features)
{
    struct xml_node offer, method;
    bool found = xml_child(features, STR("compression"), STR(NS_COMPRESS_FEATURE), &offer);
    for (bool more = found && xml_first(&offer, &method); more; more = xml_next(&method)) {
        if (!str_is(str_trim(xml_text(&method, &client->_login->arena)), "zlib"))
            continue;
        conn_write(&client->_conn, STR("<compress xmlns='" NS_COMPRESS "'><method>zlib</method></compress>"));
        client->_state = CLIENT_COMPRESS;
        return;
    }
    client_end(client, ERR_UNSUPPORTED, STR("no-compression"));
}

static void compress_element(struct client *client, const struct xml_node *node)
{
    struct xml_node condition;
    if (xml_is(node, STR("compressed"), STR(NS_COMPRESS)))
        client->_state = CLIENT_SQUEEZING;
    else
        client_end(client, ERR_REFUSED,
                   xml_first(node, &condition) ? condition.name : STR("compression-refused"));
}

/* ---- Binding */

void client_login_bind(struct client *client, const struct xml_node *features)
{
    struct buf *out;
    struct xml_node session, optional;
    if (!xml_child(features, STR("bind"), STR(NS_BIND), &session)) {
        client_end(client, ERR_UNSUPPORTED, STR("no-bind"));
        return;
    }
    client->_login->wants_session = xml_child(features, STR("session"), STR(NS_SESSION), &session) &&
                                    !xml_child(&session, STR("optional"), str_none, &optional);
    out = conn_out(&client->_conn);
    buf_lit(out, "<iq type='set' id='bind'><bind xmlns='" NS_BIND "'>");
    if (client->resource.p)
        xml_write_element(out, "resource", str_none, client->resource);
    buf_lit(out, "</bind></iq>");
    conn_wrote(&client->_conn);
    client->_state = CLIENT_BIND;
}

static void refused(struct client *client, const struct xml_node *iq)
{
    struct xml_node error, condition;
    bool known = xml_child(iq, STR("error"), str_none, &error) && xml_first(&error, &condition);
    client_end(client, ERR_REFUSED, known ? condition.name : STR("bind-refused"));
}

/* The answer to bind or session. */
static void bind_element(struct client *client, const struct xml_node *iq)
{
    struct arena *arena = &client->_login->arena;
    struct xml_node bind;
    str id = xml_attr(iq, STR("id"), arena), type = xml_attr(iq, STR("type"), arena);
    if (!str_is(iq->name, "iq") || !str_is(id, "bind"))
        return; /* nothing that we wait for */
    if (!str_is(type, "result")) {
        refused(client, iq);
        return;
    }
    if (client->_state == CLIENT_BIND) {
        str jid = xml_child(iq, STR("bind"), STR(NS_BIND), &bind)
                      ? xml_child_text(&bind, STR("jid"), STR(NS_BIND), arena)
                      : str_none;
        if (!jid.p) {
            client_end(client, ERR_SYNTAX, STR("no-jid"));
            return;
        }
        client->_jid = str_dup(jid);
    }
    if (client->_state == CLIENT_BIND && client->_login->wants_session) {
        conn_write(&client->_conn, STR("<iq type='set' id='bind'><session xmlns='" NS_SESSION "'/></iq>"));
        client->_state = CLIENT_SESSION;
        return;
    }
    client_enter(client);
}

/* ---- The steps */

/* What is offered is kept: for the password, when a token is refused. */
static void log_in_instantly(struct client *client, const struct xml_node *features)
{
    struct client_login *login = client->_login;
    xml_keep(features, &login->arena, &login->features);
    xml_child(&login->features, STR("authentication"), str_none, &login->authentication);
    if (login->early)
        client->_state = CLIENT_SASL2;
    else
        client_instant_authenticate(client, &login->features);
}

static void features_element(struct client *client, const struct xml_node *features)
{
    struct xml_node starttls;
    if (!str_is(features->name, "features") || !str_is(features->ns, NS_STREAMS)) {
        client_end(client, ERR_SYNTAX, STR("no-features"));
    } else if (client->_settings->tls == CLIENT_TLS_STARTTLS && !conn_is_secure(&client->_conn)) {
        if (!xml_child(features, STR("starttls"), STR(NS_TLS), &starttls)) {
            client_end(client, ERR_UNSUPPORTED, STR("no-starttls"));
            return;
        }
        conn_write(&client->_conn, STR("<starttls xmlns='" NS_TLS "'/>"));
        client->_state = CLIENT_STARTTLS;
    } else if (client->_login->authenticated && client->_jid) {
        client_enter(client);
    } else if (client->_login->authenticated && client->_settings->compress &&
               !conn_is_compressed(&client->_conn)) {
        ask_for_compression(client, features);
    } else if (client->_login->authenticated) {
        if (!client_resume_ask(client, features))
            client_login_bind(client, features);
    } else if (client_instant_offered(client, features)) {
        log_in_instantly(client, features);
    } else {
        authenticate(client, features);
    }
}

void client_login_element(struct client *client, const struct xml_node *node)
{
    login_of(client);
    switch ((enum client_state)client->_state) {
    case CLIENT_FEATURES:
        features_element(client, node);
        return;
    case CLIENT_STARTTLS:
        if (str_is(node->name, "proceed") && str_is(node->ns, NS_TLS))
            client_secure(client);
        else
            client_end(client, ERR_TLS, STR("starttls-refused"));
        return;
    case CLIENT_SASL:
        sasl_element(client, node);
        return;
    case CLIENT_SASL2:
        client_instant_element(client, node);
        return;
    case CLIENT_COMPRESS:
        compress_element(client, node);
        return;
    case CLIENT_RESUME:
        client_resume_element(client, node);
        return;
    case CLIENT_BIND:
    case CLIENT_SESSION:
        bind_element(client, node);
        return;
    default:
        client_end(client, ERR_SYNTAX, STR("unexpected-element"));
    }
}
