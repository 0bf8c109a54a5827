/* SPDX-License-Identifier: MIT */
/* A stanza within a stanza (XEP-0297). */
#ifndef XMPP_INNER_H
#define XMPP_INNER_H

#include "xmpp/stanza.h"

/* Reads an element within a stanza as a stanza of its own, which may be sent: what its prefixes mean outside
 * of it is declared on it. As stanza_read(); STANZA_UNKNOWN also for one whose name has a prefix. */
enum stanza_fault inner_read(const struct xml_node *node, struct arena *arena, struct stanza *ret);

/* Writes a stanza as an element within another: as stanza_write(), with its namespace. */
void inner_write(struct buf *out, const struct stanza *stanza);

#endif
