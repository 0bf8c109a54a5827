/* SPDX-License-Identifier: MIT */
/* The server's end of SASL: each mechanism's way to success, and everything that a hostile client may try. */
#include "xmpp/sasl.h"

#include "base/base64.h"
#include "xmpp/jid.h"
#include "xmpp/sasl_test_peer.h"
#include "xmpp/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_failure(struct sasl_server *server, enum sasl_status status, enum sasl_failure failure)
{
    assert_int_equal(status, SASL_FAILED);
    assert_string_equal(sasl_failure_name(server->failure), sasl_failure_name(failure));
    assert_false(server->has_out);
    static const struct scram_keys none;
    assert_memory_equal(&server->_keys, &none, sizeof none);
    assert_null(server->_password.p);
}

/* ---- PLAIN ----------------------------------------------------------------------------------------------
 */

static enum sasl_status plain(struct sasl_server *server, str message)
{
    *server = peer_server(SASL_PLAIN);
    return peer_serve(server, sasl_server_start(server, true, message));
}

static void plain_lets_in(void **state)
{
    (void)state;
    struct sasl_server server;
    assert_int_equal(plain(&server, STR("\0alice\0pencil")), SASL_DONE);
    assert_true(str_is(server.authcid, "alice"));
    assert_false(server.has_out);
    assert_int_equal(plain(&server, STR("\0ALICE\0pencil")), SASL_DONE);
    assert_true(str_is(server.authcid, "alice"));
    assert_int_equal(plain(&server, STR("alice@example.com\0alice\0pencil")), SASL_DONE);
}

static void plain_without_initial_response(void **state)
{
    (void)state;
    struct sasl_server server = peer_server(SASL_PLAIN);
    assert_int_equal(sasl_server_start(&server, false, str_none), SASL_CHALLENGE);
    assert_true(server.has_out && server.out.len == 0);
    assert_int_equal(peer_serve(&server, sasl_server_response(&server, STR("\0alice\0pencil"))), SASL_DONE);
}

static void plain_wants_keys_then_work_for_anybody(void **state)
{
    (void)state;
    static const char *const names[] = { "alice", "nobody" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct sasl_server server = peer_server(SASL_PLAIN);
        char message[32] = { 0 };
        int len = snprintf(message + 1, sizeof message - 1, "%s%cwrong", names[i], 0);
        assert_int_equal(sasl_server_start(&server, true, str_of(message, (size_t)len + 1)), SASL_WANT_KEYS);
        assert_true(str_eq(server.authcid, str_from(names[i])));
        assert_int_equal(sasl_server_keys(&server, &peer_keys, i == 0), SASL_WANT_WORK);
        str password = server._password;
        sasl_server_work(&server);
        for (size_t at = 0; at < password.len; at++)
            assert_int_equal(password.p[at], 0); /* wiped as soon as it was used */
        expect_failure(&server, sasl_server_worked(&server), SASL_NOT_AUTHORIZED);
    }
}

static void plain_knows_nobody_by_fake_keys(void **state)
{
    (void)state;
    struct sasl_server server = peer_server(SASL_PLAIN);
    assert_int_equal(sasl_server_start(&server, true, STR("\0nobody\0pencil")), SASL_WANT_KEYS);
    sasl_server_keys(&server, &peer_keys, false); /* even with keys that fit */
    sasl_server_work(&server);
    expect_failure(&server, sasl_server_worked(&server), SASL_NOT_AUTHORIZED);
    server = peer_server(SASL_PLAIN);
    assert_int_equal(sasl_server_start(&server, true, STR("\0alice\0pencil")), SASL_WANT_KEYS);
    assert_int_equal(sasl_server_keys(&server, &peer_keys, true), SASL_WANT_WORK);
    expect_failure(&server, sasl_server_worked(&server), SASL_NOT_AUTHORIZED); /* no work, no way in */
}

