/* SPDX-License-Identifier: MIT */
/* XEP-0163 1.2.2: every account is a pubsub service. The engine is that of XEP-0060 (pubsub.c); here is what
 * an account adds to it: nodes that come into being by being published to, contacts who listen by being
 * contacts, and the last item for who comes online.
 *
 * A session that becomes available says by its capabilities what it wants (interest.c). It gets the last
 * items of its own account, and its account asks those of its contacts that live on this server, with a probe
 * inside the server that wakes them if they have such a node (sleepers.c): a contact's avatar or device list
 * is news to who was away, whether or not the contact is online. Contacts of other servers ask by their
 * presence (audience.c).
 *
 * What is kept: the account's nodes and, for each session, its set of interests. */
#include "extensions/pubsub/audience.h"
#include "extensions/pubsub/sleepers.h"
#include "xml/write.h"

#define NS_INSIDE "https://jabiru.im/protocol/interest"

enum { PROBE_MAX = 64 * 1024 };

extern const struct ext ext_pep;
static struct ext_slot slot;

struct pep_user {
    struct nodes nodes;
    struct audience audience;
};

struct pep_shard {
    struct interest_cache interests;
    struct sleepers sleepers;
};

struct pep_session {
    struct interest *interest;
};

/* XEP-0163 §5 */
static const struct options defaults = {
    .access = ACCESS_PRESENCE,
    .publish_model = PUBLISH_PUBLISHERS,
    .send_last = SEND_LAST_ON_PRESENCE,
    .when_full = FULL_RETRACT_OLDEST,
    .item_reply = REPLY_NONE,
    .notification = NOTIFICATION_HEADLINE,
    .persist = true,
    .notify = true,
    .payloads = true,
    .subscribe = true,
    .notify_delete = true,
    .notify_retract = true,
    .max_items = 1,
    .max_payload = UINT64_MAX,
    .item_expire = UINT64_MAX,
};

/* XEP-0292 §5.2: notes on contacts are for nobody else, and there is one for each. */
struct options pep_defaults(str node)
{
    struct options options = defaults;
    if (str_is(node, "urn:xmpp:contacts")) {
        options.access = ACCESS_WHITELIST;
        options.max_items = UINT64_MAX;
    }
    return options;
}

struct pubsub pep_of(struct user *user)
{
    struct pep_user *pep = ext_user(user, &slot);
    return (struct pubsub){
        .shard = user->actor.shard,
        .host = user->actor.host,
        .actor = &user->actor,
        .user = user,
        .nodes = &pep->nodes,
        .limits = ext_settings(user->actor.host, &slot),
        .defaults = &defaults,
    };
}

bool pep_is_on(const struct host *host)
{
    return ext_is_on(host, &ext_pep);
}

struct interest_cache *interest_cache_of(struct shard *shard)
{
    struct pep_shard *pep = ext_shard(shard, &slot);
    return &pep->interests;
}

struct sleepers *sleepers_of(struct shard *shard)
{
    struct pep_shard *pep = ext_shard(shard, &slot);
    return &pep->sleepers;
}

struct interest **interest_of(struct session *session)
{
    struct pep_session *pep = ext_session(session, &slot);
    return &pep->interest;
}

struct audience *audience_of(struct user *user)
{
    struct pep_user *pep = ext_user(user, &slot);
    return &pep->audience;
}

/* ---- Requests
 * -------------------------------------------------------------------------------------------------------- */

static void handle(struct iq_event *event)
{
    if (event->user->anonymous) { /* nothing is kept for it */
        fault_answer(event, &fault_no_account, str_none, NULL);
        return;
    }
    struct pubsub of = pep_of(event->user);
    pubsub_handle(&of, event);
}

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_ACCOUNT, "pubsub", NS_PUBSUB, handle },
    { TYPE_SET, TO_ACCOUNT, "pubsub", NS_PUBSUB, handle },
    { TYPE_GET, TO_ACCOUNT, "pubsub", NS_PUBSUB_OWNER, handle },
    { TYPE_SET, TO_ACCOUNT, "pubsub", NS_PUBSUB_OWNER, handle },
    { 0 },
};

static enum hook_ret node_info(struct host *host, struct disco_event *event)
{
    (void)host;
    if (!event->request->user || !event->node.len)
        return HOOK_NEXT;
    struct pubsub of = pep_of(event->request->user);
    event->known |= describe_info(&of, event->node, &event->request->iq->from, event->xml);
    return HOOK_NEXT;
}

