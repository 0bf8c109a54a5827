/* SPDX-License-Identifier: MIT */
/* Domainparts: names by IDNA2008 on libidn2, IPv4 addresses and IPv6 literals in brackets.
 *
 * The normal form of a name has U-labels (RFC 7622 §3.2.1), so a name is mapped as RFC 5895 says, brought to
 * A-labels, which is where libidn2 judges it, and back; what comes back must lead to the same A-labels, and
 * be as it is mapped: Cherokee, whose small letters IDNA2008 refuses, has no such form.
 * TR46's wider mapping is not used: it would let symbols through that IDNA2008 refuses. An ASCII name never
 * meets libidn2 unless a label begins with "xn--".
 *
 * Labels are those of hostnames (RFC 5890's NR-LDH: letters, digits, inner hyphens, none at both the third
 * and fourth place; 1 to 63 bytes), a name is at most 253 bytes in A-labels. A name whose last label is all
 * digits is an IPv4 address or nothing: other software would read it as one (RFC 1123 §2.1). IPv6 is written
 * as RFC 5952 has it; zone identifiers are refused.
 *
 * Not done: the Bidi rule across labels (a label of digits beside one from right to left); each label is
 * checked for itself. */
#include "xmpp/domain.h"

#include "xmpp/jid.h"
#include "xmpp/precis.h"

#include <arpa/inet.h>
#include <idn2.h>

enum { LABEL_MAX = 63, NAME_MAX_BYTES = 253 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_ldh(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-';
}

static bool is_ipv4(str text)
{
    char buffer[INET_ADDRSTRLEN];
    struct in_addr address;
    return str_copy(text, buffer, sizeof buffer) && inet_pton(AF_INET, buffer, &address) == 1;
}

static bool label_is_ldh(str label, bool a_label_ok)
{
    if (!label.len || label.len > LABEL_MAX || label.p[0] == '-' || label.p[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_ldh(label.p[i]))
            return false;
    bool reserved = label.len >= 4 && label.p[2] == '-' && label.p[3] == '-';
    return !reserved || (a_label_ok && str_starts(label, STR("xn--")));
}

static bool all_digits(str label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!is_digit(label.p[i]))
            return false;
    return true;
}

static bool is_hostname(str text, bool a_labels_ok)
{
    if (!text.len || text.len > NAME_MAX_BYTES)
        return false;
    str rest = text, label = str_none;
    while (rest.p) {
        label = str_cut(&rest, '.');
        if (!label_is_ldh(label, a_labels_ok))
            return false;
    }
    return !all_digits(label) || is_ipv4(text);
}

bool domain_is_plain(str text)
{
    return is_hostname(text, false);
}

static enum err prepare_ipv6(str text, struct arena *arena, str *ret)
{
    char buffer[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.len < 4 || text.p[text.len - 1] != ']')
        return ERR_SYNTAX;
    str inner = str_sub(text, 1, text.len - 1);
    if (memchr(inner.p, '\0', inner.len) || !str_copy(inner, buffer, sizeof buffer) ||
        inet_pton(AF_INET6, buffer, &address) != 1)
        return ERR_SYNTAX;
    inet_ntop(AF_INET6, &address, buffer, sizeof buffer);
    *ret = arena_printf(arena, "[%s]", buffer);
    return OK;
}

/* The A-labels of a name, in the arena. */
static bool to_ascii(str name, struct arena *arena, str *ret)
{
    uint8_t *ascii = NULL;
    str terminated = arena_str(arena, name);
    if (idn2_lookup_u8((const uint8_t *)terminated.p, &ascii, IDN2_NO_TR46 | IDN2_ALABEL_ROUNDTRIP) !=
        IDN2_OK)
        return false;
    *ret = arena_str(arena, str_from((const char *)ascii));
    idn2_free(ascii);
    return true;
}

/* The U-labels of a name in A-labels, in the arena. */
static bool to_unicode(str name, struct arena *arena, str *ret)
{
    char *unicode = NULL;
    str terminated = arena_str(arena, name);
    if (idn2_to_unicode_8z8z(terminated.p, &unicode, IDN2_NO_TR46) != IDN2_OK)
        return false;
    *ret = arena_str(arena, str_from(unicode));
    idn2_free(unicode);
    return true;
}

static bool has_a_label(str name)
{
    for (str rest = name; rest.p;)
        if (str_starts(str_cut(&rest, '.'), STR("xn--")))
            return true;
    return false;
}

static enum err prepare_idn(str name, struct arena *arena, str *ret)
{
    str ascii, unicode, again, mapped;
    if (memchr(name.p, '\0', name.len) || !to_ascii(name, arena, &ascii) || !is_hostname(ascii, true) ||
        !to_unicode(ascii, arena, &unicode) || has_a_label(unicode) || !to_ascii(unicode, arena, &again) ||
        !str_eq(ascii, again) || unicode.len > JID_PART_MAX ||
        precis_map_domain(unicode, arena, &mapped) != OK || !str_eq(unicode, mapped))
        return ERR_SYNTAX;
    *ret = unicode;
    return OK;
}

static bool is_ascii(str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] >= 0x80)
            return false;
    return true;
}

static str lower_ascii(str text, struct arena *arena)
{
    str copy = arena_str(arena, text);
    char *p = (char *)copy.p;
    for (size_t i = 0; i < copy.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
    return copy;
}

enum err domain_prepare(str text, struct arena *arena, str *ret)
{
    if (text.len > JID_PART_MAX)
        return ERR_SYNTAX;
    if (text.len && text.p[text.len - 1] == '.') /* RFC 7622 §3.2: before all else */
        text.len--;
    if (!text.len)
        return ERR_SYNTAX;
    if (text.p[0] == '[')
        return prepare_ipv6(text, arena, ret);
    str mapped;
    if (is_ascii(text))
        mapped = lower_ascii(text, arena);
    else if (precis_map_domain(text, arena, &mapped) != OK)
        return ERR_SYNTAX;
    if (!domain_is_plain(mapped))
        return prepare_idn(mapped, arena, ret);
    *ret = mapped;
    return OK;
}

enum err jid_domain_to_ascii(str domain, struct arena *arena, str *ret)
{
    if (is_ascii(domain)) {
        *ret = arena_str(arena, domain);
        return OK;
    }
    return to_ascii(domain, arena, ret) ? OK : ERR_SYNTAX;
}
