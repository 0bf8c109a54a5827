/* SPDX-License-Identifier: MIT */
/* Addresses: the tables of RFC 7622 §3.5, the profiles of RFC 8265, IDNA, IP literals, limits; and that what
 * was prepared stays as it is. */
#include "xmpp/jid.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

struct vector {
    const char *text, *want; /* want NULL: no JID */
};

static void check(const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct jid jid = { 0 };
        enum err err = jid_parse(str_from(vectors[i].text), &arena, &jid);
        if (!vectors[i].want != (err != OK))
            fail_msg("'%s': %s, got '%.*s'", vectors[i].text, err ? "refused" : "accepted",
                     STR_ARGS(jid.full));
        if (err)
            continue;
        if (!str_eq(jid.full, str_from(vectors[i].want)))
            fail_msg("'%s' became '%.*s'", vectors[i].text, STR_ARGS(jid.full));
    }
}

#define CHECK(...)                                                                                           \
    do {                                                                                                     \
        const struct vector vectors[] = { __VA_ARGS__ };                                                     \
        check(vectors, COUNT_OF(vectors));                                                                   \
    } while (0)

static void legal_examples_of_rfc_7622(void **state)
{
    (void)state;
    CHECK({ "juliet@example.com", "juliet@example.com" },
          { "juliet@example.com/foo", "juliet@example.com/foo" },
          { "juliet@example.com/foo bar", "juliet@example.com/foo bar" },
          { "juliet@example.com/foo@bar", "juliet@example.com/foo@bar" },
          { "foo\\20bar@example.com", "foo\\20bar@example.com" },
          { "fussball@example.com", "fussball@example.com" },
          { "fu\u00DFball@example.com", "fu\u00DFball@example.com" },
          { "\u03C0@example.com", "\u03C0@example.com" },
          { "\u03A3@example.com/foo", "\u03C3@example.com/foo" },
          { "\u03C3@example.com/foo", "\u03C3@example.com/foo" },
          { "\u03C2@example.com/foo", "\u03C2@example.com/foo" },
          { "king@example.com/\u265A", "king@example.com/\u265A" }, { "example.com", "example.com" },
          { "example.com/foobar", "example.com/foobar" },
          { "a.example.com/b@example.net", "a.example.com/b@example.net" });
}

static void illegal_examples_of_rfc_7622(void **state)
{
    (void)state;
    CHECK({ "\"juliet\"@example.com", NULL }, { "foo bar@example.com", NULL }, { "@example.com/", NULL },
          { "henry\u2163@example.com", NULL }, { "\u265A@example.com", NULL }, { "juliet@", NULL },
          { "/foobar", NULL });
    /* Example 18 as erratum 4560 has it: OpaqueString allows the space. */
    CHECK({ "juliet@example.com/ foo", "juliet@example.com/ foo" });
}

static void parts_may_be_absent_but_not_empty(void **state)
{
    (void)state;
    CHECK({ "", NULL }, { "@", NULL }, { "/", NULL }, { "@/", NULL }, { "a@b/", NULL }, { "@b", NULL },
          { "a@", NULL }, { "a@/r", NULL }, { "b/", NULL }, { "a@b@c", NULL }, { "a@b/c@d/e", "a@b/c@d/e" },
          { "b//", "b//" });
}

static void the_parts_are_found(void **state)
{
    (void)state;
    struct jid jid;
    assert_int_equal(jid_parse(STR("A@B.example/C d"), &arena, &jid), OK);
    assert_true(str_is(jid_local(&jid), "a"));
    assert_true(str_is(jid_domain(&jid), "b.example"));
    assert_true(str_is(jid_bare(&jid), "a@b.example"));
    assert_true(str_is(jid_resource(&jid), "C d"));
    struct jid bare = jid_to_bare(&jid), copy = jid_copy(&jid, &arena);
    assert_true(jid_is_bare(&bare) && !jid_is_bare(&jid));
    assert_true(jid_eq_bare(&bare, &jid) && !jid_eq(&bare, &jid));
    assert_true(jid_eq(&copy, &jid) && copy.full.p != jid.full.p);
    jid = jid_make(str_none, STR("x.example"), STR("r"), &arena);
    assert_true(str_is(jid.full, "x.example/r"));
    assert_true(str_is(jid_domain(&jid), "x.example") && str_is(jid_resource(&jid), "r"));
}

