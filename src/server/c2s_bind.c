/* SPDX-License-Identifier: MIT */
/* Resource binding (RFC 6120 §7), and the move to the user's home: when a client binds, its connection
 * (socket, TLS state, scanner, what was read and not handled yet) goes to the shard of its bare JID, and from
 * then on the user, its sessions and its links are one thread's. */
#include "server/c2s.h"

#include "base/log.h"
#include "base/rand.h"
#include "server/ext.h"
#include "xml/write.h"
#include "xmpp/ns.h"

#include <stdlib.h>

/* A client on its way to its home. */
struct passport {
    struct shard_call call;
    struct parked parked;
    struct c2s *c2s; /* at home; NULL while travelling */
    struct host *host;
    struct conn_parcel *parcel;
    struct scanner scanner;
    struct buf in;
    char *lang, *local, *id, *resource;
    uint8_t tries;
    bool anonymous, direct_tls;
};

static void passport_free(struct passport *passport)
{
    free(passport->id);
    free(passport->resource);
    free(passport);
}

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
static bool make_room(struct user *user, const struct c2s *c2s, str resource)
{
    struct session *old = session_find(user, resource);
    if (!old)
        return true;
    if (c2s_config(c2s)->c2s.conflict == CONFLICT_REFUSE)
        return false;
    struct link *link = old->link;
    if (link)
        link->ops->close(link, STREAM_ERROR_CONFLICT, "the resource is used by a newer session");
    return true;
}

static void bind_now(struct actor *actor, struct parked *parked)
{
    struct user *user = USER_OF(actor);
    struct passport *passport = CONTAINER_OF(parked, struct passport, parked);
    struct c2s *c2s = passport->c2s;
    str resource = str_from(passport->resource);
    if (!c2s) { /* the client left while its user was loading */
        passport_free(passport);
        return;
    }
    c2s->bind_wait = NULL;
    if (session_count(user) >= c2s_config(c2s)->c2s.max_resources && !session_find(user, resource)) {
        refuse(c2s, str_from(passport->id), STANZA_ERROR_RESOURCE_CONSTRAINT,
               "too many resources are connected");
    } else if (!make_room(user, c2s, resource)) {
        refuse(c2s, str_from(passport->id), STANZA_ERROR_CONFLICT, NULL);
    } else {
        c2s->session = session_open(user, resource, &c2s->link);
        c2s->state = C2S_BOUND;
        c2s_watch(c2s);
        answer_bound(c2s, passport);
        fire_session_bound(user->actor.host, &(struct session_event){ user, c2s->session, NULL });
        log_debug(c2s, "%s is bound", c2s->session->full);
    }
    passport_free(passport);
    c2s_go_on(c2s);
}

/* The account was removed after the login, or can't be loaded now. */
static void no_account(struct actor *actor, struct parked *parked)
{
    struct passport *passport = CONTAINER_OF(parked, struct passport, parked);
    struct c2s *c2s = passport->c2s;
    if (c2s) {
        c2s->bind_wait = NULL;
        c2s_fail(c2s,
                 actor_is_missing(actor) ? STREAM_ERROR_NOT_AUTHORIZED
                 : actor->unknown        ? STREAM_ERROR_INTERNAL_SERVER_ERROR
                                         : STREAM_ERROR_RESOURCE_CONSTRAINT,
                 NULL);
    }
    passport_free(passport);
}

static void bind_at_home(struct c2s *c2s, struct passport *passport)
{
    struct shard *shard = c2s->link.shard;
    struct jid jid = jid_make(str_from(c2s->local), str_from(c2s->host->name), str_of("", 0), &shard->arena);
    passport->c2s = c2s;
    passport->parked = (struct parked){ .run = bind_now, .drop = no_account };
    c2s->bind_wait = &passport->c2s;
    if (c2s->anonymous && !user_awake(shard, jid.full))
        user_make_anonymous(shard, c2s->host, &jid);
    actor_when_ready(&user_wake(shard, c2s->host, &jid)->actor, &passport->parked);
}

static void arrive(struct shard *shard, struct shard_call *call)
{
    struct passport *passport = CONTAINER_OF(call, struct passport, call);
    struct c2s *c2s = c2s_new(shard);
    scanner_fini(&c2s->scanner);
    c2s->scanner = passport->scanner;
    c2s->in = passport->in;
    c2s->lang = passport->lang;
    c2s->local = passport->local;
    c2s->host = passport->host;
    c2s->tries = passport->tries;
    c2s->authenticated = c2s->header_sent = true;
    c2s->anonymous = passport->anonymous;
    c2s->direct_tls = passport->direct_tls;
    c2s->state = C2S_BINDING;
    c2s->busy = true;
    timer_start(shard->loop, &c2s->timer, c2s_config(c2s)->c2s.negotiation_ms);
    conn_attach(&c2s->conn, shard->loop, passport->parcel, &c2s_events);
    conn_pause(&c2s->conn, true);
    if (shard->stopping) { /* it was on its way when the links here were closed */
        c2s_fail(c2s, STREAM_ERROR_SYSTEM_SHUTDOWN, NULL);
        passport_free(passport);
        return;
    }
    bind_at_home(c2s, passport);
}

/* ---- Where it came in
 * ------------------------------------------------------------------------------------------------ */

void c2s_depart(struct c2s *c2s)
{
    struct passport *passport = c2s->passport;
    struct shard *shard = c2s->link.shard;
    struct jid jid = jid_make(str_from(c2s->local), str_from(c2s->host->name), str_of("", 0), &shard->arena);
    passport->host = c2s->host;
    passport->scanner = c2s->scanner;
    passport->in = c2s->in;
    passport->lang = c2s->lang;
    passport->local = c2s->local;
    passport->tries = c2s->tries;
    passport->anonymous = c2s->anonymous;
    passport->direct_tls = c2s->direct_tls;
    passport->parcel = conn_detach(&c2s->conn);
    passport->call.run = arrive;
    shard_post(server_home(shard->server, jid.full), &passport->call);
}

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
    struct shard *shard = c2s->link.shard;
    struct arena *arena = &shard->arena;
    struct xml_node bind;
    if (!is_bind(iq, &bind)) { /* §7.1: nothing else before */
        c2s_fail(c2s, STREAM_ERROR_NOT_AUTHORIZED, "a resource must be bound first");
        return;
    }
    struct passport *passport = NEW(struct passport);
    passport->id = str_dup(iq->id);
    passport->resource = choose_resource(&bind, arena);
    c2s->state = C2S_BINDING;
    c2s->busy = true;
    struct jid jid = jid_make(str_from(c2s->local), str_from(c2s->host->name), str_of("", 0), arena);
    if (server_home(shard->server, jid.full) == shard)
        bind_at_home(c2s, passport);
    else
        c2s->passport =
            passport; /* it leaves at the end of the event, when the bytes that follow are known */
}
