/* SPDX-License-Identifier: MIT */
/* XEP-0356 §6: requests that a component makes in the name of a user. The request goes out from the user's
 * bare JID; its answer comes back there, is known by its id and sender, and is handed to the component. Until
 * then the user's actor stays awake; a request that nobody answers is given up after a while, with an error.
 *
 * The id is the component's own choice, and another request of the same id to the same address would be mixed
 * up with it, so such a one is refused while the first is open. */
#include "extensions/privilege.h"

#include "xmpp/inner.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { ASKED_MAX = 50, PATIENCE_MS = 60 * 1000, XML_MAX = 64 << 20 };

/* A request that is not answered yet, in one block with its texts. */
struct asked {
    struct list link;
    struct timer timer;
    struct user *user;
    char *id, *peer;  /* of the request that went out: raw id, and whom it went to */
    char *outer_id;   /* of the component's */
    struct jid asker; /* in heap memory */
};

static struct privilege_user *open_of(struct user *user)
{
    struct privilege_user *open = ext_user(user, &privilege_slot);
    if (!open->asked.next)
        list_init(&open->asked);
    return open;
}

static void forget(struct asked *asked)
{
    struct user *user = asked->user;
    timer_stop(&asked->timer);
    list_remove(&asked->link);
    open_of(user)->count--;
    free(asked->id);
    free(asked->peer);
    free(asked->outer_id);
    free((char *)asked->asker.full.p);
    free(asked);
    user->actor.pins--;
}

/* The actor may be about to be freed: it is let go of, and not touched. */
void privilege_forget(struct user *user)
{
    struct privilege_user *open = open_of(user);
    while (open->count)
        forget(LIST_ITEM(open->asked.next, struct asked, link));
}

static struct asked *find(struct user *user, str id, str peer)
{
    list_each (at, &open_of(user)->asked) {
        struct asked *asked = LIST_ITEM(at, struct asked, link);
        if (str_eq(str_from(asked->id), id) && str_eq(str_from(asked->peer), peer))
            return asked;
    }
    return NULL;
}

static struct stanza *reply_to(const struct asked *asked, enum stanza_type type, str payload)
{
    struct arena *arena = &asked->user->actor.shard->arena;
    struct stanza *reply = ARENA_NEW(arena, struct stanza);
    struct jid own = user_jid(asked->user);
    *reply = stanza_make(STANZA_IQ, type, arena_str(arena, str_from(asked->outer_id)), payload, arena);
    reply->from = jid_copy(&own, arena);
    reply->to = jid_copy(&asked->asker, arena);
    return reply;
}

static void gave_up(struct timer *timer)
{
    struct asked *asked = CONTAINER_OF(timer, struct asked, timer);
    struct shard *shard = asked->user->actor.shard;
    shard_enter(shard);
    route(shard,
          reply_to(asked, TYPE_ERROR,
                   STR("<error type='wait'><remote-server-timeout xmlns='" NS_STANZA_ERRORS "'/></error>")));
    struct user *user = asked->user;
    forget(asked);
    actor_touch(&user->actor);
    shard_leave(shard);
}

/* ---- Asking
 * ------------------------------------------------------------------------------------------------------- */

/* The request within, if it is as §6.3 demands, ready to be sent. */
static bool read_request(struct stanza_event *event, const struct config_component *config,
                         const struct xml_node *wrapper, struct stanza *ret)
{
    struct arena *arena = &event->shard->arena;
    struct jid own = user_jid(event->user);
    struct xml_node inner, payload;
    if (!xml_child(wrapper, STR("iq"), STR(NS_CLIENT), &inner) ||
        inner_read(&inner, arena, ret) != STANZA_OK || ret->type != event->stanza->type ||
        !xml_first(&ret->node, &payload) || !privilege_allows(config, ret->type, payload.ns))
        return false;
    if (!jid_is_none(&ret->from) && !jid_eq(&ret->from, &own))
        return false;
    ret->from = jid_copy(&own, arena);
    if (jid_is_none(&ret->to))
        ret->to = ret->from;
    return true;
}

static void remember(struct stanza_event *event, const struct stanza *request)
{
    struct user *user = event->user;
    struct asked *asked = NEW(struct asked);
    asked->user = user;
    asked->id = str_dup(request->id);
    asked->peer = str_dup(request->to.full);
    asked->outer_id = str_dup(event->stanza->id);
    asked->asker = event->stanza->from;
    asked->asker.full = str_of(str_dup(asked->asker.full), asked->asker.full.len);
    asked->timer.fired = gave_up;
    list_append(&open_of(user)->asked, &asked->link);
    open_of(user)->count++;
    actor_pin(&user->actor);
    timer_start(event->shard->loop, &asked->timer, PATIENCE_MS);
}

void privilege_ask(struct stanza_event *event, const struct config_component *config,
                   const struct xml_node *wrapper)
{
    struct stanza *request = ARENA_NEW(&event->shard->arena, struct stanza);
    if (!read_request(event, config, wrapper, request)) {
        route_error(event->shard, event->stanza, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    if (open_of(event->user)->count >= ASKED_MAX || find(event->user, request->id, request->to.full)) {
        route_error(event->shard, event->stanza, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
        return;
    }
    remember(event, request);
    route(event->shard, request);
}

/* ---- The answer
 * --------------------------------------------------------------------------------------------------- */

bool privilege_answer(struct stanza_event *event)
{
    const struct stanza *answer = event->stanza;
    struct privilege_user *open = ext_user(event->user, &privilege_slot);
    struct asked *asked = open->count ? find(event->user, answer->id, answer->from.full) : NULL;
    struct buf payload;
    if (!asked)
        return false;
    buf_init(&payload, XML_MAX);
    buf_lit(&payload, "<privilege xmlns='" NS_PRIVILEGE "'><forwarded xmlns='" NS_FORWARD "'>");
    inner_write(&payload, answer);
    buf_lit(&payload, "</forwarded></privilege>");
    route(event->shard, reply_to(asked, TYPE_RESULT, arena_str(&event->shard->arena, buf_str(&payload))));
    buf_fini(&payload);
    forget(asked);
    actor_touch(&event->user->actor);
    return true;
}
