/* SPDX-License-Identifier: MIT */
/* Presence: broadcast, directed, probed and lost (RFC 6121 §4).
 *
 * A probe that we send for a session that comes online goes out in the session's own name, so the answers
 * come to it alone and not again to every other device; and it does not wake contacts who sleep, since one
 * without sessions is unavailable, which is what the new session believes already.
 *
 * A client that says the same again (phones do, whenever they wake up) tells nobody anything: §4.4.2 demands
 * a broadcast of presence that expresses *updated* availability. Who is at home here and may see it has it:
 * those who were there were sent it, and those who came later have asked, or were shown it when they were
 * let in or unblocked; unless they were sent directed presence since (§4.6). So it goes back to the session
 * that said it, which may wait for it, and to contacts of other servers, of which nobody knows whether they
 * got it. */
#include "server/ext.h"
#include "xmpp/stamp.h"

#include <stdlib.h>

enum { DIRECTED_MAX = 500 };

static struct stanza *make(struct user *user, enum stanza_type type, str id, str payload)
{
    struct stanza *made = arena_alloc(&user->actor.shard->arena, sizeof *made);
    *made = stanza_make(STANZA_PRESENCE, type, id, payload, &user->actor.shard->arena);
    return made;
}

static struct jid item_jid(struct shard *shard, const struct roster_item *item)
{
    str text = arena_str(&shard->arena, roster_item_jid(item));
    size_t local = str_find(text, '@');
    local = local == text.len ? 0 : local;
    return (struct jid){ text, (uint16_t)local, (uint16_t)(text.len - (local ? local + 1 : 0)) };
}

static struct jid own_session(struct user *user, const struct session *session)
{
    struct jid jid = session_jid(session);
    return jid_copy(&jid, &user->actor.shard->arena);
}

static bool may_reach(struct user *user, const struct jid *to)
{
    struct reach_event event = { user, *to };
    return fire_may_reach(user->actor.host, &event) == HOOK_NEXT;
}

static bool is_elsewhere(const struct user *user, const struct jid *contact)
{
    return !server_domain(user->actor.shard->server, jid_domain(contact));
}

/* To every contact with one of these flags; or only to those of other servers and components. */
static void to_contacts(struct user *user, const struct stanza *presence, uint8_t flags, bool elsewhere)
{
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        if (!(item->flags & flags))
            continue;
        struct jid contact = item_jid(user->actor.shard, item);
        if ((!elsewhere || is_elsewhere(user, &contact)) && may_reach(user, &contact))
            route_to(user->actor.shard, presence, &contact, DELIVER_BROADCAST);
    }
}

static void to_own_sessions(struct user *user, const struct stanza *presence)
{
    struct jid own = user_jid(user);
    own = jid_copy(&own, &user->actor.shard->arena);
    route_to(user->actor.shard, presence, &own, DELIVER_AVAILABLE);
}

/* A copy with another `to`: own sessions and contacts are shown the address that it was sent to. */
static const struct stanza *addressed(struct user *user, const struct stanza *presence, const struct jid *to)
{
    struct stanza *copy = arena_alloc(&user->actor.shard->arena, sizeof *copy);
    *copy = *presence;
    copy->to = *to;
    return copy;
}

static void broadcast(struct user *user, const struct stanza *presence)
{
    struct jid own = user_jid(user);
    own = jid_copy(&own, &user->actor.shard->arena);
    to_contacts(user, presence, ROSTER_FROM, false);
    to_own_sessions(user, addressed(user, presence, &own));
}

static void broadcast_again(struct user *user, const struct stanza *presence)
{
    struct jid own = user_jid(user);
    own = jid_copy(&own, &user->actor.shard->arena);
    to_contacts(user, presence, ROSTER_FROM, true);
    route_to(user->actor.shard, addressed(user, presence, &own), &presence->from, DELIVER_SESSION);
}

/* ---- Directed presence (§4.6)
 * ------------------------------------------------------------------------------------ */

static void directed_forget(struct session *session, str jid)
{
    for (unsigned i = 0; i < session->directed_count; i++) {
        if (!str_eq(str_from(session->directed[i]), jid))
            continue;
        free(session->directed[i]);
        session->directed[i] = session->directed[--session->directed_count];
        return;
    }
}

static bool directed_knows(const struct session *session, str jid)
{
    for (unsigned i = 0; i < session->directed_count; i++)
        if (str_eq(str_from(session->directed[i]), jid))
            return true;
    return false;
}

static bool directed_remember(struct session *session, str jid)
{
    if (directed_knows(session, jid))
        return true;
    if (session->directed_count == DIRECTED_MAX)
        return false;
    session->directed =
        xrealloc(session->directed, (session->directed_count + 1u) * sizeof(session->directed[0]));
    session->directed[session->directed_count++] = str_dup(jid);
    return true;
}

static bool sees_us(const struct user *user, const struct jid *contact)
{
    const struct roster_item *item = roster_find(&user->roster, jid_bare(contact));
    return item && (item->flags & ROSTER_FROM);
}

