/* SPDX-License-Identifier: MIT */
/* Commands about external components. Each domain is asked at its home, where its component lives. */
#include "server/component.h"
#include "server/control/control_request.h"

static void list_shard(struct shard *shard, struct request *request)
{
    for (struct component_domain *domain = shard->server->components; domain; domain = domain->next) {
        if (!domain->config || component_home(shard->server, domain) != shard)
            continue;
        str about =
            domain->component ? component_describe(domain->component, &shard->arena) : STR("not connected");
        buf_addf(&request->answer, "%s %.*s\n", domain->name, STR_ARGS(about));
    }
}

static void listed(struct request *request)
{
    request_done(request, NULL);
}

void control_components_list(struct request *request)
{
    request_travel(request, list_shard, listed);
}

static void close_at_home(struct shard *shard, struct request *request)
{
    struct component_domain *domain = component_domain_named(shard->server, request->jid.full);
    if (domain && component_home(shard->server, domain) == shard &&
        component_close(domain, STREAM_ERROR_POLICY_VIOLATION, "closed by the administrator"))
        request->links++;
}

static void closed(struct request *request)
{
    request_done(request, request->links ? NULL : "no component of this domain is connected");
}

void control_components_close(struct request *request)
{
    if (jid_parse(request->word, &request->arena, &request->jid) != OK)
        request_done(request, "that is no address: write the domain of a component");
    else
        request_travel(request, close_at_home, closed);
}