static enum hook_ret node_items(struct host *host, struct disco_event *event)
{
    (void)host;
    if (!event->request->user)
        return HOOK_NEXT;
    struct pubsub of = pep_of(event->request->user);
    event->known |= describe_items(&of, event->node, &event->request->iq->from, event->xml);
    return HOOK_NEXT;
}

/* ---- The last items
 * ------------------------------------------------------------------------------------------------- */

bool pep_is_audience(const struct pubsub *of, const struct node *node, const struct jid *contact)
{
    /* who subscribed with its bare JID is told there */
    return !access_retrieve(of, node, contact) && !node_find_subscriber(node, jid_bare(contact));
}

static bool sends_last(const struct pubsub *of, const struct node *node, const struct jid *who)
{
    return node->settings.send_last == SEND_LAST_ON_PRESENCE && node->settings.notify &&
           !access_retrieve(of, node, who);
}

void pep_send_all_last(struct user *user, const struct jid *who, const struct interest *before,
                       const struct interest *now)
{
    struct pubsub of = pep_of(user);
    for (size_t i = 0; i < interest_count(now); i++) {
        str name = interest_name(now, i);
        const struct node *node = interest_has(before, name) ? NULL : nodes_find(of.nodes, name);
        if (node && sends_last(&of, node, who))
            notify_last(&of, node, who);
    }
}

/* Asks the contacts of this server whom the session sees. */
static void probe_contacts(struct user *user, const struct jid *full, const struct interest *before,
                           const struct interest *now)
{
    struct shard *shard = user->actor.shard;
    struct arena *arena = &shard->arena;
    struct stanza *probe = arena_alloc(arena, sizeof *probe);
    struct buf xml;
    buf_init(&xml, PROBE_MAX);
    buf_lit(&xml, "<interest xmlns='" NS_INSIDE "'>");
    for (size_t i = 0; i < interest_count(now); i++)
        if (!interest_has(before, interest_name(now, i)))
            xml_write_element(&xml, "node", str_none, interest_name(now, i));
    buf_lit(&xml, "</interest>");
    *probe = stanza_make(STANZA_PRESENCE, TYPE_PROBE, str_none, arena_str(arena, buf_str(&xml)), arena);
    buf_fini(&xml);
    probe->from = jid_copy(full, arena);
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        struct jid contact;
        if (!(item->flags & ROSTER_TO) ||
            jid_parse(arena_str(arena, roster_item_jid(item)), arena, &contact) != OK ||
            !server_host(shard->server, jid_domain(&contact)))
            continue;
        struct reach_event reach = { user, contact };
        if (fire_may_reach(user->actor.host, &reach) == HOOK_NEXT)
            route_to(shard, probe, &contact, DELIVER_INSIDE);
    }
}

static void session_wants(struct user *user, const struct jid *who, struct interest *interest)
{
    struct session *session = session_find(user, jid_resource(who));
    if (!session || !session->available)
        return;
    struct interest **place = interest_of(session), *before = *place;
    *place = interest_ref(interest);
    if (!user->anonymous)
        pep_send_all_last(user, who, before, interest);
    if (interest_count(interest))
        probe_contacts(user, who, before, interest);
    interest_unref(user->actor.shard, before);
}

/* ---- Sessions
 * -------------------------------------------------------------------------------------------------------- */

static void forget_interest(struct session *session)
{
    struct interest **place = interest_of(session);
    struct shard *shard = session->user->actor.shard;
    interest_lost(shard, str_of(session->full, session->full_len));
    interest_unref(shard, *place);
    *place = NULL;
}

static enum hook_ret session_presence_changed(struct host *host, struct session_event *event)
{
    (void)host;
    struct session *session = event->session;
    struct jid full = session_jid(session);
    if (!session->available)
        forget_interest(session);
    else
        interest_seek(event->user, &full, event->presence, *interest_of(session), session_wants);
    return HOOK_NEXT;
}

static enum hook_ret session_gone(struct host *host, struct session_event *event)
{
    (void)host;
    forget_interest(event->session);
    return HOOK_NEXT;
}

/* ---- Contacts
 * -------------------------------------------------------------------------------------------------------- */

/* An event of a contact's node: to the sessions that want it. */
static void hand_out(struct user *user, const struct stanza *message)
{
    struct xml_node event, what;
    if (!xml_child(&message->node, STR("event"), STR(NS_PUBSUB_EVENT), &event) || !xml_first(&event, &what))
        return;
    str name = xml_attr(&what, STR("node"), &user->actor.shard->arena);
    list_each_safe (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        struct jid full = session_jid(session);
        if (session->available && interest_wants(session, name))
            session_send(session, message, &full);
    }
}