/* `was_broadcast`: contacts who may see us know already, however they came onto the list (§4.6.3). */
static void directed_unavailable(struct user *user, struct session *session, const struct stanza *presence,
                                 bool was_broadcast)
{
    struct arena *arena = &user->actor.shard->arena;
    for (unsigned i = 0; i < session->directed_count; i++) {
        struct jid to;
        bool ok = jid_parse(arena_str(arena, str_from(session->directed[i])), arena, &to) == OK;
        if (ok && !(was_broadcast && sees_us(user, &to)))
            route_to(user->actor.shard, addressed(user, presence, &to), &to, DELIVER_ROUTE);
        free(session->directed[i]);
    }
    free(session->directed);
    session->directed = NULL;
    session->directed_count = 0;
}

static void send_directed(struct user *user, struct session *session, const struct stanza *presence)
{
    struct jid own = user_jid(user);
    bool is_own = jid_eq_bare(&presence->to, &own), sees = is_own || sees_us(user, &presence->to);
    session->strayed |= sees && (presence->type == TYPE_NONE || presence->type == TYPE_UNAVAILABLE);
    if (presence->type == TYPE_UNAVAILABLE) {
        directed_forget(session, presence->to.full);
    } else if (presence->type == TYPE_NONE && !sees) {
        if (!directed_remember(session, presence->to.full)) {
            route_error(user->actor.shard, presence, STANZA_ERROR_RESOURCE_CONSTRAINT,
                        "too many receivers of directed presence");
            return;
        }
    }
    route(user->actor.shard, presence);
}

/* ---- Coming and going
 * -------------------------------------------------------------------------------------------- */

/* A session that comes online hears of the account's other sessions and of its contacts (§4.2.2, §4.3). */
static void ask_around(struct user *user, struct session *session)
{
    struct stanza *probe = make(user, TYPE_PROBE, str_none, str_none);
    probe->from = own_session(user, session);
    list_each (at, &user->sessions) {
        struct session *other = SESSION_OF(at);
        if (other != session && other->available)
            route_to(user->actor.shard,
                     addressed(user, session_presence(other, &user->actor.shard->arena), &probe->from),
                     &probe->from, DELIVER_SESSION);
    }
    to_contacts(user, probe, ROSTER_TO, false);
}

static void become_available(struct user *user, struct session *session, const struct stanza *presence)
{
    int priority;
    bool initial = !session->available;
    if (!stanza_priority(presence, &user->actor.shard->arena, &priority)) {
        route_error(user->actor.shard, presence, STANZA_ERROR_BAD_REQUEST,
                    "a priority is a number from -128 to 127");
        return;
    }
    bool reachable = priority >= 0 && (initial || session->priority < 0);
    bool again = !initial && !session->strayed && session_says_again(session, presence);
    session->available = true;
    session->priority = (int8_t)priority;
    session_keep_presence(session, presence);
    session->strayed = false;
    (again ? broadcast_again : broadcast)(user, presence);
    struct session_event event = { user, session, presence };
    fire_session_presence(user->actor.host, &event);
    if (initial) {
        ask_around(user, session);
        subscription_remind(user, session);
        subscription_ask_again(user);
        fire_session_available(user->actor.host, &event);
    }
    if (reachable)
        offline_catch_up(user, session);
}

static void become_unavailable(struct user *user, struct session *session, const struct stanza *presence)
{
    bool was_available = session->available;
    if (was_available) {
        broadcast(user, presence);
        if (!session->closing) /* itself too (§4.5.2): by then it is not available any more */
            route_to(user->actor.shard, addressed(user, presence, &presence->from), &presence->from,
                     DELIVER_SESSION);
        session->available = false;
        free(session->presence);
        session->presence = NULL;
        session_changed(session);
        user->last_seen_ms = loop_wall_ms(user->actor.shard->loop);
        fire_session_presence(user->actor.host, &(struct session_event){ user, session, presence });
    }
    directed_unavailable(user, session, presence, was_available);
}

void presence_from_session(struct user *user, struct session *session, const struct stanza *presence)
{
    if (!jid_is_none(&presence->to)) {
        send_directed(user, session, presence);
        return;
    }
    if (presence->type == TYPE_NONE)
        become_available(user, session, presence);
    else if (presence->type == TYPE_UNAVAILABLE)
        become_unavailable(user, session, presence);
}

void presence_session_lost(struct user *user, struct session *session)
{
    struct stanza *presence;
    if (!session->available && !session->directed_count)
        return;
    presence = make(user, TYPE_UNAVAILABLE, str_none, str_none); /* §4.5.4 */
    presence->from = own_session(user, session);
    become_unavailable(user, session, presence);
}

void presence_refresh(struct user *user, struct session *session)
{
    broadcast(user, session_presence(session, &user->actor.shard->arena));
    ask_around(user, session);
}

void presence_show_to(struct user *user, const struct jid *contact)
{
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (session->available)
            route_to(user->actor.shard,
                     addressed(user, session_presence(session, &user->actor.shard->arena), contact), contact,
                     DELIVER_ROUTE);
    }
}

