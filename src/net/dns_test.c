/* SPDX-License-Identifier: MIT */
/* From a domain to its endpoints: in a simulation, where records are a list, and once against a name server
 * made of one UDP socket. */
#include "base/mem.h"
#include "loop/test_world.h"
#include "loop/watch.h"
#include "net/dns_impl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct asker {
    struct world world;
    struct dns *dns;
    struct dns_lookup lookup;
    unsigned answers;
};

static void done(struct dns_lookup *lookup)
{
    struct asker *asker = CONTAINER_OF(lookup, struct asker, lookup);
    asker->answers++;
    world_done(&asker->world);
}

static void asker_open(struct asker *asker, bool simulated, const struct dns_settings *settings)
{
    static const struct dns_settings usual = { .server = "", .timeout_ms = 1000 };
    memset(asker, 0, sizeof *asker);
    world_open(&asker->world, simulated, 1);
    asker->dns = dns_new(asker->world.loop, settings ? settings : &usual);
    asker->lookup.done = done;
    assert_non_null(asker->dns);
}

static void asker_close(struct asker *asker)
{
    dns_forget(&asker->lookup);
    dns_free(asker->dns);
    world_close(&asker->world);
}

static void find(struct asker *asker, const char *domain)
{
    unsigned before = asker->answers;
    dns_find_server(asker->dns, str_from(domain), &asker->lookup);
    assert_int_equal(asker->answers, before); /* never inside the call */
    world_run(&asker->world);
    assert_int_equal(asker->answers, before + 1);
}

static void assert_endpoint(const struct asker *asker, size_t i, const char *address, unsigned port, bool tls)
{
    assert_true(i < asker->lookup.count);
    assert_string_equal(asker->lookup.endpoints[i].address, address);
    assert_int_equal(asker->lookup.endpoints[i].port, port);
    assert_int_equal(asker->lookup.endpoints[i].direct_tls, tls);
}

static void add(struct asker *asker, const char *name, const char *type, const char *data)
{
    sim_record_add(asker->world.sim, name, type, data, 60);
}

static void services_in_order(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, NULL);
    add(&asker, "_xmpp-server._tcp.example.org", "SRV", "20 0 5269 second.example.org");
    add(&asker, "_xmpp-server._tcp.example.org", "SRV", "10 0 5200 first.example.org");
    add(&asker, "_xmpps-server._tcp.example.org", "SRV", "15 0 5270 first.example.org");
    add(&asker, "first.example.org", "A", "192.0.2.1");
    add(&asker, "first.example.org", "AAAA", "2001:db8::1");
    add(&asker, "second.example.org", "A", "192.0.2.2");
    find(&asker, "example.org");
    assert_int_equal(asker.lookup.err, OK);
    assert_int_equal(asker.lookup.count, 5);
    assert_endpoint(&asker, 0, "2001:db8::1", 5200, false);
    assert_endpoint(&asker, 1, "192.0.2.1", 5200, false);
    assert_endpoint(&asker, 2, "2001:db8::1", 5270, true);
    assert_endpoint(&asker, 3, "192.0.2.1", 5270, true);
    assert_endpoint(&asker, 4, "192.0.2.2", 5269, false);
    asker_close(&asker);
}

static void without_services(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, NULL);
    add(&asker, "example.org", "A", "192.0.2.1");
    find(&asker, "example.org");
    assert_int_equal(asker.lookup.count, 1);
    assert_endpoint(&asker, 0, "192.0.2.1", 5269, false);
    find(&asker, "nowhere.example");
    assert_int_equal(asker.lookup.err, ERR_NOT_FOUND);
    asker_close(&asker);
}

static void a_service_that_is_not_there(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, NULL);
    add(&asker, "_xmpp-server._tcp.example.org", "SRV", "0 0 0 .");
    add(&asker, "example.org", "A", "192.0.2.1");
    find(&asker, "example.org");
    assert_int_equal(asker.lookup.err, ERR_NOT_FOUND);
    add(&asker, "_xmpps-server._tcp.half.example", "SRV", "0 0 0 .");
    add(&asker, "_xmpp-server._tcp.half.example", "SRV", "0 0 5269 half.example");
    add(&asker, "half.example", "A", "192.0.2.3");
    find(&asker, "half.example");
    assert_int_equal(asker.lookup.count, 1);
    assert_endpoint(&asker, 0, "192.0.2.3", 5269, false);
    asker_close(&asker);
}

static void nobody_answers(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, NULL);
    add(&asker, "example.org", "A", "192.0.2.1");
    sim_set_dns_silent(asker.world.sim, true);
    find(&asker, "example.org");
    assert_int_equal(asker.lookup.err, ERR_TIMEOUT);
    sim_set_dns_silent(asker.world.sim, false);
    sim_advance(asker.world.sim, 6000);
    find(&asker, "example.org");
    assert_int_equal(asker.lookup.err, OK);
    asker_close(&asker);
}

