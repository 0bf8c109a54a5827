/* SPDX-License-Identifier: MIT */
/* From a connection to a bound stream: private to src/client. */
#ifndef CLIENT_CLIENT_LOGIN_H
#define CLIENT_CLIENT_LOGIN_H

#include "client/client.h"

enum client_state {
    CLIENT_ENDED, /* nothing is held; zeroed memory is that */
    CLIENT_CONNECTING,
    CLIENT_SECURING,
    CLIENT_HEADER,    /* waits for the server's stream header */
    CLIENT_FEATURES,  /* waits for stream features */
    CLIENT_STARTTLS,  /* waits for proceed */
    CLIENT_SASL,      /* waits for a challenge or the outcome */
    CLIENT_BIND,      /* waits for the JID */
    CLIENT_SESSION,   /* waits for the session that an old server wants (RFC 3921 section 3) */
    CLIENT_HANDSHAKE, /* of a component: waits for the answer to the handshake */
    CLIENT_READY,
    CLIENT_CLOSING,
};

/* The connection stands, or was secured: opens a stream. */
void client_login_open(struct client *client);

/* An element that came before `ready`. The client may have ended when it returns. */
void client_login_element(struct client *client, const struct xml_node *node);

/* client_component.c: the same for a component, and the server's stream header. */
void client_component_open(struct client *client);
void client_component_header(struct client *client, const struct xml_node *header);
void client_component_element(struct client *client, const struct xml_node *node);

void client_login_free(struct client_login *login); /* NULL is allowed */

/* ---- What client.c does for it */

/* Notes why and ends the stream in order. */
void client_end(struct client *client, enum err why, str reason);

/* Begins TLS. */
void client_secure(struct client *client);

/* Logged in: tells the owner. */
void client_enter(struct client *client);

#endif
