/* SPDX-License-Identifier: MIT */
/* Which certificate is whose, and which list has whom. */
#include "server/s2s/s2s.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void names(void **state)
{
    const struct {
        enum tls_name_kind kind;
        const char *text, *domain;
        bool covers;
    } table[] = {
        { TLS_NAME_DNS, "example.org", "example.org", true },
        { TLS_NAME_DNS, "EXAMPLE.org", "example.org", true },
        { TLS_NAME_DNS, "example.org", "im.example.org", false },
        { TLS_NAME_DNS, "*.example.org", "im.example.org", true },
        { TLS_NAME_DNS, "*.example.org", "example.org", false },
        { TLS_NAME_DNS, "*.example.org", "a.im.example.org", false },
        { TLS_NAME_DNS, "i*.example.org", "im.example.org", false },
        { TLS_NAME_DNS, "*.org", "example.org", false },
        { TLS_NAME_DNS, "*", "example", false },
        { TLS_NAME_DNS, "xn--bcher-kva.example",
          "b\xc3\xbc"
          "cher.example",
          true },
        { TLS_NAME_DNS,
          "b\xc3\xbc"
          "cher.example",
          "b\xc3\xbc"
          "cher.example",
          false },
        { TLS_NAME_SRV, "_xmpp-server.example.org", "example.org", true },
        { TLS_NAME_SRV, "_xmpp-client.example.org", "example.org", false },
        { TLS_NAME_SRV, "_xmpp-server.*.example.org", "im.example.org", false },
        { TLS_NAME_SRV, "_xmpp-server.", "example.org", false },
        { TLS_NAME_XMPP, "example.org", "example.org", true },
        { TLS_NAME_XMPP, "Example.ORG", "example.org", true },
        { TLS_NAME_XMPP, "romeo@example.org", "example.org", false },
        { TLS_NAME_XMPP, "example.org/r", "example.org", false },
        { TLS_NAME_XMPP, "*.example.org", "im.example.org", false },
    };
    struct arena arena;
    (void)state;
    arena_init(&arena, 1024);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct tls_name name = { table[i].kind, str_from(table[i].text) };
        if (s2s_name_covers(&name, str_from(table[i].domain), &arena) != table[i].covers)
            fail_msg("%s for %s", table[i].text, table[i].domain);
    }
    const struct tls_name client = { TLS_NAME_SRV, STR("_xmpp-client.example.org") };
    assert_true(s2s_name_covers_service(&client, STR("_xmpp-client."), STR("example.org"), &arena));
    assert_false(s2s_name_covers_service(&client, STR("_xmpp-server."), STR("example.org"), &arena));
    assert_false(s2s_name_covers_service(&client, STR("_xmpp-client."), STR("im.example.org"), &arena));
    arena_fini(&arena);
}

static void lists(void **state)
{
    static const char *const items[] = { "a.example", "*.b.example" };
    static const char *const all[] = { "*" };
    const struct config_list list = { items, 2 }, everybody = { all, 1 }, nobody = { NULL, 0 };
    (void)state;
    assert_true(s2s_listed(&list, STR("a.example")));
    assert_false(s2s_listed(&list, STR("x.a.example")));
    assert_true(s2s_listed(&list, STR("x.b.example")));
    assert_true(s2s_listed(&list, STR("y.x.b.example")));
    assert_false(s2s_listed(&list, STR("b.example")));
    assert_false(s2s_listed(&list, STR("xb.example")));
    assert_true(s2s_listed(&everybody, STR("b.example")));
    assert_false(s2s_listed(&nobody, STR("b.example")));
}

static void policies(void **state)
{
    static const char *const items[] = { "special.example" };
    const struct config_list special = { items, 1 };
    struct config config = { .s2s = { .require_tls = true, .dialback = true } };
    (void)state;
    struct s2s_policy policy = s2s_policy_for(&config, STR("special.example"));
    assert_true(!policy.refused && policy.require_tls && !policy.require_certificate && policy.dialback);
    config.s2s.without_tls = special;
    assert_false(s2s_policy_for(&config, STR("special.example")).require_tls);
    assert_true(s2s_policy_for(&config, STR("other.example")).require_tls);
    config.s2s.with_certificate = special; /* which can't be had without TLS */
    policy = s2s_policy_for(&config, STR("special.example"));
    assert_true(policy.require_tls && policy.require_certificate && !policy.dialback);
    config.s2s.dane = true; /* by dialback with who shows a good certificate */
    policy = s2s_policy_for(&config, STR("special.example"));
    assert_true(policy.require_certificate && policy.dialback);
    config.s2s.dane = false;
    config.s2s.allow = special;
    assert_true(s2s_policy_for(&config, STR("other.example")).refused);
    assert_false(s2s_policy_for(&config, STR("special.example")).refused);
    config.s2s.block = special;
    assert_true(s2s_policy_for(&config, STR("special.example")).refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(lists),
        cmocka_unit_test(policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
