/* SPDX-License-Identifier: MIT */
/* The tools of the ground floor, each by what its header promises. */
#include "base/arena.h"
#include "base/base64.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/slab.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void str_cuts_at_separators(void **state)
{
    (void)state;
    str rest = STR("a,,b");
    assert_true(str_is(str_cut(&rest, ','), "a"));
    assert_true(str_is(str_cut(&rest, ','), ""));
    assert_true(str_is(str_cut(&rest, ','), "b"));
    assert_null(rest.p);
    assert_true(str_is(str_trim(STR(" \t x y\r\n")), "x y"));
    assert_true(str_eq_nocase(STR("XmPp"), STR("xMpP")));
    assert_false(str_eq_nocase(STR("a"), STR("b")));
    assert_true(str_cmp(STR("ab"), STR("abc")) < 0 && str_cmp(STR("b"), STR("abc")) > 0);
}

static void str_reads_numbers_whole_or_not_at_all(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    value = 7;
    assert_false(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &value));
    assert_false(str_to_u64(STR(""), 10, &value));
    assert_false(str_to_u64(STR("-1"), 10, &value));
    assert_false(str_to_u64(STR("1x"), 10, &value));
    assert_false(str_to_u64(STR("11"), 10, &value));
    assert_int_equal(value, 7);
}

static void arena_survives_growth_and_reset(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 64);
    for (int round = 0; round < 3; round++) {
        str first = arena_str(&arena, STR("first"));
        for (int i = 0; i < 100; i++)
            memset(arena_alloc(&arena, (size_t)i * 7 + 1), 0xEE, (size_t)i * 7 + 1);
        assert_true(str_is(first, "first"));
        assert_true(str_is(arena_printf(&arena, "%d-%s", 42, "x"), "42-x"));
        arena_reset(&arena);
    }
    memset(arena_alloc(&arena, 1 << 20), 1, 1 << 20);
    arena_reset(&arena);
    assert_null(arena._first); /* a giant block is not kept */
    arena_fini(&arena);
}

static void buf_stops_at_its_maximum(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 200);
    for (int i = 0; i < 20; i++)
        buf_lit(&buf, "0123456789");
    assert_int_equal(buf.len, 200);
    assert_false(buf_failed(&buf));
    buf_add_char(&buf, 'x');
    assert_true(buf_failed(&buf));
    assert_int_equal(buf.len, 200);
    buf_consume(&buf, 195);
    assert_true(str_is(buf_str(&buf), "56789"));
    char *taken = buf_take(&buf);
    assert_string_equal(taken, "56789");
    free(taken);
    assert_null(buf.p);
    buf_fini(&buf);
}

struct word {
    struct map_node node;
    char text[16];
};

static str word_key(const struct map_node *node)
{
    return str_from(CONTAINER_OF(node, struct word, node)->text);
}

static void map_keeps_what_was_put(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct word *words = calloc(COUNT, sizeof *words);
    struct map map;
    map_init(&map, word_key);
    assert_null(map_get(&map, STR("0")));
    for (int i = 0; i < COUNT; i++) {
        snprintf(words[i].text, sizeof words[i].text, "%d", i);
        map_put(&map, &words[i].node);
    }
    struct map_walk walk = { 0 };
    size_t seen = 0;
    while (map_next(&map, &walk))
        seen++;
    assert_int_equal(seen, COUNT);
    for (int i = 0; i < COUNT; i += 2)
        map_remove(&map, &words[i].node);
    for (int i = 0; i < COUNT; i++) {
        struct map_node *node = map_get(&map, str_from(words[i].text));
        assert_ptr_equal(node, i % 2 ? &words[i].node : NULL);
    }
    for (int i = 1; i < COUNT; i += 2)
        map_remove(&map, &words[i].node);
    assert_int_equal(map.count, 0);
    assert_true(map._bucket_count < 32);
    map_fini(&map);
    free(words);
}

static void base64_is_strict(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 256);
    str bytes;
    assert_true(base64_decode(&arena, STR("Zm9vYg=="), &bytes) && str_is(bytes, "foob"));
    assert_true(base64_decode(&arena, STR("Zm9v"), &bytes) && str_is(bytes, "foo"));
    assert_true(base64_decode(&arena, STR(""), &bytes) && bytes.len == 0);
    static const char *const wrong[] = { "Zg",   "Zg=",  "Zh==",     "Z===", "====",      "Zm9v\n",
                                         " Zm9", "Zm=v", "Zm9vY===", "A===", "Z\xc3\xa9=" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(base64_decode(&arena, str_from(wrong[i]), &bytes));
    struct buf buf;
    buf_init(&buf, 100);
    base64_encode(&buf, STR("fo"));
    hex_encode(&buf, STR("\x01\xfe"));
    assert_true(str_is(buf_str(&buf), "Zm8=01fe"));
    buf_fini(&buf);
    arena_fini(&arena);
}

