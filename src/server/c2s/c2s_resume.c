/* SPDX-License-Identifier: MIT */
/* Resumption (XEP-0198 §5): an authenticated client without a resource asks for the session that its former
 * stream had. It goes home first; there the session changes its link. A former link that still stands is
 * ended with `conflict`. What can't be resumed is answered with <failed/>, and the client may bind a resource
 * on the same stream (§5). */
#include "server/c2s/c2s.h"

#include "base/log.h"
#include "server/ext.h"

#include <stdlib.h>

enum { TRIES_MAX = 5 };

static void refuse(struct c2s *c2s, str failed)
{
    c2s_write(c2s, failed);
    if (++c2s->tries >= TRIES_MAX)
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "too many failed attempts");
}

static void refuse_with(struct c2s *c2s, enum stanza_error error)
{
    struct buf failed;
    buf_init(&failed, 1024);
    sm_write_failed(&failed, error);
    refuse(c2s, buf_str(&failed));
    buf_fini(&failed);
}

/* One that has ended, of which it is known how much it had handled, or an unknown one. */
static void not_found(const struct user *user, str previd, struct buf *ret_failed)
{
    uint32_t h;
    if (!sm_past(user, previd, &h))
        sm_write_failed(ret_failed, STANZA_ERROR_ITEM_NOT_FOUND);
    else
        buf_addf(ret_failed,
                 "<failed xmlns='" NS_SM
                 "' h='%u'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
                 h);
}

static bool resume_session(struct user *user, struct c2s *c2s, str previd, uint32_t h, struct buf *ret_failed)
{
    struct session *session = sm_find(user, previd);
    if (!session) {
        not_found(user, previd, ret_failed);
        return false;
    }
    if (!sm_may_have_got(session->sm, h)) {
        sm_fail_count(&c2s->link, h, sm_sent_count(session->sm));
        return true;
    }
    if (session->link)
        session->link->ops->part(session->link, STREAM_ERROR_CONFLICT, "the session was resumed elsewhere");
    c2s->session = session;
    c2s->state = C2S_BOUND;
    c2s_watch(c2s);
    session_resume(session, &c2s->link, h);
    log_debug(c2s, "%s is resumed", session->full);
    return true;
}

static bool read_resume(const struct xml_node *node, struct arena *arena, str *ret_previd, uint32_t *ret_h)
{
    uint64_t h;
    *ret_previd = xml_attr(node, STR("previd"), arena);
    if (!ret_previd->len || !str_to_u64(xml_attr(node, STR("h"), arena), UINT32_MAX, &h))
        return false;
    *ret_h = (uint32_t)h;
    return true;
}

bool c2s_resume(struct user *user, struct c2s *c2s, const struct xml_node *node, struct buf *ret_failed)
{
    str previd;
    uint32_t h;
    if (!ext_takes(c2s->host, node))
        sm_write_failed(ret_failed, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
    else if (!read_resume(node, &c2s->link.shard->arena, &previd, &h))
        sm_write_failed(ret_failed, STANZA_ERROR_BAD_REQUEST);
    else
        return resume_session(user, c2s, previd, h, ret_failed);
    return false;
}

/* ---- On a stream that is authenticated already
 * ----------------------------------------------------------------------------- */

static void resume_now(struct user *user, struct passport *passport)
{
    struct c2s *c2s = passport->c2s;
    struct buf failed;
    buf_init(&failed, 1024);
    if (!resume_session(user, c2s, str_from(passport->previd), passport->h, &failed)) {
        c2s->state = C2S_AUTHENTICATED;
        refuse(c2s, buf_str(&failed));
    }
    buf_fini(&failed);
}

static void resume(struct c2s *c2s, const struct xml_node *node)
{
    str previd;
    uint32_t h;
    if (!read_resume(node, &c2s->link.shard->arena, &previd, &h)) {
        refuse_with(c2s, STANZA_ERROR_BAD_REQUEST);
        return;
    }
    struct passport *passport = passport_new(resume_now);
    passport->previd = str_dup(previd);
    passport->h = h;
    c2s_go_home(c2s, passport);
}

bool c2s_sm_element(struct c2s *c2s, const struct xml_node *node)
{
    if (!xml_is(node, node->name, STR(NS_SM)))
        return false;
    if (!c2s->authenticated || !str_is(node->name, "resume"))
        refuse_with(c2s, STANZA_ERROR_UNEXPECTED_REQUEST); /* §3: after authentication, and binding */
    else if (!ext_takes(c2s->host, node))
        refuse_with(c2s, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
    else
        resume(c2s, node);
    return true;
}
