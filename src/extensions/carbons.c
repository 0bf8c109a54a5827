/* SPDX-License-Identifier: MIT */
/* XEP-0280 1.0.1: copies of a user's messages for the user's other clients, with the rules of §6.1 to the
 * letter (urn:xmpp:carbons:rules:0).
 *
 * A copy goes to every session that asked for copies, whatever its presence says (§7, §8), and that did not
 * get the message itself. Two cases that the XEP leaves open: a message to one's own account gets no copies
 * of the kind `sent`, its other devices have the message itself or a copy of the kind `received`, and so have
 * it once; and a message that waits in the offline store is not copied to a session that will get it from
 * there.
 *
 * An error is copied when what it answers was eligible (§6.1). Its payload need not say what that was, so
 * each user has a small ring with the hashes of the last eligible messages, both ways; it is there only while
 * there is somebody to copy for. Copies are sent straight to sessions and pass no hook: there are no copies
 * of copies, and an error in answer to one is addressed to the account and ends there (§11.3). */
#include "server/ext.h"
#include "xmpp/forward.h"
#include "xmpp/hint.h"
#include "xmpp/payload.h"
#include "xmpp/sid.h"

#include <stdlib.h>

#define NS_CARBONS "urn:xmpp:carbons:2"

enum { RECENT = 32, WRAPPING_MAX = 64 * 1024 };

struct carbons_session {
    bool enabled;
};

struct carbons_user {
    uint64_t *recent; /* hashes of RECENT messages, or NULL */
    unsigned next;
};

static struct ext_slot slot;

static struct carbons_session *of(const struct session *session)
{
    return ext_session((struct session *)session, &slot);
}

/* ---- Switching on and off (§4, §5)
 * -------------------------------------------------------------------------------- */

static void set_enabled(struct iq_event *event, bool enabled)
{
    struct buf nothing = { 0 };
    if (!event->session) {
        ext_error(event, STANZA_ERROR_NOT_ALLOWED, NULL);
        return;
    }
    of(event->session)->enabled = enabled;
    session_changed(event->session);
    ext_result(event, &nothing);
}

static void enable(struct iq_event *event)
{
    set_enabled(event, true);
}

static void enable_inline(struct bind2_event *event)
{
    of(event->session)->enabled = true;
}

static void disable(struct iq_event *event)
{
    set_enabled(event, false);
}

/* A session that survives a restart of the server (XEP-0198) goes on as it was. */
static enum hook_ret save(struct host *host, struct session_state_event *event)
{
    (void)host;
    if (of(event->session)->enabled)
        buf_lit(event->xml, "<enable xmlns='" NS_CARBONS "'/>");
    return HOOK_NEXT;
}

static enum hook_ret restore(struct host *host, struct session_state_event *event)
{
    struct xml_node child;
    (void)host;
    of(event->session)->enabled = xml_child(event->saved, STR("enable"), STR(NS_CARBONS), &child);
    return HOOK_NEXT;
}

/* ---- Which messages (§6, §9)
 * -------------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct jid *peer, str id)
{
    return hash_keyed(jid_bare(peer)) * 31 + hash_keyed(id);
}

static void remember(struct user *user, const struct jid *peer, str id)
{
    struct carbons_user *memory = ext_user(user, &slot);
    if (!id.len)
        return;
    if (!memory->recent)
        memory->recent = xcalloc(RECENT, sizeof *memory->recent);
    memory->recent[memory->next++ % RECENT] = hash_of(peer, id);
}

static bool answers_eligible(struct user *user, const struct jid *peer, str id)
{
    const struct carbons_user *memory = ext_user(user, &slot);
    uint64_t hash = hash_of(peer, id);
    for (size_t i = 0; id.len && memory->recent && i < RECENT; i++)
        if (memory->recent[i] == hash)
            return true;
    return false;
}

static bool has_kind(const struct stanza *message, uint32_t facts)
{
    const uint32_t im = PAYLOAD_RECEIPT_REQUEST | PAYLOAD_RECEIPT | PAYLOAD_CHAT_STATE | PAYLOAD_MARKABLE |
                        PAYLOAD_MARKER | PAYLOAD_ROOM_INVITE;
    if (message->type == TYPE_GROUPCHAT)
        return false;
    if (message->type == TYPE_CHAT || (facts & im))
        return true;
    return message->type != TYPE_HEADLINE && (facts & PAYLOAD_BODY);
}

static bool is_eligible(struct user *user, const struct stanza *message, const struct jid *peer)
{
    uint32_t facts = payload_facts(message);
    if (message->type == TYPE_ERROR)
        return answers_eligible(user, peer, message->id);
    if ((facts & (PAYLOAD_PRIVATE | PAYLOAD_CARBON)) || hint_forbids_copy(message) ||
        !has_kind(message, facts))
        return false;
    remember(user, peer, message->id);
    return true;
}

/* Sent within a room to one or from one of its occupants. */
static bool is_private_in_room(const struct stanza *message, const struct jid *occupant)
{
    uint32_t facts = payload_facts(message);
    return (facts & PAYLOAD_ROOM) && !(facts & PAYLOAD_ROOM_INVITE) && !jid_is_bare(occupant);
}

static bool has_joined(const struct session *session, const struct jid *occupant)
{
    for (unsigned i = 0; i < session->directed_count; i++) {
        str jid = str_from(session->directed[i]);
        if (str_eq(str_sub(jid, 0, str_find(jid, '/')), jid_bare(occupant)))
            return true;
    }
    return false;
}

