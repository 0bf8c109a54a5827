/* SPDX-License-Identifier: MIT */
/* For the tests: a server with one account, alice@example.com with the password "pencil". */
#ifndef XMPP_SASL_TEST_PEER_H
#define XMPP_SASL_TEST_PEER_H

#include "xmpp/sasl.h"

#include "base/mem.h"

#define PEER_EXPORTER "exporter data of thirty-two bytes"

static struct arena arena;
static struct scram_keys peer_keys; /* made once: hashing is slow */

static int peer_setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    if (!peer_keys.key[0].iterations)
        scram_keys_make(STR("pencil"), STR("0123456789abcdef"), 4096, &peer_keys);
    return 0;
}

static int peer_teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static inline str peer_binding(struct sasl_server *server, str type)
{
    (void)server;
    return str_is(type, "tls-exporter") ? STR(PEER_EXPORTER) : str_none;
}

static inline struct sasl_server peer_server(enum sasl_mechanism mechanism)
{
    return (struct sasl_server){
        .mechanism = mechanism,
        .host = STR("example.com"),
        .nonce = STR("server-nonce-0123456789"),
        .binding = peer_binding,
        .arena = &arena,
    };
}

/* Gives the server what it asks for, as its owner does. */
static inline enum sasl_status peer_serve(struct sasl_server *server, enum sasl_status status)
{
    if (status == SASL_WANT_KEYS) {
        struct scram_keys keys = peer_keys;
        bool known = str_is(server->authcid, "alice");
        if (!known)
            scram_keys_fake(STR("server secret"), server->authcid, 4096, &keys);
        status = sasl_server_keys(server, &keys, known);
    }
    if (status == SASL_WANT_WORK) {
        sasl_server_work(server);
        status = sasl_server_worked(server);
    }
    return status;
}

#endif
