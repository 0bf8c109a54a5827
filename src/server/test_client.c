/* SPDX-License-Identifier: MIT */
/* See test_client.h: everything is one blocking call after the other, with a limit to each wait. */
#include "server/test_client.h"

#include "base/arena.h"
#include "base/base64.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* Longer than the half minute that is waited for a client which answers no pings: what comes while its
 * offline messages are looked up is sent behind one. */
enum { PATIENCE_MS = 50000 };

static const char header[] = "<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' "
                             "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

void test_client_say(struct test_client *client, const char *text)
{
    size_t length = strlen(text);
    while (length) {
        ssize_t wrote = send(client->fd, text, length, MSG_NOSIGNAL);
        assert_true(wrote > 0);
        text += wrote;
        length -= (size_t)wrote;
    }
}

unsigned test_client_count(const struct test_client *client, const char *text)
{
    unsigned count = 0;
    for (const char *at = client->bytes; (at = strstr(at, text)); at++)
        count++;
    return count;
}

void test_client_expect(struct test_client *client, const char *text, unsigned times)
{
    unsigned count;
    while ((count = test_client_count(client, text)) < times) {
        struct pollfd wait = { .fd = client->fd, .events = POLLIN };
        if (poll(&wait, 1, PATIENCE_MS) != 1)
            fail_msg("%u of %u came: %s\n...%s", count, times, text,
                     client->len > 600 ? client->bytes + client->len - 600 : client->bytes);
        assert_true(client->len < sizeof client->bytes - 1);
        ssize_t got =
            recv(client->fd, client->bytes + client->len, sizeof client->bytes - 1 - client->len, 0);
        if (got <= 0)
            fail_msg("the stream ended before: %s\n%s", text, client->bytes);
        client->len += (size_t)got;
        client->bytes[client->len] = '\0';
    }
}

void test_client_forget(struct test_client *client)
{
    client->len = 0;
    client->bytes[0] = '\0';
}

static void authenticate(struct test_client *client, unsigned number)
{
    char plain[64], text[256];
    struct arena arena;
    int length = snprintf(plain, sizeof plain, "%cuser%u%csecret", 0, number, 0);
    arena_init(&arena, 256);
    snprintf(text, sizeof text, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
             base64_encode_arena(&arena, str_of(plain, (size_t)length)).p);
    arena_fini(&arena);
    test_client_say(client, text);
    test_client_expect(client, "<success", 1);
}

void test_client_login(struct test_client *client, uint16_t port, unsigned number)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    test_client_forget(client);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    test_client_say(client, header);
    test_client_expect(client, "</stream:features>", 1);
    authenticate(client, number);
    test_client_say(client, header);
    test_client_expect(client, "</stream:features>", 2);
    /* the requests that follow the binding travel to the home shard with the connection */
    test_client_say(client, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
                            "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>");
    test_client_expect(client, "<presence", 1);
    test_client_forget(client);
}
