/* SPDX-License-Identifier: MIT */
/* Words of a script: see recall.h. A word is lower-case letters and digits in braces; other braces are text.
 */
#include "recall.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>

enum { WORDS_MAX = 32 };

static struct {
    char *word, *value;
} known[WORDS_MAX];
static size_t known_count;

void recall_reset(void)
{
    while (known_count) {
        known_count--;
        free(known[known_count].word);
        free(known[known_count].value);
    }
}

static const char *value_of(str word)
{
    for (size_t i = 0; i < known_count; i++)
        if (str_eq(str_from(known[i].word), word))
            return known[i].value;
    return NULL;
}

/* The first {word} of a text: where its braces stand. */
static bool find_word(str text, size_t *ret_open, size_t *ret_close)
{
    for (size_t open = 0; open < text.len; open++) {
        size_t at = open + 1;
        if (text.p[open] != '{')
            continue;
        while (at < text.len && isalnum((unsigned char)text.p[at]))
            at++;
        if (at == open + 1 || at == text.len || text.p[at] != '}')
            continue;
        *ret_open = open;
        *ret_close = at;
        return true;
    }
    return false;
}

bool recall_matches(str expected, str got)
{
    size_t open, close;
    if (str_is(expected, "*"))
        return true;
    if (!find_word(expected, &open, &close))
        return str_eq(expected, got);
    str before = str_sub(expected, 0, open), behind = str_sub(expected, close + 1, expected.len);
    str word = str_sub(expected, open + 1, close);
    if (got.len < before.len + behind.len || !str_starts(got, before) || !str_ends(got, behind))
        return false;
    str middle = str_sub(got, before.len, got.len - behind.len);
    const char *value = value_of(word);
    if (value)
        return str_eq(str_from(value), middle);
    if (known_count == WORDS_MAX)
        return false;
    known[known_count].word = str_dup(word);
    known[known_count++].value = str_dup(middle);
    return true;
}

void recall_fill(struct buf *out, str text)
{
    size_t open, close;
    while (find_word(text, &open, &close)) {
        const char *value = value_of(str_sub(text, open + 1, close));
        buf_add(out, str_sub(text, 0, open));
        buf_add(out, value ? str_from(value) : str_sub(text, open, close + 1));
        text = str_sub(text, close + 1, text.len);
    }
    buf_add(out, text);
}
