/* SPDX-License-Identifier: MIT */
/* Preparation of names and passwords outside ASCII (RFC 8264, RFC 8265). Private to the JID files: others use
 * jid_prepare_*(). */
#ifndef XMPP_PRECIS_H
#define XMPP_PRECIS_H

#include "base/arena.h"
#include "base/err.h"

/* Longest text, in bytes, that may still become a part of 1023 bytes: width mapping and composition shrink a
 * text to a third at most. */
enum { PRECIS_INPUT_MAX = 4 * 1023 };

/* UsernameCaseMapped (RFC 8265 §3.3): the result stands in the arena. OK or ERR_SYNTAX. */
enum err precis_username(str text, struct arena *arena, str *ret);

/* OpaqueString (RFC 8265 §4.2): the result stands in the arena, and nothing else of the text does. OK or
 * ERR_SYNTAX. */
enum err precis_opaque(str text, struct arena *arena, str *ret);

/* The mappings of RFC 5895 §2 for domain names: lower case, width, NFC, and the ideographic full stop as a
 * dot. Checks no code point. OK or ERR_SYNTAX. */
enum err precis_map_domain(str text, struct arena *arena, str *ret);

#endif
