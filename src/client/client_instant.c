/* SPDX-License-Identifier: MIT */
/* Logging in with one element: SASL2 (XEP-0388), the resource bound with it (XEP-0386), and a token of the
 * server's (XEP-0484) in place of the password from the second time on.
 *
 * With a token the request leaves together with the stream header: what the server offers was seen when it
 * gave the token. So there is one round trip from TLS to a session. A token that is refused is forgotten, and
 * the password used on the same stream, as on the first time. */
#include "client/client_login.h"

#include "base/base64.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#define NS_SASL2 "urn:xmpp:sasl:2"
#define NS_BIND2 "urn:xmpp:bind:0"
#define NS_FAST  "urn:xmpp:fast:0"

/* What the channel has for this mechanism; false: not to be had. */
static bool bind_to_channel(struct client *client, enum sasl_mechanism mechanism, struct sasl_client *sasl)
{
    str type = sasl_ht_binding(mechanism);
    enum channel_binding kind = str_is(type, "tls-exporter")           ? BINDING_TLS_EXPORTER
                                : str_is(type, "tls-server-end-point") ? BINDING_TLS_SERVER_END_POINT
                                                                       : BINDING_TLS_UNIQUE;
    sasl->binding_type = type;
    if (!type.len)
        return true;
    if (conn_is_secure(&client->_conn))
        sasl->binding = conn_channel_binding(&client->_conn, kind, &client->_login->arena);
    return sasl->binding.len > 0;
}

/* The best token that the server gives and this channel can use; -1 for none. */
static int choose_token(struct client *client, const struct xml_node *authentication)
{
    struct xml_node inner, fast, item;
    struct sasl_client probe = { 0 };
    int best = -1;
    if (!xml_child(authentication, STR("inline"), STR(NS_SASL2), &inner) ||
        !xml_child(&inner, STR("fast"), STR(NS_FAST), &fast))
        return -1;
    for (bool more = xml_first(&fast, &item); more; more = xml_next(&item)) {
        int id = sasl_mechanism_named(xml_text(&item, &client->_login->arena));
        if (id >= 0 && sasl_is_token((enum sasl_mechanism)id) && (best < 0 || id < best) &&
            bind_to_channel(client, (enum sasl_mechanism)id, &probe))
            best = id;
    }
    return best;
}

/* `wanted`: the mechanism of the token to ask for, or -1. */
static void send_request(struct client *client, int wanted)
{
    const struct client_instant *instant = client->instant;
    const struct sasl_client *sasl = &client->_login->sasl;
    struct buf *out = conn_out(&client->_conn);
    xml_write_open(out, "authenticate", STR(NS_SASL2));
    xml_write_attr(out, "mechanism", str_from(sasl_mechanism_name(sasl->mechanism)));
    buf_lit(out, "><initial-response>");
    base64_encode(out, sasl->out);
    buf_lit(out, "</initial-response><user-agent");
    xml_write_attr(out, "id", str_from(instant->id));
    buf_lit(out, "/><bind xmlns='" NS_BIND2 "'>");
    if (client->resource.p)
        xml_write_element(out, "tag", str_none, client->resource);
    if (instant->inside)
        buf_add(out, str_from(instant->inside));
    buf_lit(out, "</bind>");
    if (sasl_is_token(sasl->mechanism))
        buf_lit(out, "<fast xmlns='" NS_FAST "'/>");
    if (wanted >= 0)
        buf_addf(out, "<request-token xmlns='" NS_FAST "' mechanism='%s'/>",
                 sasl_mechanism_name((enum sasl_mechanism)wanted));
    buf_lit(out, "</authenticate>");
    conn_wrote(&client->_conn);
}

bool client_instant_early(struct client *client)
{
    struct client_login *login = client->_login;
    const struct client_instant *instant = client->instant;
    if (!instant || !*instant->token)
        return false;
    login->sasl = (struct sasl_client){ .mechanism = instant->mechanism,
                                        .user = client->user,
                                        .password = str_from(instant->token),
                                        .arena = &login->arena };
    if (!bind_to_channel(client, instant->mechanism, &login->sasl) ||
        sasl_client_start(&login->sasl) != SASL_CHALLENGE)
        return false;
    send_request(client, -1);
    return true;
}