static void normal_form_is_not_copied(void **state)
{
    (void)state;
    struct jid jid;
    str text = STR("juliet.c-1_2@xn.example.com/Balcony 3");
    assert_int_equal(jid_parse(text, &arena, &jid), OK);
    assert_ptr_equal(jid.full.p, text.p);
    assert_int_equal(jid.full.len, text.len);
}

static void localparts_are_identifiers(void **state)
{
    (void)state;
    static const char excluded[] = "\"&':<> \x7F\x01\t";
    for (size_t i = 0; i < sizeof excluded - 1; i++) {
        char text[] = "a?b@example.com";
        text[1] = excluded[i];
        CHECK({ text, NULL });
    }
    CHECK({ "ROMEO@example.com", "romeo@example.com" },
          { "a!#$%()*+,-.;=?[\\]^_`{|}~@b", "a!#$%()*+,-.;=?[\\]^_`{|}~@b" },
          /* full width: letters are mapped, and excluded characters stay excluded */
          { "\uFF2A\uFF35\uFF2C@example.com", "jul@example.com" }, { "a\uFF20b@example.com", NULL },
          { "a\uFF0Fb@example.com", NULL }, { "a\uFF06b@example.com", NULL },
          { "\uFF76@example.com", "\u30AB@example.com" },
          /* composition, also behind lower-casing */
          { "e\u0301@example.com", "\u00E9@example.com" }, { "E\u0301@example.com", "\u00E9@example.com" },
          { "\u0130@example.com", "i\u0307@example.com" }, { "\u212A@example.com", "k@example.com" },
          /* Cherokee goes down (RFC 8265; case folding would go up); a titlecase letter too */
          { "\u13A0@example.com", "\uAB70@example.com" }, { "\uAB70@example.com", "\uAB70@example.com" },
          { "\u1F88@example.com", "\u1F80@example.com" }, { "\u01C5@example.com", NULL },
          { "\u039F\u03A3@example.com", "\u03BF\u03C3@example.com" },
          /* ligatures, spaces, symbols, invisible ones, unassigned, private, not characters */
          { "\uFB01@example.com", NULL }, { "a\u00A0@example.com", NULL }, { "\u20AC@example.com", NULL },
          { "a\u00AD@example.com", NULL }, { "a\u200B@example.com", NULL }, { "a\u0378@example.com", NULL },
          { "a\uE000@example.com", NULL }, { "a\uFFFE@example.com", NULL }, { "a\U000E0001@b", NULL },
          { "\u1100@example.com", NULL }, { "\u0640@example.com", NULL }, { "a\xC2\x85@b", NULL });
}

static void contextual_rules_hold(void **state)
{
    (void)state;
    CHECK({ "l\u00B7l@b", "l\u00B7l@b" }, { "a\u00B7l@b", NULL }, { "l\u00B7@b", NULL },
          { "\u0375\u03B1@b", "\u0375\u03B1@b" }, { "\u0375a@b", NULL },
          { "\u05D0\u05F3@b", "\u05D0\u05F3@b" }, { "a\u05F3@b", NULL },
          { "\u30FB\u30AB@b", "\u30FB\u30AB@b" }, { "a\u30FB@b", NULL },
          { "\u0628\u0660@b", "\u0628\u0660@b" }, { "\u0628\u0660\u06F0@b", NULL },
          { "\u0915\u094D\u200D\u0937@b", "\u0915\u094D\u200D\u0937@b" }, { "\u0915\u200D\u0937@b", NULL },
          { "\u0628\u200C\u0628@b", "\u0628\u200C\u0628@b" }, { "\u0628\u200C@b", NULL },
          { "a\u200Cb@b", NULL });
}

