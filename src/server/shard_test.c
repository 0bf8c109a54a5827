/* SPDX-License-Identifier: MIT */
/* Several shards on several threads, with real sockets: logins that move to their home shard, messages and
 * subscriptions between users of different shards, sessions that come and go, a reload and a stop under way.
 * What each stanza does is the scenarios' matter; here it is that nothing is lost between threads, and (in
 * the ThreadSanitizer build) that no two of them touch the same thing at once. A room's fan-outs:
 * extensions/rooms/fanout_test.c. */
#include "base/log.h"
#include "server/test_shards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGES = 50 };

static int start(void **state)
{
    static const struct ext *const none[] = { NULL };
    *state = test_shards_start(none, "");
    return 0;
}

static int stop(void **state)
{
    test_shards_free(*state);
    return 0;
}

static void messages_cross_shards_in_order(void **state)
{
    struct test_client *clients = test_shards_login(*state);
    char text[256];
    for (unsigned m = 0; m < MESSAGES; m++) {
        for (unsigned i = 0; i < USERS; i++) {
            snprintf(text, sizeof text,
                     "<message to='user%u@localhost' type='chat' id='m%u'><body>x</body></message>",
                     (i + 7) % USERS, m);
            test_client_say(&clients[i], text);
        }
    }
    for (unsigned i = 0; i < USERS; i++) {
        test_client_expect(&clients[i], "</message>", MESSAGES);
        const char *at = clients[i].bytes;
        for (unsigned m = 0; m < MESSAGES; m++) {
            snprintf(text, sizeof text, "id='m%u'", m);
            at = strstr(at, text);
            assert_non_null(at);
        }
    }
    test_shards_leave(clients);
}

static void subscriptions_cross_shards(void **state)
{
    struct test_client *clients = test_shards_login(*state);
    char text[256];
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(text, sizeof text, "<presence to='user%u@localhost' type='subscribe'/>", (i + 5) % USERS);
        test_client_say(&clients[i], text);
    }
    for (unsigned i = 0; i < USERS; i++) {
        test_client_expect(&clients[i], "type='subscribe'", 1);
        snprintf(text, sizeof text, "<presence to='user%u@localhost' type='subscribed'/>",
                 (i + USERS - 5) % USERS);
        test_client_say(&clients[i], text);
    }
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(text, sizeof text, "<presence from='user%u@localhost/", (i + 5) % USERS);
        test_client_expect(&clients[i], "subscription='to'", 1);
        test_client_expect(&clients[i], text, 1);
    }
    test_shards_leave(clients);
}

static void sessions_come_and_go_during_a_reload(void **state)
{
    struct test_shards *shards = *state;
    char why[256] = "", text[256];
    for (unsigned round = 0; round < 3; round++) {
        struct test_client *clients = test_shards_login(shards);
        assert_int_equal(
            server_reload(shards->server, round % 2 ? shards->config : shards->second, why, sizeof why), OK);
        for (unsigned i = 0; i < USERS; i++) {
            snprintf(text, sizeof text,
                     "<message to='user%u@localhost'><body>bye</body></message></stream:stream>",
                     (i + 1) % USERS);
            test_client_say(&clients[i], text);
        }
        for (unsigned i = 0; i < USERS; i++)
            test_client_expect(&clients[i], "</stream:stream>", 1);
        test_shards_leave(clients);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_cross_shards_in_order, start, stop),
        cmocka_unit_test_setup_teardown(subscriptions_cross_shards, start, stop),
        cmocka_unit_test_setup_teardown(sessions_come_and_go_during_a_reload, start, stop),
    };
    log_set_level(LOG_AREA_COUNT, LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
