/* SPDX-License-Identifier: MIT */
/* Stream features (RFC 6120 §4.3.2) in the order of XEP-0170: TLS, then SASL, then binding, compression
 * and what the extensions add. */
#include "server/c2s/c2s_auth.h"
#include "server/ext.h"
#include "xmpp/ns.h"

static bool is_bound_mechanism(enum sasl_mechanism mechanism)
{
    return mechanism <= SASL_SCRAM_SHA_1_PLUS;
}

/* The administrator's choice. */
static bool is_wanted(const struct config *config, enum sasl_mechanism mechanism)
{
    const struct config_list *wanted = &config->c2s.mechanisms;
    for (size_t i = 0; i < wanted->count; i++)
        if (!strcmp(wanted->items[i], sasl_mechanism_name(mechanism)))
            return true;
    return !wanted->count;
}

static bool is_offered(struct c2s *c2s, enum sasl_mechanism mechanism, bool can_bind, bool has_certificate)
{
    const struct config *config = c2s_config(c2s);
    bool secure = conn_is_secure(&c2s->conn);
    if (!is_wanted(config, mechanism))
        return false;
    if (is_bound_mechanism(mechanism))
        return can_bind;
    if (sasl_is_token(mechanism)) /* XEP-0484 §3.1: offered apart */
        return false;
    switch (mechanism) {
    case SASL_PLAIN:
        return config->c2s.allow_plain && (secure || config->c2s.insecure_login);
    case SASL_EXTERNAL:
        return has_certificate;
    case SASL_ANONYMOUS:
        return c2s->host->config->anonymous;
    default:
        return secure || config->c2s.insecure_login || !config->c2s.require_tls;
    }
}

size_t c2s_binding_types(struct c2s *c2s, const char **names)
{
    static const struct {
        enum channel_binding kind;
        const char *name;
    } kinds[] = { { BINDING_TLS_EXPORTER, "tls-exporter" },
                  { BINDING_TLS_SERVER_END_POINT, "tls-server-end-point" },
                  { BINDING_TLS_UNIQUE, "tls-unique" } };
    size_t count = 0;
    for (size_t i = 0; conn_is_secure(&c2s->conn) && i < COUNT_OF(kinds); i++)
        if (conn_has_channel_binding(&c2s->conn, kinds[i].kind))
            names[count++] = kinds[i].name;
    return count;
}

void c2s_offer(struct c2s *c2s, struct arena *arena, const char **names, size_t *ret_count)
{
    const char *types[3];
    size_t addresses = 0, count = 0;
    bool can_bind = c2s_binding_types(c2s, types) > 0;
    if (conn_is_secure(&c2s->conn))
        conn_client_addresses(&c2s->conn, arena, &addresses);
    for (enum sasl_mechanism mechanism = 0; mechanism < SASL_MECHANISM_COUNT; mechanism++)
        if (is_offered(c2s, mechanism, can_bind, addresses > 0))
            names[count++] = sasl_mechanism_name(mechanism);
    *ret_count = count;
}

static void write_mechanisms(const char **names, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "<mechanism>%s</mechanism>", names[i]);
}

/* What can be had with a binding; resumption is there if stream management is (XEP-0198 §8). */
static void write_bind2(struct c2s *c2s, struct buf *out)
{
    const struct ext *const *all = c2s->link.shard->server->extensions;
    bool resumes = false;
    buf_lit(out, "<bind xmlns='" NS_BIND2 "'><inline>");
    for (; *all; all++) {
        for (const struct ext_bind2 *row = (*all)->bind2; row && row->handle; row++) {
            if (!row->feature || !ext_is_on(c2s->host, *all))
                continue;
            buf_addf(out, "<feature var='%s'/>", row->feature);
            resumes |= !strcmp(row->feature, NS_SM);
        }
    }
    buf_lit(out, "</inline></bind>");
    if (resumes)
        buf_lit(out, "<sm xmlns='" NS_SM "'/>");
}

