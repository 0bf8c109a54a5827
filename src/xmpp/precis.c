/* SPDX-License-Identifier: MIT */
/* PRECIS on libunistring's Unicode tables: the profiles UsernameCaseMapped and OpaqueString.
 *
 * A profile is a list of mappings and then a check (RFC 8264 §7). It is run again until the text stays as it
 * is, because one pass need not be idempotent; a text that is still moving after four passes is refused. So
 * what comes out is a fixed point, and equal names have equal bytes.
 *
 * The check comes last, behind all mappings, as RFC 8264 §7 orders them: a titlecase letter is judged by its
 * lower-case form. (RFC 8265 §3.3.1 can also be read as a check behind the width mapping alone; RFC 7622 §4
 * asks to map and accept where that is possible.)
 *
 * Lower-casing is by code point, without the context rule for a final sigma: RFC 7622 §3.5 maps U+03A3 to
 * U+03C3 and keeps U+03C2 apart, whatever stands around them. The one lower-case mapping that is longer than
 * a code point and not bound to a language is that of U+0130.
 *
 * What differs from stringprep (RFC 6122), for those who move accounts: U+00DF and U+03C2 stay themselves
 * (they were "ss" and U+03C3), letters with compatibility forms are refused in localparts (they were mapped),
 * code points newer than Unicode 3.2 are allowed, zero-width joiners and variation selectors are refused and
 * no longer dropped (also in resources: many composed emoji are), and resources keep compatibility forms.
 *
 * Derived properties: RFC 8264 §8 and §9; exceptions and contextual rules: RFC 5892 §2.6 and appendix A; Bidi
 * rule: RFC 5893 §2. */
#include "xmpp/precis.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <unigbrk.h>
#include <uninorm.h>

enum { PASSES_MAX = 4, VIRAMA = 9 };

/* A text as code points, with room for any input that is let in. */
struct points {
    size_t len;
    uint32_t at[PRECIS_INPUT_MAX + 4];
};

enum property { PVALID, FREE_PVAL, CONTEXTJ, CONTEXTO, DISALLOWED };

/* ---- Reading and writing --------------------------------------------------------------------------------
 */

static bool points_read(struct points *to, str text)
{
    if (!text.len || text.len > PRECIS_INPUT_MAX)
        return false;
    to->len = 0;
    for (size_t at = 0; at < text.len;) {
        int32_t point = utf8_next(text, &at);
        if (point < 0)
            return false;
        to->at[to->len++] = (uint32_t)point;
    }
    return true;
}

static str points_write(const struct points *from, struct arena *arena)
{
    char *to = arena_alloc(arena, from->len * 4 + 1);
    size_t len = 0;
    for (size_t i = 0; i < from->len; i++)
        len += utf8_put(to + len, from->at[i]);
    to[len] = '\0';
    return str_of(to, len);
}

static bool points_eq(const struct points *a, const struct points *b)
{
    return a->len == b->len && memcmp(a->at, b->at, a->len * sizeof a->at[0]) == 0;
}

/* ---- Mappings -------------------------------------------------------------------------------------------
 */

static uint32_t map_width(uint32_t point)
{
    ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
    int tag;
    int count = uc_decomposition(point, &tag, parts);
    return count == 1 && (tag == UC_DECOMP_WIDE || tag == UC_DECOMP_NARROW) ? parts[0] : point;
}

static void map_all_widths(struct points *text)
{
    for (size_t i = 0; i < text->len; i++)
        text->at[i] = map_width(text->at[i]);
}

static bool lower_all(struct points *text)
{
    struct points from = *text;
    text->len = 0;
    for (size_t i = 0; i < from.len; i++) {
        if (text->len + 2 > COUNT_OF(text->at))
            return false;
        text->at[text->len++] = from.at[i] == 0x130 ? 'i' : uc_tolower(from.at[i]);
        if (from.at[i] == 0x130)
            text->at[text->len++] = 0x307;
    }
    return true;
}

static void spaces_to_ascii(struct points *text)
{
    for (size_t i = 0; i < text->len; i++)
        if (uc_is_general_category_withtable(text->at[i], UC_CATEGORY_MASK_Zs))
            text->at[i] = ' ';
}

static bool compose(struct points *text)
{
    struct points to;
    size_t len = COUNT_OF(to.at);
    uint32_t *got = u32_normalize(UNINORM_NFC, text->at, text->len, to.at, &len);
    bool fits = got == to.at;
    if (fits) {
        to.len = len;
        memcpy(text->at, to.at, len * sizeof to.at[0]);
        text->len = len;
    } else {
        free(got);
    }
    mem_wipe(&to, sizeof to);
    return fits;
}

/* ---- Derived property (RFC 8264 §8) ---------------------------------------------------------------------
 */