/* A contact's session has come, and wants some nodes' last items. */
static void answer_interest(struct user *user, const struct stanza *probe)
{
    struct pubsub of = pep_of(user);
    struct arena *arena = &of.shard->arena;
    const struct roster_item *item = roster_find(&user->roster, jid_bare(&probe->from));
    struct xml_node list, name;
    if (!item || !(item->flags & ROSTER_FROM) ||
        !xml_child(&probe->node, STR("interest"), STR(NS_INSIDE), &list) || !xml_first(&list, &name))
        return;
    do {
        const struct node *node = nodes_find(of.nodes, xml_text(&name, arena));
        if (node && sends_last(&of, node, &probe->from))
            notify_last(&of, node, &probe->from);
    } while (xml_next(&name));
}

static enum hook_ret sleeper_probed(struct host *host, struct sleeper_event *event)
{
    struct xml_node list;
    (void)host;
    return xml_child(&event->probe->node, STR("interest"), STR(NS_INSIDE), &list) &&
                   sleepers_spare(event->shard, &event->to, event->probe, &list)
               ? HOOK_DONE
               : HOOK_NEXT;
}

/* It may have been brought here with nodes. */
static enum hook_ret account_made(struct host *host, struct account_event *event)
{
    (void)host;
    sleepers_forget(event->shard, jid_bare(&event->jid));
    return HOOK_NEXT;
}

static enum hook_ret from_inside(struct host *host, struct stanza_event *event)
{
    (void)host;
    if (event->stanza->kind == STANZA_MESSAGE)
        hand_out(event->user, event->stanza);
    else if (event->stanza->kind == STANZA_PRESENCE && event->stanza->type == TYPE_PROBE)
        answer_interest(event->user, event->stanza);
    return HOOK_NEXT;
}

static enum hook_ret contact_says(struct host *host, struct stanza_event *event)
{
    if (!server_host(host->server, jid_domain(&event->stanza->from)))
        audience_presence(event->user, event->stanza);
    return HOOK_NEXT;
}

/* XEP-0163 §4.3.3, §7.1: who sees us from now on gets the last items; who does not any more loses its
 * subscriptions. */
static enum hook_ret contact_changed(struct host *host, struct contact_event *event)
{
    (void)host;
    struct pubsub of = pep_of(event->user);
    bool saw = event->before & ROSTER_FROM, sees = event->after & ROSTER_FROM;
    for (uint32_t i = 0; saw != sees && i < of.nodes->count; i++) {
        struct node *node = of.nodes->list[i];
        if (saw)
            subscribe_review(&of, node, NULL);
        else if (sends_last(&of, node, &event->contact))
            notify_last_to_contact(&of, node, &event->contact);
    }
    return HOOK_NEXT;
}

/* Its groups may be others now (XEP-0163 §7.1). */
static enum hook_ret roster_changed(struct host *host, struct roster_event *event)
{
    (void)host;
    struct pubsub of = pep_of(event->user);
    for (uint32_t i = 0; i < of.nodes->count; i++)
        if (of.nodes->list[i]->settings.access == ACCESS_ROSTER)
            subscribe_review(&of, of.nodes->list[i], NULL);
    return HOOK_NEXT;
}

/* ---- Answers to us
 * -------------------------------------------------------------------------------------------------- */

static bool is_answer(const struct stanza *stanza)
{
    return stanza->kind == STANZA_IQ && (stanza->type == TYPE_RESULT || stanza->type == TYPE_ERROR);
}

static enum hook_ret own_answer(struct host *host, struct stanza_event *event)
{
    (void)host;
    struct jid own = user_jid(event->user);
    bool to_account = jid_is_none(&event->to) || jid_eq(&event->to, &own);
    return to_account && is_answer(event->stanza) && interest_answer(event->shard, event->stanza) ? HOOK_DONE
                                                                                                  : HOOK_NEXT;
}

static enum hook_ret contact_answer(struct host *host, struct stanza_event *event)
{
    (void)host;
    return is_answer(event->stanza) && jid_is_bare(&event->to) && interest_answer(event->shard, event->stanza)
               ? HOOK_DONE
               : HOOK_NEXT;
}

/* The account's own word on a subscription request (XEP-0060 §8.6). */
static enum hook_ret decision(struct host *host, struct stanza_event *event)
{
    (void)host;
    struct pubsub of = pep_of(event->user);
    if (!jid_is_bare(&event->to) || event->user->anonymous)
        return HOOK_NEXT;
    return subscribe_decide(&of, event->stanza) ? HOOK_DONE : HOOK_NEXT;
}

/* ---- As an extension
 * ------------------------------------------------------------------------------------------------ */

