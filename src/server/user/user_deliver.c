/* SPDX-License-Identifier: MIT */
/* What arrives for a user, from whichever shard, and what the user's own sessions send: sorted to the file
 * that knows the rule.
 *
 * A user who sleeps is woken only by what can matter to one without sessions: presence, answers and headlines
 * cannot (RFC 6121 §8.5.1, §8.5.2.2), so a broadcast to a thousand sleeping contacts touches no disk. After a
 * restart the store may have sessions of his, for which messages wait: also those that say that a message of
 * his did not come. */
#include "server/ext.h"
#include "server/receipt.h"

#include <stdlib.h>

/* Whether this can change or find anything at a user without sessions. */
static bool matters_to_sleeper(const struct delivery *delivery)
{
    const struct stanza *stanza = delivery->stanza;
    if (delivery->how == DELIVER_INSIDE)
        return stanza->kind == STANZA_PRESENCE && stanza->type == TYPE_PROBE;
    if (stanza->kind == STANZA_MESSAGE && stanza->type == TYPE_ERROR)
        return !jid_is_bare(&delivery->to);
    if (delivery->how == DELIVER_BROADCAST || stanza->type == TYPE_ERROR || stanza->type == TYPE_RESULT)
        return false;
    if (stanza->kind == STANZA_PRESENCE)
        return stanza->type != TYPE_NONE && stanza->type != TYPE_UNAVAILABLE;
    return stanza->type != TYPE_HEADLINE;
}

/* Whether the extension that is asked knows that there is nothing to wake for. */
static bool is_spared(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    struct sleeper_event event = {
        .shard = shard, .host = host, .to = delivery->to, .probe = delivery->stanza
    };
    return delivery->how == DELIVER_INSIDE && fire_probe_of_sleeper(host, &event) == HOOK_DONE;
}

void user_receive(struct actor *actor, const struct delivery *delivery)
{
    struct user *user = USER_OF(actor);
    struct stanza_event event = {
        .shard = user->actor.shard, .user = user, .stanza = delivery->stanza, .to = delivery->to
    };
    const struct stanza *stanza = delivery->stanza;
    if (delivery->how == DELIVER_AGAIN) {
        message_again(user, delivery);
        return;
    }
    if (fire_stanza_to_user(actor->host, &event) == HOOK_DONE)
        return;
    if (delivery->how == DELIVER_INSIDE) {
        fire_stanza_inside(actor->host, &event);
        return;
    }
    switch (stanza->kind) {
    case STANZA_MESSAGE:
        message_to_user(user, delivery);
        return;
    case STANZA_IQ:
        iq_to_user(user, delivery);
        return;
    case STANZA_PRESENCE:
        if (stanza->type >= TYPE_SUBSCRIBE && stanza->type <= TYPE_UNSUBSCRIBED)
            subscription_to_user(user, stanza);
        else
            presence_to_user(user, delivery);
        return;
    }
}

/* RFC 6121 §8.5.1: no such account. Presence is met with silence, a probe with what a stranger gets from an
 * existing account. */
