/* SPDX-License-Identifier: MIT */
/* Messages to a user: RFC 6121 §8.5 and its table 1. Where the table leaves a choice, we keep a message that
 * a person wrote (normal, chat) rather than lose it, and tell the sender rather than be silent; "the most
 * available resource" is every one of the highest priority. */
#include "server/ext.h"

enum { PRIORITY_NONE = -1 };

/* The highest non-negative priority of the available sessions; PRIORITY_NONE if there is none. */
static int highest_priority(const struct user *user)
{
    int highest = PRIORITY_NONE;
    list_each (at, &user->sessions) {
        const struct session *session = SESSION_OF(at);
        if (session->available && session->priority > highest)
            highest = session->priority;
    }
    return highest;
}

/* What was sent to a crowd has no `to` of its own. */
static void give(struct session *session, const struct stanza_event *event)
{
    session->got_serial = session->user->message_serial;
    if (!session->sm)
        sm_copies_safe(&session->user->copies);
    session_send(session, event->stanza, jid_is_none(&event->stanza->to) ? &event->to : NULL);
}

static void send_to_bare(struct user *user, const struct stanza_event *event, int least_priority)
{
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (session->available && session->priority >= least_priority)
            give(session, event);
    }
}

/* Whether the rules have it kept for later. */
static bool is_for_log(struct user *user, const struct stanza_event *event)
{
    enum stanza_type type = event->stanza->type;
    const struct session *session =
        jid_is_bare(&event->to) ? NULL : session_find(user, jid_resource(&event->to));
    if (session)
        return offline_comes_first(session, event->stanza);
    if (type == TYPE_HEADLINE || type == TYPE_ERROR || type == TYPE_GROUPCHAT)
        return false;
    if (!jid_is_bare(&event->to) && type != TYPE_CHAT)
        return false; /* §8.5.3.2.1 */
    return highest_priority(user) == PRIORITY_NONE || offline_is_for_log(user);
}

static void to_bare(struct user *user, const struct stanza_event *event)
{
    const struct stanza *message = event->stanza;
    int highest = highest_priority(user);
    switch (message->type) {
    case TYPE_HEADLINE: /* §8.5.2.1.1 */
        if (highest != PRIORITY_NONE)
            send_to_bare(user, event, 0);
        return;
    case TYPE_ERROR:
        return;
    case TYPE_GROUPCHAT:
        route_error(user->actor.shard, message, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
        return;
    default:
        send_to_bare(user, event, highest);
    }
}

static void to_full(struct user *user, const struct stanza_event *event)
{
    const struct stanza *message = event->stanza;
    struct session *session = session_find(user, jid_resource(&event->to));
    if (session)
        give(session, event); /* §8.5.3.1 */
    else if (message->type == TYPE_CHAT)
        to_bare(user, event); /* §8.5.3.2.1 */
    else if (message->type != TYPE_HEADLINE)
        route_error(user->actor.shard, message, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

bool message_is_refused(struct user *user, const struct stanza_event *event)
{
    enum stanza_type type = event->stanza->type;
    if (!jid_is_bare(&event->to) && session_find(user, jid_resource(&event->to)))
        return false;
    if (!jid_is_bare(&event->to) && type != TYPE_CHAT)
        return true;
    return type == TYPE_GROUPCHAT || type == TYPE_ERROR ||
           (type == TYPE_HEADLINE && highest_priority(user) == PRIORITY_NONE);
}

static void hand_out(struct user *user, const struct stanza_event *event)
{
    user->message_serial++;
    sm_copies_begin(&user->copies, event->stanza);
    if (is_for_log(user, event))
        offline_store(user, event->stanza);
    else if (jid_is_bare(&event->to))
        to_bare(user, event);
    else
        to_full(user, event);
    sm_copies_end(&user->copies);
}

/* A session that has not shown itself yet will be told first what the offline store has of the same sender:
 * a chat message that is late already goes there too. */
static bool comes_too_early(struct user *user, const struct delivery *delivery)
{
    enum stanza_type type = delivery->stanza->type;
    const struct session *session =
        jid_is_bare(&delivery->to) ? NULL : session_find(user, jid_resource(&delivery->to));
    return session && !session->available && (type == TYPE_CHAT || type == TYPE_NORMAL || type == TYPE_NONE);
}

void message_again(struct user *user, const struct delivery *delivery)
{
    struct stanza_event event = {
        .shard = user->actor.shard, .user = user, .stanza = delivery->stanza, .to = delivery->to
    };
    user->again = true;
    if (comes_too_early(user, delivery))
        offline_store(user, delivery->stanza);
    else
        hand_out(user, &event);
    user->again = false;
}

void message_to_user(struct user *user, const struct delivery *delivery)
{
    struct stanza_event event = {
        .shard = user->actor.shard, .user = user, .stanza = delivery->stanza, .to = delivery->to
    };
    if (!user->offline_known && is_for_log(user, &event) && offline_looks_first(user, delivery))
        return;
    if (fire_message_to_user(user->actor.host, &event) == HOOK_DONE)
        return;
    hand_out(user, &event);
    fire_message_delivered(user->actor.host, &event);
}