static void bidi_rule_holds(void **state)
{
    (void)state;
    CHECK({ "\u05D0\u05D1@b", "\u05D0\u05D1@b" }, { "\u05D01@b", "\u05D01@b" }, { "1\u05D0@b", NULL },
          { "a\u05D0@b", NULL }, { "\u05D0a@b", NULL }, { "\u05D0-@b", NULL },
          { "\u05D0-\u05D1@b", "\u05D0-\u05D1@b" }, { "\u05D0\u05B0@b", "\u05D0\u05B0@b" },
          { "\u06281\u0661@b", NULL }, { "b/a\u05D0", "b/a\u05D0" });
}

static void resources_are_opaque(void **state)
{
    (void)state;
    CHECK({ "b/Foo\u00A0Bar", "b/Foo Bar" }, { "b/\u3000", "b/ " }, { "b/\uFF21", "b/\uFF21" },
          { "b/e\u0301", "b/\u00E9" }, { "b/\U0001F600", "b/\U0001F600" }, { "b/\u2163", "b/\u2163" },
          { "b/\u01C5", "b/\u01C5" }, { "b/\uFB01", "b/\uFB01" }, { "b/\u13A0", "b/\u13A0" },
          { "b/a\x07", NULL }, { "b/a\x7F", NULL }, { "b/a\n", NULL }, { "b/\u200B", NULL },
          { "b/\u2764\uFE0F", NULL }, { "b/\uE000", NULL }, { "b/\u0378", NULL }, { "b/a\xC2\x85", NULL },
          { "b/\u2028", NULL }, { "b/\u212B", "b/\u00C5" });
}

static void domains_are_names_or_addresses(void **state)
{
    (void)state;
    CHECK({ "EXAMPLE.Com", "example.com" }, { "example.com.", "example.com" },
          { "a@example.com./r", "a@example.com/r" }, { "localhost", "localhost" }, { "example..com", NULL },
          { ".example.com", NULL }, { "example.com..", NULL }, { ".", NULL }, { "-a.example", NULL },
          { "a-.example", NULL }, { "ab--c.example", NULL }, { "a_b.example", NULL }, { "a b.example", NULL },
          { "a\x7F.example", NULL }, { "1.example", "1.example" }, { "192.0.2.1", "192.0.2.1" },
          { "192.0.2.256", NULL }, { "192.0.2", NULL }, { "1", NULL },
          { "a@[2001:DB8::1]", "a@[2001:db8::1]" }, { "[2001:db8:0:0:0:0:0:1]/r", "[2001:db8::1]/r" },
          { "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]" }, { "[::1", NULL }, { "::1", NULL }, { "[]", NULL },
          { "[192.0.2.1]", NULL }, { "[fe80::1%eth0]", NULL }, { "[::1]x", NULL }, { "[::1].", "[::1]" });
}

static void domains_follow_idna_2008(void **state)
{
    (void)state;
    CHECK({ "b\u00FCcher.example", "b\u00FCcher.example" }, { "B\u00DCCHER.Example", "b\u00FCcher.example" },
          { "xn--bcher-kva.example", "b\u00FCcher.example" },
          { "XN--BCHER-KVA.example", "b\u00FCcher.example" },
          { "bu\u0308cher.example", "b\u00FCcher.example" }, { "fa\u00DF.example", "fa\u00DF.example" },
          { "xn--fa-hia.example", "fa\u00DF.example" },
          { "\u03B2\u03CC\u03BB\u03BF\u03C2.example", "\u03B2\u03CC\u03BB\u03BF\u03C2.example" },
          { "\u4F8B\u3002example", "\u4F8B.example" }, { "\uFF41\uFF42.example", "ab.example" },
          { "\uFF11\uFF19\uFF12.0.2.1", "192.0.2.1" }, { "\u05D0\u05D1.example", "\u05D0\u05D1.example" },
          { "\u2603.example", NULL }, { "xn--n3h.example", NULL }, { "xn--.example", NULL },
          { "xn--a.example", NULL }, { "xn--example-.com", NULL }, { "a\uFF20b.example", NULL },
          { "a\uFF0Fb.example", NULL }, { "\u0301a.example", NULL }, { "a\u200Db.example", NULL },
          { "\u0378.example", NULL }, { "\U0001F600.example", NULL }, { "\u05D0a.example", NULL },
          { "\u00E9.", "\u00E9" }, { "\u00E9\u3002", NULL }, { "xn--bcekar.example", NULL },
          { "\u13F5\u13EB\u13F0\u13F0.example", NULL });
}

