/* SPDX-License-Identifier: MIT */
/* For tests with real sockets: a client that blocks, in plain text. What goes wrong fails the test at hand.
 */
#ifndef SERVER_TEST_CLIENT_H
#define SERVER_TEST_CLIENT_H

#include <stddef.h>
#include <stdint.h>

struct test_client {
    int fd;
    size_t len;
    char bytes[1 << 18]; /* what came, and a NUL */
};

/* Logs user`number`@localhost, whose password is "secret", in at a port of 127.0.0.1, and makes him
 * available.
 */
void test_client_login(struct test_client *client, uint16_t port, unsigned number);

void test_client_say(struct test_client *client, const char *text);

/* Reads on until the text has come `times` times. */
void test_client_expect(struct test_client *client, const char *text, unsigned times);

/* How often it has come so far. */
unsigned test_client_count(const struct test_client *client, const char *text);

/* What came so far counts no more. */
void test_client_forget(struct test_client *client);

#endif