static void plain_hashes_with_the_strongest_key(void **state)
{
    (void)state;
    struct scram_keys keys = peer_keys;
    memset(keys.key[DIGEST_SHA512].stored_key, 0, 64);
    struct sasl_server server = peer_server(SASL_PLAIN);
    sasl_server_start(&server, true, STR("\0alice\0pencil"));
    sasl_server_keys(&server, &keys, true);
    sasl_server_work(&server);
    assert_int_equal(sasl_server_worked(&server), SASL_FAILED);
    keys.key[DIGEST_SHA512].iterations = 0;
    server = peer_server(SASL_PLAIN);
    sasl_server_start(&server, true, STR("\0alice\0pencil"));
    sasl_server_keys(&server, &keys, true);
    sasl_server_work(&server);
    assert_int_equal(sasl_server_worked(&server), SASL_DONE);
}

static void plain_refuses_other_shapes(void **state)
{
    (void)state;
    static const struct {
        str message;
        enum sasl_failure failure;
    } cases[] = {
        { STR_INIT(""), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0\0"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0alice"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0alice\0"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0\0pencil"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0alice\0pencil\0"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0alice\0pencil\0x"), SASL_MALFORMED_REQUEST },
        { STR_INIT("alice\0pencil"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0alice\0penc\xFFil"), SASL_MALFORMED_REQUEST },
        { STR_INIT("\0alice@example.com\0pencil"), SASL_NOT_AUTHORIZED },
        { STR_INIT("\0al ice\0pencil"), SASL_NOT_AUTHORIZED },
        { STR_INIT("\0alice\0pen\x07il"), SASL_NOT_AUTHORIZED },
        { STR_INIT("\0alice\0Pencil"), SASL_NOT_AUTHORIZED },
        { STR_INIT("bob@example.com\0alice\0pencil"), SASL_INVALID_AUTHZID },
        { STR_INIT("alice@example.org\0alice\0pencil"), SASL_INVALID_AUTHZID },
        { STR_INIT("alice@example.com/x\0alice\0pencil"), SASL_INVALID_AUTHZID },
        { STR_INIT("alice\0alice\0pencil"), SASL_INVALID_AUTHZID },
        { STR_INIT("example.com\0alice\0pencil"), SASL_INVALID_AUTHZID },
        { STR_INIT("@\0alice\0pencil"), SASL_INVALID_AUTHZID },
        { STR_INIT("bob@example.com\0nobody\0pencil"), SASL_INVALID_AUTHZID },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sasl_server server;
        enum sasl_status status = plain(&server, cases[i].message);
        expect_failure(&server, status, cases[i].failure);
    }
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    for (enum sasl_mechanism mechanism = 0; mechanism < SASL_MECHANISM_COUNT; mechanism++) {
        struct sasl_server server = peer_server(mechanism);
        char *text = arena_alloc(&arena, 65536);
        memset(text, 'a', 65536);
        assert_int_equal(sasl_server_start(&server, true, str_of(text, 65536)), SASL_FAILED);
        assert_int_equal(server.failure, SASL_MALFORMED_REQUEST);
    }
    struct sasl_server server = peer_server(SASL_PLAIN);
    char message[2000] = "\0alice";
    memset(message + 7, 'p', 1024);
    expect_failure(&server, sasl_server_start(&server, true, str_of(message, 7 + 1024)), SASL_NOT_AUTHORIZED);
}

/* ---- SCRAM ----------------------------------------------------------------------------------------------
 */

/* A client that says what the test wants and proves with what it said. */
struct talk {
    const char *password; /* NULL: pencil */
    const char *gs2;      /* NULL: "n,," or the -PLUS form's */
    const char *bare;     /* NULL: "n=alice,r=client" */
    const char *cbind;    /* what goes into c=, before base64; NULL: what is right */
    const char *c;        /* c= as it stands; NULL: by cbind */
    const char *nonce;    /* in the second message; NULL: what the server said */
    const char *insert;   /* behind the nonce */
    const char *tail;     /* behind the proof */
    const char *final;    /* the whole second message; NULL: by the above */
};

static str final_message(const struct talk *talk, const struct sasl_server *server, const char *gs2,
                         const char *bare)
{
    enum digest digest = scram_digest(server->mechanism);
    const struct scram_key *key = &peer_keys.key[digest];
    str said = server->out;
    str nonce = scram_take(&said, 'r');
    str cbind = talk->cbind ? str_from(talk->cbind) : str_from(gs2);
    if (!talk->cbind && scram_is_plus(server->mechanism))
        cbind = arena_printf(&arena, "%s%s", gs2, PEER_EXPORTER);
    str c = talk->c ? str_from(talk->c) : base64_encode_arena(&arena, cbind);
    if (talk->nonce)
        nonce = str_from(talk->nonce);
    str without = arena_printf(&arena, "c=%.*s,r=%.*s%s", STR_ARGS(c), STR_ARGS(nonce),
                               talk->insert ? talk->insert : "");
    str auth = arena_printf(&arena, "%s,%.*s,%.*s", bare, STR_ARGS(server->out), STR_ARGS(without));
    unsigned char salted[DIGEST_MAX_SIZE], proof[DIGEST_MAX_SIZE];
    digest_pbkdf2(digest, talk->password ? str_from(talk->password) : STR("pencil"),
                  str_of((const char *)key->salt, key->salt_len), key->iterations, salted);
    scram_proof(digest, salted, auth, proof);
    str p = base64_encode_arena(&arena, str_of((char *)proof, digest_size(digest)));
    return arena_printf(&arena, "%.*s,p=%.*s%s", STR_ARGS(without), STR_ARGS(p),
                        talk->tail ? talk->tail : "");
}

static enum sasl_status scram(struct sasl_server *server, const struct talk *talk)
{
    const char *gs2 = talk->gs2 ? talk->gs2 : scram_is_plus(server->mechanism) ? "p=tls-exporter,," : "n,,";
    const char *bare = talk->bare ? talk->bare : "n=alice,r=client";
    str first = arena_printf(&arena, "%s%s", gs2, bare);
    enum sasl_status status = peer_serve(server, sasl_server_start(server, true, first));
    if (status != SASL_CHALLENGE)
        return status;
    str final = talk->final ? str_from(talk->final) : final_message(talk, server, gs2, bare);
    return sasl_server_response(server, final);
}

static void scram_lets_in_with_each_hash(void **state)
{
    (void)state;
    for (enum sasl_mechanism mechanism = SASL_SCRAM_SHA_512_PLUS; mechanism <= SASL_SCRAM_SHA_1;
         mechanism++) {
        struct sasl_server server = peer_server(mechanism);
        server.plus_offered = scram_is_plus(mechanism);
        assert_int_equal(scram(&server, &(struct talk){ 0 }), SASL_DONE);
        assert_true(str_is(server.authcid, "alice"));
        assert_true(server.has_out && str_starts(server.out, STR("v=")));
    }
}

static void scram_says_what_the_rfc_says(void **state)
{
    (void)state;
    struct sasl_server server = peer_server(SASL_SCRAM_SHA_1);
    struct scram_keys keys;
    str salt;
    assert_true(base64_decode(&arena, STR("QSXCR+Q6sek8bf92"), &salt));
    scram_keys_make(STR("pencil"), salt, 4096, &keys);
    server.nonce = STR("3rfcNHYJY1ZVvWVs7j");
    assert_int_equal(sasl_server_start(&server, false, str_none), SASL_CHALLENGE);
    assert_true(server.has_out && server.out.len == 0);
    assert_int_equal(sasl_server_response(&server, STR("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")),
                     SASL_WANT_KEYS);
    assert_int_equal(sasl_server_keys(&server, &keys, true), SASL_CHALLENGE);
    assert_true(str_is(server.out, "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"));
    str final = STR("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    assert_int_equal(sasl_server_response(&server, final), SASL_DONE);
    assert_true(str_is(server.out, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    assert_int_equal(sasl_server_response(&server, final), SASL_FAILED); /* nothing follows the end */
}

static void scram_sends_the_hash_of_the_offer(void **state)
{
    (void)state;
    struct sasl_server server = peer_server(SASL_SCRAM_SHA_1_PLUS);
    str mechanisms[] = { STR("SCRAM-SHA-1-PLUS"), STR("SCRAM-SHA-1") };
    str bindings[] = { STR("tls-server-end-point"), STR("tls-exporter") };
    server.offered_mechanisms = sasl_offer(mechanisms, 2, &arena);
    server.offered_bindings = sasl_offer(bindings, 2, &arena);
    str first = STR("p=tls-exporter,,n=alice,r=client");
    assert_int_equal(peer_serve(&server, sasl_server_start(&server, true, first)), SASL_CHALLENGE);
    assert_true(str_ends(server.out, STR(",i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=")));
}

static void scram_fails_alike_for_nobody_and_wrong_password(void **state)
{
    (void)state;
    struct sasl_server known = peer_server(SASL_SCRAM_SHA_256), unknown = known;
    assert_int_equal(peer_serve(&known, sasl_server_start(&known, true, STR("n,,n=alice,r=c"))),
                     SASL_CHALLENGE);
    assert_int_equal(peer_serve(&unknown, sasl_server_start(&unknown, true, STR("n,,n=nobody,r=c"))),
                     SASL_CHALLENGE);
    assert_int_equal(known.out.len, unknown.out.len);
    known = peer_server(SASL_SCRAM_SHA_256);
    enum sasl_status status = scram(&known, &(struct talk){ .password = "wrong" });
    expect_failure(&known, status, SASL_NOT_AUTHORIZED);
    unknown = peer_server(SASL_SCRAM_SHA_256);
    status = scram(&unknown, &(struct talk){ .bare = "n=nobody,r=client" });
    expect_failure(&unknown, status, SASL_NOT_AUTHORIZED);
    struct sasl_server lucky =
        peer_server(SASL_SCRAM_SHA_256); /* a right proof does not help who is unknown */
    sasl_server_start(&lucky, true, STR("n,,n=alice,r=client"));
    sasl_server_keys(&lucky, &peer_keys, false);
    status =
        sasl_server_response(&lucky, final_message(&(struct talk){ 0 }, &lucky, "n,,", "n=alice,r=client"));
    expect_failure(&lucky, status, SASL_NOT_AUTHORIZED);
}

struct refusal {
    enum sasl_mechanism mechanism;
    bool plus_offered;
    struct talk talk;
    enum sasl_failure failure;
};

static void expect_refusals(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sasl_server server = peer_server(cases[i].mechanism);
        server.plus_offered = cases[i].plus_offered;
        enum sasl_status status = scram(&server, &cases[i].talk);
        if (status != SASL_FAILED || server.failure != cases[i].failure)
            fail_msg("case %zu: status %d, %s", i, status, sasl_failure_name(server.failure));
        expect_failure(&server, status, cases[i].failure);
    }
}

#define S1 SASL_SCRAM_SHA_1
#define P1 SASL_SCRAM_SHA_1_PLUS

static void scram_checks_authzid(void **state)
{
    (void)state;
    const struct refusal cases[] = {
        { S1, false, { .gs2 = "n,a=bob@example.com," }, SASL_INVALID_AUTHZID },
        { S1, false, { .gs2 = "n,a=alice@example.org," }, SASL_INVALID_AUTHZID },
        { S1, false, { .gs2 = "n,a=alice@example.com/x," }, SASL_INVALID_AUTHZID },
        { S1, false, { .gs2 = "n,a=alice," }, SASL_INVALID_AUTHZID },
        { S1, false, { .gs2 = "n,a=alice=2Cx@example.com," }, SASL_INVALID_AUTHZID },
        { S1, false, { .gs2 = "n,a=alice=40example.com," }, SASL_INVALID_AUTHZID },
        { S1, false, { .gs2 = "n,a=," }, SASL_INVALID_AUTHZID },
        { S1, false, { .gs2 = "n,alice@example.com," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .gs2 = "n,a=bob@example.com,", .bare = "n=nobody,r=c" }, SASL_INVALID_AUTHZID },
    };
    expect_refusals(cases, COUNT_OF(cases));
    struct sasl_server server = peer_server(S1);
    assert_int_equal(scram(&server, &(struct talk){ .gs2 = "n,a=alice@example.com," }), SASL_DONE);
    server = peer_server(S1);
    str odd = STR("n,a=a=3D=2Cb@example.com,n=a=3D=2Cb,r=c");
    assert_int_equal(sasl_server_start(&server, true, odd), SASL_WANT_KEYS);
    assert_true(str_is(server.authcid, "a=,b"));
}

static void scram_checks_channel_binding(void **state)
{
    (void)state;
    const struct refusal cases[] = {
        { S1, true, { .gs2 = "y,," }, SASL_NOT_AUTHORIZED },
        { S1, true, { .gs2 = "p=tls-exporter,," }, SASL_NOT_AUTHORIZED },
        { S1, false, { .gs2 = "p=tls-exporter,," }, SASL_NOT_AUTHORIZED },
        /* although the binding is the right one */
        { S1,
          true,
          { .gs2 = "p=tls-exporter,,", .cbind = "p=tls-exporter,," PEER_EXPORTER },
          SASL_NOT_AUTHORIZED },
        { S1,
          false,
          { .gs2 = "p=tls-exporter,,", .cbind = "p=tls-exporter,," PEER_EXPORTER },
          SASL_NOT_AUTHORIZED },
        { P1, true, { .gs2 = "p=tls-unknown,," }, SASL_NOT_AUTHORIZED },
        { P1, true, { .gs2 = "p=tls-unique,," }, SASL_NOT_AUTHORIZED },
        { P1, true, { .gs2 = "n,," }, SASL_NOT_AUTHORIZED },
        { P1, true, { .gs2 = "y,," }, SASL_NOT_AUTHORIZED },
        { P1, false, { .gs2 = "y,," }, SASL_NOT_AUTHORIZED },
        { P1, true, { .gs2 = "p=,," }, SASL_MALFORMED_REQUEST },
        { P1, true, { .gs2 = "p=tls exporter,," }, SASL_MALFORMED_REQUEST },
        { P1,
          true,
          { .gs2 = "p=tls-exporter-of-a-name-that-is-longer-than-any-that-there-ever-was-or-is,," },
          SASL_MALFORMED_REQUEST },
        { P1, true, { .cbind = "p=tls-exporter,," }, SASL_NOT_AUTHORIZED },
        { P1, true, { .cbind = "p=tls-exporter,,other" }, SASL_NOT_AUTHORIZED },
        { P1, true, { .cbind = "p=tls-exporter,," PEER_EXPORTER "x" }, SASL_NOT_AUTHORIZED },
        { P1, true, { .cbind = "p=tls-unique,," PEER_EXPORTER }, SASL_NOT_AUTHORIZED },
        { P1, true, { .cbind = "n,," }, SASL_NOT_AUTHORIZED },
        { S1, false, { .cbind = "y,," }, SASL_NOT_AUTHORIZED },
        { S1, false, { .gs2 = "y,,", .cbind = "n,," }, SASL_NOT_AUTHORIZED },
        { S1, false, { .cbind = "n,,x" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .cbind = "n,a=alice@example.com," }, SASL_NOT_AUTHORIZED },
        { S1, false, { .gs2 = "n,a=alice@example.com,", .cbind = "n,," }, SASL_NOT_AUTHORIZED },
        { S1,
          false,
          { .gs2 = "n,a=alice@example.com,", .cbind = "n,a=ALICE@example.com," },
          SASL_NOT_AUTHORIZED },
    };
    expect_refusals(cases, COUNT_OF(cases));
    struct sasl_server server = peer_server(S1);
    assert_int_equal(scram(&server, &(struct talk){ .gs2 = "y,," }), SASL_DONE);
    server = peer_server(S1);
    server.plus_offered = true;
    assert_int_equal(scram(&server, &(struct talk){ 0 }), SASL_DONE); /* n: cannot bind; RFC 5802 allows it */
}

static void scram_grammar_is_strict(void **state)
{
    (void)state;
    const struct refusal cases[] = {
        { S1, false, { .gs2 = "" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .gs2 = "n," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .gs2 = "N,," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .gs2 = "x,," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .gs2 = "F,n,," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice,r=" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=,r=c" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "r=c,n=alice" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "m=x,n=alice,r=c" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice,r=c,m=x" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice,x=1,r=c" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice,r=c,r=d" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice,r=c," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice,r=c d" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice,r=c\xC3\xA9" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=ali=ce,r=c" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=ali=2cce,r=c" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=al\xFF,r=c" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .bare = "n=alice@example.com,r=c" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .bare = "n=al ice,r=c" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .nonce = "client" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .nonce = "clientserver-nonce-012345678" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .nonce = "clientserver-nonce-01234567899" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .nonce = "other" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .insert = ",m=x" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .insert = ",p=x" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .insert = "," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .insert = ",r=x" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .tail = "," }, SASL_MALFORMED_REQUEST },
        { S1, false, { .tail = ",x=1" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .tail = "=" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .tail = " " }, SASL_MALFORMED_REQUEST },
        { S1, false, { .c = "biws=" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .c = "biw" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .c = " biws" }, SASL_NOT_AUTHORIZED },
        { S1, false, { .c = "" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .final = "" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .final = "p=" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .final = "c=biws,r=clientserver-nonce-0123456789" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .final = "c=biws,r=clientserver-nonce-0123456789,p=" }, SASL_MALFORMED_REQUEST },
        { S1, false, { .final = "c=biws,r=clientserver-nonce-0123456789,p=AAAA" }, SASL_MALFORMED_REQUEST },
        { S1,
          false,
          { .final = "r=clientserver-nonce-0123456789,c=biws,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
          SASL_MALFORMED_REQUEST },
        /* base64 with stray bits */
        { S1,
          false,
          { .final = "c=biws,r=clientserver-nonce-0123456789,p=AAAAAAAAAAAAAAAAAAAAAAAAAAB=" },
          SASL_MALFORMED_REQUEST },
        { S1,
          false,
          { .final = "c=biws,r=clientserver-nonce-0123456789,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
          SASL_NOT_AUTHORIZED },
    };
    expect_refusals(cases, COUNT_OF(cases));
    struct sasl_server server = peer_server(S1);
    assert_int_equal(scram(&server, &(struct talk){ .bare = "n=alice,r=c,x=1,y=2", .insert = ",z=3" }),
                     SASL_DONE);
    server = peer_server(S1);
    expect_failure(&server, sasl_server_start(&server, true, STR("n,,n=al\0ice,r=c")),
                   SASL_MALFORMED_REQUEST);
}

static void messages_out_of_turn_fail(void **state)
{
    (void)state;
    struct sasl_server server = peer_server(S1);
    assert_int_equal(sasl_server_start(&server, true, STR("n,,n=alice,r=c")), SASL_WANT_KEYS);
    expect_failure(&server, sasl_server_response(&server, STR("n,,n=alice,r=c")), SASL_MALFORMED_REQUEST);
    expect_failure(&server, sasl_server_keys(&server, &peer_keys, true), SASL_MALFORMED_REQUEST);
    server = peer_server(SASL_PLAIN);
    assert_int_equal(sasl_server_start(&server, true, STR("\0alice\0pencil")), SASL_WANT_KEYS);
    expect_failure(&server, sasl_server_worked(&server), SASL_NOT_AUTHORIZED);
}

static void an_account_without_the_hash_fails(void **state)
{
    (void)state;
    struct scram_keys keys = peer_keys;
    keys.key[DIGEST_SHA512].iterations = 0;
    struct sasl_server server = peer_server(SASL_SCRAM_SHA_512);
    assert_int_equal(sasl_server_start(&server, true, STR("n,,n=alice,r=c")), SASL_WANT_KEYS);
    expect_failure(&server, sasl_server_keys(&server, &keys, true), SASL_NOT_AUTHORIZED);
}

/* ---- EXTERNAL and ANONYMOUS -----------------------------------------------------------------------------
 */

static enum sasl_status external(struct sasl_server *server, const str *addresses, size_t count, str authzid)
{
    *server = peer_server(SASL_EXTERNAL);
    server->certificate_addresses = addresses;
    server->certificate_address_count = count;
    return sasl_server_start(server, true, authzid);
}

static void external_goes_by_the_certificate(void **state)
{
    (void)state;
    const str addresses[] = { STR("alice@example.com"), STR("alice@example.org"), STR("bob@example.com") };
    const str others[] = { STR("alice@example.org"), STR("example.com") };
    struct sasl_server server;
    assert_int_equal(external(&server, addresses, 2, STR("")), SASL_DONE);
    assert_true(str_is(server.authcid, "alice"));
    assert_int_equal(external(&server, addresses, 3, STR("bob@example.com")), SASL_DONE);
    assert_true(str_is(server.authcid, "bob"));
    expect_failure(&server, external(&server, addresses, 3, STR("")), SASL_INVALID_AUTHZID);
    expect_failure(&server, external(&server, addresses, 3, STR("carol@example.com")), SASL_INVALID_AUTHZID);
    expect_failure(&server, external(&server, addresses, 3, STR("alice@example.org")), SASL_INVALID_AUTHZID);
    expect_failure(&server, external(&server, addresses, 3, STR("alice@example.com/x")),
                   SASL_INVALID_AUTHZID);
    expect_failure(&server, external(&server, addresses, 3, STR("alice")), SASL_INVALID_AUTHZID);
    expect_failure(&server, external(&server, others, 2, STR("")), SASL_NOT_AUTHORIZED);
    expect_failure(&server, external(&server, others, 2, STR("example.com")), SASL_INVALID_AUTHZID);
    expect_failure(&server, external(&server, NULL, 0, STR("")), SASL_NOT_AUTHORIZED);
    expect_failure(&server, external(&server, NULL, 0, STR("alice@example.com")), SASL_NOT_AUTHORIZED);
    server = peer_server(SASL_EXTERNAL);
    server.certificate_addresses = addresses;
    server.certificate_address_count = 1;
    assert_int_equal(sasl_server_start(&server, false, str_none), SASL_CHALLENGE);
    assert_int_equal(sasl_server_response(&server, STR("")), SASL_DONE);
}

static void anonymous_has_no_name(void **state)
{
    (void)state;
    struct sasl_server server = peer_server(SASL_ANONYMOUS);
    assert_int_equal(sasl_server_start(&server, true, STR("alice")), SASL_DONE);
    assert_int_equal(server.authcid.len, 0);
    server = peer_server(SASL_ANONYMOUS);
    assert_int_equal(sasl_server_start(&server, false, str_none), SASL_CHALLENGE);
    assert_int_equal(sasl_server_response(&server, STR("")), SASL_DONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_lets_in),
        TEST(plain_without_initial_response),
        TEST(plain_wants_keys_then_work_for_anybody),
        TEST(plain_knows_nobody_by_fake_keys),
        TEST(plain_hashes_with_the_strongest_key),
        TEST(plain_refuses_other_shapes),
        TEST(lengths_are_bounded),
        TEST(scram_lets_in_with_each_hash),
        TEST(scram_says_what_the_rfc_says),
        TEST(scram_sends_the_hash_of_the_offer),
        TEST(scram_fails_alike_for_nobody_and_wrong_password),
        TEST(scram_checks_authzid),
        TEST(scram_checks_channel_binding),
        TEST(scram_grammar_is_strict),
        TEST(messages_out_of_turn_fail),
        TEST(an_account_without_the_hash_fails),
        TEST(external_goes_by_the_certificate),
        TEST(anonymous_has_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
