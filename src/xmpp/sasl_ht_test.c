/* SPDX-License-Identifier: MIT */
/* Hashed tokens: both ends against each other and against numbers made elsewhere, and what a hostile client
 * may try. */
#include "xmpp/sasl.h"

#include "base/base64.h"
#include "xmpp/sasl_test_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const enum sasl_mechanism mechanisms[] = { SASL_HT_SHA_256_EXPR, SASL_HT_SHA_256_ENDP,
                                                  SASL_HT_SHA_256_UNIQ, SASL_HT_SHA_256_NONE };

static str any_binding(struct sasl_server *server, str type)
{
    (void)server;
    return type.len ? STR(PEER_EXPORTER) : str_none;
}

static struct sasl_server ht_server(enum sasl_mechanism mechanism)
{
    struct sasl_server server = peer_server(mechanism);
    server.binding = any_binding;
    return server;
}

static struct sasl_client client_with(enum sasl_mechanism mechanism, str token)
{
    return (struct sasl_client){ .mechanism = mechanism,
                                 .user = STR("alice"),
                                 .password = token,
                                 .binding_type = sasl_ht_binding(mechanism),
                                 .binding = sasl_ht_binding(mechanism).len ? STR(PEER_EXPORTER) : STR(""),
                                 .arena = &arena };
}

static void both_ends_prove_the_token(void **state)
{
    (void)state;
    const str tokens[] = { STR_INIT("one"), STR_INIT("two") };
    for (size_t i = 0; i < COUNT_OF(mechanisms); i++) {
        struct sasl_server server = ht_server(mechanisms[i]);
        struct sasl_client client = client_with(mechanisms[i], tokens[i % 2]);
        size_t which = 9;
        assert_int_equal(sasl_client_start(&client), SASL_CHALLENGE);
        assert_int_equal(sasl_server_start(&server, true, client.out), SASL_WANT_TOKENS);
        assert_true(str_is(server.authcid, "alice"));
        assert_int_equal(sasl_server_tokens(&server, tokens, 2, &which), SASL_DONE);
        assert_int_equal(which, i % 2);
        assert_true(server.has_out);
        assert_int_equal(sasl_client_success(&client, server.has_out, server.out), SASL_DONE);
    }
}

/* HMAC-SHA-256 of "Initiator" and of "Responder" under the key "token". */
static void the_bytes_are_those_of_the_draft(void **state)
{
    (void)state;
    const str token = STR("token");
    size_t which;
    struct sasl_client client = client_with(SASL_HT_SHA_256_NONE, token);
    struct sasl_server server = ht_server(SASL_HT_SHA_256_NONE);
    assert_int_equal(sasl_client_start(&client), SASL_CHALLENGE);
    str text = base64_encode_arena(&arena, client.out);
    assert_true(str_is(text, "YWxpY2UA0k2VSC8NbgNcVueH2sTtgyvdhO4+okKqrdmCJwwzAAY="));
    assert_int_equal(sasl_server_start(&server, true, client.out), SASL_WANT_TOKENS);
    assert_int_equal(sasl_server_tokens(&server, &token, 1, &which), SASL_DONE);
    assert_true(
        str_is(base64_encode_arena(&arena, server.out), "P3z74IGz6eoqqjVhGApgkyKQrporFVMn0DuoGf/+CrY="));
}

static enum sasl_status serve(enum sasl_mechanism mechanism, str message, str token,
                              struct sasl_server *server)
{
    size_t which;
    *server = ht_server(mechanism);
    enum sasl_status status = sasl_server_start(server, true, message);
    return status == SASL_WANT_TOKENS ? sasl_server_tokens(server, &token, 1, &which) : status;
}

