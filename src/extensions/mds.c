/* SPDX-License-Identifier: MIT */
/* XEP-0490 1.0.1, server assist: a client that marks a chat as displayed puts the stanza's id into the
 * message that it sends anyway (a displayed marker), and the server publishes it to the account's node. The
 * element is taken out before anybody else sees the message: the archive, the copies, the receiver (§5.2).
 *
 * The item's id is the message's address in normal form. Neither it nor the element's content is looked at
 * (§5.2). What there is no room for (no node may be made any more, an element too large) is taken out all the
 * same. Everything else of the XEP is plain pubsub. */
#include "extensions/pubsub/pubsub.h"
#include "xmpp/payload.h"

#define NS_MDS "urn:xmpp:mds:displayed:0"

extern const struct ext ext_mds;
static struct ext_slot slot;

static void publish(const struct stanza_event *event, const struct xml_node *displayed)
{
    struct pubsub of = pep_of(event->user);
    struct arena *arena = &event->shard->arena;
    struct buf xml;
    if (event->user->anonymous || !pep_is_on(event->user->actor.host) || event->to.full.len > PUBSUB_NAME_MAX)
        return;
    buf_init(&xml, SIZE_MAX / 2);
    pubsub_write_payload(&xml, displayed, arena);
    own_publish(&of, STR(NS_MDS), OWN_LIST, event->to.full, arena_str(arena, buf_str(&xml)), event->stanza);
    buf_fini(&xml);
}

static enum hook_ret take_out(struct host *host, struct stanza_event *event)
{
    (void)host;
    struct xml_node displayed;
    if (!xml_child(&event->stanza->node, STR("displayed"), STR(NS_MDS), &displayed))
        return HOOK_NEXT;
    struct stanza *message = arena_alloc(&event->shard->arena, sizeof *message);
    *message = *event->stanza;
    message->node.content =
        payload_without_child(&event->stanza->node, STR("displayed"), STR(NS_MDS), &event->shard->arena);
    publish(event, &displayed);
    event->stanza = message;
    return HOOK_NEXT;
}

static const struct ext_hook hooks[] = { HOOK(message_from_user, PHASE_STAMP, take_out), { 0 } };

const struct ext ext_mds = {
    .slot = &slot,
    .name = "mds",
    .title = "Message Displayed Synchronization",
    .xep = { 490, "1.0.1" },
    .account_features = (const char *const[]){ "urn:xmpp:mds:server-assist:0", NULL },
    .hooks = hooks,
};
