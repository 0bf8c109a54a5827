/* SPDX-License-Identifier: MIT */
/* What may stand before a stream's start tag: a byte-order mark, and an XML declaration (XML 1.0 §2.8, §4.3.3
 * and appendix F). The encoding is UTF-8 or refused.
 *
 * A byte-order mark of UTF-8 at the very beginning is passed over, as expat does. RFC 6120 §11.6 would have
 * it read as a character, with which no stream can begin; nobody gains by ending the stream for it. */
#include "xml/chars.h"
#include "xml/scan_state.h"

/* name='value' in the declaration, after white space; an empty value if it is not there. */
static bool decl_item(str *rest, str name, str *ret_value)
{
    *ret_value = str_none;
    str after = str_sub(*rest, scan_space(*rest), rest->len);
    if (after.p == rest->p || !str_starts(after, name))
        return false;
    after = str_sub(after, name.len, after.len);
    after = str_sub(after, scan_space(after), after.len);
    if (!after.len || after.p[0] != '=')
        return false;
    after = str_sub(after, 1, after.len);
    after = str_sub(after, scan_space(after), after.len);
    if (!after.len || (after.p[0] != '"' && after.p[0] != '\''))
        return false;
    char quote = after.p[0];
    after = str_sub(after, 1, after.len);
    size_t end = str_find(after, quote);
    if (end == after.len)
        return false;
    *ret_value = str_sub(after, 0, end);
    *rest = str_sub(after, end + 1, after.len);
    return true;
}

static bool version_fits(str version)
{
    if (version.len < 3 || !str_starts(version, STR("1.")))
        return false;
    for (size_t i = 2; i < version.len; i++)
        if (version.p[i] < '0' || version.p[i] > '9')
            return false;
    return true;
}

/* EncName, XML 1.0 §4.3.3 */
static bool encoding_name(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!chars_is(name.p[i], i ? CHAR_NAME : CHAR_START) || (i == 0 && name.p[i] == '_'))
            return false;
    return name.len > 0;
}

/* Judges what stands between <?xml and ?>: 0, or an error + 1. */
static int judge_decl(str decl)
{
    str version, encoding, standalone;
    if (!decl_item(&decl, STR("version"), &version) || !version_fits(version))
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    if (decl_item(&decl, STR("encoding"), &encoding) && !encoding_name(encoding))
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    /* RFC 6120 §11.5 lets us ignore it. */
    if (decl_item(&decl, STR("standalone"), &standalone) && !str_is(standalone, "yes") &&
        !str_is(standalone, "no"))
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    if (scan_space(decl) != decl.len)
        return SCAN_ERROR_NOT_WELL_FORMED + 1;
    return encoding.p && !str_eq_nocase(encoding, STR("UTF-8")) ? SCAN_ERROR_ENCODING + 1 : 0;
}

/* The declaration goes up to the first '>': there is none within. */
static enum scan_event declaration(struct scanner *scanner, str rest, size_t *ret_len)
{
    str seen = str_sub(rest, 0, scanner->limits->element_bytes);
    size_t at = scanner->_at;
    for (; at < seen.len && seen.p[at] != '>'; at++)
        if (!chars_is(seen.p[at], CHAR_SPACE | CHAR_PLAIN) && at)
            return scanner_fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
    if (at == seen.len) {
        scanner->_at = (uint32_t)at;
        return at == scanner->limits->element_bytes ? scanner_fail(scanner, SCAN_ERROR_TOO_LARGE) : SCAN_MORE;
    }
    if (seen.p[at - 1] != '?')
        return scanner_fail(scanner, SCAN_ERROR_NOT_WELL_FORMED);
    int error = judge_decl(str_sub(seen, 5, at - 1));
    if (error)
        return scanner_fail(scanner, (enum scan_error)(error - 1));
    scanner->_at = 0;
    scanner->_state = IN_PROLOG;
    *ret_len = at + 1;
    return SCAN_MORE;
}

/* How the first bytes of a stream begin: 1 with `word`, 0 perhaps with it when more come, -1 otherwise. */
static int begins(str s, str word)
{
    size_t shared = s.len < word.len ? s.len : word.len;
    if (memcmp(s.p, word.p, shared) != 0)
        return -1;
    return shared == word.len;
}

/* The marks and signs of UTF-16 and UTF-32, XML 1.0 appendix F. */
static bool other_encoding(str s)
{
    uint8_t first = (uint8_t)s.p[0];
    return first == 0 || first >= 0xFE || (s.len > 1 && first == '<' && s.p[1] == 0);
}

/* Sorts out the very first bytes. Moves on to another place, or stays for want of bytes. */
static enum scan_event begin(struct scanner *scanner, str rest, size_t *ret_len)
{
    if (other_encoding(rest))
        return scanner_fail(scanner, SCAN_ERROR_ENCODING);
    int mark = scanner->_state == AT_START ? begins(rest, STR("\xEF\xBB\xBF")) : -1;
    int decl = begins(rest, STR("<?xml"));
    if (mark > 0) {
        scanner->_state = AT_MARK;
        *ret_len = 3;
    } else if (decl > 0 && rest.len > 5 && chars_is(rest.p[5], CHAR_SPACE)) {
        scanner->_state = IN_DECL;
    } else if ((decl < 0 && mark < 0) || (decl > 0 && rest.len > 5)) {
        scanner->_state = IN_PROLOG;
    }
    return SCAN_MORE;
}

enum scan_event scan_prolog(struct scanner *scanner, str rest, size_t *ret_len)
{
    if (scanner->_state == IN_DECL)
        return declaration(scanner, rest, ret_len);
    return begin(scanner, rest, ret_len);
}
