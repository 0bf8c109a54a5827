/* SPDX-License-Identifier: MIT */
/* From a domain to a list of endpoints.
 *
 * First both services are asked for, with STARTTLS and with direct TLS, at the same time; their records are
 * one list (XEP-0368) in the order of RFC 2782. Then the addresses of all targets, IPv6 and IPv4, are asked
 * for at the same time, and are taken target by target, the families in turn (RFC 8305 §4). Without SRV
 * records the domain itself is the target, at port 5269 (RFC 6120 §3.2.2); a target of "." says that there is
 * no service and no fallback (RFC 6120 §3.2.1, XEP-0368). With DANE, the TLSA records of a target are asked
 * for together with its addresses, if its own name is vouched for (RFC 7673 §3).
 *
 * A lookup's state (a run) lives on the heap: questions that are under way can't be taken back, so a run
 * whose lookup was cancelled stays until the last answer has come. What an administrator has written into the
 * configuration (an override) and IP literals are not asked for at all.
 *
 * Not here: what was asked is remembered in dns_cache.c; who is asked: dns_ares.c, dns_sim.c. */
#include "net/dns.h"

#include "base/mem.h"
#include "base/rand.h"
#include "loop/loop_sim.h"
#include "net/dns_impl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERVER_PORT = 5269 };

struct dns_run;

struct run_question {
    struct dns_question question;
    struct dns_run *run;
};

struct target {
    struct run_question v6, v4, tlsa;
};

struct dns_run {
    struct dns_lookup *lookup; /* NULL: cancelled */
    struct dns *dns;
    struct task task; /* for what needs no question */
    unsigned pending; /* questions */
    bool unanswered;  /* a question found nobody to answer it */
    char domain[DNS_NAME_MAX];
    struct run_question services[DNS_SERVICES]; /* xmpp-server, xmpps-server */
    struct target targets[DNS_TARGETS_MAX];
    struct dns_found *found;
};

/* ---- The resolver */

struct dns *dns_new(struct loop *loop, const struct dns_settings *settings)
{
    struct dns *dns = NEW(struct dns);
    dns->loop = loop;
    dns->settings = *settings;
    list_init(&dns->questions);
    dns_cache_init(dns);
    if (loop_is_simulated(loop))
        return dns;
    dns->ares = dns_ares_new(dns);
    if (dns->ares)
        return dns;
    dns_cache_fini(dns);
    free(dns);
    return NULL;
}

void dns_free(struct dns *dns)
{
    struct list *link;
    if (!dns)
        return;
    dns_ares_free(dns->ares);
    dns->ares = NULL;
    while ((link = list_shift(&dns->questions))) {
        struct dns_question *question = LIST_ITEM(link, struct dns_question, _link);
        task_cancel(&question->_task);
        question->answered(question);
    }
    dns_cache_fini(dns);
    free(dns);
}

/* ---- Overrides and literals */

/* "[tls:]ADDRESS:PORT", an IPv6 address in brackets. */
static bool read_endpoint(str text, struct dns_endpoint *ret)
{
    unsigned char bytes[16];
    struct dns_endpoint endpoint = { .direct_tls = str_starts(text, STR("tls:")) };
    if (endpoint.direct_tls)
        text = str_sub(text, 4, text.len);
    size_t colon = str_find_last(text, ':');
    str host = str_sub(text, 0, colon);
    uint64_t port;
    if (colon == text.len || !str_to_u64(str_sub(text, colon + 1, text.len), UINT16_MAX, &port) || !port)
        return false;
    if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
        host = str_sub(host, 1, host.len - 1);
    endpoint.port = (uint16_t)port;
    if (!str_copy(host, endpoint.address, sizeof endpoint.address))
        return false;
    if (inet_pton(AF_INET, endpoint.address, bytes) != 1 && inet_pton(AF_INET6, endpoint.address, bytes) != 1)
        return false;
    *ret = endpoint;
    return true;
}

bool dns_override_is_valid(const char *text)
{
    struct dns_endpoint endpoint;
    str rest = str_from(text);
    str domain = str_cut(&rest, '=');
    return domain.len > 0 && rest.p && read_endpoint(rest, &endpoint);
}

