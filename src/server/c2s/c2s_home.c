/* SPDX-License-Identifier: MIT */
/* The way home: when a client binds a resource or resumes a session, its connection (socket, TLS state,
 * scanner, what was read and not handled yet) goes to the shard of its bare JID, and from then on the user,
 * its sessions and its links are one thread's. There it waits until the user is ready. */
#include "server/c2s/c2s.h"

#include "base/log.h"

#include <stdlib.h>

struct passport *passport_new(void (*arrived)(struct user *user, struct passport *passport))
{
    struct passport *passport = NEW(struct passport);
    passport->_arrived = arrived;
    return passport;
}

static void passport_free(struct passport *passport)
{
    free(passport->id);
    free(passport->resource);
    free(passport->previd);
    free(passport);
}

/* ---- At home
 * ------------------------------------------------------------------------------------------------------- */

static void user_ready(struct actor *actor, struct parked *parked)
{
    struct passport *passport = CONTAINER_OF(parked, struct passport, _parked);
    struct c2s *c2s = passport->c2s;
    if (c2s) /* else the client left while its user was loading */
        c2s->bind_wait = NULL;
    if (c2s && USER_OF(actor)->disabled) { /* since the login began, or by one that looked at no keys */
        c2s_fail(c2s, STREAM_ERROR_NOT_AUTHORIZED, "the account is disabled");
    } else if (c2s) {
        passport->_stays = false;
        passport->_arrived(USER_OF(actor), passport);
        if (passport->_stays)
            return;
    }
    passport_free(passport);
    if (c2s)
        c2s_go_on(c2s);
}

void passport_stay(struct passport *passport)
{
    passport->_stays = true;
    passport->c2s->bind_wait = &passport->c2s;
}

void passport_return(struct user *user, struct passport *passport)
{
    if (passport->c2s)
        actor_when_ready(&user->actor, &passport->_parked);
    else
        passport_free(passport);
}

/* The account was removed after the login, or can't be loaded now. */
static void no_account(struct actor *actor, struct parked *parked)
{
    struct passport *passport = CONTAINER_OF(parked, struct passport, _parked);
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

static struct jid account_of(const struct c2s *c2s)
{
    return jid_make(str_from(c2s->local), str_from(c2s->host->name), str_of("", 0), &c2s->link.shard->arena);
}

static void wait_for_user(struct c2s *c2s, struct passport *passport)
{
    struct shard *shard = c2s->link.shard;
    struct jid jid = account_of(c2s);
    passport->c2s = c2s;
    passport->_parked = (struct parked){ .run = user_ready, .drop = no_account };
    c2s->bind_wait = &passport->c2s;
    if (c2s->anonymous && !user_awake(shard, jid.full))
        user_make_anonymous(shard, c2s->host, &jid);
    actor_when_ready(&user_wake(shard, c2s->host, &jid)->actor, &passport->_parked);
}

static void unpack(struct c2s *c2s, const struct passport *passport)
{
    scanner_fini(&c2s->scanner);
    c2s->scanner = passport->_scanner;
    c2s->in = passport->_in;
    c2s->lang = passport->_lang;
    c2s->local = passport->_local;
    c2s->sasl2 = passport->_sasl2;
    c2s->profile = passport->_profile;
    c2s->host = passport->_host;
    c2s->tries = passport->_tries;
    c2s->anonymous = passport->_anonymous;
    c2s->direct_tls = passport->_direct_tls;
    c2s->authenticated = c2s->header_sent = true;
}

static void arrive(struct shard *shard, struct shard_call *call)
{
    struct passport *passport = CONTAINER_OF(call, struct passport, _call);
    struct c2s *c2s = c2s_new(shard);
    unpack(c2s, passport);
    c2s->state = C2S_BINDING;
    c2s->busy = true;
    timer_start(shard->loop, &c2s->timer, c2s_config(c2s)->c2s.negotiation_ms);
    conn_attach(&c2s->conn, shard->loop, passport->_parcel, &c2s_events);
    conn_pause(&c2s->conn, true);
    if (shard->stopping) { /* it was on its way when the links here were closed */
        c2s_fail(c2s, STREAM_ERROR_SYSTEM_SHUTDOWN, NULL);
        passport_free(passport);
        return;
    }
    wait_for_user(c2s, passport);
}

/* ---- Where it came in
 * ------------------------------------------------------------------------------------------------ */

void c2s_depart(struct c2s *c2s)
{
    struct passport *passport = c2s->passport;
    passport->_host = c2s->host;
    passport->_scanner = c2s->scanner;
    passport->_in = c2s->in;
    passport->_lang = c2s->lang;
    passport->_local = c2s->local;
    passport->_sasl2 = c2s->sasl2;
    passport->_profile = c2s->profile;
    passport->_tries = c2s->tries;
    passport->_anonymous = c2s->anonymous;
    passport->_direct_tls = c2s->direct_tls;
    passport->_parcel = conn_detach(&c2s->conn);
    passport->_call.run = arrive;
    shard_post(server_home(c2s->link.shard->server, account_of(c2s).full), &passport->_call);
}

void c2s_go_home(struct c2s *c2s, struct passport *passport)
{
    struct shard *shard = c2s->link.shard;
    c2s->state = C2S_BINDING;
    c2s->busy = true;
    if (server_home(shard->server, account_of(c2s).full) == shard)
        wait_for_user(c2s, passport);
    else
        c2s->passport =
            passport; /* it leaves at the end of the event, when the bytes that follow are known */
}
