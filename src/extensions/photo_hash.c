/* SPDX-License-Identifier: MIT */
/* XEP-0153 1.1.1 by the server (XEP-0398 1.0.0 §4): the hash of the avatar in the account's presence, so that
 * no client has to fetch its own picture to tell others which one it has.
 *
 * Each available presence, broadcast or directed, gets the hash, unless the client says with an empty photo
 * element that it shows none. When the avatar changes, the sessions' presence is broadcast again with the new
 * hash: contacts whose clients know vCards alone learn of it so. Directed presence is not sent again (§5.1:
 * that is for the client to do). Who has no avatar gets no hash, and presence passes as it is; only an
 * element that says "not ready yet" then becomes one that says "none".
 *
 * Kept: for each session, whether its client wants no hash. */
#include "extensions/pubsub/avatar.h"
#include "xmpp/payload.h"

#define NS_UPDATE "vcard-temp:x:update"

extern const struct ext ext_photo_hash;
static struct ext_slot slot;

struct photo_session {
    bool shows_none;
};

enum wish { WISH_NOTHING, WISH_HASH, WISH_OTHER, WISH_NONE };

/* What the client says itself: no element; an empty one; a hash; that there is no photo. */
static enum wish read_wish(const struct stanza *presence, struct arena *arena)
{
    struct xml_node x, photo;
    if (!xml_child(&presence->node, STR("x"), STR(NS_UPDATE), &x))
        return WISH_NOTHING;
    if (!xml_child(&x, STR("photo"), STR(NS_UPDATE), &photo))
        return WISH_HASH;
    return str_trim(xml_text(&photo, arena)).len ? WISH_OTHER : WISH_NONE;
}

/* The payload with our element in place of what was there. */
static str with_hash(const struct stanza *presence, str hash, struct arena *arena)
{
    str rest = payload_without_child(&presence->node, STR("x"), STR(NS_UPDATE), arena);
    return arena_printf(arena, "%.*s<x xmlns='" NS_UPDATE "'><photo>%.*s</photo></x>", STR_ARGS(rest),
                        STR_ARGS(hash));
}

static str hash_of(struct user *user)
{
    struct pubsub of = pep_of(user);
    return pep_is_on(user->actor.host) ? avatar_hash(&of) : str_none;
}

static enum hook_ret stamp(struct host *host, struct stanza_event *event)
{
    (void)host;
    const struct stanza *presence = event->stanza;
    struct arena *arena = &event->shard->arena;
    if (presence->kind != STANZA_PRESENCE || presence->type != TYPE_NONE)
        return HOOK_NEXT;
    struct photo_session *session = ext_session(event->session, &slot);
    enum wish wish = read_wish(presence, arena);
    str hash = hash_of(event->user);
    if (jid_is_none(&event->to))
        session->shows_none = wish == WISH_NONE;
    if (wish == WISH_NONE || (!hash.p && wish != WISH_HASH))
        return HOOK_NEXT;
    struct stanza *stamped = arena_alloc(arena, sizeof *stamped);
    *stamped = *presence;
    stamped->node.content = with_hash(presence, hash, arena);
    event->stanza = stamped;
    return HOOK_NEXT;
}

/* A session that survives a restart of the server (XEP-0198): its presence is kept by others. */
static enum hook_ret save(struct host *host, struct session_state_event *event)
{
    const struct photo_session *session = ext_session(event->session, &slot);
    (void)host;
    if (session->shows_none)
        buf_lit(event->xml, "<x xmlns='" NS_UPDATE "'/>");
    return HOOK_NEXT;
}

static enum hook_ret restore(struct host *host, struct session_state_event *event)
{
    struct photo_session *session = ext_session(event->session, &slot);
    struct xml_node child;
    (void)host;
    session->shows_none = xml_child(event->saved, STR("x"), STR(NS_UPDATE), &child);
    return HOOK_NEXT;
}

/* ---- Another avatar
 * ------------------------------------------------------------------------------------------------ */

static void show_again(struct user *user, struct session *session, str hash)
{
    struct arena *arena = &user->actor.shard->arena;
    const struct photo_session *photo = ext_session(session, &slot);
    if (!session->available || photo->shows_none)
        return;
    struct stanza *presence = arena_alloc(arena, sizeof *presence);
    *presence = *session_presence(session, arena);
    bool had = read_wish(presence, arena) != WISH_NOTHING;
    str payload = with_hash(presence, hash, arena);
    if ((!hash.p && !had) || str_eq(payload, stanza_payload(presence)))
        return;
    presence->node.content = payload;
    presence_from_session(user, session, presence);
}

static void show_all(const struct node_event *event)
{
    str hash = hash_of(event->user);
    if (!str_is(event->node, NS_AVATAR_METADATA))
        return;
    list_each_safe (at, &event->user->sessions)
        show_again(event->user, SESSION_OF(at), hash);
}

static enum hook_ret published(struct host *host, struct node_event *event)
{
    (void)host;
    show_all(event);
    return HOOK_NEXT;
}

static enum hook_ret retracted(struct host *host, struct node_event *event)
{
    (void)host;
    if (!event->makes_room)
        show_all(event);
    return HOOK_NEXT;
}

static const struct ext_hook hooks[] = {
    HOOK(stanza_from_user, PHASE_STAMP, stamp),     HOOK(session_save, PHASE_OBSERVE, save),
    HOOK(session_restore, PHASE_OBSERVE, restore),  HOOK(item_published, PHASE_OBSERVE, published),
    HOOK(item_retracted, PHASE_OBSERVE, retracted), { 0 },
};

const struct ext ext_photo_hash = {
    .slot = &slot,
    .name = "photo_hash",
    .title = "vCard-Based Avatars",
    .xep = { 153, "1.1.1" },
    .hooks = hooks,
    .session_size = sizeof(struct photo_session),
};
