/* SPDX-License-Identifier: MIT */
/* What was sent over a stream without stream management, until the peer has proved that it has it. */
#ifndef SERVER_S2S_TAIL_H
#define SERVER_S2S_TAIL_H

#include "server/s2s/s2s_sm.h"

struct s2s_tail;

/* Whether there is room for one more that is not proved. NULL: yes. */
bool s2s_tail_has_room(const struct s2s_tail *tail);

/* Whether somebody would have to be told if this were lost. */
bool s2s_tail_wants(const struct delivery *delivery);

/* A stanza was written: keeps it (it is in no list) until there is a proof. */
void s2s_tail_keep(struct s2s *s2s, struct waiting *waiting);

/* An answer of the domain: false if it is none to a question of ours. */
bool s2s_tail_answered(struct remote *remote, const struct stanza *iq);

/* The stream ends. */
void s2s_tail_leave(struct s2s *s2s, enum s2s_end how);

#endif
