/* SPDX-License-Identifier: MIT */
/* Splitting text into words, for questions to every backend and for the answers of the one in memory. What is
 * beyond ASCII is taken as letters; SQLite's tokenizer, which knows better, may split such a word further and
 * then looks for its parts side by side. */
#include "store/words.h"

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80);
}

bool words_next(str *rest, str *ret)
{
    size_t start = 0, end;
    while (start < rest->len && !in_word(rest->p[start]))
        start++;
    for (end = start; end < rest->len && in_word(rest->p[end]); end++)
        ;
    if (start == end)
        return false;
    *ret = str_sub(*rest, start, end);
    *rest = str_sub(*rest, end, rest->len);
    return true;
}

bool words_has(str text, str word)
{
    str found;
    while (words_next(&text, &found))
        if (str_eq_nocase(found, word))
            return true;
    return false;
}
