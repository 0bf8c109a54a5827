/* SPDX-License-Identifier: MIT */
/* The receiving end of a stream between servers: its header and features, STARTTLS, SASL EXTERNAL by
 * certificate (XEP-0178 §3), and the use of the stream in both directions (XEP-0288).
 *
 * EXTERNAL is offered when the peer's certificate is good for the domain that its header names; what it
 * proves holds towards all of our hosts. A peer that wants the stream to serve both directions is moved to
 * the home shard of its domain as soon as it has proved it, because there is what we have to send. */
#include "server/s2s/s2s.h"

#include "base/base64.h"
#include "base/log.h"
#include "server/s2s/remote.h"
#include "server/s2s/s2s_sm.h"
#include "server/sm/sm.h"
#include "xmpp/ns.h"

#include <stdlib.h>

enum { MINUTE_S = 60, ARRIVALS_AT_ONCE = 10, ARRIVALS_BURST_S = 2 };

/* ---- A new connection
 * --------------------------------------------------------------------------------------------- */

static struct tls_context *context_for_direct_tls(struct server *server)
{
    for (size_t i = 0; i < server->host_count; i++)
        if (server->host_list[i]->s2s_in_tls)
            return server->host_list[i]->s2s_in_tls;
    return NULL;
}

/* A tarpit: the gate refuses whoever comes too often within a minute; but each that is let in costs a
 * handshake, so they are served at that rate, and few at once. The others wait, as many as the gate allows.
 */
static uint64_t haste_ms(struct shard *shard, uint64_t mark)
{
    uint32_t rate = shard->server->config->addresses.rate;
    if (!mark)
        return 0;
    uint64_t burst = ARRIVALS_AT_ONCE * MINUTE_S + (uint64_t)rate * ARRIVALS_BURST_S;
    return share_take(&shard->server->s2s_arrivals, mark, MINUTE_S, rate, burst, loop_now_us(shard->loop));
}

void s2s_accept(struct shard *shard, struct socket *socket, bool direct_tls)
{
    struct server *server = shard->server;
    struct tls_context *tls = direct_tls ? context_for_direct_tls(server) : NULL;
    uint64_t mark;
    if (atomic_load(&server->s2s_connections) >= server->config->s2s.max_connections ||
        (direct_tls && !tls) || shard->stopping) {
        shard->counters.refused++;
        socket_close(socket);
        return;
    }
    if (!gate_enter(shard, socket, direct_tls ? NULL : NS_SERVER, &mark))
        return;
    struct s2s *s2s = s2s_new(shard, socket, false, direct_tls);
    conn_set_mark(&s2s->conn, mark);
    s2s->stranger = true;
    atomic_fetch_add(&server->s2s_strangers, 1);
    if (direct_tls) {
        s2s->state = S2S_SECURING;
        conn_start_tls(&s2s->conn, tls, NULL, "xmpp-server");
    }
    s2s_slow_down(s2s, haste_ms(shard, mark));
}

/* ---- Header and features
 * ------------------------------------------------------------------------------------------ */

static void write_features(struct s2s *s2s, const struct s2s_policy *policy)
{
    const struct config *config = s2s_config(s2s);
    struct buf *out = conn_out(&s2s->conn);
    bool secure = conn_is_secure(&s2s->conn);
    buf_lit(out, "<stream:features>");
    if (!secure && s2s_tls_host(s2s->link.shard->server, str_from(s2s->ours))->s2s_in_tls)
        buf_add(out, policy->require_tls ? STR("<starttls xmlns='" NS_TLS "'><required/></starttls>")
                                         : STR("<starttls xmlns='" NS_TLS "'/>"));
    if (secure && s2s->certified && !s2s->authenticated)
        buf_lit(out, "<mechanisms xmlns='" NS_SASL "'><mechanism>EXTERNAL</mechanism></mechanisms>");
    if ((secure || !policy->require_tls) && config->s2s.dialback)
        buf_lit(out, "<dialback xmlns='" NS_DIALBACK_FEATURE "'><errors/></dialback>");
    if ((secure || !policy->require_tls) && config->s2s.bidi && !s2s->authenticated)
        buf_lit(out, "<bidi xmlns='" NS_BIDI_FEATURE "'/>");
    if ((secure || !policy->require_tls) && config->s2s.sm)
        buf_lit(out, "<sm xmlns='" NS_SM "'/>");
    buf_addf(out, "<limits xmlns='" NS_STREAM_LIMITS "'><max-bytes>%u</max-bytes></limits></stream:features>",
             config->limits.stanza_after); /* XEP-0478 */
    conn_wrote(&s2s->conn);
}

