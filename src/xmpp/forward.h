/* SPDX-License-Identifier: MIT */
/* Stanza forwarding (XEP-0297 1.0): a stanza inside of another one. */
#ifndef XMPP_FORWARD_H
#define XMPP_FORWARD_H

#include "xmpp/stanza.h"

#define NS_FORWARD "urn:xmpp:forward:0"

/* Appends <forwarded><message xmlns='jabber:client' .../></forwarded> with the stanza as stanza_write() gives
 * it (to its own `to`). */
void forward_write(struct buf *to, const struct stanza *stanza);

/* The same with a stanza as text (one element, as stanza_write() has written it), behind a <delay/>: when it
 * was sent (`ms` since 1970), as `from` says (str_none: nobody in particular). */
void forward_write_text(struct buf *to, str stanza, str from, int64_t ms);

/* The stanza inside of an element that has a <forwarded/> as a child. `ret_forwarded` is memory for the node
 * in between; both views live as long as `wrapper`. False if there is none. */
bool forward_read(const struct xml_node *wrapper, struct xml_node *ret_forwarded,
                  struct xml_node *ret_stanza);

#endif
