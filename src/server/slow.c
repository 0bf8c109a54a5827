/* SPDX-License-Identifier: MIT */
/* A session has memory for this only while it is slowed down: a timer, at whose end the link goes on. The
 * link itself knows one thing, that it has to wait (link->waiting), as when the user is busy or the store has
 * fallen behind; whoever is first to end his own wait makes it try, and it waits on if another reason
 * remains.
 *
 * Not here: who is too fast. That is for those to say who know what it costs. */
#include "server/slow.h"

#include "server/session.h"
#include "server/user/user.h"

#include <stdlib.h>

enum { CAREFUL_STANZAS = 100 };

struct slow {
    struct timer timer;
    struct session *session;
};

struct slow_call {
    struct shard_call call;
    uint32_t ms;
    struct jid who;
    char text[];
};

bool slow_waits(const struct session *session)
{
    return session->slow != NULL;
}

void slow_free(struct session *session)
{
    if (!session->slow)
        return;
    timer_stop(&session->slow->timer);
    free(session->slow);
    session->slow = NULL;
}

static void over(struct timer *timer)
{
    struct session *session = CONTAINER_OF(timer, struct slow, timer)->session;
    struct shard *shard = session->user->actor.shard;
    shard_enter(shard);
    slow_free(session);
    session_go_on(session);
    shard_leave(shard);
}

static void begin(struct shard *shard, struct session *session, uint32_t ms)
{
    if (session->slow)
        return;
    shard->counters.slowed++;
    if (session->link)
        session->link->careful = CAREFUL_STANZAS;
    session->slow = NEW(struct slow);
    session->slow->session = session;
    session->slow->timer.fired = over;
    timer_start(shard->loop, &session->slow->timer, ms);
}

static void begin_for(struct shard *shard, const struct jid *who, uint32_t ms)
{
    struct user *user = user_awake(shard, jid_bare(who));
    struct session *session = user ? session_find(user, jid_resource(who)) : NULL;
    if (session && !session->closing)
        begin(shard, session, ms);
}

static void run(struct shard *shard, struct shard_call *call)
{
    struct slow_call *slow = CONTAINER_OF(call, struct slow_call, call);
    begin_for(shard, &slow->who, slow->ms);
    free(slow);
}

void slow_session(struct session *session, uint32_t ms)
{
    if (!session->closing)
        begin(session->user->actor.shard, session, ms);
}

void slow_down(struct shard *shard, const struct jid *who, uint32_t ms)
{
    struct server *server = shard->server;
    struct host *host = server_domain(server, jid_domain(who));
    if (!host || host->service || !who->local_len || !ms)
        return;
    if (ms > SLOW_MS_MAX)
        ms = SLOW_MS_MAX;
    if (server_home(server, jid_bare(who)) == shard) {
        begin_for(shard, who, ms);
        return;
    }
    struct slow_call *slow = xcalloc(1, sizeof *slow + who->full.len);
    memcpy(slow->text, who->full.p, who->full.len);
    slow->who = *who;
    slow->who.full.p = slow->text;
    slow->ms = ms;
    slow->call.run = run;
    shard_post(server_home(server, jid_bare(who)), &slow->call);
}
