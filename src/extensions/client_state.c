/* SPDX-License-Identifier: MIT */
/* XEP-0352 1.0.0: what a client that nobody looks at need not be woken for waits until it is looked at again,
 * or until something comes that can't wait.
 *
 * Only what may be lost with the session may wait: presence, of which each sender's last one counts; chat
 * states alone, also as a copy from another device; and events of pubsub nodes (XEP-0163), of which a new
 * item takes the place of the old one where it replaces it. Everything else goes out at once: whatever has a
 * body or is encrypted, invitations, receipts and markers, requests, answers, subscriptions, errors, and a
 * room's word on one's own presence, without which a client does not know that it has joined. What waits goes
 * out before it, in its order, so no two stanzas overtake each other (RFC 6120 §10.1), and the radio is awake
 * then anyway. A queue that is full goes out as well.
 *
 * Nothing in here is kept: a session that ends takes its queue with it, and a stream that is resumed begins
 * as active (§4.1). Who else is inactive is told to nobody (§6). */
#include "extensions/client_state.h"
#include "server/ext.h"
#include "xmpp/forward.h"
#include "xmpp/ns.h"
#include "xmpp/payload.h"

#include <stdlib.h>

#define NS_CSI      "urn:xmpp:csi:0"
#define NS_CARBONS  "urn:xmpp:carbons:2"
#define NS_EVENT    "http://jabber.org/protocol/pubsub#event"
#define NS_MUC_USER "http://jabber.org/protocol/muc#user"

struct client_state {
    struct queue *queue; /* NULL while nothing waits */
    bool inactive, flushing;
};

struct settings {
    bool presence, chat_states, events;
    unsigned queue_bytes;
};

struct waiting {
    struct list in_queue;
    struct map_node by_key;
    struct stanza *stanza;
    struct jid to; /* none: the stanza's own */
    size_t size;
    str key; /* none: nothing takes its place */
    char text[];
};

struct queue {
    struct list order;
    struct map keys;
    size_t bytes;
};

static struct ext_slot slot;

static struct client_state *of(struct session *session)
{
    return ext_session(session, &slot);
}

/* ---- What may wait
 * ------------------------------------------------------------------------------------------------ */

/* What is thought of a stanza: whether it may wait, and for what it stands. */
struct verdict {
    bool may_wait;
    str key; /* a later one with the same key takes its place; none: it stands for itself */
};

static const struct verdict important = { false, { NULL, 0 } };

/* XEP-0045 §7.2.2: the presence by which a room says that somebody is in, or out. */
static bool is_of_oneself(const struct stanza *presence, struct arena *arena)
{
    struct xml_node x, status;
    if (!(payload_facts(presence) & PAYLOAD_ROOM) ||
        !xml_child(&presence->node, STR("x"), STR(NS_MUC_USER), &x))
        return false;
    for (bool more = xml_first(&x, &status); more; more = xml_next(&status))
        if (str_is(status.name, "status") && str_is(xml_attr(&status, STR("code"), arena), "110"))
            return true;
    return false;
}

static struct verdict judge_presence(const struct stanza *presence, struct arena *arena)
{
    if ((presence->type != TYPE_NONE && presence->type != TYPE_UNAVAILABLE) || is_of_oneself(presence, arena))
        return important;
    return (struct verdict){ true, arena_printf(arena, "p%.*s", STR_ARGS(presence->from.full)) };
}

/* Nodes that keep one item under changing ids: only the last one says something. */
static bool keeps_one_item(str node)
{
    static const char *const nodes[] = {
        "http://jabber.org/protocol/nick",           "http://jabber.org/protocol/mood",
        "http://jabber.org/protocol/activity",       "http://jabber.org/protocol/tune",
        "http://jabber.org/protocol/geoloc",         "urn:xmpp:avatar:metadata",
        "eu.siacs.conversations.axolotl.devicelist", "urn:xmpp:omemo:2:devices",
    };
    for (size_t i = 0; i < COUNT_OF(nodes); i++)
        if (str_eq(node, str_from(nodes[i])))
            return true;
    return false;
}

/* One new item, and nothing else: it replaces the one with its id. */
static str key_of_items(const struct stanza *message, const struct xml_node *items, struct arena *arena)
{
    struct xml_node item;
    str node = xml_attr(items, STR("node"), arena), from = message->from.full;
    if (!node.len || !xml_first(items, &item) || !str_is(item.name, "item"))
        return str_none;
    str id = xml_attr(&item, STR("id"), arena);
    struct xml_node second = item;
    if (!id.len || xml_next(&second))
        return str_none;
    if (keeps_one_item(node))
        return arena_printf(arena, "e%.*s\n%.*s", STR_ARGS(from), STR_ARGS(node));
    return arena_printf(arena, "e%.*s\n%.*s\n%.*s", STR_ARGS(from), STR_ARGS(node), STR_ARGS(id));
}

