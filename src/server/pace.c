/* SPDX-License-Identifier: MIT */
/* The actors that wait stand in a line, and each turn of the loop lets as many of them go on as there is work
 * for: one at least. Who still has something to do then stands at the end of the line.
 *
 * Not here: what waits for an actor, and how much of it may (actor.c). */
#include "server/pace.h"

#include "server/actor.h"

#include <stdlib.h>

struct paced {
    struct list link;
    struct actor *actor;
};

bool pace_lets(struct shard *shard)
{
    struct pace *pace = &shard->pace;
    uint64_t turn = loop_turn(shard->loop);
    if (pace->_turn != turn) {
        pace->_turn = turn;
        pace->_enough = shard->work + (loop_is_busy(shard->loop) ? 0 : PACE_WORK);
    }
    return shard->work < pace->_enough;
}

static void go_on(struct shard *shard)
{
    struct paced *first = LIST_ITEM(list_shift(&shard->pace._waiting), struct paced, link);
    struct actor *actor = first->actor;
    free(first);
    shard_enter(shard);
    actor_unblock(actor);
    shard_leave(shard);
}

static void turn_comes(struct task *task)
{
    struct shard *shard = CONTAINER_OF(task, struct shard, pace._task);
    shard->pace._turn = loop_turn(shard->loop);
    shard->pace._enough = shard->work + PACE_WORK;
    do
        go_on(shard);
    while (!list_empty(&shard->pace._waiting) && pace_lets(shard));
    if (!list_empty(&shard->pace._waiting))
        loop_defer_to_next_turn(shard->loop, task);
}

void pace_wait(struct actor *actor)
{
    struct shard *shard = actor->shard;
    struct paced *paced = NEW(struct paced);
    paced->actor = actor;
    list_append(&shard->pace._waiting, &paced->link);
    loop_defer_to_next_turn(shard->loop, &shard->pace._task);
    actor_block(actor);
}

void pace_init(struct shard *shard)
{
    list_init(&shard->pace._waiting);
    shard->pace._task.run = turn_comes;
    shard->pace._turn = UINT64_MAX; /* none yet */
}

void pace_fini(struct shard *shard)
{
    struct list *link;
    task_cancel(&shard->pace._task);
    while ((link = list_shift(&shard->pace._waiting)))
        free(LIST_ITEM(link, struct paced, link));
}
