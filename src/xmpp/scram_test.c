/* SPDX-License-Identifier: MIT */
/* SCRAM's arithmetic by the examples of RFC 5802, RFC 7677 and XEP-0474; its grammar; the stored form of
 * keys. */
#include "xmpp/scram.h"

#include "base/base64.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static str decoded(const char *text)
{
    str bytes;
    assert_true(base64_decode(&arena, str_from(text), &bytes));
    return bytes;
}

struct example {
    enum digest digest;
    const char *salt, *message, *proof, *signature;
};

static const struct example examples[] = {
    { DIGEST_SHA1, "QSXCR+Q6sek8bf92",
      "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i="
      "4096,"
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
      "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
    { DIGEST_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==",
      "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s="
      "W22ZaJ0SNY7soEsUEjb6gQ==,"
      "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
      "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void examples_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        const struct example *e = &examples[i];
        size_t size = digest_size(e->digest);
        unsigned char salted[DIGEST_MAX_SIZE], proof[DIGEST_MAX_SIZE], signature[DIGEST_MAX_SIZE];
        struct scram_keys keys;
        scram_keys_make(STR("pencil"), decoded(e->salt), 4096, &keys);
        digest_pbkdf2(e->digest, STR("pencil"), decoded(e->salt), 4096, salted);
        scram_proof(e->digest, salted, str_from(e->message), proof);
        str want = decoded(e->proof);
        assert_true(str_eq(want, str_of((char *)proof, size)));
        const struct scram_key *key = &keys.key[e->digest];
        assert_true(scram_proof_ok(e->digest, key->stored_key, str_from(e->message), want));
        assert_false(
            scram_proof_ok(e->digest, key->stored_key, str_from(e->message), str_sub(want, 1, size)));
        ((char *)want.p)[size - 1] ^= 1;
        assert_false(scram_proof_ok(e->digest, key->stored_key, str_from(e->message), want));
        digest_hmac(e->digest, str_of((const char *)key->server_key, size), str_from(e->message), signature);
        assert_true(str_eq(decoded(e->signature), str_of((char *)signature, size)));
    }
}

static void offer_is_hashed_as_in_xep_0474(void **state)
{
    (void)state;
    str mechanisms[] = { STR("SCRAM-SHA-1-PLUS"), STR("SCRAM-SHA-1") };
    str bindings[] = { STR("tls-server-end-point"), STR("tls-exporter") };
    str offered = sasl_offer(mechanisms, 2, &arena), types = sasl_offer(bindings, 2, &arena);
    assert_true(str_is(offered, "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS"));
    assert_true(str_is(types, "tls-exporter\x1etls-server-end-point"));
    assert_true(
        str_is(scram_offer_hash(DIGEST_SHA1, offered, types, &arena), "G6k/rBLDqgOhRRaCuuatSDFkJ08="));
    unsigned char plain[DIGEST_MAX_SIZE];
    digest_hash(DIGEST_SHA256, offered, plain); /* XEP-0440 not used: no separator either */
    str want = base64_encode_arena(&arena, str_of((char *)plain, 32));
    assert_true(str_eq(scram_offer_hash(DIGEST_SHA256, offered, STR(""), &arena), want));
    assert_int_equal(sasl_offer(NULL, 0, &arena).len, 0);
}

static void attributes_stand_in_order(void **state)
{
    (void)state;
    str rest = STR("n=a=b,r=c");
    assert_null(scram_take(&rest, 'r').p);
    assert_true(str_is(scram_take(&rest, 'n'), "a=b"));
    assert_true(str_is(scram_take(&rest, 'r'), "c") && !rest.p);
    rest = STR("n=,r=c");
    assert_null(scram_take(&rest, 'n').p);
    str value = str_none;
    assert_true(scram_extensions_ok(str_none, 'h', &value) && !value.p);
    assert_true(scram_extensions_ok(STR("x=1,h=2,y=="), 'h', &value));
    assert_true(str_is(value, "2"));
    assert_false(scram_extensions_ok(STR(""), 0, NULL));
    assert_false(scram_extensions_ok(STR("x=1,"), 0, NULL));
    assert_false(scram_extensions_ok(STR("x="), 0, NULL));
    assert_false(scram_extensions_ok(STR("1=a"), 0, NULL));
    assert_false(scram_extensions_ok(STR("m=x"), 0, NULL));
    assert_false(scram_extensions_ok(STR("x=1,r=2"), 0, NULL));
    assert_false(scram_extensions_ok(STR("h=1,h=2"), 'h', &value));
}

static void names_are_escaped(void **state)
{
    (void)state;
    assert_true(str_is(scram_name_encode(STR("a,b=c"), &arena), "a=2Cb=3Dc"));
    assert_true(str_is(scram_name_decode(STR("a=2Cb=3Dc"), &arena), "a,b=c"));
    static const char *const wrong[] = { "", "=", "a=", "a=2", "a=2c", "a=3d", "a=41b", "=2" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_null(scram_name_decode(str_from(wrong[i]), &arena).p);
}

static void keys_are_written_and_read(void **state)
{
    (void)state;
    struct scram_keys keys, again = { 0 };
    scram_keys_make(STR("secret"), STR("0123456789abcdef"), 4096, &keys);
    str text = scram_keys_write(&keys, &arena);
    assert_true(str_starts(text, STR("sha1:4096:MDEyMzQ1Njc4OWFiY2RlZg==:")));
    assert_true(scram_keys_read(text, &again));
    assert_memory_equal(&keys, &again, sizeof keys);
    keys.key[DIGEST_SHA1].iterations = 0;
    text = scram_keys_write(&keys, &arena);
    assert_true(str_starts(text, STR("sha256:")) && scram_keys_read(text, &again));
    assert_int_equal(again.key[DIGEST_SHA1].iterations, 0);
    struct scram_keys before = again;
    for (size_t cut = 0; cut < text.len; cut++) { /* cut between two keys it is whole, else never */
        bool whole = text.p[cut] == ' ';
        assert_int_equal(scram_keys_read(str_sub(text, 0, cut), &again), whole);
        if (whole)
            again = before;
    }
    assert_memory_equal(&before, &again, sizeof again);
    str twice = arena_printf(&arena, "%.*s %.*s", STR_ARGS(text), STR_ARGS(text));
    assert_false(scram_keys_read(twice, &again));
    assert_false(scram_keys_read(arena_printf(&arena, "%.*s:", STR_ARGS(text)), &again));
    assert_false(scram_keys_read(STR("md5:4096:YQ==:YQ==:YQ=="), &again));
    assert_false(scram_keys_read(STR("sha1:0:YQ==:YQ==:YQ=="), &again));
}

static void fakes_are_constant_and_differ_by_name(void **state)
{
    (void)state;
    struct scram_keys a, b, c, d;
    scram_keys_fake(STR("s"), STR("alice"), 4096, &a);
    scram_keys_fake(STR("s"), STR("alice"), 4096, &b);
    scram_keys_fake(STR("s"), STR("alicf"), 4096, &c);
    scram_keys_fake(STR("t"), STR("alice"), 4096, &d);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(a.key[0].salt, c.key[0].salt, SCRAM_SALT_SIZE);
    assert_memory_not_equal(a.key[0].salt, d.key[0].salt, SCRAM_SALT_SIZE);
    assert_int_equal(a.key[2].salt_len, SCRAM_SALT_SIZE);
    assert_memory_equal(a.key[0].salt, a.key[2].salt, SCRAM_SALT_SIZE); /* as scram_keys_make does */
    assert_memory_not_equal(a.key[1].stored_key, a.key[1].server_key, 32);
}

static void names_of_mechanisms(void **state)
{
    (void)state;
    for (int i = 0; i < SASL_MECHANISM_COUNT; i++)
        assert_int_equal(sasl_mechanism_named(str_from(sasl_mechanism_name((enum sasl_mechanism)i))), i);
    assert_int_equal(sasl_mechanism_named(STR("plain")), -1);
    assert_int_equal(sasl_mechanism_named(STR("")), -1);
    assert_string_equal(sasl_failure_name(SASL_INVALID_AUTHZID), "invalid-authzid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(examples_of_the_rfcs, setup, teardown),
        cmocka_unit_test_setup_teardown(offer_is_hashed_as_in_xep_0474, setup, teardown),
        cmocka_unit_test_setup_teardown(attributes_stand_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_written_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(fakes_are_constant_and_differ_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(names_of_mechanisms, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