static struct verdict judge_event(const struct stanza *message, struct arena *arena)
{
    struct xml_node event, child;
    struct verdict verdict = { true, { NULL, 0 } };
    if (xml_child(&message->node, STR("event"), STR(NS_EVENT), &event) && xml_first(&event, &child) &&
        str_is(child.name, "items"))
        verdict.key = key_of_items(message, &child, arena);
    return verdict;
}

static struct verdict judge_copy(const struct stanza *message, struct arena *arena)
{
    struct xml_node wrapper, forwarded, node;
    struct stanza inner;
    if (!xml_first(&message->node, &wrapper) || !str_is(wrapper.ns, NS_CARBONS) ||
        !forward_read(&wrapper, &forwarded, &node) ||
        stanza_read(&node, str_none, str_none, arena, &inner) != STANZA_OK ||
        !payload_is_chat_state_only(&inner))
        return important;
    return (struct verdict){ true, arena_printf(arena, "c%.*s\n%.*s", STR_ARGS(inner.from.full),
                                                STR_ARGS(inner.to.full)) };
}

static struct verdict judge_message(const struct settings *settings, const struct stanza *message,
                                    struct arena *arena)
{
    const uint32_t event = PAYLOAD_EVENT | PAYLOAD_DELAY | PAYLOAD_STANZA_ID | PAYLOAD_OTHER |
                           PAYLOAD_NO_STORE | PAYLOAD_NO_PERMANENT_STORE | PAYLOAD_NO_COPY;
    uint32_t facts = payload_facts(message);
    if (message->type == TYPE_ERROR)
        return important;
    if ((facts & PAYLOAD_EVENT) && !(facts & ~event))
        return settings->events ? judge_event(message, arena) : important;
    if (!settings->chat_states)
        return important;
    if (facts & PAYLOAD_CARBON)
        return judge_copy(message, arena);
    if (!payload_is_chat_state_only(message))
        return important;
    return (struct verdict){ true, arena_printf(arena, "s%.*s", STR_ARGS(message->from.full)) };
}

static struct verdict judge(const struct settings *settings, const struct stanza *stanza, struct arena *arena)
{
    if (stanza->kind == STANZA_IQ || jid_is_none(&stanza->from))
        return important;
    if (stanza->kind == STANZA_MESSAGE)
        return judge_message(settings, stanza, arena);
    return settings->presence ? judge_presence(stanza, arena) : important;
}

/* ---- Waiting
 * ------------------------------------------------------------------------------------------------------ */

static str key_of(const struct map_node *node)
{
    return CONTAINER_OF(node, struct waiting, by_key)->key;
}

static void forget(struct queue *queue, struct waiting *waiting)
{
    if (waiting->key.len)
        map_remove(&queue->keys, &waiting->by_key);
    list_remove(&waiting->in_queue);
    queue->bytes -= waiting->size;
    free(waiting->stanza);
    free(waiting);
}

static void queue_free(struct client_state *state)
{
    struct queue *queue = state->queue;
    if (!queue)
        return;
    list_each_safe (at, &queue->order)
        forget(queue, LIST_ITEM(at, struct waiting, in_queue));
    map_fini(&queue->keys);
    free(queue);
    state->queue = NULL;
}

static void flush(struct session *session)
{
    struct client_state *state = of(session);
    if (!state->queue)
        return;
    session->user->actor.shard->counters.csi_flushes++;
    state->flushing = true;
    list_each (at, &state->queue->order) {
        const struct waiting *waiting = LIST_ITEM(at, struct waiting, in_queue);
        session_send(session, waiting->stanza, jid_is_none(&waiting->to) ? NULL : &waiting->to);
    }
    state->flushing = false;
    queue_free(state);
}

/* About what it takes on the wire, and in memory on top of the structures. */
static size_t size_of(const struct stanza *stanza)
{
    return stanza->from.full.len + stanza->to.full.len + stanza->attrs.len + stanza_payload(stanza).len + 32;
}

static struct waiting *waiting_new(const struct sending_event *event, str key)
{
    str to = event->to ? event->to->full : str_of("", 0);
    struct waiting *waiting = xcalloc(1, sizeof *waiting + key.len + to.len);
    waiting->stanza = stanza_copy(event->stanza);
    waiting->size = size_of(event->stanza) + sizeof *waiting + sizeof(struct stanza) + key.len + to.len;
    if (key.len)
        memcpy(waiting->text, key.p, key.len);
    waiting->key = str_of(waiting->text, key.len);
    if (!to.len)
        return waiting;
    waiting->to = *event->to;
    waiting->to.full = str_of(memcpy(waiting->text + key.len, to.p, to.len), to.len);
    return waiting;
}

