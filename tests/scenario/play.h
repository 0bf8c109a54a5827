/* SPDX-License-Identifier: MIT */
/* What the steps of a scenario do. */
#ifndef SCENARIO_PLAY_H
#define SCENARIO_PLAY_H

#include "script.h"
#include "stage.h"

struct play {
    struct stage stage;
    const struct script *script;
    const struct step *step; /* the one at hand */
    bool rough; /* the store fails on the way: what clients get is not compared, only promises are
                   (promises.c) */
    bool failed;
};

/* Does one step; false, after a message on stderr, when what happened is not what it says. */
bool play_step(struct play *play, const struct step *step);

/* At the end: nobody has anything unread, and what was promised is there. */
bool play_end(struct play *play);

/* promises.c: what holds whatever the script says; false after a message. To be called when all is quiet. */
bool promises_kept(struct play *play);
/* Each client that is bound gets an answer to one more request. */
bool promises_answer(struct play *play);

/* Reports a failure of the step at hand. Returns false. */
bool play_fail(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* login.c: the usual negotiation, up to where the words say; false after a message. */
bool login_open(struct play *play, struct player *player, const char *host);     /* header and features */
bool login_compress(struct play *play, struct player *player, const char *host); /* logged in before */
bool login_authenticate(struct play *play, struct player *player, str user,
                        str password);                      /* SASL PLAIN, the new header and its features */
bool login_again(struct play *play, struct player *player); /* up to there, with its own address */
bool login_connect(struct play *play, struct player *player); /* all that, and the resource */
bool login_online(struct play *play, struct player *player);  /* and roster and presence */
/* XEP-0114: both headers; and the handshake, whose answer is not looked at. */
bool login_open_component(struct play *play, struct player *player, str domain);
bool login_handshake(struct play *play, struct player *player, str secret);

#endif
