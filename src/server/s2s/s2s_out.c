/* SPDX-License-Identifier: MIT */
/* The initiating end of a stream between servers. What to do next says xmpp/peer.c; here it is done, and its
 * end told to the pair that wants to send (remote.c).
 *
 * The stream is open when it is as secure as it can get and what is left is to prove ourselves by dialback:
 * then it also carries questions about keys that others have shown us. After SASL EXTERNAL it is open too,
 * and the pair may send at once. */
#include "server/s2s/s2s.h"

#include "base/base64.h"
#include "base/log.h"
#include "server/s2s/remote.h"
#include "xmpp/ns.h"

#include <stdlib.h>

struct s2s *s2s_open(struct pair *pair, struct socket *socket, bool direct_tls)
{
    struct s2s *s2s = s2s_new(pair->remote->shard, socket, true, direct_tls);
    s2s->pair = pair;
    pair->own = s2s;
    s2s->ours = str_dup(str_from(pair->ours));
    s2s->domain = str_dup(str_from(pair->remote->domain));
    const struct dns_target *target = dns_target_of(&pair->lookup, pair->endpoint);
    if (target && target->expected_count)
        s2s->target = str_dup(str_from(target->name));
    if (!direct_tls)
        s2s_send_header(s2s);
    else if (s2s_tls_host(s2s->link.shard->server, str_from(s2s->ours))->s2s_out_tls)
        s2s_start_tls(s2s);
    else
        s2s_end(s2s);
    return s2s;
}

/* Gives up: the pair tries elsewhere, or tells its senders why. */
static void give_up(struct s2s *s2s, const char *why)
{
    log_info(s2s, "no stream with %s: %s", s2s->domain, why);
    s2s_fail(s2s, STREAM_ERROR_POLICY_VIOLATION, why);
}

static void write_bidi(struct s2s *s2s)
{
    if (!s2s->features.bidi || !s2s_config(s2s)->s2s.bidi || s2s->bidi)
        return;
    conn_write(&s2s->conn, STR("<bidi xmlns='" NS_BIDI "'/>"));
    s2s->bidi = true;
}

static void authenticate(struct s2s *s2s)
{
    write_bidi(s2s);
    struct buf *out = conn_out(&s2s->conn);
    buf_lit(out, "<auth xmlns='" NS_SASL "' mechanism='EXTERNAL'>");
    base64_encode(out, str_from(s2s->ours));
    buf_lit(out, "</auth>");
    conn_wrote(&s2s->conn);
    s2s->state = S2S_AUTHENTICATING;
}

/* That the peer is who it should be is known by its certificate, or, as with dialback, by DNS alone. */
void s2s_out_proven(struct s2s *s2s, str ours)
{
    bool trusted = s2s->certified || s2s_policy_for(s2s_config(s2s), str_from(s2s->domain)).dialback;
    s2s_established(s2s);
    if (s2s->bidi && trusted && !s2s_is_proven(s2s, str_from(s2s->domain), ours))
        s2s_prove(s2s, str_from(s2s->domain), ours);
}

static void opened(struct s2s *s2s, bool ready)
{
    s2s->state = S2S_OPEN;
    if (!ready)
        write_bidi(s2s);
    if (s2s->pair && ready)
        pair_may_send(s2s->pair, s2s);
    if (s2s->pair)
        pair_open(s2s->pair);
}

static void next_move(struct s2s *s2s)
{
    struct host *tls_host = s2s_tls_host(s2s->link.shard->server, str_from(s2s->ours));
    struct s2s_policy policy = s2s_policy_for(s2s_config(s2s), str_from(s2s->domain));
    const struct peer_standing standing = {
        .secure = conn_is_secure(&s2s->conn),
        .authenticated = s2s->authenticated,
        .can_tls = tls_host->s2s_out_tls != NULL,
        .require_tls = policy.require_tls || s2s->target, /* RFC 7673 §3.4 */
        .may_external = tls_host->s2s_in_tls && !s2s->external_failed && !s2s->pair->no_external,
        .may_dialback = s2s_config(s2s)->s2s.dialback,
        .header_dialback = s2s->header_dialback,
    };
    enum peer_move move = peer_next(&s2s->features, &standing);
    log_debug(s2s, "%s to %s: %s", s2s->ours, s2s->domain, peer_move_name(move));
    switch (move) {
    case PEER_STARTTLS:
        conn_write(&s2s->conn, STR("<starttls xmlns='" NS_TLS "'/>"));
        s2s->state = S2S_STARTING_TLS;
        return;
    case PEER_EXTERNAL:
        authenticate(s2s);
        return;
    case PEER_DIALBACK:
    case PEER_READY:
        opened(s2s, move == PEER_READY);
        return;
    case PEER_NO_TLS:
        give_up(s2s, "the other server has no TLS");
        return;
    case PEER_NO_WAY:
        give_up(s2s, "the other server takes neither our certificate nor dialback");
        return;
    }
}