bool dns_server_is_valid(const char *text)
{
    struct dns_endpoint endpoint;
    unsigned char bytes[16];
    return !*text || inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1 ||
           read_endpoint(str_from(text), &endpoint);
}

bool dns_server_is_local(const char *text)
{
    struct dns_endpoint endpoint = { 0 };
    if (!read_endpoint(str_from(text), &endpoint))
        str_copy(str_from(text), endpoint.address, sizeof endpoint.address);
    return str_starts(str_from(endpoint.address), STR("127.")) || str_is(str_from(endpoint.address), "::1");
}

static void add_endpoint(struct dns_lookup *lookup, const struct dns_endpoint *endpoint)
{
    if (lookup->count < DNS_ENDPOINTS_MAX)
        lookup->endpoints[lookup->count++] = *endpoint;
}

static void add_overrides(const struct dns *dns, str domain, struct dns_lookup *lookup)
{
    for (size_t i = 0; i < dns->settings.override_count; i++) {
        struct dns_endpoint endpoint;
        str rest = str_from(dns->settings.overrides[i]);
        if (str_eq_nocase(str_cut(&rest, '='), domain) && read_endpoint(rest, &endpoint))
            add_endpoint(lookup, &endpoint);
    }
}

static void add_literal(str domain, struct dns_lookup *lookup)
{
    struct dns_endpoint endpoint = { .port = SERVER_PORT };
    unsigned char bytes[16];
    bool v6 = str_starts(domain, STR("[")) && str_ends(domain, STR("]"));
    if (v6)
        domain = str_sub(domain, 1, domain.len - 1);
    if (str_copy(domain, endpoint.address, sizeof endpoint.address) &&
        inet_pton(v6 ? AF_INET6 : AF_INET, endpoint.address, bytes) == 1)
        add_endpoint(lookup, &endpoint);
}

/* ---- The end of a lookup */

static void found_free(struct dns_found *found)
{
    for (size_t i = 0; found && i < found->target_count; i++)
        free(found->targets[i].expected);
    free(found);
}

static void run_free(struct dns_run *run)
{
    found_free(run->found);
    free(run);
}

static void finish(struct dns_run *run, enum err err)
{
    struct dns_lookup *lookup = run->lookup;
    if (lookup) {
        lookup->found = run->found;
        run->found = NULL;
    }
    run_free(run);
    if (!lookup)
        return;
    lookup->_run = NULL;
    lookup->err = err;
    lookup->done(lookup);
}

static void found_without_asking(struct task *task)
{
    finish(CONTAINER_OF(task, struct dns_run, task), OK);
}

void dns_cancel(struct dns_lookup *lookup)
{
    struct dns_run *run = lookup->_run;
    if (!run)
        return;
    lookup->_run = NULL;
    run->lookup = NULL;
    if (run->pending)
        return;
    task_cancel(&run->task);
    run_free(run);
}

void dns_forget(struct dns_lookup *lookup)
{
    found_free(lookup->found);
    lookup->found = NULL;
}

const struct dns_target *dns_target_of(const struct dns_lookup *lookup, size_t endpoint)
{
    const struct dns_found *found = lookup->found;
    if (!found || endpoint >= lookup->count || lookup->endpoints[endpoint].target >= found->target_count)
        return NULL;
    return &found->targets[lookup->endpoints[endpoint].target];
}

/* ---- Addresses, and what DANE says of who is there */

static void add_address(struct dns_run *run, size_t t, const struct dns_answer *answer, size_t i)
{
    const struct dns_target *target = &run->found->targets[t];
    struct dns_endpoint endpoint = { .port = target->port,
                                     .direct_tls = target->direct_tls,
                                     .target = (uint8_t)t };
    if (i < answer->count &&
        str_copy(str_from(answer->records[i].name), endpoint.address, sizeof endpoint.address))
        add_endpoint(run->lookup, &endpoint);
}

static void note(struct dns_run *run, const struct dns_answer *answer)
{
    run->unanswered |= answer->err && answer->err != ERR_NOT_FOUND;
}

/* Both families' answers are vouched for, as far as there are any. */
static bool addresses_are_secure(const struct dns_answer *v6, const struct dns_answer *v4)
{
    return (v6->count || v4->count) && (!v6->count || v6->secure) && (!v4->count || v4->secure);
}

