/* SPDX-License-Identifier: MIT */
/* Subscriptions: RFC 6121 §3 and the state tables of its appendix A, for both directions.
 *
 * A state is a set of flags of the roster item (roster.h): TO and FROM are the subscription, ASK is "pending
 * out", PENDING_IN "pending in". An item that is not LISTED only holds a request and is not part of the
 * roster that clients see (§3.1.3). Each function below is one column of the appendix's tables. All that is
 * said here is held back until the new state is on disk. */
#include "server/ext.h"
#include "xmpp/ns.h"

#include <stdlib.h>
#include <string.h>

enum { REQUEST_BYTES_MAX = 8 * 1024 };

/* A change of one item, on its way from the old flags to the new ones. */
struct change {
    struct user *user;
    const struct stanza *cause;
    struct jid contact; /* bare */
    uint8_t before, after;
};

static struct change change_begin(struct user *user, const struct stanza *cause, const struct jid *contact)
{
    struct jid bare = jid_to_bare(contact);
    const struct roster_item *item = roster_find(&user->roster, bare.full);
    uint8_t flags = item ? item->flags : 0;
    return (struct change){ user, cause, bare, flags, flags };
}

/* Puts the new state into memory and into the batch. */
static void change_apply(struct change *change, str request)
{
    struct user *user = change->user;
    str jid = change->contact.full;
    str owner = str_of(user->actor.bare, user->actor.bare_len);
    if (change->after == change->before)
        return;
    struct roster_item *item = roster_find(&user->roster, jid);
    if (!item)
        item = roster_set(&user->roster, jid, str_none, str_none, 0);
    roster_set_flags(&user->roster, item, change->after);
    struct store_batch *batch = user_write(user, change->cause);
    if (change->after & ~change->before & ROSTER_PENDING_IN) {
        roster_set_request(item, request);
        store_put(batch, owner, STR("request"), jid, request);
    }
    if (change->before & ~change->after & ROSTER_PENDING_IN) {
        roster_set_request(item, str_none);
        store_del(batch, owner, STR("request"), jid);
    }
    if ((change->before | change->after) & ROSTER_LISTED)
        roster_store(user, item, change->cause);
    if (!change->after)
        roster_remove(&user->roster, jid);
    fire_contact_changed(user->actor.host,
                         &(struct contact_event){ user, change->contact, change->before, change->after });
}

static void push(struct change *change)
{
    struct roster_item *item = roster_find(&change->user->roster, change->contact.full);
    if (item && (item->flags & ROSTER_LISTED))
        roster_push(change->user, item);
}

static struct jid own_bare(struct user *user)
{
    struct jid own = user_jid(user);
    return jid_copy(&own, &user->actor.shard->arena);
}

/* A subscription stanza of ours to the contact. */
static struct stanza *word(struct user *user, const struct jid *contact, enum stanza_type type, str id)
{
    struct stanza *stanza = ARENA_NEW(&user->actor.shard->arena, struct stanza);
    *stanza = stanza_make(STANZA_PRESENCE, type, id, str_none, &user->actor.shard->arena);
    stanza->from = own_bare(user);
    stanza->to = *contact;
    return stanza;
}

static void say(struct user *user, const struct jid *contact, enum stanza_type type, str id)
{
    route(user->actor.shard, word(user, contact, type, id));
}

/* ---- Outbound: what a client of the user sends (§3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4; A.2)
 * ---------------------------- */

static void forward(struct change *change)
{
    struct stanza *stanza = ARENA_NEW(&change->user->actor.shard->arena, struct stanza);
    *stanza = *change->cause;
    stanza->to = change->contact;
    route(change->user->actor.shard, stanza);
}

static void out_subscribe(struct change *change)
{
    if (!(change->before & (ROSTER_TO | ROSTER_ASK)))
        change->after |= ROSTER_ASK | ROSTER_LISTED;
    change_apply(change, str_none);
    forward(change); /* also when nothing changes: it mends rosters that disagree */
    if (change->after != change->before)
        push(change);
}

static void out_unsubscribe(struct change *change)
{
    change->after &= (uint8_t) ~(ROSTER_TO | ROSTER_ASK);
    change_apply(change, str_none);
    forward(change);
    if (change->after != change->before)
        push(change);
}

