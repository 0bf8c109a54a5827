/* SPDX-License-Identifier: MIT */
/* What becomes of a client's tokens from login to login. */
#include "server/c2s/fast.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DAY = 86400, LIFETIME = 21 * DAY, NOW = 1790000000 };

static struct fast_rules rules_at(int64_t now_s, const char *salt)
{
    struct fast_rules rules = { .now_s = now_s, .lifetime_s = LIFETIME, .renewal_s = DAY };
    str_copy(str_from(salt), rules.salt, sizeof rules.salt);
    return rules;
}

static struct fast_request asking(enum sasl_mechanism mechanism)
{
    return (struct fast_request){ .client = "c", .wanted = (int)mechanism };
}

static struct fast_request using(const char *salt)
{
    struct fast_request request = { .client = "c", .uses = true, .wanted = -1 };
    str_copy(str_from(salt), request.salt, sizeof request.salt);
    return request;
}

static bool apply(struct fast_client *client, struct fast_request request, int64_t now_s, const char *salt,
                  const char **ret_given)
{
    const struct fast_token *given = NULL;
    struct fast_rules rules = rules_at(now_s, salt);
    bool ok = fast_apply(&request, &rules, client, &given);
    *ret_given = ok && given ? given->salt : NULL;
    return ok;
}

static void a_row_says_all(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    const char *given;
    struct fast_client client = { 0 }, read;
    assert_true(fast_read(fast_write(&client, &arena), &read));
    assert_memory_equal(&read, &client, sizeof read);
    apply(&client, asking(SASL_HT_SHA_256_EXPR), NOW, "first", &given);
    apply(&client, using("first"), NOW, "x", &given);
    client.current.count = UINT64_MAX;
    apply(&client, asking(SASL_HT_SHA_256_NONE), NOW, "second", &given);
    str row = fast_write(&client, &arena);
    assert_true(fast_read(row, &read));
    assert_memory_equal(&read, &client, sizeof read);
    for (size_t len = 0; len < row.len - strlen("first"); len++)
        assert_false(fast_read(str_sub(row, 0, len), &read));
    assert_false(fast_read(STR("PLAIN 1 2 3 x\n-"), &read));
    assert_false(fast_read(STR("-\nHT-SHA-256-NONE 1 2 3 0123456789012345678901234"), &read));
    arena_fini(&arena);
}

static void a_token_is_of_one_origin(void **state)
{
    (void)state;
    unsigned char seal[FAST_SEAL_SIZE] = { 1 }, other_seal[FAST_SEAL_SIZE] = { 2 };
    struct fast_client client = { 0 };
    const char *given;
    apply(&client, asking(SASL_HT_SHA_256_NONE), NOW, "salt", &given);
    struct fast_token later = client.fresh, bound = client.fresh, salted = client.fresh;
    later.expires_s++;
    bound.mechanism = SASL_HT_SHA_256_EXPR;
    salted.salt[0]++;
    struct fast_origin origin = { STR("key"), STR("a@b"), STR("client"), seal };
    struct {
        struct fast_origin origin;
        struct fast_token token;
    } cases[] = {
        { origin, client.fresh },
        { origin, later },
        { origin, bound },
        { origin, salted },
        { { STR("Key"), origin.bare, origin.client, seal }, client.fresh },
        { { origin.secret, STR("a@"), STR("bclient"), seal }, client.fresh },
        { { origin.secret, origin.bare, STR("other"), seal }, client.fresh },
        { { origin.secret, origin.bare, origin.client, other_seal }, client.fresh },
    };
    char texts[COUNT_OF(cases)][FAST_TOKEN_SIZE], again[FAST_TOKEN_SIZE];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fast_text(&cases[i].origin, &cases[i].token, texts[i]);
        assert_int_equal(strlen(texts[i]), FAST_TOKEN_SIZE - 1);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(texts[i], texts[j]);
    }
    client.fresh.count = 7;
    fast_text(&origin, &client.fresh, again);
    assert_string_equal(again, texts[0]);
}

static void the_seal_is_the_passwords(void **state)
{
    (void)state;
    struct scram_keys keys, other;
    unsigned char seal[FAST_SEAL_SIZE], with_more[FAST_SEAL_SIZE], of_other[FAST_SEAL_SIZE];
    scram_keys_make(STR("secret"), STR("0123456789abcdef"), 4096, &keys);
    fast_seal(&keys, with_more);
    keys.key[DIGEST_SHA512].iterations = 0; /* an upgrade (XEP-0480) adds keys and ends nothing */
    fast_seal(&keys, seal);
    assert_memory_equal(seal, with_more, sizeof seal);
    scram_keys_make(STR("secret"), STR("0123456789abcdeF"), 4096, &other);
    fast_seal(&other, of_other); /* the same password, set anew */
    assert_memory_not_equal(seal, of_other, sizeof seal);
}

