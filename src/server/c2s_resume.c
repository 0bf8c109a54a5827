/* SPDX-License-Identifier: MIT */
/* Resumption (XEP-0198 §5): an authenticated client without a resource asks for the session that its former
 * stream had. It goes home first; there the session changes its link. A former link that still stands is
 * ended with `conflict`. What can't be resumed is answered with <failed/>, and the client may bind a resource
 * on the same stream (§5). */
#include "server/c2s.h"

#include "base/log.h"
#include "server/ext.h"

#include <stdlib.h>

enum { TRIES_MAX = 5 };

static void refuse(struct c2s *c2s, enum stanza_error error)
{
    sm_failed(&c2s->link, error);
    if (++c2s->tries >= TRIES_MAX)
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "too many failed attempts");
}

/* One that has ended, of which it is known how much it had handled, or an unknown one. */
static void not_found(struct c2s *c2s, const struct user *user, str previd)
{
    uint32_t h;
    c2s->state = C2S_AUTHENTICATED;
    if (!sm_past(user, previd, &h)) {
        refuse(c2s, STANZA_ERROR_ITEM_NOT_FOUND);
        return;
    }
    buf_addf(conn_out(&c2s->conn),
             "<failed xmlns='" NS_SM
             "' h='%u'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
             h);
    conn_wrote(&c2s->conn);
}

static void resume_now(struct user *user, struct passport *passport)
{
    struct c2s *c2s = passport->c2s;
    struct session *session = sm_find(user, str_from(passport->previd));
    if (!session) {
        not_found(c2s, user, str_from(passport->previd));
        return;
    }
    if (!sm_may_have_got(session->sm, passport->h)) {
        sm_fail_count(&c2s->link, passport->h, sm_sent_count(session->sm));
        return;
    }
    if (session->link)
        session->link->ops->part(session->link, STREAM_ERROR_CONFLICT, "the session was resumed elsewhere");
    c2s->session = session;
    c2s->state = C2S_BOUND;
    c2s_watch(c2s);
    session_resume(session, &c2s->link, passport->h);
    log_debug(c2s, "%s is resumed", session->full);
}

static void resume(struct c2s *c2s, const struct xml_node *node)
{
    struct arena *arena = &c2s->link.shard->arena;
    str previd = xml_attr(node, STR("previd"), arena);
    uint64_t h;
    if (!previd.len || !str_to_u64(xml_attr(node, STR("h"), arena), UINT32_MAX, &h)) {
        refuse(c2s, STANZA_ERROR_BAD_REQUEST);
        return;
    }
    struct passport *passport = passport_new(resume_now);
    passport->previd = str_dup(previd);
    passport->h = (uint32_t)h;
    c2s_go_home(c2s, passport);
}

bool c2s_sm_element(struct c2s *c2s, const struct xml_node *node)
{
    if (!xml_is(node, node->name, STR(NS_SM)))
        return false;
    if (!c2s->authenticated || !str_is(node->name, "resume"))
        refuse(c2s, STANZA_ERROR_UNEXPECTED_REQUEST); /* §3: after authentication, and binding */
    else if (!ext_takes(c2s->host, node))
        refuse(c2s, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
    else
        resume(c2s, node);
    return true;
}
