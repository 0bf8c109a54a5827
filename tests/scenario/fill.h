/* SPDX-License-Identifier: MIT */
/* What a script can't know when it is written: ids, tokens and salts that the server chose. They are noted as
 * they come, and put in where the script names them ("{...}", README.md). */
#ifndef SCENARIO_FILL_H
#define SCENARIO_FILL_H

#include "base/buf.h"
#include "tree.h"

/* Of one player. */
struct noted {
    char *sm_id;          /* of the last <enabled/> (XEP-0198), or NULL */
    char *token, *before; /* the last two tokens (XEP-0484), or NULL */
    char *salt;           /* of the last upgrade task (XEP-0480), in base64, or NULL */
    unsigned iterations;
};

void noted_fini(struct noted *noted);

/* An element that came. */
void fill_note(struct noted *noted, const struct tree *tree);

struct play;
struct player;

/* Copies what is to be sent, filled in. */
void fill_in(struct play *play, const struct player *player, struct buf *out, str text);

#endif
