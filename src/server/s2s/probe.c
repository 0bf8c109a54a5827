/* SPDX-License-Identifier: MIT */
/* A test of another domain: first DNS is asked, by a resolver of its own so that nothing old is told, then
 * all addresses are tried at the same time (probe_stream.c), which the resolver bounds in number. When the
 * last of them is over, the owner is told and asks for the report (probe_report.c).
 *
 * Not here: sending stanzas, or remembering anything for the streams that do. */
#include "server/s2s/probe.h"

#include <stdlib.h>

enum { PROBES_MAX = 4 };

static void finish(struct probe *probe)
{
    struct shard *shard = probe->shard;
    shard_enter(shard);
    probe->done(probe);
    shard_leave(shard);
}

void probe_stream_over(struct probe_stream *stream)
{
    struct probe *probe = stream->probe;
    if (--probe->left == 0)
        finish(probe);
}

static void looked_up(struct dns_lookup *lookup)
{
    struct probe *probe = CONTAINER_OF(lookup, struct probe, lookup);
    probe->left = lookup->err == OK && !probe->policy.refused ? lookup->count : 0;
    if (!probe->left) {
        finish(probe);
        return;
    }
    probe->streams = xcalloc(lookup->count, sizeof *probe->streams);
    for (size_t i = 0; i < lookup->count; i++)
        probe_stream_start(&probe->streams[i], probe, i);
}

enum err probe_start(struct probe *probe, struct shard *shard, str ours, str theirs)
{
    struct dns_settings settings = server_dns_settings(shard->server);
    if (shard->probes >= PROBES_MAX)
        return ERR_FULL;
    arena_init(&probe->arena, 4096);
    probe->ours = arena_str(&probe->arena, ours);
    probe->theirs = arena_str(&probe->arena, theirs);
    probe->policy = s2s_policy_for(shard->server->config, theirs);
    probe->dns = dns_new(shard->loop, &settings);
    if (!probe->dns || jid_domain_to_ascii(probe->theirs, &probe->arena, &probe->ascii) != OK) {
        dns_free(probe->dns);
        arena_fini(&probe->arena);
        return ERR_INVALID;
    }
    probe->shard = shard;
    shard->probes++;
    probe->lookup.done = looked_up;
    dns_find_server(probe->dns, probe->ascii, &probe->lookup);
    return OK;
}

void probe_stop(struct probe *probe)
{
    if (!probe->shard)
        return;
    for (size_t i = 0; probe->streams && i < probe->lookup.count; i++)
        probe_stream_stop(&probe->streams[i]);
    free(probe->streams);
    dns_cancel(&probe->lookup);
    dns_forget(&probe->lookup);
    dns_free(probe->dns);
    probe->shard->probes--;
    probe->shard = NULL;
    arena_fini(&probe->arena);
}
