/* SPDX-License-Identifier: MIT */
/* Roster requests of a user's own sessions, pushes, and what of a roster goes to the store: RFC 6121 §2,
 * versions by §2.6.
 *
 * The version is a counter kept with the account; a client that has the newest one gets an empty result, any
 * other the whole roster, which §2.6.3 allows and which needs no record of what was removed. */
#include "server/hooks.h"
#include "server/user/user.h"

#include "base/rand.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 1023, GROUP_MAX_BYTES = 1023, GROUPS_MAX = 50, ROSTER_XML_MAX = 16 << 20 };

static str version_text(const struct user *user, struct arena *arena)
{
    return arena_printf(arena, "%llu", (unsigned long long)user->roster.version);
}

/* ---- Store and push
 * --------------------------------------------------------------------------------------------- */

static void store_version(struct user *user, struct store_batch *batch)
{
    user->roster.version++;
    store_put(batch, str_of(user->actor.bare, user->actor.bare_len), STR("account"), STR("roster-version"),
              version_text(user, &user->actor.shard->arena));
}

void roster_store(struct user *user, const struct roster_item *item, const struct stanza *cause)
{
    struct store_batch *batch = user_write(user, cause);
    struct buf value;
    if (!(item->flags & ROSTER_LISTED)) {
        roster_store_gone(user, roster_item_jid(item), cause);
        return;
    }
    buf_init(&value, ROSTER_XML_MAX);
    roster_item_write(&value, item);
    store_put(batch, str_of(user->actor.bare, user->actor.bare_len), STR("roster"), roster_item_jid(item),
              buf_str(&value));
    store_version(user, batch);
    buf_fini(&value);
}

void roster_store_gone(struct user *user, str jid, const struct stanza *cause)
{
    struct store_batch *batch = user_write(user, cause);
    store_del(batch, str_of(user->actor.bare, user->actor.bare_len), STR("roster"), jid);
    store_version(user, batch);
}

static void push_xml(struct user *user, str item_xml)
{
    struct arena *arena = &user->actor.shard->arena;
    char token[13];
    rand_token(token, sizeof token);
    str payload = arena_printf(arena, "<query xmlns='" NS_ROSTER "' ver='%.*s'>%.*s</query>",
                               STR_ARGS(version_text(user, arena)), STR_ARGS(item_xml));
    struct stanza *push = arena_alloc(arena, sizeof *push);
    *push = stanza_make(STANZA_IQ, TYPE_SET, arena_printf(arena, "push-%s", token), payload, arena);
    struct jid own = user_jid(user);
    own = jid_copy(&own, arena);
    route_to(user->actor.shard, push, &own, DELIVER_INTERESTED);
    fire_roster_changed(user->actor.host, &(struct roster_event){ user, item_xml });
}

void roster_push(struct user *user, const struct roster_item *item)
{
    struct buf xml;
    buf_init(&xml, ROSTER_XML_MAX);
    roster_item_write(&xml, item);
    push_xml(user, buf_str(&xml));
    buf_fini(&xml);
}

/* ---- Get (§2.1.3, §2.1.4, §2.6)
 * ----------------------------------------------------------------------------------- */

