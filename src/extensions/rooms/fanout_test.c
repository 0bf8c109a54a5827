/* SPDX-License-Identifier: MIT */
/* A room is flooded on several shards, each on a thread of its own: its crowds are shared by all of them, and
 * made anew while what was said to the old ones is still on its way. What is said comes to everybody, once
 * and in order; and (in the ThreadSanitizer build) no two threads touch the same thing at once. Who may say
 * how much is the scenarios' matter (rooms_guard.scn); here a client is slowed down across threads. */
#include "base/log.h"
#include "extensions/list.h"
#include "server/shard.h"
#include "server/test_shards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROOM   "coven@conference.localhost"
#define ENTER  "<presence to='" ROOM "/user%u'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
#define LEAVE  "<presence to='" ROOM "/user%u' type='unavailable'/>"
#define SAY    "<message to='" ROOM "' type='groupchat' id='m%u-%u-'><body>x</body></message>"
#define ITSELF "<status code='110'/>"

/* The first few flood, the last few come and go meanwhile. */
enum { FLOODERS = 6, WORDS = 40, MOVERS = 4, MOVES = 5, OF_ONE = 8 };

static int start_unguarded(void **state)
{
    *state = test_shards_start(extension_list, "rooms { user-rate = 0 room-rate = 0 same-text-rooms = 0 }");
    return 0;
}

/* A word costs a tenth of a second, and from the third on he is braked. */
static int start_guarded(void **state)
{
    *state = test_shards_start(extension_list, "rooms { user-rate = 10 user-burst = 4 }");
    return 0;
}

static int free_all(void **state)
{
    test_shards_free(*state);
    return 0;
}

__attribute__((format(printf, 2, 3))) static void say(struct test_client *client, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    test_client_say(client, text);
}

/* All are in the room, and nobody has heard anything. */
static struct test_client *enter_all(const struct test_shards *shards)
{
    struct test_client *clients = test_shards_login(shards);
    say(&clients[0], ENTER, 0);
    test_client_expect(&clients[0], ITSELF, 1);
    test_client_say(&clients[0], "<iq type='set' id='open' to='" ROOM "'><query "
                                 "xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' "
                                 "type='submit'/></query></iq>");
    test_client_expect(&clients[0], "id='open'", 1);
    for (unsigned i = 1; i < USERS; i++) {
        say(&clients[i], ENTER, i);
        test_client_expect(&clients[i], ITSELF, 1);
    }
    for (unsigned i = 0; i < USERS; i++) {
        test_client_expect(&clients[i], "<presence", USERS);
        test_client_forget(&clients[i]);
    }
    return clients;
}

static void flood(struct test_client *flooder, unsigned number)
{
    static char text[WORDS * 256];
    size_t len = 0;
    for (unsigned word = 0; word < WORDS; word++)
        len += (size_t)snprintf(text + len, sizeof text - len, SAY, number, word);
    test_client_say(flooder, text);
}

static void expect_flood(struct test_client *client)
{
    char text[64];
    test_client_expect(client, "</message>", FLOODERS * WORDS);
    assert_int_equal(test_client_count(client, "</message>"), FLOODERS * WORDS);
    for (unsigned flooder = 0; flooder < FLOODERS; flooder++) {
        const char *at = client->bytes;
        for (unsigned word = 0; word < WORDS; word++) {
            snprintf(text, sizeof text, "id='m%u-%u-'", flooder, word);
            at = strstr(at, text);
            assert_non_null(at);
        }
    }
}

static void a_flood_comes_to_all_in_order(void **state)
{
    struct test_shards *shards = *state;
    struct test_client *clients = enter_all(shards);
    for (unsigned i = 0; i < FLOODERS; i++)
        flood(&clients[i], i);
    for (unsigned move = 0; move < MOVES; move++) {
        for (unsigned i = USERS - MOVERS; i < USERS; i++) {
            say(&clients[i], LEAVE, i);
            say(&clients[i], ENTER, i);
        }
    }
    for (unsigned i = 0; i < USERS - MOVERS; i++)
        expect_flood(&clients[i]);
    for (unsigned i = USERS - MOVERS; i < USERS; i++)
        test_client_expect(&clients[i], ITSELF, 2 * MOVES);
    test_shards_leave(clients);
    test_shards_stop(shards);
}

/* Each word is either heard by all or refused, and whoever has said too much was slowed down on his own
 * shard. */
static void who_floods_is_slowed_down_wherever_he_is(void **state)
{
    struct test_shards *shards = *state;
    struct test_client *clients = enter_all(shards);
    uint64_t slowed = 0;
    for (unsigned i = 0; i < USERS; i++)
        for (unsigned word = 0; word < OF_ONE; word++)
            say(&clients[i], SAY, i, word);
    for (unsigned i = 0; i < USERS; i++) {
        char text[64];
        snprintf(text, sizeof text, "id='m%u-%u-'", i, OF_ONE - 1);
        test_client_expect(&clients[i], text, 1);
        for (unsigned word = 0; word < OF_ONE; word++) {
            snprintf(text, sizeof text, "id='m%u-%u-'", i, word);
            assert_int_equal(test_client_count(&clients[i], text), 1);
        }
    }
    test_shards_leave(clients);
    test_shards_stop(shards);
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_true(shards->server->shards[i]->counters.slowed > 0);
        slowed += shards->server->shards[i]->counters.slowed;
    }
    assert_true(slowed >= USERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flood_comes_to_all_in_order, start_unguarded, free_all),
        cmocka_unit_test_setup_teardown(who_floods_is_slowed_down_wherever_he_is, start_guarded, free_all),
    };
    log_set_level(LOG_AREA_COUNT, LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