static bool exception(uint32_t c, enum property *ret)
{
    switch (c) {
    case 0x00DF:
    case 0x03C2:
    case 0x06FD:
    case 0x06FE:
    case 0x0F0B:
    case 0x3007:
        *ret = PVALID;
        return true;
    case 0x00B7:
    case 0x0375:
    case 0x05F3:
    case 0x05F4:
    case 0x30FB:
        *ret = CONTEXTO;
        return true;
    case 0x0640:
    case 0x07FA:
    case 0x302E:
    case 0x302F:
    case 0x303B:
        *ret = DISALLOWED;
        return true;
    }
    if ((c >= 0x0660 && c <= 0x0669) || (c >= 0x06F0 && c <= 0x06F9)) {
        *ret = CONTEXTO;
        return true;
    }
    if (c >= 0x3031 && c <= 0x3035) {
        *ret = DISALLOWED;
        return true;
    }
    return false;
}

static bool is_old_hangul_jamo(uint32_t c)
{
    int kind = uc_graphemeclusterbreak_property(c);
    return kind == GBP_L || kind == GBP_V || kind == GBP_T;
}

static bool has_compat(uint32_t c)
{
    ucs4_t to[UC_DECOMPOSITION_MAX_LENGTH];
    size_t len = COUNT_OF(to);
    uint32_t *got = u32_normalize(UNINORM_NFKC, &c, 1, to, &len);
    bool same = got && len == 1 && got[0] == c;
    if (got != to)
        free(got);
    return !same;
}

static bool is_in(uint32_t c, uint32_t categories)
{
    return uc_is_general_category_withtable(c, categories);
}

static enum property derived_property(uint32_t c)
{
    enum property known;
    if (exception(c, &known))
        return known;
    if (c >= 0x21 && c <= 0x7E)
        return PVALID;
    if (is_in(c, UC_CATEGORY_MASK_Cn))
        return DISALLOWED;
    if (uc_is_property_join_control(c))
        return CONTEXTJ;
    if (is_old_hangul_jamo(c) || uc_is_property_default_ignorable_code_point(c) ||
        uc_is_property_not_a_character(c) || is_in(c, UC_CATEGORY_MASK_Cc))
        return DISALLOWED;
    if (has_compat(c))
        return FREE_PVAL;
    if (is_in(c, UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lu | UC_CATEGORY_MASK_Lo | UC_CATEGORY_MASK_Nd |
                     UC_CATEGORY_MASK_Lm | UC_CATEGORY_MASK_Mn | UC_CATEGORY_MASK_Mc))
        return PVALID;
    if (is_in(c, UC_CATEGORY_MASK_Lt | UC_CATEGORY_MASK_Nl | UC_CATEGORY_MASK_No | UC_CATEGORY_MASK_Me |
                     UC_CATEGORY_MASK_Zs | UC_CATEGORY_MASK_S | UC_CATEGORY_MASK_P))
        return FREE_PVAL;
    return DISALLOWED;
}

/* ---- Contextual rules (RFC 5892 appendix A) -------------------------------------------------------------
 */

static bool script_is(uint32_t c, const char *name)
{
    const uc_script_t *script = uc_script(c);
    return script && strcmp(script->name, name) == 0;
}

/* A.1: (Joining_Type:{L,D}) T* ZWNJ T* (Joining_Type:{R,D}) */
static bool joins_around(const struct points *text, size_t at)
{
    size_t before = at, after = at + 1;
    while (before > 0 && uc_joining_type(text->at[before - 1]) == UC_JOINING_TYPE_T)
        before--;
    while (after < text->len && uc_joining_type(text->at[after]) == UC_JOINING_TYPE_T)
        after++;
    if (before == 0 || after == text->len)
        return false;
    int left = uc_joining_type(text->at[before - 1]), right = uc_joining_type(text->at[after]);
    return (left == UC_JOINING_TYPE_L || left == UC_JOINING_TYPE_D) &&
           (right == UC_JOINING_TYPE_R || right == UC_JOINING_TYPE_D);
}

static bool joiner_fits(const struct points *text, size_t at)
{
    if (at > 0 && uc_combining_class(text->at[at - 1]) == VIRAMA)
        return true;
    return text->at[at] == 0x200C && joins_around(text, at);
}

/* What the rules ask of a text as a whole, gathered once: asked again at each code point, it would make a
 * hostile text cost the square of its length. */
struct survey {
    bool arabic_digits, extended_digits, japanese;
};

