/* SPDX-License-Identifier: MIT */
/* Requests of a client that has not logged in: the few that extensions take there (registration). Whatever
 * else comes is still what RFC 6120 §4.3.5 forbids, and ends the stream. Under require-tls nothing comes here
 * before TLS (c2s.c). */
#include "server/c2s/c2s.h"

#include "server/ext.h"

_Static_assert(NEWCOMER_ADDRESS_MAX >= (int)SOCKET_ADDRESS_MAX, "conn_peer() writes so much");

static bool is_to(const struct c2s *c2s, const struct stanza *iq)
{
    return jid_is_none(&iq->to) || str_eq(iq->to.full, str_from(c2s->host->name));
}

bool c2s_newcomer_element(struct c2s *c2s, const struct xml_node *node)
{
    struct shard *shard = c2s->link.shard;
    struct newcomer_event event = { .shard = shard };
    struct stanza iq;
    if (c2s->state != C2S_NEGOTIATING ||
        stanza_read(node, scanner_header_declarations(&c2s->scanner), str_from(c2s->lang), &shard->arena,
                    &iq) != STANZA_OK ||
        iq.kind != STANZA_IQ || (iq.type != TYPE_GET && iq.type != TYPE_SET) || !is_to(c2s, &iq) ||
        !xml_first(&iq.node, &event.child))
        return false;
    if (!c2s->newcomer) {
        c2s->newcomer = newcomer_new(&c2s->link, c2s->host);
        conn_peer(&c2s->conn, c2s->newcomer->address);
    }
    event.newcomer = c2s->newcomer;
    event.iq = &iq;
    if (fire_newcomer_request(c2s->host, &event) != HOOK_DONE)
        return false;
    if (c2s->newcomer && c2s->newcomer->waiting)
        c2s->busy = true;
    return true;
}

void c2s_newcomer_free(struct c2s *c2s)
{
    newcomer_leave(c2s->newcomer);
    c2s->newcomer = NULL;
}
