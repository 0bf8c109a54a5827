/* SPDX-License-Identifier: MIT */
/* Words in text, as the search of logs counts them: runs of ASCII letters, digits, and whatever is beyond
 * ASCII. */
#ifndef STORE_WORDS_H
#define STORE_WORDS_H

#include "base/str.h"

/* The next word of `*rest`, which is moved behind it; false at the end. */
bool words_next(str *rest, str *ret);

/* Whether a word is among those of the text, ASCII letters taken without case. */
bool words_has(str text, str word);

#endif