/* ---- Copying (§7, §8)
 * --------------------------------------------------------------------------------------------- */

static const struct stanza *wrap(struct user *user, const char *direction, const struct stanza *message)
{
    struct arena *arena = &user->actor.shard->arena;
    struct stanza *copy = arena_alloc(arena, sizeof *copy);
    struct buf xml;
    buf_init(&xml, message->attrs.len + stanza_payload(message).len + WRAPPING_MAX);
    buf_addf(&xml, "<%s xmlns='" NS_CARBONS "'>", direction);
    forward_write(&xml, message);
    buf_addf(&xml, "</%s>", direction);
    *copy = stanza_make(STANZA_MESSAGE, message->type, str_none, arena_str(arena, buf_str(&xml)), arena);
    copy->from = user_jid(user);
    buf_fini(&xml);
    return copy;
}

/* XEP-0313 §5.1.3: the user's own devices are told the id in the user's archive, which the receiver is not.
 */
static const struct stanza *with_archive_id(const struct stanza_event *event)
{
    struct arena *arena = &event->shard->arena;
    struct jid own = user_jid(event->user);
    struct buf xml;
    if (!event->archive_id.p)
        return event->stanza;
    struct stanza *told = arena_alloc(arena, sizeof *told);
    *told = *event->stanza;
    buf_init(&xml, stanza_payload(event->stanza).len + WRAPPING_MAX);
    buf_add(&xml, stanza_payload(event->stanza));
    sid_write(&xml, &own, event->archive_id);
    told->node.content = arena_str(arena, buf_str(&xml));
    buf_fini(&xml);
    return told;
}

/* The copy is made when the first one is wanted. */
struct copying {
    struct user *user;
    const struct stanza *message, *copy;
    const char *direction;
};

static void copy_to(struct copying *copying, struct session *session)
{
    struct jid full = session_jid(session);
    if (!copying->copy)
        copying->copy = wrap(copying->user, copying->direction, copying->message);
    session_send(session, copying->copy, &full);
}

static bool anybody(const struct user *user, const struct session *but)
{
    list_each (at, &user->sessions)
        if (SESSION_OF(at) != but && of(SESSION_OF(at))->enabled)
            return true;
    return false;
}

static enum hook_ret sent(struct host *host, struct stanza_event *event)
{
    (void)host;
    struct user *user = event->user;
    struct jid own = user_jid(user);
    struct copying copying = { user, event->stanza, NULL, "sent" };
    if (!anybody(user, event->session) || jid_eq_bare(&event->to, &own) ||
        !is_eligible(user, event->stanza, &event->to))
        return HOOK_NEXT;
    bool in_room = is_private_in_room(event->stanza, &event->to);
    copying.message = with_archive_id(event);
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (session == event->session || !of(session)->enabled ||
            (in_room && !has_joined(session, &event->to)))
            continue;
        copy_to(&copying, session);
    }
    return HOOK_NEXT;
}

/* Whether the session gets the message without our doing: it has it, has sent it, or will find it in the
 * offline store when it becomes available. */
static bool has_it(const struct session *session, const struct stanza *message, bool is_stored)
{
    if (session_got(session) || str_eq(str_of(session->full, session->full_len), message->from.full))
        return true;
    return is_stored && (!session->available || offline_is_coming(session));
}

static enum hook_ret received(struct host *host, struct stanza_event *event)
{
    (void)host;
    struct user *user = event->user;
    const struct stanza *message = event->stanza;
    struct copying copying = { user, message, NULL, "received" };
    bool is_stored = true;
    if (!anybody(user, NULL) || message_is_refused(user, event) ||
        is_private_in_room(message, &message->from) || !is_eligible(user, message, &message->from))
        return HOOK_NEXT;
    list_each (at, &user->sessions)
        is_stored = is_stored && !session_got(SESSION_OF(at));
    list_each_safe (at, &user->sessions)
        if (of(SESSION_OF(at))->enabled && !has_it(SESSION_OF(at), message, is_stored))
            copy_to(&copying, SESSION_OF(at));
    return HOOK_NEXT;
}

/* ---- The extension
 * ------------------------------------------------------------------------------------------------ */

static void reset(struct user *user)
{
    struct carbons_user *memory = ext_user(user, &slot);
    free(memory->recent);
}

static const struct ext_iq iqs[] = {
    { TYPE_SET, TO_ACCOUNT, "enable", NS_CARBONS, enable },
    { TYPE_SET, TO_ACCOUNT, "disable", NS_CARBONS, disable },
    { 0 },
};

static const struct ext_hook hooks[] = {
    HOOK(message_from_user, PHASE_COPY, sent),
    HOOK(message_delivered, PHASE_COPY, received),
    HOOK(session_save, PHASE_OBSERVE, save),
    HOOK(session_restore, PHASE_OBSERVE, restore),
    { 0 },
};

extern const struct ext ext_carbons;
const struct ext ext_carbons = {
    .slot = &slot,
    .name = "carbons",
    .title = "Message Carbons",
    .xep = { 280, "1.0.1" },
    .more = (const struct ext_xep[]){ { 297, "1.0" }, { 0 } },
    .features = (const char *const[]){ NS_CARBONS, "urn:xmpp:carbons:rules:0", NULL },
    .iqs = iqs,
    .bind2 = (const struct ext_bind2[]){ { NS_CARBONS, "enable", NS_CARBONS, enable_inline }, { 0 } },
    .hooks = hooks,
    .user_size = sizeof(struct carbons_user),
    .session_size = sizeof(struct carbons_session),
    .user_reset = reset,
};
