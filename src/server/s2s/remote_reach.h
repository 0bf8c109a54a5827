/* SPDX-License-Identifier: MIT */
/* How a pair comes to a stream: private to remote*.c. */
#ifndef SERVER_REMOTE_REACH_H
#define SERVER_REMOTE_REACH_H

#include "server/s2s/remote.h"

void reach_init(struct pair *pair);

/* Looks for a way for what waits, if none is being looked for yet. */
void reach(struct pair *pair);

/* Lets go of it, and answers what waits. */
void reach_stop(struct pair *pair);

/* remote.c */
void remote_ask_all(struct remote *remote, struct s2s *s2s); /* sends the questions that were not sent yet */
/* Answers questions that went over a stream (NULL: all) with an error. */
void remote_answer_all(struct remote *remote, const struct s2s *over, enum stanza_error error);

#endif
