/* SPDX-License-Identifier: MIT */
/* Unique and stable stanza ids (XEP-0359). */
#ifndef XMPP_SID_H
#define XMPP_SID_H

#include "xmpp/payload.h"

#define NS_SID "urn:xmpp:sid:0"

/* Appends <stanza-id by='BY' id='ID'/>. Before that whoever vouches for BY strips what others forged. */
void sid_write(struct buf *to, const struct jid *by, str id);

/* The id that `by` has given to the stanza; str_none if there is none (or only an empty one). Believe it only
 * where `by` is known to follow the rules (§6). In the arena or the bytes. */
str sid_read(const struct xml_node *stanza, const struct jid *by, struct arena *arena);

/* The sender's own id (<origin-id/>), which proves nothing; str_none if there is none. */
str sid_read_origin(const struct xml_node *stanza, struct arena *arena);

/* The payload without every <stanza-id/> whose `by` is `by`, however that is spelled (§3, rule 2). The
 * content itself, not copied, when there is none. */
str sid_strip(const struct stanza *stanza, const struct jid *by, struct arena *arena);

#endif
