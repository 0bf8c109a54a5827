/* SPDX-License-Identifier: MIT */
/* Actors that take turns: those of a kind of which one stanza may cost a thousand others, rooms above all.
 *
 * What such an actor does is counted in stanzas that the shard sends (shard->work). When PACE_WORK of them
 * were sent in a turn of the loop, further stanzas for such actors wait in their order (actor.c), and sockets
 * are looked at before the next ones come to it, one after the other. So a turn is as long as the costliest
 * stanza and no longer, however many of them arrive. While something waits, from a room or on its way out
 * (loop_queue()), new ones wait too, for the end of the turn: what others say is delivered before. */
#ifndef SERVER_PACE_H
#define SERVER_PACE_H

#include "base/list.h"
#include "loop/loop.h"

struct actor;
struct shard;

enum { PACE_WORK = 1000 };

/* Of a shard. */
struct pace {
    struct list _waiting;
    struct task _task;
    uint64_t _turn, _enough; /* how much work there may have been at the end of this turn */
};

void pace_init(struct shard *shard);
void pace_fini(struct shard *shard);

/* Whether an actor that takes turns may go on in this one. */
bool pace_lets(struct shard *shard);

/* Blocks a ready actor until its turn comes. */
void pace_wait(struct actor *actor);

#endif
