/* SPDX-License-Identifier: MIT */
/* Commands about other servers: the streams with them, each told by the shard that has it; what is known of a
 * domain, told by its home; and a test of the way to it (s2s/probe.h), on the first shard. */
#include "server/control/control_request.h"
#include "server/s2s/probe.h"
#include "server/s2s/remote.h"
#include "server/s2s/s2s.h"

static void list_shard(struct shard *shard, struct request *request)
{
    list_each (at, &shard->s2s_links) {
        const struct s2s *s2s = S2S_OF(LIST_ITEM(at, struct link, _in_shard));
        buf_addf(&request->answer, "%.*s\n", STR_ARGS(s2s_describe(s2s, &shard->arena)));
    }
}

static void listed(struct request *request)
{
    request_done(request, NULL);
}

void control_s2s_list(struct request *request)
{
    request_travel(request, list_shard, listed);
}

/* The streams of the domain wherever they are, and at its home what is known of it. */
static void show_shard(struct shard *shard, struct request *request)
{
    str domain = request->jid.full;
    if (server_home(shard->server, domain) == shard)
        remote_explain(shard, domain, &request->answer);
    list_each (at, &shard->s2s_links) {
        const struct s2s *s2s = S2S_OF(LIST_ITEM(at, struct link, _in_shard));
        if (s2s->domain && str_eq(str_from(s2s->domain), domain))
            buf_addf(&request->answer, "stream: %.*s\n", STR_ARGS(s2s_describe(s2s, &shard->arena)));
    }
}

void control_s2s_show(struct request *request)
{
    str domain;
    if (jid_prepare_domain(request->word, &request->arena, &domain) != OK) {
        request_done(request, "that is no domain");
        return;
    }
    request->jid = (struct jid){ domain, 0, (uint16_t)domain.len };
    request_travel(request, show_shard, listed);
}

/* ---- s2s test
 * ----------------------------------------------------------------------------------------------------------
 */

struct test {
    struct probe probe;
    struct request *request;
};

static void cancel_test(struct request *request)
{
    struct test *test = request->own;
    probe_stop(&test->probe);
}

static void tested(struct probe *probe)
{
    struct test *test = CONTAINER_OF(probe, struct test, probe);
    struct request *request = test->request;
    bool works = probe_report(probe, &request->answer);
    probe_stop(probe);
    request_done(request, works ? NULL : "stanzas would not get through");
}

/* "DOMAIN" or "DOMAIN OURS": from the first host, or from another domain of ours. */
static const char *start_test(struct request *request)
{
    struct server *server = request->shard->server;
    struct test *test = ARENA_NEW(&request->arena, struct test);
    str rest = request->word, theirs, ours = str_from(server->host_list[0]->name);
    if (!request->shard->dns)
        return "federation is off: set s2s.port";
    if (jid_prepare_domain(str_cut(&rest, ' '), &request->arena, &theirs) != OK)
        return "that is no domain";
    rest = str_trim(rest);
    if (rest.len && (jid_prepare_domain(rest, &request->arena, &ours) != OK || !s2s_is_ours(server, ours)))
        return "the second word has to be a domain of this server";
    if (s2s_is_ours(server, theirs))
        return "that domain is served here";
    request->own = test;
    request->cancel = cancel_test;
    test->request = request;
    test->probe.done = tested;
    enum err err = probe_start(&test->probe, request->shard, ours, theirs);
    return err == OK         ? NULL
           : err == ERR_FULL ? "too many tests are under way; try again in a minute"
                             : "that can't be asked for";
}

void control_s2s_test(struct request *request)
{
    const char *error = start_test(request);
    if (error)
        request_done(request, error);
}