static void bytes_must_be_utf8(void **state)
{
    (void)state;
    CHECK({ "a\xFF@b", NULL }, { "b/\xC0\x80", NULL }, { "b/\xED\xA0\x80", NULL }, { "\xC3.example", NULL },
          { "b/\xF4\x90\x80\x80", NULL });
    struct jid jid;
    assert_int_equal(jid_parse(STR("a\0b@c"), &arena, &jid), ERR_SYNTAX);
    assert_int_equal(jid_parse(STR("b/\0"), &arena, &jid), ERR_SYNTAX);
    assert_int_equal(jid_parse(STR("b\0.example"), &arena, &jid), ERR_SYNTAX);
    assert_int_equal(jid_parse(STR("\xC3\xA9\0.example"), &arena, &jid), ERR_SYNTAX);
}

static char *repeat(const char *unit, size_t count)
{
    size_t len = strlen(unit);
    char *text = xmalloc(len * count + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * len, unit, len);
    text[len * count] = '\0';
    return text;
}

/* Whether a part made of `count` units is taken; the prefix and suffix stand around it. */
static bool takes(const char *prefix, const char *unit, size_t count, const char *suffix)
{
    char *part = repeat(unit, count);
    str text = arena_printf(&arena, "%s%s%s", prefix, part, suffix);
    free(part);
    struct jid jid;
    return jid_parse(text, &arena, &jid) == OK;
}

static void parts_have_1023_bytes_at_most(void **state)
{
    (void)state;
    assert_true(takes("", "a", 1023, "@b"));
    assert_false(takes("", "a", 1024, "@b"));
    assert_true(takes("", "A", 1023, "@b"));
    assert_false(takes("", "A", 1024, "@b"));
    assert_true(takes("b/", "a", 1023, ""));
    assert_false(takes("b/", "a", 1024, ""));
    assert_true(takes("b/", "\u265A", 341, ""));
    assert_false(takes("b/", "\u265A", 342, ""));
    assert_true(takes("", "\uFF41", 1023, "@b")); /* three bytes each, one afterwards */
    assert_false(takes("", "\uFF41", 1024, "@b"));
    assert_true(takes("b/", "e\u0301", 511, ""));
    assert_false(takes("b/", "e\u0301", 512, ""));
    assert_true(takes("", "a", 63, ".example"));
    assert_false(takes("", "a", 64, ".example"));
    assert_true(takes("", "a.", 126, "a"));   /* 253 */
    assert_false(takes("", "a.", 126, "ab")); /* 254 */
    assert_false(takes("", "\u00E9", 60, ".example"));
}

static void hostile_lengths_are_refused(void **state)
{
    (void)state;
    static const char *const units[] = { "a", "\u0301", "e\u0301", "\u200C", "/",
                                         "@", ".",      "\u0660",  "\uFDFA", "xn--" };
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        assert_false(takes("", units[i], 65536 / strlen(units[i]), ""));
        assert_false(takes("a@b/", units[i], 65536 / strlen(units[i]), ""));
        takes("b/", units[i], 1000, "");
        takes("", units[i], 1000, "@b");
        arena_reset(&arena);
    }
}

