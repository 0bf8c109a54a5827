/* SPDX-License-Identifier: MIT */
/* Sessions: the bound resources of a user. A session keeps little: its address, its last presence, and whom
 * it showed itself to. */
#include "server/session.h"

#include "server/ext.h"
#include "server/receipt.h"
#include "server/slow.h"

#include <stdlib.h>

enum { BEHIND_MS = 100 };

struct session *session_open(struct user *user, str resource, struct link *link)
{
    struct shard *shard = user->actor.shard;
    struct session *session = slab_alloc(&shard->session_slab);
    session->user = user;
    session->link = link;
    session->full_len = (uint16_t)(user->actor.bare_len + 1 + resource.len);
    session->full = xmalloc(session->full_len + 1u);
    memcpy(session->full, user->actor.bare, user->actor.bare_len);
    session->full[user->actor.bare_len] = '/';
    memcpy(session->full + user->actor.bare_len + 1, resource.p, resource.len);
    session->full[session->full_len] = '\0';
    session->bound_us = loop_now_us(shard->loop);
    list_append(&user->sessions, &session->_in_user);
    actor_touch(&user->actor);
    return session;
}

static void forget_directed(struct session *session)
{
    for (unsigned i = 0; i < session->directed_count; i++)
        free(session->directed[i]);
    free(session->directed);
    session->directed = NULL;
    session->directed_count = 0;
}

static void session_free(struct session *session)
{
    forget_directed(session);
    slow_free(session);
    free(session->presence);
    free(session->full);
    slab_free(&session->user->actor.shard->session_slab, session);
}

void session_drop(struct session *session)
{
    session->closing = true;
    fire_session_closed(session->user->actor.host, &(struct session_event){ session->user, session, NULL });
    list_remove(&session->_in_user);
    if (session->sm)
        sm_drop(session->sm);
    session_free(session);
}

void session_close(struct session *session)
{
    struct user *user = session->user;
    session->link = NULL;
    session->closing = true;
    presence_session_lost(user, session);
    offline_session_lost(user, session);
    fire_session_closed(user->actor.host, &(struct session_event){ user, session, NULL });
    list_remove(&session->_in_user);
    if (session->sm)
        sm_end(session->sm);
    session_free(session);
    if (user->anonymous && list_empty(&user->sessions))
        user->actor.exists = false; /* nothing of it is kept */
    actor_touch(&user->actor);
}

void session_lost(struct session *session)
{
    if (!session->sm || !sm_is_resumable(session->sm)) {
        session_close(session);
        return;
    }
    session->link = NULL;
    sm_detach(session->sm);
    fire_session_detached(session->user->actor.host, &(struct session_event){ session->user, session, NULL });
}

void session_resume(struct session *session, struct link *link, uint32_t h)
{
    session->link = link;
    sm_resume(session->sm, h);
}

void session_go_on(struct session *session)
{
    struct link *link = session->link;
    if (!link || !link->waiting)
        return;
    link->waiting = false;
    link->ops->resume(link);
}

void session_resumed(struct session *session, bool restarted)
{
    struct user *user = session->user;
    fire_session_resumed(user->actor.host, &(struct session_event){ user, session, NULL });
    if (restarted && session->available)
        presence_refresh(user, session);
    session_go_on(session);
}

/* Whether its client's elements can be taken; else they come again. */
static bool is_ready(struct session *session)
{
    const struct actor *actor = &session->user->actor;
    bool ready =
        actor->state == ACTOR_READY && !(session->sm && sm_is_resuming(session->sm)) && !slow_waits(session);
    session->link->waiting |= !ready;
    return ready;
}

/* Messages wait while too much is on its way to the archives. Who says something else is none of those who
 * fill them: a ping is answered also then. */
static bool store_takes(struct session *session, const struct stanza *stanza)
{
    bool takes = stanza->kind != STANZA_MESSAGE || !appends_hold_back(session->user->actor.shard);
    session->link->waiting |= !takes;
    return takes;
}

struct session *session_find(struct user *user, str resource)
{
    list_each (link, &user->sessions) {
        struct session *session = SESSION_OF(link);
        if (str_eq(session_resource(session), resource))
            return session;
    }
    return NULL;
}

struct jid session_jid(const struct session *session)
{
    const struct user *user = session->user;
    return (struct jid){ str_of(session->full, session->full_len), user->actor.local_len,
                         (uint16_t)(user->actor.bare_len - user->actor.local_len - 1) };
}

str session_resource(const struct session *session)
{
    size_t at = session->user->actor.bare_len + 1u;
    return str_of(session->full + at, session->full_len - at);
}

/* Whoever writes to a client that reads too slowly is read more slowly himself, before that one has to go.
 * Not for what he was asked for (or anybody could have him slowed), nor for what he says to many. */
