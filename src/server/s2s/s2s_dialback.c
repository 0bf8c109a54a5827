/* SPDX-License-Identifier: MIT */
/* Dialback (XEP-0220), in all three roles.
 *
 * Receiving (§2.2.1): a peer shows a key for a domain that it wants to speak for. If its certificate is good
 * for that domain there is nothing to ask; else the domain's home shard asks the server that DNS names (a
 * `verify` travels there and back, remote.c). Authoritative (§2.2.2): somebody asks about a key that is said
 * to be ours. Initiating (§2.1.1): the answers to our own keys.
 *
 * One stream may serve many pairs of domains, up to a limit. A request that can't be granted is answered with
 * an error of dialback, which leaves the stream alone; only a key that was found to be forged, on a stream on
 * which nothing else was proved, ends it. */
#include "server/s2s/s2s.h"

#include "base/log.h"
#include "server/s2s/remote.h"

#include <stdlib.h>

enum { VERIFYING_MAX = 10 };

static void reply(struct s2s *s2s, const struct dialback *request, enum dialback_type type,
                  enum stanza_error error)
{
    struct dialback answer = dialback_reply(request, type, error);
    s2s_write_dialback(s2s, &answer);
}

/* ---- Receiving */

static void ask_domain(struct s2s *s2s, const struct dialback *request)
{
    struct verify *verify = NEW(struct verify);
    verify->asker = s2s->link.shard;
    verify->ours = str_dup(request->to);
    verify->theirs = str_dup(request->from);
    verify->id = str_dup(str_from(s2s->id));
    verify->key = str_dup(request->key);
    s2s->verifying++;
    atomic_fetch_add(&s2s->link.shard->server->s2s_verifications, 1);
    remote_verify(verify);
}

/* What stands against this request: STANZA_ERROR_NONE if nothing does. */
static enum stanza_error objection(struct s2s *s2s, const struct dialback *request)
{
    const struct server *server = s2s->link.shard->server;
    const struct config_s2s *config = &s2s_config(s2s)->s2s;
    struct s2s_policy policy = s2s_policy_for(s2s_config(s2s), request->from);
    if (!s2s_is_ours(server, request->to))
        return STANZA_ERROR_ITEM_NOT_FOUND;
    if (policy.refused)
        return STANZA_ERROR_POLICY_VIOLATION;
    if (s2s_is_ours(server, request->from))
        return STANZA_ERROR_FORBIDDEN; /* nobody else speaks for us */
    if (policy.require_tls && !conn_is_secure(&s2s->conn))
        return STANZA_ERROR_POLICY_VIOLATION;
    if (s2s->proof_count + s2s->verifying >= config->max_pairs || s2s->verifying >= VERIFYING_MAX ||
        atomic_load(&server->s2s_verifications) >= config->max_verifications)
        return STANZA_ERROR_RESOURCE_CONSTRAINT;
    return STANZA_ERROR_NONE;
}

static void grant(struct s2s *s2s, const struct dialback *request)
{
    if (!s2s_admit(s2s, request->from))
        return;
    s2s_prove(s2s, request->from, request->to);
    reply(s2s, request, DIALBACK_VALID, STANZA_ERROR_NONE);
    s2s_in_bidi(s2s, request->from, request->to);
}

static void authorize(struct s2s *s2s, const struct dialback *request)
{
    enum stanza_error error = objection(s2s, request);
    const char *why;
    if (error != STANZA_ERROR_NONE)
        reply(s2s, request, DIALBACK_ERROR, error);
    else if (s2s_is_proven(s2s, request->from, request->to))
        reply(s2s, request, DIALBACK_VALID, STANZA_ERROR_NONE);
    else if (s2s_is_certified(s2s, request->from, &why))
        grant(s2s, request);
    else if (!s2s_policy_for(s2s_config(s2s), request->from).dialback)
        reply(s2s, request, DIALBACK_ERROR, STANZA_ERROR_NOT_AUTHORIZED);
    else
        ask_domain(s2s, request);
}

static void refuse(struct s2s *s2s, const struct dialback *request)
{
    log_warn(s2s, "somebody showed a forged dialback key for %.*s", STR_ARGS(request->from));
    s2s->link.shard->counters.s2s_refused++;
    if (s2s->proof_count) {
        reply(s2s, request, DIALBACK_ERROR, STANZA_ERROR_FORBIDDEN);
        return;
    }
    reply(s2s, request, DIALBACK_INVALID, STANZA_ERROR_NONE);
    s2s_end(s2s);
}

