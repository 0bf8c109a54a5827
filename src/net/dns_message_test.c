/* SPDX-License-Identifier: MIT */
/* DNS answers as bytes: good ones, and every way to cut or bend them. */
#include "base/mem.h"
#include "net/dns_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Header (1 question, 2 answers), question "a.b" SRV, answers: SRV 10 20 5269 x.a.b (a pointer), and one with
 * the root as its target. */
static const unsigned char srv[] = {
    0x12, 0x34, 0x81, 0x80, 0,  1, 0, 2, 0, 0, 0,    0,  1, 'a', 1, 'B', 0,    0,    33, 0,   1,
    0xc0, 12,   0,    33,   0,  1, 0, 0, 0, 9, 0,    10, 0, 10,  0, 20,  0x14, 0x95, 1,  'X', 0xc0,
    12,   0xc0, 12,   0,    33, 0, 1, 0, 0, 1, 0x2c, 0,  7, 0,   1, 0,   0,    0,    0,  0,
};

static const unsigned char address[] = {
    0, 0, 0x81, 0x80, 0, 0, 0,   2, 0, 0, 0, 0, 1, 'a', 0, 0,  5, 0, 1,   0, 0, 0, 60,
    0, 3, 1,    'b',  0, 1, 'b', 0, 0, 1, 0, 1, 0, 0,   0, 30, 0, 4, 192, 0, 2, 7,
};

static str of(const unsigned char *bytes, size_t size)
{
    return str_of((const char *)bytes, size);
}

static void services(void **state)
{
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count = 0;
    (void)state;
    assert_int_equal(dns_message_read(of(srv, sizeof srv), DNS_SRV, records, &count), OK);
    assert_int_equal(count, 2);
    assert_int_equal(records[0].priority, 10);
    assert_int_equal(records[0].weight, 20);
    assert_int_equal(records[0].port, 5269);
    assert_int_equal(records[0].ttl_s, 9);
    assert_string_equal(records[0].name, "x.a.b");
    assert_int_equal(records[1].ttl_s, 300);
    assert_string_equal(records[1].name, "");
}

static void addresses_behind_an_alias(void **state)
{
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count = 0;
    (void)state;
    assert_int_equal(dns_message_read(of(address, sizeof address), DNS_A, records, &count), OK);
    assert_int_equal(count, 1);
    assert_string_equal(records[0].name, "192.0.2.7");
    assert_int_equal(dns_message_read(of(address, sizeof address), DNS_AAAA, records, &count), ERR_NOT_FOUND);
}

/* Two TLSA records: one proper, one without a byte of data. */
static const unsigned char tlsa[] = {
    0, 0, 0x81, 0xa0, 0, 0, 0, 2, 0,   0, 0, 0,  1, 'a', 0, 0, 52, 0,  1, 0, 0, 0, 60, 0,
    6, 3, 1,    1,    7, 8, 9, 1, 'a', 0, 0, 52, 0, 1,   0, 0, 0,  60, 0, 3, 3, 1, 1,
};

static void associations(void **state)
{
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count = 0;
    (void)state;
    assert_int_equal(dns_message_read(of(tlsa, sizeof tlsa), DNS_TLSA, records, &count), OK);
    assert_int_equal(count, 1);
    assert_int_equal(records[0].usage, 3);
    assert_int_equal(records[0].selector, 1);
    assert_int_equal(records[0].matching, 1);
    assert_true(str_is(records[0].data, "\7\10\11"));
    assert_true(dns_message_is_secure(of(tlsa, sizeof tlsa)));
    assert_false(dns_message_is_secure(of(srv, sizeof srv)));
    assert_false(dns_message_is_secure(of(tlsa, 11)));
    for (size_t len = 0; len < sizeof tlsa; len++) {
        char *exact = malloc(len + !len);
        memcpy(exact, tlsa, len);
        assert_int_equal(dns_message_read(str_of(exact, len), DNS_TLSA, records, &count), ERR_SYNTAX);
        free(exact);
    }
}

static void cut_short(void **state)
{
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count = 77;
    (void)state;
    for (size_t len = 0; len < sizeof srv; len++) {
        char *exact = malloc(len + !len); /* so that a step too far is seen */
        memcpy(exact, srv, len);
        assert_int_equal(dns_message_read(str_of(exact, len), DNS_SRV, records, &count), ERR_SYNTAX);
        free(exact);
    }
    assert_int_equal(count, 77);
}

static void bent(void **state)
{
    struct dns_record records[DNS_RECORDS_MAX];
    (void)state;
    for (size_t at = 0; at < sizeof srv; at++) {
        for (unsigned value = 0; value < 256; value++) {
            char *copy = malloc(sizeof srv);
            size_t count = 0;
            memcpy(copy, srv, sizeof srv);
            copy[at] = (char)value;
            enum err err = dns_message_read(str_of(copy, sizeof srv), DNS_SRV, records, &count);
            assert_true(err == OK ? count > 0 : count == 0);
            for (size_t i = 0; i < count; i++)
                assert_true(memchr(records[i].name, 0, sizeof records[i].name) != NULL);
            free(copy);
        }
    }
}

static void a_pointer_to_itself(void **state)
{
    static const unsigned char loop[] = { 0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 33, 0, 1 };
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count;
    (void)state;
    assert_int_equal(dns_message_read(of(loop, sizeof loop), DNS_SRV, records, &count), ERR_SYNTAX);
}

static void what_servers_say(void **state)
{
    unsigned char message[12] = { 0, 0, 0x81, 0x83 };
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count;
    (void)state;
    assert_int_equal(dns_message_read(of(message, 12), DNS_A, records, &count), ERR_NOT_FOUND);
    message[3] = 0x82; /* SERVFAIL */
    assert_int_equal(dns_message_read(of(message, 12), DNS_A, records, &count), ERR_IO);
    message[3] = 0x80;
    assert_int_equal(dns_message_read(of(message, 12), DNS_A, records, &count), ERR_NOT_FOUND);
    message[2] = 0x01; /* a question */
    assert_int_equal(dns_message_read(of(message, 12), DNS_A, records, &count), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services),
        cmocka_unit_test(addresses_behind_an_alias),
        cmocka_unit_test(associations),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(bent),
        cmocka_unit_test(a_pointer_to_itself),
        cmocka_unit_test(what_servers_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
