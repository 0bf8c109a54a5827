/* SPDX-License-Identifier: MIT */
/* Stanzas to a domain of ours (RFC 6120 §10.5.1): requests go to the extensions; messages and subscriptions
 * to a server have no reader. */
#include "server/host.h"

#include "server/ext.h"

static void answer_iq(struct shard *shard, struct host *host, const struct stanza *iq)
{
    struct iq_event event = { .shard = shard, .host = host, .iq = iq };
    if (iq->type != TYPE_GET && iq->type != TYPE_SET) {
        fire_answer_to_host(host, &(struct stanza_event){ .stanza = iq, .to = iq->to, .shard = shard });
        return;
    }
    if (!xml_first(&iq->node, &event.child)) {
        route_error(shard, iq, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    if (fire_request(host, &event) == HOOK_NEXT)
        ext_dispatch(&event, TO_HOST);
}

static void message_to_host(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    struct stanza_event event = { .stanza = delivery->stanza, .to = delivery->to, .shard = shard };
    if (fire_message_to_host(host, &event) == HOOK_NEXT && delivery->stanza->type != TYPE_HEADLINE)
        route_error(shard, delivery->stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

void host_deliver(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    const struct stanza *stanza = delivery->stanza;
    if (delivery->how != DELIVER_ROUTE)
        return;
    switch (stanza->kind) {
    case STANZA_IQ:
        answer_iq(shard, host, stanza);
        return;
    case STANZA_MESSAGE:
        message_to_host(shard, host, delivery);
        return;
    case STANZA_PRESENCE:
        /* a server has no presence to share, and says nothing (RFC 6121 §4.3.2 leaves that open) */
        fire_presence_to_host(host,
                              &(struct stanza_event){ .stanza = stanza, .to = delivery->to, .shard = shard });
        return;
    }
}

bool host_is_admin(const struct host *host, const struct jid *who)
{
    const struct config_list *admins = &((const struct config_host *)host->config)->admins;
    struct arena arena;
    struct jid jid;
    bool found = false;
    arena_init(&arena, 256);
    for (size_t i = 0; !found && i < admins->count; i++)
        found = jid_parse(str_from(admins->items[i]), &arena, &jid) == OK && str_eq(jid_bare(who), jid.full);
    arena_fini(&arena);
    return found;
}