void presence_hide_from(struct user *user, const struct jid *contact)
{
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (!session->available)
            continue;
        struct stanza *gone = make(user, TYPE_UNAVAILABLE, str_none, str_none);
        gone->from = own_session(user, session);
        gone->to = *contact;
        directed_forget(session, contact->full);
        route_to(user->actor.shard, gone, contact, DELIVER_ROUTE);
    }
}

static void hide_directed(struct user *user, struct session *session)
{
    struct arena *arena = &user->actor.shard->arena;
    for (unsigned i = session->directed_count; i-- > 0;) {
        struct jid to;
        if (jid_parse(arena_str(arena, str_from(session->directed[i])), arena, &to) != OK ||
            may_reach(user, &to))
            continue;
        struct stanza *gone = make(user, TYPE_UNAVAILABLE, str_none, str_none);
        gone->from = own_session(user, session);
        gone->to = to;
        directed_forget(session, to.full);
        route_to(user->actor.shard, gone, &to, DELIVER_ROUTE);
    }
}

void presence_hide_directed(struct user *user)
{
    list_each (at, &user->sessions)
        hide_directed(user, SESSION_OF(at));
}

/* ---- Probes (§4.3.2)
 * --------------------------------------------------------------------------------------------- */

static void answer(struct user *user, struct stanza *presence, const struct jid *from, const struct jid *to)
{
    presence->from = *from;
    presence->to = *to;
    route(user->actor.shard, presence);
}

/* A stranger is told nothing but that there is no subscription, unless a session has shown itself to him
 * (§4.6.6). */
static void refuse_probe(struct user *user, const struct stanza *probe)
{
    struct jid own = user_jid(user), asker = jid_to_bare(&probe->from);
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (!directed_knows(session, probe->from.full) && !directed_knows(session, asker.full))
            continue;
        struct jid self = own_session(user, session);
        answer(user, make(user, TYPE_NONE, probe->id, str_none), &self, &probe->from);
        return;
    }
    own = jid_copy(&own, &user->actor.shard->arena);
    answer(user, make(user, TYPE_UNSUBSCRIBED, probe->id, str_none), &own, &asker);
}

static str last_seen(const struct user *user, struct arena *arena)
{
    if (!user->last_seen_ms)
        return str_none;
    return arena_printf(arena, "<delay xmlns='urn:xmpp:delay' from='%.*s' stamp='%s'/>",
                        (int)user->actor.bare_len, user->actor.bare,
                        stamp_seconds(user->last_seen_ms, arena));
}

static void answer_probe(struct user *user, const struct delivery *delivery)
{
    const struct stanza *probe = delivery->stanza;
    struct shard *shard = user->actor.shard;
    struct jid own = user_jid(user);
    str resource = jid_resource(&delivery->to);
    bool any = false;
    if (!sees_us(user, &probe->from) && !jid_eq_bare(&probe->from, &own)) {
        refuse_probe(user, probe);
        return;
    }
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (!session->available || (resource.len && !str_eq(session_resource(session), resource)))
            continue;
        any = true;
        route_to(shard, addressed(user, session_presence(session, &shard->arena), &probe->from), &probe->from,
                 DELIVER_ROUTE);
    }
    if (any || delivery->how == DELIVER_BROADCAST)
        return;
    if (resource.len) { /* of others, who may be there, nothing is said */
        answer(user, make(user, TYPE_UNAVAILABLE, probe->id, str_none), &delivery->to, &probe->from);
        return;
    }
    own = jid_copy(&own, &shard->arena);
    answer(user, make(user, TYPE_UNAVAILABLE, probe->id, last_seen(user, &shard->arena)), &own, &probe->from);
}

/* Another user here believes that this one sees him: a crash came between the two ends of a subscription. */
static bool is_unwanted(const struct user *user, const struct delivery *delivery)
{
    const struct jid *from = &delivery->stanza->from;
    struct jid own = user_jid(user);
    if (delivery->how != DELIVER_BROADCAST || delivery->stanza->type != TYPE_NONE || !from->local_len ||
        is_elsewhere(user, from) || jid_eq_bare(from, &own))
        return false;
    const struct roster_item *item = roster_find(&user->roster, jid_bare(from));
    return !item || !(item->flags & ROSTER_TO);
}

void presence_to_user(struct user *user, const struct delivery *delivery)
{
    const struct stanza *presence = delivery->stanza;
    str resource = jid_resource(&delivery->to);
    if (presence->type == TYPE_PROBE) {
        answer_probe(user, delivery);
        return;
    }
    if (is_unwanted(user, delivery))
        subscription_end(user, &presence->from);
    struct stanza_event event = {
        .shard = user->actor.shard, .user = user, .stanza = presence, .to = delivery->to
    };
    fire_contact_presence(user->actor.host, &event);
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (presence->type == TYPE_UNAVAILABLE)
            directed_forget(session, presence->from.full);
        if (resource.len ? str_eq(session_resource(session), resource) : session->available)
            session_send(session, presence, &delivery->to);
    }
}
