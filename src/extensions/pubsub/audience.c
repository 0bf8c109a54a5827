/* SPDX-License-Identifier: MIT */
/* Who listens elsewhere. A contact's server sends us presence with capabilities; from then on the device gets
 * the events that it asks for at its full JID (XEP-0163 §4.3.1), until it says unavailable. Contacts of this
 * server need no such list (see notify.c). The list is lost when the account sleeps, and is made again by the
 * presences that come; a device may then get a last item once more. */
#include "extensions/pubsub/audience.h"

#include <stdlib.h>

enum { LISTENERS_MAX = 1000 };

void audience_fini(struct shard *shard, struct audience *audience)
{
    for (uint32_t i = 0; i < audience->count; i++) {
        interest_unref(shard, audience->list[i].interest);
        free(audience->list[i].full);
    }
    free(audience->list);
    *audience = (struct audience){ 0 };
}

static struct listener *find(struct audience *audience, str full)
{
    for (uint32_t i = 0; i < audience->count; i++)
        if (str_eq(str_from(audience->list[i].full), full))
            return &audience->list[i];
    return NULL;
}

static void drop(struct user *user, struct listener *listener)
{
    struct audience *audience = audience_of(user);
    interest_unref(user->actor.shard, listener->interest);
    free(listener->full);
    *listener = audience->list[--audience->count];
}

static struct listener *add(struct audience *audience, str full)
{
    if (audience->count == LISTENERS_MAX)
        return NULL;
    audience->list = xrealloc(audience->list, (audience->count + 1u) * sizeof *audience->list);
    struct listener *listener = &audience->list[audience->count++];
    *listener = (struct listener){ NULL, str_dup(full) };
    return listener;
}

static void found(struct user *user, const struct jid *who, struct interest *interest)
{
    struct listener *listener = find(audience_of(user), who->full);
    if (!listener)
        return;
    struct interest *before = listener->interest;
    listener->interest = interest_ref(interest);
    pep_send_all_last(user, who, before, interest);
    interest_unref(user->actor.shard, before);
}

void audience_presence(struct user *user, const struct stanza *presence)
{
    struct audience *audience = audience_of(user);
    struct listener *listener = find(audience, presence->from.full);
    const struct roster_item *item = roster_find(&user->roster, jid_bare(&presence->from));
    if (presence->type == TYPE_UNAVAILABLE) {
        interest_lost(user->actor.shard, presence->from.full);
        if (listener)
            drop(user, listener);
        return;
    }
    if (presence->type != TYPE_NONE || jid_is_bare(&presence->from) || !item || !(item->flags & ROSTER_FROM))
        return;
    if (!listener)
        listener = add(audience, presence->from.full);
    if (listener)
        interest_seek(user, &presence->from, presence, listener->interest, found);
}

static bool is_of(const struct listener *listener, const struct jid *contact)
{
    str full = str_from(listener->full), bare = jid_bare(contact);
    return str_starts(full, bare) && full.len > bare.len && full.p[bare.len] == '/';
}

void audience_send(struct pubsub *of, const struct node *node, const struct jid *contact,
                   const struct stanza *message)
{
    struct audience *audience = audience_of(of->user);
    struct arena *arena = &of->shard->arena;
    for (uint32_t i = 0; i < audience->count; i++) {
        const struct listener *listener = &audience->list[i];
        struct jid to;
        if (!is_of(listener, contact) || !interest_has(listener->interest, node_name(node)) ||
            jid_parse(arena_str(arena, str_from(listener->full)), arena, &to) != OK)
            continue;
        struct stanza *copy = arena_alloc(arena, sizeof *copy);
        *copy = *message;
        copy->to = to;
        route(of->shard, copy);
    }
}

void audience_send_last(struct pubsub *of, const struct node *node, const struct jid *contact)
{
    struct audience *audience = audience_of(of->user);
    struct arena *arena = &of->shard->arena;
    for (uint32_t i = 0; i < audience->count; i++) {
        const struct listener *listener = &audience->list[i];
        struct jid to;
        if (is_of(listener, contact) && interest_has(listener->interest, node_name(node)) &&
            jid_parse(arena_str(arena, str_from(listener->full)), arena, &to) == OK)
            notify_last(of, node, &to);
    }
}