static void out_subscribed(struct change *change)
{
    if (change->before & ROSTER_FROM)
        return;
    if (change->before & ROSTER_PENDING_IN) {
        change->after = (uint8_t)((change->before & ~ROSTER_PENDING_IN) | ROSTER_FROM | ROSTER_LISTED);
        change_apply(change, str_none);
        forward(change);
        push(change);
        presence_show_to(change->user, &change->contact);
        return;
    }
    change->after |= ROSTER_APPROVED | ROSTER_LISTED; /* §3.4 */
    change_apply(change, str_none);
    if (change->after != change->before)
        push(change);
}

static void out_unsubscribed(struct change *change)
{
    bool hears_of_it = change->before & (ROSTER_FROM | ROSTER_PENDING_IN);
    change->after &= (uint8_t) ~(ROSTER_FROM | ROSTER_PENDING_IN | ROSTER_APPROVED);
    change_apply(change, str_none);
    if (change->before & ROSTER_FROM)
        presence_hide_from(change->user, &change->contact);
    if (hears_of_it)
        forward(change);
    if (change->after != change->before)
        push(change);
}

void subscription_from_session(struct user *user, const struct stanza *presence)
{
    struct jid own = user_jid(user);
    struct change change = change_begin(user, presence, &presence->to);
    if (jid_eq_bare(&presence->to, &own) || user->anonymous)
        return;
    if (presence->type != TYPE_UNSUBSCRIBED && presence->type != TYPE_UNSUBSCRIBE &&
        !(change.before & ROSTER_LISTED) &&
        user->roster.listed >= user->actor.shard->server->config->limits.roster_items) {
        route_error(user->actor.shard, presence, STANZA_ERROR_RESOURCE_CONSTRAINT, "the roster is full");
        return;
    }
    switch (presence->type) {
    case TYPE_SUBSCRIBE:
        out_subscribe(&change);
        return;
    case TYPE_UNSUBSCRIBE:
        out_unsubscribe(&change);
        return;
    case TYPE_SUBSCRIBED:
        out_subscribed(&change);
        return;
    default:
        out_unsubscribed(&change);
    }
}

/* ---- Inbound: what a contact sends (§3.1.3, §3.1.6, §3.2.3, §3.3.3; A.3)
 * --------------------------------------------- */

static void deliver(struct change *change, enum deliver how)
{
    struct jid own = own_bare(change->user);
    struct stanza *stanza = ARENA_NEW(&change->user->actor.shard->arena, struct stanza);
    *stanza = *change->cause;
    stanza->to = own;
    route_to(change->user->actor.shard, stanza, &own, how);
}

/* The waiting requests are sent to each session that comes online, so all of them together must fit its
 * queue; and none may be so large that a few keep all others out. */
static bool may_keep_request(struct user *user, size_t size)
{
    const struct config_limits *limits = &user->actor.shard->server->config->limits;
    size_t count = 0, bytes = size;
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        count += !!(item->flags & ROSTER_PENDING_IN);
        bytes += item->request ? strlen(item->request) : 0;
    }
    return size <= REQUEST_BYTES_MAX && count < limits->subscription_requests &&
           bytes <= limits->output_bytes / 4;
}

static void keep_request(struct change *change)
{
    struct buf text;
    buf_init(&text, REQUEST_BYTES_MAX + 1);
    stanza_write(&text, change->cause, NULL);
    if (buf_failed(&text) || !may_keep_request(change->user, text.len)) {
        route_error(change->user->actor.shard, change->cause, STANZA_ERROR_RESOURCE_CONSTRAINT,
                    "the request is too large, or too many wait already");
    } else {
        change->after |= ROSTER_PENDING_IN;
        change_apply(change, buf_str(&text));
        deliver(change, DELIVER_AVAILABLE);
    }
    buf_fini(&text);
}

static void in_subscribe(struct change *change)
{
    if (change->before & ROSTER_PENDING_IN)
        return; /* one request of one sender is shown once (§3.1.3) */
    if (!(change->before & (ROSTER_FROM | ROSTER_APPROVED))) {
        keep_request(change);
        return;
    }
    bool fresh = !(change->before & ROSTER_FROM);
    change->after |= ROSTER_FROM;
    change_apply(change, str_none);
    say(change->user, &change->contact, TYPE_SUBSCRIBED, change->cause->id);
    if (!fresh)
        return;
    push(change);
    presence_show_to(change->user, &change->contact);
}

