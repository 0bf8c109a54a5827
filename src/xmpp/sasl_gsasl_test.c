/* SPDX-License-Identifier: MIT */
/* Our ends of SASL against an independent peer: GNU SASL's client with our server, our client with its
 * server. */
#include "xmpp/sasl.h"

#include "base/base64.h"
#include "xmpp/sasl_test_peer.h"
#include "xmpp/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <gsasl.h>

static const enum sasl_mechanism common[] = { SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_1_PLUS,
                                              SASL_SCRAM_SHA_256_PLUS, SASL_PLAIN };

static const char *their_password;

static int validate(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    (void)context;
    if (property != GSASL_PASSWORD)
        return GSASL_NO_CALLBACK;
    return gsasl_property_set(session, GSASL_PASSWORD, their_password);
}

static Gsasl_session *their_end(Gsasl *gsasl, enum sasl_mechanism mechanism, bool client,
                                const char *password)
{
    Gsasl_session *session;
    const char *name = sasl_mechanism_name(mechanism);
    int rc = client ? gsasl_client_start(gsasl, name, &session) : gsasl_server_start(gsasl, name, &session);
    assert_int_equal(rc, GSASL_OK);
    their_password = password;
    gsasl_property_set(session, GSASL_AUTHID, "alice");
    gsasl_property_set(session, GSASL_PASSWORD, password);
    if (scram_is_plus(mechanism))
        gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, base64_encode_arena(&arena, STR(PEER_EXPORTER)).p);
    return session;
}

/* Their next message for ours, in the arena. */
static int step(Gsasl_session *session, str in, str *ret)
{
    char *out = NULL;
    size_t len = 0;
    str terminated = arena_str(&arena, in.p ? in : STR(""));
    int rc = gsasl_step(session, terminated.p, terminated.len, &out, &len);
    *ret = arena_str(&arena, str_of(out ? out : "", len));
    gsasl_free(out);
    return rc;
}

static bool their_client_logs_in(Gsasl *gsasl, enum sasl_mechanism mechanism, const char *password)
{
    Gsasl_session *session = their_end(gsasl, mechanism, true, password);
    struct sasl_server server = peer_server(mechanism);
    server.plus_offered = scram_is_plus(mechanism);
    server.offered_mechanisms = STR("PLAIN"); /* an attribute that they do not know is to be ignored */
    str out;
    int rc = step(session, str_none, &out);
    enum sasl_status status = peer_serve(&server, sasl_server_start(&server, true, out));
    for (int round = 0; status == SASL_CHALLENGE && round < 4; round++) {
        rc = step(session, server.out, &out);
        assert_true(rc == GSASL_OK || rc == GSASL_NEEDS_MORE);
        status = peer_serve(&server, sasl_server_response(&server, out));
    }
    if (status == SASL_DONE && server.has_out)
        rc = step(session, server.out, &out); /* they check our signature */
    gsasl_finish(session);
    return status == SASL_DONE && rc == GSASL_OK;
}

static bool our_client_logs_in(Gsasl *gsasl, enum sasl_mechanism mechanism, str password)
{
    Gsasl_session *session = their_end(gsasl, mechanism, false, "pencil");
    struct sasl_client client = {
        .mechanism = mechanism,
        .user = STR("alice"),
        .password = password,
        .nonce = STR("client-nonce-0123456789"),
        .binding_type = STR("tls-exporter"),
        .binding = STR(PEER_EXPORTER),
        .arena = &arena,
    };
    str in;
    enum sasl_status status = sasl_client_start(&client);
    int rc = step(session, client.out, &in);
    for (int round = 0; rc == GSASL_NEEDS_MORE && status == SASL_CHALLENGE && round < 4; round++) {
        status = sasl_client_challenge(&client, in);
        rc = status == SASL_CHALLENGE ? step(session, client.out, &in) : GSASL_AUTHENTICATION_ERROR;
    }
    if (rc == GSASL_OK)
        status = sasl_client_success(&client, in.len > 0, in);
    gsasl_finish(session);
    return rc == GSASL_OK && status == SASL_DONE;
}

static void both_ways(void **state)
{
    (void)state;
    Gsasl *gsasl;
    assert_int_equal(gsasl_init(&gsasl), GSASL_OK);
    gsasl_callback_set(gsasl, validate);
    for (size_t i = 0; i < COUNT_OF(common); i++) {
        if (!gsasl_client_support_p(gsasl, sasl_mechanism_name(common[i])))
            fail_msg("the peer has no %s", sasl_mechanism_name(common[i]));
        assert_true(their_client_logs_in(gsasl, common[i], "pencil"));
        assert_false(their_client_logs_in(gsasl, common[i], "wrong"));
        assert_true(our_client_logs_in(gsasl, common[i], STR("pencil")));
        assert_false(our_client_logs_in(gsasl, common[i], STR("wrong")));
    }
    gsasl_done(gsasl);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(both_ways, peer_setup,
                                                                        peer_teardown) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