bool client_instant_offered(struct client *client, const struct xml_node *features)
{
    struct xml_node list;
    return client->instant && xml_child(features, STR("authentication"), STR(NS_SASL2), &list);
}

/* With the password; the mechanism is chosen and begun. */
void client_instant_authenticate(struct client *client, const struct xml_node *features)
{
    struct xml_node list;
    xml_child(features, STR("authentication"), STR(NS_SASL2), &list);
    if (!client_login_choose(client, &list, features))
        return;
    send_request(client, choose_token(client, &list));
    client->_state = CLIENT_SASL2;
}

/* ---- The answer */

static void refused(struct client *client, const struct xml_node *node)
{
    struct client_login *login = client->_login;
    struct xml_node condition;
    if (sasl_is_token(login->sasl.mechanism) && login->features.name.p) {
        mem_wipe(client->instant->token, sizeof client->instant->token);
        client_instant_authenticate(client, &login->features);
        return;
    }
    if (client->cache)
        mem_wipe(client->cache, sizeof *client->cache);
    client_end(client, ERR_PERMISSION, xml_first(node, &condition) ? condition.name : STR("failure"));
}

static void take_token(struct client *client, const struct xml_node *success)
{
    struct client_instant *instant = client->instant;
    struct client_login *login = client->_login;
    struct xml_node token;
    if (!xml_child(success, STR("token"), STR(NS_FAST), &token))
        return;
    str text = xml_attr(&token, STR("token"), &login->arena);
    if (!text.len || text.len >= sizeof instant->token)
        return;
    if (!sasl_is_token(login->sasl.mechanism)) {
        int mechanism = choose_token(client, &login->authentication);
        if (mechanism < 0)
            return;
        instant->mechanism = (enum sasl_mechanism)mechanism;
    }
    str_copy(text, instant->token, sizeof instant->token);
}

static void succeeded(struct client *client, const struct xml_node *node)
{
    struct client_login *login = client->_login;
    struct xml_node data, bound;
    str proof = STR("");
    bool has = xml_child(node, STR("additional-data"), STR(NS_SASL2), &data);
    if ((has && !base64_decode(&login->arena, str_trim(xml_text(&data, &login->arena)), &proof)) ||
        sasl_client_success(&login->sasl, has, proof) != SASL_DONE) {
        client_end(client, ERR_PERMISSION, STR("server-not-authenticated"));
        return;
    }
    login->authenticated = true;
    take_token(client, node);
    str jid = str_trim(xml_child_text(node, STR("authorization-identifier"), STR(NS_SASL2), &login->arena));
    if (xml_child(node, STR("bound"), STR(NS_BIND2), &bound) && jid.len)
        client->_jid = str_dup(jid);
    client->_state = CLIENT_FEATURES; /* which follow at once */
}

static void challenged(struct client *client, const struct xml_node *node)
{
    struct client_login *login = client->_login;
    struct buf *out = conn_out(&client->_conn);
    str data = STR(""), text = str_trim(xml_text(node, &login->arena));
    if ((text.len && !base64_decode(&login->arena, text, &data)) ||
        sasl_client_challenge(&login->sasl, data) != SASL_CHALLENGE) {
        client_end(client, ERR_PERMISSION, STR("server-not-authenticated"));
        return;
    }
    buf_lit(out, "<response xmlns='" NS_SASL2 "'>");
    base64_encode(out, login->sasl.out);
    buf_lit(out, "</response>");
    conn_wrote(&client->_conn);
}

void client_instant_element(struct client *client, const struct xml_node *node)
{
    if (!xml_is(node, node->name, STR(NS_SASL2)))
        client_end(client, ERR_SYNTAX, STR("unexpected-element"));
    else if (str_is(node->name, "challenge"))
        challenged(client, node);
    else if (str_is(node->name, "success"))
        succeeded(client, node);
    else
        refused(client, node);
}
