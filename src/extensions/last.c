/* SPDX-License-Identifier: MIT */
/* XEP-0012 2.0: last activity. Of the server: how long it runs (§5). Of an account: how long ago its last
 * session went (§3), told only to who may see its presence; anybody else gets `forbidden` (§8). An account
 * with a session online answers 0; one whose leaving was not seen by this run of the server is not known
 * (`item-not-found` would be wrong: service-unavailable). A client is asked by those alone who may see its
 * presence (§4), whether there is such a client or not. */
#include "server/ext.h"

static void answer(struct iq_event *event, uint64_t seconds)
{
    struct buf xml;
    buf_init(&xml, 256);
    buf_addf(&xml, "<query xmlns='jabber:iq:last' seconds='%llu'/>", (unsigned long long)seconds);
    ext_result(event, &xml);
    buf_fini(&xml);
}

static void uptime(struct iq_event *event)
{
    answer(event, (loop_now_us(event->shard->loop) - event->shard->server->started_us) / 1000000);
}

static bool is_online(const struct user *user)
{
    list_each (at, &user->sessions)
        if (SESSION_OF(at)->available)
            return true;
    return false;
}

static void last_seen(struct iq_event *event)
{
    const struct user *user = event->user;
    int64_t now = loop_wall_ms(event->shard->loop);
    if (!ext_may_see(event))
        ext_error(event, STANZA_ERROR_FORBIDDEN, NULL);
    else if (is_online(user))
        answer(event, 0);
    else if (!user->last_seen_ms)
        ext_error(event, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else
        answer(event, now > user->last_seen_ms ? (uint64_t)(now - user->last_seen_ms) / 1000 : 0);
}

/* Directed presence lets somebody in, too. */
static bool is_told(const struct user *user, const struct jid *who)
{
    const struct roster_item *item = roster_find(&user->roster, jid_bare(who));
    if (str_eq(jid_bare(who), user_bare(user)) || (item && (item->flags & ROSTER_FROM)))
        return true;
    list_each (at, &user->sessions)
        for (unsigned i = 0; i < SESSION_OF(at)->directed_count; i++) {
            str told = str_from(SESSION_OF(at)->directed[i]);
            if (str_eq(told, who->full) || str_eq(told, jid_bare(who)))
                return true;
        }
    return false;
}

static enum hook_ret guard(struct host *host, struct stanza_event *event)
{
    const struct stanza *iq = event->stanza;
    struct xml_node child;
    (void)host;
    if (iq->kind != STANZA_IQ || iq->type != TYPE_GET || jid_is_bare(&event->to) ||
        !xml_first(&iq->node, &child) || !xml_is(&child, STR("query"), STR("jabber:iq:last")) ||
        is_told(event->user, &iq->from))
        return HOOK_NEXT;
    route_error(event->shard, iq, STANZA_ERROR_FORBIDDEN, NULL);
    return HOOK_DONE;
}

static const struct ext_hook hooks[] = { HOOK(stanza_to_user, PHASE_GUARD, guard), { 0 } };

static const struct ext_iq iqs[] = {
    { TYPE_GET, TO_HOST, "query", "jabber:iq:last", uptime },
    { TYPE_GET, TO_ACCOUNT, "query", "jabber:iq:last", last_seen },
    { 0 },
};

extern const struct ext ext_last;
static struct ext_slot slot;
const struct ext ext_last = {
    .slot = &slot,
    .name = "last",
    .title = "Last Activity",
    .xep = { 12, "2.0" },
    .features = (const char *const[]){ "jabber:iq:last", NULL },
    .account_features = (const char *const[]){ "jabber:iq:last", NULL },
    .iqs = iqs,
    .hooks = hooks,
};