static void answers_are_kept(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, NULL);
    add(&asker, "example.org", "A", "192.0.2.1");
    find(&asker, "example.org");
    assert_int_equal(dns_cached(asker.dns), 4);
    sim_records_clear(asker.world.sim);
    sim_advance(asker.world.sim, 59000);
    find(&asker, "example.org");
    assert_int_equal(asker.lookup.err, OK);
    sim_advance(asker.world.sim, 2000);
    find(&asker, "example.org");
    assert_int_equal(asker.lookup.err, ERR_NOT_FOUND);
    for (int i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d.example", i);
        find(&asker, name);
    }
    assert_in_range(dns_cached(asker.dns), 4000, 4096);
    asker_close(&asker);
}

static void overrides_and_literals(void **state)
{
    static const char *const overrides[] = { "example.org=192.0.2.9:5555",
                                             "other.example=tls:[2001:db8::9]:443" };
    const struct dns_settings settings = { "", overrides, 2, 1000 };
    struct asker asker;
    (void)state;
    asker_open(&asker, true, &settings);
    find(&asker, "example.org");
    assert_endpoint(&asker, 0, "192.0.2.9", 5555, false);
    find(&asker, "other.example");
    assert_endpoint(&asker, 0, "2001:db8::9", 443, true);
    find(&asker, "192.0.2.1");
    assert_endpoint(&asker, 0, "192.0.2.1", 5269, false);
    find(&asker, "[2001:db8::1]");
    assert_endpoint(&asker, 0, "2001:db8::1", 5269, false);
    assert_true(dns_override_is_valid("a.example=127.0.0.1:1"));
    assert_false(dns_override_is_valid("a.example"));
    assert_false(dns_override_is_valid("a.example=host:5269"));
    assert_false(dns_override_is_valid("a.example=127.0.0.1"));
    assert_false(dns_override_is_valid("a.example=127.0.0.1:99999"));
    assert_false(dns_override_is_valid("=127.0.0.1:5269"));
    asker_close(&asker);
}

static void cancelled(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, NULL);
    dns_find_server(asker.dns, STR("example.org"), &asker.lookup);
    dns_cancel(&asker.lookup);
    dns_cancel(&asker.lookup);
    sim_advance(asker.world.sim, 100);
    dns_find_server(asker.dns, STR("192.0.2.1"), &asker.lookup);
    dns_cancel(&asker.lookup);
    dns_find_server(asker.dns, STR("elsewhere.example"), &asker.lookup);
    dns_cancel(&asker.lookup);
    assert_int_equal(asker.answers, 0);
    asker_close(&asker);
}

/* ---- DANE (RFC 7673) */

static const struct dns_settings with_dane = { .server = "127.0.0.1", .timeout_ms = 1000, .dane = true };

static void add_service(struct asker *asker, const char *domain, const char *target, const char *tlsa)
{
    char name[100], data[100];
    snprintf(name, sizeof name, "_xmpp-server._tcp.%s", domain);
    snprintf(data, sizeof data, "10 5 5269 %s", target);
    add(asker, name, "SRV", data);
    add(asker, target, "A", "192.0.2.1");
    snprintf(name, sizeof name, "_5269._tcp.%s", target);
    if (tlsa)
        add(asker, name, "TLSA", tlsa);
}

static const struct dns_target *target_of(const struct asker *asker, size_t i)
{
    assert_non_null(asker->lookup.found);
    assert_true(i < asker->lookup.found->target_count);
    return &asker->lookup.found->targets[i];
}

static void what_was_found(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, NULL);
    add_service(&asker, "a.example", "x.example", "3 1 1 digest");
    find(&asker, "a.example");
    assert_int_equal(asker.lookup.found->how, DNS_FROM_SRV);
    assert_int_equal(asker.lookup.found->services[0], OK);
    assert_int_equal(asker.lookup.found->services[1], ERR_NOT_FOUND);
    const struct dns_target *target = target_of(&asker, 0);
    assert_string_equal(target->name, "x.example");
    assert_int_equal(target->priority, 10);
    assert_int_equal(target->weight, 5);
    assert_false(target->secure);
    assert_int_equal(target->expected_count, 0); /* nobody asked */
    assert_ptr_equal(dns_target_of(&asker.lookup, 0), target);
    assert_null(dns_target_of(&asker.lookup, 1));
    find(&asker, "192.0.2.1");
    assert_int_equal(asker.lookup.found->how, DNS_FROM_LITERAL);
    assert_null(dns_target_of(&asker.lookup, 0));
    asker_close(&asker);
}