static void digests_match_published_vectors(void **state)
{
    (void)state;
    unsigned char out[DIGEST_MAX_SIZE];
    struct buf hex;
    buf_init(&hex, 200);
    digest_hash(DIGEST_SHA1, STR("abc"), out);
    hex_encode(&hex, str_of((char *)out, 20));
    assert_true(str_is(buf_str(&hex), "a9993e364706816aba3e25717850c26c9cd0d89d"));
    buf_clear(&hex); /* RFC 4231, test case 2 */
    digest_hmac(DIGEST_SHA256, STR("Jefe"), STR("what do ya want for nothing?"), out);
    hex_encode(&hex, str_of((char *)out, 32));
    assert_true(str_is(buf_str(&hex), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    buf_clear(&hex); /* RFC 6070, test case 2 */
    digest_pbkdf2(DIGEST_SHA1, STR("password"), STR("salt"), 2, out);
    hex_encode(&hex, str_of((char *)out, 20));
    assert_true(str_is(buf_str(&hex), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"));
    buf_fini(&hex);
}

static void utf8_refuses_what_rfc_3629_refuses(void **state)
{
    (void)state;
    static const char *const wrong[] = { "\x80",
                                         "\xC0\x80",
                                         "\xC1\xBF",
                                         "\xE0\x80\x80",
                                         "\xED\xA0\x80",
                                         "\xF0\x80\x80\x80",
                                         "\xF4\x90\x80\x80",
                                         "\xF5\x80\x80\x80",
                                         "\xE2\x82",
                                         "\xFF",
                                         "\xC3(" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(utf8_valid(str_from(wrong[i])));
    static const uint32_t points[] = {
        0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF
    };
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        char bytes[4];
        size_t length = utf8_put(bytes, points[i]), at = 0;
        assert_int_equal(utf8_next(str_of(bytes, length), &at), points[i]);
        assert_int_equal(at, length);
    }
}

static void lists_slabs_and_blobs_hold_together(void **state)
{
    (void)state;
    struct list head, one, two;
    list_init(&head);
    list_append(&head, &two);
    list_prepend(&head, &one);
    assert_ptr_equal(list_shift(&head), &one);
    list_remove(&two);
    list_remove(&two);
    assert_null(list_shift(&head));
    struct slab slab;
    slab_init(&slab, 40);
    void *objects[1000];
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        memset(objects[i] = slab_alloc(&slab), 0xAA, 40);
    assert_int_equal(slab.in_use, COUNT_OF(objects));
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        slab_free(&slab, objects[i]);
    char *again = slab_alloc(&slab);
    assert_int_equal(again[20], 0);
    slab_free(&slab, again);
    assert_int_equal(slab.in_use, 0);
    slab_fini(&slab);
    struct blob *blob = blob_new(STR("shared"));
    blob_unref(blob_ref(blob));
    assert_true(str_is(blob_str(blob), "shared"));
    blob_unref(blob);
}

static void tokens_differ_and_errors_have_words(void **state)
{
    (void)state;
    char a[25], b[25];
    rand_token(a, sizeof a);
    rand_token(b, sizeof b);
    assert_int_equal(strlen(a), 24);
    assert_string_not_equal(a, b);
    assert_string_equal(err_text(ERR_NOT_FOUND), "not found");
    assert_string_equal(err_text((enum err) - 999), "unknown error");
    assert_true(mem_equal_secret("abc", "abc", 3));
    assert_false(mem_equal_secret("abc", "abd", 3));
}

static void texts_are_cut_between_characters(void **state)
{
    (void)state;
    str text = STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa2"); /* of 1, 2, 3 and 4 bytes */
    const size_t lengths[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10 };
    for (size_t max = 0; max < COUNT_OF(lengths); max++)
        assert_int_equal(utf8_cut(text, max).len, lengths[max]);
    assert_int_equal(utf8_cut(STR(""), 5).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_cuts_at_separators),
        cmocka_unit_test(str_reads_numbers_whole_or_not_at_all),
        cmocka_unit_test(arena_survives_growth_and_reset),
        cmocka_unit_test(buf_stops_at_its_maximum),
        cmocka_unit_test(map_keeps_what_was_put),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(digests_match_published_vectors),
        cmocka_unit_test(utf8_refuses_what_rfc_3629_refuses),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(lists_slabs_and_blobs_hold_together),
        cmocka_unit_test(tokens_differ_and_errors_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
