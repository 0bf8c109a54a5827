/* SPDX-License-Identifier: MIT */
/* Who is told of what happens at a node, and how the message looks (XEP-0060 §12.2-§12.6, XEP-0163 §4.3).
 *
 * Subscribers are told at the address that they subscribed with. An account's nodes have another audience:
 * its own sessions, and the contacts who see its presence and may read the node. The account does not know
 * which devices of a contact want what. A contact of this server does: the message goes to the contact's
 * account (DELIVER_INSIDE), and that one hands it to the sessions that ask for such events. So nobody keeps a
 * list of the other's devices. Contacts of other servers are in audience.c.
 *
 * One message, with one id, is made for all; only subscribers and own sessions get copies with a `to`. */
#include "extensions/pubsub/pubsub.h"

#include "base/rand.h"
#include "extensions/pubsub/audience.h"
#include "extensions/pubsub/interest.h"
#include "xml/write.h"
#include "xmpp/delay.h"

#include <stdlib.h>

enum { MESSAGE_MAX = 8 << 20 };

/* ---- Messages
 * ------------------------------------------------------------------------------------------------------- */

static struct stanza *make(struct pubsub *of, enum stanza_type type, str payload)
{
    struct arena *arena = &of->shard->arena;
    struct stanza *message = arena_alloc(arena, sizeof *message);
    char token[20];
    rand_token(token, sizeof token);
    *message = stanza_make(STANZA_MESSAGE, type, arena_str(arena, str_from(token)), payload, arena);
    message->from = pubsub_jid(of);
    return message;
}

static struct stanza *copy_to(struct pubsub *of, const struct stanza *message, const struct jid *to)
{
    struct stanza *copy = arena_alloc(&of->shard->arena, sizeof *copy);
    *copy = *message;
    copy->to = *to;
    return copy;
}

static str event_payload(struct pubsub *of, str event, const char *behind)
{
    return arena_printf(&of->shard->arena, "<event xmlns='" NS_PUBSUB_EVENT "'>%.*s</event>%s",
                        STR_ARGS(event), behind);
}

static enum stanza_type type_of(const struct node *node)
{
    return node->settings.notification == NOTIFICATION_HEADLINE ? TYPE_HEADLINE : TYPE_NONE;
}

static bool may_reach(struct pubsub *of, const struct jid *to)
{
    struct reach_event event = { of->user, *to };
    return !of->user || fire_may_reach(of->host, &event) == HOOK_NEXT;
}

void notify_send(struct pubsub *of, const struct jid *to, enum stanza_type type, str payload)
{
    if (may_reach(of, to))
        route(of->shard, copy_to(of, make(of, type, payload), to));
}

/* ---- Everybody
 * ---------------------------------------------------------------------------------------------------------
 */

static void to_subscribers(struct pubsub *of, const struct node *node, const struct stanza *message, bool all)
{
    struct arena *arena = &of->shard->arena;
    for (uint32_t i = 0; i < node->subscribers.count; i++) {
        const struct subscriber *subscriber = node->subscribers.at[i];
        struct jid to;
        bool wants = subscriber->state == SUBSCRIPTION_SUBSCRIBED && subscriber->deliver;
        if ((!wants && !all) || !subscriber_is_live(of, subscriber) ||
            jid_parse(arena_str(arena, subscriber_jid(subscriber)), arena, &to) != OK || !may_reach(of, &to))
            continue;
        route(of->shard, copy_to(of, message, &to));
    }
}

static void to_own_sessions(struct pubsub *of, const struct node *node, const struct stanza *message)
{
    struct jid own = pubsub_jid(of);
    if (node_find_subscriber(node, own.full))
        return;
    list_each (at, &of->user->sessions) {
        struct session *session = SESSION_OF(at);
        if (!session->available || !interest_wants(session, node_name(node)))
            continue;
        struct jid full = session_jid(session);
        full = jid_copy(&full, &of->shard->arena);
        route_to(of->shard, copy_to(of, message, &full), &full, DELIVER_SESSION);
    }
}

static void to_contacts(struct pubsub *of, const struct node *node, const struct stanza *message)
{
    const struct roster *roster = &of->user->roster;
    struct arena *arena = &of->shard->arena;
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct roster_item *item = roster->items[i];
        struct jid contact;
        if (!(item->flags & ROSTER_FROM) ||
            jid_parse(arena_str(arena, roster_item_jid(item)), arena, &contact) != OK ||
            !pep_is_audience(of, node, &contact) || !may_reach(of, &contact))
            continue;
        if (server_host(of->shard->server, jid_domain(&contact)))
            route_to(of->shard, message, &contact, DELIVER_INSIDE);
        else
            audience_send(of, node, &contact, message);
    }
}

void notify_all(struct pubsub *of, const struct node *node, str event)
{
    if (!node->settings.notify)
        return;
    struct stanza *message = make(of, type_of(node), event_payload(of, event, ""));
    to_subscribers(of, node, message, false);
    if (!of->user)
        return;
    to_own_sessions(of, node, message);
    to_contacts(of, node, message);
}