static void expect(struct dns_target *target, const struct dns_answer *answer)
{
    size_t bytes = 0;
    for (size_t i = 0; i < answer->count; i++)
        bytes += answer->records[i].data.len;
    struct tls_tlsa *list = xmalloc(answer->count * sizeof *list + bytes);
    char *at = (char *)(list + answer->count);
    for (size_t i = 0; i < answer->count; i++) {
        const struct dns_record *record = &answer->records[i];
        memcpy(at, record->data.p, record->data.len);
        list[i] = (struct tls_tlsa){ record->usage, record->selector, record->matching,
                                     str_of(at, record->data.len) };
        at += record->data.len;
    }
    target->expected = list;
    target->expected_count = answer->count;
}

/* Takes the answer about TLSA records. A target whose addresses are vouched for, and whose TLSA records can't
 * be had, may be under attack: it is left out (RFC 7673 §3.3). Where DNSSEC vouches for nothing, TLSA records
 * mean nothing, and nothing is lost when a name server fails on them. */
static bool take_expected(struct dns_run *run, struct dns_target *target, const struct dns_answer *answer)
{
    if (!target->secure || !answer)
        return true;
    note(run, answer);
    target->dane_err = answer->err;
    if (answer->err == OK && answer->secure)
        expect(target, answer);
    return answer->err == OK || answer->err == ERR_NOT_FOUND;
}

static void collect_target(struct dns_run *run, size_t t)
{
    struct dns_target *target = &run->found->targets[t];
    const struct dns_answer *v6 = run->targets[t].v6.question.answer;
    const struct dns_answer *v4 = run->targets[t].v4.question.answer;
    const struct dns_answer *tlsa = run->targets[t].tlsa.question.answer;
    note(run, v6);
    note(run, v4);
    target->err = v6->count || v4->count ? OK : v4->err != ERR_NOT_FOUND ? v4->err : v6->err;
    target->secure = target->secure && addresses_are_secure(v6, v4);
    bool good = take_expected(run, target, tlsa);
    for (size_t i = 0; good && run->lookup && (i < v6->count || i < v4->count); i++) {
        add_address(run, t, v6, i);
        add_address(run, t, v4, i);
    }
    dns_answer_unref(v6);
    dns_answer_unref(v4);
    dns_answer_unref(tlsa);
}

static void collect(struct dns_run *run)
{
    for (size_t t = 0; t < run->found->target_count; t++)
        collect_target(run, t);
    if (run->lookup && run->lookup->count)
        finish(run, OK);
    else
        finish(run, run->unanswered ? ERR_TIMEOUT : ERR_NOT_FOUND);
}

static void target_answered(struct dns_question *question)
{
    struct dns_run *run = CONTAINER_OF(question, struct run_question, question)->run;
    if (--run->pending == 0)
        collect(run);
}

static void ask(struct dns_run *run, struct run_question *question, const char *name, enum dns_type type,
                void (*answered)(struct dns_question *question))
{
    question->run = run;
    question->question.answered = answered;
    run->pending++;
    dns_ask(run->dns, name, type, &question->question);
}

static void ask_about_targets(struct dns_run *run)
{
    for (size_t i = 0; i < run->found->target_count; i++) {
        const struct dns_target *target = &run->found->targets[i];
        char name[DNS_NAME_MAX];
        ask(run, &run->targets[i].v6, target->name, DNS_AAAA, target_answered);
        ask(run, &run->targets[i].v4, target->name, DNS_A, target_answered);
        int len = snprintf(name, sizeof name, "_%u._tcp.%s", target->port, target->name);
        if (run->dns->settings.dane && target->secure && len > 0 && (size_t)len < sizeof name)
            ask(run, &run->targets[i].tlsa, name, DNS_TLSA, target_answered);
    }
}

/* ---- Services */

static uint64_t at_random(void *arg, uint64_t below)
{
    uint64_t number;
    (void)arg;
    rand_bytes(&number, sizeof number);
    return number % below;
}

