/* SPDX-License-Identifier: MIT */
/* Requests of a user's sessions and to a user: RFC 6120 §8.2.3 and §10.3.3, RFC 6121 §8.5. The server answers
 * for the account; what is addressed to a resource goes to its client. */
#include "server/ext.h"
#include "xmpp/ns.h"

static bool is_request(const struct stanza *iq)
{
    return iq->type == TYPE_GET || iq->type == TYPE_SET;
}

/* A request that the account answers; `session` is its own session that asks, or NULL. */
static void to_account(struct user *user, struct session *session, const struct stanza *iq)
{
    struct iq_event event = {
        .shard = user->actor.shard, .host = user->actor.host, .user = user, .session = session, .iq = iq
    };
    event.actor = &user->actor;
    if (!xml_first(&iq->node, &event.child)) {
        route_error(user->actor.shard, iq, STANZA_ERROR_BAD_REQUEST, NULL);
        return;
    }
    if (fire_request(user->actor.host, &event) == HOOK_DONE)
        return;
    if (xml_is(&event.child, STR("query"), STR(NS_ROSTER))) {
        if (session)
            roster_iq(user, session, iq, &event.child);
        else /* RFC 6121 §2.3.3: another's roster */
            route_error(user->actor.shard, iq, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    if (session && xml_is(&event.child, STR("session"), STR(NS_SESSION))) {
        route_result(user->actor.shard, iq,
                     str_of("", 0)); /* RFC 3921's session: nothing to do since RFC 6121 */
        return;
    }
    if (session && xml_is(&event.child, STR("bind"), STR(NS_BIND))) {
        route_error(user->actor.shard, iq, STANZA_ERROR_NOT_ALLOWED, "this stream has a resource already");
        return;
    }
    ext_dispatch(&event, TO_ACCOUNT);
}

void iq_from_session(struct user *user, struct session *session, const struct stanza *iq)
{
    struct jid own = user_jid(user);
    bool own_account = jid_is_none(&iq->to) || jid_eq(&iq->to, &own);
    if (!is_request(iq) && offline_answer(user, session, iq))
        return;
    if (!own_account) {
        route(user->actor.shard, iq);
        return;
    }
    if (is_request(iq))
        to_account(user, session, iq);
}

void iq_to_user(struct user *user, const struct delivery *delivery)
{
    const struct stanza *iq = delivery->stanza;
    struct session *session;
    if (jid_is_bare(&delivery->to)) {
        if (is_request(iq))
            to_account(user, NULL, iq);
        return;
    }
    session = session_find(user, jid_resource(&delivery->to));
    if (session)
        session_send(session, iq, NULL);
    else if (is_request(iq)) /* RFC 6121 §8.5.3.2.3 */
        route_error(user->actor.shard, iq, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}