void notify_deleted(struct pubsub *of, const struct node *node, str event)
{
    struct stanza *message = make(of, type_of(node), event_payload(of, event, ""));
    to_subscribers(of, node, message, true); /* §8.4.2: those who are pending, too */
    if (!of->user || !node->settings.notify || !node->settings.notify_delete)
        return;
    to_own_sessions(of, node, message);
    to_contacts(of, node, message);
}

void notify_subscription(struct pubsub *of, const struct node *node, str jid, const char *state)
{
    struct arena *arena = &of->shard->arena;
    struct jid to;
    struct buf xml;
    if (jid_parse(arena_str(arena, jid), arena, &to) != OK)
        return;
    buf_init(&xml, 16 * 1024);
    buf_lit(&xml, "<subscription");
    xml_write_attr(&xml, "node", node_name(node));
    xml_write_attr(&xml, "jid", jid);
    buf_addf(&xml, " subscription='%s'/>", state);
    notify_send(of, &to, type_of(node), event_payload(of, arena_str(arena, buf_str(&xml)), ""));
    buf_fini(&xml);
}

/* ---- The last item
 * ------------------------------------------------------------------------------------------------- */

/* A last item on its way out of the store. */
struct last {
    struct store_read read;
    struct parked parked;
    struct actor *actor;
    int64_t ms;
    enum stanza_type type;
    char *name, *id, *publisher, *to;
    bool payload;
    enum deliver how;
};

static void last_free(struct last *last)
{
    store_read_fini(&last->read);
    free(last->name);
    free(last->id);
    free(last->publisher);
    free(last->to);
    free(last);
}

static str last_payload(const struct last *last, struct arena *arena)
{
    struct buf xml;
    buf_init(&xml, MESSAGE_MAX);
    buf_lit(&xml, "<event xmlns='" NS_PUBSUB_EVENT "'><items");
    xml_write_attr(&xml, "node", str_from(last->name));
    buf_lit(&xml, "><item");
    xml_write_attr(&xml, "id", str_from(last->id));
    xml_write_attr(&xml, "publisher", str_from(last->publisher));
    buf_add_char(&xml, '>');
    if (last->payload)
        buf_add(&xml, last->read.rows[0].value);
    buf_lit(&xml, "</item></items></event>");
    delay_write(&xml, str_none, last->ms);
    str payload = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return payload;
}

static void send_last(struct last *last)
{
    struct actor *actor = last->actor;
    struct arena *arena = &actor->shard->arena;
    struct pubsub of = { .shard = actor->shard, .host = actor->host, .actor = actor };
    struct jid to;
    if (jid_parse(arena_str(arena, str_from(last->to)), arena, &to) != OK)
        return;
    struct stanza *message = make(&of, last->type, last_payload(last, arena));
    if (last->how != DELIVER_INSIDE)
        message->to = to;
    route_to(actor->shard, message, &to, last->how);
}

static void last_run(struct actor *actor, struct parked *parked)
{
    struct last *last = CONTAINER_OF(parked, struct last, parked);
    if (last->read.err == OK && last->read.count)
        send_last(last);
    last_free(last);
    actor_unpin(actor);
}

static void last_drop(struct actor *actor, struct parked *parked)
{
    last_free(CONTAINER_OF(parked, struct last, parked));
    actor_unpin(actor);
}

/* What asked for it may be on its way to the disk still, and its answer comes first. */
static void last_read(struct store_read *read)
{
    struct last *last = CONTAINER_OF(read, struct last, read);
    struct shard *shard = last->actor->shard;
    shard_enter(shard);
    shard_commit_ended(shard);
    last->parked = (struct parked){ .run = last_run, .drop = last_drop };
    actor_when_ready(last->actor, &last->parked);
    shard_leave(shard);
}

static void fetch_last(struct pubsub *of, const struct node *node, const struct jid *to, enum deliver how)
{
    struct arena *arena = &of->shard->arena;
    uint32_t count = node->items.count;
    if (!count || !item_is_live(of, node, node_item(node, count - 1)) || !may_reach(of, to))
        return;
    const struct item *item = node_item(node, count - 1);
    struct last *last = NEW(struct last);
    str publisher = item_publisher(item);
    last->read.done = last_read;
    last->actor = of->actor;
    last->ms = item_ms(item);
    last->type = type_of(node);
    last->name = str_dup(node_name(node));
    last->id = str_dup(item_id(item));
    if (node->settings.item_reply == REPLY_PUBLISHER)
        last->publisher = str_dup(publisher.len ? publisher : actor_bare(of->actor));
    last->payload = node->settings.payloads;
    last->to = str_dup(to->full);
    last->how = how;
    actor_pin(of->actor);
    shard_commit_began(of->shard);
    store_get(of->shard->server->store, of->shard->loop, actor_bare(of->actor), node_item_kind(node, arena),
              item_id(item), &last->read);
}

void notify_last(struct pubsub *of, const struct node *node, const struct jid *to)
{
    bool local = server_host(of->shard->server, jid_domain(to)) != NULL;
    fetch_last(of, node, to, local && !jid_is_bare(to) ? DELIVER_SESSION : DELIVER_ROUTE);
}

void notify_last_to_contact(struct pubsub *of, const struct node *node, const struct jid *contact)
{
    if (server_host(of->shard->server, jid_domain(contact)))
        fetch_last(of, node, contact, DELIVER_INSIDE);
    else
        audience_send_last(of, node, contact);
}
