/* SPDX-License-Identifier: MIT */
/* The client's end of SASL: against our server, by the RFCs' examples, and against servers that lie. */
#include "xmpp/sasl.h"

#include "xmpp/sasl_test_peer.h"
#include "xmpp/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sasl_client client_for(enum sasl_mechanism mechanism)
{
    struct sasl_client client = {
        .mechanism = mechanism,
        .user = STR("alice"),
        .password = STR("pencil"),
        .nonce = STR("client-nonce-0123456789"),
        .arena = &arena,
    };
    if (scram_is_plus(mechanism)) {
        client.binding_type = STR("tls-exporter");
        client.binding = STR(PEER_EXPORTER);
    }
    return client;
}

/* Both ends talk until one has a result; what the client ends with. */
static enum sasl_status converse(struct sasl_client *client, struct sasl_server *server)
{
    if (sasl_client_start(client) != SASL_CHALLENGE)
        return SASL_FAILED;
    enum sasl_status status = peer_serve(server, sasl_server_start(server, true, client->out));
    for (int round = 0; status == SASL_CHALLENGE && round < 4; round++) {
        if (sasl_client_challenge(client, server->out) != SASL_CHALLENGE)
            return SASL_FAILED;
        status = peer_serve(server, sasl_server_response(server, client->out));
    }
    return status == SASL_DONE ? sasl_client_success(client, server->has_out, server->out) : SASL_FAILED;
}

static void both_ends_agree_in_every_mechanism(void **state)
{
    (void)state;
    const str address = STR("alice@example.com");
    for (enum sasl_mechanism mechanism = 0; !sasl_is_token(mechanism); mechanism++) {
        struct sasl_client client = client_for(mechanism);
        struct sasl_server server = peer_server(mechanism);
        server.plus_offered = true;
        server.certificate_addresses = &address;
        server.certificate_address_count = 1;
        assert_int_equal(converse(&client, &server), SASL_DONE);
        assert_true(mechanism == SASL_ANONYMOUS || str_is(server.authcid, "alice"));
        client = client_for(mechanism);
        client.password = STR("wrong");
        server = peer_server(mechanism);
        if (mechanism != SASL_ANONYMOUS && mechanism != SASL_EXTERNAL)
            assert_int_equal(converse(&client, &server), SASL_FAILED);
    }
}

static void the_flag_tells_what_we_can(void **state)
{
    (void)state;
    static const struct {
        bool can_bind, server_has_plus;
        const char *begin;
    } cases[] = {
        { false, false, "n,,n=" }, { false, true, "n,,n=" }, { true, false, "y,,n=" }, { true, true, "n,,n=" }
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sasl_client client = client_for(SASL_SCRAM_SHA_1);
        client.can_bind = cases[i].can_bind;
        client.server_has_plus = cases[i].server_has_plus;
        assert_int_equal(sasl_client_start(&client), SASL_CHALLENGE);
        assert_true(str_starts(client.out, str_from(cases[i].begin)));
    }
    struct sasl_client client = client_for(SASL_SCRAM_SHA_1_PLUS);
    client.user = STR("a,b=c");
    assert_int_equal(sasl_client_start(&client), SASL_CHALLENGE);
    assert_true(str_is(client.out, "p=tls-exporter,,n=a=2Cb=3Dc,r=client-nonce-0123456789"));
    client.binding = str_none;
    assert_int_equal(sasl_client_start(&client), SASL_FAILED);
}