void s2s_verified(struct shard *shard, struct verify *verify)
{
    struct map_node *node = map_get(&shard->s2s_ids, str_from(verify->id));
    atomic_fetch_sub(&shard->server->s2s_verifications, 1);
    struct s2s *s2s = MAP_ITEM(node, struct s2s, _by_id);
    const struct dialback request = { .kind = DIALBACK_RESULT,
                                      .from = str_from(verify->theirs),
                                      .to = str_from(verify->ours) };
    if (s2s && s2s->state == S2S_OPEN) {
        s2s->verifying--;
        if (verify->type == DIALBACK_VALID)
            grant(s2s, &request);
        else if (verify->type == DIALBACK_INVALID)
            refuse(s2s, &request);
        else
            reply(s2s, &request, DIALBACK_ERROR, verify->error);
        if (s2s->moving)
            s2s_in_leave(s2s);
    }
    verify_free(verify);
}

/* ---- Authoritative */

static void vouch(struct s2s *s2s, const struct dialback *request)
{
    struct server *server = s2s->link.shard->server;
    struct s2s_policy policy = s2s_policy_for(server->config, request->from);
    s2s->vouched = true;
    if (!s2s_is_ours(server, request->to))
        reply(s2s, request, DIALBACK_ERROR, STANZA_ERROR_ITEM_NOT_FOUND);
    else if (policy.refused || (policy.require_tls && !conn_is_secure(&s2s->conn)))
        reply(s2s, request, DIALBACK_ERROR, STANZA_ERROR_POLICY_VIOLATION);
    else if (dialback_key_is(str_from(server->dialback_secret), request->from, request->to, request->id,
                             request->key))
        reply(s2s, request, DIALBACK_VALID, STANZA_ERROR_NONE);
    else
        reply(s2s, request, DIALBACK_INVALID, STANZA_ERROR_NONE);
}

/* ---- Initiating */

static struct pair *asking_pair(struct s2s *s2s, const struct dialback *answer)
{
    list_each (at, &s2s->asking) {
        struct pair *pair = LIST_ITEM(at, struct pair, _asking);
        if (str_eq(str_from(pair->remote->domain), answer->from) && str_eq(str_from(pair->ours), answer->to))
            return pair;
    }
    return NULL;
}

static void answered(struct s2s *s2s, const struct dialback *answer)
{
    struct pair *pair = asking_pair(s2s, answer);
    if (!pair)
        return; /* an answer to nothing that was asked here (§3.1) */
    list_remove(&pair->_asking);
    pair->asking = NULL;
    pair->held_back = false;
    log_debug(s2s, "dialback from %s to %s: %s", pair->ours, pair->remote->domain,
              answer->type == DIALBACK_VALID   ? "valid"
              : answer->type == DIALBACK_ERROR ? stanza_error_name(answer->error)
                                               : "invalid");
    if (answer->type == DIALBACK_VALID)
        pair_may_send(pair, s2s);
    else if (answer->type == DIALBACK_INVALID)
        pair_refused(pair, STANZA_ERROR_INTERNAL_SERVER_ERROR, "the other server found our key invalid");
    else
        pair_refused(pair, STANZA_ERROR_REMOTE_SERVER_TIMEOUT, "the other server could not check who we are");
}

static void dialback_element(struct s2s *s2s, const struct dialback *dialback)
{
    if (dialback->kind == DIALBACK_VERIFY && dialback->type == DIALBACK_REQUEST)
        vouch(s2s, dialback);
    else if (dialback->kind == DIALBACK_VERIFY && s2s->pair)
        remote_verified(s2s->pair->remote, dialback);
    else if (dialback->kind == DIALBACK_RESULT && dialback->type != DIALBACK_REQUEST)
        answered(s2s, dialback);
    else if (dialback->kind == DIALBACK_RESULT && !s2s->outgoing)
        authorize(s2s, dialback);
    else if (dialback->kind == DIALBACK_RESULT)
        reply(s2s, dialback, DIALBACK_ERROR, STANZA_ERROR_NOT_ALLOWED);
}

bool s2s_dialback_must_ask(struct s2s *s2s, const struct xml_node *node)
{
    struct dialback dialback;
    return dialback_read(node, &s2s->link.shard->arena, &dialback) == DIALBACK_OK &&
           dialback.kind == DIALBACK_RESULT && dialback.type == DIALBACK_REQUEST &&
           s2s_is_ours(s2s->link.shard->server, dialback.to) &&
           !s2s_is_proven(s2s, dialback.from, dialback.to) && s2s_must_ask(s2s, dialback.from);
}

bool s2s_dialback(struct s2s *s2s, const struct xml_node *node)
{
    struct dialback dialback;
    switch (dialback_read(node, &s2s->link.shard->arena, &dialback)) {
    case DIALBACK_OTHER:
        return false;
    case DIALBACK_BAD_ADDRESS:
        s2s_fail(s2s, STREAM_ERROR_IMPROPER_ADDRESSING, NULL);
        return true;
    case DIALBACK_BAD_FORM:
        s2s_fail(s2s, STREAM_ERROR_BAD_FORMAT, NULL);
        return true;
    case DIALBACK_OK:
        break;
    }
    dialback_element(s2s, &dialback);
    return true;
}