static void take_features(struct s2s *s2s, const struct peer_features *features)
{
    struct s2s_policy policy = s2s_policy_for(s2s_config(s2s), str_from(s2s->domain));
    s2s->features = *features;
    if (conn_is_secure(&s2s->conn))
        s2s_certify(s2s);
    if (conn_peer_dane(&s2s->conn) == TLS_DANE_FAILED)
        give_up(s2s, "the other server's certificate is not the one that DNS names");
    else if (conn_is_secure(&s2s->conn) && policy.require_certificate && !s2s->certified)
        give_up(s2s, "the other server's certificate is not trusted");
    else
        next_move(s2s);
}

void s2s_out_opened(struct s2s *s2s, const struct stream_header *header)
{
    const struct peer_features none = { .is_old = true };
    if (!jid_is_none(&header->from) && !str_eq(header->from.full, str_from(s2s->domain))) {
        s2s_fail(s2s, STREAM_ERROR_INVALID_FROM, NULL);
        return;
    }
    free(s2s->id);
    s2s->id = str_dup(header->id.p ? header->id : STR(""));
    s2s->header_dialback = header->has_dialback;
    s2s->state = S2S_FEATURES;
    if (header->is_old)
        take_features(s2s, &none);
}

static void sasl_failed(struct s2s *s2s)
{
    log_info(s2s, "%s does not take our certificate for %s", s2s->domain, s2s->ours);
    s2s->external_failed = true;
    s2s->pair->no_external = s2s->pair->try_again = true; /* if the peer ends the stream now, as it may */
    next_move(s2s);
}

void s2s_out_element(struct s2s *s2s, const struct xml_node *node)
{
    struct arena *arena = &s2s->link.shard->arena;
    if (s2s->state == S2S_FEATURES && xml_is(node, STR("features"), STR(NS_STREAMS))) {
        struct peer_features features = peer_features_read(node, arena);
        take_features(s2s, &features);
    } else if (s2s->state == S2S_STARTING_TLS && xml_is(node, STR("proceed"), STR(NS_TLS))) {
        s2s_start_tls(s2s);
    } else if (s2s->state == S2S_STARTING_TLS && xml_is(node, STR("failure"), STR(NS_TLS))) {
        give_up(s2s,
                s2s->features.starttls ? "the other server's TLS failed" : "the other server has no TLS");
    } else if (s2s->state == S2S_AUTHENTICATING && xml_is(node, STR("success"), STR(NS_SASL))) {
        s2s->authenticated = true;
        s2s_restart(s2s);
        s2s_send_header(s2s);
    } else if (s2s->state == S2S_AUTHENTICATING && xml_is(node, STR("failure"), STR(NS_SASL))) {
        sasl_failed(s2s);
    } else {
        s2s_fail(s2s, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
    }
}

void s2s_ask(struct s2s *s2s, struct pair *pair)
{
    struct server *server = s2s->link.shard->server;
    char key[DIALBACK_KEY_SIZE];
    struct dialback request = { .kind = DIALBACK_RESULT,
                                .from = str_from(pair->ours),
                                .to = str_from(pair->remote->domain) };
    dialback_key(str_from(server->dialback_secret), request.to, request.from, str_from(s2s->id), key);
    request.key = str_from(key);
    list_append(&s2s->asking, &pair->_asking);
    pair->asking = s2s;
    s2s_write_dialback(s2s, &request);
    mem_wipe(key, sizeof key);
}