static void load_row(struct user *user, const struct store_row *row)
{
    struct pep_user *pep = ext_user(user, &slot);
    nodes_load_row(&pep->nodes, row, &user->actor.shard->arena);
}

static void reset(struct user *user)
{
    struct pep_user *pep = ext_user(user, &slot);
    nodes_fini(&pep->nodes);
    audience_fini(user->actor.shard, &pep->audience);
}

static void shard_fini(struct shard *shard)
{
    interest_cache_fini(interest_cache_of(shard));
    sleepers_fini(sleepers_of(shard));
}

static const struct ext_hook hooks[] = {
    HOOK(stanza_from_user, PHASE_STAMP, own_answer),
    HOOK(stanza_to_user, PHASE_STAMP, contact_answer),
    HOOK(message_to_user, PHASE_STAMP, decision),
    HOOK(session_presence, PHASE_OBSERVE, session_presence_changed),
    HOOK(session_closed, PHASE_OBSERVE, session_gone),
    HOOK(stanza_inside, PHASE_DELIVER, from_inside),
    HOOK(probe_of_sleeper, PHASE_DELIVER, sleeper_probed),
    HOOK(account_made, PHASE_OBSERVE, account_made),
    HOOK(contact_presence, PHASE_OBSERVE, contact_says),
    HOOK(contact_changed, PHASE_OBSERVE, contact_changed),
    HOOK(roster_changed, PHASE_OBSERVE, roster_changed),
    HOOK(disco_info, PHASE_STAMP, node_info),
    HOOK(disco_items, PHASE_STAMP, node_items),
    { 0 },
};

#define LIMIT(member) CONFIG_FIELD(struct pubsub_limits, member)

static const struct config_key keys[] = {
    { .name = "nodes",
      .type = CONFIG_INT,
      LIMIT(nodes),
      .default_text = "100",
      .max = 100000,
      .unit = "nodes",
      .help = "How many nodes an account may have." },
    { .name = "items",
      .type = CONFIG_INT,
      LIMIT(items),
      .default_text = "1000",
      .min = 1,
      .max = 1000000,
      .unit = "items",
      .help = "How many items a node may keep, whatever its owner asks for." },
    { .name = "item-size",
      .type = CONFIG_SIZE,
      LIMIT(item_bytes),
      .default_text = "128K",
      .min = 1024,
      .max = 16 << 20,
      .help = "The largest item." },
    { .name = "subscriptions",
      .type = CONFIG_INT,
      LIMIT(subscriptions),
      .default_text = "1000",
      .max = 1000000,
      .unit = "subscriptions",
      .help = "How many subscriptions a node may have, beside those by presence." },
    { .name = "affiliations",
      .type = CONFIG_INT,
      LIMIT(affiliations),
      .default_text = "1000",
      .max = 1000000,
      .unit = "addresses",
      .help = "How many members, publishers, owners and outcasts a node may have." },
    { .name = "result-size",
      .type = CONFIG_SIZE,
      LIMIT(result_bytes),
      .default_text = "512K",
      .min = 10000,
      .max = 64 << 20,
      .help = "When an answer with items is cut; the rest can be had as further pages (XEP-0059)." },
    { 0 },
};

static const struct config_extension config = {
    .name = "pep",
    .help = "Nodes of accounts (XEP-0163): avatars, bookmarks, keys for encryption.",
    .size = sizeof(struct pubsub_limits),
    .keys = keys,
};

const struct ext ext_pep = {
    .slot = &slot,
    .name = "pep",
    .title = "Personal Eventing Protocol",
    .xep = { 163, "1.2.2" },
    .more = (const struct ext_xep[]){ { 172, "1.1" }, { 292, "0.12.0" }, { 384, "0.9.1" }, { 0 } },
    .account_features =
        (const char *const[]){
            PUBSUB_FEATURES,
            NS_PUBSUB "#access-presence",
            NS_PUBSUB "#auto-create",
            NS_PUBSUB "#auto-subscribe",
            NS_PUBSUB "#filtered-notifications",
            NS_PUBSUB "#last-published",
            NS_PUBSUB "#presence-subscribe",
            NULL,
        },
    .identities = (const struct ext_identity[]){ { TO_ACCOUNT, "pubsub", "pep", NULL }, { 0 } },
    .iqs = iqs,
    .hooks = hooks,
    .config = &config,
    .user_size = sizeof(struct pep_user),
    .session_size = sizeof(struct pep_session),
    .shard_size = sizeof(struct pep_shard),
    .shard_fini = shard_fini,
    .user_rows = PUBSUB_ROWS,
    .load_row = load_row,
    .user_reset = reset,
};
