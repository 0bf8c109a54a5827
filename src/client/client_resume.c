/* SPDX-License-Identifier: MIT */
/* Taking up the session of a stream that broke (XEP-0198 §5). A server that has it no more says so, and a
 * resource is bound on the same stream. */
#include "client/client_login.h"
#include "xml/write.h"

bool client_resume_ask(struct client *client, const struct xml_node *features)
{
    struct client_resumption *resumption = client->resumption;
    struct xml_node offer;
    if (!resumption)
        return false;
    resumption->resumed = false;
    if (!*resumption->id || !xml_child(features, STR("sm"), STR(NS_SM), &offer))
        return false;
    struct client_login *login = client->_login;
    struct buf *out = conn_out(&client->_conn);
    xml_keep(features, &login->arena, &login->features);
    xml_write_open(out, "resume", STR(NS_SM));
    xml_write_attr(out, "previd", str_from(resumption->id));
    buf_addf(out, " h='%u'/>", resumption->handled);
    conn_wrote(&client->_conn);
    client->_state = CLIENT_RESUME;
    return true;
}

void client_resume_element(struct client *client, const struct xml_node *node)
{
    struct client_resumption *resumption = client->resumption;
    uint64_t acknowledged;
    if (xml_is(node, STR("failed"), STR(NS_SM))) {
        *resumption->id = '\0';
        client_login_bind(client, &client->_login->features);
    } else if (xml_is(node, STR("resumed"), STR(NS_SM)) &&
               str_to_u64(xml_attr(node, STR("h"), &client->_login->arena), UINT32_MAX, &acknowledged)) {
        resumption->acknowledged = (uint32_t)acknowledged;
        resumption->resumed = true;
        client_enter(client);
    } else
        client_end(client, ERR_SYNTAX, STR("not-resumed"));
}
