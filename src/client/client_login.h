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
    CLIENT_SASL2,     /* the same, of XEP-0388 */
    CLIENT_COMPRESS,  /* waits for the answer to <compress/> */
    CLIENT_SQUEEZING, /* it was <compressed/>: what stands behind it is */
    CLIENT_RESUME,    /* waits for the answer to <resume/> */
    CLIENT_BIND,      /* waits for the JID */
    CLIENT_SESSION,   /* waits for the session that an old server wants (RFC 3921 section 3) */
    CLIENT_HANDSHAKE, /* of a component: waits for the answer to the handshake */
    CLIENT_READY,
    CLIENT_CLOSING,
};

/* What a login needs: one heap block that is wiped and freed when it is over. */
struct client_login {
    struct arena arena;
    struct sasl_client sasl;
    char nonce[25];
    bool authenticated;
    bool early; /* a request was sent with the stream header */
    bool wants_session;
    struct xml_node features, authentication; /* with `instant`, or to resume: what the server offers */
};

/* Chooses the strongest mechanism of a list that stands in these features, and begins it: login->sasl.out is
 * the initial response. False: the client has ended. */
bool client_login_choose(struct client *client, const struct xml_node *list, const struct xml_node *features);

/* client_instant.c: with a token, a request right behind the stream header; false: nothing was sent. */
bool client_instant_early(struct client *client);
bool client_instant_offered(struct client *client, const struct xml_node *features);
void client_instant_authenticate(struct client *client, const struct xml_node *features);
void client_instant_element(struct client *client, const struct xml_node *node);

/* Asks for the resource; the features are those of the authenticated stream. */
void client_login_bind(struct client *client, const struct xml_node *features);

/* client_resume.c: asks for the session of before; false: there is none, or the server does not resume. */
bool client_resume_ask(struct client *client, const struct xml_node *features);
void client_resume_element(struct client *client, const struct xml_node *node);

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
