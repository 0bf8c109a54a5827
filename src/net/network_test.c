/* SPDX-License-Identifier: MIT */
#include "net/network.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_is_in_a_network(void **state)
{
    (void)state;
    static const struct {
        const char *network, *peer;
        bool inside;
    } rows[] = {
        { "127.0.0.0/8", "127.0.0.1:1", true },
        { "127.0.0.0/8", "127.255.0.1:5222", true },
        { "127.0.0.0/8", "128.0.0.1:1", false },
        { "127.0.0.0/8", "[::1]:1", false },
        { "10.1.2.3", "10.1.2.3:9", true },
        { "10.1.2.3", "10.1.2.4:9", false },
        { "10.1.2.0/23", "10.1.3.255:9", true },
        { "10.1.2.0/23", "10.1.4.0:9", false },
        { "10.1.2.3/24", "10.1.2.200:9", true },
        { "0.0.0.0/0", "9.9.9.9:9", true },
        { "0.0.0.0/0", "[2001:db8::1]:9", false },
        { "::/0", "9.9.9.9:9", true },
        { "2001:db8::/32", "[2001:db8:1::7]:9", true },
        { "2001:db8::/32", "[2001:db9::]:9", false },
        { "10.1.2.3", "[::ffff:10.1.2.3]:9", true },
        { "::1", "[::1]:5222", true },
        { "::1", "[::2]:5222", false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct network network, peer;
        assert_true(network_parse(str_from(rows[i].network), &network));
        assert_true(network_of_peer(rows[i].peer, &peer));
        if (network_has(&network, &peer) != rows[i].inside)
            fail_msg("%s in %s", rows[i].peer, rows[i].network);
    }
}

static void what_is_none(void **state)
{
    (void)state;
    static const char *const rows[] = { "",           "localhost",   "10.0.0.0/33", "10.0.0.0/",
                                        "10.0.0.0/x", "::/129",      "10.0",        "1.2.3.4:5",
                                        "::1%lo",     "10.0.0.0/-1", "/8" };
    struct network network;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (network_parse(str_from(rows[i]), &network))
            fail_msg("taken: %s", rows[i]);
    assert_false(network_of_peer("local", &network));
    assert_false(network_of_peer("", &network));
    assert_false(network_of_peer(":1", &network));
    assert_false(network_of_peer("[]:1", &network));
}

static void neighbours_are_one(void **state)
{
    (void)state;
    struct network a, b;
    network_of_peer("[2001:db8:1:2:aaaa::1]:1", &a);
    network_of_peer("[2001:db8:1:2:bbbb::2]:2", &b);
    network_widen(&a, 64);
    network_widen(&b, 64);
    assert_memory_equal(a.bytes, b.bytes, 16);
    network_of_peer("[2001:db8:1:3::]:2", &b);
    network_widen(&b, 64);
    assert_memory_not_equal(a.bytes, b.bytes, 16);
    network_of_peer("10.0.0.1:1", &a);
    network_of_peer("10.0.0.2:1", &b);
    network_widen(&a, 64);
    network_widen(&b, 64);
    assert_memory_not_equal(a.bytes, b.bytes, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_a_network),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(neighbours_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
