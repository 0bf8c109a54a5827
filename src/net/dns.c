/* SPDX-License-Identifier: MIT */
/* From a domain to a list of endpoints.
 *
 * First both services are asked for, with STARTTLS and with direct TLS, at the same time; their records are
 * one list (XEP-0368) in the order of RFC 2782. Then the addresses of all targets, IPv6 and IPv4, are asked
 * for at the same time, and are taken target by target, the families in turn (RFC 8305 §4). Without SRV
 * records the domain itself is the target, at port 5269 (RFC 6120 §3.2.2); a target of "." says that there is
 * no service and no fallback (RFC 6120 §3.2.1, XEP-0368).
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

enum { TARGETS_MAX = 8, SERVER_PORT = 5269, SERVICES = 2 };

struct dns_run;

struct run_question {
    struct dns_question question;
    struct dns_run *run;
};

struct target {
    struct dns_service service;
    struct run_question v6, v4;
};

struct dns_run {
    struct dns_lookup *lookup; /* NULL: cancelled */
    struct dns *dns;
    struct task task; /* for what needs no question */
    unsigned pending; /* questions */
    bool unanswered;  /* a question found nobody to answer it */
    char domain[DNS_NAME_MAX];
    struct run_question services[SERVICES]; /* xmpp-server, xmpps-server */
    struct target targets[TARGETS_MAX];
    size_t target_count;
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

static void finish(struct dns_run *run, enum err err)
{
    struct dns_lookup *lookup = run->lookup;
    free(run);
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
    free(run);
}

/* ---- Addresses */

static void add_address(struct dns_run *run, const struct target *target, const struct dns_answer *answer,
                        size_t i)
{
    struct dns_endpoint endpoint = { .port = target->service.record.port,
                                     .direct_tls = target->service.direct_tls };
    if (i < answer->count &&
        str_copy(str_from(answer->records[i].name), endpoint.address, sizeof endpoint.address))
        add_endpoint(run->lookup, &endpoint);
}

static void note(struct dns_run *run, const struct dns_answer *answer)
{
    run->unanswered |= answer->err && answer->err != ERR_NOT_FOUND;
}

static void collect(struct dns_run *run)
{
    for (size_t t = 0; t < run->target_count; t++) {
        const struct target *target = &run->targets[t];
        const struct dns_answer *v6 = target->v6.question.answer, *v4 = target->v4.question.answer;
        note(run, v6);
        note(run, v4);
        for (size_t i = 0; run->lookup && (i < v6->count || i < v4->count); i++) {
            add_address(run, target, v6, i);
            add_address(run, target, v4, i);
        }
        dns_answer_unref(v6);
        dns_answer_unref(v4);
    }
    if (run->lookup && run->lookup->count)
        finish(run, OK);
    else
        finish(run, run->unanswered ? ERR_TIMEOUT : ERR_NOT_FOUND);
}

static void address_answered(struct dns_question *question)
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

static void ask_addresses(struct dns_run *run)
{
    for (size_t i = 0; i < run->target_count; i++) {
        struct target *target = &run->targets[i];
        ask(run, &target->v6, target->service.record.name, DNS_AAAA, address_answered);
        ask(run, &target->v4, target->service.record.name, DNS_A, address_answered);
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

/* Returns whether a record says that the service is not there, and no fallback is due. */
static bool gather(struct dns_run *run, struct dns_service services[SERVICES * DNS_RECORDS_MAX],
                   size_t *ret_count)
{
    bool refused = false;
    for (size_t s = 0; s < SERVICES; s++) {
        const struct dns_answer *answer = run->services[s].question.answer;
        note(run, answer);
        for (size_t i = 0; i < answer->count; i++) {
            if (answer->records[i].name[0])
                services[(*ret_count)++] = (struct dns_service){ answer->records[i], s == 1 };
            else
                refused = true;
        }
        dns_answer_unref(answer);
    }
    return refused;
}

static void service_answered(struct dns_question *question)
{
    struct dns_run *run = CONTAINER_OF(question, struct run_question, question)->run;
    struct dns_service services[SERVICES * DNS_RECORDS_MAX];
    size_t count = 0;
    if (--run->pending > 0)
        return;
    bool refused = gather(run, services, &count);
    if (!run->lookup || (refused && !count)) {
        finish(run, ERR_NOT_FOUND);
        return;
    }
    if (!count) {
        services[count++].record = (struct dns_record){ .port = SERVER_PORT };
        str_copy(str_from(run->domain), services[0].record.name, sizeof services[0].record.name);
        services[0].direct_tls = false;
    }
    dns_srv_order(services, count, at_random, NULL);
    for (size_t i = 0; i < count && i < TARGETS_MAX; i++)
        run->targets[run->target_count++].service = services[i];
    ask_addresses(run);
}

static void ask_services(struct dns_run *run)
{
    static const char *const names[SERVICES] = { "_xmpp-server._tcp", "_xmpps-server._tcp" };
    char name[DNS_NAME_MAX];
    run->pending = 1; /* the answers must not come before both were asked for */
    for (size_t i = 0; i < SERVICES; i++) {
        snprintf(name, sizeof name, "%s.%s", names[i], run->domain);
        ask(run, &run->services[i], name, DNS_SRV, service_answered);
    }
    run->pending--;
}

void dns_find_server(struct dns *dns, str domain, struct dns_lookup *lookup)
{
    struct dns_run *run = NEW(struct dns_run);
    run->lookup = lookup;
    run->dns = dns;
    run->task.run = found_without_asking;
    lookup->_run = run;
    lookup->count = 0;
    add_overrides(dns, domain, lookup);
    if (!lookup->count)
        add_literal(domain, lookup);
    if (lookup->count || !str_copy(domain, run->domain, sizeof run->domain))
        loop_defer(dns->loop, &run->task);
    else
        ask_services(run);
}
