/* SPDX-License-Identifier: MIT */
/* Domainparts (RFC 7622 §3.2). Private to the JID files: others use jid_prepare_domain(). */
#ifndef XMPP_DOMAIN_H
#define XMPP_DOMAIN_H

#include "base/arena.h"
#include "base/err.h"

/* Whether the text is a name of lower-case letters, digits and hyphens, or an IPv4 address, in normal form
 * already. */
bool domain_is_plain(str text);

/* Brings any domainpart to normal form; the result stands in the arena. OK or ERR_SYNTAX. */
enum err domain_prepare(str text, struct arena *arena, str *ret);

#endif
