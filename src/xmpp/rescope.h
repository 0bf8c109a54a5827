/* SPDX-License-Identifier: MIT */
/* Stanzas that cross between jabber:client and another content namespace: jabber:server (RFC 6120 §4.8.3) or
 * jabber:component:accept (XEP-0114).
 *
 * Within the server every stanza is in jabber:client. On its way to or from another server or a component the
 * stanza and those of its descendants that are in the content namespace all the way up take the other
 * stream's content namespace; everything else keeps the namespace that it has. In nearly all stanzas that is
 * what the bytes say anyway, since they name the content namespace nowhere, and they are copied as they
 * stand. Pure. */
#ifndef XMPP_RESCOPE_H
#define XMPP_RESCOPE_H

#include "xmpp/stanza.h"

/* Reads a first-level element of a stream whose content namespace is `ns` as a stanza in jabber:client;
 * otherwise as stanza_read(). STANZA_BAD_REQUEST also for one that would grow to several times its size. */
enum stanza_fault rescope_read(const struct xml_node *node, str ns, str declarations, str lang,
                               struct arena *arena, struct stanza *ret);

/* Writes a stanza as it goes to `to` (NULL: to its own `to`) on a stream in `ns`. False, and nothing
 * is written, if it would grow to several times its size. */
bool rescope_write(struct buf *out, const struct stanza *stanza, const struct jid *to, str ns,
                   struct arena *arena);

/* Whether bytes in `from` mean the same in another content namespace: the fast path is right. May say false
 * needlessly, never true wrongly. For the tests. */
bool rescope_is_plain(str attrs, str content, str from);

/* The slow path: the content of a stanza, rewritten; str_none if it grows too much. For the tests. */
str rescope_content(const struct xml_node *stanza, str from, str to, struct arena *arena);

#endif