static void passwords_are_opaque_strings(void **state)
{
    (void)state;
    str got = str_none;
    assert_int_equal(jid_prepare_password(STR("correct horse battery staple"), &arena, &got), OK);
    assert_true(str_is(got, "correct horse battery staple"));
    assert_int_equal(jid_prepare_password(STR("Correct Horse"), &arena, &got), OK);
    assert_true(str_is(got, "Correct Horse"));
    assert_int_equal(jid_prepare_password(STR("\u03C0\u00DF\u00E5"), &arena, &got), OK);
    assert_true(str_is(got, "\u03C0\u00DF\u00E5"));
    assert_int_equal(jid_prepare_password(STR("Jack of \u2666s"), &arena, &got), OK);
    assert_true(str_is(got, "Jack of \u2666s"));
    assert_int_equal(jid_prepare_password(STR("foo\u1680bar"), &arena, &got), OK);
    assert_true(str_is(got, "foo bar"));
    assert_int_equal(jid_prepare_password(STR(""), &arena, &got), ERR_SYNTAX);
    assert_int_equal(jid_prepare_password(STR("my cat is a \x09 by"), &arena, &got), ERR_SYNTAX);
}

/* ---- Stability over random texts ------------------------------------------------------------------------
 */

static uint64_t seed = 0x9E3779B97F4A7C15u;

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 20) % below);
}

static uint32_t draw_point(void)
{
    static const uint32_t picked[] = { 0x130,  0x3A3,  0x3C2,  0xDF,   0x301,  0x307,  0x345,
                                       0x200C, 0x200D, 0x94D,  0xB7,   0xFF20, 0x212A, 0x3002,
                                       0xFF61, 0xFF9E, 0xFF76, 0xAC00, 0x1F88, 0x13A0 };
    uint32_t point;
    switch (draw(6)) {
    case 0:
        return 0x21 + draw(0x5E);
    case 1:
        return picked[draw(COUNT_OF(picked))];
    case 2:
        return 0x80 + draw(0x600);
    case 3:
        return 0x1E00 + draw(0x200);
    case 4:
        return 'a' + draw(26);
    default:
        point = 1 + draw(0x2FFFF);
        return point >= 0xD800 && point < 0xE000 ? 'x' : point;
    }
}

static void normal_form_is_stable(void **state)
{
    (void)state;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 60000; round++) {
        char text[256];
        size_t len = 0;
        for (uint32_t left = 1 + draw(5), part = draw(3); left > 0; left--) {
            len += utf8_put(text + len, draw_point());
            if (left == 2 && part)
                text[len++] = part == 1 ? '@' : '/';
        }
        struct jid once, twice;
        if (jid_parse(str_of(text, len), &arena, &once) == OK) {
            accepted++;
            if (jid_parse(once.full, &arena, &twice) != OK || !jid_eq(&once, &twice) ||
                once.local_len != twice.local_len || once.domain_len != twice.domain_len)
                fail_msg("'%.*s' became '%.*s', which is not stable", (int)len, text, STR_ARGS(once.full));
        }
        arena_reset(&arena);
    }
    assert_true(accepted > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(legal_examples_of_rfc_7622, setup, teardown),
        cmocka_unit_test_setup_teardown(illegal_examples_of_rfc_7622, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_may_be_absent_but_not_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(the_parts_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(normal_form_is_not_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(localparts_are_identifiers, setup, teardown),
        cmocka_unit_test_setup_teardown(contextual_rules_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(bidi_rule_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(resources_are_opaque, setup, teardown),
        cmocka_unit_test_setup_teardown(domains_are_names_or_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(domains_follow_idna_2008, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_must_be_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_have_1023_bytes_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_lengths_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(passwords_are_opaque_strings, setup, teardown),
        cmocka_unit_test_setup_teardown(normal_form_is_stable, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