void user_refuse(struct actor *actor, const struct delivery *delivery)
{
    struct shard *shard = actor->shard;
    const struct stanza *stanza = delivery->stanza;
    struct arena *arena = &shard->arena;
    if (delivery->how == DELIVER_INSIDE)
        return;
    if (stanza->kind != STANZA_PRESENCE) {
        if (stanza->type != TYPE_HEADLINE)
            route_error(shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (stanza->type != TYPE_PROBE)
        return;
    struct stanza *answer = ARENA_NEW(arena, struct stanza);
    *answer = stanza_make(STANZA_PRESENCE, TYPE_UNSUBSCRIBED, stanza->id, str_none, arena);
    answer->from = jid_to_bare(&delivery->to);
    answer->to = jid_to_bare(&stanza->from);
    route(shard, answer);
}

/* Deliveries that no rule decides any more. */
static void hand_over(struct user *user, const struct delivery *delivery)
{
    const struct stanza *stanza = delivery->stanza;
    if (delivery->how == DELIVER_SESSION) {
        struct session *session = session_find(user, jid_resource(&delivery->to));
        if (session)
            session_send(session, stanza, NULL);
        return;
    }
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        struct jid full = session_jid(session);
        if (delivery->how == DELIVER_AVAILABLE ? session->available : session->interested)
            session_send(session, stanza, stanza->kind == STANZA_IQ ? &full : NULL);
    }
}

void user_deliver(struct shard *shard, struct host *host, const struct delivery *delivery)
{
    struct user *user = user_awake(shard, jid_bare(&delivery->to));
    if (delivery->how >= DELIVER_SESSION) {
        if (user)
            hand_over(user, delivery);
        return;
    }
    if (!user && (!matters_to_sleeper(delivery) || is_spared(shard, host, delivery)))
        return;
    actor_deliver(user ? &user->actor : &user_wake(shard, host, &delivery->to)->actor, delivery);
}

/* An address of a crowd where nothing can go wrong: a user who is ready, and has this session. */
static struct user *user_at_hand(struct shard *shard, const struct jid *to)
{
    struct user *user = user_awake(shard, jid_bare(to));
    bool ready = user && user->actor.state == ACTOR_READY && user->actor.exists;
    return ready && session_find(user, jid_resource(to)) ? user : NULL;
}

/* The stanza is shared by all, so its `to` is empty; only where it waits, or is answered, each needs his own.
 */
void user_deliver_crowd(struct shard *shard, const struct delivery *delivery)
{
    const struct crowd *crowd = delivery->crowd;
    for (uint32_t i = 0; i < crowd->count; i++) {
        const struct crowd_member *member = &crowd->members[i];
        struct delivery one = { .stanza = delivery->stanza, .to = member->to, .how = DELIVER_ROUTE };
        if (member->group == delivery->except)
            continue;
        struct user *user = user_at_hand(shard, &member->to);
        if (user) {
            user_receive(&user->actor, &one);
            actor_handled(&user->actor);
            continue;
        }
        struct stanza *own = arena_alloc(&shard->arena, sizeof *own);
        *own = *delivery->stanza;
        own->to = member->to;
        one.stanza = own;
        user_deliver(shard, server_domain(shard->server, jid_domain(&member->to)), &one);
    }
}

/* A message may be rewritten on its way (an archive's id), and whoever guards may take it. */
static void message_from_session(struct user *user, struct stanza_event *event)
{
    struct receipt *receipt = receipt_at_hand(user->actor.shard);
    event->archived = receipt ? receipt->archived : 0;
    bool goes_on = fire_message_from_user(user->actor.host, event) == HOOK_NEXT;
    if (receipt)
        receipt->archived = event->archived;
    if (goes_on)
        route(user->actor.shard, event->stanza);
}

static struct stanza *with_from(const struct stanza *stanza, const struct session *session)
{
    struct arena *arena = &session->user->actor.shard->arena;
    struct stanza *sent = arena_alloc(arena, sizeof *sent);
    *sent = *stanza;
    sent->from = session_jid(session);
    sent->from.full = arena_str(arena, sent->from.full); /* the session may end before this is delivered */
    return sent;
}

void archive_from_session(struct user *user, struct session *session, const struct stanza *stanza)
{
    struct stanza *sent = with_from(stanza, session);
    struct stanza_event event = {
        .shard = user->actor.shard, .user = user, .session = session, .stanza = sent, .to = sent->to
    };
    struct receipt *receipt = receipt_at_hand(user->actor.shard);
    fire_message_unarchived(user->actor.host, &event);
    receipt->archived = event.archived;
    sm_archived(session->sm, receipt);
}

void user_from_session(struct user *user, struct session *session, const struct stanza *stanza)
{
    struct shard *shard = user->actor.shard;
    struct stanza *sent = with_from(stanza, session);
    bool subscription = sent->type >= TYPE_SUBSCRIBE && sent->type <= TYPE_UNSUBSCRIBED;
    struct stanza_event event = {
        .shard = user->actor.shard, .user = user, .session = session, .stanza = sent, .to = sent->to
    };
    if (fire_stanza_from_user(user->actor.host, &event) == HOOK_DONE)
        return;
    switch (stanza->kind) {
    case STANZA_MESSAGE:
        if (jid_is_none(&sent->to)) /* RFC 6120 §10.3.1 */
            event.to = sent->to = jid_to_bare(&sent->from);
        message_from_session(user, &event);
        return;
    case STANZA_IQ:
        iq_from_session(user, session, sent);
        return;
    case STANZA_PRESENCE:
        if (subscription && !jid_is_none(&sent->to)) {
            sent->from = jid_to_bare(&sent->from);
            subscription_from_session(user, sent);
        } else if (subscription) {
            route_error(shard, sent, STANZA_ERROR_BAD_REQUEST, "a subscription needs an address");
        } else {
            presence_from_session(user, session, event.stanza);
        }
        return;
    }
}