/* Both domains are fixed by the first header that names them. */
static enum stream_error take_domains(struct s2s *s2s, const struct stream_header *header)
{
    if (jid_is_none(&header->to) || !s2s_is_ours(s2s->link.shard->server, header->to.full) ||
        (s2s->authenticated && !str_eq(str_from(s2s->ours), header->to.full)))
        return STREAM_ERROR_HOST_UNKNOWN;
    free(s2s->ours);
    s2s->ours = str_dup(header->to.full);
    if (jid_is_none(&header->from))
        return s2s->authenticated ? STREAM_ERROR_INVALID_FROM : STREAM_ERROR_NONE;
    if (s2s->authenticated && !str_eq(str_from(s2s->domain), header->from.full))
        return STREAM_ERROR_INVALID_FROM;
    free(s2s->domain);
    s2s->domain = str_dup(header->from.full);
    return STREAM_ERROR_NONE;
}

void s2s_in_opened(struct s2s *s2s, const struct stream_header *header)
{
    enum stream_error error = take_domains(s2s, header);
    if (error == STREAM_ERROR_NONE && s2s->stranger && s2s->link.shard->server->is_short_of_memory) {
        s2s->link.shard->counters.refused_memory++;
        error = STREAM_ERROR_RESOURCE_CONSTRAINT;
    }
    s2s_send_header(s2s);
    if (error != STREAM_ERROR_NONE) {
        s2s_fail(s2s, error, NULL);
        return;
    }
    struct s2s_policy policy = s2s_policy_for(s2s_config(s2s), str_from(s2s->domain));
    if (s2s->domain && policy.refused) {
        s2s_fail(s2s, STREAM_ERROR_POLICY_VIOLATION, "this domain is not served here");
        return;
    }
    if (header->is_old && policy.require_tls && !conn_is_secure(&s2s->conn)) {
        s2s_fail(s2s, STREAM_ERROR_UNSUPPORTED_VERSION, "TLS is required");
        return;
    }
    if (header->is_old || !s2s->domain || !s2s_must_ask(s2s, str_from(s2s->domain)))
        s2s_in_ready(s2s, header->is_old);
}

void s2s_in_ready(struct s2s *s2s, bool is_old)
{
    struct s2s_policy policy = s2s_policy_for(s2s_config(s2s), str_from(s2s->domain));
    if (conn_is_secure(&s2s->conn))
        s2s_certify(s2s);
    s2s->state = S2S_OPEN;
    if (!is_old)
        write_features(s2s, &policy);
    if (s2s->authenticated)
        s2s_in_bidi(s2s, str_from(s2s->domain), str_from(s2s->ours));
}

/* ---- Elements
 * ----------------------------------------------------------------------------------------------------- */

static void start_tls(struct s2s *s2s)
{
    if (conn_is_secure(&s2s->conn) || s2s->proof_count ||
        !s2s_tls_host(s2s->link.shard->server, str_from(s2s->ours))->s2s_in_tls) {
        conn_write(&s2s->conn, STR("<failure xmlns='" NS_TLS "'/>")); /* RFC 6120 §5.4.2.2 */
        s2s_end(s2s);
        return;
    }
    conn_write(&s2s->conn, STR("<proceed xmlns='" NS_TLS "'/>"));
    s2s_start_tls(s2s);
}

/* The authorization identity, if there is one, must be the domain that the header named (XEP-0178 §3). */
static bool names_itself(struct s2s *s2s, const struct xml_node *auth)
{
    struct arena *arena = &s2s->link.shard->arena;
    str text = str_trim(xml_text(auth, arena)), bytes, domain;
    if (!text.len || str_is(text, "="))
        return true;
    return base64_decode(arena, text, &bytes) && jid_prepare_domain(bytes, arena, &domain) == OK &&
           str_eq(domain, str_from(s2s->domain));
}

static void refuse(struct s2s *s2s, const char *condition)
{
    s2s->link.shard->counters.s2s_refused++;
    buf_addf(conn_out(&s2s->conn), "<failure xmlns='" NS_SASL "'><%s/></failure>", condition);
    conn_wrote(&s2s->conn);
    s2s_end(s2s);
}

static void authenticate(struct s2s *s2s, const struct xml_node *auth)
{
    struct arena *arena = &s2s->link.shard->arena;
    if (!str_is(xml_attr(auth, STR("mechanism"), arena), "EXTERNAL")) {
        refuse(s2s, "invalid-mechanism");
        return;
    }
    if (!s2s->certified || s2s->authenticated) {
        refuse(s2s, "not-authorized");
        return;
    }
    if (!names_itself(s2s, auth)) {
        refuse(s2s, "invalid-authzid");
        return;
    }
    if (!s2s_admit(s2s, str_from(s2s->domain)))
        return;
    conn_write(&s2s->conn, STR("<success xmlns='" NS_SASL "'/>"));
    s2s_restart(s2s);
    s2s->authenticated = true;
    s2s_prove(s2s, str_from(s2s->domain), str_none);
}