static void slow_sender(const struct session *session, const struct stanza *stanza)
{
    if ((stanza->kind == STANZA_MESSAGE && stanza->type != TYPE_ERROR) ||
        (stanza->kind == STANZA_IQ && (stanza->type == TYPE_GET || stanza->type == TYPE_SET)))
        slow_down(session->user->actor.shard, &stanza->from, BEHIND_MS);
}

void session_send(struct session *session, const struct stanza *stanza, const struct jid *to)
{
    if (session->closing)
        return;
    if (session->tapped) {
        struct sending_event event = { session, stanza, to };
        if (fire_stanza_to_session(session->user->actor.host, &event) == HOOK_DONE)
            return;
        stanza = event.stanza;
    }
    if (session->sm) {
        sm_send(session->sm, stanza, to);
        if (session->link && (session->link->is_behind || sm_is_behind(session->sm)))
            slow_sender(session, stanza);
        return;
    }
    session->user->actor.shard->counters.stanzas_out++;
    session->link->ops->send(session->link, stanza, to);
    if (session->link->is_behind)
        slow_sender(session, stanza);
}

void session_keep_presence(struct session *session, const struct stanza *presence)
{
    str payload = stanza_payload(presence);
    size_t size = presence->attrs.len + payload.len;
    struct presence *kept = xrealloc(session->presence, sizeof *kept + size);
    kept->attrs_len = (uint32_t)presence->attrs.len;
    kept->payload_len = (uint32_t)payload.len;
    memcpy(kept->text, presence->attrs.p, presence->attrs.len);
    if (payload.len)
        memcpy(kept->text + kept->attrs_len, payload.p, payload.len);
    session->presence = kept;
    session_changed(session);
}

/* The next attribute of a list as struct stanza has it: a space, a name, an equals sign and a value in
 * quotes.
 */
static str next_attr(str *rest)
{
    size_t equals = str_find(*rest, '='), end = equals + 2;
    while (end < rest->len && rest->p[end] != rest->p[equals + 1])
        end++;
    str attr = str_sub(*rest, 0, end + 1);
    *rest = str_sub(*rest, end + 1, rest->len);
    return attr;
}

static str next_but_id(str *rest)
{
    str attr = str_none;
    do {
        attr = rest->len ? next_attr(rest) : str_none;
    } while (str_starts(attr, STR(" id=")));
    return attr;
}

bool session_says_again(const struct session *session, const struct stanza *presence)
{
    const struct presence *kept = session->presence;
    str before = str_of(kept->text, kept->attrs_len), now = presence->attrs;
    if (!str_eq(str_of(kept->text + kept->attrs_len, kept->payload_len), stanza_payload(presence)))
        return false;
    while (before.len || now.len)
        if (!str_eq(next_but_id(&before), next_but_id(&now)))
            return false;
    return true;
}

const struct stanza *session_presence(const struct session *session, struct arena *arena)
{
    const struct presence *kept = session->presence;
    struct stanza *stanza = arena_alloc(arena, sizeof *stanza);
    str payload = arena_str(arena, str_of(kept->text + kept->attrs_len, kept->payload_len));
    *stanza = stanza_make(STANZA_PRESENCE, TYPE_NONE, str_none, payload, arena);
    stanza->attrs = arena_str(arena, str_of(kept->text, kept->attrs_len));
    stanza->from = session_jid(session);
    stanza->from.full = arena_str(arena, stanza->from.full);
    return stanza;
}

void session_changed(struct session *session)
{
    if (session->sm)
        sm_changed(session->sm);
}

bool session_got(const struct session *session)
{
    return session->got_serial == session->user->message_serial;
}

bool session_element(struct session *session, const struct xml_node *element, bool *ret_known)
{
    struct user *user = session->user;
    if (!is_ready(session))
        return false;
    *ret_known = ext_nonza(session, element);
    actor_handled(&user->actor);
    return true;
}

bool session_stanza(struct session *session, const struct stanza *stanza)
{
    struct user *user = session->user;
    if (!is_ready(session) || !store_takes(session, stanza))
        return false;
    struct shard *shard = user->actor.shard;
    struct receipt *receipt = NULL;
    shard->counters.stanzas_in++;
    enum sm_news news = session->sm ? sm_receive(session->sm, stanza, &receipt) : SM_NEW;
    if (news == SM_KNOWN)
        return true;
    struct receipt *before = receipt_enter(shard, receipt);
    if (news == SM_UNARCHIVED)
        archive_from_session(user, session, stanza);
    else
        user_from_session(user, session, stanza);
    actor_handled(&user->actor);
    receipt_leave(shard, before);
    receipt_release(shard, receipt);
    return true;
}
