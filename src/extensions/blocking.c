/* SPDX-License-Identifier: MIT */
/* XEP-0191 1.3: addresses with which a user wants to have nothing to do. The list is among the user's rows
 * (kind `block`, an address a row) and in memory while the user is awake, so nobody waits for it.
 *
 * An address that is blocked gets no presence, no answer to a probe and no event; what it sends ends at the
 * door, and for all that it can see the user is offline (§3.3). What the user sends to it comes back.
 * Blocking is polite (§4): subscriptions stay as they are, the contact is told unavailable, and after the end
 * of the block has presence again. What it sent before (offline messages, requests) is not shown while it is
 * blocked.
 *
 * Never blocked are the account itself (§5, note) and its own server's domain: a client must be able to talk
 * to them about its list. A message of a room is dropped without an error: an error would throw the user out
 * of the room, and rooms are left by leaving them. */
#include "extensions/blocking.h"

#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

#define NS_BLOCKING "urn:xmpp:blocking"
#define KIND        "block"

enum { XML_MAX = 1 << 28 }; /* the number of items is what is limited */

struct settings {
    unsigned items;
};

struct blocking_session {
    bool asked; /* for the list, so it is told of changes */
};

static struct ext_slot slot;

static struct blocklist *list_of(struct user *user)
{
    return ext_user(user, &slot);
}

const struct blocklist *blocking_list(struct user *user)
{
    return list_of(user);
}

/* ---- The list
 * ----------------------------------------------------------------------------------------------------- */

/* Where it stands, or would stand. */
static uint32_t place_of(const struct blocklist *list, str jid)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (str_cmp(str_from(list->items[middle]), jid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool contains(const struct blocklist *list, str jid)
{
    uint32_t at = place_of(list, jid);
    return at < list->count && str_eq(str_from(list->items[at]), jid);
}

static void add(struct blocklist *list, str jid)
{
    uint32_t at = place_of(list, jid);
    list->items = xrealloc(list->items, (list->count + 1u) * sizeof *list->items);
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof *list->items);
    list->items[at] = str_dup(jid);
    list->count++;
}

static void take_out(struct blocklist *list, str jid)
{
    uint32_t at = place_of(list, jid);
    free(list->items[at]);
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof *list->items);
}

static void load_row(struct user *user, const struct store_row *row)
{
    if (!contains(list_of(user), row->key))
        add(list_of(user), row->key);
}