static void example_of_rfc_7677(void **state)
{
    (void)state;
    struct sasl_client client = client_for(SASL_SCRAM_SHA_256);
    client.user = STR("user");
    client.nonce = STR("rOprNGfwEbeRWgbNEkqO");
    assert_int_equal(sasl_client_start(&client), SASL_CHALLENGE);
    assert_true(str_is(client.out, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
    str first = STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    assert_int_equal(sasl_client_challenge(&client, first), SASL_CHALLENGE);
    assert_true(str_is(client.out, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                   "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    struct sasl_client other = client;
    str last = STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_int_equal(sasl_client_success(&client, true, last), SASL_DONE);
    assert_int_equal(sasl_client_success(&client, true, last), SASL_FAILED);
    assert_int_equal(sasl_client_challenge(&other, last), SASL_CHALLENGE); /* in a challenge */
    assert_int_equal(other.out.len, 0);
    assert_int_equal(sasl_client_success(&other, false, str_none), SASL_DONE);
}

static enum sasl_status after_first(struct sasl_client *client, const char *challenge)
{
    *client = client_for(SASL_SCRAM_SHA_1);
    client->nonce = STR("abc");
    assert_int_equal(sasl_client_start(client), SASL_CHALLENGE);
    return sasl_client_challenge(client, str_from(challenge));
}

static void lying_challenges_are_refused(void **state)
{
    (void)state;
    static const char *const lies[] = {
        "",
        "r=abc,s=QSXCR+Q6sek8bf92,i=4096", /* nothing added */
        "r=xbcdef,s=QSXCR+Q6sek8bf92,i=4096",
        "r=abcdef,s=QSXCR+Q6sek8bf92,i=4095",
        "r=abcdef,s=QSXCR+Q6sek8bf92,i=0",
        "r=abcdef,s=QSXCR+Q6sek8bf92,i=04096",
        "r=abcdef,s=QSXCR+Q6sek8bf92,i=-4096",
        "r=abcdef,s=QSXCR+Q6sek8bf92,i=99999999",
        "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096,m=x",
        "m=x,r=abcdef,s=QSXCR+Q6sek8bf92,i=4096",
        "r=abcdef,s=QSXCR+Q6sek8bf9,i=4096",
        "r=abcdef,s=,i=4096",
        "s=QSXCR+Q6sek8bf92,r=abcdef,i=4096",
        "r=abcdef,i=4096,s=QSXCR+Q6sek8bf92",
        "r=abcdef,s=QSXCR+Q6sek8bf92",
        "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096,",
        "r=abc def,s=QSXCR+Q6sek8bf92,i=4096",
        "r=abc\xFF,s=QSXCR+Q6sek8bf92,i=4096",
        ("r=abcdef,s="
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,i="
         "4096"),
        "e=other-error",
    };
    struct sasl_client client;
    for (size_t i = 0; i < COUNT_OF(lies); i++)
        if (after_first(&client, lies[i]) != SASL_FAILED)
            fail_msg("believed '%s'", lies[i]);
    assert_int_equal(after_first(&client, "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096,x=1"), SASL_CHALLENGE);
}

static void a_server_must_prove_itself(void **state)
{
    (void)state;
    static const char *const lies[] = { "", "v=", "v=AAAA",
                                        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "e=other-error" };
    struct sasl_client client;
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        assert_int_equal(after_first(&client, "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096"), SASL_CHALLENGE);
        assert_int_equal(sasl_client_success(&client, true, str_from(lies[i])), SASL_FAILED);
    }
    assert_int_equal(after_first(&client, "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096"), SASL_CHALLENGE);
    assert_int_equal(sasl_client_success(&client, false, str_none), SASL_FAILED);
    client = client_for(SASL_SCRAM_SHA_1); /* success at once */
    assert_int_equal(sasl_client_start(&client), SASL_CHALLENGE);
    assert_int_equal(sasl_client_success(&client, false, str_none), SASL_FAILED);
}

static void a_changed_offer_is_noticed(void **state)
{
    (void)state;
    str offered[] = { STR("SCRAM-SHA-1"), STR("SCRAM-SHA-512") }, types[] = { STR("tls-exporter") };
    for (int lie = 0; lie < 3; lie++) {
        struct sasl_client client = client_for(SASL_SCRAM_SHA_1);
        struct sasl_server server = peer_server(SASL_SCRAM_SHA_1);
        server.offered_mechanisms = sasl_offer(offered, 2, &arena);
        server.offered_bindings = sasl_offer(types, 1, &arena);
        client.offered_mechanisms = sasl_offer(offered, lie == 1 ? 1 : 2, &arena);
        client.offered_bindings = sasl_offer(types, lie == 2 ? 0 : 1, &arena);
        assert_int_equal(converse(&client, &server), lie ? SASL_FAILED : SASL_DONE);
    }
}

static void the_salted_password_is_kept(void **state)
{
    (void)state;
    struct scram_client_cache cache = { 0 };
    struct sasl_client client = client_for(SASL_SCRAM_SHA_256);
    struct sasl_server server = peer_server(SASL_SCRAM_SHA_256);
    client.cache = &cache;
    assert_int_equal(converse(&client, &server), SASL_DONE);
    assert_int_equal(cache.iterations, 4096);
    for (int without = 0; without < 2; without++) { /* the second time for another hash: it is not there */
        enum sasl_mechanism mechanism = without ? SASL_SCRAM_SHA_1 : SASL_SCRAM_SHA_256;
        client = client_for(mechanism);
        server = peer_server(mechanism);
        client.cache = &cache;
        client.password = str_none;
        assert_int_equal(converse(&client, &server), without ? SASL_FAILED : SASL_DONE);
    }
}

static void empty_names_and_passwords_are_refused(void **state)
{
    (void)state;
    struct sasl_client client = client_for(SASL_PLAIN);
    assert_int_equal(sasl_client_start(&client), SASL_CHALLENGE);
    assert_true(str_is(client.out, "\0alice\0pencil"));
    client.password = STR("");
    assert_int_equal(sasl_client_start(&client), SASL_FAILED);
    client = client_for(SASL_PLAIN);
    client.user = STR("a\0b");
    assert_int_equal(sasl_client_start(&client), SASL_FAILED);
    client = client_for(SASL_SCRAM_SHA_1);
    client.user = STR("");
    assert_int_equal(sasl_client_start(&client), SASL_FAILED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ends_agree_in_every_mechanism),
        TEST(the_flag_tells_what_we_can),
        TEST(example_of_rfc_7677),
        TEST(lying_challenges_are_refused),
        TEST(a_server_must_prove_itself),
        TEST(a_changed_offer_is_noticed),
        TEST(the_salted_password_is_kept),
        TEST(empty_names_and_passwords_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