static void roster_get(struct user *user, struct session *session, const struct stanza *iq,
                       const struct xml_node *query)
{
    struct arena *arena = &user->actor.shard->arena;
    str has = xml_attr(query, STR("ver"), arena);
    struct buf xml;
    if (session && !session->interested) { /* not on behalf of the user (XEP-0356) */
        session->interested = true;
        session_changed(session);
    }
    if (has.len && str_eq(has, version_text(user, arena))) {
        route_result(user->actor.shard, iq, str_of("", 0));
        return;
    }
    buf_init(&xml, ROSTER_XML_MAX);
    buf_lit(&xml, "<query xmlns='" NS_ROSTER "'");
    xml_write_attr(&xml, "ver", version_text(user, arena));
    buf_add_char(&xml, '>');
    for (uint32_t i = 0; i < user->roster.count; i++)
        if (user->roster.items[i]->flags & ROSTER_LISTED)
            roster_item_write(&xml, user->roster.items[i]);
    buf_lit(&xml, "</query>");
    if (buf_failed(&xml))
        route_error(user->actor.shard, iq, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
    else
        route_result(user->actor.shard, iq, arena_str(arena, buf_str(&xml)));
    buf_fini(&xml);
}

/* ---- Set (§2.1.5, §2.3, §2.4, §2.5)
 * --------------------------------------------------------------------------------- */

/* A request to set one item, as it was read and found to be in order. */
struct wish {
    struct jid contact;
    bool remove;
    str name, groups; /* ready for the wire */
};

/* Reads the <group/>s into `to` (§2.3.3). */
static enum stanza_error read_groups(const struct xml_node *item, struct arena *arena, struct buf *to)
{
    struct xml_node node;
    str seen[GROUPS_MAX];
    size_t count = 0;
    for (bool more = xml_first(item, &node); more; more = xml_next(&node)) {
        if (!xml_is(&node, STR("group"), STR(NS_ROSTER)))
            continue;
        str group = xml_text(&node, arena);
        if (!group.len || group.len > GROUP_MAX_BYTES || count == GROUPS_MAX)
            return STANZA_ERROR_NOT_ACCEPTABLE;
        for (size_t i = 0; i < count; i++)
            if (str_eq(seen[i], group))
                return STANZA_ERROR_BAD_REQUEST;
        seen[count++] = group;
        xml_write_element(to, "group", str_none, group);
    }
    return buf_failed(to) ? STANZA_ERROR_NOT_ACCEPTABLE : STANZA_ERROR_NONE;
}

static enum stanza_error read_item(const struct xml_node *item, struct arena *arena, struct wish *ret)
{
    struct buf text;
    str jid = xml_attr(item, STR("jid"), arena);
    str name = xml_attr(item, STR("name"), arena);
    if (!jid.len)
        return STANZA_ERROR_BAD_REQUEST;
    if (jid_parse(jid, arena, &ret->contact) != OK)
        return STANZA_ERROR_JID_MALFORMED;
    ret->contact = jid_to_bare(&ret->contact);
    ret->remove = str_is(xml_attr(item, STR("subscription"), arena), "remove");
    if (name.len > NAME_MAX_BYTES)
        return STANZA_ERROR_NOT_ACCEPTABLE;
    buf_init(&text, UINT16_MAX);
    if (name.len)
        xml_write_attr(&text, "name", name);
    ret->name = arena_str(arena, buf_str(&text));
    buf_clear(&text);
    enum stanza_error error = read_groups(item, arena, &text);
    ret->groups = arena_str(arena, buf_str(&text));
    buf_fini(&text);
    return error;
}

static enum stanza_error read_wish(const struct xml_node *query, struct arena *arena, struct wish *ret)
{
    struct xml_node item, second;
    *ret = (struct wish){ 0 };
    if (!xml_first(query, &item) || !xml_is(&item, STR("item"), STR(NS_ROSTER)))
        return STANZA_ERROR_BAD_REQUEST;
    second = item;
    if (xml_next(&second))
        return STANZA_ERROR_BAD_REQUEST;
    return read_item(&item, arena, ret);
}

static void remove_item(struct user *user, const struct stanza *iq, const struct wish *wish)
{
    struct roster_item *item = roster_find(&user->roster, wish->contact.full);
    struct buf xml;
    if (!item || !(item->flags & ROSTER_LISTED)) {
        route_error(user->actor.shard, iq, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    roster_store_gone(user, wish->contact.full, iq);
    if (item->flags & ROSTER_PENDING_IN)
        store_del(user_write(user, iq), str_of(user->actor.bare, user->actor.bare_len), STR("request"),
                  wish->contact.full);
    subscription_removed(user, item, iq);
    roster_remove(&user->roster, wish->contact.full);
    buf_init(&xml, ROSTER_XML_MAX);
    buf_lit(&xml, "<item");
    xml_write_attr(&xml, "jid", wish->contact.full);
    buf_lit(&xml, " subscription='remove'/>");
    push_xml(user, buf_str(&xml));
    buf_fini(&xml);
    route_result(user->actor.shard, iq, str_of("", 0));
}

static void set_item(struct user *user, const struct stanza *iq, const struct wish *wish)
{
    struct roster_item *item = roster_find(&user->roster, wish->contact.full);
    bool is_new = !item || !(item->flags & ROSTER_LISTED);
    if (is_new && user->roster.listed >= user->actor.shard->server->config->limits.roster_items) {
        route_error(user->actor.shard, iq, STANZA_ERROR_RESOURCE_CONSTRAINT, "the roster is full");
        return;
    }
    item = roster_set(&user->roster, wish->contact.full, wish->name, wish->groups, ROSTER_LISTED);
    roster_set_flags(&user->roster, item, item->flags | ROSTER_LISTED);
    roster_store(user, item, iq);
    roster_push(user, item);
    route_result(user->actor.shard, iq, str_of("", 0));
}

static void roster_set_wish(struct user *user, const struct stanza *iq, const struct xml_node *query)
{
    struct wish wish;
    struct jid own = user_jid(user);
    enum stanza_error error = read_wish(query, &user->actor.shard->arena, &wish);
    if (error == STANZA_ERROR_NONE && (user->anonymous || jid_eq(&wish.contact, &own)))
        error = STANZA_ERROR_NOT_ALLOWED;
    if (error != STANZA_ERROR_NONE)
        route_error(user->actor.shard, iq, error, NULL);
    else if (wish.remove)
        remove_item(user, iq, &wish);
    else
        set_item(user, iq, &wish);
}

void roster_iq(struct user *user, struct session *session, const struct stanza *iq,
               const struct xml_node *query)
{
    struct xml_node child;
    if (iq->type == TYPE_SET)
        roster_set_wish(user, iq, query);
    else if (xml_first(query, &child)) /* §2.1.3: a get carries no item */
        route_error(user->actor.shard, iq, STANZA_ERROR_BAD_REQUEST, NULL);
    else
        roster_get(user, session, iq, query);
}