static void certificates_that_are_vouched_for(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, &with_dane);
    sim_set_dns_signed(asker.world.sim, ".example");
    add_service(&asker, "a.example", "x.example", "3 1 1 digest");
    add(&asker, "_5269._tcp.x.example", "TLSA", "2 0 2 another");
    find(&asker, "a.example");
    const struct dns_target *target = target_of(&asker, 0);
    assert_true(target->secure);
    assert_int_equal(target->expected_count, 2);
    const struct tls_tlsa *first = &target->expected[target->expected[0].usage != 3]; /* in any order */
    const struct tls_tlsa *second = &target->expected[target->expected[0].usage == 3];
    assert_int_equal(first->usage, 3);
    assert_int_equal(first->selector, 1);
    assert_int_equal(first->matching, 1);
    assert_true(str_is(first->data, "digest"));
    assert_true(str_is(second->data, "another"));
    add(&asker, "alone.example", "A", "192.0.2.2"); /* without SRV records, which is vouched for too */
    add(&asker, "_5269._tcp.alone.example", "TLSA", "3 1 1 own");
    find(&asker, "alone.example");
    assert_int_equal(asker.lookup.found->how, DNS_FROM_DOMAIN);
    assert_int_equal(target_of(&asker, 0)->expected_count, 1);
    asker_close(&asker);
}

static void certificates_that_nobody_vouches_for(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, &with_dane);
    sim_set_dns_signed(asker.world.sim, ".signed");
    add_service(&asker, "a.plain", "x.signed", "3 1 1 digest"); /* the name of the target may be forged */
    find(&asker, "a.plain");
    assert_int_equal(asker.lookup.count, 1);
    assert_int_equal(target_of(&asker, 0)->expected_count, 0);
    add_service(&asker, "b.signed", "x.plain", SIM_DNS_FAILS); /* so may its addresses */
    find(&asker, "b.signed");
    assert_int_equal(asker.lookup.count, 1);
    assert_int_equal(target_of(&asker, 0)->expected_count, 0);
    asker_close(&asker);
}

static void what_somebody_hides(void **state)
{
    struct asker asker;
    (void)state;
    asker_open(&asker, true, &with_dane);
    sim_set_dns_signed(asker.world.sim, ".example");
    add_service(&asker, "a.example", "x.example", SIM_DNS_FAILS);
    find(&asker, "a.example");
    assert_int_equal(asker.lookup.err, ERR_TIMEOUT);
    assert_int_equal(target_of(&asker, 0)->dane_err, ERR_IO);
    add(&asker, "_xmpp-server._tcp.b.example", "SRV", "5 0 5269 x.example");
    add(&asker, "_xmpp-server._tcp.b.example", "SRV", "9 0 5269 y.example");
    add(&asker, "y.example", "A", "192.0.2.9");
    find(&asker, "b.example"); /* the other target is tried */
    assert_int_equal(asker.lookup.err, OK);
    assert_int_equal(asker.lookup.count, 1);
    assert_endpoint(&asker, 0, "192.0.2.9", 5269, false);
    assert_string_equal(dns_target_of(&asker.lookup, 0)->name, "y.example");
    add(&asker, "_xmpp-server._tcp.c.example", "SRV", SIM_DNS_FAILS);
    add(&asker, "c.example", "A", "192.0.2.3");
    find(&asker, "c.example"); /* no way around the SRV records */
    assert_int_equal(asker.lookup.err, ERR_TIMEOUT);
    asker_close(&asker);
}

static void local_servers(void **state)
{
    (void)state;
    assert_true(dns_server_is_local("127.0.0.1"));
    assert_true(dns_server_is_local("127.0.0.53:5353"));
    assert_true(dns_server_is_local("::1"));
    assert_true(dns_server_is_local("[::1]:53"));
    assert_false(dns_server_is_local(""));
    assert_false(dns_server_is_local("192.0.2.1"));
    assert_false(dns_server_is_local("[2001:db8::1]:53"));
}

/* ---- RFC 2782 */

static uint64_t fixed(void *arg, uint64_t below)
{
    uint64_t number = *(uint64_t *)arg;
    return number < below ? number : below - 1;
}

static unsigned first_of(uint64_t number, const uint16_t *weights, size_t count)
{
    struct dns_service services[4];
    for (size_t i = 0; i < count; i++)
        services[i] = (struct dns_service){ { .weight = weights[i], .port = (uint16_t)i }, false };
    dns_srv_order(services, count, fixed, &number);
    return services[0].record.port;
}

static void weights(void **state)
{
    static const uint16_t three[] = { 0, 10, 30 }, none[] = { 0, 0, 0 };
    (void)state;
    assert_int_equal(first_of(0, three, 3), 0);
    assert_int_equal(first_of(1, three, 3), 1);
    assert_int_equal(first_of(10, three, 3), 1);
    assert_int_equal(first_of(11, three, 3), 2);
    assert_int_equal(first_of(40, three, 3), 2);
    assert_int_equal(first_of(2, none, 3), 2);
}

