/* SPDX-License-Identifier: MIT */
/* The server's end of each mechanism, as sasl_server.c calls it, and what they share. Private to the SASL
 * files. */
#ifndef XMPP_SASL_MECHANISMS_H
#define XMPP_SASL_MECHANISMS_H

#include "xmpp/sasl.h"

/* Where an exchange stands (sasl_server._state). */
enum {
    SASL_STATE_FIRST,    /* the client's first message is to come */
    SASL_STATE_KEYS,     /* the owner looks for keys */
    SASL_STATE_RESPONSE, /* the client's answer to our challenge is to come */
    SASL_STATE_WORK,     /* the owner has the password hashed */
    SASL_STATE_ENDED,
};

enum sasl_status sasl_server_fail(struct sasl_server *server, enum sasl_failure failure);

/* Whether an authzid that was sent is the bare JID of authcid@host in normal form. */
bool sasl_server_may_act_as(struct sasl_server *server, str authzid);

enum sasl_status sasl_scram_first(struct sasl_server *server, str message);
enum sasl_status sasl_scram_keys(struct sasl_server *server);
enum sasl_status sasl_scram_final(struct sasl_server *server, str message);

enum sasl_status sasl_plain_first(struct sasl_server *server, str message);
enum sasl_status sasl_plain_keys(struct sasl_server *server);

enum sasl_status sasl_ht_first(struct sasl_server *server, str message);
enum sasl_status sasl_ht_tokens(struct sasl_server *server, const str *tokens, size_t count,
                                size_t *ret_index);
bool sasl_ht_client_start(struct sasl_client *client);
bool sasl_ht_client_proved(const struct sasl_client *client, str data);

enum sasl_status sasl_external_first(struct sasl_server *server, str authzid);
enum sasl_status sasl_anonymous_first(struct sasl_server *server, str trace);

#endif
