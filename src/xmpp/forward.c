/* SPDX-License-Identifier: MIT */
/* XEP-0297 1.0. What is forwarded keeps its bytes: only the default namespace, which it had from its stream,
 * is declared on it, since <forwarded/> has another one (§3.1). */
#include "xmpp/forward.h"

#include "xmpp/delay.h"
#include "xmpp/ns.h"

/* One element whose name ends at the first of these; the declaration goes there. */
static void write_declared(struct buf *to, str stanza)
{
    size_t at = 0;
    while (at < stanza.len && !strchr(" />\t\r\n", stanza.p[at]))
        at++;
    buf_add(to, str_sub(stanza, 0, at));
    buf_lit(to, " xmlns='" NS_CLIENT "'");
    buf_add(to, str_sub(stanza, at, stanza.len));
}

void forward_write(struct buf *to, const struct stanza *stanza)
{
    size_t parts = stanza->attrs.len + stanza_payload(stanza).len;
    struct buf text;
    buf_init(&text, parts + 2 * 6 * JID_MAX + 64); /* addresses may need escapes */
    stanza_write(&text, stanza, NULL);
    buf_lit(to, "<forwarded xmlns='" NS_FORWARD "'>");
    write_declared(to, buf_str(&text));
    buf_lit(to, "</forwarded>");
    buf_fini(&text);
}

void forward_write_text(struct buf *to, str stanza, str from, int64_t ms)
{
    buf_lit(to, "<forwarded xmlns='" NS_FORWARD "'>");
    delay_write(to, from, ms);
    write_declared(to, stanza);
    buf_lit(to, "</forwarded>");
}

bool forward_read(const struct xml_node *wrapper, struct xml_node *ret_forwarded, struct xml_node *ret_stanza)
{
    if (!xml_child(wrapper, STR("forwarded"), STR(NS_FORWARD), ret_forwarded))
        return false;
    for (bool more = xml_first(ret_forwarded, ret_stanza); more; more = xml_next(ret_stanza))
        if (str_eq(ret_stanza->ns, STR(NS_CLIENT)))
            return true;
    return false;
}
