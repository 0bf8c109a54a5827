/* SPDX-License-Identifier: MIT */
/* XMPP addresses (RFC 7622): parsing to the one normal form, in which equal addresses have equal bytes. */
#ifndef XMPP_JID_H
#define XMPP_JID_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { JID_PART_MAX = 1023, JID_MAX = 3 * JID_PART_MAX + 2 };

/* A JID in normal form: one slice, and where its parts are. Zeroed: no JID. */
struct jid {
    str full;           /* local@domain/resource, without the parts that are absent */
    uint16_t local_len; /* 0: no localpart */
    uint16_t domain_len;
};

static inline bool jid_is_none(const struct jid *jid)
{
    return jid->full.len == 0;
}

static inline size_t jid_bare_len(const struct jid *jid)
{
    return (jid->local_len ? jid->local_len + 1u : 0u) + jid->domain_len;
}

static inline str jid_local(const struct jid *jid)
{
    return str_of(jid->full.p, jid->local_len);
}

static inline str jid_domain(const struct jid *jid)
{
    return str_of(jid->full.p + (jid->local_len ? jid->local_len + 1 : 0), jid->domain_len);
}

/* The bare JID's text: local@domain or domain. */
static inline str jid_bare(const struct jid *jid)
{
    return str_of(jid->full.p, jid_bare_len(jid));
}

static inline bool jid_is_bare(const struct jid *jid)
{
    return jid_bare_len(jid) == jid->full.len;
}

/* Empty for a bare JID. */
static inline str jid_resource(const struct jid *jid)
{
    size_t bare = jid_bare_len(jid);
    return bare == jid->full.len ? str_of("", 0) : str_of(jid->full.p + bare + 1, jid->full.len - bare - 1);
}

/* The same JID without its resource; shares the bytes. */
static inline struct jid jid_to_bare(const struct jid *jid)
{
    return (struct jid){ jid_bare(jid), jid->local_len, jid->domain_len };
}

static inline bool jid_eq(const struct jid *a, const struct jid *b)
{
    return str_eq(a->full, b->full);
}

static inline bool jid_eq_bare(const struct jid *a, const struct jid *b)
{
    return a->local_len == b->local_len && str_eq(jid_bare(a), jid_bare(b));
}

/* Reads an address and brings it to normal form (RFC 7622 §3: UsernameCaseMapped for the localpart with its
 * excluded characters, IDNA2008 U-labels or an IP literal for the domain, OpaqueString for the resource; each
 * part 1..1023 bytes of UTF-8). If the text is in normal form already, the result points into it; else into
 * the arena. Returns OK or ERR_SYNTAX. */
enum err jid_parse(str text, struct arena *arena, struct jid *ret);

/* Normal form of one part; the result is `text` itself or stands in the arena. OK or ERR_SYNTAX. An empty
 * text is ERR_SYNTAX. */
enum err jid_prepare_local(str text, struct arena *arena, str *ret);
enum err jid_prepare_domain(str text, struct arena *arena, str *ret);
enum err jid_prepare_resource(str text, struct arena *arena, str *ret);

/* The A-labels of a domain in normal form, in the arena; an IP literal as it is. OK or ERR_SYNTAX. */
enum err jid_domain_to_ascii(str domain, struct arena *arena, str *ret);

/* A password by RFC 8265's OpaqueString (SASLprep's successor; RFC 5802 asks for preparation). */
enum err jid_prepare_password(str text, struct arena *arena, str *ret);

/* Puts prepared parts together in the arena. An empty local or resource is left out. */
struct jid jid_make(str local, str domain, str resource, struct arena *arena);

/* A copy with its bytes in the arena. */
struct jid jid_copy(const struct jid *jid, struct arena *arena);

#endif