/* ---- A name server */

struct server {
    struct watch watch;
    int fd;
    char address[32];
    unsigned asked;
};

static const struct {
    const char *name; /* as in a question */
    const char *answer;
    size_t len;
} zone[] = {
    { "\14_xmpp-server\4_tcp\1a\4test", "\0\0\0\5\24\225\1x\4test", 14 },
    { "\1x\4test", "\177\0\0\7", 4 },
};

static void question_came(struct watch *watch, unsigned events)
{
    struct server *server = CONTAINER_OF(watch, struct server, watch);
    unsigned char message[1500];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t len = recvfrom(server->fd, message, sizeof message, 0, (struct sockaddr *)&from, &from_len);
    (void)events;
    if (len < 17)
        return;
    const char *name = (char *)message + 12;
    size_t end = 12 + strlen(name) + 1;
    bool v6 = message[end + 1] == DNS_AAAA;
    server->asked++;
    assert_int_equal(message[3] & 0x20, 0x20); /* it wants to know what is authentic */
    message[2] = 0x81, message[3] = 0x83;      /* no such name, unless it is found below */
    message[11] = 0;                           /* no EDNS in the answer */
    end += 4;
    for (size_t i = 0; i < COUNT_OF(zone) && !v6; i++) {
        if (strcasecmp(zone[i].name, name) != 0)
            continue;
        unsigned char head[] = { 0xc0, 12, 0, message[end - 3],          0, 1, 0, 0,
                                 0,    60, 0, (unsigned char)zone[i].len };
        message[3] = 0xa0, message[7] = 1; /* authentic */
        memcpy(message + end, head, sizeof head);
        memcpy(message + end + sizeof head, zone[i].answer, zone[i].len);
        end += sizeof head + zone[i].len;
    }
    assert_int_equal(sendto(server->fd, message, end, 0, (struct sockaddr *)&from, from_len), end);
}

static void server_open(struct server *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    *server =
        (struct server){ .watch.ready = question_came, .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) };
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, len), 0);
    getsockname(server->fd, (struct sockaddr *)&address, &len);
    snprintf(server->address, sizeof server->address, "127.0.0.1:%u", ntohs(address.sin_port));
}

static void asks_a_server(void **state)
{
    struct server server;
    struct asker asker;
    (void)state;
    server_open(&server);
    const struct dns_settings settings = { .server = server.address, .timeout_ms = 20000 };
    asker_open(&asker, false, &settings);
    watch_start(asker.world.loop, &server.watch, server.fd, SOCKET_READABLE);
    find(&asker, "a.test");
    assert_int_equal(asker.lookup.err, OK);
    assert_int_equal(asker.lookup.count, 1);
    assert_endpoint(&asker, 0, "127.0.0.7", 5269, false);
    assert_true(target_of(&asker, 0)->secure);
    assert_int_equal(server.asked, 4);
    find(&asker, "a.test");
    assert_int_equal(server.asked, 4);
    find(&asker, "b.test");
    assert_int_equal(asker.lookup.err, ERR_NOT_FOUND);
    watch_stop(&server.watch);
    close(server.fd);
    asker_close(&asker);
}

static void a_server_that_is_silent(void **state)
{
    struct server server;
    struct asker asker;
    (void)state;
    server_open(&server); /* nobody reads */
    const struct dns_settings settings = { .server = server.address, .timeout_ms = 140 };
    asker_open(&asker, false, &settings);
    find(&asker, "a.test");
    assert_int_equal(asker.lookup.err, ERR_TIMEOUT);
    dns_find_server(asker.dns, STR("c.test"), &asker.lookup);
    dns_cancel(&asker.lookup);
    asker_close(&asker); /* with questions under way */
    close(server.fd);
}

static void a_server_that_is_none(void **state)
{
    const struct dns_settings settings = { .server = "not an address", .timeout_ms = 1000 };
    struct world world;
    (void)state;
    world_open(&world, false, 1);
    assert_null(dns_new(world.loop, &settings));
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_in_order),
        cmocka_unit_test(without_services),
        cmocka_unit_test(a_service_that_is_not_there),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(answers_are_kept),
        cmocka_unit_test(overrides_and_literals),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(what_was_found),
        cmocka_unit_test(certificates_that_are_vouched_for),
        cmocka_unit_test(certificates_that_nobody_vouches_for),
        cmocka_unit_test(what_somebody_hides),
        cmocka_unit_test(local_servers),
        cmocka_unit_test(weights),
        cmocka_unit_test(asks_a_server),
        cmocka_unit_test(a_server_that_is_silent),
        cmocka_unit_test(a_server_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
