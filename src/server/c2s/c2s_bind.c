/* SPDX-License-Identifier: MIT */
/* Resource binding (RFC 6120 §7): the request is read where the client came in, and done at its user's home
 * (c2s_home.c). */
#include "server/c2s/c2s.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/ext.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

/* ---- At home
 * ------------------------------------------------------------------------------------------------------- */

static void answer_bound(struct c2s *c2s, const struct passport *passport)
{
    struct arena *arena = &c2s->link.shard->arena;
    struct jid full = session_jid(c2s->session);
    struct buf payload;
    buf_init(&payload, 8192);
    buf_lit(&payload, "<bind xmlns='" NS_BIND "'>");
    xml_write_element(&payload, "jid", str_none, full.full);
    buf_lit(&payload, "</bind>");
    struct stanza result =
        stanza_make(STANZA_IQ, TYPE_RESULT, str_from(passport->id), buf_str(&payload), arena);
    session_send(c2s->session, &result, NULL);
    buf_fini(&payload);
}

/* Every failure leaves the stream usable for another try, until the tries are used up (§7.6.2.1, §7.7.2). */
static void refuse(struct c2s *c2s, str id, enum stanza_error error, const char *text)
{
    struct arena *arena = &c2s->link.shard->arena;
    struct stanza asked = stanza_make(STANZA_IQ, TYPE_SET, id, str_none, arena);
    struct stanza answer = stanza_error_reply(&asked, error, text, arena);
    stanza_write(conn_out(&c2s->conn), &answer, NULL);
    conn_wrote(&c2s->conn);
    c2s->state = C2S_AUTHENTICATED;
    if (++c2s->tries >= 5)
        c2s_fail(c2s, STREAM_ERROR_POLICY_VIOLATION, "too many failed attempts to bind");
}

static size_t session_count(const struct user *user)
{
    size_t count = 0;
    list_each (at, &user->sessions)
        count++;
    return count;
}

/* Frees the resource for the newcomer, by the policy of the configuration; false if it stays taken. */
static bool take_over(struct user *user, const struct c2s *c2s, str resource, bool own)
{
    struct session *old = session_find(user, resource);
    if (!old)
        return true;
    struct link *link = old->link;
    if (link && !own && c2s_config(c2s)->c2s.conflict == CONFLICT_REFUSE)
        return false;
    if (link)
        link->ops->close(link, STREAM_ERROR_CONFLICT, "the resource is used by a newer session");
    else
        session_close(old);
    return true;
}

/* A session that waits for its client makes way for a new one: the oldest of them. */
static bool drop_detached(struct user *user)
{
    list_each (at, &user->sessions) {
        struct session *session = SESSION_OF(at);
        if (session->link)
            continue;
        session_close(session);
        return true;
    }
    return false;
}

static bool has_place(struct user *user, const struct c2s *c2s, str resource)
{
    return session_count(user) < c2s_config(c2s)->c2s.max_resources || session_find(user, resource) ||
           drop_detached(user);
}

bool c2s_make_room(struct user *user, const struct c2s *c2s, str resource, bool own)
{
    return has_place(user, c2s, resource) && take_over(user, c2s, resource, own);
}

static void bind_now(struct user *user, struct passport *passport)
{
    struct c2s *c2s = passport->c2s;
    str resource = str_from(passport->resource);
    if (!has_place(user, c2s, resource)) {
        refuse(c2s, str_from(passport->id), STANZA_ERROR_RESOURCE_CONSTRAINT,
               "too many resources are connected");
    } else if (!take_over(user, c2s, resource, false)) {
        refuse(c2s, str_from(passport->id), STANZA_ERROR_CONFLICT, NULL);
    } else {
        c2s->session = session_open(user, resource, &c2s->link);
        c2s->state = C2S_BOUND;
        c2s_watch(c2s);
        answer_bound(c2s, passport);
        fire_session_bound(user->actor.host, &(struct session_event){ user, c2s->session, NULL });
        log_debug(c2s, "%s is bound", c2s->session->full);
    }
}

/* ---- Where it came in
 * ------------------------------------------------------------------------------------------------ */

static bool is_bind(const struct stanza *iq, struct xml_node *ret_bind)
{
    return iq->kind == STANZA_IQ && iq->type == TYPE_SET && iq->id.len && jid_is_none(&iq->to) &&
           xml_child(&iq->node, STR("bind"), STR(NS_BIND), ret_bind);
}

/* The wished resource as it can be had (§7.7): prepared, or a random one if there is none, or none that can
 * be. */
static char *choose_resource(const struct xml_node *bind, struct arena *arena)
{
    str prepared, wished = xml_child_text(bind, STR("resource"), STR(NS_BIND), arena);
    char token[17];
    if (wished.len && jid_prepare_resource(wished, arena, &prepared) == OK)
        return str_dup(prepared);
    rand_token(token, sizeof token);
    return str_dup(str_from(token));
}

void c2s_bind(struct c2s *c2s, const struct stanza *iq)
{
    struct arena *arena = &c2s->link.shard->arena;
    struct xml_node bind;
    if (!is_bind(iq, &bind)) { /* §7.1: nothing else before */
        c2s_fail(c2s, STREAM_ERROR_NOT_AUTHORIZED, "a resource must be bound first");
        return;
    }
    struct passport *passport = passport_new(bind_now);
    passport->id = str_dup(iq->id);
    passport->resource = choose_resource(&bind, arena);
    c2s_go_home(c2s, passport);
}