/* A record whose target is "." says that the service is not there, and no fallback is due. */
static void gather(struct dns_run *run, struct dns_service services[DNS_SERVICES * DNS_RECORDS_MAX],
                   size_t *ret_count)
{
    for (size_t s = 0; s < DNS_SERVICES; s++) {
        const struct dns_answer *answer = run->services[s].question.answer;
        note(run, answer);
        run->found->services[s] = answer->err;
        run->found->services_secure[s] = answer->secure;
        for (size_t i = 0; i < answer->count; i++) {
            if (answer->records[i].name[0])
                services[(*ret_count)++] = (struct dns_service){ answer->records[i], s == 1 };
            else
                run->found->refused = true;
        }
        dns_answer_unref(answer);
    }
}

static void add_target(struct dns_found *found, const struct dns_service *service)
{
    struct dns_target *target = &found->targets[found->target_count++];
    target->priority = service->record.priority;
    target->weight = service->record.weight;
    target->port = service->record.port;
    target->direct_tls = service->direct_tls;
    target->secure = found->services_secure[service->direct_tls];
    target->err = target->dane_err = ERR_NOT_FOUND;
    memcpy(target->name, service->record.name, sizeof target->name);
}

/* The domain itself, when it has no SRV records: vouched for if it is vouched for that it has none. */
static void fall_back(struct dns_run *run, uint16_t port)
{
    struct dns_service service = { .record = { .port = port } };
    str_copy(str_from(run->domain), service.record.name, sizeof service.record.name);
    run->found->how = DNS_FROM_DOMAIN;
    add_target(run->found, &service);
    run->found->targets[0].secure = run->found->services_secure[0] && run->found->services_secure[1];
}

static void service_answered(struct dns_question *question)
{
    struct dns_run *run = CONTAINER_OF(question, struct run_question, question)->run;
    struct dns_service services[DNS_SERVICES * DNS_RECORDS_MAX];
    size_t count = 0;
    if (--run->pending > 0)
        return;
    gather(run, services, &count);
    if (!run->lookup || (run->found->refused && !count)) {
        finish(run, ERR_NOT_FOUND);
        return;
    }
    if (!count && run->unanswered && run->dns->settings.dane) {
        finish(run, ERR_TIMEOUT); /* somebody may hide the records from us: no fallback (RFC 7673 §3.1) */
        return;
    }
    if (!count)
        fall_back(run, SERVER_PORT);
    dns_srv_order(services, count, at_random, NULL);
    for (size_t i = 0; i < count && i < DNS_TARGETS_MAX; i++)
        add_target(run->found, &services[i]);
    ask_about_targets(run);
}

static void ask_services(struct dns_run *run)
{
    static const char *const names[DNS_SERVICES] = { "_xmpp-server._tcp", "_xmpps-server._tcp" };
    char name[DNS_NAME_MAX];
    run->pending = 1; /* the answers must not come before both were asked for */
    for (size_t i = 0; i < DNS_SERVICES; i++) {
        snprintf(name, sizeof name, "%s.%s", names[i], run->domain);
        ask(run, &run->services[i], name, DNS_SRV, service_answered);
    }
    run->pending--;
}

static struct dns_run *run_new(struct dns *dns, struct dns_lookup *lookup)
{
    struct dns_run *run = NEW(struct dns_run);
    run->lookup = lookup;
    run->dns = dns;
    run->task.run = found_without_asking;
    run->found = NEW(struct dns_found);
    lookup->_run = run;
    lookup->count = 0;
    dns_forget(lookup);
    return run;
}

void dns_find_host(struct dns *dns, const char *name, uint16_t port, struct dns_lookup *lookup)
{
    struct dns_run *run = run_new(dns, lookup);
    str_copy(str_from(name), run->domain, sizeof run->domain);
    fall_back(run, port);
    ask_about_targets(run);
}

void dns_find_server(struct dns *dns, str domain, struct dns_lookup *lookup)
{
    struct dns_run *run = run_new(dns, lookup);
    add_overrides(dns, domain, lookup);
    run->found->how = lookup->count ? DNS_FROM_OVERRIDE : DNS_FROM_LITERAL;
    if (!lookup->count)
        add_literal(domain, lookup);
    if (lookup->count || !str_copy(domain, run->domain, sizeof run->domain)) {
        loop_defer(dns->loop, &run->task);
        return;
    }
    run->found->how = DNS_FROM_SRV;
    ask_services(run);
}
