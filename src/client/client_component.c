/* SPDX-License-Identifier: MIT */
/* The stream of an external component, seen from the component (XEP-0114 §3): a header with our domain, the
 * proof made of the id in the server's header, and the server's word that it was taken. No features, no
 * resource. The server is believed to be who it is: the protocol has no means to find out, so the connection
 * must be one that nobody else can answer (the same machine, a tunnel, or direct TLS). */
#include "client/client_login.h"

#include "base/mem.h"
#include "xml/write.h"
#include "xmpp/handshake.h"
#include "xmpp/ns.h"

void client_component_open(struct client *client)
{
    struct buf *out = conn_out(&client->_conn);
    scanner_restart(&client->_scanner);
    buf_lit(out,
            "<?xml version='1.0'?><stream:stream xmlns='" NS_COMPONENT "' xmlns:stream='" NS_STREAMS "'");
    xml_write_attr(out, "to", str_from(client->_settings->domain));
    buf_add_char(out, '>');
    conn_wrote(&client->_conn);
    client->_state = CLIENT_HEADER;
}

void client_component_header(struct client *client, const struct xml_node *header)
{
    char proof[HANDSHAKE_LEN + 1];
    struct arena arena;
    arena_init(&arena, 1024);
    str id = xml_attr(header, STR("id"), &arena);
    bool good = id.len && str_is(header->ns, NS_STREAMS);
    client->_state = CLIENT_HANDSHAKE; /* without an id there is an error to wait for, or nothing */
    if (good) {
        handshake_make(id, client->password, proof);
        xml_write_element(conn_out(&client->_conn), "handshake", str_none, str_from(proof));
        conn_wrote(&client->_conn);
        mem_wipe(proof, sizeof proof);
    }
    arena_fini(&arena);
}

void client_component_element(struct client *client, const struct xml_node *node)
{
    if (!xml_is(node, STR("handshake"), STR(NS_COMPONENT))) {
        client_end(client, ERR_SYNTAX, STR("unexpected-element"));
        return;
    }
    client->_jid = str_dup(str_from(client->_settings->domain));
    client_enter(client);
}