/* XEP-0388 §2.1: the same for everybody. */
static void write_sasl2(struct c2s *c2s, const char **names, size_t count, struct buf *out)
{
    const char *tokens[SASL_MECHANISM_COUNT];
    buf_lit(out, "<authentication xmlns='" NS_SASL2 "'>");
    write_mechanisms(names, count, out);
    buf_lit(out, "<inline>");
    write_bind2(c2s, out);
    size_t token_count = c2s_fast_offer(c2s, tokens);
    if (token_count) {
        buf_lit(out, "<fast xmlns='" NS_FAST "'>");
        write_mechanisms(tokens, token_count, out);
        buf_lit(out, "</fast>");
    }
    buf_lit(out, "</inline>");
    for (size_t i = 0; i < count; i++)
        if (!strcmp(names[i], "SCRAM-SHA-256") || !strcmp(names[i], "SCRAM-SHA-512"))
            buf_addf(out, "<upgrade xmlns='" NS_UPGRADE "'>UPGR-%s</upgrade>", names[i]);
    buf_lit(out, "</authentication>");
}

static void write_sasl(struct c2s *c2s, struct buf *out)
{
    struct arena *arena = &c2s->link.shard->arena;
    const char *names[SASL_MECHANISM_COUNT], *types[3];
    size_t count;
    c2s_offer(c2s, arena, names, &count);
    if (!count)
        return;
    buf_lit(out, "<mechanisms xmlns='" NS_SASL "'>");
    write_mechanisms(names, count, out);
    buf_lit(out, "</mechanisms>");
    write_sasl2(c2s, names, count, out);
    count = c2s_binding_types(c2s, types); /* XEP-0440 */
    if (!count)
        return;
    buf_lit(out, "<sasl-channel-binding xmlns='" NS_CHANNEL_BINDING "'>");
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "<channel-binding type='%s'/>", types[i]);
    buf_lit(out, "</sasl-channel-binding>");
}

static void write_negotiation(struct c2s *c2s, struct buf *out)
{
    bool secure = conn_is_secure(&c2s->conn);
    bool required = c2s_config(c2s)->c2s.require_tls;
    if (!secure && c2s->host->tls)
        buf_add(out, required ? STR("<starttls xmlns='" NS_TLS "'><required/></starttls>")
                              : STR("<starttls xmlns='" NS_TLS "'/>"));
    if (!secure && required)
        return;
    write_sasl(c2s, out);
    const struct ext *const *all = c2s->link.shard->server->extensions;
    for (; *all; all++)
        if ((*all)->early_features && ext_is_on(c2s->host, *all))
            (*all)->early_features(c2s->host, out);
}

static void write_bound(struct c2s *c2s, struct buf *out)
{
    if (!c2s->session)
        buf_lit(out, "<bind xmlns='" NS_BIND "'/><session xmlns='" NS_SESSION "'><optional/></session>");
    c2s_compress_offer(c2s, out); /* XEP-0170 §2.1: before a resource is bound */
    buf_lit(out, "<ver xmlns='" NS_ROSTER_VERSION "'/><sub xmlns='" NS_PRE_APPROVAL "'/>");
    buf_add(out, ext_features(c2s->host));
}

void c2s_send_features(struct c2s *c2s)
{
    struct buf *out = conn_out(&c2s->conn);
    const struct config *config = c2s_config(c2s);
    const struct scan_limits *limits = c2s->authenticated ? &config->limits_after : &config->limits_before;
    buf_lit(out, "<stream:features>");
    if (c2s->authenticated)
        write_bound(c2s, out);
    else
        write_negotiation(c2s, out);
    /* XEP-0478 */
    buf_addf(out, "<limits xmlns='" NS_STREAM_LIMITS "'><max-bytes>%u</max-bytes></limits></stream:features>",
             limits->element_bytes);
    conn_wrote(&c2s->conn);
}