static void the_first_use_ends_the_one_before(void **state)
{
    (void)state;
    struct fast_client client = { 0 };
    const char *given;
    assert_true(apply(&client, asking(SASL_HT_SHA_256_NONE), NOW, "a", &given));
    assert_string_equal(given, "a");
    assert_true(apply(&client, using("a"), NOW + 1, "b", &given));
    assert_null(given);
    assert_true(apply(&client, using("a"), NOW + 2, "b", &given));
    assert_true(apply(&client, using("a"), NOW + DAY, "b", &given)); /* due */
    assert_string_equal(given, "b");
    assert_int_equal(client.fresh.expires_s, NOW + DAY + LIFETIME);
    assert_true(apply(&client, using("a"), NOW + DAY + 1, "c", &given)); /* b was lost on the way */
    assert_string_equal(given, "c");
    assert_false(apply(&client, using("b"), NOW + DAY + 2, "d", &given));
    assert_true(apply(&client, using("c"), NOW + DAY + 2, "d", &given));
    assert_null(given);
    assert_false(apply(&client, using("a"), NOW + DAY + 3, "d", &given));
}

static void a_counter_never_goes_back(void **state)
{
    (void)state;
    struct fast_client client = { 0 };
    struct fast_request request = using("a");
    const char *given;
    apply(&client, asking(SASL_HT_SHA_256_NONE), NOW, "a", &given);
    request.has_count = true;
    request.count = 5;
    assert_int_equal(fast_judge(&client.fresh, SASL_HT_SHA_256_NONE, &request, NOW), OK);
    assert_true(apply(&client, request, NOW, "b", &given));
    assert_int_equal(fast_judge(&client.current, SASL_HT_SHA_256_NONE, &request, NOW), ERR_PERMISSION);
    assert_false(apply(&client, request, NOW, "b", &given));
    request.count = 4;
    assert_false(apply(&client, request, NOW, "b", &given));
    request.count = 6;
    assert_true(apply(&client, request, NOW, "b", &given));
    assert_int_equal(client.current.count, 6);
}

static void what_is_invalidated_is_gone(void **state)
{
    (void)state;
    struct fast_client client = { 0 };
    struct fast_request request = using("a");
    const char *given;
    apply(&client, asking(SASL_HT_SHA_256_NONE), NOW, "a", &given);
    request.invalidate = true;
    assert_true(apply(&client, request, NOW + 2 * DAY, "b", &given));
    assert_null(given); /* although it was due */
    assert_false(client.fresh.is_there || client.current.is_there);
    assert_false(apply(&client, request, NOW, "b", &given));
    apply(&client, asking(SASL_HT_SHA_256_NONE), NOW, "a", &given);
    request.wanted = SASL_HT_SHA_256_EXPR;
    assert_true(apply(&client, request, NOW, "b", &given));
    assert_string_equal(given, "b");
    assert_int_equal(client.fresh.mechanism, SASL_HT_SHA_256_EXPR);
}

static void judgement(void **state)
{
    (void)state;
    struct fast_client client = { 0 };
    struct fast_request request = using("a");
    const char *given;
    assert_int_equal(fast_judge(&client.fresh, SASL_HT_SHA_256_NONE, &request, NOW), ERR_PERMISSION);
    apply(&client, asking(SASL_HT_SHA_256_EXPR), NOW, "a", &given);
    assert_int_equal(fast_judge(&client.fresh, SASL_HT_SHA_256_NONE, &request, NOW), ERR_PERMISSION);
    assert_int_equal(fast_judge(&client.fresh, SASL_HT_SHA_256_EXPR, &request, NOW + LIFETIME - 1), OK);
    assert_int_equal(fast_judge(&client.fresh, SASL_HT_SHA_256_EXPR, &request, NOW + LIFETIME), ERR_TIMEOUT);
}

static void a_plain_use_is_no_change(void **state)
{
    (void)state;
    struct fast_client client = { 0 };
    struct fast_request request = using("a");
    struct fast_rules rules = rules_at(NOW + 1, "b");
    const char *given;
    apply(&client, asking(SASL_HT_SHA_256_NONE), NOW, "a", &given);
    assert_true(fast_is_change(&request, &client, &rules));
    apply(&client, request, NOW, "b", &given);
    assert_false(fast_is_change(&request, &client, &rules));
    rules.now_s = NOW + DAY;
    assert_true(fast_is_change(&request, &client, &rules));
    request.invalidate = true;
    assert_true(fast_is_change(&request, &client, &rules));
    request = (struct fast_request){ .wanted = -1 };
    assert_false(fast_is_change(&request, &client, &rules));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_says_all),
        cmocka_unit_test(a_token_is_of_one_origin),
        cmocka_unit_test(the_seal_is_the_passwords),
        cmocka_unit_test(the_first_use_ends_the_one_before),
        cmocka_unit_test(a_counter_never_goes_back),
        cmocka_unit_test(what_is_invalidated_is_gone),
        cmocka_unit_test(judgement),
        cmocka_unit_test(a_plain_use_is_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
