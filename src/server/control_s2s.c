/* SPDX-License-Identifier: MIT */
/* Commands about other servers: the streams with them, each told by the shard that has it. */
#include "server/control_request.h"
#include "server/s2s.h"

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
