/* SPDX-License-Identifier: MIT */
/* Delayed delivery (XEP-0203): when a stanza was sent, if that was not now. */
#ifndef XMPP_DELAY_H
#define XMPP_DELAY_H

#include "xmpp/payload.h"

struct delay {
    int64_t ms;      /* when the stanza was sent, since 1970 */
    struct jid from; /* who says so; none if not said */
};

/* Appends <delay from='FROM' stamp='...'/> with milliseconds; a `from` of str_none is left out. */
void delay_write(struct buf *to, str from, int64_t ms);

/* The first <delay/> of a stanza whose stamp can be read; false if there is none. `from` stands in the arena
 * or the bytes. */
bool delay_read(const struct xml_node *stanza, struct arena *arena, struct delay *ret);

/* The payload without every <delay/> that claims to come from `from` (a host of ours, a room): its own
 * server alone says that (§5). Other notes stay. The content itself, not copied, when there is none. */
str delay_strip(const struct stanza *stanza, const struct jid *from, struct arena *arena);

#endif
