/* SPDX-License-Identifier: MIT */
/* Commands about other servers: the streams with them, each told by the shard that has it, and what is
 * known of a domain, told by its home. */
#include "server/control/control_request.h"
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