static void in_unsubscribe(struct change *change)
{
    if (!(change->before & (ROSTER_FROM | ROSTER_PENDING_IN)))
        return;
    change->after &= (uint8_t) ~(ROSTER_FROM | ROSTER_PENDING_IN);
    change_apply(change, str_none);
    deliver(change, DELIVER_INTERESTED);
    if (!(change->before & ROSTER_FROM))
        return;
    push(change);
    presence_hide_from(change->user, &change->contact);
    say(change->user, &change->contact, TYPE_UNSUBSCRIBED, change->cause->id);
}

static void in_subscribed(struct change *change)
{
    if (!(change->before & ROSTER_ASK))
        return;
    change->after = (uint8_t)((change->before & ~ROSTER_ASK) | ROSTER_TO);
    change_apply(change, str_none);
    deliver(change, DELIVER_INTERESTED);
    push(change);
}

static void in_unsubscribed(struct change *change)
{
    if (!(change->before & (ROSTER_ASK | ROSTER_TO)))
        return;
    change->after &= (uint8_t) ~(ROSTER_ASK | ROSTER_TO);
    change_apply(change, str_none);
    deliver(change, DELIVER_INTERESTED);
    push(change);
}

void subscription_to_user(struct user *user, const struct stanza *presence)
{
    struct change change = change_begin(user, presence, &presence->from);
    if (user->anonymous)
        return;
    switch (presence->type) {
    case TYPE_SUBSCRIBE:
        in_subscribe(&change);
        return;
    case TYPE_UNSUBSCRIBE:
        in_unsubscribe(&change);
        return;
    case TYPE_SUBSCRIBED:
        in_subscribed(&change);
        return;
    default:
        in_unsubscribed(&change);
    }
}

/* ---- Reminders and removal
 * ------------------------------------------------------------------------------------------ */

void subscription_remind(struct user *user, struct session *session)
{
    struct arena *arena = &user->actor.shard->arena;
    struct jid full = session_jid(session);
    full = jid_copy(&full, arena);
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        struct stanza *request = arena_alloc(arena, sizeof *request);
        struct xml_node node;
        if (!item->request || !xml_parse(arena_str(arena, str_from(item->request)), STR(NS_CLIENT), &node))
            continue;
        struct kept_event event = { user, session, request };
        if (stanza_read(&node, str_none, str_none, arena, request) == STANZA_OK &&
            fire_kept_stanza(user->actor.host, &event) == HOOK_NEXT)
            route_to(user->actor.shard, request, &full, DELIVER_SESSION);
    }
}

/* Of a server that can't be reached the client heard when it asked: it does not hear of that at each login.
 */
void subscription_ask_again(struct user *user)
{
    struct shard *shard = user->actor.shard;
    struct arena *arena = &shard->arena;
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        struct jid contact;
        if (!(item->flags & ROSTER_ASK) ||
            jid_parse(arena_str(arena, roster_item_jid(item)), arena, &contact) != OK)
            continue;
        struct reach_event event = { user, contact };
        bool here = server_domain(shard->server, jid_domain(&contact));
        if (fire_may_reach(user->actor.host, &event) == HOOK_NEXT)
            route_to(shard, word(user, &contact, TYPE_SUBSCRIBE, str_none), &contact,
                     here ? DELIVER_ROUTE : DELIVER_BROADCAST);
    }
}

void subscription_end(struct user *user, const struct jid *contact)
{
    struct jid bare = jid_to_bare(contact);
    say(user, &bare, TYPE_UNSUBSCRIBE, str_none);
}

void subscription_removed(struct user *user, const struct roster_item *item, const struct stanza *iq)
{
    struct arena *arena = &user->actor.shard->arena;
    struct jid contact;
    uint8_t flags = item->flags;
    (void)iq;
    if (jid_parse(arena_str(arena, roster_item_jid(item)), arena, &contact) != OK)
        return;
    if (flags & ROSTER_FROM)
        presence_hide_from(user, &contact);
    if (flags & (ROSTER_TO | ROSTER_ASK))
        say(user, &contact, TYPE_UNSUBSCRIBE, str_none);
    if (flags & (ROSTER_FROM | ROSTER_PENDING_IN))
        say(user, &contact, TYPE_UNSUBSCRIBED, str_none);
    fire_contact_changed(user->actor.host, &(struct contact_event){ user, contact, flags, 0 });
}