static struct survey survey_of(const struct points *text)
{
    struct survey survey = { 0 };
    bool dot = false;
    for (size_t i = 0; i < text->len; i++) {
        uint32_t c = text->at[i];
        survey.arabic_digits |= c >= 0x0660 && c <= 0x0669;
        survey.extended_digits |= c >= 0x06F0 && c <= 0x06F9;
        dot |= c == 0x30FB;
    }
    for (size_t i = 0; dot && i < text->len && !survey.japanese; i++)
        survey.japanese = script_is(text->at[i], "Hiragana") || script_is(text->at[i], "Katakana") ||
                          script_is(text->at[i], "Han");
    return survey;
}

static bool context_fits(const struct points *text, const struct survey *survey, size_t at)
{
    uint32_t c = text->at[at];
    switch (c) {
    case 0x00B7: /* A.3 */
        return at > 0 && at + 1 < text->len && text->at[at - 1] == 'l' && text->at[at + 1] == 'l';
    case 0x0375: /* A.4 */
        return at + 1 < text->len && script_is(text->at[at + 1], "Greek");
    case 0x05F3: /* A.5 */
    case 0x05F4: /* A.6 */
        return at > 0 && script_is(text->at[at - 1], "Hebrew");
    case 0x30FB: /* A.7 */
        return survey->japanese;
    }
    return !(survey->arabic_digits && survey->extended_digits); /* A.8, A.9 */
}

static bool class_allows(const struct points *text, bool freeform)
{
    struct survey survey = survey_of(text);
    for (size_t i = 0; i < text->len; i++) {
        enum property property = derived_property(text->at[i]);
        bool ok = property == PVALID || (property == FREE_PVAL && freeform) ||
                  (property == CONTEXTJ && joiner_fits(text, i)) ||
                  (property == CONTEXTO && context_fits(text, &survey, i));
        if (!ok)
            return false;
    }
    return true;
}

/* ---- Bidi rule (RFC 5893 §2) ----------------------------------------------------------------------------
 */

#define BIDI(name) (1u << UC_BIDI_##name)

static uint32_t bidi_bit(uint32_t c)
{
    return 1u << uc_bidi_class(c);
}

static bool bidi_fits(const struct points *text)
{
    const uint32_t right = BIDI(R) | BIDI(AL), neutral = BIDI(ES) | BIDI(CS) | BIDI(ET) | BIDI(ON) | BIDI(BN);
    uint32_t seen = 0, last = 0;
    for (size_t i = 0; i < text->len; i++) {
        uint32_t bit = bidi_bit(text->at[i]);
        seen |= bit;
        if (bit != BIDI(NSM))
            last = bit;
    }
    if (!(seen & (right | BIDI(AN))))
        return true;
    uint32_t first = bidi_bit(text->at[0]);
    if (first & right)
        return !(seen & ~(right | BIDI(AN) | BIDI(EN) | BIDI(NSM) | neutral)) &&
               (last & (right | BIDI(AN) | BIDI(EN))) &&
               (seen & (BIDI(AN) | BIDI(EN))) != (BIDI(AN) | BIDI(EN));
    return false; /* conditions 1 and 5: a text that begins from the left has nothing from the right */
}

/* ---- Profiles -------------------------------------------------------------------------------------------
 */

static bool map_username(struct points *text)
{
    map_all_widths(text);
    return lower_all(text) && compose(text);
}

static bool map_opaque(struct points *text)
{
    spaces_to_ascii(text);
    return compose(text);
}

static bool settle(struct points *text, bool (*map)(struct points *))
{
    struct points before;
    bool settled = false;
    for (int pass = 0; pass < PASSES_MAX && !settled; pass++) {
        before.len = text->len;
        memcpy(before.at, text->at, text->len * sizeof text->at[0]);
        if (!map(text))
            break;
        settled = points_eq(&before, text);
    }
    mem_wipe(&before, sizeof before);
    return settled;
}

enum err precis_username(str text, struct arena *arena, str *ret)
{
    struct points points;
    if (!points_read(&points, text) || !settle(&points, map_username) || !bidi_fits(&points) ||
        !class_allows(&points, false))
        return ERR_SYNTAX;
    *ret = points_write(&points, arena);
    return OK;
}

enum err precis_opaque(str text, struct arena *arena, str *ret)
{
    struct points points;
    bool ok = points_read(&points, text) && settle(&points, map_opaque) && class_allows(&points, true);
    if (ok)
        *ret = points_write(&points, arena);
    mem_wipe(&points, sizeof points); /* it may be a password */
    return ok ? OK : ERR_SYNTAX;
}

static bool map_domain(struct points *text)
{
    if (!map_username(text))
        return false;
    for (size_t i = 0; i < text->len; i++)
        if (text->at[i] == 0x3002)
            text->at[i] = '.';
    return true;
}

enum err precis_map_domain(str text, struct arena *arena, str *ret)
{
    struct points points;
    if (!points_read(&points, text) || !settle(&points, map_domain))
        return ERR_SYNTAX;
    *ret = points_write(&points, arena);
    return OK;
}