static void reset(struct user *user)
{
    struct blocklist *list = list_of(user);
    for (uint32_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

static bool is_home(const struct user *user, const struct jid *jid)
{
    struct jid own = user_jid(user);
    return jid_eq_bare(jid, &own) || (!jid->local_len && str_eq(jid_domain(jid), jid_domain(&own)));
}

/* §5: an item is a full JID, a bare one, or a domain, which stands for all of its addresses. */
static bool is_blocked(struct user *user, const struct jid *jid)
{
    const struct blocklist *list = list_of(user);
    if (!list->count || jid_is_none(jid) || is_home(user, jid))
        return false;
    return contains(list, jid->full) || contains(list, jid_bare(jid)) || contains(list, jid_domain(jid));
}

/* ---- At the door (§3.3)
 * ------------------------------------------------------------------------------------------- */

static enum hook_ret arriving(struct host *host, struct stanza_event *event)
{
    const struct stanza *stanza = event->stanza;
    (void)host;
    if (!is_blocked(event->user, &stanza->from))
        return HOOK_NEXT;
    if (stanza->kind != STANZA_PRESENCE && stanza->type != TYPE_GROUPCHAT && stanza->type != TYPE_HEADLINE)
        route_error(event->shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    return HOOK_DONE;
}

static enum hook_ret leaving(struct host *host, struct stanza_event *event)
{
    struct shard *shard = event->shard;
    (void)host;
    if (!is_blocked(event->user, &event->to))
        return HOOK_NEXT;
    if (!stanza_may_bounce(event->stanza))
        return HOOK_DONE;
    struct stanza *error = arena_alloc(&shard->arena, sizeof *error);
    *error = stanza_error_reply(event->stanza, STANZA_ERROR_NOT_ACCEPTABLE, NULL, &shard->arena);
    error->node.content = STR("<error type='cancel'><not-acceptable xmlns='" NS_STANZA_ERRORS "'/>"
                              "<blocked xmlns='" NS_BLOCKING ":errors'/></error>");
    shard->counters.errors_out++;
    route_to(shard, error, &error->to, DELIVER_SESSION);
    return HOOK_DONE;
}

static enum hook_ret reaching(struct host *host, struct reach_event *event)
{
    (void)host;
    return is_blocked(event->user, &event->to) ? HOOK_DONE : HOOK_NEXT;
}

static enum hook_ret kept(struct host *host, struct kept_event *event)
{
    (void)host;
    return is_blocked(event->user, &event->stanza->from) ? HOOK_DONE : HOOK_NEXT;
}

/* ---- Presence when the list changes (§3.3, §3.4)
 * ----------------------------------------------------------------- */

static struct jid contact_at(struct user *user, uint32_t i)
{
    struct arena *arena = &user->actor.shard->arena;
    struct jid jid = { 0 };
    jid_parse(arena_str(arena, roster_item_jid(user->roster.items[i])), arena, &jid);
    return jid;
}

/* Which contacts are blocked now. */
static bool *look_around(struct user *user)
{
    bool *blocked = arena_alloc(&user->actor.shard->arena, user->roster.count + 1u);
    for (uint32_t i = 0; i < user->roster.count; i++) {
        struct jid contact = contact_at(user, i);
        blocked[i] = is_blocked(user, &contact);
    }
    return blocked;
}

/* Each session asks anew how the contact is. */
static void probe(struct user *user, const struct jid *contact)
{
    struct arena *arena = &user->actor.shard->arena;
    list_each (at, &user->sessions) {
        const struct session *session = SESSION_OF(at);
        if (!session->available)
            continue;
        struct stanza *presence = arena_alloc(arena, sizeof *presence);
        struct jid full = session_jid(session);
        *presence = stanza_make(STANZA_PRESENCE, TYPE_PROBE, str_none, str_none, arena);
        presence->from = jid_copy(&full, arena);
        presence->to = *contact;
        route_to(user->actor.shard, presence, contact, DELIVER_BROADCAST);
    }
}

static void tell_contacts(struct user *user, const bool *before)
{
    for (uint32_t i = 0; i < user->roster.count; i++) {
        uint8_t flags = user->roster.items[i]->flags;
        struct jid contact = contact_at(user, i);
        bool now = is_blocked(user, &contact);
        if (now == before[i])
            continue;
        if (flags & ROSTER_FROM)
            (now ? presence_hide_from : presence_show_to)(user, &contact);
        if (!now && (flags & ROSTER_TO))
            probe(user, &contact);
    }
}

/* One resource of a contact who is not blocked as a whole. */
static void tell_resource(struct user *user, const struct jid *full, bool now)
{
    const struct roster_item *item = roster_find(&user->roster, jid_bare(full));
    struct jid bare = jid_to_bare(full);
    if (!jid_is_bare(full) && item && (item->flags & ROSTER_FROM) && !is_blocked(user, &bare))
        (now ? presence_hide_from : presence_show_to)(user, full);
}

/* ---- Requests
 * ----------------------------------------------------------------------------------------------------- */

struct change {
    struct iq_event *event;
    struct jid *jids;
    struct xml_node *items;
    size_t count;
    bool blocks;
};

static bool is_item(const struct xml_node *node)
{
    return xml_is(node, STR("item"), STR(NS_BLOCKING));
}

static enum stanza_error read_item(struct user *user, const struct xml_node *item, struct jid *ret)
{
    struct arena *arena = &user->actor.shard->arena;
    struct jid own = user_jid(user);
    str text = xml_attr(item, STR("jid"), arena);
    if (!text.p)
        return STANZA_ERROR_BAD_REQUEST;
    if (jid_parse(text, arena, ret) != OK)
        return STANZA_ERROR_JID_MALFORMED;
    return jid_eq_bare(ret, &own) ? STANZA_ERROR_NOT_ALLOWED : STANZA_ERROR_NONE;
}

static enum stanza_error read_items(struct iq_event *event, struct change *ret)
{
    struct arena *arena = &event->shard->arena;
    struct xml_node child;
    size_t count = 0;
    for (bool more = xml_first(&event->child, &child); more; more = xml_next(&child))
        count += is_item(&child);
    ret->jids = arena_alloc(arena, (count + 1) * sizeof *ret->jids);
    ret->items = arena_alloc(arena, (count + 1) * sizeof *ret->items);
    for (bool more = xml_first(&event->child, &child); more; more = xml_next(&child)) {
        if (!is_item(&child))
            continue;
        enum stanza_error error = read_item(event->user, &child, &ret->jids[ret->count]);
        if (error)
            return error;
        ret->items[ret->count++] = child;
    }
    return STANZA_ERROR_NONE;
}

static void write_items(struct buf *xml, const char *element, const struct jid *jids, size_t count)
{
    buf_addf(xml, "<%s xmlns='" NS_BLOCKING "'>", element);
    for (size_t i = 0; i < count; i++) {
        buf_lit(xml, "<item");
        xml_write_attr(xml, "jid", jids[i].full);
        buf_lit(xml, "/>");
    }
    buf_addf(xml, "</%s>", element);
}

static void push(const struct change *change)
{
    struct user *user = change->event->user;
    struct arena *arena = &user->actor.shard->arena;
    struct buf xml;
    char token[13];
    buf_init(&xml, XML_MAX);
    write_items(&xml, change->blocks ? "block" : "unblock", change->jids, change->count);
    rand_token(token, sizeof token);
    struct stanza *iq = arena_alloc(arena, sizeof *iq);
    *iq = stanza_make(STANZA_IQ, TYPE_SET, arena_printf(arena, "push-%s", token),
                      arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        struct jid full = session_jid(session);
        struct stanza *addressed = arena_alloc(arena, sizeof *addressed);
        *addressed = *iq;
        addressed->to = jid_copy(&full, arena);
        if (((struct blocking_session *)ext_session(session, &slot))->asked)
            route_to(user->actor.shard, addressed, &addressed->to, DELIVER_SESSION);
    }
}

/* In memory, and in the batch; an anonymous user has memory alone. */
static void set_item(const struct change *change, const struct jid *jid)
{
    struct user *user = change->event->user;
    struct blocklist *list = list_of(user);
    struct store_batch *batch = user->anonymous ? NULL : user_write(user, change->event->iq);
    if (change->blocks && batch)
        store_put(batch, user_bare(user), STR(KIND), jid->full, str_of("", 0));
    else if (batch)
        store_del(batch, user_bare(user), STR(KIND), jid->full);
    (change->blocks ? add : take_out)(list, jid->full);
    tell_resource(user, jid, change->blocks);
}

/* Changes the list and says so: to whom it concerns, to who asked, to the other devices. */
static void apply(const struct change *change)
{
    struct user *user = change->event->user;
    const bool *before = look_around(user);
    struct buf nothing = { 0 };
    for (size_t i = 0; i < change->count; i++)
        if (contains(list_of(user), change->jids[i].full) != change->blocks)
            set_item(change, &change->jids[i]);
    for (size_t i = 0; change->blocks && i < change->count; i++)
        fire_contact_blocked(
            user->actor.host,
            &(struct blocked_event){ user, change->jids[i], &change->items[i], change->event->iq });
    tell_contacts(user, before);
    presence_hide_directed(user);
    ext_result(change->event, &nothing);
}

static size_t count_new(const struct blocklist *list, const struct change *change)
{
    size_t count = 0;
    for (size_t i = 0; i < change->count; i++)
        count += !contains(list, change->jids[i].full);
    return count;
}

static void block(struct iq_event *event)
{
    const struct settings *settings = ext_settings(event->host, &slot);
    struct change change = { .event = event, .blocks = true };
    enum stanza_error error = event->session ? read_items(event, &change) : STANZA_ERROR_FORBIDDEN;
    if (!error && !change.count)
        error = STANZA_ERROR_BAD_REQUEST;
    if (!error && list_of(event->user)->count + count_new(list_of(event->user), &change) > settings->items)
        error = STANZA_ERROR_RESOURCE_CONSTRAINT;
    if (error) {
        ext_error(event, error, NULL);
        return;
    }
    apply(&change);
    push(&change);
}

/* §3.5: no item means all, and is told as that. */
static void unblock_all(struct change *change)
{
    struct blocklist *list = list_of(change->event->user);
    struct arena *arena = &change->event->shard->arena;
    change->jids = arena_alloc(arena, (list->count + 1u) * sizeof *change->jids);
    for (uint32_t i = 0; i < list->count; i++)
        if (jid_parse(arena_str(arena, str_from(list->items[i])), arena, &change->jids[change->count]) == OK)
            change->count++;
    apply(change);
    change->count = 0;
    push(change);
}

static void unblock(struct iq_event *event)
{
    struct change change = { .event = event };
    enum stanza_error error = event->session ? read_items(event, &change) : STANZA_ERROR_FORBIDDEN;
    if (error) {
        ext_error(event, error, NULL);
    } else if (!change.count) {
        unblock_all(&change);
    } else {
        apply(&change);
        push(&change);
    }
}

static void get(struct iq_event *event)
{
    const struct blocklist *list = list_of(event->user);
    struct buf xml;
    if (!event->session) {
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    struct jid *jids = arena_alloc(&event->shard->arena, (list->count + 1u) * sizeof *jids);
    for (uint32_t i = 0; i < list->count; i++)
        jids[i] = (struct jid){ .full = str_from(list->items[i]) };
    ((struct blocking_session *)ext_session(event->session, &slot))->asked = true;
    buf_init(&xml, XML_MAX);
    write_items(&xml, "blocklist", jids, list->count);
    ext_result(event, &xml);
    buf_fini(&xml);
}

/* ---- The extension
 * ------------------------------------------------------------------------------------------------ */

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_ACCOUNT, "blocklist", NS_BLOCKING, get },
    { TYPE_SET, TO_ACCOUNT, "block", NS_BLOCKING, block },
    { TYPE_SET, TO_ACCOUNT, "unblock", NS_BLOCKING, unblock },
    { 0 },
};

static const struct ext_hook hooks[] = {
    HOOK(stanza_to_user, PHASE_GUARD, arriving),
    HOOK(stanza_from_user, PHASE_GUARD, leaving),
    HOOK(may_reach, PHASE_GUARD, reaching),
    HOOK(kept_stanza, PHASE_GUARD, kept),
    { 0 },
};

static const struct config_key keys[] = {
    { .name = "items",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct settings, items),
      .default_text = "1000",
      .max = 10000,
      .unit = "addresses",
      .help = "How many addresses a user can block." },
    { 0 },
};

static const struct config_extension config = {
    .name = "blocking",
    .help = "Blocked addresses (XEP-0191).",
    .size = sizeof(struct settings),
    .keys = keys,
};

extern const struct ext ext_blocking;
const struct ext ext_blocking = {
    .slot = &slot,
    .name = "blocking",
    .title = "Blocking Command",
    .xep = { 191, "1.3" },
    .features = (const char *const[]){ NS_BLOCKING, NULL },
    .iqs = iqs,
    .hooks = hooks,
    .config = &config,
    .user_size = sizeof(struct blocklist),
    .session_size = sizeof(struct blocking_session),
    .user_rows = KIND,
    .load_row = load_row,
    .user_reset = reset,
};