/* Removes the one whose place a new one takes. */
static void replace(struct queue *queue, str key, struct shard_counters *counters)
{
    struct map_node *node = key.len ? map_get(&queue->keys, key) : NULL;
    if (!node)
        return;
    struct waiting *old = CONTAINER_OF(node, struct waiting, by_key);
    counters->csi_saved++;
    counters->csi_saved_bytes += size_of(old->stanza);
    forget(queue, old);
}

static void hold(struct client_state *state, const struct sending_event *event, str key)
{
    struct shard_counters *counters = &event->session->user->actor.shard->counters;
    if (!state->queue) {
        state->queue = NEW(struct queue);
        list_init(&state->queue->order);
        map_init(&state->queue->keys, key_of);
    }
    replace(state->queue, key, counters);
    struct waiting *waiting = waiting_new(event, key);
    list_append(&state->queue->order, &waiting->in_queue);
    if (key.len)
        map_put(&state->queue->keys, &waiting->by_key);
    state->queue->bytes += waiting->size;
    counters->csi_held++;
}

static enum hook_ret to_session(struct host *host, struct sending_event *event)
{
    const struct settings *settings = ext_settings(host, &slot);
    struct client_state *state = of(event->session);
    if (!state->inactive || state->flushing)
        return HOOK_NEXT;
    struct verdict verdict = judge(settings, event->stanza, &event->session->user->actor.shard->arena);
    if (!verdict.may_wait) {
        flush(event->session);
        return HOOK_NEXT;
    }
    hold(state, event, verdict.key);
    if (state->queue->bytes > settings->queue_bytes)
        flush(event->session);
    return HOOK_DONE;
}

/* ---- What clients say
 * --------------------------------------------------------------------------------------------- */

static void inactive(struct session *session, const struct xml_node *element)
{
    (void)element;
    of(session)->inactive = true;
    session->tapped = true;
}

bool client_state_is_inactive(const struct session *session)
{
    return of((struct session *)session)->inactive;
}

static void active(struct session *session, const struct xml_node *element)
{
    (void)element;
    flush(session);
    of(session)->inactive = false;
}

static enum hook_ret resumed(struct host *host, struct session_event *event)
{
    (void)host;
    active(event->session, NULL);
    return HOOK_NEXT;
}

static void begin_inactive(struct bind2_event *event)
{
    inactive(event->session, event->element);
}

static void begin_active(struct bind2_event *event)
{
    (void)event;
}

static enum hook_ret closed(struct host *host, struct session_event *event)
{
    (void)host;
    queue_free(of(event->session));
    return HOOK_NEXT;
}

static void stream_features(struct host *host, struct buf *out)
{
    (void)host;
    buf_lit(out, "<csi xmlns='" NS_CSI "'/>");
}

/* ---- The extension
 * ------------------------------------------------------------------------------------------------ */

static const struct ext_nonza nonzas[] = {
    { "inactive", NS_CSI, inactive },
    { "active", NS_CSI, active },
    { 0 },
};

static const struct ext_hook hooks[] = {
    HOOK(stanza_to_session, PHASE_DELIVER, to_session),
    HOOK(session_closed, PHASE_DELIVER, closed),
    HOOK(session_resumed, PHASE_DELIVER, resumed),
    { 0 },
};

static const struct config_key keys[] = {
    { .name = "presence",
      .type = CONFIG_BOOL,
      CONFIG_FIELD(struct settings, presence),
      .default_text = "true",
      .help = "Whether presence waits, the last one of each sender." },
    { .name = "chat-states",
      .type = CONFIG_BOOL,
      CONFIG_FIELD(struct settings, chat_states),
      .default_text = "true",
      .help = "Whether messages wait that say no more than that somebody is typing." },
    { .name = "events",
      .type = CONFIG_BOOL,
      CONFIG_FIELD(struct settings, events),
      .default_text = "true",
      .help = "Whether pubsub events wait, such as a contact's new avatar." },
    { .name = "queue",
      .type = CONFIG_SIZE,
      CONFIG_FIELD(struct settings, queue_bytes),
      .default_text = "64K",
      .max = 16 * 1024 * 1024,
      .help = "How much may wait for one client; when there is more, all of it is sent." },
    { 0 },
};

static const struct config_extension config = {
    .name = "client-state",
    .help = "What may wait while a client says that nobody looks at it (XEP-0352).",
    .size = sizeof(struct settings),
    .keys = keys,
};

extern const struct ext ext_client_state;
const struct ext ext_client_state = {
    .slot = &slot,
    .name = "client-state",
    .title = "Client State Indication",
    .xep = { 352, "1.0.0" },
    .nonzas = nonzas,
    .bind2 = (const struct ext_bind2[]){ { NS_CSI, "inactive", NS_CSI, begin_inactive },
                                         { NULL, "active", NS_CSI, begin_active },
                                         { 0 } },
    .hooks = hooks,
    .config = &config,
    .session_size = sizeof(struct client_state),
    .stream_features = stream_features,
};
