/* SPDX-License-Identifier: MIT */
/* Stream compression (XEP-0138) with zlib: asked for by a client that has logged in and has no resource yet,
 * where the configuration allows it. Then the client opens a new stream, all of it compressed, and binds a
 * resource or resumes a session as on any other; the layer goes home with the connection.
 *
 * Never before a login: what strangers send is not inflated. docs/security.md says why it is off by default.
 *
 * What can't be inflated, or becomes too much, ends the stream (bounds: net/zip_layer.c). */
#include "server/c2s/c2s.h"

#include "base/log.h"
#include "xml/node.h"
#include "xmpp/ns.h"

static struct zip_settings settings_of(const struct config_compression *config)
{
    return (struct zip_settings){ config->level, config->window_bits, config->memory_level, config->ratio,
                                  config->burst };
}

static bool is_possible(const struct c2s *c2s)
{
    return c2s_config(c2s)->compression.enabled && c2s->authenticated && !c2s->session &&
           !conn_is_compressed(&c2s->conn);
}

void c2s_compress_offer(struct c2s *c2s, struct buf *out)
{
    if (is_possible(c2s))
        buf_lit(out, "<compression xmlns='" NS_COMPRESS_FEATURE "'><method>zlib</method></compression>");
}

/* The schema allows for several methods: the first that we have is taken, and we have one. */
static bool names_zlib(const struct xml_node *node, struct arena *arena, bool *ret_any)
{
    struct xml_node method;
    *ret_any = false;
    for (bool more = xml_first(node, &method); more; more = xml_next(&method)) {
        if (!xml_is(&method, STR("method"), STR(NS_COMPRESS)))
            continue;
        *ret_any = true;
        if (str_is(str_trim(xml_text(&method, arena)), "zlib"))
            return true;
    }
    return false;
}

/* §2: no stream error; the client may ask again, or do without. */
static void refuse(struct c2s *c2s, const char *why)
{
    struct buf *out = conn_out(&c2s->conn);
    buf_addf(out, "<failure xmlns='" NS_COMPRESS "'><%s/></failure>", why);
    conn_wrote(&c2s->conn);
}

/* One more compressed stream; false: there are as many as are allowed. */
static bool count(struct c2s *c2s)
{
    struct server *server = c2s->link.shard->server;
    if (atomic_fetch_add(&server->compressed, 1) < c2s_config(c2s)->compression.max_streams)
        return true;
    atomic_fetch_sub(&server->compressed, 1);
    return false;
}

void c2s_compress_uncount(struct c2s *c2s)
{
    if (conn_is_compressed(&c2s->conn))
        atomic_fetch_sub(&c2s->link.shard->server->compressed, 1);
}

bool c2s_compress_element(struct c2s *c2s, const struct xml_node *node)
{
    bool any;
    if (!xml_is(node, STR("compress"), STR(NS_COMPRESS)) || !c2s_config(c2s)->compression.enabled ||
        !c2s->authenticated || c2s->session)
        return false;
    bool known = names_zlib(node, &c2s->link.shard->arena, &any);
    if (any && !known) {
        refuse(c2s, "unsupported-method");
    } else if (!known || !is_possible(c2s) || !count(c2s)) {
        refuse(c2s, "setup-failed");
    } else {
        c2s_write(c2s, STR("<compressed xmlns='" NS_COMPRESS "'/>"));
        c2s_restart(c2s);
        c2s->state = C2S_COMPRESSING;
    }
    return true;
}

void c2s_compress_begin(struct c2s *c2s, str behind)
{
    struct zip_settings settings = settings_of(&c2s_config(c2s)->compression);
    c2s->state = C2S_OPENING;
    conn_compress(&c2s->conn, &settings, behind);
}

void c2s_compress_failed(struct c2s *c2s, enum err why)
{
    bool too_much = why == ERR_LIMIT;
    log_debug(c2s, "compressed bytes are refused: %s", err_text(why));
    c2s_fail_with(c2s, too_much ? STREAM_ERROR_POLICY_VIOLATION : STREAM_ERROR_UNDEFINED_CONDITION,
                  too_much ? "what was compressed became too much" : NULL,
                  STR("<failure xmlns='" NS_COMPRESS "'><processing-failed/></failure>"));
}
