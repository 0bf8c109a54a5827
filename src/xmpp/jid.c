/* SPDX-License-Identifier: MIT */
/* JIDs. Almost every address on the wire is ASCII and in normal form: for those a table tells byte by byte
 * that nothing is to be done, and the result points into the text. Capital letters are lowered in a copy.
 * Only what is left goes through Unicode's tables (precis.c) or IDNA (domain.c).
 *
 * Hostile lengths are refused by counting, before anything is looked at: no part may be longer than
 * PRECIS_INPUT_MAX before preparation, nor than 1023 bytes after it.
 *
 * Splitting: RFC 7622 §3.1: the first '/' ends the bare JID, then the first '@' ends the localpart. Not here:
 * XEP-0106's escaping, which is a matter of clients and gateways. */
#include "xmpp/jid.h"

#include "xmpp/domain.h"
#include "xmpp/precis.h"

enum { INPUT_MAX = 3 * PRECIS_INPUT_MAX + 2 };

enum { LOCAL = 1, UPPER = 2, RESOURCE = 4 };

/* What each byte may be without Unicode: part of a localpart as it is, a capital letter, part of a resource.
 * RFC 7622 §3.3.1 takes " & ' / : < > @ out of the localpart. */
static const uint8_t kinds[256] = {
    [' '] = RESOURCE,
    ['!'] = LOCAL | RESOURCE,
    ['"'] = RESOURCE,
    ['#' ... '%'] = LOCAL | RESOURCE,
    ['&' ... '\''] = RESOURCE,
    ['(' ... '.'] = LOCAL | RESOURCE,
    ['/'] = RESOURCE,
    ['0' ... '9'] = LOCAL | RESOURCE,
    [':'] = RESOURCE,
    [';'] = LOCAL | RESOURCE,
    ['<'] = RESOURCE,
    ['='] = LOCAL | RESOURCE,
    ['>'] = RESOURCE,
    ['?'] = LOCAL | RESOURCE,
    ['@'] = RESOURCE,
    ['A' ... 'Z'] = UPPER | RESOURCE,
    ['[' ... '~'] = LOCAL | RESOURCE,
};

/* Position of the first byte that is none of the kinds. */
static size_t span(str text, uint8_t kind)
{
    size_t i = 0;
    while (i < text.len && kinds[(unsigned char)text.p[i]] & kind)
        i++;
    return i;
}

static bool is_length_ok(str text)
{
    return text.len >= 1 && text.len <= JID_PART_MAX;
}

static str lower(str text, struct arena *arena)
{
    str copy = arena_str(arena, text);
    char *p = (char *)copy.p;
    for (size_t i = 0; i < copy.len; i++)
        if (kinds[(unsigned char)p[i]] & UPPER)
            p[i] = (char)(p[i] | 0x20);
    return copy;
}

/* RFC 7622 §3.3.1, for a text that was prepared: width mapping can bring these forth. */
static bool has_excluded(str local)
{
    for (size_t i = 0; i < local.len; i++)
        if ((unsigned char)local.p[i] < 0x80 && !(kinds[(unsigned char)local.p[i]] & LOCAL))
            return true;
    return false;
}

enum err jid_prepare_local(str text, struct arena *arena, str *ret)
{
    size_t plain = span(text, LOCAL);
    str prepared = text;
    if (plain < text.len) {
        if (text.len > PRECIS_INPUT_MAX)
            return ERR_SYNTAX;
        if (plain + span(str_sub(text, plain, text.len), LOCAL | UPPER) == text.len)
            prepared = lower(text, arena);
        else if (precis_username(text, arena, &prepared) != OK || has_excluded(prepared))
            return ERR_SYNTAX;
    }
    if (!is_length_ok(prepared))
        return ERR_SYNTAX;
    *ret = prepared;
    return OK;
}

enum err jid_prepare_domain(str text, struct arena *arena, str *ret)
{
    if (!domain_is_plain(text))
        return domain_prepare(text, arena, ret);
    *ret = text;
    return OK;
}

enum err jid_prepare_resource(str text, struct arena *arena, str *ret)
{
    str prepared = text;
    if (span(text, RESOURCE) < text.len && precis_opaque(text, arena, &prepared) != OK)
        return ERR_SYNTAX;
    if (!is_length_ok(prepared))
        return ERR_SYNTAX;
    *ret = prepared;
    return OK;
}

enum err jid_prepare_password(str text, struct arena *arena, str *ret)
{
    return jid_prepare_resource(text, arena, ret);
}

/* Cuts the text into its parts as it stands; absent ones are str_none. */
static void split(str text, str *local, str *domain, str *resource)
{
    const char *slash = memchr(text.p, '/', text.len);
    str bare = slash ? str_of(text.p, (size_t)(slash - text.p)) : text;
    *resource = slash ? str_of(slash + 1, (size_t)(text.p + text.len - slash - 1)) : str_none;
    const char *at = memchr(bare.p, '@', bare.len);
    *local = at ? str_of(bare.p, (size_t)(at - bare.p)) : str_none;
    *domain = at ? str_of(at + 1, (size_t)(bare.p + bare.len - at - 1)) : bare;
}

enum err jid_parse(str text, struct arena *arena, struct jid *ret)
{
    str local, domain, resource;
    if (!text.len || text.len > INPUT_MAX)
        return ERR_SYNTAX;
    split(text, &local, &domain, &resource);
    str l = local, d, r = resource;
    if ((local.p && jid_prepare_local(local, arena, &l) != OK) ||
        jid_prepare_domain(domain, arena, &d) != OK ||
        (resource.p && jid_prepare_resource(resource, arena, &r) != OK))
        return ERR_SYNTAX;
    if (l.p == local.p && d.p == domain.p && r.p == resource.p)
        *ret = (struct jid){ text, (uint16_t)l.len, (uint16_t)d.len };
    else
        *ret = jid_make(l, d, r, arena);
    return OK;
}

struct jid jid_make(str local, str domain, str resource, struct arena *arena)
{
    size_t len = domain.len + (local.len ? local.len + 1 : 0) + (resource.len ? resource.len + 1 : 0);
    char *p = arena_alloc(arena, len + 1), *to = p;
    if (local.len) {
        memcpy(to, local.p, local.len);
        to += local.len;
        *to++ = '@';
    }
    memcpy(to, domain.p, domain.len);
    to += domain.len;
    if (resource.len) {
        *to++ = '/';
        memcpy(to, resource.p, resource.len);
    }
    p[len] = '\0';
    return (struct jid){ str_of(p, len), (uint16_t)local.len, (uint16_t)domain.len };
}

struct jid jid_copy(const struct jid *jid, struct arena *arena)
{
    return (struct jid){ arena_str(arena, jid->full), jid->local_len, jid->domain_len };
}