void s2s_in_element(struct s2s *s2s, const struct xml_node *node)
{
    if (s2s->state != S2S_OPEN)
        return;
    if (xml_is(node, STR("starttls"), STR(NS_TLS)))
        start_tls(s2s);
    else if (xml_is(node, STR("auth"), STR(NS_SASL)))
        authenticate(s2s, node);
    else if (xml_is(node, STR("bidi"), STR(NS_BIDI)))
        s2s->bidi = s2s_config(s2s)->s2s.bidi;
    else
        s2s_fail(s2s, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, NULL);
}

/* ---- Both directions
 * ---------------------------------------------------------------------------------------------- */

/* Not before it is known what an older stream has brought, or what is new would overtake the rest. */
static void use(struct s2s *s2s, str theirs, str ours)
{
    struct pair *pair = remote_pair(s2s->link.shard, ours, theirs);
    if (!pair || pair->sending)
        return;
    s2s->bidi_late = s2s_sm_holds_back(pair) || s2s_sm_is_ours_to_resume(pair);
    if (!s2s->bidi_late)
        pair_may_send(pair, s2s);
}

void s2s_in_offer(struct pair *pair)
{
    str theirs = str_from(pair->remote->domain), ours = str_from(pair->ours);
    list_each (at, &pair->remote->shard->s2s_links) {
        struct s2s *s2s = S2S_OF(LIST_ITEM(at, struct link, _in_shard));
        if (s2s->bidi_late && !s2s_is_over(s2s) && str_eq(str_from(s2s->domain), theirs) &&
            str_eq(str_from(s2s->ours), ours))
            use(s2s, theirs, ours);
    }
}

void s2s_in_begun(struct s2s *s2s)
{
    if (!s2s->bidi_due || s2s_is_over(s2s))
        return;
    s2s->bidi_due = false;
    use(s2s, str_from(s2s->domain), str_from(s2s->ours));
}

void s2s_in_bidi(struct s2s *s2s, str theirs, str ours)
{
    struct shard *home = server_home(s2s->link.shard->server, theirs);
    bool has_sm = s2s_config(s2s)->s2s.sm;
    if (s2s_is_over(s2s) || s2s_policy_for(s2s_config(s2s), theirs).refused)
        return;
    if (home != s2s->link.shard) {
        if ((s2s->bidi || has_sm) && s2s->proof_count == 1 && !s2s->verifying && !s2s->sm &&
            list_empty(&s2s->senders))
            s2s->moving = home;
    } else if (s2s->bidi && has_sm && s2s->proof_count == 1 && !s2s->sm) {
        s2s->bidi_due = true;
    } else if (s2s->bidi) {
        use(s2s, theirs, ours);
    }
}

static void arrived(struct mail *mail)
{
    struct s2s *s2s = CONTAINER_OF(mail, struct s2s, mail);
    struct shard *shard = s2s->link.shard = s2s->moving;
    struct proof *proof = LIST_ITEM(s2s->proofs.next, struct proof, link);
    s2s->moving = NULL;
    shard_enter(shard);
    /* what has come already waits in the parcel or in `in`, and the layer tells of it when it is attached */
    conn_attach(&s2s->conn, shard->loop, s2s->parcel, &s2s_events);
    s2s->parcel = NULL;
    list_append(&shard->s2s_links, &s2s->link._in_shard);
    if (*s2s->id)
        map_put(&shard->s2s_ids, &s2s->_by_id);
    s2s_established(s2s);
    s2s_in_bidi(s2s, str_from(proof->theirs), str_from(proof->ours ? proof->ours : s2s->ours));
    if (shard->stopping)
        s2s_end(s2s);
    s2s_go_on(s2s);
    shard_leave(shard);
}

void s2s_in_leave(struct s2s *s2s)
{
    if (s2s_is_over(s2s)) {
        s2s->moving = NULL;
        return;
    }
    struct shard *shard = s2s->link.shard;
    s2s_stop_waiting(s2s);
    list_remove(&s2s->link._in_shard);
    if (*s2s->id)
        map_remove(&shard->s2s_ids, &s2s->_by_id);
    s2s->parcel = conn_detach(&s2s->conn);
    s2s->mail.deliver = arrived;
    loop_post(s2s->moving->loop, &s2s->mail);
}
