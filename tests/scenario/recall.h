/* SPDX-License-Identifier: MIT */
/* What a script remembers of what the server said: `{word}` in what is expected stands for any text the first
 * time and for that text from then on; in what is sent it stands for it too. One script at a time. */
#ifndef SCENARIO_RECALL_H
#define SCENARIO_RECALL_H

#include "base/buf.h"

void recall_reset(void);

/* Whether a value is what is expected: "*" for anything, "{word}", text before and behind one, or the text
 * itself. */
bool recall_matches(str expected, str got);

/* Appends a text with what its words stand for; a word that nothing is known of stays as it is. */
void recall_fill(struct buf *out, str text);

#endif
