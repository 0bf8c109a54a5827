/* SPDX-License-Identifier: MIT */
#include "xmpp/posh.h"

#include "base/arena.h"
#include "base/base64.h"
#include "base/mem.h"

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static const char CERTIFICATE[] = "some bytes that stand for a certificate";

/* Base64 of the digest of the certificate, or of something else. */
static const char *print_of(enum digest digest, const char *what, char room[128])
{
    unsigned char hash[DIGEST_MAX_SIZE];
    struct buf text;
    digest_hash(digest, str_from(what), hash);
    buf_init(&text, 127);
    base64_encode(&text, str_of((char *)hash, digest_size(digest)));
    str_copy(buf_str(&text), room, 128);
    buf_fini(&text);
    return room;
}

static enum err read_text(struct posh *ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum err read_text(struct posh *ret, const char *format, ...)
{
    char text[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return posh_read(str_from(text), ret);
}

static bool has(const struct posh *posh)
{
    return posh_has(posh, str_from(CERTIFICATE));
}

static void fingerprints(void **state)
{
    char a[128], b[128], c[128];
    struct posh posh;
    (void)state;
    print_of(DIGEST_SHA256, CERTIFICATE, a);
    print_of(DIGEST_SHA512, CERTIFICATE, b);
    print_of(DIGEST_SHA256, "another", c);
    assert_int_equal(
        read_text(&posh, "{\"fingerprints\":[{\"sha-256\":\"%s\",\"sha-512\":\"%s\"}],\"expires\":604800}", a,
                  b),
        OK);
    assert_int_equal(posh.count, 1);
    assert_int_equal(posh.expires_s, 604800);
    assert_string_equal(posh.url, "");
    assert_true(has(&posh));
    assert_int_equal(
        read_text(
            &posh,
            "{\"expires\":1,\"fingerprints\":[{\"sha-256\":\"%s\"},{\"md5\":\"x\"},{\"sha-256\":\"%s\"}]}", c,
            a),
        OK);
    assert_int_equal(posh.count, 2);
    assert_true(has(&posh));
    assert_int_equal(read_text(&posh, "{\"expires\":1,\"fingerprints\":[{\"sha-256\":\"%s\"}]}", c), OK);
    assert_false(has(&posh));
    /* a hash by the wrong name proves nothing */
    assert_int_equal(read_text(&posh, "{\"expires\":1,\"fingerprints\":[{\"sha-512\":\"%s\"}]}", a),
                     ERR_SYNTAX);
}

static void a_reference(void **state)
{
    struct posh posh;
    (void)state;
    assert_int_equal(read_text(&posh, "{\"url\":\"https://hosting.example/posh.json\",\"expires\":86400}"),
                     OK);
    assert_string_equal(posh.url, "https://hosting.example/posh.json");
    assert_int_equal(posh.count, 0);
    assert_false(has(&posh));
}

static void no_use(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"expires\":10}",
        "{\"fingerprints\":[],\"expires\":10}",
        "{\"fingerprints\":[{}],\"expires\":10}",
        "{\"fingerprints\":{\"sha-256\":\"AAAA\"},\"expires\":10}",
        "{\"fingerprints\":[{\"sha-256\":\"AAAA\"}],\"expires\":10}",
        "{\"fingerprints\":[{\"sha-256\":7}],\"expires\":10}",
        "{\"url\":\"https://a.example/\"}",
        "{\"url\":\"https://a.example/\",\"expires\":0}",
        "{\"url\":\"https://a.example/\",\"expires\":-5}",
        "{\"url\":\"https://a.example/\",\"expires\":\"10\"}",
        "{\"url\":\"\",\"expires\":10}",
        "{\"url\":7,\"expires\":10}",
        "{\"url\":\"https://a.example/\",\"expires\":10,\"expires\":20}",
        "{\"url\":\"https://a.example/\",\"expires\":10} more",
    };
    struct posh posh;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(posh_read(str_from(texts[i]), &posh), ERR_SYNTAX);
}

static void too_many_are_left_out(void **state)
{
    char print[128], text[8192] = "{\"expires\":10,\"fingerprints\":[";
    struct posh posh;
    (void)state;
    print_of(DIGEST_SHA256, CERTIFICATE, print);
    for (int i = 0; i < 2 * POSH_PRINTS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s{\"sha-256\":\"%s\"}", i ? "," : "",
                 print);
    snprintf(text + strlen(text), sizeof text - strlen(text), "]}");
    assert_int_equal(posh_read(str_from(text), &posh), OK);
    assert_int_equal(posh.count, POSH_PRINTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(a_reference),
        cmocka_unit_test(no_use),
        cmocka_unit_test(too_many_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