static void what_is_no_proof_fails(void **state)
{
    (void)state;
    struct sasl_server server;
    struct sasl_client client = client_with(SASL_HT_SHA_256_NONE, STR("token"));
    sasl_client_start(&client);
    str good = client.out;
    assert_int_equal(serve(SASL_HT_SHA_256_NONE, good, STR("Token"), &server), SASL_FAILED);
    assert_int_equal(server.failure, SASL_NOT_AUTHORIZED);
    assert_false(server.has_out);
    for (size_t len = 0; len < good.len; len++) {
        assert_int_equal(serve(SASL_HT_SHA_256_NONE, str_sub(good, 0, len), STR("token"), &server),
                         SASL_FAILED);
        assert_int_equal(server.failure, SASL_MALFORMED_REQUEST);
    }
    char *text = arena_alloc(&arena, good.len + 1);
    memcpy(text, good.p, good.len);
    text[good.len] = 'x';
    assert_int_equal(serve(SASL_HT_SHA_256_NONE, str_of(text, good.len + 1), STR("token"), &server),
                     SASL_FAILED);
    for (size_t at = strlen("alice") + 1; at < good.len; at++) {
        text[at] ^= 1;
        assert_int_equal(serve(SASL_HT_SHA_256_NONE, str_of(text, good.len), STR("token"), &server),
                         SASL_FAILED);
        text[at] ^= 1;
    }
    text[0] = ' ';
    assert_int_equal(serve(SASL_HT_SHA_256_NONE, str_of(text, good.len), STR("token"), &server), SASL_FAILED);
    assert_int_equal(server.failure, SASL_NOT_AUTHORIZED);
}

static void a_proof_is_good_for_its_channel_alone(void **state)
{
    (void)state;
    struct sasl_server server;
    struct sasl_client client = client_with(SASL_HT_SHA_256_EXPR, STR("token"));
    client.binding = STR("another channel");
    sasl_client_start(&client);
    assert_int_equal(serve(SASL_HT_SHA_256_EXPR, client.out, STR("token"), &server), SASL_FAILED);
    client = client_with(SASL_HT_SHA_256_NONE, STR("token"));
    sasl_client_start(&client);
    assert_int_equal(serve(SASL_HT_SHA_256_EXPR, client.out, STR("token"), &server), SASL_FAILED);
    client = client_with(SASL_HT_SHA_256_EXPR, STR("token"));
    client.binding = STR("");
    assert_int_equal(sasl_client_start(&client), SASL_FAILED);
}

static void steps_out_of_turn_fail(void **state)
{
    (void)state;
    size_t which;
    const str token = STR("token");
    struct sasl_server server = ht_server(SASL_HT_SHA_256_NONE);
    struct sasl_client client = client_with(SASL_HT_SHA_256_NONE, token);
    assert_int_equal(sasl_server_tokens(&server, &token, 1, &which), SASL_FAILED);
    sasl_client_start(&client);
    server = ht_server(SASL_HT_SHA_256_NONE);
    assert_int_equal(sasl_server_start(&server, true, client.out), SASL_WANT_TOKENS);
    assert_int_equal(sasl_server_keys(&server, &peer_keys, true), SASL_FAILED);
    assert_int_equal(sasl_server_tokens(&server, &token, 1, &which), SASL_FAILED);
    server = ht_server(SASL_HT_SHA_256_NONE);
    assert_int_equal(sasl_server_start(&server, true, client.out), SASL_WANT_TOKENS);
    assert_int_equal(sasl_server_tokens(&server, &token, 0, &which), SASL_FAILED);
}

static void the_client_wants_the_servers_proof(void **state)
{
    (void)state;
    struct sasl_client client = client_with(SASL_HT_SHA_256_NONE, STR("token"));
    sasl_client_start(&client);
    assert_int_equal(sasl_client_success(&client, false, STR("")), SASL_FAILED);
    sasl_client_start(&client);
    assert_int_equal(sasl_client_success(&client, true, STR("01234567890123456789012345678901")),
                     SASL_FAILED);
    sasl_client_start(&client);
    assert_int_equal(sasl_client_challenge(&client, STR("")), SASL_FAILED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ends_prove_the_token), TEST(the_bytes_are_those_of_the_draft),
        TEST(what_is_no_proof_fails),    TEST(a_proof_is_good_for_its_channel_alone),
        TEST(steps_out_of_turn_fail),    TEST(the_client_wants_the_servers_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
